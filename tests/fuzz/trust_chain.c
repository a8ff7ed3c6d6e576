/* A chain of roots as another member gives it. u8 mode   0: the bytes are the chain   1: edits of a good chain   2: edits of
 * the newest root's body, signed again with all keys it needs. A chain that is accepted begins where it says, rises by one, and
 * each of its roots is accepted after the one before. */
#include "trust_world.h"

static struct buf good, first; /* roots 1 and 2 of the world's mesh */

static void make_good(void)
{
    const struct sign_key *by[] = {&world.root, &world.node};
    struct root r = {.mesh = STR("m.example"),
                     .epoch = 2,
                     .root = {1, 1, {world.node.pub}},
                     .policy = {1, 1, {world.granted.pub}},
                     .enrol = {1, 1, {world.enrol.pub}},
                     .delegation_count = 1};
    r.delegation[0] = (struct delegation){
        .name = STR("team"), .role = {1, 1, {world.granted.pub}}, .service_count = 1, .service = {STR("a*")}};
    struct buf second = {0};
    check(root_create(&second, &r, by, 2) == ERR_OK);
    check(chain_begin(&first, buf_bytes(&world.root_bytes)) == ERR_OK);
    check(chain_append(&good, buf_bytes(&first), buf_bytes(&second)) == ERR_OK);
    buf_fini(&second);
}

static struct bytes newest_body(void)
{
    struct chain c;
    struct envelope e;
    check(chain_open(&c, buf_bytes(&good), NULL, NULL) == ERR_OK);
    check(envelope_parse(&e, c.envelope[1]) == ERR_OK);
    return e.body;
}

static void judge(struct bytes bytes)
{
    struct chain c;
    struct root now, next;
    struct refusal why = {0};
    struct hash anchor = root_hash(buf_bytes(&world.root_bytes));
    if (chain_open(&c, bytes, &anchor, &why) != ERR_OK) {
        check(why.field && why.reason);
        return;
    }
    check(c.count >= 1 && c.count <= CHAIN_ROOTS_MAX && chain_has(&c, &anchor));
    check(root_open(&now, c.envelope[0]) == ERR_OK && now.epoch == c.first_epoch);
    for (size_t i = 1; i < c.count; i++, now = next)
        check(root_follow(&next, &now, c.envelope[i], NULL) == ERR_OK && next.epoch == now.epoch + 1);
    check(c.newest.epoch == now.epoch);
}

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *in, size_t len)
{
    struct rd r = rd_init(bytes_of(in, len));
    struct buf bytes = {0};
    world_make();
    if (!good.at)
        make_good();
    int mode = rd_u8(&r) % 3;
    if (mode == 0) {
        buf_add_bytes(&bytes, rd_bytes(&r, rd_left(&r)));
    } else if (mode == 1) {
        bytes = edited(buf_bytes(&good), &r);
    } else {
        const struct sign_key *by[] = {&world.root, &world.node};
        struct buf body = edited(newest_body(), &r), envelope = {0};
        check(envelope_sign(&envelope, ENVELOPE_ROOT, buf_bytes(&body), by, 2) == ERR_OK);
        (void)chain_append(&bytes, buf_bytes(&first), buf_bytes(&envelope));
        buf_fini(&body);
        buf_fini(&envelope);
    }
    judge(buf_bytes(&bytes));
    buf_fini(&bytes);
    return 0;
}
