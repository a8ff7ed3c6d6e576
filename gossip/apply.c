/* apply.c: what records and opinions do to a member. The one place where states change.
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

/* Ourselves. */

void apply_refute(struct gossip *g, uint64_t above)
{
    if (above >= NUMBER_MAX - 1 || is_silent(g))
        return;
    if (g->wanted_incarnation <= above)
        g->wanted_incarnation = above + 1;
    if (g->now < g->refute_ok_at)
        return; /* timers_tick() asks when the time has come */
    g->refute_ok_at = g->now + REFUTE_SPACING_MS;
    g->ev_want = true;
    g->stats.refutations++;
    detect_health(g, 1); /* Lifeguard: who has to refute was probably slow */
}

static void own_alarm(struct gossip *g, const struct gossip_claim *claim, struct bytes record)
{
    struct record_blob *other = record_blob_of(g->cfg.pool, record, claim);
    if (other)
        event_proof(g, &claim->id, g->self->record, other);
    record_blob_unref(other);
}

static bool is_elsewhere(const struct gossip *g, const struct gossip_claim *claim)
{
    return !addr_eq(member_addr(g->self, 0), &claim->addr[0]);
}

/* And is not the same once more, from another. */
static bool is_overtaking(const struct gossip *g, const struct gossip_claim *claim)
{
    return g->now - g->overtaken_at > CLONE_WINDOW_MS || g->overtaken == 0 ||
           claim->incarnation > g->overtaken_by;
}

/* An old disk image is overtaken by what its peers remember, once or twice. Who is overtaken again and again
 * has a living double. */
static bool is_cloned(struct gossip *g, const struct gossip_claim *claim)
{
    if (!is_overtaking(g, claim))
        return false;
    if (g->now - g->overtaken_at > CLONE_WINDOW_MS)
        g->overtaken = 0;
    g->overtaken_at = g->now;
    g->overtaken_by = claim->incarnation;
    g->overtaken += g->overtaken < UINT8_MAX;
    return g->overtaken == CLONE_SIGNS;
}

/* Of two agents with one identity the one with the lower address goes on, the other claims nothing for a while: so
 * the name does not flap between them (ADVERSARY G33). */
static bool is_other_first(const struct gossip *g, const struct gossip_claim *claim)
{
    const struct addr *ours = member_addr(g->self, 0), *theirs = &claim->addr[0];
    int order = memcmp(theirs->ip, ours->ip, sizeof ours->ip);
    return order < 0 || (order == 0 && theirs->port < ours->port);
}

static void yield(struct gossip *g)
{
    g->yield_until = g->now + CLONE_YIELD_MS;
    g->wanted_incarnation = 0;
    g->probes.count = g->relays.count = 0; /* nobody is blamed for answers that we do not take any more */
}

/* Our own record came back to us. Newer than ours: an old disk image, or a clone of our key (ADVERSARY G32,
 * G33, G46). */
