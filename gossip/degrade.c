/* degrade.c: members that come and go, or lose most of what is sent to them. They are alive in between, so they are
 * neither to be buried nor to be relied on: *degraded* is a mark beside the state, for routing.
 *
 * What counts is what we saw ourselves, so no liar marks anybody: a *bout* is a look of ours that failed, while others
 * answered us, at a member that came back.
 *
 *   who looks     Whoever hears an accusation (suspect.h), also when the accused refutes it before its look was due; and whoever
 *                 hears that a member is degraded, some times: one that is well answers those looks, one that loses four packets
 *                 of five does not.
 *   how long      Each bout marks for HOLD_MS, twice as long for each further one, as BGP damps flapping routes (RFC 2439); the mark
 *                 goes when several looks were answered at once. After a single silence it lasts as that did: who was silent for
 *                 some seconds, as a machine that is moved, is soon in use again, and who was for as long as one that comes and
 *                 goes is not before it would have gone again.
 *   no bout       When the process was gone (refused dials, or a record that says that it was started again: such a one is marked
 *                 only when that goes on and on); when a quarter of all fell silent together, or a third of our own round trips
 *                 fail: that is the network, or we.
 *   once marked   Nobody speaks of it each time that it fails to answer, which would be all the time: an observer whose turn
 *                 failed looks on, and accuses it after PATIENCE_MS without any answer. */
#include "gossip/core.h"

enum {
    HOLD_MS = 10 * 1000,
    RETURNED_TIMES =
        3, /* as long as it was silent beyond the forgiven pause, one that is back is marked ... */
    RETURNED_MS_MAX =
        45 * 1000, /* ... so long at most: beyond the 20 s of one that comes and goes, and PATIENCE_MS */
    BOUTS_MAX = 5, /* the mark lasts at most HOLD_MS << (BOUTS_MAX - 1), 160 s */
    BOUT_SPACING_MS = 10 * 1000,     /* failures in between are of the same bout */
    BOUTS_FORGOTTEN_MS = 120 * 1000, /* without any */
    RESTARTS_MANY = 3,               /* bouts in a row, from which on one that was started again is marked */
    PATIENCE_MS = 10 * 1000,
    MANY_RETURN_MS = 30 * 1000,
    LOSS_NETWORK = 20000, /* of our own round trips, in 65536ths: beyond it we mark nobody */
    /* Answered at once before a mark goes, and one more for each bout: one that loses four in five passes 1 time in 400,000. */
    EXAM_LOOKS = 3,
    /* Four of them last longer than the 20 s for which one that comes and goes is well. */
    EXAM_SPACING_MS = 7000,
    EXAM_SPACING_MS_MIN = 3000, /* after a single silence of less than twice that */
    EXAM_SLACK_MS = 200,        /* by which two answers may be closer to each other than the questions */
    EXAM_GAP = 5, /* half spacings at most between two that count together: less than 20 s, too */
    LOOK_RETRY_MS = 300,
    HINT_LOOKS = 3, /* one that loses four in five gets its answer to one look in five or six through */
    HINT_SPACING_MS = 2000,
};

bool degrade_is(const struct member *m)
{
    return m->flags & MEMBER_DEGRADED;
}

static bool is_hinted(const struct gossip *g, const struct member *m)
{
    return m->busy && m->busy->hinted_at != 0 && g->now < m->busy->hinted_at + BOUT_SPACING_MS;
}

void degrade_speaks(struct gossip *g, struct member *m)
{
    if (!degrade_is(m) || !m->busy)
        return;
    m->busy->voice_at = g->now;
    m->busy->silent_since = 0;
}

bool degrade_is_heard(const struct gossip *g, const struct member *m)
{
    return degrade_is(m) && m->busy && g->now < m->busy->voice_at + PATIENCE_MS;
}

static struct look *look_of(struct gossip *g, const struct member *m)
{
    for (uint32_t i = 0; i < g->look_count; i++)
        if (g->look[i].member == m)
            return &g->look[i];
    return NULL;
}

