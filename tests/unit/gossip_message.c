/* The bytes of gossip: what is written is read back, and nothing else is accepted. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "gossip/message.h"

static struct node_id id_of(uint8_t n)
{
    return (struct node_id){{n, n, n}};
}

static void rumors_of_every_type(struct wr *w)
{
    struct rumor_item i[] = {
        {.type = RUMOR_RECORD, .hops = 3, .record = bytes_str("a record")},
        {.type = RUMOR_NOTICE,
         .hops = 1,
         .subject = id_of(1),
         .incarnation = 5,
         .version = 6,
         .hash = {{7}},
         .record_bytes = 900},
        {.type = RUMOR_SUSPECT,
         .layout = 2,
         .subject = id_of(2),
         .incarnation = 7,
         .version = 8,
         .accuser = id_of(3),
         .reason = REASON_REFUSED},
        {.type = RUMOR_DEAD,
         .layout = 2,
         .subject = id_of(4),
         .incarnation = UINT64_MAX,
         .accuser = id_of(5)},
        {.type = RUMOR_DOC, .doc = {1, 2, 3, {{4}}}},
    };
    for (size_t k = 0; k < sizeof i / sizeof *i; k++)
        rumor_item_encode(w, &i[k]);
}

static void a_ping_carries_rumors_of_every_type(void **state)
{
    uint8_t space[1000];
    struct wr w = wr_init(space, sizeof space);
    struct datagram d = {.type = MSG_PING, .version = 2, .nonce = 0x0102030405060708, .summary = {{9}}}, back;
    (void)state;
    datagram_encode(&w, &d);
    assert_int_equal(wr_len(&w), 2 + 8 + 16);
    rumors_of_every_type(&w);
    assert_int_equal(wr_len(&w), 26 + (4 + 8) + NOTICE_BYTES + 2 * OPINION_BYTES + DOC_RUMOR_BYTES);
    assert_int_equal(datagram_decode(&back, wr_done(&w)), ERR_OK);
    assert_int_equal(back.nonce, d.nonce);
    assert_int_equal(back.summary.b[0], 9);
    struct rd r = rd_init(back.rumors);
    struct rumor_item i;
    int types[5] = {0};
    while (rumor_item_next(&r, &i))
        types[i.type - 1]++;
    for (int t = 0; t < 5; t++)
        assert_int_equal(types[t], 1);
}

/* Every prefix of a good message is refused, except where it ends between two rumors; and so is one byte
 * more. */
static void a_cut_message_is_refused(void **state)
{
    uint8_t space[1000];
    struct wr w = wr_init(space, sizeof space);
    struct datagram d = {.type = MSG_ACK, .version = 2}, back;
    int whole = 0;
    (void)state;
    datagram_encode(&w, &d);
    rumors_of_every_type(&w);
    for (size_t len = 0; len <= wr_len(&w); len++)
        whole += datagram_decode(&back, bytes_of(space, len)) == ERR_OK;
    assert_int_equal(whole, 6); /* after the head and after each of five rumors */
    space[wr_len(&w)] = 0;
    assert_int_equal(datagram_decode(&back, bytes_of(space, wr_len(&w) + 1)), ERR_MALFORMED);
}

/* G45 */
static void other_versions_types_and_lanes_are_refused(void **state)
{
    uint8_t msg[64] = {GOSSIP_PROTOCOL_MAX, MSG_PUSH};
    struct datagram d;
    struct bulk b;
    (void)state;
    assert_int_equal(datagram_decode(&d, bytes_of(msg, 2)), ERR_OK);
    assert_int_equal(bulk_decode(&b, bytes_of(msg, 2)), ERR_MALFORMED);
    for (int type = 0; type < 256; type++) {
        msg[1] = (uint8_t)type;
        if (type != MSG_PUSH)
            assert_int_not_equal(datagram_decode(&d, bytes_of(msg, 2)), ERR_OK);
    }
    msg[1] = 200; /* no type that we know */
    assert_int_equal(datagram_decode(&d, bytes_of(msg, 2)), ERR_UNSUPPORTED);
    assert_int_equal(bulk_decode(&b, bytes_of(msg, 2)), ERR_UNSUPPORTED);
    msg[0] = GOSSIP_PROTOCOL_MAX + 1;
    msg[1] = MSG_PUSH;
    assert_int_equal(datagram_decode(&d, bytes_of(msg, 2)), ERR_UNSUPPORTED);
    msg[0] = 0;
    assert_int_equal(datagram_decode(&d, bytes_of(msg, 2)), ERR_UNSUPPORTED);
    assert_int_equal(datagram_decode(&d, bytes_of(NULL, 0)), ERR_MALFORMED);
}

