/* hearing.c: what the word of others may cost, before we have looked ourselves.
 *
 * An accusation that is believed at once spreads in milliseconds, and if it is false, each member tells it on, looks, and hears
 * the refutation: some 3 kB for each of all, for a lie of 150 bytes. So only a few at a time are taken on credit (credit.h);
 * beyond that an accusation makes us look first, and say what we found in our own name: each hop then takes a probe's
 * time, and a lie ends with whom it was told. Looks are on credit too. Accusers lose their standing by looks that were
 * answered (accuser.h); who has lost some of it is heard only while much credit is left, so those who never lied come first.
 *
 * Nor does every false word deserve a refutation, which is a new record to everybody: looks are answered, and that is
 * what clears us with all who can hear us. So all members together refute as often as the credit says, each counting the
 * refutations that it hears of, unless we have reason to believe our accusers. */
#include "gossip/core.h"

#include <stdlib.h>

enum {
    TRUST_BURST = 1, /* accusations believed before our own look */
    TRUST_MS = 60 * 1000,
    LOOKS_BURST = 4, /* looks at the accused */
    LOOKS_MS = 5 * 1000,
    AGREED_BURST = 4, /* ... of whom several say the same */
    AGREED_MS = 2000,
    WATCHED_BURST = 4, /* ... whom we watch */
    WATCHED_MS = 2000,
    LOOKS_AGAIN = 2, /* at one of whom only relays say that it answered */
    FAULTS_MAX = 3,  /* that count, of an accuser */
    FAULTS_MANY = 2, /* of one that is not relied upon */
    FULL_WEIGHT = 1 << FAULTS_MAX,
    HINTS_BURST = 8, /* passed on: that somebody comes and goes */
    HINTS_MS = 20 * 1000,
    REFUTATIONS_BURST = 2, /* of all members */
    REFUTATIONS_MS = 60 * 1000,
    REFUTE_SPREAD_MS =
        8, /* for each member, of the first; so far apart are those who wait, in the mean at least */
    REFUTE_SPREAD_MAX_MS = 2000,
    RELAYS_BURST = 4, /* looks that go through others too */
    RELAYS_MS = 2000,
    LOOK_ANEW_MS = 1000,   /* after an answer, when somebody says otherwise */
    LOOK_ON_MS = 250,      /* between asking whether there is credit again */
    HEARING_MS = 5 * 1000, /* until a look has shown what it shows */
};

void hearing_init(struct gossip *g)
{
    g->trust = credit_new(TRUST_BURST, TRUST_MS, g->now);
    g->looks = credit_new(LOOKS_BURST, LOOKS_MS, g->now);
    g->agreed = credit_new(AGREED_BURST, AGREED_MS, g->now);
    g->watched = credit_new(WATCHED_BURST, WATCHED_MS, g->now);
    g->hints = credit_new(HINTS_BURST, HINTS_MS, g->now);
    g->accused_at = NEVER;
    g->refutations = credit_new(REFUTATIONS_BURST, REFUTATIONS_MS, g->now);
    g->relayed = credit_new(RELAYS_BURST, RELAYS_MS, g->now);
}

static bool is_rationed(const struct gossip *g)
{
    return !(g->cfg.without &
             (GOSSIP_RATION | GOSSIP_VERIFY)); /* others, whom we compare with, have neither */
}

/* A name that a relay said may be anybody's choice: what was wrong in hearsay counts against hearsay in that name, and never
 * against what the named one tells us itself. So nobody is doubted for the lies of another (ADVERSARY G4). */
struct accusers *hearing_account(struct gossip *g, bool is_hearsay)
{
    return is_hearsay ? &g->hearsay : &g->accusers;
}

static uint32_t strikes(struct gossip *g, const struct node_id *accuser, bool is_hearsay)
{
    return accusers_strikes(hearing_account(g, is_hearsay), accuser, g->now);
}