/* Some looks in a row; those that are still to be made count among them. */
static void look_later(struct gossip *g, struct member *m, mono_ms at, uint8_t times)
{
    struct look *l = look_of(g, m);
    if (g->cfg.without & GOSSIP_DEGRADE || (!l && g->look_count == LOOKS_MAX))
        return;
    if (!l) {
        l = &g->look[g->look_count++];
        *l = (struct look){.member = m, .at = at};
    }
    l->at = mono_min(l->at, at);
    if (l->left < times)
        l->left = times;
}

void degrade_look(struct gossip *g, struct member *m, mono_ms at)
{
    look_later(g, m, at, 1);
}

/* Others look too: those whose turn it never is would else hear of it only by accusations, which who knows of
 * the mark does not make. At most one such word about a member in BOUT_SPACING_MS, whoever says it. */
static bool hint(struct gossip *g, struct member *m, const struct node_id *by, struct member *source)
{
    struct member_busy *b = member_busy(m);
    if (!b || is_hinted(g, m))
        return false;
    b->hinted_at = g->now;
    tell_member(g, RUMORS_OPINION, m, source, by, 0, (uint8_t)g->cfg.eager_fanout);
    if (b->opinion)
        b->opinion->is_hint = true;
    return true;
}

void degrade_heard(struct gossip *g, struct member *m, const struct node_id *by, struct member *source)
{
    if (m->state != GOSSIP_ALIVE || degrade_is(m) || is_hinted(g, m))
        return;
    if (!hearing_tells_hint(g))
        degrade_asked(g, m, by, !node_id_eq(member_id(source), by));
    else if (hint(g, m, by, source))
        look_later(g, m, g->now + verdict_jitter(g), HINT_LOOKS);
}

/* Who comes and goes, or hears one answer in five, accuses the well; and of one that is marked and speaks it is known that it
 * does not answer in time: we look, and believe nothing. */
void degrade_asked(struct gossip *g, struct member *m, const struct node_id *by, bool is_hearsay)
{
    if (m->state == GOSSIP_ALIVE && hearing_may_look(g, by, is_hearsay))
        degrade_look(g, m, g->now + verdict_jitter(g));
}

bool degrade_many_silent(struct gossip *g)
{
    if (are_many_silent(g))
        g->many_silent_until = g->now + MANY_RETURN_MS;
    return g->now < g->many_silent_until;
}

/* It is not they: many are silent (and do not return in one instant either), or we lose much with everybody. */
static bool is_network(struct gossip *g)
{
    return degrade_many_silent(g) || g->loss >= LOSS_NETWORK;
}

static void count_bout(const struct gossip *g, struct member_busy *b)
{
    if (b->bouts > 0 && g->now >= b->bout_at + BOUTS_FORGOTTEN_MS)
        b->bouts = 0;
    if (b->bouts > 0 && g->now < b->bout_at + BOUT_SPACING_MS)
        return;
    b->bouts += b->bouts < BOUTS_MAX;
    b->bout_at = g->now;
}

/* The first question comes after `hold_ms` and up to a `spread_ms`. */
static void mark(struct gossip *g, struct member *m, uint32_t hold_ms, uint32_t spread_ms)
{
    struct member_busy *b = m->busy;
    b->degraded_until = g->now + hold_ms + rng_below(&g->rng, spread_ms);
    b->passed = 0;
    b->passed_at = g->now;
    g->degraded_at = mono_min(g->degraded_at, b->degraded_until);
    if (degrade_is(m))
        return;
    m->flags |= MEMBER_DEGRADED;
    degrade_forget(g, m); /* looks that a hint asked for are not needed any more */
    g->stats.degradations++;
    hint(g, m, &g->cfg.self, NULL);
    event_member(g, m, (enum gossip_state)m->state, false, false);
}

static bool may_mark(struct gossip *g, struct member *m)
{
    return !(g->cfg.without & GOSSIP_DEGRADE) && member_busy(m) && !is_network(g);
}

static uint32_t hold_of(const struct member_busy *b)
{
    return (uint32_t)HOLD_MS << (b->bouts - 1);
}

/* A look at it failed, or others came too late. */
static void mark_failed(struct gossip *g, struct member *m)
{
    if (!may_mark(g, m))
        return;
    count_bout(g, m->busy);
    m->busy->exam_ms = EXAM_SPACING_MS;
    mark(g, m, hold_of(m->busy), HOLD_MS);
}

