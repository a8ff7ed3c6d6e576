#include "traffic/panics.h"

#include <stdio.h>

#include "policy/policy.h"
#include "traffic/keyed.h"

struct panics {
    struct shorthash_key seed;
    struct keyed keyed;
    atomic_uint at[PANICS_MAX]; /* workers that panic */
};

struct panics *panics_new(const struct shorthash_key *key)
{
    struct panics *p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    p->seed = *key;
    if (keyed_init(&p->keyed, PANICS_MAX))
        return p;
    free(p);
    return NULL;
}

void panics_free(struct panics *p)
{
    if (p)
        keyed_fini(&p->keyed);
    free(p);
}

static uint64_t key_of(const struct panics *p, const char *service, const char *subset)
{
    char name[2 * SERVICE_NAME_MAX + 2]; /* neither has a slash in it */
    snprintf(name, sizeof name, "%s/%s", service, subset);
    uint64_t key = shorthash(&p->seed, bytes_str(name));
    return key ? key : 1;
}

static bool forget(void *arg, size_t slot)
{
    return atomic_load_explicit(&((struct panics *)arg)->at[slot], memory_order_relaxed) == 0;
}

size_t panics_begin(struct panics *p, const char *service, const char *subset, bool *is_first)
{
    size_t at = keyed_take(&p->keyed, key_of(p, service, subset), forget, p);
    *is_first = at == KEYED_NONE || atomic_fetch_add_explicit(&p->at[at], 1, memory_order_relaxed) == 0;
    return at;
}

bool panics_end(struct panics *p, size_t place)
{
    return place == KEYED_NONE || atomic_fetch_sub_explicit(&p->at[place], 1, memory_order_relaxed) == 1;
}

bool panics_is_on(const struct panics *p, const char *service, const char *subset)
{
    size_t at = keyed_find(&p->keyed, key_of(p, service, subset));
    return at != KEYED_NONE && atomic_load_explicit(&p->at[at], memory_order_relaxed) > 0;
}
