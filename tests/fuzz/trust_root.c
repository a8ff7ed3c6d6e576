/* A mesh's root as a stranger's file or token brings it. u8 mode   0: the bytes are the envelope   1: edits of the
 * envelope   2: edits of the body, signed again with the root's key. A root that is accepted holds what its
 * type promises, vouches by its own threshold, and is written again to the very same bytes. */
#include "trust_world.h"

static void check_role(const struct role *r)
{
    check(r->count <= ROLE_KEYS_MAX && r->threshold >= 1 && r->threshold <= r->count);
    for (size_t i = 1; i < r->count; i++)
        check(memcmp(r->key[i - 1].b, r->key[i].b, sizeof r->key[i].b) < 0);
}

/* Only the key that signed it can sign it again: of accepted ones the world's. */
static void check_same_again(struct bytes bytes, const struct root *r)
{
    struct buf again = {0};
    const struct sign_key *by = &world.root;
    if (r->root.count != 1 || !node_id_eq(&r->root.key[0], &world.root.pub))
        return;
    check(root_create(&again, r, &by, 1) == ERR_OK);
    check(bytes_eq(bytes, buf_bytes(&again)));
    buf_fini(&again);
}

static void judge(struct bytes bytes)
{
    struct root r;
    struct refusal why = {0};
    struct trust *t = NULL;
    enum err e = root_open_why(&r, bytes, &why);
    check(root_open(&r, bytes) == e);
    check(trust_new(&t, bytes, NULL) == e);
    if (e != ERR_OK) {
        check((e == ERR_MALFORMED || e == ERR_AUTH) && why.field && why.reason && !t);
        return;
    }
    check(name_is_sound(r.mesh, MESH_NAME_MAX));
    check_role(&r.root);
    check_role(&r.policy);
    check_role(&r.enrol);
    check_same_again(bytes, &r);
    check(bytes_eq(trust_root(t)->mesh, r.mesh) && trust_root(t)->epoch == r.epoch);
    trust_unref(t);
}

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *in, size_t len)
{
    struct rd r = rd_init(bytes_of(in, len));
    struct buf bytes = {0};
    world_make();
    int mode = rd_u8(&r) % 3;
    if (mode == 0) {
        buf_add_bytes(&bytes, rd_bytes(&r, rd_left(&r)));
    } else if (mode == 1) {
        bytes = edited(buf_bytes(&world.root_bytes), &r);
    } else {
        struct buf body = edited(body_of(&world.root_bytes), &r);
        bytes = sealed(ENVELOPE_ROOT, buf_bytes(&body), &world.root);
        buf_fini(&body);
    }
    judge(buf_bytes(&bytes));
    buf_fini(&bytes);
    return 0;
}
