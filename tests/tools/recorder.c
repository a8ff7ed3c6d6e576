/* Writes down one conversation of this build, in its newest protocol version, for tests/vectors/: what a host says in
 * each message of the protocol, its record and credential, and how it begins links and sessions. Run it before bytes
 * change; keep what it wrote, and tests/unit/control_versions.c plays it to every later build.
 *
 *   recorder > tests/vectors/protocol-N.txt */
#include "gossip/message.h"
#include "http/message.h"
#include "link/cookie.h"
#include "link/link.h"
#include "link/udp.h"
#include "mux/frame.h"
#include "noise/noise.h"
#include "tests/unit/recording.h"

enum { LINE_BYTES = 32, DAY_S = 24 * 3600, LIFE_S = 365 * DAY_S };

static struct recording_host host[RECORDING_HOSTS];
static struct buf credential[RECORDING_HOSTS], record[RECORDING_HOSTS];
static const struct hash document_hash = {{0xd0, 0xc}};

static void put(const char *name, struct bytes b)
{
    printf("%s\n", name);
    for (size_t i = 0; i < b.len; i += LINE_BYTES) {
        printf("   ");
        for (size_t k = i; k < b.len && k < i + LINE_BYTES; k++)
            printf(" %02x", b.at[k]);
        putchar('\n');
    }
}

/* ---- what is signed ---- */

static void make_root(struct buf *out, const struct sign_key *root_key, const struct sign_key *enrol)
{
    struct root r = {.mesh = bytes_str(RECORDING_MESH),
                     .epoch = 1,
                     .root = {1, 1, {root_key->pub}},
                     .policy = {1, 1, {root_key->pub}},
                     .enrol = {1, 1, {enrol->pub}}};
    recording_must(root_create(out, &r, &root_key, 1) == ERR_OK);
}

static void make_credential(int h, const struct sign_key *enrol)
{
    char name[] = "host-a";
    name[5] = (char)('a' + h);
    struct credential c = {.mesh = bytes_str(RECORDING_MESH),
                           .node = bytes_str(name),
                           .id = host[h].sign.pub,
                           .service_count = 2,
                           .service = {bytes_str("cart"), bytes_str("web")},
                           .not_before = RECORDING_WALL - DAY_S,
                           .expires = (wall_s)RECORDING_WALL + LIFE_S};
    memcpy(c.noise_key, host[h].noise.pub, 32);
    recording_must(labels_add(&c.labels, bytes_str("zone"), bytes_str("eu-1a")) == ERR_OK &&
                   credential_create(&credential[h], &c, bytes_of(NULL, 0), enrol) == ERR_OK);
}

static void make_record(int h)
{
    struct record r = {.incarnation = 7,
                       .version = 2,
                       .addr_count = 2,
                       .addr = {host[h].addr},
                       .features = FEATURE_AESGCM,
                       .protocol_min = GOSSIP_PROTOCOL_MIN,
                       .protocol_max = GOSSIP_PROTOCOL_MAX,
                       .link_min = LINK_VERSION_OLDEST,
                       .link_max = LINK_VERSION_NEWEST,
                       .layout = 2,
                       .coordinate = {0, 1, 0xff, 0xff, 0, 0, 0, 2, 0, 15, 17},
                       .root_epoch = 1,
                       .policy_epoch = 1,
                       .policy_version = 9,
                       .policy_hash = document_hash,
                       .service_count = 2};
    r.credential.bytes = buf_bytes(&credential[h]);
    recording_must(addr_parse(&r.addr[1], "[2001:db8::1]:7400", 0));
    r.service[0] = (struct record_service){
        .name = bytes_str("web"), .port = 8080, .protocol = PROTOCOL_HTTP, .healthy = true};
    r.service[1] = (struct record_service){.name = bytes_str("cart"), .port = 9000, .protocol = PROTOCOL_TCP};
    recording_must(labels_add(&r.service[0].labels, bytes_str("version"), bytes_str("1")) == ERR_OK &&
                   record_create(&record[h], &r, &host[h].sign) == ERR_OK);
}

