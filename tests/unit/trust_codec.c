/* The canonical encoding: what is written is the shortest, msgpack-c reads the same, and nothing else is
 * accepted (B16). */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <msgpack/unpack.h>

#include "base/rng.h"
#include "trust/codec.h"

#define RAW(s) bytes_of(s, sizeof(s) - 1)

static void integers_take_their_shortest_form(void **state)
{
    static const struct {
        uint64_t v;
        size_t len;
    } edge[] = {{0, 1},         {127, 1},        {128, 2},
                {255, 2},       {256, 3},        {65535, 3},
                {65536, 5},     {UINT32_MAX, 5}, {UINT32_MAX + 1ull, 9},
                {UINT64_MAX, 9}};
    (void)state;
    for (size_t i = 0; i < sizeof edge / sizeof *edge; i++) {
        struct buf b = {0};
        codec_put_u64(&b, edge[i].v);
        assert_int_equal(b.len, edge[i].len);
        struct codec c = codec_of(buf_bytes(&b));
        assert_true(codec_u64(&c, "n", UINT64_MAX) == edge[i].v);
        assert_int_equal(codec_end(&c, NULL), ERR_OK);
        buf_fini(&b);
    }
}

static void lengths_of_every_form_read_back(void **state)
{
    static const size_t len[] = {0, 1, 31, 32, 255, 256, 65535, 65536, 1 << 20};
    (void)state;
    for (size_t i = 0; i < sizeof len / sizeof *len; i++) {
        struct buf b = {0};
        uint8_t *text = malloc(len[i] + 1);
        memset(text, 'x', len[i] + 1);
        codec_put_str(&b, bytes_of(text, len[i]));
        codec_put_bin(&b, bytes_of(text, len[i]));
        struct codec c = codec_of(buf_bytes(&b));
        assert_int_equal(codec_str(&c, "s", len[i]).len, len[i]);
        assert_int_equal(codec_bin(&c, "b", 0, len[i]).len, len[i]);
        assert_int_equal(codec_end(&c, NULL), ERR_OK);
        free(text);
        buf_fini(&b);
    }
}

/* One of everything, as this reader sees it. */
static enum err read_sample(struct bytes in, struct refusal *why)
{
    struct codec c = codec_of(in);
    codec_array(&c, "sample", 5, 5);
    codec_u64(&c, "number", UINT64_MAX);
    codec_bool(&c, "flag");
    codec_str(&c, "text", 64);
    codec_bin(&c, "bytes", 0, 64);
    size_t pairs = codec_map(&c, "map", 8);
    struct bytes key = {0};
    for (size_t i = 0; i < pairs; i++) {
        key = codec_key(&c, "map", key, 16);
        codec_u64(&c, "map", UINT64_MAX);
    }
    return codec_end(&c, why);
}

static struct buf sample(void)
{
    struct buf b = {0};
    codec_put_array(&b, 5);
    codec_put_u64(&b, 300);
    codec_put_bool(&b, true);
    codec_put_str(&b, RAW("gr\xc3\xbc\xc3\x9f"));
    codec_put_bin(&b, RAW("\x00\xff"));
    codec_put_map(&b, 2);
    codec_put_str(&b, RAW("a"));
    codec_put_u64(&b, 1);
    codec_put_str(&b, RAW("ab"));
    codec_put_u64(&b, 2);
    return b;
}

static void the_sample_is_these_bytes_and_msgpack_c_agrees(void **state)
{
    struct buf b = sample();
    (void)state;
    assert_true(
        bytes_eq(buf_bytes(&b), RAW("\x95\xcd\x01\x2c\xc3\xa6gr\xc3\xbc\xc3\x9f\xc4\x02\x00\xff\x82\xa1"
                                    "a\x01\xa2"
                                    "ab\x02")));
    assert_int_equal(read_sample(buf_bytes(&b), NULL), ERR_OK);
    msgpack_unpacked u;
    size_t at = 0;
    msgpack_unpacked_init(&u);
    assert_int_equal(msgpack_unpack_next(&u, (const char *)b.at, b.len, &at), MSGPACK_UNPACK_SUCCESS);
    assert_int_equal(at, b.len);
    assert_int_equal(u.data.type, MSGPACK_OBJECT_ARRAY);
    assert_int_equal(u.data.via.array.size, 5);
    assert_int_equal(u.data.via.array.ptr[0].via.u64, 300);
    assert_true(u.data.via.array.ptr[1].via.boolean);
    assert_int_equal(u.data.via.array.ptr[2].type, MSGPACK_OBJECT_STR);
    assert_int_equal(u.data.via.array.ptr[3].type, MSGPACK_OBJECT_BIN);
    assert_int_equal(u.data.via.array.ptr[4].via.map.size, 2);
    msgpack_unpacked_destroy(&u);
    buf_fini(&b);
}