/* What must be left for the word of one who was wrong so often. */
static uint32_t look_least(uint32_t faults)
{
    return 1 + LOOKS_BURST * (faults < FAULTS_MAX ? faults : FAULTS_MAX) / (FAULTS_MAX + 1);
}

bool hearing_trusts(struct gossip *g)
{
    return !is_rationed(g) || credit_take(&g->trust, 1, g->now);
}

void hearing_was_right(struct gossip *g)
{
    credit_earn(&g->trust);
    credit_earn(&g->looks);
}

/* What it could do with our warning is to refute: so it is warned while it may. */
bool hearing_tells_accused(struct gossip *g, const struct node_id *accuser, bool is_hearsay)
{
    return !is_rationed(g) ||
           (hearing_awaits_refutation(g) && !accusers_doubt(hearing_account(g, is_hearsay), accuser, g->now));
}

bool hearing_tells_hint(struct gossip *g)
{
    return !is_rationed(g) || credit_take(&g->hints, 1, g->now);
}

bool hearing_may_look(struct gossip *g, const struct node_id *accuser, bool is_hearsay)
{
    return !is_rationed(g) || credit_take(&g->looks, look_least(strikes(g, accuser, is_hearsay)), g->now);
}

/* The accused of whom we wait to see what a look shows, or for the credit to look. */

static struct hearing *hearing_of(struct gossip *g, const struct member *m)
{
    for (uint32_t i = 0; i < g->hearing_count; i++)
        if (g->hearing[i].accused == m)
            return &g->hearing[i];
    return NULL;
}

static void drop(struct gossip *g, struct hearing *h)
{
    *h = g->hearing[--g->hearing_count];
    if (g->hearing_count > 0)
        return;
    free(g->hearing); /* few members are ever in want of it */
    g->hearing = NULL;
}

/* Each fault halves what a word weighs. */
static uint32_t weight(const struct hearing *h)
{
    uint32_t sum = 0;
    for (uint32_t i = 0; i < h->voices; i++)
        sum += (uint32_t)FULL_WEIGHT >> h->voice[i].faults;
    return sum;
}

/* NULL: no memory, or all others weigh more. */
static struct hearing *place_for(struct gossip *g, struct member *m)
{
    if (!g->hearing)
        g->hearing = calloc(HEARINGS_MAX, sizeof *g->hearing);
    if (!g->hearing)
        return NULL;
    struct hearing *least = &g->hearing[0];
    for (uint32_t i = 1; i < g->hearing_count; i++)
        if (weight(&g->hearing[i]) < weight(least))
            least = &g->hearing[i];
    if (g->hearing_count < HEARINGS_MAX)
        least = &g->hearing[g->hearing_count++];
    *least = (struct hearing){.accused = m};
    return least;
}

/* Looks proved it wrong, or it brought many accusations of which none has proved true so far. Who lies to many in turn is looked into
 * too seldom to be struck by each, but each has heard it before; and who sees somebody die seldom saw another die just then,
 * or is proved right at once. Whoever it names, what counts is who tells it: names cost nothing, so hearsay weighs least. */
static uint8_t faults(struct gossip *g, const struct node_id *accuser, bool is_hearsay)
{
    uint32_t struck = strikes(g, accuser, is_hearsay);
    uint32_t unproved = is_hearsay ? FAULTS_MAX : accusers_unproved(&g->accusers, accuser, g->now);
    uint32_t worst = struck > unproved ? struck : unproved;
    return (uint8_t)(worst < FAULTS_MAX ? worst : FAULTS_MAX);
}

bool hearing_mistrusts(struct gossip *g, const struct member *m)
{
    return is_rationed(g) && faults(g, member_id(m), false) >= FAULTS_MANY;
}

/* NULL: all that are there weigh as much. */
static struct voice *room_for(struct hearing *h, const struct voice *v)
{
    struct voice *least = &h->voice[0];
    if (h->voices < VOICES_MAX)
        return &h->voice[h->voices++];
    for (uint32_t i = 1; i < h->voices; i++)
        if (h->voice[i].faults > least->faults)
            least = &h->voice[i];
    return least->faults > v->faults ? least : NULL;
}

