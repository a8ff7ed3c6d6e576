/* Key files as text (format in sign.h). Everything secret lives in `struct sealed` or on the stack, and is
 * wiped. */
#include "trust/sign.h"

#include <sodium.h>

#include "trust/base64.h"

#define HEAD   "starling-key-1 "
#define SEALED "-sealed"

enum { SECRET_BYTES = 32, BASE64 = sodium_base64_VARIANT_ORIGINAL };

struct sealed {
    uint8_t salt[crypto_pwhash_SALTBYTES];
    uint8_t nonce[crypto_secretbox_NONCEBYTES];
    uint8_t box[crypto_secretbox_MACBYTES + SECRET_BYTES];
};
static_assert(sizeof(struct sealed) == 16 + 24 + 48, "the wire form is the struct");

/* The passphrase's key. Interactive limits: 2 passes over 64 MiB, about a tenth of a second. ERR_NOMEM. */
static enum err stretch(uint8_t key[crypto_secretbox_KEYBYTES], const char *passphrase, const uint8_t *salt)
{
    int failed = crypto_pwhash(key, crypto_secretbox_KEYBYTES, passphrase, strlen(passphrase), salt,
                               crypto_pwhash_OPSLIMIT_INTERACTIVE, crypto_pwhash_MEMLIMIT_INTERACTIVE,
                               crypto_pwhash_ALG_ARGON2ID13);
    return failed ? ERR_NOMEM : ERR_OK;
}

static enum err seal(struct sealed *out, const uint8_t secret[SECRET_BYTES], const char *passphrase)
{
    uint8_t key[crypto_secretbox_KEYBYTES];
    randombytes_buf(out->salt, sizeof out->salt);
    randombytes_buf(out->nonce, sizeof out->nonce);
    enum err err = stretch(key, passphrase, out->salt);
    if (!err)
        crypto_secretbox_easy(out->box, secret, SECRET_BYTES, out->nonce, key);
    sodium_memzero(key, sizeof key);
    return err;
}

static enum err unseal(uint8_t secret[SECRET_BYTES], const struct sealed *in, const char *passphrase)
{
    uint8_t key[crypto_secretbox_KEYBYTES];
    enum err err = stretch(key, passphrase, in->salt);
    if (!err && crypto_secretbox_open_easy(secret, in->box, sizeof in->box, in->nonce, key) != 0)
        err = ERR_AUTH;
    sodium_memzero(key, sizeof key);
    return err;
}

static void add_line(struct buf *out, const char *what, const char *suffix, const void *content, size_t len)
{
    char base64[sodium_base64_ENCODED_LEN(sizeof(struct sealed), BASE64)];
    sodium_bin2base64(base64, sizeof base64, content, len, BASE64);
    if (buf_reserve(out, KEY_TEXT_MAX))
        buf_addf(out, HEAD "%s%s %s\n", what, suffix, base64);
    sodium_memzero(base64, sizeof base64);
}

enum err key_text_encode(struct buf *out, const char *what, const uint8_t secret[32],
                         const char *passphrase_or_null)
{
    struct sealed s;
    if (!passphrase_or_null) {
        add_line(out, what, "", secret, SECRET_BYTES);
        return buf_ok(out) ? ERR_OK : ERR_NOMEM;
    }
    enum err err = seal(&s, secret, passphrase_or_null);
    if (err)
        return err;
    add_line(out, what, SEALED, &s, sizeof s);
    return buf_ok(out) ? ERR_OK : ERR_NOMEM;
}

/* A key line cut into its parts, all borrowed. */
struct line {
    struct bytes what, base64;
    bool sealed;
};

static bool starts_with(struct bytes s, const char *head)
{
    return s.len >= strlen(head) && memcmp(s.at, head, strlen(head)) == 0;
}

/* The static name of the kind; NULL: there is none such. */
static const char *kind_of(struct bytes what)
{
    static const char *const kind[] = {"root", "policy", "enrol", "identity", "noise"};
    for (size_t i = 0; i < sizeof kind / sizeof *kind; i++)
        if (bytes_eq_str(what, kind[i]))
            return kind[i];
    return NULL;
}

static bool split(struct line *out, struct bytes text)
{
    const size_t suffix = strlen(SEALED);
    if (!starts_with(text, HEAD) || text.len > KEY_TEXT_MAX || text.at[text.len - 1] != '\n')
        return false;
    struct bytes rest = bytes_of(text.at + strlen(HEAD), text.len - strlen(HEAD) - 1);
    const uint8_t *space = rest.len ? memchr(rest.at, ' ', rest.len) : NULL;
    if (!space)
        return false;
    struct line l = {.what = bytes_of(rest.at, (size_t)(space - rest.at))};
    l.base64 = bytes_of(space + 1, rest.len - l.what.len - 1);
    if (l.what.len > suffix && memcmp(space - suffix, SEALED, suffix) == 0) {
        l.sealed = true;
        l.what.len -= suffix;
    }
    *out = l;
    return kind_of(l.what) != NULL;
}

/* Exactly `len` bytes of canonical base64 and nothing else. */
static bool unbase64(struct bytes text, void *out, size_t len)
{
    size_t n = 0;
    return base64_decode(out, len, &n, text) && n == len;
}

static enum err read_secret(const struct line *l, const char *passphrase, uint8_t secret[32])
{
    struct sealed s;
    if (!l->sealed)
        return unbase64(l->base64, secret, SECRET_BYTES) ? ERR_OK : ERR_MALFORMED;
    if (!unbase64(l->base64, &s, sizeof s))
        return ERR_MALFORMED;
    return passphrase ? unseal(secret, &s, passphrase) : ERR_DENIED;
}

enum err key_text_decode(struct bytes text, const char *what, const char *passphrase_or_null,
                         uint8_t secret[32])
{
    struct line l;
    memset(secret, 0, SECRET_BYTES);
    if (!split(&l, text))
        return ERR_MALFORMED;
    if (!bytes_eq_str(l.what, what))
        return ERR_INVALID;
    enum err err = read_secret(&l, passphrase_or_null, secret);
    if (!err && sodium_is_zero(secret, SECRET_BYTES))
        err = ERR_MALFORMED;
    if (err)
        sodium_memzero(secret, SECRET_BYTES);
    return err;
}

bool key_text_is_sealed(struct bytes text)
{
    struct line l;
    return split(&l, text) && l.sealed;
}

const char *key_text_kind(struct bytes text)
{
    struct line l;
    return split(&l, text) ? kind_of(l.what) : NULL;
}
