/* apply.c: what records do to a member, and its states: they change nowhere else.
 *
 *              record with a higher incarnation, or own evidence
 *            .-------------------------------------------------.
 *            v                                                 |
 *   (new) ALIVE --- own probe failed, or accused --> SUSPECT --> DEAD
 *            |                                          |       |      SUSPECT -> DEAD: after the deadline,
 *            '------------> LEFT <----------------------'-------'      if own probes failed
 *                           by a record that says so
 *   LEFT -> ALIVE by a newer record that does not say so.
 *   ALIVE -> DEAD only when it is evicted, and then it is forgotten at once. */
#include "gossip/core.h"

#include <assert.h>
#include <stdlib.h>

#define BIT(s) (1u << (s))
static const unsigned may_become[] = {
    [GOSSIP_ALIVE] = BIT(GOSSIP_SUSPECT) | BIT(GOSSIP_DEAD) | BIT(GOSSIP_LEFT),
    [GOSSIP_SUSPECT] = BIT(GOSSIP_ALIVE) | BIT(GOSSIP_DEAD) | BIT(GOSSIP_LEFT),
    [GOSSIP_DEAD] = BIT(GOSSIP_ALIVE) | BIT(GOSSIP_LEFT),
    [GOSSIP_LEFT] = BIT(GOSSIP_ALIVE),
};

static void suspicion_end(struct gossip *g, struct member *m)
{
    struct suspicion *s = member_suspicion(m);
    if (!s)
        return;
    suspicions_end(&g->suspicions, s);
    m->busy->suspicion = NULL;
    member_settle(m);
}

static void set_state(struct gossip *g, struct member *m, enum gossip_state to)
{
    bool was_alive = m->state == GOSSIP_ALIVE;
    members_set_state(&g->members, m, to, g->now);
    if (is_self(g, member_id(m)) || was_alive == (to == GOSSIP_ALIVE))
        return;
    if (was_alive) {
        watch_remove(&g->watch, m);
    } else {
        watch_add(&g->watch, m, g->now, g->cfg.probe_interval_ms);
        circle_add(&g->circle, m, g->members.by_state[GOSSIP_ALIVE]);
    }
}

static void move(struct gossip *g, struct member *m, enum gossip_state to)
{
    assert(may_become[m->state] & BIT(to));
    if (to == GOSSIP_LEFT)
        degrade_leaves(g, m);
    if (to != GOSSIP_SUSPECT)
        suspicion_end(g, m);
    set_state(g, m, to);
}

/* Addresses. */

bool apply_may_dial(const struct gossip *g, const struct addr *a)
{
    if (!addr_is_dialable(a))
        return false;
    if (!g->self)
        return true;
    for (int i = 0; i < member_addr_count(g->self); i++)
        if (addr_eq(member_addr(g->self, i), a))
            return false;
    return !addr_is_loopback(a) || addr_is_loopback(member_addr(g->self, 0));
}

bool apply_addr(const struct gossip *g, const struct member *m, struct addr *out)
{
    for (int i = 0; i < member_addr_count(m); i++) {
        const struct addr *a = member_addr(m, (m->addr_used + i) % member_addr_count(m));
        if (apply_may_dial(g, a)) {
            *out = *a;
            return true;
        }
    }
    return false;
}

/* Records. */

static enum err check(const struct gossip *g, struct bytes record, struct gossip_claim *claim)
{
    memset(claim, 0, sizeof *claim);
    if (record.len == 0 || record.len > GOSSIP_RECORD_MAX)
        return ERR_LIMIT;
    enum err e = g->verify.record(g->verify.arg, record, claim);
    if (e)
        return e;
    if (claim->incarnation >= NUMBER_MAX || claim->version >= NUMBER_MAX ||
        claim->addr_count > GOSSIP_ADDRS_MAX || node_id_is_zero(&claim->id))
        return ERR_LIMIT;
    for (int i = 0; i < claim->addr_count; i++)
        if (addr_is_dialable(&claim->addr[i]))
            return ERR_OK;
    return ERR_LIMIT; /* nowhere that may be dialled (ADVERSARY G16) */
}

static enum gossip_state state_after(const struct member *m, bool is_new, const struct gossip_claim *claim,
                                     const struct news *news)
{
    if (claim->left)
        return GOSSIP_LEFT;
    if (is_new)
        return news->origin == FROM_SYNC && news->state == GOSSIP_DEAD ? GOSSIP_DEAD : GOSSIP_ALIVE;
    if (claim->incarnation > member_incarnation(m) || m->state == GOSSIP_LEFT)
        return GOSSIP_ALIVE;
    return (enum gossip_state)m->state;
}

