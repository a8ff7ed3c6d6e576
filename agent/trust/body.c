#include "trust/body.h"

static bool is_alnum_lower(uint8_t b)
{
    return (b >= 'a' && b <= 'z') || (b >= '0' && b <= '9');
}

static bool is_name_byte(uint8_t b)
{
    return is_alnum_lower(b) || b == '-' || b == '.';
}

/* A DNS name also has no empty part, so ".." is out. */
static bool name_bytes_are_sound(struct bytes s)
{
    for (size_t i = 0; i < s.len; i++)
        if (!is_name_byte(s.at[i]) || (i > 0 && s.at[i] == '.' && s.at[i - 1] == '.'))
            return false;
    return s.len > 0 && is_alnum_lower(s.at[0]);
}

bool name_is_sound(struct bytes name, size_t max)
{
    return name.len <= max && name_bytes_are_sound(name) && is_alnum_lower(name.at[name.len - 1]);
}

bool label_is_sound(struct bytes text)
{
    for (size_t i = 0; i < text.len; i++) {
        uint8_t b = text.at[i];
        bool letter = (b >= 'a' && b <= 'z') || (b >= 'A' && b <= 'Z') || (b >= '0' && b <= '9');
        if (!letter && (b == 0 || !strchr("-_./:+@", b)))
            return false;
    }
    return text.len >= 1 && text.len <= LABEL_MAX;
}

bool pattern_is_sound(struct bytes pattern)
{
    if (pattern.len == 0 || pattern.at[pattern.len - 1] != '*')
        return name_is_sound(pattern, NODE_NAME_MAX);
    struct bytes start = bytes_of(pattern.at, pattern.len - 1);
    return start.len < NODE_NAME_MAX && (start.len == 0 || name_bytes_are_sound(start));
}

bool pattern_matches(struct bytes pattern, struct bytes name)
{
    if (pattern.len == 0 || pattern.at[pattern.len - 1] != '*')
        return bytes_eq(pattern, name);
    size_t n = pattern.len - 1;
    return name.len >= n && memcmp(name.at, pattern.at, n) == 0;
}

const struct bytes *label_list_get(struct label_list l, struct bytes key)
{
    for (size_t i = 0; i < l.count; i++)
        if (bytes_eq(l.at[i].key, key))
            return &l.at[i].value;
    return NULL;
}

const struct bytes *labels_get(const struct labels *l, struct bytes key)
{
    return label_list_get(labels_list(l), key);
}

enum err labels_add(struct labels *l, struct bytes key, struct bytes value)
{
    if (!label_is_sound(key) || !label_is_sound(value))
        return ERR_INVALID;
    const struct bytes *known = labels_get(l, key);
    if (known)
        return bytes_eq(*known, value) ? ERR_OK : ERR_EXISTS;
    if (l->count == LABELS_MAX)
        return ERR_LIMIT;
    size_t at = l->count++;
    for (; at > 0 && codec_cmp(key, l->at[at - 1].key) < 0; at--)
        l->at[at] = l->at[at - 1];
    l->at[at] = (struct label){key, value};
    return ERR_OK;
}

void body_put_time(struct buf *out, wall_s t)
{
    codec_put_u64(out, (uint64_t)t); /* a negative time becomes one that the decoder refuses */
}

wall_s body_time(struct codec *c, const char *field)
{
    return (wall_s)codec_u64(c, field, (uint64_t)WALL_MAX);
}

struct bytes body_name(struct codec *c, const char *field, size_t max)
{
    struct bytes name = codec_str(c, field, max);
    if (!name_is_sound(name, max))
        codec_refuse(c, ERR_MALFORMED, field, "not a name: lower-case letters, digits, '-' and '.'");
    return name;
}

void body_put_text(struct buf *out, struct bytes text)
{
    if (codec_is_utf8(text))
        codec_put_str(out, text);
    else
        codec_put_bin(out, text);
}

void body_put_labels(struct buf *out, const struct labels *l)
{
    codec_put_map(out, l->count);
    for (size_t i = 0; i < l->count; i++) {
        body_put_text(out, l->at[i].key);
        body_put_text(out, l->at[i].value);
    }
}

void body_labels(struct codec *c, const char *field, struct labels *out)
{
    struct bytes last = {0};
    out->count = codec_map(c, field, LABELS_MAX);
    for (size_t i = 0; i < out->count && codec_ok(c); i++) {
        last = out->at[i].key = codec_key(c, field, last, LABEL_MAX);
        out->at[i].value = codec_str(c, field, LABEL_MAX);
        if (!label_is_sound(out->at[i].key) || !label_is_sound(out->at[i].value))
            codec_refuse(c, ERR_MALFORMED, field,
                         "a label that is empty or has characters other than letters, digits, -_./:+@");
    }
}

static int by_bytes(const void *a, const void *b)
{
    const struct bytes *x = a, *y = b;
    return codec_cmp(*x, *y);
}

