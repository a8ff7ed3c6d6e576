#include "trust/body.h"

#include <stdatomic.h>

struct trust {
    atomic_uint refs;
    struct buf bytes; /* the root's envelope, which `root` borrows from */
    struct root root;
    struct revoked *revoked;
};

enum err trust_new(struct trust **out, struct bytes root_envelope, struct revoked *revoked)
{
    struct trust *t = calloc(1, sizeof *t);
    if (!t)
        return ERR_NOMEM;
    atomic_init(&t->refs, 1);
    t->revoked = revoked_ref(revoked);
    buf_add_bytes(&t->bytes, root_envelope);
    enum err err = buf_ok(&t->bytes) ? root_open(&t->root, buf_bytes(&t->bytes)) : ERR_NOMEM;
    if (err) {
        trust_unref(t);
        return err;
    }
    *out = t;
    return ERR_OK;
}

enum err trust_revoking(struct trust **out, const struct trust *t, struct revoked *revoked)
{
    return trust_new(out, buf_bytes(&t->bytes), revoked);
}

struct trust *trust_ref(struct trust *t)
{
    if (t)
        atomic_fetch_add_explicit(&t->refs, 1, memory_order_relaxed);
    return t;
}

void trust_unref(struct trust *t)
{
    if (!t || atomic_fetch_sub_explicit(&t->refs, 1, memory_order_acq_rel) != 1)
        return;
    revoked_unref(t->revoked);
    buf_fini(&t->bytes);
    free(t);
}

const struct root *trust_root(const struct trust *t)
{
    return &t->root;
}

struct revoked *trust_revoked(const struct trust *t)
{
    return t->revoked;
}

struct judging judging_by(const struct trust *t, struct trust_cache *seen, wall_s now, struct refusal *why)
{
    return (struct judging){.root = &t->root, .revoked = t->revoked, .seen = seen, .now = now, .why = why};
}