static void unmark(struct gossip *g, struct member *m)
{
    if (!degrade_is(m))
        return;
    m->flags &= (uint16_t)~MEMBER_DEGRADED;
    event_member(g, m, (enum gossip_state)m->state, false, false);
}

static bool was_silent(const struct member *m)
{
    const struct suspicion *s = member_suspicion(m);
    return m->flags & MEMBER_FELL || (s && s->is_own && !s->is_refused);
}

static uint32_t clamp(mono_ms ms, uint32_t least, uint32_t most)
{
    return ms < least ? least : ms > most ? most : (uint32_t)ms;
}

/* As we saw it: who is dead has used up the pause that is forgiven before. */
static mono_ms silence_of(const struct gossip *g, const struct member *m)
{
    const struct suspicion *s = member_suspicion(m);
    mono_ms since = s ? s->start : m->since > 0 ? (mono_ms)m->since : 0;
    return g->now - since + (s ? 0 : forgiven_ms(g));
}

/* One silence says nothing of a next, and after it the questions begin at once. */
static void mark_returned(struct gossip *g, struct member *m)
{
    if (!may_mark(g, m))
        return;
    struct member_busy *b = m->busy;
    mono_ms silence = silence_of(g, m), beyond = silence > forgiven_ms(g) ? silence - forgiven_ms(g) : 0;
    uint32_t hold = clamp(RETURNED_TIMES * beyond, 0, RETURNED_MS_MAX);
    count_bout(g, b);
    b->exam_ms = (uint16_t)(b->bouts == 1 ? clamp(silence / 2, EXAM_SPACING_MS_MIN, EXAM_SPACING_MS)
                                          : EXAM_SPACING_MS);
    if (b->bouts == 1)
        mark(g, m, hold, b->exam_ms);
    else
        mark(g, m, hold > hold_of(b) ? hold : hold_of(b), HOLD_MS);
}

void degrade_returns(struct gossip *g, struct member *m)
{
    if (was_silent(m))
        mark_returned(g, m);
    else if (degrade_is(m))
        mark_failed(g, m);
    m->flags &= (uint16_t)~MEMBER_FELL;
}

/* There was no process that could have answered: the questions that failed meanwhile tell nothing of how it hears now. But
 * who falls silent and is started again over and over comes and goes, too. */
void degrade_restarted(struct gossip *g, struct member *m)
{
    struct member_busy *b = was_silent(m) ? member_busy(m) : m->busy;
    if (b && was_silent(m))
        count_bout(g, b);
    m->flags &= (uint16_t)~MEMBER_FELL;
    if (b)
        b->silent_since = 0;
    if (b && b->bouts >= RESTARTS_MANY)
        mark_failed(g, m);
    else
        unmark(g, m);
}

void degrade_leaves(struct gossip *g, struct member *m)
{
    m->flags &= (uint16_t)~MEMBER_FELL;
    unmark(g, m);
    if (m->busy)
        m->busy->bouts = 0;
}

bool degrade_failed(struct gossip *g, struct member *m, const struct probe *p, bool is_own)
{
    bool is_turn = p->reason == PROBE_TURN, was = degrade_is(m);
    if (is_own && !p->is_refused && (int64_t)p->sent_at >= m->since && (!is_turn || was))
        mark_failed(g, m);
    if (!is_turn && !was)
        return true; /* a mark is enough: whose turn it is accuses */
    struct member_busy *b = was && !p->is_refused ? member_busy(m) : NULL;
    if (!b || (!is_turn && b->silent_since == 0))
        return b != NULL;
    if (b->silent_since == 0)
        b->silent_since = p->sent_at;
    if (g->now >= b->silent_since + PATIENCE_MS) {
        b->silent_since = 0;
        return false;
    }
    degrade_look(g, m, g->now + g->cfg.probe_interval_ms / 2);
    return true;
}

/* Answers closer together, as to one whose turn it is often, are one. Those before a silence that we did not see, because nobody
 * asked us to look, are of no use: so they may not be far from each other either. */
