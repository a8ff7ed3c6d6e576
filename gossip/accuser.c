#include "gossip/accuser.h"

#include <stddef.h>

static struct accuser *find(struct accusers *a, const struct node_id *id)
{
    for (uint32_t i = 0; i < a->count; i++)
        if (node_id_eq(&a->at[i].id, id))
            return &a->at[i];
    return NULL;
}

bool accusers_doubt(const struct accusers *a, const struct node_id *id, mono_ms now)
{
    for (uint32_t i = 0; i < a->count; i++)
        if (node_id_eq(&a->at[i].id, id))
            return now < a->at[i].until;
    return false;
}

static uint8_t unforgiven(const struct accuser *who, mono_ms now)
{
    uint64_t forgiven = (now - who->struck_at) / STRIKE_FORGIVEN_MS;
    return (uint8_t)(forgiven < who->strikes ? who->strikes - forgiven : 0);
}

uint32_t accusers_strikes(const struct accusers *a, const struct node_id *id, mono_ms now)
{
    for (uint32_t i = 0; i < a->count; i++)
        if (node_id_eq(&a->at[i].id, id))
            return unforgiven(&a->at[i], now);
    return 0;
}

static bool is_less(const struct accuser *a, const struct accuser *b)
{
    return a->until != b->until ? a->until < b->until : a->struck_at < b->struck_at;
}

static struct accuser *place_for(struct accusers *a, const struct node_id *id)
{
    struct accuser *least = &a->at[0];
    if (a->count < ACCUSERS_MAX)
        least = &a->at[a->count++];
    for (uint32_t i = 0; a->count == ACCUSERS_MAX && i < a->count; i++)
        if (is_less(&a->at[i], least))
            least = &a->at[i];
    *least = (struct accuser){.id = *id};
    return least;
}

void accusers_strike(struct accusers *a, const struct node_id *id, mono_ms now)
{
    struct accuser *who = find(a, id);
    if (!who)
        who = place_for(a, id);
    if (now < who->until)
        return; /* said before it was doubted: the same offence */
    who->strikes = unforgiven(who, now);
    who->struck_at = now;
    if (++who->strikes <= STRIKES_FREE)
        return;
    if (who->until + DOUBT_FORGOTTEN_MS < now)
        who->doubts = 0;
    who->until = now + ((mono_ms)DOUBT_MIN_MS << 3 * who->doubts);
    who->doubts += who->doubts < DOUBTS_MAX - 1;
}

void accusers_clear(struct accusers *a, const struct node_id *id)
{
    struct accuser *who = find(a, id);
    if (who)
        *who = a->at[--a->count];
}
