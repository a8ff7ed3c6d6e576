#include "control/revocations.h"

#include <stdlib.h>

#include "observe/log.h"

static bool reserve(struct revocations *r)
{
    if (r->count < r->cap)
        return true;
    size_t cap = r->cap ? 2 * r->cap : 16;
    struct kept_key *more = realloc(r->at, cap * sizeof *more);
    if (!more)
        return false;
    r->at = more;
    r->cap = cap;
    return true;
}

static enum err make_set(struct revocations *r)
{
    struct node_id *key = malloc((r->count + 1) * sizeof *key);
    struct revoked *set;
    if (!key)
        return ERR_NOMEM;
    for (size_t i = 0; i < r->count; i++)
        key[i] = r->at[i].key;
    enum err e = revoked_new(&set, key, r->count);
    free(key);
    if (e != ERR_OK)
        return e;
    revoked_unref(r->set);
    r->set = set;
    return ERR_OK;
}

struct loading {
    struct revocations *r;
    enum err err;
};

static void load_one(void *arg, const struct node_id *key, uint64_t since)
{
    struct loading *l = arg;
    if (l->err == ERR_OK && !reserve(l->r))
        l->err = ERR_NOMEM;
    if (l->err == ERR_OK)
        l->r->at[l->r->count++] = (struct kept_key){*key, (wall_s)since};
}

enum err revocations_load(struct revocations *r, struct store *s)
{
    struct loading l = {.r = r};
    *r = (struct revocations){0};
    enum err e = store_revoked_each(s, load_one, &l);
    r->saved = r->count;
    if (e == ERR_OK)
        e = l.err;
    return e == ERR_OK ? make_set(r) : e;
}

void revocations_fini(struct revocations *r)
{
    free(r->at);
    revoked_unref(r->set);
    *r = (struct revocations){0};
}

/* The oldest that is no part of the policy. There is one: a policy holds fewer than the cap. */
static void drop_oldest(struct revocations *r, const struct policy *policy, struct store *s)
{
    char text[NODE_ID_TEXT_MAX];
    size_t oldest = r->count;
    for (size_t i = 0; i < r->count; i++)
        if (!policy_revocation(policy, &r->at[i].key) &&
            (oldest == r->count || r->at[i].since < r->at[oldest].since))
            oldest = i;
    assert(oldest < r->count);
    log_warn("trust",
             "more than %d keys were revoked in this mesh: the oldest, %s, is held revoked no longer",
             REVOKED_KEYS_MAX, node_id_text(&r->at[oldest].key, text));
    if (store_revoked_put(s, &r->at[oldest].key, 0, 0) != ERR_OK)
        log_debug("store", "a revocation that was dropped stays in the store");
    memmove(&r->at[oldest], &r->at[oldest + 1], (r->count - oldest - 1) * sizeof *r->at);
    r->saved -= oldest < r->saved;
    r->count--;
}
static_assert((int)POLICY_REVOKED_MAX < (int)REVOKED_KEYS_MAX, "a policy may not fill the set");

enum err revocations_take(struct revocations *r, const struct policy *policy, struct store *s, wall_s now,
                          bool *news)
{
    size_t count = 0;
    const struct policy_revocation *line = policy ? policy_revocations(policy, &count) : NULL;
    *news = false;
    for (size_t i = 0; i < count; i++) {
        if (revoked_has(r->set, &line[i].key))
            continue;
        if (!reserve(r))
            return ERR_NOMEM;
        if (r->count == REVOKED_KEYS_MAX)
            drop_oldest(r, policy, s);
        r->at[r->count++] = (struct kept_key){line[i].key, now};
        *news = true;
    }
    return *news ? make_set(r) : ERR_OK;
}

void revocations_save(struct revocations *r, struct store *s, uint64_t ticket)
{
    if (r->asked > 0)
        return;
    if (r->has_failed)
        r->saved = 0;
    r->has_failed = false;
    while (r->saved < r->count) {
        const struct kept_key *k = &r->at[r->saved];
        if (store_revoked_put(s, &k->key, (uint64_t)k->since, ticket) != ERR_OK)
            return; /* the queue is full: the next call goes on from here */
        r->saved++;
        r->asked++;
    }
}

void revocations_saved(struct revocations *r, enum err outcome)
{
    r->asked--;
    r->has_failed |= outcome != ERR_OK;
}

bool revocations_are_unsaved(const struct revocations *r)
{
    return r->has_failed || r->saved < r->count;
}
