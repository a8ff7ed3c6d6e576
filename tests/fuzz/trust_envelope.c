/* Envelopes from hostile bytes. u8 mode (1: edits of a good record, else the bytes as they are), then those.
 * What parses is canonical; what verifies is what was signed, for nobody without a key can make another. */
#include "trust_world.h"

static struct buf written_again(const struct envelope *e)
{
    struct buf out = {0};
    codec_put_array(&out, 3);
    codec_put_str(&out, e->type);
    codec_put_bin(&out, e->body);
    codec_put_array(&out, e->sig_count);
    for (size_t i = 0; i < e->sig_count; i++) {
        codec_put_array(&out, 2);
        codec_put_bin(&out, bytes_of(e->sig[i].key, 32));
        codec_put_bin(&out, bytes_of(e->sig[i].sig, 64));
    }
    return out;
}

static void judge(struct bytes in)
{
    struct envelope e;
    if (envelope_parse(&e, in) != ERR_OK)
        return;
    struct buf again = written_again(&e), cosigned = {0};
    check(bytes_eq(in, buf_bytes(&again)));
    if (envelope_verify(&e, ENVELOPE_RECORD, &world.node.pub, 1, 1) == ERR_OK)
        check(bytes_eq(e.body, body_of(&world.record)));
    if (envelope_cosign(&cosigned, in, &world.root) == ERR_OK) {
        struct envelope more;
        check(envelope_parse(&more, buf_bytes(&cosigned)) == ERR_OK && more.sig_count == e.sig_count + 1);
        char type[ENVELOPE_TYPE_MAX + 1] = {0};
        memcpy(type, e.type.at, e.type.len);
        check(envelope_verify(&more, type, &world.root.pub, 1, 1) == ERR_OK);
    }
    buf_fini(&again);
    buf_fini(&cosigned);
}

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *in, size_t len)
{
    struct rd r = rd_init(bytes_of(in, len));
    world_make();
    if (rd_u8(&r) != 1) {
        judge(rd_bytes(&r, rd_left(&r)));
        return 0;
    }
    struct buf b = edited(buf_bytes(&world.record), &r);
    judge(buf_bytes(&b));
    buf_fini(&b);
    return 0;
}