static void put_signed(void)
{
    struct sign_key root_key = recording_key('R'), enrol = recording_key('E');
    struct buf root = {0};
    char name[] = "credential of a";
    make_root(&root, &root_key, &enrol);
    put("root", buf_bytes(&root));
    for (int h = 0; h < RECORDING_HOSTS; h++) {
        host[h] = recording_host(h);
        make_credential(h, &enrol);
        make_record(h);
        name[14] = (char)('a' + h);
        put(name, buf_bytes(&credential[h]));
    }
    put("record of a", buf_bytes(&record[0]));
    put("record of b", buf_bytes(&record[1]));
    put("record of c", buf_bytes(&record[2]));
    buf_fini(&root);
}

/* ---- links and sessions ---- */

static struct bytes first_message(const struct noise_pattern *pattern, struct bytes prologue,
                                  struct bytes payload, uint8_t *out, size_t cap)
{
    static struct noise_handshake hs;
    size_t len = 0;
    struct noise_setup setup = {.pattern = pattern,
                                .initiator = true,
                                .prologue = prologue,
                                .s_sec = host[0].noise.sec,
                                .rs = pattern == &noise_ik ? host[1].noise.pub : NULL,
                                .e_sec = recording_ephemeral};
    recording_must(noise_handshake_init(&hs, &setup) == ERR_OK &&
                   noise_handshake_write(&hs, payload, out, cap, &len) == ERR_OK);
    return bytes_of(out, len);
}

/* A bulk link to b. ChaChaPoly, which every host can. */
static void put_link(const char *name, bool knows_b)
{
    uint8_t space[256], message[4096], out[4096];
    uint8_t version = link_version_with(knows_b ? LINK_VERSION_NEWEST : 0);
    uint8_t preface[LINK_PREFACE_BYTES] = {'s', 't', 'r', 'l', version, LINK_BULK, knows_b ? 2 : 1, 1};
    struct wr prologue = wr_init(space, sizeof space), w = wr_init(out, sizeof out);
    wr_bytes(&prologue, "starling", 8);
    wr_u8(&prologue, version);
    wr_bytes(&prologue, "tcp", 3);
    wr_lv16(&prologue, bytes_str(RECORDING_MESH));
    wr_bytes(&prologue, preface, sizeof preface);
    wr_bytes(&w, preface, sizeof preface);
    wr_lv16(&w,
            first_message(knows_b ? &noise_ik : &noise_xx, wr_done(&prologue),
                          knows_b ? buf_bytes(&credential[0]) : bytes_of(NULL, 0), message, sizeof message));
    put(name, wr_done(&w));
}

static void put_initiation(void)
{
    enum { PAYLOAD = UDP_INITIATION_BYTES - 8 - (32 + 48 + 16) - 2 * PRIM_MAC_BYTES };
    uint8_t payload[PAYLOAD] = {0}, message[UDP_INITIATION_BYTES], out[UDP_INITIATION_BYTES] = {0};
    uint8_t space[64];
    struct cookie_keys keys;
    struct wr p = wr_init(payload, sizeof payload), w = wr_init(out, sizeof out),
              start = wr_init(space, sizeof space);
    wr_bytes(&start, "starling", 8);
    wr_u8(&start, LINK_VERSION_NEWEST);
    wr_bytes(&start, "udp\0\14" RECORDING_MESH, 17); /* cipher 0, 12 bytes of name */
    wr_be64(&p, (uint64_t)RECORDING_WALL * 1000);
    wr_be64(&p, (uint64_t)RECORDING_WALL * 1000 + 5);
    wr_lv16(&p, buf_bytes(&credential[0]));
    wr_be32(&w, 0x01000000 | (LINK_VERSION_NEWEST - 1) << 8);
    wr_be32(&w, 0x0a0b0c0d); /* a's index */
    wr_bytes(
        &w, message,
        first_message(&noise_ik, wr_done(&start), bytes_of(payload, sizeof payload), message, sizeof message)
            .len);
    cookie_keys_init(&keys, host[1].noise.pub);
    struct bytes so_far = wr_done(&w);
    cookie_mac1(out + so_far.len, &keys, so_far);
    put("udp initiation", bytes_of(out, sizeof out));
}

