/* Tokens from hostile text, and roots and grants whose bodies were edited and signed again with the right
 * keys. u8 mode   0: the bytes are the text   1: edits of the text   2: edits of the root's body   3: edits
 * of the grant's body A token that is accepted is made of a root and a grant that are written again to the
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

static void judge(struct bytes text)
{
    struct token t;
    struct buf space = {0};
    struct root root;
    struct refusal why = {0};
    enum err err = token_decode_why(&t, &space, text, NOW, &why);
    if (err == ERR_OK) {
        check_root(t.root, &root);
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

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *in, size_t len)
{
    struct rd r = rd_init(bytes_of(in, len));
    world_make();
    int mode = rd_u8(&r) & 3;
    if (mode == 0) {
        judge(rd_bytes(&r, rd_left(&r)));
    } else if (mode == 1) {
        struct buf text = edited(buf_bytes(&world.token), &r);
        judge(buf_bytes(&text));
        buf_fini(&text);
    } else {
        judge_signed(mode, &r);
    }
    return 0;
}