static void count_answer(const struct gossip *g, struct member_busy *b)
{
    if (g->now + EXAM_SLACK_MS < b->passed_at + b->exam_ms)
        return;
    if (g->now > b->passed_at + EXAM_GAP * b->exam_ms / 2)
        b->passed = 0;
    b->passed += b->passed < UINT8_MAX;
    b->passed_at = g->now;
}

static bool has_passed(const struct member_busy *b)
{
    return b->passed >= EXAM_LOOKS + b->bouts;
}

/* Two looks that were answered at once are as good as three that were answered. */
static void spare_a_look(struct gossip *g, const struct member *m, bool is_at_once)
{
    struct look *l = look_of(g, m);
    if (l && is_at_once && l->left > 1)
        l->left--;
}

void degrade_answered(struct gossip *g, struct member *m, bool is_at_once)
{
    struct member_busy *b = m->busy;
    if (b)
        b->silent_since = 0;
    if (!degrade_is(m)) {
        spare_a_look(g, m, is_at_once);
        return;
    }
    if (!is_at_once || !b) {
        mark_failed(g, m);
        return;
    }
    count_answer(g, b);
    if (has_passed(b) && b->degraded_until <= g->now + b->exam_ms)
        b->degraded_until = g->degraded_at = g->now; /* that was the last look needed */
}

/* False: it was the last one, or none is needed. */
static bool look_now(struct gossip *g, struct look *l)
{
    struct member *m = l->member;
    if (m->state == GOSSIP_SUSPECT &&
        l->left > 1) { /* it is looked at anyway; and when it has refuted, too */
        l->at = g->now + HINT_SPACING_MS;
        l->left--;
        return true;
    }
    if (m->state != GOSSIP_ALIVE)
        return false;
    if (probes_has_target(&g->probes, m) || !detect_may_look(g)) {
        l->at = g->now + LOOK_RETRY_MS; /* as looks at suspects, these keep to the budget */
        return true;
    }
    l->at = g->now + HINT_SPACING_MS;
    l->left--;
    detect_look(g, m);
    return l->left > 0;
}

static void looks_due(struct gossip *g)
{
    for (uint32_t i = 0; i < g->look_count;)
        if (g->look[i].at <= g->now && !look_now(g, &g->look[i]))
            g->look[i] = g->look[--g->look_count];
        else
            i++;
}

/* Its time is over: the mark goes when enough questions in a row were answered at the first ping, or when we cannot tell
 * any more. */
static void examine(struct gossip *g, struct member *m)
{
    if (!m->busy || has_passed(m->busy) || is_network(g)) {
        unmark(g, m);
        return;
    }
    m->busy->degraded_until = g->now + m->busy->exam_ms;
    if (!probes_has_target(&g->probes, m))
        detect_look(g, m);
}

static void marks_due(struct gossip *g)
{
    if (g->now < g->degraded_at)
        return;
    g->degraded_at = NEVER;
    for (uint32_t i = 0; i < g->members.count; i++) {
        struct member *m = members_at(&g->members, i);
        if (!degrade_is(m) || m->state != GOSSIP_ALIVE)
            continue; /* who is silent keeps its mark until it returns */
        if (!m->busy || m->busy->degraded_until <= g->now)
            examine(g, m);
        if (m->busy && degrade_is(m))
            g->degraded_at = mono_min(g->degraded_at, m->busy->degraded_until);
    }
}

void degrade_tick(struct gossip *g)
{
    looks_due(g);
    marks_due(g);
}

mono_ms degrade_deadline(const struct gossip *g)
{
    mono_ms at = g->degraded_at;
    for (uint32_t i = 0; i < g->look_count; i++)
        at = mono_min(at, g->look[i].at);
    return at;
}

bool degrade_is_settled(const struct gossip *g, const struct member *m)
{
    const struct member_busy *b = m->busy;
    return !degrade_is(m) && b->silent_since == 0 && g->now >= b->hinted_at + BOUT_SPACING_MS &&
           (b->bouts == 0 || g->now >= b->bout_at + BOUTS_FORGOTTEN_MS);
}

void degrade_forget(struct gossip *g, const struct member *m)
{
    for (uint32_t i = 0; i < g->look_count;)
        if (g->look[i].member == m)
            g->look[i] = g->look[--g->look_count];
        else
            i++;
}