static void add_voice(struct gossip *g, struct hearing *h, const struct node_id *accuser,
                      const struct node_id *source)
{
    bool is_hearsay = !node_id_eq(source, accuser);
    struct voice v = {.accuser = *accuser,
                      .source = *source,
                      .faults = faults(g, accuser, is_hearsay),
                      .is_hearsay = is_hearsay};
    for (uint32_t i = 0; i < h->voices; i++)
        if (node_id_eq(&h->voice[i].source, source))
            return;
    struct voice *place = room_for(h, &v);
    if (!place)
        return;
    *place = v;
    if (!is_hearsay)
        accusers_tells(&g->accusers, accuser, g->now);
}

static bool is_waiting(const struct gossip *g, const struct hearing *h)
{
    return !h->is_looked && h->accused->state == GOSSIP_ALIVE &&
           g->now + VOUCH_MS >= member_vouched_until(h->accused) + LOOK_ANEW_MS &&
           !probes_has_target(&g->probes, h->accused);
}

static uint32_t faults_of(uint32_t weight)
{
    uint32_t faults = 0;
    while (faults < FAULTS_MAX && weight < (uint32_t)FULL_WEIGHT >> faults)
        faults++;
    return faults;
}

/* Our own turn to probe whom we watch comes anyway, and what its observers say is what the others wait for. */
static bool take_look(struct gossip *g, const struct hearing *h)
{
    uint32_t heavy = weight(h);
    return !is_rationed(g) || credit_take(&g->looks, look_least(faults_of(heavy)), g->now) ||
           (2 * heavy >= 3 * FULL_WEIGHT && credit_take(&g->agreed, 1, g->now)) ||
           (heavy >= FULL_WEIGHT && watch_of(&g->watch, h->accused) && credit_take(&g->watched, 1, g->now));
}

/* Looks at those first of whom most is said by those who lied least. */
static void look_on(struct gossip *g)
{
    g->hearing_at = g->now + LOOK_ON_MS;
    for (;;) {
        struct hearing *best = NULL;
        for (uint32_t i = 0; i < g->hearing_count; i++)
            if (is_waiting(g, &g->hearing[i]) && (!best || weight(&g->hearing[i]) > weight(best)))
                best = &g->hearing[i];
        if (!best || !detect_may_look(g) || !take_look(g, best))
            return;
        best->is_looked = true;
        detect_hear(g, best->accused);
    }
}

/* It answered us a moment ago, and may have died since: who says so itself and was never wrong is looked into when that moment is
 * over. For it says so once, and if all of us had turned a deaf ear then, one in a thousand would not know of a death (ADVERSARY G22). */
static bool is_heard(struct gossip *g, const struct member *m, const struct node_id *accuser, bool is_hearsay)
{
    if (m->state != GOSSIP_ALIVE || accusers_doubt(hearing_account(g, is_hearsay), accuser, g->now))
        return false;
    return g->now >= member_vouched_until(m) || faults(g, accuser, is_hearsay) == 0;
}

void hearing_look(struct gossip *g, struct member *m, const struct node_id *accuser,
                  const struct member *source)
{
    if (!is_heard(g, m, accuser, !node_id_eq(member_id(source), accuser)))
        return;
    struct hearing *h = hearing_of(g, m);
    if (!h)
        h = place_for(g, m);
    if (!h)
        return;
    h->until = g->now + HEARING_MS;
    add_voice(g, h, accuser, member_id(source));
    look_on(g);
}

/* It did not answer us, but others say that they hear it: that may be so, or they lie. */
static void look_again(struct gossip *g, struct hearing *h)
{
    h->is_looked = h->unsure < LOOKS_AGAIN && detect_may_look(g);
    h->unsure += h->unsure < UINT8_MAX;
    if (h->is_looked)
        detect_hear(g, h->accused);
}

