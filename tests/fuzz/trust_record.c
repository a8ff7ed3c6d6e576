/* Records and credentials from a hostile member: bodies edited and signed again with the right keys.
 *   u8 mode   0: the bytes are the envelope           1: edits of the record's envelope
 *             2: edits of the record's body           3: edits of the credential's body, in a record by its
 * node            | 4: the record edited is one of layout 2, with elements of a later version
 * What is accepted says only what it may, is written again to the very same bytes (B16), and is read from them again, as
 * those who keep many records do: whole, and as the part that views keep. */
#include "discovery/view.h"
#include "trust_world.h"

static void check_credential(const struct credential *c)
{
    struct buf again = {0};
    struct grant g;
    check(grant_open_why(&g, trust_root(world.trust), c->grant, NULL) == ERR_OK);
    check(credential_within_grant(c, &g, NULL) == ERR_OK);
    check(dh_pub_is_sound(c->noise_key) && sign_pub_is_sound(c->id.b) && c->expires > NOW);
    check(credential_create(&again, c, c->grant, &world.granted) == ERR_OK);
    check(bytes_eq(c->bytes, buf_bytes(&again)));
    buf_fini(&again);
}

static void check_record(const struct record *r, struct bytes in)
{
    struct buf again = {0};
    for (size_t i = 0; i < r->service_count; i++)
        check(credential_allows(&r->credential, r->service[i].name) && r->service[i].port != 0);
    for (size_t i = 0; i < r->addr_count; i++)
        check(addr_is_dialable(&r->addr[i]));
    check(record_create(&again, r, &world.node) == ERR_OK);
    check(bytes_eq(in, buf_bytes(&again)));
    buf_fini(&again);
}

static void check_labels(struct label_list kept, const struct labels *said)
{
    check(kept.count == said->count);
    for (size_t i = 0; i < kept.count; i++)
        check(bytes_eq(kept.at[i].key, said->at[i].key) && bytes_eq(kept.at[i].value, said->at[i].value));
}

static void check_kept(const struct record *r)
{
    struct vouched *v;
    struct view_record *kept;
    check(vouched_new(&v, &r->credential) == ERR_OK);
    check(view_record_new(&kept, r, v) == ERR_OK);
    check(bytes_eq_str(r->credential.node, kept->name) && kept->offer_count == r->service_count);
    check(bytes_eq(vouched_brief(kept->vouched)->node, r->credential.node));
    check_labels(kept->labels, &r->credential.labels);
    for (size_t i = 0; i < kept->offer_count; i++) {
        check(bytes_eq_str(r->service[i].name, kept->offer[i].service));
        check_labels(kept->offer[i].labels, &r->service[i].labels);
    }
    view_record_unref(kept);
    vouched_unref(v);
}

static void judge(struct bytes in)
{
    static struct record r, reopened;
    struct refusal why = {0};
    if (trust_record_why(world.trust, in, NOW, &r, &why) == ERR_OK) {
        check_credential(&r.credential);
        check_record(&r, in);
        record_reopen(&reopened, in);
        check_record(&reopened, in);
        check_kept(&reopened);
    } else {
        check(why.field && why.reason);
    }
}

static void judge_body(struct bytes body)
{
    struct buf record = sealed(ENVELOPE_RECORD, body, &world.node);
    judge(buf_bytes(&record));
    buf_fini(&record);
}

/* A credential's body, edited and signed by the grant's key, and then a record around it by the node's. */
static void judge_credential(struct rd *edits)
{
    struct buf body = edited(body_of(&world.credential), edits), record = {0};
    struct buf credential = sealed(ENVELOPE_CREDENTIAL, buf_bytes(&body), &world.granted);
    struct record r = {.incarnation = 1};
    r.credential.bytes = buf_bytes(&credential);
    if (record_create(&record, &r, &world.node) == ERR_OK)
        judge(buf_bytes(&record));
    buf_fini(&body);
    buf_fini(&credential);
    buf_fini(&record);
}

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *in, size_t len)
{
    struct rd r = rd_init(bytes_of(in, len));
    world_make();
    int choice = rd_u8(&r), mode = choice & 3;
    const struct buf *start = choice & 4 ? &world.later : &world.record;
    if (mode == 0) {
        judge(rd_bytes(&r, rd_left(&r)));
    } else if (mode == 3) {
        judge_credential(&r);
    } else {
        struct buf b = edited(mode == 1 ? buf_bytes(start) : body_of(start), &r);
        if (mode == 1)
            judge(buf_bytes(&b));
        else
            judge_body(buf_bytes(&b));
        buf_fini(&b);
    }
    return 0;
}