static bool is_worth_telling(const struct gossip *g, const struct news *news)
{
    /* A joiner is taught what everybody else knows already. */
    return news->origin != FROM_STORE && (news->origin != FROM_SYNC || (g->is_joined && !g->catch_up.is_on));
}

/* The accused has answered our first look, or has refuted. */
static void strike_accusers(struct gossip *g, const struct suspicion *s)
{
    for (int i = 0; !s->is_own && s->tries <= 1 && i < s->accusers; i++) {
        if (is_self(g, &s->accuser[i]))
            continue;
        accusers_strike(&g->hearsay, &s->accuser[i], g->now);
        if (i > 0 || !s->is_hearsay)
            accusers_strike(&g->accusers, &s->accuser[i], g->now);
    }
}

static void adopt(struct gossip *g, struct member *m, struct record_blob *blob,
                  const struct gossip_claim *claim, const struct news *news, bool is_new)
{
    enum gossip_state before = (enum gossip_state)m->state, after = state_after(m, is_new, claim, news);
    const struct suspicion *doubt = member_suspicion(m);
    mono_ms look_at = doubt && !doubt->is_own && doubt->verify_at != NEVER ? doubt->verify_at : NEVER;
    bool is_refuted = !is_new && claim->incarnation > member_incarnation(m);
    bool is_restart = !is_new && claim->incarnation >= member_incarnation(m) + GOSSIP_START_LEAP;
    bool is_equivocal = !is_new && member_cmp(m, claim->incarnation, claim->version) == 0;
    members_set_record(&g->members, m, blob);
    if (!is_equivocal) {
        m->flags &= (uint16_t)~MEMBER_EQUIVOCAL;
        quarantine_newer(g, m);
    }
    if (is_refuted && before == GOSSIP_SUSPECT && member_suspicion(m))
        strike_accusers(g, member_suspicion(m));
    if (is_refuted || after == GOSSIP_LEFT)
        rumors_drop(&g->rumors, member_opinion(m));
    m->flags &= (uint16_t)~MEMBER_QUIET;
    if (is_refuted)
        m->flags &= (uint16_t)~MEMBER_KNOWS_US; /* it may have restarted, and without its store */
    if (is_refuted && !is_restart && news->origin == FROM_DATAGRAM)
        hearing_refuted(g);
    if (is_restart)
        degrade_restarted(g, m);
    else if (!is_new && after == GOSSIP_ALIVE && before != GOSSIP_ALIVE)
        degrade_returns(g, m);
    if (is_new)
        set_state(g, m, after);
    else if (after != before)
        move(g, m, after);
    if (look_at != NEVER && before == GOSSIP_SUSPECT && after == GOSSIP_ALIVE)
        degrade_look(g, m, look_at); /* it refuted before we had looked */
    if (is_new && news->origin == FROM_SYNC && (after == GOSSIP_DEAD || after == GOSSIP_LEFT))
        m->since -= (int64_t)news->age_s * 1000;
    locate_spoken(g, m);
    event_member(g, m, is_new ? after : before, is_new, true);
    g->stats.records_applied++;
    if (is_worth_telling(g, news) && after != GOSSIP_DEAD)
        tell_member(g, RUMORS_RECORD, m, is_equivocal ? NULL : news->source, NULL, news->hops,
                    (uint8_t)g->cfg.eager_fanout); /* of a pair, who told us one may lack the other */
}

/* Two records with one number: the smaller hash wins everywhere, both are the proof (ADVERSARY R4, G7). */
static enum err equivocate(struct gossip *g, struct member *m, struct record_blob *blob,
                           const struct gossip_claim *claim, const struct news *news)
{
    struct record_blob *held = record_blob_ref(m->record);
    bool is_first = !(m->flags & MEMBER_EQUIVOCAL),
         is_ours = memcmp(blob->hash.b, held->hash.b, HASH_BYTES) > 0;
    if (!is_ours)
        adopt(g, m, blob, claim, news, false);
    if (is_first) {
        m->flags |= MEMBER_EQUIVOCAL;
        event_proof(g, member_id(m), held, blob);
        g->stats.equivocations++;
        quarantine_begin(g, m, is_ours ? blob : held);
    }
    if (is_first && is_ours && m->state != GOSSIP_DEAD && is_worth_telling(g, news))
        tell_member(g, RUMORS_RECORD, m, NULL, NULL, UINT8_MAX, (uint8_t)g->cfg.eager_fanout);
    record_blob_unref(held);
    return is_ours ? ERR_STALE : ERR_OK;
}

