/* The document of parts as another member gives it. u8 mode   0: the bytes are the document   1: texts, each signed as a part by its
 * right key, all in one document   2: be16 where | u8 bits to flip there in the document | texts as 1. A text is u8 which | u8
 * version, or be16 length and its bytes. Whatever is kept was signed for its delegation, stands in order, and is the same when
 * it is written and read again; what comes into force of it does not crash. */
#include <stdio.h>
#include <stdlib.h>

#include "control/parts.c"
#include "policy/policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t len);
int LLVMFuzzerInitialize(int *argc, char ***argv);

enum { TEXTS_MAX = 4 };

static const char main_text[] = "policy: v1\nmesh: m\nversion: 1\nservices: {db: {protocol: tcp}}\n";
static struct sign_key team[2];
static struct root root;
static struct policy *alone;

static void check(bool ok)
{
    if (!ok)
        abort();
}

static struct delegation delegation(const char *name, const char *service, const struct sign_key *key)
{
    return (struct delegation){.name = bytes_str(name),
                               .role = {.count = 1, .threshold = 1, .key = {key->pub}},
                               .service_count = 1,
                               .service = {bytes_str(service)}};
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    static const uint8_t seed[2][32] = {{1}, {2}};
    struct complaints c = {.file = "main"};
    check(trust_init() == ERR_OK);
    for (int i = 0; i < 2; i++)
        check(sign_key_of_seed(&team[i], seed[i]) == ERR_OK);
    root = (struct root){.mesh = bytes_str("m"), .epoch = 1, .delegation_count = 2};
    root.delegation[0] = delegation("a", "cart*", &team[0]);
    root.delegation[1] = delegation("b", "*", &team[1]);
    const struct policy_source source = {.file = "main", .text = bytes_str(main_text)};
    check(policy_compile_sources(&alone, &source, 1, &c) == ERR_OK);
    buf_fini(&c.text); /* warnings */
    log_level_set(LOG_ERROR);
    return 0;
}

/* By the key of the delegation that the text itself names, if it names one of the two and can be signed at all. */
static bool sign_part(struct buf *out, struct bytes text)
{
    for (int i = 0; i < 2; i++) {
        const struct sign_key *by = &team[i];
        struct bundle_wish w = {.epoch = 1, .part = root.delegation[i].name, .text = text};
        if (bundle_sign_as(out, &root, &w, &by, 1, NULL) == ERR_OK)
            return true;
        out->len = 0;
    }
    return false;
}

/* Sound ones, of either delegate; what the second says of cart, the first may say too. */
static const char *const canned[] = {
    "policy: v1\nmesh: m\npart: a\nversion: %u\nservices: {cart: {protocol: http}}\n",
    "policy: v1\nmesh: m\npart: b\nversion: %u\nservices: {web: {protocol: http, retry: {attempts: 1}}}\n",
    "policy: v1\nmesh: m\npart: b\nversion: %u\nservices: {cart: {protocol: tcp}}\n",
    "policy: v1\nmesh: m\npart: b\nversion: %u\nservices: {db: {protocol: tcp}}\n",
};
enum { CANNED = sizeof canned / sizeof *canned };

static struct buf next_text(struct rd *r)
{
    struct buf text = {0};
    uint8_t pick = rd_u8(r);
    if (pick % (CANNED + 1) < CANNED) {
        char space[256];
        snprintf(space, sizeof space, canned[pick % (CANNED + 1)], 1u + rd_u8(r) % 4);
        buf_add_str(&text, space);
    } else {
        size_t len = rd_be16(r);
        buf_add_bytes(&text, rd_bytes(r, len < rd_left(r) ? len : rd_left(r)));
    }
    return text;
}

static struct buf document_of(struct rd *r)
{
    struct buf bundle[TEXTS_MAX] = {{0}}, out = {0};
    size_t count = 0;
    for (int i = 0; i < TEXTS_MAX && rd_left(r) >= 2; i++) {
        struct buf text = next_text(r);
        count += sign_part(&bundle[count], buf_bytes(&text));
        buf_fini(&text);
    }
    codec_put_array(&out, count);
    for (size_t i = 0; i < count; i++)
        codec_put_bin(&out, buf_bytes(&bundle[i]));
    for (size_t i = 0; i < TEXTS_MAX; i++)
        buf_fini(&bundle[i]);
    return out;
}

static void check_set(const struct part_set *s)
{
    struct part_set again = {.count = 0};
    struct buf written = {0}, why = {0};
    for (size_t i = 0; i < s->count; i++) {
        struct bundle b;
        check(i == 0 || strcmp(s->at[i - 1].name, s->at[i].name) < 0);
        check(bundle_open(&b, NULL, &root, buf_bytes(&s->at[i].bundle), NULL) == ERR_OK);
        check(bytes_eq_str(b.part, s->at[i].name) && b.version == s->at[i].version);
    }
    check(encode(&written, s) == ERR_OK);
    check(take_all(&again, &root, buf_bytes(&written), &why) == (s->count > 0 ? ERR_OK : ERR_EXISTS));
    check(again.count == s->count && why.len == 0);
    for (size_t i = 0; i < s->count; i++)
        check(bytes_eq(buf_bytes(&again.at[i].bundle), buf_bytes(&s->at[i].bundle)));
    set_fini(&again);
    buf_fini(&written);
    buf_fini(&why);
}

static void judge(struct bytes document, bool is_signed)
{
    struct parts p = {.busy = false};
    struct buf why = {0};
    enum err e = take_all(&p.now, &root, document, &why);
    check(is_signed || p.now.count == 0); /* nobody signed it */
    check(e != ERR_OK || p.now.count > 0);
    check_set(&p.now);
    struct policy *all = parts_compose(&p, &root, alone, bytes_str(main_text));
    check(all != NULL);
    policy_unref(all);
    parts_fini(&p);
    buf_fini(&why);
}

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t len)
{
    struct rd r = rd_init(bytes_of(in, len));
    int mode = rd_u8(&r) % 3;
    if (mode == 0) {
        judge(rd_bytes(&r, rd_left(&r)), false);
        return 0;
    }
    size_t where = mode == 2 ? rd_be16(&r) : 0;
    uint8_t bits = mode == 2 ? rd_u8(&r) : 0;
    struct buf document = document_of(&r);
    if (mode == 2 && document.len > 0)
        document.at[where % document.len] ^= bits;
    judge(buf_bytes(&document), true);
    buf_fini(&document);
    return 0;
}
