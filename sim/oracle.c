#include "sim/oracle.h"

#include "sim/forger.h"
#include "sim/liars.h"
#include "trust/sign.h"

enum {
    BUDGET_BYTES = 65536, /* unless the configuration says another (gossip.h) */
    REFUTE_MS =
        1000, /* a host raises its own number once in so long at most (gossip/core.h), at each start, */
    REFUTE_SPARE = 2, /* ... and now and then above what others still hold of it */
    LAG_MS = 500,     /* who is this late answers no probe in time */
    GONE_MS = 10000,  /* nothing that was sent by one who is gone arrives after this, sockets' queues apart */
};

/* ---- at each event ---- */

void oracle_verified(struct world *w, uint32_t by, const struct gossip_claim *claim)
{
    uint32_t owner = signer_host_of(w->signer, &claim->id);
    if (!signer_find(w->signer, &claim->hash))
        world_fail(w, "host %u: a record of host %u that was never signed passes verification", by, owner);
    else if (claim->incarnation > w->host[owner].disk.highest)
        world_fail(w, "host %u speaks under incarnation %llu, on its disk is %llu", owner,
                   (unsigned long long)claim->incarnation, (unsigned long long)w->host[owner].disk.highest);
}

const struct signed_record *oracle_accepted(struct world *w, uint32_t by, const struct node_id *id,
                                            struct bytes record)
{
    const struct signed_record *r = signer_find_bytes(w->signer, record);
    if (r && node_id_eq(id, signer_id(w->signer, r->owner)))
        return r;
    world_fail(w, "host %u accepts a forged record of member %u", by, signer_host_of(w->signer, id));
    return NULL;
}

static int cmp_records(const struct signed_record *a, const struct signed_record *b)
{
    if (a->incarnation != b->incarnation)
        return a->incarnation < b->incarnation ? -1 : 1;
    return a->version < b->version ? -1 : a->version > b->version;
}

/* Whom its own ack made alive again cannot have been gone for long, unless the observer slept over the ack. */
static bool is_gone_for_good(const struct world *w, uint32_t by, uint32_t subject)
{
    const struct host *s = &w->host[subject];
    return !host_is_running(s) && s->state != HOST_NEW && w->now > s->stable_since + MS(GONE_MS) &&
           w->now > w->host[by].stable_since + MS(GONE_MS) && !forger_speaks_for(w, subject);
}

void oracle_changed(struct world *w, uint32_t by, uint32_t subject, const struct gossip_event *ev,
                    const struct signed_record *now_held)
{
    const struct signed_record *held = host_remembers(&w->host[by], subject);
    int newer = held ? cmp_records(now_held, held) : 1;
    if (newer < 0)
        world_fail(w, "host %u goes back from incarnation %llu to %llu of host %u", by,
                   (unsigned long long)held->incarnation, (unsigned long long)now_held->incarnation, subject);
    if (held && held->left && newer == 0 && ev->after != GOSSIP_LEFT)
        world_fail(w, "host %u undoes the good-bye of host %u", by, subject);
    if (now_held->left != (ev->after == GOSSIP_LEFT))
        world_fail(w, "host %u holds host %u %s, whose record says %s", by, subject,
                   gossip_state_text(ev->after), now_held->left ? "good-bye" : "nothing of that");
    if (!ev->is_new && ev->before == GOSSIP_DEAD && ev->after == GOSSIP_ALIVE && newer == 0 &&
        is_gone_for_good(w, by, subject))
        world_fail(w, "host %u raises host %u from the dead, which has been gone for %llu s", by, subject,
                   (unsigned long long)((w->now - w->host[subject].stable_since) / SEC(1)));
}

/* ---- at any time ---- */

static mono_us later(mono_us a, mono_us b)
{
    return a > b ? a : b;
}

static bool is_settled(const struct world *w, uint32_t host)
{
    const struct host *h = &w->host[host];
    return h->state == HOST_UP && !h->is_left && !h->wants_to_leave &&
           w->wire.host[host].lag_us < MS(LAG_MS) && w->now > h->stable_since + w->dead_bound;
}

static void look_at(struct world *w, uint32_t observer)
{
    struct gossip_member m;
    size_t cursor = 0;
    struct gossip_counts counts = gossip_counts(w->host[observer].gossip);
    if (counts.dead + counts.left == 0)
        return;
    while (gossip_member_next(w->host[observer].gossip, &cursor, &m)) {
        if (m.state != GOSSIP_DEAD && m.state != GOSSIP_LEFT)
            continue;
        uint32_t s = signer_host_of(w->signer, &m.id);
        if (s < w->config.hosts && is_settled(w, s) && !wire_is_cut(&w->wire, observer, s) &&
            !wire_is_cut(&w->wire, s, observer) &&
            later(host_when(&w->host[observer], m.since), w->network_since) + w->dead_bound < w->now) {
            world_fail(w, "host %u has held host %u %s since %llu ms, which runs and can be reached",
                       observer, s, gossip_state_text(m.state),
                       (unsigned long long)(host_ms(&w->host[observer]) - m.since));
            return;
        }
    }
}

mono_us oracle_look(struct world *w)
{
    for (uint32_t o = 0; o < w->config.hosts && world_is_well(w); o++)
        if (is_settled(w, o))
            look_at(w, o);
    return w->now + (w->config.hosts > 300 ? SEC(20) : SEC(2));
}

