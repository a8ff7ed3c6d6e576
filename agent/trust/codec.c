#include "trust/codec.h"

#include "base/utf8.h"

#include <msgpack/pack.h>

/* Writing. */

static int append(void *out, const char *p, size_t n)
{
    buf_add(out, p, n);
    return buf_ok(out) ? 0 : -1;
}

static msgpack_packer packer(struct buf *out)
{
    msgpack_packer pk;
    msgpack_packer_init(&pk, out, append);
    return pk;
}

void codec_put_u64(struct buf *out, uint64_t v)
{
    msgpack_packer pk = packer(out);
    msgpack_pack_uint64(&pk, v);
}

void codec_put_bool(struct buf *out, bool v)
{
    msgpack_packer pk = packer(out);
    if (v)
        msgpack_pack_true(&pk);
    else
        msgpack_pack_false(&pk);
}

void codec_put_str(struct buf *out, struct bytes s)
{
    assert(codec_is_utf8(s));
    msgpack_packer pk = packer(out);
    msgpack_pack_str(&pk, s.len);
    buf_add_bytes(out, s);
}

void codec_put_bin(struct buf *out, struct bytes b)
{
    msgpack_packer pk = packer(out);
    msgpack_pack_bin(&pk, b.len);
    buf_add_bytes(out, b);
}

void codec_put_array(struct buf *out, size_t count)
{
    msgpack_packer pk = packer(out);
    msgpack_pack_array(&pk, count);
}

void codec_put_map(struct buf *out, size_t count)
{
    msgpack_packer pk = packer(out);
    msgpack_pack_map(&pk, count);
}

/* Reading. */

/* How a kind of value spells its number (the integer itself, or a length or count):
 *   fix .. fix + fix_count - 1     the number is in the first byte
 *   wide, wide + 1, ...            it follows in first_width, 2 * first_width, ... bytes, big-endian */
struct spelling {
    uint8_t fix, fix_count, wide, wide_count, first_width;
};
static const struct spelling uint_spelling = {0x00, 128, 0xcc, 4, 1}, str_spelling = {0xa0, 32, 0xd9, 3, 1},
                             bin_spelling = {0, 0, 0xc4, 3, 1}, array_spelling = {0x90, 16, 0xdc, 2, 2},
                             map_spelling = {0x80, 16, 0xde, 2, 2};

struct codec codec_of(struct bytes in)
{
    return (struct codec){.in = rd_init(in), .err = ERR_OK};
}

bool codec_ok(const struct codec *c)
{
    return c->err == ERR_OK;
}

void codec_refuse(struct codec *c, enum err err, const char *field, const char *reason)
{
    assert(err != ERR_OK);
    if (c->err != ERR_OK)
        return;
    c->err = err;
    c->why = (struct refusal){field, reason};
}

static uint64_t rd_be(struct rd *r, size_t width)
{
    uint64_t v = 0;
    struct bytes b = rd_bytes(r, width);
    for (size_t i = 0; i < b.len; i++)
        v = v << 8 | b.at[i];
    return v;
}

/* Reads a number in this kind's spelling; false (and refused) if it is of another kind, cut, or has a shorter
 * spelling. */
static bool read_number(struct codec *c, const char *field, const struct spelling *s, const char *other_kind,
                        uint64_t *out)
{
    *out = 0;
    if (!codec_ok(c))
        return false;
    if (rd_left(&c->in) == 0) {
        codec_refuse(c, ERR_MALFORMED, field, "missing");
        return false;
    }
    uint8_t first = rd_u8(&c->in);
    if ((uint8_t)(first - s->fix) < s->fix_count) {
        *out = (uint8_t)(first - s->fix);
        return true;
    }
    unsigned k = (uint8_t)(first - s->wide);
    if (k >= s->wide_count) {
        codec_refuse(c, ERR_MALFORMED, field, other_kind);
        return false;
    }
    size_t width = (size_t)s->first_width << k;
    uint64_t least = k == 0 ? s->fix_count : (uint64_t)1 << (8 * (width / 2));
    uint64_t v = rd_be(&c->in, width);
    if (!rd_ok(&c->in))
        codec_refuse(c, ERR_MALFORMED, field, "cut short");
    else if (v < least)
        codec_refuse(c, ERR_MALFORMED, field, "not in its shortest encoding");
    else
        *out = v;
    return codec_ok(c);
}

uint64_t codec_u64(struct codec *c, const char *field, uint64_t max)
{
    uint64_t v;
    if (!read_number(c, field, &uint_spelling, "not an unsigned integer", &v))
        return 0;
    if (v <= max)
        return v;
    codec_refuse(c, ERR_MALFORMED, field, "too large a number");
    return 0;
}

bool codec_bool(struct codec *c, const char *field)
{
    if (!codec_ok(c))
        return false;
    uint8_t b = rd_u8(&c->in);
    if (!rd_ok(&c->in))
        codec_refuse(c, ERR_MALFORMED, field, "missing");
    else if (b != 0xc2 && b != 0xc3)
        codec_refuse(c, ERR_MALFORMED, field, "not true or false");
    return codec_ok(c) && b == 0xc3;
}

/* The bytes that a length announced, if they are there and within limits. */
static struct bytes read_run(struct codec *c, const char *field, uint64_t len, size_t min, size_t max)
{
    static const struct bytes none;
    if (len > max)
        codec_refuse(c, ERR_MALFORMED, field, "too long");
    else if (len < min)
        codec_refuse(c, ERR_MALFORMED, field, "too short");
    else if (len > rd_left(&c->in))
        codec_refuse(c, ERR_MALFORMED, field, "cut short");
    return codec_ok(c) ? rd_bytes(&c->in, (size_t)len) : none;
}