/* What version 2 says of a suspect has no place in version 1, and what version 1 says stays as it was. */
static void an_opinion_has_a_reason_from_version_2_on(void **state)
{
    uint8_t space[128];
    struct rumor_item told = {.type = RUMOR_SUSPECT,
                              .subject = id_of(2),
                              .accuser = id_of(3),
                              .reason = REASON_REFUSED},
                      heard;
    struct datagram back;
    (void)state;
    for (uint8_t layout = 1; layout <= 2; layout++)
        for (uint8_t version = 1; version <= 2; version++) {
            struct wr w = wr_init(space, sizeof space);
            told.layout = layout;
            datagram_encode(&w, &(struct datagram){.type = MSG_PUSH, .version = version});
            rumor_item_encode(&w, &told);
            assert_int_equal(wr_len(&w), 2 + OPINION_BYTES - (layout == 1));
            assert_int_equal(datagram_decode(&back, wr_done(&w)), layout > version ? ERR_MALFORMED : ERR_OK);
            if (layout > version)
                continue;
            struct rd r = rd_init(back.rumors);
            assert_true(rumor_item_next(&r, &heard));
            assert_int_equal(heard.type, RUMOR_SUSPECT);
            assert_int_equal(heard.reason, layout == 2 ? REASON_REFUSED : REASON_SILENT);
        }
}

/* The same ack in both versions; the coordinate is in the newer one only. */
static void an_ack_says_where_its_sender_is_from_version_2_on(void **state)
{
    uint8_t space[64];
    struct datagram ack = {.type = MSG_ACK, .nonce = 5, .ms = 750, .coordinate = {{1, 2, 3, [10] = 9}}}, back;
    static const struct gossip_coordinate none;
    (void)state;
    for (uint8_t version = 1; version <= 2; version++) {
        struct wr w = wr_init(space, sizeof space);
        ack.version = version;
        datagram_encode(&w, &ack);
        assert_int_equal(wr_len(&w), 2 + 8 + 16 + 2 + (version == 2 ? GOSSIP_COORDINATE_BYTES : 0));
        assert_int_equal(datagram_decode(&back, wr_done(&w)), ERR_OK);
        assert_int_equal(back.version, version);
        assert_int_equal(back.ms, 750);
        assert_memory_equal(&back.coordinate, version == 2 ? &ack.coordinate : &none, sizeof none);
        assert_int_equal(datagram_decode(&back, bytes_of(space, wr_len(&w) - 1)), ERR_MALFORMED);
    }
}

/* G11, G39: what a header claims is checked against what is there and what is allowed; nothing is allocated.
 */
static void sizes_and_counts_are_capped(void **state)
{
    uint8_t space[128];
    struct wr w = wr_init(space, sizeof space);
    struct datagram d;
    struct bulk b;
    (void)state;
    static const uint8_t get_many[] = {1, MSG_GET, 255}, get_none[] = {1, MSG_GET, 0};
    assert_int_equal(datagram_decode(&d, bytes_of(get_many, 3)), ERR_MALFORMED);
    assert_int_equal(datagram_decode(&d, bytes_of(get_none, 3)), ERR_MALFORMED);
    static const uint8_t empty_record[] = {1, MSG_PUSH, RUMOR_RECORD, 0, 0, 0};
    assert_int_equal(datagram_decode(&d, bytes_of(empty_record, 6)), ERR_MALFORMED);
    struct rumor_item huge = {.type = RUMOR_NOTICE, .record_bytes = GOSSIP_RECORD_MAX + 1};
    datagram_encode(&w, &(struct datagram){.type = MSG_PUSH});
    rumor_item_encode(&w, &huge);
    assert_int_equal(datagram_decode(&d, wr_done(&w)), ERR_MALFORMED);
    static const uint8_t sync_bits[] = {1, MSG_SYNC, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 30};
    assert_int_equal(bulk_decode(&b, bytes_of(sync_bits, sizeof sync_bits)), ERR_MALFORMED);
    static const uint8_t docs[] = {1, MSG_STATE, 0, 0, 0, 0, 0, 0, 0, 1, 255, 0};
    assert_int_equal(bulk_decode(&b, bytes_of(docs, sizeof docs)), ERR_MALFORMED);
    static const uint8_t fetch_none[] = {1, MSG_FETCH};
    assert_int_equal(bulk_decode(&b, bytes_of(fetch_none, 2)), ERR_MALFORMED);
}

