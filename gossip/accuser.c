#include "gossip/accuser.h"

#include <stddef.h>

static struct accuser *find(struct accusers *a, const struct node_id *id)
{
    for (uint32_t i = 0; i < a->count; i++)
        if (node_id_eq(&a->at[i].id, id))
            return &a->at[i];
    return NULL;
}

uint8_t accusers_strikes(const struct accusers *a, const struct node_id *id, mono_ms now)
{
    for (uint32_t i = 0; i < a->count; i++)
        if (node_id_eq(&a->at[i].id, id))
            return now < a->at[i].until ? a->at[i].strikes : 0;
    return 0;
}

static struct accuser *least_doubted(struct accusers *a)
{
    struct accuser *least = &a->at[0];
    for (uint32_t i = 1; i < a->count; i++)
        if (a->at[i].until < least->until)
            least = &a->at[i];
    return least;
}

void accusers_strike(struct accusers *a, const struct node_id *id, mono_ms now)
{
    struct accuser *who = find(a, id);
    if (!who) {
        who = a->count < ACCUSERS_MAX ? &a->at[a->count++] : least_doubted(a);
        *who = (struct accuser){.id = *id};
    }
    if (now < who->until)
        return; /* said before it was doubted: the same offence */
    if (who->until + DOUBT_FORGOTTEN_MS < now)
        who->strikes = 0;
    who->strikes += who->strikes < DOUBT_STRIKES_MAX;
    who->until = now + ((mono_ms)DOUBT_MIN_MS << 3 * (who->strikes - 1));
}

void accusers_clear(struct accusers *a, const struct node_id *id)
{
    struct accuser *who = find(a, id);
    if (who)
        *who = a->at[--a->count];
}
