#include "trust/proof.h"

#include <stdatomic.h>

#include "trust/body.h"

struct vouched {
    atomic_uint refs;
    struct credential credential; /* borrows from: */
    uint8_t bytes[];
};

enum err vouched_new(struct vouched **out, const struct credential *c)
{
    struct vouched *v = malloc(sizeof *v + c->bytes.len);
    struct envelope e;
    if (!v)
        return ERR_NOMEM;
    atomic_init(&v->refs, 1);
    memcpy(v->bytes, c->bytes.at, c->bytes.len);
    struct bytes bytes = bytes_of(v->bytes, c->bytes.len);
    enum err err = envelope_parse(&e, bytes);
    assert(err == ERR_OK); /* it was accepted */
    struct codec in = codec_of(e.body);
    credential_decode(&in, &v->credential, true);
    assert(codec_ok(&in));
    v->credential.bytes = bytes;
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

const struct credential *vouched_credential(const struct vouched *v)
{
    return &v->credential;
}

struct proof {
    atomic_uint refs;
    size_t count;
    struct proof_pair pair[2]; /* the newest first */
};

static void add_pair(struct proof *p, struct vouched *credential, const struct dh_key *noise)
{
    p->pair[p->count++] = (struct proof_pair){vouched_ref(credential), *noise};
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