static void a_sync_and_its_answers(void **state)
{
    uint8_t space[2000], digests[16] = {1}, docs[DOC_BYTES] = {3}, listed[1] = {2};
    struct bulk b = {.type = MSG_SYNC,
                     .salt = 77,
                     .bits = 1,
                     .record = bytes_str("own"),
                     .digests = bytes_of(digests, 16)},
                back;
    struct wr w = wr_init(space, sizeof space);
    (void)state;
    b.docs = bytes_of(docs, DOC_BYTES);
    bulk_encode(&w, &b);
    assert_int_equal(bulk_decode(&back, wr_done(&w)), ERR_OK);
    assert_true(back.salt == 77 && back.bits == 1 && bytes_eq_str(back.record, "own") &&
                back.docs.len == DOC_BYTES);

    struct list_entry le = {id_of(9), 4, 5, {{6}}, GOSSIP_DEAD, 3600, 700}, le_back;
    b = (struct bulk){
        .type = MSG_LIST, .salt = 78, .bits = 2, .flags = STATE_LAST, .listed = bytes_of(listed, 1)};
    w = wr_init(space, sizeof space);
    bulk_encode(&w, &b);
    list_entry_encode(&w, &le);
    assert_int_equal(bulk_decode(&back, wr_done(&w)), ERR_OK);
    assert_true(listed_has(back.listed, 1) && !listed_has(back.listed, 0) && !listed_has(back.listed, 99));
    struct rd r = rd_init(back.entries);
    assert_true(list_entry_next(&r, &le_back) && le_back.state == GOSSIP_DEAD && le_back.age_s == 3600 &&
                rd_done(&r));
    assert_int_equal(le_back.record_bytes, 700);
    space[wr_len(&w) - 7] = 4; /* a state that does not exist */
    assert_int_equal(bulk_decode(&back, wr_done(&w)), ERR_MALFORMED);
}

static void digests_of_ranges(void **state)
{
    uint8_t space[400], docs[DOC_BYTES] = {3}, more[4 + 16] = {0};
    struct datagram d = {
        .type = MSG_DIGEST, .nonce = 5, .docs = bytes_of(docs, DOC_BYTES), .depth = 6, .width = 1};
    struct datagram back;
    struct wr w = wr_init(space, sizeof space);
    (void)state;
    datagram_encode(&w, &d);
    size_t head = wr_len(&w);
    assert_int_equal(datagram_decode(&back, wr_done(&w)), ERR_MALFORMED); /* of no range */
    for (uint32_t prefix = 62; prefix < 64; prefix++) {
        wr_be32(&w, prefix);
        wr_be64(&w, 1);
        wr_be64(&w, 2);
    }
    assert_int_equal(datagram_decode(&back, wr_done(&w)), ERR_OK);
    assert_true(back.nonce == 5 && back.depth == 6 && back.width == 1 && back.ranges == 2 &&
                back.docs.len == DOC_BYTES);
    assert_int_equal(datagram_decode(&back, bytes_of(space, wr_len(&w) - 1)), ERR_MALFORMED);
    space[head + 3] = 64; /* seven bits, where six name the range */
    assert_int_equal(datagram_decode(&back, wr_done(&w)), ERR_MALFORMED);
    space[head + 3] = 62;
    for (int i = 0; i < RANGES_MAX; i++)
        wr_bytes(&w, more, sizeof more);
    assert_int_equal(datagram_decode(&back, wr_done(&w)), ERR_MALFORMED); /* too many ranges */
    static const uint8_t deep[] = {1, MSG_DIGEST, 0, 0, 0, 0, 0, 0, 0, 1, 0, 24, 1, 0, 0, 0, 0};
    assert_int_equal(datagram_decode(&back, bytes_of(deep, sizeof deep)), ERR_MALFORMED);
}

