#include "trust/envelope.h"

#include <sodium.h>

#include "trust/codec.h"

enum { KEY_BYTES = 32, SIG_BYTES = 64, BODY_MAX = 1 << 24 };
static_assert(SIG_BYTES == crypto_sign_BYTES && KEY_BYTES == crypto_sign_PUBLICKEYBYTES, "Ed25519");

static size_t letters_of(struct bytes type)
{
    size_t n = 0;
    while (n < type.len && type.at[n] >= 'a' && type.at[n] <= 'z')
        n++;
    return n;
}

/* "2" and up, as one writes a number: no 0 in front, and no "1", which is not said. */
static bool version_is_sound(struct bytes version)
{
    for (size_t i = 0; i < version.len; i++)
        if (version.at[i] < '0' || version.at[i] > '9')
            return false;
    return version.len == 0 || (version.at[0] != '0' && !bytes_eq_str(version, "1"));
}

static bool type_is_sound(struct bytes type)
{
    size_t letters = letters_of(type);
    return letters > 0 && type.len <= ENVELOPE_TYPE_MAX &&
           version_is_sound(bytes_of(type.at + letters, type.len - letters));
}

/* As numbers without zeros in front compare: by length, then by digits. */
bool envelope_is_newer(struct bytes type, const char *than)
{
    struct bytes known = bytes_str(than);
    size_t n = letters_of(known);
    if (letters_of(type) != n || memcmp(type.at, known.at, n) != 0 || type.len == n)
        return false;
    return type.len != known.len ? type.len > known.len : memcmp(type.at + n, known.at + n, type.len - n) > 0;
}

/* What is signed: "starling/" type "/v1\0" || body. */
static void put_message(struct buf *out, struct bytes type, struct bytes body)
{
    buf_reserve(out, 32 + type.len + body.len);
    buf_add_str(out, "starling/");
    buf_add_bytes(out, type);
    buf_add(out, "/v1", sizeof "/v1"); /* with its NUL */
    buf_add_bytes(out, body);
}

static void put_head(struct buf *out, struct bytes type, struct bytes body, size_t sig_count)
{
    codec_put_array(out, 3);
    codec_put_str(out, type);
    codec_put_bin(out, body);
    codec_put_array(out, sig_count);
}

static void put_signature(struct buf *out, const uint8_t *key, const uint8_t *sig)
{
    codec_put_array(out, 2);
    codec_put_bin(out, bytes_of(key, KEY_BYTES));
    codec_put_bin(out, bytes_of(sig, SIG_BYTES));
}

static size_t keys_below(const struct sign_key *const *keys, size_t key_count, const struct sign_key *k)
{
    size_t below = 0;
    for (size_t i = 0; i < key_count; i++)
        below += node_id_cmp(&keys[i]->pub, &k->pub) < 0;
    return below;
}

/* Signs in the order of the key ids. The keys are few: counting those below finds each one's place. */
static void put_signatures(struct buf *out, struct bytes message, const struct sign_key *const *keys,
                           size_t key_count)
{
    const struct sign_key *sorted[ENVELOPE_SIGS_MAX] = {NULL};
    uint8_t sig[SIG_BYTES];
    for (size_t i = 0; i < key_count; i++) {
        size_t place = keys_below(keys, key_count, keys[i]);
        assert(!sorted[place] && "a key signs once");
        sorted[place] = keys[i];
    }
    for (size_t i = 0; i < key_count; i++) {
        crypto_sign_detached(sig, NULL, message.at, message.len, sorted[i]->sec);
        put_signature(out, sorted[i]->pub.b, sig);
    }
}

enum err envelope_sign(struct buf *out, const char *type, struct bytes body,
                       const struct sign_key *const *keys, size_t key_count)
{
    assert(key_count >= 1 && key_count <= ENVELOPE_SIGS_MAX && type_is_sound(bytes_str(type)) &&
           body.len <= BODY_MAX);
    struct buf message = {0};
    put_message(&message, bytes_str(type), body);
    if (buf_ok(&message)) {
        put_head(out, bytes_str(type), body, key_count);
        put_signatures(out, buf_bytes(&message), keys, key_count);
    }
    enum err err = buf_ok(&message) && buf_ok(out) ? ERR_OK : ERR_NOMEM;
    buf_fini(&message);
    return err;
}

static void read_signatures(struct envelope *e, struct codec *c)
{
    e->sig_count = codec_array(c, "signatures", 1, ENVELOPE_SIGS_MAX);
    for (size_t i = 0; i < e->sig_count && codec_ok(c); i++) {
        codec_array(c, "signature", 2, 2);
        e->sig[i].key = codec_bin(c, "signature.key", KEY_BYTES, KEY_BYTES).at;
        e->sig[i].sig = codec_bin(c, "signature.bytes", SIG_BYTES, SIG_BYTES).at;
        if (i > 0 && codec_ok(c) && memcmp(e->sig[i - 1].key, e->sig[i].key, KEY_BYTES) >= 0)
            codec_refuse(c, ERR_MALFORMED, "signature.key", "repeats or is not in order");
    }
}

