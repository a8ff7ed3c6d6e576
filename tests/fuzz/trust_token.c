/* Tokens from hostile text, and roots and grants whose bodies were edited and signed again with the right
 * keys. u8 mode   0: the bytes are the text   1: edits of the text   2: edits of the root's body   3: edits
 * of the grant's body   4: edits of the text of one with a chain of roots   5: edits of its chain. A token that is accepted is made of a root and a grant that are written again to the
 * very same bytes (B16). */
#include "trust_world.h"

static void check_root(struct bytes bytes, struct root *root)
{
    struct buf again = {0};
    const struct sign_key *by = &world.root;
    check(root_open(root, bytes) == ERR_OK);
    check(root->root.threshold >= 1 && root->policy.count >= root->policy.threshold);
    check(root_create(&again, root, &by, 1) == ERR_OK);
    check(bytes_eq(bytes, buf_bytes(&again)));
    buf_fini(&again);
}

static void check_grant(struct bytes bytes, const struct root *root)
{
    struct grant g;
    struct buf again = {0};
    check(grant_open_why(&g, root, bytes, NULL) == ERR_OK);
    check(grant_create(&again, &g, &world.enrol) == ERR_OK);
    check(bytes_eq(bytes, buf_bytes(&again)));
    buf_fini(&again);
}

/* Its root is the last of the chain, which is one in its one spelling. */
static void check_chain(const struct token *t)
{
    struct chain c;
    struct buf again = {0};
    if (t->chain.len == 0)
        return;
    check(chain_open(&c, t->chain, NULL, NULL) == ERR_OK && bytes_eq(c.envelope[c.count - 1], t->root));
    check(chain_of(&again, c.envelope, c.count) == ERR_OK && bytes_eq(buf_bytes(&again), t->chain));
    buf_fini(&again);
}

static void judge(struct bytes text)
{
    struct token t;
    struct buf space = {0};
    struct root root;
    struct refusal why = {0};
    enum err err = token_decode_why(&t, &space, text, NOW, &why);
    if (err == ERR_OK) {
        check_root(t.root, &root);
        check_chain(&t);
        check_grant(t.grant, &root);
        check(node_id_eq(&t.key.pub, &world.granted.pub));
    } else {
        check(why.field && why.reason);
    }
    token_fini(&t, &space);
}

/* A root's or a grant's body, edited and signed with its right key, in a token. */
static void judge_signed(int mode, struct rd *edits)
{
    struct buf body = edited(body_of(mode == 2 ? &world.root_bytes : &world.grant), edits), text = {0};
    struct buf part = mode == 2 ? sealed(ENVELOPE_ROOT, buf_bytes(&body), &world.root)
                                : sealed(ENVELOPE_GRANT, buf_bytes(&body), &world.enrol);
    struct bytes root = buf_bytes(mode == 2 ? &part : &world.root_bytes);
    struct bytes grant = buf_bytes(mode == 2 ? &world.grant : &part);
    check(token_encode(&text, root, grant, &world.granted) == ERR_OK);
    judge(buf_bytes(&text));
    buf_fini(&body);
    buf_fini(&part);
    buf_fini(&text);
}

/* The text of a token with a chain, edited; or one with an edited chain. */
static void judge_chain(bool is_text, struct rd *edits)
{
    struct buf second = {0}, chain = {0}, text = {0};
    struct root r;
    const struct sign_key *by = &world.root;
    check(root_open(&r, buf_bytes(&world.root_bytes)) == ERR_OK);
    r.epoch = 2;
    check(root_create(&second, &r, &by, 1) == ERR_OK);
    const struct bytes walk[] = {buf_bytes(&world.root_bytes), buf_bytes(&second)};
    check(chain_of(&chain, walk, 2) == ERR_OK);
    struct rd none = rd_init(bytes_of(NULL, 0));
    struct buf bent = edited(buf_bytes(&chain), is_text ? &none : edits);
    if (token_encode_chain(&text, buf_bytes(&bent), buf_bytes(&world.grant), &world.granted) == ERR_OK) {
        struct buf bent_text = edited(buf_bytes(&text), is_text ? edits : &none);
        judge(buf_bytes(&bent_text));
        buf_fini(&bent_text);
    }
    buf_fini(&bent);
    buf_fini(&second);
    buf_fini(&chain);
    buf_fini(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *in, size_t len)
{
    struct rd r = rd_init(bytes_of(in, len));
    world_make();
    int mode = rd_u8(&r) % 6;
    if (mode == 0) {
        judge(rd_bytes(&r, rd_left(&r)));
    } else if (mode == 1) {
        struct buf text = edited(buf_bytes(&world.token), &r);
        judge(buf_bytes(&text));
        buf_fini(&text);
    } else if (mode < 4) {
        judge_signed(mode, &r);
    } else {
        judge_chain(mode == 4, &r);
    }
    return 0;
}