static void a_range_lists_its_members(void **state)
{
    uint8_t space[400], prefixes[8] = {0, 0, 0, 3, 0, 0, 0, 7};
    struct datagram d = {.type = MSG_RANGE, .nonce = 5, .depth = 3, .prefixes = bytes_of(prefixes, 8)}, back;
    struct list_entry e = {id_of(9), 4, 5, {{6}}, GOSSIP_SUSPECT, 1, 700}, e_back;
    struct wr w = wr_init(space, sizeof space);
    (void)state;
    datagram_encode(&w, &d);
    list_entry_encode(&w, &e);
    assert_int_equal(datagram_decode(&back, wr_done(&w)), ERR_OK);
    struct rd r = rd_init(back.entries);
    assert_true(back.ranges == 2 && list_entry_next(&r, &e_back) && e_back.record_bytes == 700 &&
                rd_done(&r));
    for (size_t cut = 1; cut < LIST_ENTRY_BYTES; cut++)
        assert_int_equal(datagram_decode(&back, bytes_of(space, wr_len(&w) - cut)), ERR_MALFORMED);
    space[wr_len(&w) - 2] = 0xff; /* a record of 65 kB */
    assert_int_equal(datagram_decode(&back, wr_done(&w)), ERR_MALFORMED);
}

/* G38: a message cut anywhere gives no record at all, or (between two entries) only whole ones. */
static void a_cut_state_has_only_whole_records(void **state)
{
    uint8_t space[400];
    struct wr w = wr_init(space, sizeof space);
    struct bulk b = {.type = MSG_STATE}, back;
    int whole = 0;
    (void)state;
    bulk_encode(&w, &b);
    for (int i = 0; i < 5; i++)
        state_entry_encode(&w, &(struct state_entry){GOSSIP_ALIVE, 0, bytes_str("a record of some bytes")});
    for (size_t len = 0; len <= wr_len(&w); len++)
        if (bulk_decode(&back, bytes_of(space, len)) == ERR_OK) {
            assert_int_equal(back.entries.len % (STATE_ENTRY_BYTES + 22), 0);
            whole++;
        }
    assert_int_equal(whole, 6);
}

static void documents_travel_with_their_numbers(void **state)
{
    uint8_t space[200];
    struct wr w = wr_init(space, sizeof space);
    struct bulk b = {.type = MSG_DOC, .doc = {7, 1, 2, {{3}}}}, back;
    (void)state;
    bulk_encode(&w, &b);
    wr_bytes(&w, "text", 4);
    assert_int_equal(bulk_decode(&back, wr_done(&w)), ERR_OK);
    assert_true(back.doc.kind == 7 && back.doc.version == 2 && bytes_eq_str(back.document, "text"));
    w = wr_init(space, sizeof space);
    b.type = MSG_DOC_GET;
    bulk_encode(&w, &b);
    assert_int_equal(wr_len(&w), 2 + 1 + 32);
    assert_int_equal(bulk_decode(&back, wr_done(&w)), ERR_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_ping_carries_rumors_of_every_type),
        cmocka_unit_test(a_cut_message_is_refused),
        cmocka_unit_test(other_versions_types_and_lanes_are_refused),
        cmocka_unit_test(an_opinion_has_a_reason_from_version_2_on),
        cmocka_unit_test(an_ack_says_where_its_sender_is_from_version_2_on),
        cmocka_unit_test(sizes_and_counts_are_capped),
        cmocka_unit_test(a_sync_and_its_answers),
        cmocka_unit_test(digests_of_ranges),
        cmocka_unit_test(a_range_lists_its_members),
        cmocka_unit_test(a_cut_state_has_only_whole_records),
        cmocka_unit_test(documents_travel_with_their_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