enum err envelope_parse_why(struct envelope *out, struct bytes in, struct refusal *why_or_null)
{
    struct envelope e = {0};
    struct codec c = codec_of(in);
    codec_array(&c, "envelope", 3, 3);
    e.type = codec_str(&c, "envelope.type", ENVELOPE_TYPE_MAX);
    if (codec_ok(&c) && !type_is_sound(e.type))
        codec_refuse(&c, ERR_MALFORMED, "envelope.type", "not lower-case letters and a version");
    e.body = codec_bin(&c, "envelope.body", 0, BODY_MAX);
    read_signatures(&e, &c);
    enum err err = codec_end(&c, why_or_null);
    if (!err)
        *out = e;
    return err;
}

enum err envelope_parse(struct envelope *e, struct bytes in)
{
    return envelope_parse_why(e, in, NULL);
}

/* The place in `e` where this key's signature belongs. */
static size_t place_of(const struct envelope *e, const struct node_id *key)
{
    size_t i = 0;
    while (i < e->sig_count && memcmp(e->sig[i].key, key->b, KEY_BYTES) < 0)
        i++;
    return i;
}

enum err envelope_cosign(struct buf *out, struct bytes envelope, const struct sign_key *key)
{
    struct envelope e;
    struct buf message = {0};
    uint8_t sig[SIG_BYTES];
    enum err err = envelope_parse(&e, envelope);
    if (err)
        return err;
    size_t place = place_of(&e, &key->pub);
    if (place < e.sig_count && memcmp(e.sig[place].key, key->pub.b, KEY_BYTES) == 0)
        return ERR_EXISTS;
    if (e.sig_count == ENVELOPE_SIGS_MAX)
        return ERR_LIMIT;
    put_message(&message, e.type, e.body);
    if (!buf_ok(&message))
        return ERR_NOMEM;
    crypto_sign_detached(sig, NULL, message.at, message.len, key->sec);
    buf_fini(&message);
    put_head(out, e.type, e.body, e.sig_count + 1);
    for (size_t i = 0; i <= e.sig_count; i++) {
        if (i == place)
            put_signature(out, key->pub.b, sig);
        if (i < e.sig_count)
            put_signature(out, e.sig[i].key, e.sig[i].sig);
    }
    return buf_ok(out) ? ERR_OK : ERR_NOMEM;
}

static bool is_listed(const struct node_id *keys, size_t key_count, const uint8_t *key)
{
    for (size_t i = 0; i < key_count; i++)
        if (memcmp(keys[i].b, key, KEY_BYTES) == 0)
            return true;
    return false;
}

/* Signatures in an envelope have keys that rise, so each listed key is counted at most once. */
static enum err count_signers(const struct envelope *e, struct bytes message, const struct node_id *keys,
                              size_t key_count, size_t *signers)
{
    *signers = 0;
    for (size_t i = 0; i < e->sig_count; i++) {
        if (!is_listed(keys, key_count, e->sig[i].key))
            continue;
        if (crypto_sign_verify_detached(e->sig[i].sig, message.at, message.len, e->sig[i].key) != 0)
            return ERR_AUTH;
        ++*signers;
    }
    return ERR_OK;
}

enum err envelope_verify(const struct envelope *e, const char *type, const struct node_id *keys,
                         size_t key_count, size_t threshold)
{
    assert(threshold > 0);
    struct buf message = {0};
    size_t signers;
    if (!bytes_eq_str(e->type, type))
        return envelope_is_newer(e->type, type) ? ERR_UNSUPPORTED : ERR_INVALID;
    put_message(&message, e->type, e->body);
    if (!buf_ok(&message))
        return ERR_NOMEM;
    enum err err = count_signers(e, buf_bytes(&message), keys, key_count, &signers);
    buf_fini(&message);
    return !err && signers < threshold ? ERR_DENIED : err;
}

enum err envelope_settle(struct buf *out, struct bytes envelope, const char *type, const struct node_id *keys,
                         size_t key_count, size_t threshold)
{
    struct envelope e;
    size_t kept = 0;
    enum err err = envelope_parse(&e, envelope);
    if (!err)
        err = envelope_verify(&e, type, keys, key_count, threshold);
    if (err)
        return err;
    put_head(out, e.type, e.body, threshold);
    for (size_t i = 0; i < e.sig_count && kept < threshold; i++)
        if (is_listed(keys, key_count, e.sig[i].key)) {
            put_signature(out, e.sig[i].key, e.sig[i].sig);
            kept++;
        }
    return buf_ok(out) ? ERR_OK : ERR_NOMEM;
}