/* ---- streams, and what they carry ---- */

static void put_payload(struct wr *w, enum mux_frame type, uint32_t stream, struct bytes part, size_t rest)
{
    memcpy(frame_encode_payload(w, type, stream, part.len, rest), part.at, part.len);
}

/* A whole exchange on a's stream 1, its HEAD in two parts, and another that a gives up; then b's side of it. */
static void put_frames(void)
{
    uint8_t space[256];
    struct wr w = wr_init(space, sizeof space);
    put_payload(&w, MUX_HEAD, 1, bytes_str("abc"), 2);
    put_payload(&w, MUX_HEAD, 1, bytes_str("de"), 0);
    put_payload(&w, MUX_DATA, 1, bytes_str("hello"), 0);
    put_payload(&w, MUX_TRAILERS, 1, bytes_str("t"), 0);
    frame_encode_end(&w, 1);
    put_payload(&w, MUX_HEAD, 3, bytes_str("other"), 0);
    frame_encode_reset(&w, 3, MUX_CODE_CANCEL);
    frame_encode_ping(&w, MUX_PING, 0x0102030405060708);
    put("frames of a", wr_done(&w));
    w = wr_init(space, sizeof space);
    put_payload(&w, MUX_HEAD, 1, bytes_str("answer"), 0);
    put_payload(&w, MUX_DATA, 1, bytes_str("world"), 0);
    frame_encode_window(&w, 1, 5);
    frame_encode_link_credit(&w, 5);
    frame_encode_end(&w, 1);
    frame_encode_goaway(&w);
    put("frames of b", wr_done(&w));
}

static void put_mesh(void)
{
    struct buf out = {0};
    struct mesh_call call = {.protocol = PROTOCOL_HTTP,
                             .caller = bytes_str("web"),
                             .service = bytes_str("cart"),
                             .subset = bytes_str("v1"),
                             .deadline_ms = 15000,
                             .hops = 1};
    struct http_head ask = {.method = bytes_str("GET"),
                            .authority = bytes_str("cart"),
                            .path = bytes_str("/items/7"),
                            .query = bytes_str("q=1"),
                            .minor = 1};
    struct http_head answer = {
        .is_response = true, .status = 200, .minor = 1, .body = HTTP_BODY_LENGTH, .content_length = 5};
    struct http_header header = {bytes_str("accept"), bytes_str("*/*")};
    struct mesh_verdict good = {0};
    ask.header[ask.header_count++] = header;
    recording_must(mesh_request_encode(&out, &call, &ask) == ERR_OK);
    put("request", buf_bytes(&out));
    out.len = 0;
    recording_must(mesh_response_encode(&out, &good, &answer) == ERR_OK);
    put("response", buf_bytes(&out));
    out.len = 0;
    recording_must(mesh_trailers_encode(&out, &header, 1) == ERR_OK);
    put("trailers", buf_bytes(&out));
    buf_fini(&out);
}

/* ---- gossip ---- */

static const struct doc_version doc = {.kind = 1, .epoch = 1, .version = 9, .hash = {{0xd0, 0xc}}};

static struct rumor_item opinion(enum rumor_type type)
{
    return (struct rumor_item){.type = type,
                               .layout = GOSSIP_PROTOCOL_MAX,
                               .reason = REASON_REFUSED,
                               .subject = host[2].sign.pub,
                               .accuser = host[0].sign.pub,
                               .incarnation = 7,
                               .version = 2};
}

