/* The chain of roots: from the first that anybody was given to the newest, each signed by the one before. */
#include "trust/body.h"

struct list { /* a chain cut into its envelopes; nothing in them is read yet */
    size_t count;
    struct bytes envelope[CHAIN_ROOTS_MAX];
};

static enum err split(struct list *out, struct bytes in, struct refusal *why)
{
    if (in.len > CHAIN_BYTES_MAX)
        return body_refuse(why, ERR_MALFORMED, "chain", "too long");
    struct codec c = codec_of(in);
    out->count = codec_array(&c, "chain", 1, CHAIN_ROOTS_MAX);
    for (size_t i = 0; i < out->count && codec_ok(&c); i++)
        out->envelope[i] = codec_bin(&c, "chain.root", 1, ROOT_BYTES_MAX);
    return codec_end(&c, why);
}

enum err chain_of(struct buf *out, const struct bytes *root_envelope, size_t count)
{
    if (count > CHAIN_ROOTS_MAX)
        return ERR_LIMIT;
    codec_put_array(out, count);
    for (size_t i = 0; i < count; i++)
        codec_put_bin(out, root_envelope[i]);
    if (!buf_ok(out))
        return ERR_NOMEM;
    return out->len <= CHAIN_BYTES_MAX ? ERR_OK : ERR_LIMIT;
}

enum err chain_begin(struct buf *out, struct bytes root_envelope)
{
    return chain_of(out, &root_envelope, 1);
}

enum err chain_append(struct buf *out, struct bytes chain, struct bytes root_envelope)
{
    struct list l;
    enum err err = split(&l, chain, NULL);
    if (err || l.count == CHAIN_ROOTS_MAX)
        return err ? err : ERR_LIMIT;
    l.envelope[l.count++] = root_envelope;
    return chain_of(out, l.envelope, l.count);
}

/* Over what the roots say, so that it does not depend on which of the signers' signatures were kept. */
static struct hash hash_of_bodies(const struct list *l)
{
    uint8_t all[CHAIN_ROOTS_MAX][HASH_BYTES];
    for (size_t i = 0; i < l->count; i++) {
        struct hash h = root_hash(l->envelope[i]);
        memcpy(all[i], h.b, HASH_BYTES);
    }
    return hash_of(bytes_of(all, l->count * HASH_BYTES));
}

static bool holds(const struct bytes *envelope, size_t count, const struct hash *root)
{
    for (size_t i = 0; i < count; i++) {
        struct hash h = root_hash(envelope[i]);
        if (hash_eq(&h, root))
            return true;
    }
    return false;
}

bool chain_has(const struct chain *c, const struct hash *root)
{
    return holds(c->envelope, c->count, root);
}

static enum err walk(struct chain *out, const struct list *l, struct refusal *why)
{
    struct root now, next;
    enum err err = root_open_why(&now, l->envelope[0], why);
    if (err)
        return err;
    out->first_epoch = now.epoch;
    for (size_t i = 1; i < l->count; i++) {
        err = root_follow(&next, &now, l->envelope[i], why);
        if (err)
            return err;
        now = next;
    }
    out->newest = now;
    return ERR_OK;
}

enum err chain_open(struct chain *out, struct bytes in, const struct hash *holds_or_null, struct refusal *why)
{
    struct list l;
    struct chain c = {0};
    enum err err = split(&l, in, why);
    if (!err && holds_or_null && !holds(l.envelope, l.count, holds_or_null))
        err = body_refuse(why, ERR_CONFLICT, "chain", "does not hold the root that is trusted here");
    if (!err)
        err = walk(&c, &l, why);
    if (err)
        return err;
    c.count = l.count;
    memcpy(c.envelope, l.envelope, l.count * sizeof *l.envelope);
    c.hash = hash_of_bodies(&l);
    *out = c;
    return ERR_OK;
}
