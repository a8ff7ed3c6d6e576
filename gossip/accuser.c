#include "gossip/accuser.h"

#include <stddef.h>

static uint32_t tag_of(const struct node_id *id)
{
    return load_be32(id->b);
}

static const struct accuser *look_up(const struct accusers *a, const struct node_id *id)
{
    uint32_t tag = tag_of(id);
    for (uint32_t i = 0; i < a->count; i++)
        if (a->tag[i] == tag && node_id_eq(&a->at[i].id, id))
            return &a->at[i];
    return NULL;
}

static struct accuser *find(struct accusers *a, const struct node_id *id)
{
    const struct accuser *who = look_up(a, id);
    return who ? &a->at[who - a->at] : NULL;
}

bool accusers_doubt(const struct accusers *a, const struct node_id *id, mono_ms now)
{
    const struct accuser *who = look_up(a, id);
    return who && now < who->until;
}

static uint8_t unforgiven(const struct accuser *who, mono_ms now)
{
    uint64_t forgiven = (now - who->struck_at) / STRIKE_FORGIVEN_MS;
    return (uint8_t)(forgiven < who->strikes ? who->strikes - forgiven : 0);
}

uint32_t accusers_strikes(const struct accusers *a, const struct node_id *id, mono_ms now)
{
    const struct accuser *who = look_up(a, id);
    return who ? unforgiven(who, now) : 0;
}

static bool is_less(const struct accuser *a, const struct accuser *b)
{
    if (a->until != b->until)
        return a->until < b->until;
    return a->struck_at != b->struck_at ? a->struck_at < b->struck_at : a->told_s < b->told_s;
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
    a->tag[least - a->at] = tag_of(id);
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

static uint8_t unproved(const struct accuser *who, mono_ms now)
{
    uint64_t forgotten = (now / 1000 - who->told_s) / (UNPROVED_FORGOTTEN_MS / 1000);
    return (uint8_t)(forgotten < who->unproved ? who->unproved - forgotten : 0);
}

uint32_t accusers_unproved(const struct accusers *a, const struct node_id *id, mono_ms now)
{
    const struct accuser *who = look_up(a, id);
    return who ? unproved(who, now) : 0;
}

void accusers_tells(struct accusers *a, const struct node_id *id, mono_ms now)
{
    struct accuser *who = find(a, id);
    if (!who)
        who = place_for(a, id);
    who->unproved = unproved(who, now);
    who->unproved += who->unproved < UNPROVED_MAX;
    who->told_s = (uint32_t)(now / 1000);
}

void accusers_proved(struct accusers *a, const struct node_id *id)
{
    struct accuser *who = find(a, id);
    if (who)
        who->unproved = 0;
}

void accusers_clear(struct accusers *a, const struct node_id *id)
{
    struct accuser *who = find(a, id);
    if (!who)
        return;
    *who = a->at[--a->count];
    a->tag[who - a->at] = a->tag[a->count];
}