static bool is_nearly_forgotten(const struct gossip *g, uint32_t age_s)
{
    return (uint64_t)age_s * 1000 >= g->cfg.tombstone_ms / 8 * 7;
}

static enum err apply_new(struct gossip *g, struct bytes record, const struct gossip_claim *claim,
                          const struct news *news, struct member **out)
{
    /* A tombstone about to expire elsewhere would circulate for ever if it were learned anew (scylla#14991).
     */
    if (news->origin == FROM_SYNC && (claim->left || news->state == GOSSIP_DEAD) &&
        is_nearly_forgotten(g, news->age_s))
        return ERR_STALE;
    if (g->members.count >= GOSSIP_MEMBERS_MAX) {
        g->stats.records_refused++;
        return ERR_FULL;
    }
    struct record_blob *blob = record_blob_of(g->cfg.pool, record, claim);
    struct member *m = blob ? members_add(&g->members, blob, g->now) : NULL;
    if (m) {
        adopt(g, m, blob, claim, news, true);
        catch_up_grew(g);
        *out = m;
    }
    record_blob_unref(blob);
    return m ? ERR_OK : ERR_NOMEM;
}

static enum err apply_known(struct gossip *g, struct member *m, struct bytes record,
                            const struct gossip_claim *claim, const struct news *news)
{
    int newer = member_cmp(m, claim->incarnation, claim->version);
    if (newer == 0 && hash_eq(&m->record->hash, &claim->hash)) {
        if (news->origin == FROM_SYNC)
            apply_speak(g, m);
        return ERR_OK;
    }
    if (newer < 0) {
        g->stats.records_stale++;
        return ERR_STALE;
    }
    struct record_blob *blob = record_blob_of(g->cfg.pool, record, claim);
    if (!blob)
        return ERR_NOMEM;
    enum err e = ERR_OK;
    if (newer == 0)
        e = equivocate(g, m, blob, claim, news);
    else
        adopt(g, m, blob, claim, news, false);
    record_blob_unref(blob);
    return e;
}

enum err apply_record(struct gossip *g, struct bytes record, const struct news *news, struct member **out)
{
    struct gossip_claim claim;
    *out = NULL;
    enum err e = check(g, record, &claim);
    if (e) {
        g->stats.records_refused++;
        return e;
    }
    if (is_self(g, &claim.id) && news->origin != FROM_OWNER) {
        own_heard(g, &claim, record);
        return ERR_OK;
    }
    struct member *m = members_find(&g->members, &claim.id);
    if (news->origin == FROM_OWNER && !is_self(g, &claim.id))
        return ERR_INVALID;
    if (news->origin == FROM_OWNER && m && member_cmp(m, claim.incarnation, claim.version) <= 0)
        return ERR_STALE;
    if (m) {
        *out = m;
        e = apply_known(g, m, record, &claim, news);
    } else {
        e = apply_new(g, record, &claim, news, out);
    }
    wants_done(g, &claim.id, claim.incarnation, claim.version);
    return e;
}

bool apply_own_word(struct gossip *g, const struct node_id *from, struct bytes record,
                    const struct news *news, struct member **out)
{
    struct gossip_claim claim;
    if (g->verify.record(g->verify.arg, record, &claim) != ERR_OK || !node_id_eq(&claim.id, from))
        return false;
    if (apply_record(g, record, news, out) != ERR_OK)
        *out = NULL;
    return true;
}

/* Its observers look at once: they are few, and their word is what the others wait for. */
static uint32_t first_look_ms(struct gossip *g, bool is_own, bool is_watched)
{
    if (is_own)
        return g->cfg.probe_interval_ms;
    return is_watched ? 0 : verdict_jitter(g);
}

void apply_suspicion(struct gossip *g, struct member *m, const struct node_id *accuser, mono_ms since,
                     bool is_own, bool is_quiet)
{
    assert(m->state == GOSSIP_ALIVE && !member_suspicion(m) && m != g->self);
    struct member_busy *busy = member_busy(m);
    struct suspicion *s = busy ? calloc(1, sizeof *s) : NULL;
    bool is_watched = !is_quiet && watch_of(&g->watch, m);
    if (s && !suspicions_add(&g->suspicions, s)) {
        free(s);
        s = NULL;
    }
    if (!s)
        return; /* the next failed probe tries again */
    s->member = m;
    s->start = is_credulous(g) ? g->now : since;
    s->is_own = is_own;
    suspect_confirm(s, accuser);
    s->deadline = s->start + verdict_timeout_ms(g, s);
    s->verify_at = is_credulous(g) ? NEVER : g->now + first_look_ms(g, is_own, is_watched);
    busy->suspicion = s;
    if (is_own)
        hearing_ends(g, m, HEARING_SILENT);
    move(g, m, GOSSIP_SUSPECT);
    verdict_reschedule(g, s);
    event_member(g, m, GOSSIP_ALIVE, false, false);
    g->stats.suspicions++;
    if (!is_quiet)
        return;
    m->flags |= MEMBER_QUIET;
    members_unsum(&g->members, m);
}