void hearing_ends(struct gossip *g, struct member *m, enum hearing_end end)
{
    struct hearing *h = g->hearing_count > 0 ? hearing_of(g, m) : NULL;
    if (!h)
        return;
    if (end == HEARING_UNSURE) {
        look_again(g, h);
        return;
    }
    struct member_busy *busy = end == HEARING_ANSWERED ? member_busy(m) : NULL;
    if (busy)
        busy->vouched_until = g->now + VOUCH_MS;
    for (uint32_t i = 0; end == HEARING_ANSWERED && i < h->voices; i++)
        accusers_strike(hearing_account(g, h->voice[i].is_hearsay), &h->voice[i].accuser, g->now);
    if (end == HEARING_SILENT && h->is_looked)
        hearing_was_right(g);
    for (uint32_t i = 0; end == HEARING_SILENT && i < h->voices; i++)
        accusers_proved(&g->accusers, &h->voice[i].accuser);
    drop(g, h);
}

void hearing_fini(struct gossip *g)
{
    free(g->hearing);
}

/* Refutations. */

void hearing_trouble(struct gossip *g)
{
    g->troubled_until = g->now + TROUBLE_MS;
}

void hearing_refuted(struct gossip *g)
{
    bool is_paid = credit_take(&g->refutations, 1, g->now);
    (void)is_paid; /* it is told to everybody whether we count it or not */
}

bool hearing_awaits_refutation(struct gossip *g)
{
    return !is_rationed(g) || credit_has(&g->refutations, g->now);
}

bool hearing_asks_relays(struct gossip *g)
{
    return !hearing_awaits_refutation(g) && credit_take(&g->relayed, 1, g->now);
}

/* Its turn to probe us failed, if it is honest. */
static bool is_observer(const struct gossip *g, const struct node_id *id)
{
    for (int k = 0; k < WATCH_RINGS; k++)
        if (g->watch.ring[k].observer && node_id_eq(member_id(g->watch.ring[k].observer), id))
            return true;
    return false;
}

/* Many may be accused in the same moment, and a record takes some milliseconds to be stored, signed and told: so that few of them begin
 * one meanwhile, all wait a random while, longer where there are more of them, and as long as can be for the last refutation that there
 * is credit for. Whoever's is over when the others have spent it leaves it to looks, which are made meanwhile. */
static uint32_t refute_wait_ms(struct gossip *g)
{
    uint32_t spread = REFUTE_SPREAD_MS * live_count(g);
    bool is_first = credit_is_full(&g->refutations, g->now);
    return rng_below(&g->rng, is_first && spread < REFUTE_SPREAD_MAX_MS ? spread : REFUTE_SPREAD_MAX_MS);
}

/* The first whose own observer says so refutes at once. */
void hearing_accused(struct gossip *g, uint64_t incarnation, const struct node_id *accuser)
{
    if (!is_rationed(g) || g->now < g->troubled_until ||
        (is_observer(g, accuser) && credit_is_full(&g->refutations, g->now))) {
        g->accused_at = NEVER;
        hearing_refuted(g);
        own_refute(g, incarnation);
    } else if (g->accused_at == NEVER && credit_has(&g->refutations, g->now)) {
        g->accused_at = g->now + refute_wait_ms(g);
    }
}

static void refute(struct gossip *g)
{
    if (g->now < g->accused_at)
        return;
    g->accused_at = NEVER;
    if (credit_take(&g->refutations, 1, g->now))
        own_refute(g, member_incarnation(g->self));
}

void hearing_tick(struct gossip *g)
{
    refute(g);
    if (g->hearing_count == 0 || g->now < g->hearing_at)
        return;
    for (uint32_t i = 0; i < g->hearing_count;)
        if (g->hearing[i].until <= g->now)
            drop(g, &g->hearing[i]);
        else
            i++;
    look_on(g);
}

mono_ms hearing_deadline(const struct gossip *g)
{
    return g->hearing_count > 0 ? mono_min(g->hearing_at, g->accused_at) : g->accused_at;
}
