/* A token: what a host needs to join. "starling-token-1:" and base64 of msgpack [root, grant, seed of the
 * grant's key]; "starling-token-2:" has a chain of roots in the first place. */
#include <sodium.h>

#include "trust/base64.h"
#include "trust/body.h"

#define HEAD       "starling-token-1:"
#define HEAD_CHAIN "starling-token-2:"

enum { SEED_BYTES = 32, BASE64 = sodium_base64_VARIANT_ORIGINAL };

enum err body_wrap(struct buf *out, const char *head, struct bytes raw)
{
    size_t text_len = sodium_base64_encoded_len(raw.len, BASE64); /* with a NUL */
    uint8_t *to = buf_reserve(out, strlen(head) + text_len);
    if (to) {
        buf_add_str(out, head);
        sodium_bin2base64((char *)to + strlen(head), text_len, raw.at, raw.len, BASE64);
        out->len += text_len - 1;
    }
    return buf_ok(out) ? ERR_OK : ERR_NOMEM;
}

static enum err encode(struct buf *out, const char *head, struct bytes roots, struct bytes grant,
                       const struct sign_key *key)
{
    struct buf raw = {0};
    if (!buf_reserve(&raw, roots.len + grant.len + 64))
        return ERR_NOMEM;
    codec_put_array(&raw, 3);
    codec_put_bin(&raw, roots);
    codec_put_bin(&raw, grant);
    codec_put_bin(&raw, bytes_of(key->sec, SEED_BYTES));
    enum err err = body_wrap(out, head, buf_bytes(&raw));
    secret_fini(&raw);
    return err;
}

enum err token_encode(struct buf *out, struct bytes root, struct bytes grant, const struct sign_key *key)
{
    return encode(out, HEAD, root, grant, key);
}

enum err token_encode_chain(struct buf *out, struct bytes chain, struct bytes grant,
                            const struct sign_key *key)
{
    enum err err = encode(out, HEAD_CHAIN, chain, grant, key);
    return err || out->len <= TOKEN_TEXT_MAX ? err : ERR_LIMIT;
}

static bool is_space(uint8_t b)
{
    return b == ' ' || b == '\t' || b == '\r' || b == '\n';
}

static struct bytes trimmed(struct bytes s)
{
    while (s.len && is_space(s.at[0]))
        s = bytes_of(s.at + 1, s.len - 1);
    while (s.len && is_space(s.at[s.len - 1]))
        s.len--;
    return s;
}

enum err body_unwrap(struct buf *space, const char *head, struct bytes text, size_t max, const char *field,
                     struct refusal *why)
{
    text = trimmed(text);
    if (text.len > max)
        return body_refuse(why, ERR_MALFORMED, field, "too long");
    if (text.len < strlen(head) || memcmp(text.at, head, strlen(head)) != 0)
        return body_refuse(why, ERR_MALFORMED, field, "does not begin as it should");
    text = bytes_of(text.at + strlen(head), text.len - strlen(head));
    uint8_t *to = buf_reserve(space, text.len + 1);
    if (!to)
        return body_refuse(why, ERR_NOMEM, field, "out of memory");
    size_t n = 0;
    if (!base64_decode(to, text.len + 1, &n, text))
        return body_refuse(why, ERR_MALFORMED, field, "not base64: was it cut?");
    space->len += n;
    return ERR_OK;
}

static enum err check_times(const struct root *root, const struct grant *g, wall_s now, struct refusal *why)
{
    if (root->expires && now >= root->expires)
        return body_refuse(why, ERR_EXPIRED, "root.expires", "in the past");
    if (now >= g->expires)
        return body_refuse(why, ERR_EXPIRED, "grant.expires", "in the past");
    if (now < g->not_before - CLOCK_SKEW_S)
        return body_refuse(why, ERR_EXPIRED, "grant.not_before", "in the future");
    return ERR_OK;
}

/* The private key that comes with a token must be the one its grant names. */
static enum err check_key(struct sign_key *key, const uint8_t seed[SEED_BYTES], const struct grant *g,
                          struct refusal *why)
{
    if (sign_key_of_seed(key, seed) != ERR_OK)
        return body_refuse(why, ERR_MALFORMED, "token.key", "all zeros");
    if (!node_id_eq(&key->pub, &g->key))
        return body_refuse(why, ERR_AUTH, "token.key", "not the key of its grant");
    return ERR_OK;
}

static enum err open_parts(struct token *t, const uint8_t seed[SEED_BYTES], wall_s now, struct refusal *why)
{
    struct root root;
    struct grant grant;
    enum err err = root_open_why(&root, t->root, why);
    if (!err)
        err = grant_open_why(&grant, &root, t->grant, why);
    if (!err)
        err = check_key(&t->key, seed, &grant, why);
    return err ? err : check_times(&root, &grant, now, why);
}

static bool begins_with(struct bytes text, const char *head)
{
    return text.len >= strlen(head) && memcmp(text.at, head, strlen(head)) == 0;
}

/* The newest of them is the token's root. */
static enum err open_chain(struct token *t, struct refusal *why)
{
    struct chain c;
    enum err err = chain_open(&c, t->chain, NULL, why);
    if (!err)
        t->root = c.envelope[c.count - 1];
    return err;
}

enum err token_decode_why(struct token *out, struct buf *space, struct bytes text, wall_s now,
                          struct refusal *why)
{
    struct token t = {0};
    uint8_t seed[SEED_BYTES];
    *out = t;
    space->len = 0;
    bool has_chain = begins_with(trimmed(text), HEAD_CHAIN);
    enum err err = body_unwrap(space, has_chain ? HEAD_CHAIN : HEAD, text, TOKEN_TEXT_MAX, "token", why);
    if (err)
        return err;
    struct codec c = codec_of(buf_bytes(space));
    codec_array(&c, "token", 3, 3);
    if (has_chain)
        t.chain = codec_bin(&c, "token.roots", 1, TOKEN_TEXT_MAX);
    else
        t.root = codec_bin(&c, "token.root", 1, ROOT_BYTES_MAX);
    t.grant = codec_bin(&c, "token.grant", 1, GRANT_BYTES_MAX);
    codec_bin_copy(&c, "token.key", seed, sizeof seed);
    err = codec_end(&c, why);
    if (!err && has_chain)
        err = open_chain(&t, why);
    if (!err)
        err = open_parts(&t, seed, now, why);
    if (!err)
        *out = t;
    sodium_memzero(seed, sizeof seed);
    sign_key_fini(&t.key);
    return err;
}

enum err token_decode(struct token *out, struct buf *space, struct bytes text, wall_s now)
{
    return token_decode_why(out, space, text, now, NULL);
}

void token_fini(struct token *t, struct buf *space)
{
    sign_key_fini(&t->key);
    *t = (struct token){0};
    secret_fini(space);
}