static struct wr message_begin(uint8_t *space, size_t cap, const struct datagram *d)
{
    struct wr w = wr_init(space, cap);
    datagram_encode(&w, d);
    return w;
}

static void put_datagram(const char *name, const struct datagram *d, const struct rumor_item *rumor_or_null)
{
    uint8_t space[1100];
    struct datagram now = *d;
    now.version = d->type == MSG_ACK || rumor_or_null ? GOSSIP_PROTOCOL_MAX : GOSSIP_PROTOCOL_MIN;
    struct wr w = message_begin(space, sizeof space, &now);
    if (rumor_or_null)
        rumor_item_encode(&w, rumor_or_null);
    put(name, wr_done(&w));
}

static void put_probes(void)
{
    struct datagram d = {.nonce = 0x0102030405060708,
                         .target = host[2].sign.pub,
                         .ms = 250,
                         .coordinate = {{0, 1, 0xff, 0xff, 0, 0, 0, 2, 0, 15, 17}}};
    struct rumor_item own = {.type = RUMOR_RECORD, .hops = 255, .record = buf_bytes(&record[0])},
                      suspect = opinion(RUMOR_SUSPECT);
    static const struct {
        const char *name;
        enum message_type type;
    } plain[] = {
        {"ack", MSG_ACK}, {"ping-req", MSG_PING_REQ}, {"relayed-ack", MSG_RELAYED_ACK}, {"nack", MSG_NACK}};
    memset(d.summary.b, 0x5a, sizeof d.summary.b);
    d.type = MSG_PING;
    put_datagram("ping", &d, NULL);
    put_datagram("ping with a's record", &d, &own);
    put_datagram("ping with a suspicion", &d, &suspect);
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++) {
        d.type = plain[i].type;
        put_datagram(plain[i].name, &d, NULL);
    }
}

static void put_pushes(void)
{
    struct hash hash = hash_of(buf_bytes(&record[2]));
    struct rumor_item suspect = opinion(RUMOR_SUSPECT), dead = opinion(RUMOR_DEAD),
                      told = {.type = RUMOR_RECORD, .hops = 1, .record = buf_bytes(&record[2])},
                      document = {.type = RUMOR_DOC, .doc = doc},
                      notice = {.type = RUMOR_NOTICE,
                                .hops = 3,
                                .subject = host[2].sign.pub,
                                .incarnation = 7,
                                .version = 2,
                                .hash = hash,
                                .record_bytes = (uint16_t)record[2].len};
    struct datagram d = {.type = MSG_PUSH};
    put_datagram("push record", &d, &told);
    put_datagram("push notice", &d, &notice);
    put_datagram("push suspect", &d, &suspect);
    put_datagram("push dead", &d, &dead);
    put_datagram("push document", &d, &document);
}

static void encode_docs(uint8_t space[DOC_BYTES])
{
    struct wr w = wr_init(space, DOC_BYTES);
    doc_version_encode(&w, &doc);
}

static struct list_entry entry_of(int h)
{
    return (struct list_entry){.id = host[h].sign.pub,
                               .incarnation = 7,
                               .version = 2,
                               .hash = hash_of(buf_bytes(&record[h])),
                               .state = GOSSIP_ALIVE,
                               .age_s = 60,
                               .record_bytes = (uint16_t)record[h].len};
}

static void put_ranges(void)
{
    uint8_t docs[DOC_BYTES], space[1100], prefix[4] = {0};
    struct datagram get = {.type = MSG_GET, .ids = bytes_of(host[2].sign.pub.b, ID_BYTES)},
                    digest = {.type = MSG_DIGEST,
                              .nonce = 77,
                              .docs = bytes_of(docs, sizeof docs),
                              .width = 2},
                    range = {.type = MSG_RANGE,
                             .nonce = 77,
                             .docs = bytes_of(docs, sizeof docs),
                             .prefixes = bytes_of(prefix, sizeof prefix)};
    encode_docs(docs);
    put_datagram("get", &get, NULL);
    struct wr w = message_begin(space, sizeof space, &digest);
    wr_be32(&w, 0);
    for (uint64_t i = 0; i < 4; i++)
        wr_be64(&w, 0x1111111111111111u * i);
    put("digest", wr_done(&w));
    struct list_entry entry = entry_of(2);
    w = message_begin(space, sizeof space, &range);
    list_entry_encode(&w, &entry);
    put("range", wr_done(&w));
}

