#include "trust/proof.h"

#include <stdatomic.h>

struct vouched {
    atomic_uint refs;
    struct vouched_brief brief; /* borrows from: */
    uint8_t bytes[];
};

enum err vouched_new(struct vouched **out, const struct credential *c)
{
    struct vouched *v = malloc(sizeof *v + c->bytes.len);
    struct credential copy;
    if (!v)
        return ERR_NOMEM;
    atomic_init(&v->refs, 1);
    memcpy(v->bytes, c->bytes.at, c->bytes.len);
    v->brief.bytes = bytes_of(v->bytes, c->bytes.len);
    vouched_open(v, &copy);
    v->brief = (struct vouched_brief){copy.bytes, copy.node, copy.not_before, copy.expires};
    *out = v;
    return ERR_OK;
}

struct vouched *vouched_ref(struct vouched *v)
{
    if (v)
        atomic_fetch_add_explicit(&v->refs, 1, memory_order_relaxed);
    return v;
}

void vouched_unref(struct vouched *v)
{
    if (v && atomic_fetch_sub_explicit(&v->refs, 1, memory_order_acq_rel) == 1)
        free(v);
}

const struct vouched_brief *vouched_brief(const struct vouched *v)
{
    return &v->brief;
}

void vouched_open(const struct vouched *v, struct credential *out)
{
    credential_reopen(out, v->brief.bytes);
}

struct proof {
    atomic_uint refs;
    size_t count;
    struct proof_pair pair[2]; /* the newest first */
};

static void add_pair(struct proof *p, struct vouched *credential, const struct dh_key *noise)
{
    struct proof_pair *pair = &p->pair[p->count++];
    pair->credential = vouched_ref(credential);
    pair->noise = *noise;
    vouched_open(credential, &pair->opened);
}

static bool is_other_key(const struct proof_pair *pair, const struct dh_key *noise)
{
    return memcmp(pair->noise.pub, noise->pub, sizeof noise->pub) != 0;
}

enum err proof_new(struct proof **out, struct vouched *credential, const struct dh_key *noise,
                   const struct proof *before)
{
    struct proof *p = calloc(1, sizeof *p);
    if (!p)
        return ERR_NOMEM;
    atomic_init(&p->refs, 1);
    add_pair(p, credential, noise);
    for (size_t i = 0; before && i < before->count && p->count < 2; i++)
        if (is_other_key(&before->pair[i], noise))
            add_pair(p, before->pair[i].credential, &before->pair[i].noise);
    *out = p;
    return ERR_OK;
}

struct proof *proof_ref(struct proof *p)
{
    if (p)
        atomic_fetch_add_explicit(&p->refs, 1, memory_order_relaxed);
    return p;
}

void proof_unref(struct proof *p)
{
    if (!p || atomic_fetch_sub_explicit(&p->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t i = 0; i < p->count; i++) {
        vouched_unref(p->pair[i].credential);
        dh_key_fini(&p->pair[i].noise);
    }
    free(p);
}

const struct proof_pair *proof_now(const struct proof *p)
{
    return &p->pair[0];
}

const struct proof_pair *proof_before(const struct proof *p)
{
    return p->count > 1 ? &p->pair[1] : NULL;
}