void body_put_services(struct buf *out, const struct bytes *service, size_t count)
{
    struct bytes sorted[CREDENTIAL_SERVICES_MAX];
    assert(count <= CREDENTIAL_SERVICES_MAX);
    for (size_t i = 0; i < count; i++)
        sorted[i] = service[i];
    qsort(sorted, count, sizeof *sorted, by_bytes);
    codec_put_array(out, count);
    for (size_t i = 0; i < count; i++)
        body_put_text(out, sorted[i]);
}

size_t body_services(struct codec *c, const char *field, struct bytes out[CREDENTIAL_SERVICES_MAX])
{
    size_t count = codec_array(c, field, 1, CREDENTIAL_SERVICES_MAX);
    for (size_t i = 0; i < count && codec_ok(c); i++) {
        out[i] = codec_str(c, field, SERVICE_NAME_MAX);
        bool any = count == 1 && bytes_eq_str(out[i], "*");
        if (!any && !name_is_sound(out[i], SERVICE_NAME_MAX))
            codec_refuse(c, ERR_MALFORMED, field,
                         "not a name: lower-case letters, digits, '-' and '.' (or \"*\" alone)");
        if (i > 0 && codec_cmp(out[i - 1], out[i]) >= 0)
            codec_refuse(c, ERR_MALFORMED, field, "a service repeats or is not in order");
    }
    return codec_ok(c) ? count : 0;
}

bool body_service_listed(const struct bytes *service, size_t count, struct bytes name)
{
    for (size_t i = 0; i < count; i++)
        if (bytes_eq(service[i], name) || bytes_eq_str(service[i], "*"))
            return true;
    return false;
}

void body_sign_pub(struct codec *c, const char *field, struct node_id *out)
{
    codec_bin_copy(c, field, out->b, sizeof out->b);
    if (codec_ok(c) && !sign_pub_is_sound(out->b))
        codec_refuse(c, ERR_AUTH, field, "not a sound Ed25519 key: small order, torsion or not canonical");
}

void body_identity_pub(struct codec *c, const char *field, struct node_id *out)
{
    codec_bin_copy(c, field, out->b, sizeof out->b);
    if (codec_ok(c) && !sign_pub_may_identify(out->b))
        codec_refuse(c, ERR_AUTH, field, "not a sound Ed25519 key: small order or not canonical");
}

enum err body_refuse(struct refusal *why, enum err err, const char *field, const char *reason)
{
    if (why)
        *why = (struct refusal){field, reason};
    return err;
}

enum err body_type(const struct envelope *e, const char *type, const char *not_one, struct refusal *why)
{
    if (bytes_eq_str(e->type, type))
        return ERR_OK;
    if (envelope_is_newer(e->type, type))
        return body_refuse(why, ERR_UNSUPPORTED, "envelope.type",
                           "of a later version than this one reads: update starling");
    return body_refuse(why, ERR_MALFORMED, "envelope.type", not_one);
}

enum err body_verify(const struct envelope *e, const char *type, const struct role *by, const char *field,
                     const char *others, struct refusal *why)
{
    enum err err = envelope_verify(e, type, by->key, by->count, by->threshold);
    if (err == ERR_AUTH)
        return body_refuse(why, ERR_AUTH, field, "one is wrong: altered after it was signed");
    if (err == ERR_DENIED)
        return body_refuse(why, ERR_AUTH, field, others);
    return err ? body_refuse(why, err, field, err_text(err)) : ERR_OK;
}

enum err body_seal(struct buf *out, const char *type, const struct buf *body, enum err judged,
                   const struct sign_key *const *keys, size_t key_count, size_t max, struct refusal *why)
{
    struct buf sealed = {0};
    if (!buf_ok(body))
        return body_refuse(why, ERR_NOMEM, type, "out of memory");
    if (judged)
        return ERR_INVALID;
    enum err err = envelope_sign(&sealed, type, buf_bytes(body), keys, key_count);
    if (!err && sealed.len > max)
        err = body_refuse(why, ERR_LIMIT, type, "too long as a whole");
    if (!err)
        buf_add_bytes(out, buf_bytes(&sealed));
    if (!err && !buf_ok(out))
        err = ERR_NOMEM;
    if (err == ERR_NOMEM)
        body_refuse(why, err, type, "out of memory");
    buf_fini(&sealed);
    return err;
}

enum err body_signers(const struct envelope *e, const struct role *by, const struct revoked *revoked,
                      const char *field, const char *others, struct refusal *why)
{
    for (size_t i = 0; i < e->sig_count; i++) {
        struct node_id key;
        size_t k = 0;
        memcpy(key.b, e->sig[i].key, sizeof key.b);
        while (k < by->count && !node_id_eq(&by->key[k], &key))
            k++;
        if (k == by->count)
            return body_refuse(why, ERR_AUTH, field, others);
        if (revoked_has(revoked, &key))
            return body_refuse(why, ERR_REVOKED, field, "by a key that is revoked");
    }
    return ERR_OK;
}