static void put_sync(struct bytes docs)
{
    uint8_t space[2048], digests[16] = {0};
    struct wr w = wr_init(space, sizeof space);
    struct bulk b = {.type = MSG_SYNC,
                     .salt = 78,
                     .docs = docs,
                     .record = buf_bytes(&record[0]),
                     .bits = 1,
                     .digests = bytes_of(digests, sizeof digests)};
    bulk_encode(&w, &b);
    put("sync", wr_done(&w));
}

static void put_answers(struct bytes docs)
{
    uint8_t space[2048], listed = 3;
    struct wr w = wr_init(space, sizeof space);
    struct bulk list = {.type = MSG_LIST,
                        .salt = 78,
                        .docs = docs,
                        .flags = STATE_LAST,
                        .bits = 1,
                        .listed = bytes_of(&listed, 1)},
                state = {.type = MSG_STATE, .salt = 78, .docs = docs, .flags = STATE_LAST | STATE_SAMPLE};
    struct list_entry entry = entry_of(2);
    bulk_encode(&w, &list);
    list_entry_encode(&w, &entry);
    put("list", wr_done(&w));
    w = wr_init(space, sizeof space);
    bulk_encode(&w, &state);
    state_entry_encode(&w, &(struct state_entry){GOSSIP_ALIVE, 60, buf_bytes(&record[2])});
    put("state", wr_done(&w));
}

static void put_requests(void)
{
    uint8_t space[2048];
    struct wr w = wr_init(space, sizeof space);
    bulk_encode(&w, &(struct bulk){.type = MSG_FETCH});
    wr_bytes(&w, host[2].sign.pub.b, ID_BYTES);
    put("fetch", wr_done(&w));
    w = wr_init(space, sizeof space);
    bulk_encode(&w, &(struct bulk){.type = MSG_DOC_GET, .doc = doc});
    put("doc-get", wr_done(&w));
    w = wr_init(space, sizeof space);
    bulk_encode(&w, &(struct bulk){.type = MSG_DOC, .doc = doc});
    wr_bytes(&w, "a policy", 8);
    put("doc", wr_done(&w));
}

int main(void)
{
    uint8_t docs[DOC_BYTES];
    recording_must(trust_init() == ERR_OK && prim_init() == ERR_OK);
    printf("# Protocol version %d, links of version %d, written by tests/tools/recorder.c; how to read it is "
           "said in "
           "tests/unit/recording.h.\n",
           GOSSIP_PROTOCOL_MAX, LINK_VERSION_NEWEST);
    puts("\n# Signed things.");
    put_signed();
    puts("\n# How a begins a link to b, and a session. The ephemeral key is in tests/unit/recording.h.");
    put_link("tcp xx", false);
    put_link("tcp ik", true);
    put_initiation();
    puts("\n# Streams, and messages on them.");
    put_frames();
    put_mesh();
    puts("\n# Gossip, datagrams.");
    put_probes();
    put_pushes();
    put_ranges();
    puts("\n# Gossip, bulk messages.");
    encode_docs(docs);
    put_sync(bytes_of(docs, sizeof docs));
    put_answers(bytes_of(docs, sizeof docs));
    put_requests();
    for (int h = 0; h < RECORDING_HOSTS; h++) {
        buf_fini(&credential[h]);
        buf_fini(&record[h]);
    }
    return 0;
}