static void every_prefix_and_any_extra_byte_is_refused(void **state)
{
    struct buf b = sample();
    (void)state;
    for (size_t n = 0; n < b.len; n++)
        assert_int_equal(read_sample(bytes_of(b.at, n), NULL), ERR_MALFORMED);
    for (int extra = 0; extra < 256; extra++) {
        struct refusal why;
        buf_add_u8(&b, (uint8_t)extra);
        assert_int_equal(read_sample(buf_bytes(&b), &why), ERR_MALFORMED);
        assert_string_equal(why.reason, "bytes left over");
        b.len--;
    }
    buf_fini(&b);
}

/* What msgpack-c 4.0.0 takes and we do not: each names the field and the reason. */
static void other_spellings_of_the_same_are_refused_B16(void **state)
{
#define TAIL  "\xc3\xa1x\xc4\x01y\x80"
#define START "\x95\x01\xc3\xa1x\xc4\x01y"
    static const struct {
        const char *name;
        struct bytes in;
        const char *field, *reason;
    } t[] = {
#define ROW(name, in, field, reason) {name, {(const uint8_t *)(in), sizeof(in) - 1}, field, reason}
        ROW("u8 for 1", "\x95\xcc\x01" TAIL, "number", "not in its shortest encoding"),
        ROW("u8 for 127", "\x95\xcc\x7f" TAIL, "number", "not in its shortest encoding"),
        ROW("u16 for 255", "\x95\xcd\x00\xff" TAIL, "number", "not in its shortest encoding"),
        ROW("u32 for 65535", "\x95\xce\x00\x00\xff\xff" TAIL, "number", "not in its shortest encoding"),
        ROW("u64 for 2^32-1", "\x95\xcf\x00\x00\x00\x00\xff\xff\xff\xff" TAIL, "number",
            "not in its shortest encoding"),
        ROW("int8 for 1", "\x95\xd0\x01" TAIL, "number", "not an unsigned integer"),
        ROW("negative", "\x95\xff" TAIL, "number", "not an unsigned integer"),
        ROW("float", "\x95\xca\x3f\x80\x00\x00" TAIL, "number", "not an unsigned integer"),
        ROW("NaN", "\x95\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00" TAIL, "number", "not an unsigned integer"),
        ROW("nil", "\x95\xc0" TAIL, "number", "not an unsigned integer"),
        ROW("ext", "\x95\xd4\x01\x00" TAIL, "number", "not an unsigned integer"),
        ROW("array16 for 5", "\xdc\x00\x05\x01" TAIL, "sample", "not in its shortest encoding"),
        ROW("array32 of 2^28", "\xdd\x10\x00\x00\x00\x01" TAIL, "sample", "too many elements"),
        ROW("map for array", "\x85\x01" TAIL, "sample", "not an array"),
        ROW("one too few", "\x94\x01" TAIL, "sample", "too few elements"),
        ROW("one too many", "\x96\x01" TAIL "\x01", "sample", "too many elements"),
        ROW("1 for true", "\x95\x01\x01\xa1x\xc4\x01y\x80", "flag", "not true or false"),
        ROW("str8 for 1", "\x95\x01\xc3\xd9\x01x\xc4\x01y\x80", "text", "not in its shortest encoding"),
        ROW("str16 for 1", "\x95\x01\xc3\xda\x00\x01x\xc4\x01y\x80", "text", "not in its shortest encoding"),
        ROW("str32 for 1", "\x95\x01\xc3\xdb\x00\x00\x00\x01x\xc4\x01y\x80", "text",
            "not in its shortest encoding"),
        ROW("bin for str", "\x95\x01\xc3\xc4\x01x\xc4\x01y\x80", "text", "not a text"),
        ROW("str over the end", "\x95\x01\xc3\xbfxy", "text", "cut short"),
        ROW("str of 2^32-1", "\x95\x01\xc3\xdb\xff\xff\xff\xffx", "text", "too long"),
        ROW("bad UTF-8", "\x95\x01\xc3\xa2\xc3\x28\xc4\x01y\x80", "text", "not valid UTF-8"),
        ROW("overlong UTF-8", "\x95\x01\xc3\xa2\xc0\xaf\xc4\x01y\x80", "text", "not valid UTF-8"),
        ROW("surrogate", "\x95\x01\xc3\xa3\xed\xa0\x80\xc4\x01y\x80", "text", "not valid UTF-8"),
        ROW("over U+10FFFF", "\x95\x01\xc3\xa4\xf4\x90\x80\x80\xc4\x01y\x80", "text", "not valid UTF-8"),
        ROW("str for bin", "\x95\x01\xc3\xa1x\xa1y\x80", "bytes", "not a byte string"),
        ROW("bin16 for 1", "\x95\x01\xc3\xa1x\xc5\x00\x01y\x80", "bytes", "not in its shortest encoding"),
        ROW("key twice",
            START "\x82\xa1"
                  "a\x01\xa1"
                  "a\x02",
            "map", "keys repeat or are not in order"),
        ROW("keys fall",
            START "\x82\xa1"
                  "b\x01\xa1"
                  "a\x02",
            "map", "keys repeat or are not in order"),
        ROW("long before short",
            START "\x82\xa2"
                  "ab\x01\xa1"
                  "a\x02",
            "map", "keys repeat or are not in order"),
        ROW("integer key", START "\x81\x01\x01", "map", "not a text"),
        ROW("map16 for 0", START "\xde\x00\x00", "map", "not in its shortest encoding"),
        ROW("map32 of 2^28", START "\xdf\x10\x00\x00\x00", "map", "too many elements"),
        ROW("map longer than the input",
            START "\x88\xa1"
                  "a\x01",
            "map", "cut short"),
    };
    (void)state;
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        struct refusal why = {"", ""};
        if (read_sample(t[i].in, &why) != ERR_MALFORMED || strcmp(why.field, t[i].field) != 0 ||
            strcmp(why.reason, t[i].reason) != 0)
            fail_msg("%s: got \"%s: %s\"", t[i].name, why.field, why.reason);
    }
}

