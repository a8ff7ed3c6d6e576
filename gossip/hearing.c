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
    TRUST_BURST = 3, /* accusations believed before our own look */
    TRUST_MS = 30 * 1000,
    LOOKS_BURST = 6, /* looks at the accused */
    LOOKS_MS = 4 * 1000,
    AGREED_BURST = 4, /* ... of whom several say the same */
    AGREED_MS = 2000,
    HINTS_BURST = 8, /* passed on: that somebody comes and goes */
    HINTS_MS = 20 * 1000,
    REFUTATIONS_BURST = 2, /* of all members */
    REFUTATIONS_MS = 30 * 1000,
    REFUTE_JITTER_MS = 300,
    RELAYS_BURST = 4, /* looks that go through others too */
    RELAYS_MS = 2000,
    LOOK_ON_MS = 250,      /* between asking whether there is credit again */
    HEARING_MS = 5 * 1000, /* until a look has shown what it shows */
};

void hearing_init(struct gossip *g)
{
    g->trust = credit_new(TRUST_BURST, TRUST_MS, g->now);
    g->looks = credit_new(LOOKS_BURST, LOOKS_MS, g->now);
    g->agreed = credit_new(AGREED_BURST, AGREED_MS, g->now);
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
static uint32_t look_least(uint32_t strikes)
{
    return 1 + LOOKS_BURST / (STRIKES_FREE + 1) * strikes;
}

bool hearing_trusts(struct gossip *g, const struct node_id *accuser, bool is_hearsay)
{
    return !is_rationed(g) || credit_take(&g->trust, 1 + strikes(g, accuser, is_hearsay), g->now);
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

/* Who never lied counts four times as much as who did three times of late. */
static uint32_t weight(const struct hearing *h)
{
    uint32_t sum = 0;
    for (uint32_t i = 0; i < h->voices; i++)
        sum += STRIKES_FREE + 1 - h->voice[i].strikes;
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

/* Whoever it names, what counts is who tells it: names cost nothing. */
static void add_voice(struct gossip *g, struct hearing *h, const struct node_id *accuser,
                      const struct member *source)
{
    bool is_hearsay = !node_id_eq(member_id(source), accuser);
    uint32_t struck = strikes(g, accuser, is_hearsay);
    for (uint32_t i = 0; i < h->voices; i++)
        if (node_id_eq(&h->voice[i].source, member_id(source)))
            return;
    if (h->voices == VOICES_MAX)
        return;
    h->voice[h->voices++] =
        (struct voice){.accuser = *accuser,
                       .source = *member_id(source),
                       .strikes = (uint8_t)(struck < STRIKES_FREE ? struck : STRIKES_FREE),
                       .is_hearsay = is_hearsay};
}

static bool is_waiting(const struct gossip *g, const struct hearing *h)
{
    return !h->is_looked && h->accused->state == GOSSIP_ALIVE && !probes_has_target(&g->probes, h->accused);
}

static bool take_look(struct gossip *g, const struct hearing *h)
{
    return !is_rationed(g) ||
           credit_take(&g->looks, h->voices > 1 ? 1 : look_least(h->voice[0].strikes), g->now) ||
           (h->voices > 1 && credit_take(&g->agreed, 1, g->now));
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

void hearing_look(struct gossip *g, struct member *m, const struct node_id *accuser,
                  const struct member *source)
{
    if (m->state != GOSSIP_ALIVE ||
        accusers_doubt(hearing_account(g, !node_id_eq(member_id(source), accuser)), accuser, g->now))
        return;
    struct hearing *h = hearing_of(g, m);
    if (!h)
        h = place_for(g, m);
    if (!h)
        return;
    h->until = g->now + HEARING_MS;
    add_voice(g, h, accuser, source);
    look_on(g);
}

void hearing_ends(struct gossip *g, struct member *m, enum hearing_end end)
{
    struct hearing *h = g->hearing_count > 0 ? hearing_of(g, m) : NULL;
    if (!h)
        return;
    if (end == HEARING_UNSURE) { /* others say that they hear it: that may be so, or they lie */
        h->is_looked = false;
        return;
    }
    struct member_busy *busy = end == HEARING_ANSWERED ? member_busy(m) : NULL;
    if (busy)
        busy->vouched_until = g->now + VOUCH_MS;
    for (uint32_t i = 0; end == HEARING_ANSWERED && i < h->voices; i++)
        accusers_strike(hearing_account(g, h->voice[i].is_hearsay), &h->voice[i].accuser, g->now);
    if (end == HEARING_SILENT && h->is_looked)
        hearing_was_right(g);
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

/* The first refutes at once. When there was one lately, many may be accused in the same moment: each waits a random while, and
 * whoever's is over when the others have spent the credit leaves it to looks. */
void hearing_accused(struct gossip *g, uint64_t incarnation)
{
    if (!is_rationed(g) || g->now < g->troubled_until || g->now < g->many_silent_until ||
        credit_is_full(&g->refutations, g->now)) {
        hearing_refuted(g);
        apply_refute(g, incarnation);
    } else if (g->accused_at == NEVER && credit_has(&g->refutations, g->now)) {
        g->accused_at = g->now + rng_below(&g->rng, REFUTE_JITTER_MS);
    }
}

static void refute(struct gossip *g)
{
    if (g->now < g->accused_at)
        return;
    g->accused_at = NEVER;
    if (credit_take(&g->refutations, 1, g->now))
        apply_refute(g, member_incarnation(g->self));
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