static void own_heard(struct gossip *g, const struct gossip_claim *claim, struct bytes record)
{
    if (!g->self) {
        apply_refute(g, claim->incarnation);
        return;
    }
    int newer = member_cmp(g->self, claim->incarnation, claim->version);
    if (newer < 0 || (newer == 0 && hash_eq(&claim->hash, &g->self->record->hash)))
        return;
    /* At the first sign, if it is told of another address: what the others remembered was asked for before we spoke. */
    bool is_alarming =
        newer == 0 ? !(g->self->flags & MEMBER_EQUIVOCAL) : is_elsewhere(g, claim) && is_overtaking(g, claim);
    if (newer == 0)
        g->self->flags |= MEMBER_EQUIVOCAL;
    bool is_double = is_cloned(g, claim);
    if (is_alarming || is_double)
        own_alarm(g, claim, record);
    if (is_double && is_other_first(g, claim))
        yield(g);
    if (g->wanted_incarnation <= claim->incarnation && g->refute_ok_at < g->now + PROOF_FIRST_MS)
        g->refute_ok_at = g->now + PROOF_FIRST_MS; /* it may be one of two */
    apply_refute(g, claim->incarnation);
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
        send_tell(g, RUMORS_RECORD, m, news->source, NULL, news->hops, (uint8_t)g->cfg.eager_fanout);
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
        send_tell(g, RUMORS_RECORD, m, NULL, NULL, UINT8_MAX, (uint8_t)g->cfg.eager_fanout);
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
    if (g->members.count >= GOSSIP_MEMBERS_MAX)
        return ERR_FULL;
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

/* Opinions. */

static void reschedule(struct gossip *g, const struct suspicion *s)
{
    g->suspicion_at = mono_min(g->suspicion_at, suspicions_reschedule(&g->suspicions, s));
}

static uint32_t timeout_ms(const struct gossip *g, const struct suspicion *s)
{
    if (g->cfg.without & GOSSIP_SUSPICION)
        return 0; /* SWIM section 3, before 4.2 brings suspicion in */
    uint32_t confirmations = g->cfg.without & GOSSIP_CONFIRMATIONS ? 0 : suspect_confirmations(s);
    return suspect_timeout_ms(g->cfg.suspicion_mult, g->cfg.probe_interval_ms, live_count(g), confirmations);
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
    s->deadline = s->start + timeout_ms(g, s);
    s->verify_at = is_credulous(g) ? NEVER : g->now + first_look_ms(g, is_own, is_watched);
    busy->suspicion = s;
    if (is_own)
        hearing_ends(g, m, HEARING_SILENT);
    move(g, m, GOSSIP_SUSPECT);
    reschedule(g, s);
    event_member(g, m, GOSSIP_ALIVE, false, false);
    g->stats.suspicions++;
    if (!is_quiet)
        return;
    m->flags |= MEMBER_QUIET;
    members_unsum(&g->members, m);
}

void apply_confirm(struct gossip *g, struct member *m, const struct node_id *accuser)
{
    struct suspicion *s = member_suspicion(m);
    if (s && s->accusers > 0 && node_id_eq(&s->accuser[0], accuser))
        s->is_hearsay = false; /* now it has said so itself */
    if (!s || !suspect_confirm(s, accuser))
        return;
    s->is_lonely = false;
    s->deadline = mono_min(s->deadline, s->start + timeout_ms(g, s));
    reschedule(g, s);
}

/* Another member holds it dead. We look at once, and need no more of others' words, but give it its whole
 * forgiven pause all the same: a liar shortens nobody's. */
static void hasten(struct gossip *g, struct member *m)
{
    struct suspicion *s = member_suspicion(m);
    s->is_hastened = true;
    if (is_credulous(g)) { /* SWIM section 4.2: a word of a death goes before all of suspicion */
        s->deadline = g->now;
        reschedule(g, s);
        return;
    }
    mono_ms shortest = s->start + (mono_ms)g->cfg.suspicion_mult * g->cfg.probe_interval_ms;
    s->deadline = mono_min(s->deadline, shortest > g->now ? shortest : g->now);
    if (s->tries < SUSPECT_VERIFY_TRIES && !s->is_own)
        s->verify_at = mono_min(s->verify_at, g->now + rng_below(&g->rng, VERIFY_JITTER_MS));
    reschedule(g, s);
}

/* Who was wrong, or has said more than we have looked into so far, has to wait for what we see ourselves. So have all when
 * there is no credit. */
static bool is_believed(struct gossip *g, const struct member *m, const struct node_id *accuser,
                        bool is_hearsay)
{
    const struct suspicion *s;
    int open = 0;
    if (is_credulous(g))
        return true;
    if (accusers_doubt(hearing_account(g, is_hearsay), accuser, g->now))
        return false;
    if (m->state == GOSSIP_SUSPECT)
        return true;
    for (uint32_t i = 0; i < g->suspicions.count; i++)
        open += (s = g->suspicions.list[i]) && !s->is_own && s->is_hearsay == is_hearsay && s->accusers > 0 &&
                node_id_eq(&s->accuser[0], accuser);
    return open < ACCUSATIONS_OPEN_MAX && hearing_trusts(g, accuser, is_hearsay);
}

static void clear_accusers(struct gossip *g, const struct suspicion *s)
{
    for (int i = 0; s->is_own && i < s->accusers; i++)
        accusers_clear(hearing_account(g, s->is_hearsay && i == 0), &s->accuser[i]);
}

/* Its process is gone, as we and others have seen: nothing is left to wait for. */
static void judge(struct gossip *g, struct suspicion *s)
{
    if (!detect_is_gone(g, s))
        return;
    s->deadline = g->now;
    reschedule(g, s);
}

/* A member says that its own dial was refused. The first few are kept and passed on, each with its name: they cut no
 * pause short unless our own dial is refused too, which no member can bring about. */
static void hear_refused(struct gossip *g, struct member *m, const struct node_id *accuser,
                         struct member *source)
{
    const struct member *who = members_find(&g->members, accuser);
    if (!who || who->state != GOSSIP_ALIVE || !suspect_refused_by(member_suspicion(m), accuser))
        return;
    if (!member_suspicion(m)->is_unsure)
        send_tell(g, RUMORS_OPINION, m, source, member_opinion(m) ? NULL : accuser, 0,
                  (uint8_t)g->cfg.eager_fanout);
    judge(g, member_suspicion(m));
}

/* In whose name hearsay was wrong, its own word makes us look like any other's, but is made no hearsay of: what we say then is
 * in our own name, once our look has failed. */
static void pass_on(struct gossip *g, struct member *m, const struct node_id *accuser, struct member *source)
{
    if (!member_suspicion(m)->is_unsure)
        send_tell(g, RUMORS_OPINION, m, source, accuser, 0, (uint8_t)g->cfg.eager_fanout);
}

static void believe(struct gossip *g, struct member *m, const struct rumor_item *i, struct member *source)
{
    bool is_hearsay = !node_id_eq(member_id(source), &i->accuser);
    if (m->state == GOSSIP_ALIVE) {
        apply_suspicion(g, m, &i->accuser, g->now, false, false);
        if (member_suspicion(m)) {
            member_suspicion(m)->is_hearsay = is_hearsay;
            member_suspicion(m)->is_on_credit = true;
            member_suspicion(m)->is_unsure =
                !is_credulous(g) && accusers_doubt(&g->hearsay, &i->accuser, g->now);
            pass_on(g, m, &i->accuser, source);
        }
    } else if (!is_hearsay) {
        apply_confirm(g, m, &i->accuser);
    }
    if (member_suspicion(m) && i->reason == REASON_REFUSED)
        hear_refused(g, m, &i->accuser, source);
    if (member_suspicion(m) && i->type == RUMOR_DEAD)
        hasten(g, m);
}

/* It answered us just now, so we do not believe it, and pass it on to nobody but the accused: who accuses it may have
 * lost the path to it, and only its own word counts there. Where a link works, but nothing was probed, we look. */
static void defend(struct gossip *g, struct member *m, const struct rumor_item *i, struct member *source)
{
    struct member *accuser = members_find(&g->members, &i->accuser);
    struct out warning = {.type = OUT_WARNING, .to = m, .about = accuser ? accuser : source};
    bool is_hearsay = !node_id_eq(member_id(source), &i->accuser);
    hearing_look(g, m, &i->accuser, source);
    if (g->now < m->busy->warned_at + REFUTE_SPACING_MS || !apply_addr(g, m, &warning.via) ||
        !hearing_tells_accused(g, &i->accuser, is_hearsay))
        return;
    m->busy->warned_at = g->now;
    outbox_put(&g->answers, &warning);
}

void apply_opinion(struct gossip *g, const struct rumor_item *i, struct member *source)
{
    assert(i->type == RUMOR_SUSPECT || i->type == RUMOR_DEAD);
    /* i->version names what the accuser held; only an incarnation refutes. */
    if (is_self(g, &i->subject) && i->reason == REASON_DEGRADED)
        return; /* nothing to refute: answers are what counts */
    if (is_self(g, &i->subject)) {
        /* An accusation never raises our number beyond what we signed (memberlist#358, ADVERSARY G5). */
        if (g->self && i->incarnation == member_incarnation(g->self) &&
            g->wanted_incarnation <= i->incarnation)
            hearing_accused(g, i->incarnation, &i->accuser, i->type == RUMOR_DEAD);
        return;
    }
    struct member *m = members_find(&g->members, &i->subject);
    if (!m || i->incarnation != member_incarnation(m) || m->state == GOSSIP_LEFT || m->state == GOSSIP_DEAD)
        return;
    /* Nor does the word of one whom we hold dead count: it may have been cut off, and just comes back. */
    if (is_self(g, &i->accuser) || node_id_eq(&i->accuser, &i->subject) ||
        (source->state != GOSSIP_ALIVE && !is_credulous(g)))
        return;
    const struct member *accuser = members_find(&g->members, &i->accuser);
    bool is_hearsay = !node_id_eq(member_id(source), &i->accuser);
    bool is_vouched = g->now < member_vouched_until(m) || g->now < member_works_until(m);
    if (i->reason == REASON_DEGRADED && !degrade_is(source))
        degrade_heard(g, m, &i->accuser, source);
    else if (degrade_is(source) || (accuser && degrade_is(accuser)) || degrade_is_heard(g, m))
        degrade_asked(g, m, &i->accuser, is_hearsay);
    else if (is_vouched && m->state == GOSSIP_ALIVE)
        defend(g, m, i, source);
    else if (is_believed(g, m, &i->accuser, is_hearsay))
        believe(g, m, i, source);
    else
        hearing_look(g, m, &i->accuser, source);
}

void apply_held(struct gossip *g, enum gossip_state state, const struct node_id *subject,
                uint64_t incarnation, struct member *source)
{
    const struct rumor_item i = {.type = state == GOSSIP_DEAD ? RUMOR_DEAD : RUMOR_SUSPECT,
                                 .subject = *subject,
                                 .accuser = *member_id(source),
                                 .incarnation = incarnation};
    apply_opinion(g, &i, source);
}

void apply_verify_failed(struct gossip *g, struct member *m, bool is_own)
{
    struct suspicion *s = member_suspicion(m);
    if (!s)
        return;
    if (!is_own) { /* that look does not count */
        s->tries = 0;
        s->verify_at = mono_min(s->verify_at, g->now + verdict_jitter(g));
        reschedule(g, s);
        return;
    }
    s->doomed += s->doomed < UINT8_MAX;
    hearing_ends(g, m, HEARING_SILENT);
    if (!s->is_own && s->is_on_credit)
        hearing_was_right(g);
    uint8_t eager = s->is_unsure ? (uint8_t)g->cfg.eager_fanout : 0; /* else others have pushed it already */
    s->is_own = true;
    s->is_unsure = false;
    apply_accuse(g, s, eager);
    judge(g, s);
}

void apply_refused(struct gossip *g, struct member *m)
{
    struct suspicion *s = member_suspicion(m);
    if (!s || s->is_refused)
        return;
    s->is_refused = true;
    s->is_told = false; /* there is more to tell */
    apply_accuse(g, s, 0);
    judge(g, s);
}

void apply_accuse(struct gossip *g, struct suspicion *s, uint8_t eager)
{
    if (!s->is_own || s->is_told || !detect_may_tell(g, s->member))
        return;
    s->is_told = true;
    if (s->is_refused && s->refusers < REFUSED_OTHERS)
        eager = (uint8_t)g->cfg.eager_fanout; /* ours is a word that others wait for */
    send_tell(g, RUMORS_OPINION, s->member, NULL, &g->cfg.self, 0, eager);
}

void apply_death(struct gossip *g, struct member *m)
{
    bool is_told = detect_may_tell(g, m), is_refused = member_suspicion(m)->is_refused;
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
        send_tell(g, RUMORS_OPINION, m, NULL, &g->cfg.self, 0, eager);
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
    degrade_returns(g, m);
    move(g, m, GOSSIP_ALIVE);
    event_member(g, m, before, false, false);
    detect_returned(g, before == GOSSIP_DEAD);
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