static void nesting_costs_nothing_G12(void **state)
{
    enum { DEPTH = 1000000 };
    uint8_t *deep = malloc(DEPTH);
    struct refusal why;
    (void)state;
    memset(deep, 0x91, DEPTH);
    assert_int_equal(read_sample(bytes_of(deep, DEPTH), &why), ERR_MALFORMED);
    assert_string_equal(why.field, "sample");
    deep[0] = 0x95;
    assert_int_equal(read_sample(bytes_of(deep, DEPTH), &why), ERR_MALFORMED);
    assert_string_equal(why.field, "number");
    free(deep);
}

static void the_first_refusal_stands_and_later_reads_are_empty(void **state)
{
    struct codec c = codec_of(RAW("\xa1x\x05\xc4\x01z"));
    struct refusal why;
    (void)state;
    assert_int_equal(codec_u64(&c, "first", 9), 0);
    assert_int_equal(codec_str(&c, "second", 9).len, 0);
    assert_int_equal(codec_u64(&c, "third", 9), 0);
    codec_refuse(&c, ERR_DENIED, "fourth", "by a rule");
    assert_int_equal(codec_end(&c, &why), ERR_MALFORMED);
    assert_string_equal(why.field, "first");
}

/* Any bytes that are accepted are what the writer makes of what was read: sample after sample, mutated. */
static void what_is_accepted_encodes_to_the_same_bytes(void **state)
{
    struct rng r = rng_seeded(7);
    size_t accepted = 0;
    (void)state;
    for (int round = 0; round < 200000; round++) {
        struct buf b = sample(), again = {0};
        size_t edits = 1 + rng_below(&r, 3);
        for (size_t i = 0; i < edits; i++)
            b.at[rng_below(&r, (uint32_t)b.len)] = (uint8_t)rng_below(&r, 256);
        struct codec c = codec_of(buf_bytes(&b));
        codec_put_array(&again, codec_array(&c, "", 5, 5));
        codec_put_u64(&again, codec_u64(&c, "", UINT64_MAX));
        codec_put_bool(&again, codec_bool(&c, ""));
        codec_put_str(&again, codec_str(&c, "", 64));
        codec_put_bin(&again, codec_bin(&c, "", 0, 64));
        size_t pairs = codec_map(&c, "", 8);
        struct bytes key = {0};
        codec_put_map(&again, pairs);
        for (size_t i = 0; i < pairs; i++) {
            codec_put_str(&again, key = codec_key(&c, "", key, 16));
            codec_put_u64(&again, codec_u64(&c, "", UINT64_MAX));
        }
        if (codec_end(&c, NULL) == ERR_OK) {
            accepted++;
            assert_true(bytes_eq(buf_bytes(&b), buf_bytes(&again)));
        }
        buf_fini(&b);
        buf_fini(&again);
    }
    assert_true(accepted > 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integers_take_their_shortest_form),
        cmocka_unit_test(lengths_of_every_form_read_back),
        cmocka_unit_test(the_sample_is_these_bytes_and_msgpack_c_agrees),
        cmocka_unit_test(every_prefix_and_any_extra_byte_is_refused),
        cmocka_unit_test(other_spellings_of_the_same_are_refused_B16),
        cmocka_unit_test(nesting_costs_nothing_G12),
        cmocka_unit_test(the_first_refusal_stands_and_later_reads_are_empty),
        cmocka_unit_test(what_is_accepted_encodes_to_the_same_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