static void clear_accusers(struct gossip *g, const struct suspicion *s)
{
    for (int i = 0; s->is_own && i < s->accusers; i++)
        accusers_clear(hearing_account(g, s->is_hearsay && i == 0), &s->accuser[i]);
}

void apply_death(struct gossip *g, struct member *m)
{
    bool is_told = verdict_may_tell(g, m), is_refused = member_suspicion(m)->is_refused;
    uint8_t eager = member_suspicion(m)->is_hastened
                        ? 0
                        : (uint8_t)g->cfg.eager_fanout; /* others have pushed it already */
    clear_accusers(g, member_suspicion(m));
    if (member_suspicion(m)->is_own && !is_refused && !(m->flags & MEMBER_QUIET))
        m->flags |= MEMBER_FELL;
    move(g, m, GOSSIP_DEAD);
    event_member(g, m, GOSSIP_SUSPECT, false, false);
    g->stats.deaths++;
    if (is_told)
        tell_member(g, RUMORS_OPINION, m, NULL, &g->cfg.self, 0, eager);
    else
        rumors_drop(&g->rumors, member_opinion(m));
    if (member_opinion(m))
        member_opinion(m)->is_refused = is_refused;
}

void apply_speak(struct gossip *g, struct member *m)
{
    if (!(m->flags & MEMBER_QUIET))
        return;
    m->flags &= (uint16_t)~MEMBER_QUIET;
    members_sum(&g->members, m);
}

void apply_evidence(struct gossip *g, struct member *m)
{
    enum gossip_state before = (enum gossip_state)m->state;
    if (before == GOSSIP_LEFT)
        return;
    apply_speak(g, m);
    hearing_ends(g, m, HEARING_ANSWERED);
    if (before == GOSSIP_ALIVE)
        return;
    if (before == GOSSIP_SUSPECT)
        strike_accusers(g, member_suspicion(m));
    struct member_busy *busy = member_busy(m);
    if (busy && !is_credulous(g)) /* without memory it may be accused a little early */
        busy->vouched_until = g->now + VOUCH_MS;
    rumors_drop(&g->rumors, member_opinion(m));
    bool is_of_many = retry_is_of_many(g, m);
    degrade_returns(g, m);
    move(g, m, GOSSIP_ALIVE);
    event_member(g, m, before, false, false);
    retry_returned(g, before == GOSSIP_DEAD, is_of_many);
    if (before == GOSSIP_DEAD && g->now >= g->sync_ok_at)
        jobs_sync(g, m); /* it may have lived in another partition */
}

void apply_spared(struct gossip *g, struct member *m)
{
    rumors_drop(&g->rumors, member_opinion(m));
    degrade_returns(g, m);
    move(g, m, GOSSIP_ALIVE);
    event_member(g, m, GOSSIP_SUSPECT, false, false);
}

void apply_vouch_lapses(struct gossip *g, struct member *m)
{
    if (!m->busy || m->busy->vouched_until > g->now || m->busy->works_until > g->now ||
        !degrade_is_settled(g, m))
        return;
    m->busy->vouched_until = m->busy->works_until = 0;
    m->busy->hinted_at = m->busy->bouts = 0;
    member_settle(m);
}

void apply_evict(struct gossip *g, struct member *m)
{
    if (m->state == GOSSIP_ALIVE || m->state == GOSSIP_SUSPECT)
        move(g, m, GOSSIP_DEAD);
    apply_forget(g, m);
}

void apply_forget(struct gossip *g, struct member *m)
{
    assert(m != g->self);
    event_forgotten(g, m);
    suspicion_end(g, m);
    rumors_forget(&g->rumors, m);
    detect_forget(g, m);
    degrade_forget(g, m);
    hearing_ends(g, m, HEARING_VOID);
    outbox_forget(&g->urgent, m);
    outbox_forget(&g->answers, m);
    wants_forget(g, m);
    range_forget(g, m);
    circle_forget(&g->circle, m);
    if (g->pushed_last == m)
        g->pushed_last = NULL;
    members_remove(&g->members, m);
}