/* ---- agreement ---- */

static bool is_asked(const struct world *w, uint32_t host)
{
    return w->host[host].state == HOST_UP && !w->host[host].is_left && !liars_lie(w, host);
}

/* What the first of those who are asked and know the subject holds of it. */
static enum gossip_state first_opinion(const struct world *w, uint32_t subject)
{
    struct gossip_member m;
    for (uint32_t o = 0; o < w->config.hosts; o++)
        if (is_asked(w, o) && gossip_member_get(w->host[o].gossip, signer_id(w->signer, subject), &m))
            return m.state;
    return GOSSIP_DEAD;
}

/* Dead, or left if it has said good-bye at some time (the state follows from the record: oracle_changed): but all must
 * say the same. */
static const char *flaw_of_the_gone(const struct world *w, uint32_t subject, enum gossip_state held)
{
    if (held != GOSSIP_DEAD && held != GOSSIP_LEFT)
        return w->host[subject].is_left ? "left" : "gone";
    return held == first_opinion(w, subject) ? NULL : "held otherwise by another";
}

/* NULL, or how the observer's view of the subject is not so. */
static const char *view_flaw(const struct world *w, uint32_t observer, uint32_t subject)
{
    const struct host *s = &w->host[subject];
    struct gossip_member m;
    bool is_known = gossip_member_get(w->host[observer].gossip, signer_id(w->signer, subject), &m);
    if (s->state == HOST_NEW || s->state == HOST_PAUSED)
        return NULL;
    if (s->state != HOST_UP)
        return is_known ? flaw_of_the_gone(w, subject, m.state) : NULL;
    if (s->is_left || s->wants_to_leave)
        return !is_known || m.state == GOSSIP_LEFT ? NULL : "left";
    if (!s->own)
        return "about to speak"; /* it asks what others hold of it */
    if (is_known && w->is_doubt_agreed)
        return m.state == GOSSIP_ALIVE || m.state == GOSSIP_SUSPECT ? NULL : "alive";
    if (!is_known || m.state != GOSSIP_ALIVE)
        return "alive";
    if (m.incarnation != s->own->incarnation || m.version != s->own->version)
        return "alive with a newer record";
    return NULL;
}

static bool describe(const struct world *w, uint32_t observer, uint32_t subject, const char *truth, char *out,
                     size_t cap)
{
    struct gossip_member m;
    bool is_known = gossip_member_get(w->host[observer].gossip, signer_id(w->signer, subject), &m);
    snprintf(out, cap, "host %u holds host %u %s, which is %s", observer, subject,
             is_known ? gossip_state_text(m.state) : "unknown", truth);
    return false;
}

bool oracle_agree(struct world *w, char *difference, size_t cap)
{
    const char *flaw;
    /* Most often the pair that disagreed a moment ago still does. */
    if (is_asked(w, w->last_observer) && (flaw = view_flaw(w, w->last_observer, w->last_subject)))
        return describe(w, w->last_observer, w->last_subject, flaw, difference, cap);
    for (uint32_t o = 0; o < w->config.hosts; o++)
        for (uint32_t s = 0; is_asked(w, o) && s < w->config.hosts; s++)
            if ((flaw = view_flaw(w, o, s))) {
                w->last_observer = o;
                w->last_subject = s;
                return describe(w, o, s, flaw, difference, cap);
            }
    return true;
}

/* ---- at the end ---- */

/* What a host may send in any one second, probes and acks included. */
static bool is_within_budget(struct world *w, uint32_t host)
{
    uint32_t budget = w->config.gossip.bytes_per_second_max;
    budget = budget ? budget : BUDGET_BYTES;
    if (w->host[host].meter.peak <= budget)
        return true;
    return world_fail(w, "host %u sent %u bytes of datagrams in one second, its budget is %u", host,
                      w->host[host].meter.peak, budget);
}

static uint32_t largest_peak(const struct world *w)
{
    uint32_t most = 0;
    for (uint32_t h = 0; h < w->config.hosts; h++)
        most = w->host[h].meter.peak > most ? w->host[h].meter.peak : most;
    return most;
}

void oracle_end(struct world *w)
{
    struct gossip_member m;
    trace_line(&w->trace, w->now, "%u bytes are the most that one sent in datagrams in a second",
               largest_peak(w));
    for (uint32_t o = 0; o < w->config.hosts && world_is_well(w); o++) {
        const struct host *h = &w->host[o];
        uint64_t most =
            (uint64_t)h->generation * GOSSIP_START_LEAP + (w->now - w->began) / MS(REFUTE_MS) + REFUTE_SPARE;
        if (h->disk.incarnation > most)
            world_fail(w, "host %u was driven to incarnation %llu, %llu would have been enough", o,
                       (unsigned long long)h->disk.incarnation, (unsigned long long)most);
        if (!is_within_budget(w, o) || !h->gossip)
            continue;
        for (size_t cursor = 0; gossip_member_next(h->gossip, &cursor, &m);)
            if (!oracle_accepted(w, o, &m.id, m.record))
                break;
        if (gossip_stats(h->gossip)->equivocations > 0 && !w->forger && !w->liars)
            world_fail(w, "host %u sees equivocation where nobody lies", o);
    }
}
