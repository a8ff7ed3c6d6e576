#include "trust/trust.h"

struct trust {
    struct buf bytes; /* the root's envelope, which `root` borrows from */
    struct root root;
};

enum err trust_new(struct trust **out, struct bytes root_envelope)
{
    struct trust *t = calloc(1, sizeof *t);
    if (!t)
        return ERR_NOMEM;
    buf_add_bytes(&t->bytes, root_envelope);
    enum err err = buf_ok(&t->bytes) ? root_open(&t->root, buf_bytes(&t->bytes)) : ERR_NOMEM;
    if (err) {
        trust_free(t);
        return err;
    }
    *out = t;
    return ERR_OK;
}

void trust_free(struct trust *t)
{
    if (!t)
        return;
    buf_fini(&t->bytes);
    free(t);
}

const struct root *trust_root(const struct trust *t)
{
    return &t->root;
}