struct bytes codec_str(struct codec *c, const char *field, size_t max)
{
    static const struct bytes none;
    uint64_t len;
    if (!read_number(c, field, &str_spelling, "not a text", &len))
        return none;
    struct bytes s = read_run(c, field, len, 0, max);
    if (!codec_is_utf8(s))
        codec_refuse(c, ERR_MALFORMED, field, "not valid UTF-8");
    return codec_ok(c) ? s : none;
}

struct bytes codec_bin(struct codec *c, const char *field, size_t min, size_t max)
{
    static const struct bytes none;
    uint64_t len;
    if (!read_number(c, field, &bin_spelling, "not a byte string", &len))
        return none;
    return read_run(c, field, len, min, max);
}

void codec_bin_copy(struct codec *c, const char *field, void *out, size_t n)
{
    struct bytes b = codec_bin(c, field, n, n);
    if (codec_ok(c))
        memcpy(out, b.at, n);
    else
        memset(out, 0, n);
}

/* Each value takes at least one byte, so a count can be judged against what is left before anything is made
 * of it. */
static size_t read_count(struct codec *c, const char *field, uint64_t count, size_t bytes_each, size_t min,
                         size_t max)
{
    if (count > max)
        codec_refuse(c, ERR_MALFORMED, field, "too many elements");
    else if (count < min)
        codec_refuse(c, ERR_MALFORMED, field, "too few elements");
    else if (count > rd_left(&c->in) / bytes_each)
        codec_refuse(c, ERR_MALFORMED, field, "cut short");
    return codec_ok(c) ? (size_t)count : 0;
}

size_t codec_array(struct codec *c, const char *field, size_t min, size_t max)
{
    uint64_t count;
    if (!read_number(c, field, &array_spelling, "not an array", &count))
        return 0;
    return read_count(c, field, count, 1, min, max);
}

size_t codec_map(struct codec *c, const char *field, size_t max)
{
    uint64_t count;
    if (!read_number(c, field, &map_spelling, "not a map", &count))
        return 0;
    return read_count(c, field, count, 2, 0, max);
}

struct bytes codec_key(struct codec *c, const char *field, struct bytes previous, size_t max)
{
    struct bytes key = codec_str(c, field, max);
    if (codec_ok(c) && codec_cmp(key, previous) <= 0)
        codec_refuse(c, ERR_MALFORMED, field, "keys repeat or are not in order");
    return key;
}

/* What kind of value is next, by its first byte. */
static bool is_next(const struct codec *c, const struct spelling *s)
{
    uint8_t first = *c->in.at;
    return (uint8_t)(first - s->fix) < s->fix_count || (uint8_t)(first - s->wide) < s->wide_count;
}

/* The elements of a list or the pairs of a map, nested `depth` deep at most. */
static void skip(struct codec *c, const char *field, unsigned depth)
{
    if (codec_ok(c) && rd_left(&c->in) == 0)
        codec_refuse(c, ERR_MALFORMED, field, "missing");
    if (!codec_ok(c))
        return;
    if (is_next(c, &uint_spelling)) {
        codec_u64(c, field, UINT64_MAX);
    } else if (is_next(c, &str_spelling)) {
        codec_str(c, field, SIZE_MAX);
    } else if (is_next(c, &bin_spelling)) {
        codec_bin(c, field, 0, SIZE_MAX);
    } else if (depth > 0 && is_next(c, &array_spelling)) {
        for (size_t n = codec_array(c, field, 0, SIZE_MAX); n > 0 && codec_ok(c); n--)
            skip(c, field, depth - 1);
    } else if (depth > 0 && is_next(c, &map_spelling)) {
        struct bytes last = {0};
        for (size_t n = codec_map(c, field, SIZE_MAX); n > 0 && codec_ok(c); n--) {
            last = codec_key(c, field, last, SIZE_MAX);
            skip(c, field, depth - 1);
        }
    } else {
        codec_bool(c, field);
    }
}

struct bytes codec_unknown(struct codec *c, const char *field, size_t count)
{
    const uint8_t *start = c->in.at;
    for (; count > 0 && codec_ok(c); count--)
        skip(c, field, CODEC_UNKNOWN_DEPTH);
    return codec_ok(c) ? bytes_of(start, (size_t)(c->in.at - start)) : bytes_of(NULL, 0);
}

void codec_put_unknown(struct buf *out, struct bytes values)
{
    buf_add_bytes(out, values);
}

enum err codec_end(struct codec *c, struct refusal *why_or_null)
{
    if (codec_ok(c) && rd_left(&c->in) != 0)
        codec_refuse(c, ERR_MALFORMED, "end", "bytes left over");
    if (!codec_ok(c) && why_or_null)
        *why_or_null = c->why;
    return c->err;
}

bool codec_is_utf8(struct bytes s)
{
    struct utf8 u = {0};
    for (size_t i = 0; i < s.len; i++)
        if (!utf8_take(&u, s.at[i]))
            return false;
    return u.more == 0;
}

int codec_cmp(struct bytes a, struct bytes b)
{
    size_t n = a.len < b.len ? a.len : b.len;
    int d = n ? memcmp(a.at, b.at, n) : 0;
    return d ? d : (a.len > b.len) - (a.len < b.len);
}
