/* A record: what a node says of itself. It rises by (incarnation, version).
 *   body       [credential, incarnation, version, left, draining, [addr, ...], features, policy, [service, ...]], and in
 *              layout 2 [..., coordinate, root epoch, failed, parts, rollout, overlay, and whatever later versions add]
 *   addr       6 bytes (IPv4, be16 port) or 18 bytes (IPv6, be16 port); a mapped IPv4 address takes the short form
 *   features   bits 8 to 15: protocol_min - 1, 16 to 23: protocol_max - 1, 24 to 27: link_min - 1, 28 to 31: link_max - 1, so that
 *              layout 1 can say it
 *   policy     [] when none is in force, else [epoch, version, hash]
 *   service    [name, port, protocol, healthy, {label}]      rising by name
 *   coordinate empty, or 11 bytes that are not all zero
 *   parts      [] or [sum, hash]: the delegates' parts that the host holds, as one document
 *   rollout    [] or [epoch, version, halted, 4 of before, 4 of after], the 4: requests, errors, denied, p99 in us
 *   overlay    [] or [epoch, version, ends, in force]: the newest break-glass that the host holds
 *   failed     [] or [epoch, version, reason, words]: the newest policy that the host could not take */
#include "trust/body.h"

enum {
    ADDR4_BYTES = 6,
    ADDR6_BYTES = 18,
    V4_AT = 12,
    ELEMENTS_1 = 9,  /* of layout 1 */
    ELEMENTS_2 = 11, /* ... and the last of these that says something: */
    ELEMENT_FAILED = 12,
    ELEMENT_PARTS = 13,
    ELEMENT_ROLLOUT = 14,
    ELEMENT_OVERLAY = 15, /* the last that is known */
    ROLLOUT_ELEMENTS = 11,
    PROTOCOL_MIN_SHIFT = 8,
    PROTOCOL_MAX_SHIFT = 16,
    LINK_MIN_SHIFT = 24,
    LINK_MAX_SHIFT = 28,
};

static void put_addr(struct buf *out, const struct addr *a)
{
    uint8_t space[ADDR6_BYTES];
    struct wr w = wr_init(space, sizeof space);
    wr_addr(&w, a);
    if (addr_is_v4(a))
        codec_put_bin(out, bytes_of(space + V4_AT, ADDR4_BYTES));
    else
        codec_put_bin(out, wr_done(&w));
}

static void read_addr(struct codec *c, struct addr *out)
{
    static const struct addr v4_start = {.ip = {[10] = 0xff, [11] = 0xff}};
    struct bytes b = codec_bin(c, "record.addresses", ADDR4_BYTES, ADDR6_BYTES);
    if (!codec_ok(c))
        return;
    bool is_short = b.len == ADDR4_BYTES;
    if (!is_short && b.len != ADDR6_BYTES) {
        codec_refuse(c, ERR_MALFORMED, "record.addresses", "neither 6 nor 18 bytes");
        return;
    }
    *out = v4_start;
    memcpy(out->ip + (is_short ? V4_AT : 0), b.at, b.len - 2);
    out->port = load_be16(b.at + b.len - 2);
    if (is_short != addr_is_v4(out))
        codec_refuse(c, ERR_MALFORMED, "record.addresses", "an IPv4 address in its long form");
    else if (!addr_is_dialable(out)) /* ADVERSARY G16 */
        codec_refuse(c, ERR_DENIED, "record.addresses", "one that no peer may dial");
}

static void put_policy(struct buf *out, const struct record *r)
{
    bool none = r->policy_epoch == 0 && r->policy_version == 0;
    codec_put_array(out, none ? 0 : 3);
    if (none)
        return;
    codec_put_u64(out, r->policy_epoch);
    codec_put_u64(out, r->policy_version);
    codec_put_bin(out, bytes_of(r->policy_hash.b, HASH_BYTES));
}

static void read_policy(struct codec *c, struct record *r)
{
    size_t count = codec_array(c, "record.policy", 0, 3);
    if (count == 0)
        return;
    if (count != 3)
        codec_refuse(c, ERR_MALFORMED, "record.policy", "neither 0 nor 3 elements");
    r->policy_epoch = codec_u64(c, "record.policy", NUMBER_MAX);
    r->policy_version = codec_u64(c, "record.policy", NUMBER_MAX);
    codec_bin_copy(c, "record.policy", r->policy_hash.b, HASH_BYTES);
    if (r->policy_epoch == 0 && r->policy_version == 0)
        codec_refuse(c, ERR_MALFORMED, "record.policy", "none, in the long form");
}

static void put_service(struct buf *out, const struct record_service *s)
{
    codec_put_array(out, 5);
    body_put_text(out, s->name);
    codec_put_u64(out, s->port);
    codec_put_u64(out, s->protocol);
    codec_put_bool(out, s->healthy);
    body_put_labels(out, &s->labels);
}

static void read_service(struct codec *c, struct record_service *s)
{
    codec_array(c, "record.services", 5, 5);
    s->name = body_name(c, "record.services.name", SERVICE_NAME_MAX);
    s->port = (uint16_t)codec_u64(c, "record.services.port", UINT16_MAX);
    s->protocol = (uint8_t)codec_u64(c, "record.services.protocol", PROTOCOL_HTTP);
    s->healthy = codec_bool(c, "record.services.healthy");
    body_labels(c, "record.services.labels", &s->labels);
    if (s->port == 0)
        codec_refuse(c, ERR_MALFORMED, "record.services.port", "zero");
}

static int by_name(const void *a, const void *b)
{
    const struct record_service *const *x = a, *const *y = b;
    return codec_cmp((*x)->name, (*y)->name);
}

static void put_services(struct buf *out, const struct record *r)
{
    const struct record_service *sorted[RECORD_SERVICES_MAX];
    for (size_t i = 0; i < r->service_count; i++)
        sorted[i] = &r->service[i];
    qsort(sorted, r->service_count, sizeof *sorted, by_name);
    codec_put_array(out, r->service_count);
    for (size_t i = 0; i < r->service_count; i++)
        put_service(out, sorted[i]);
}

static void read_services(struct codec *c, struct record *r)
{
    r->service_count = codec_array(c, "record.services", 0, RECORD_SERVICES_MAX);
    for (size_t i = 0; i < r->service_count && codec_ok(c); i++) {
        r->service[i] = (struct record_service){0};
        read_service(c, &r->service[i]);
        if (i > 0 && codec_cmp(r->service[i - 1].name, r->service[i].name) >= 0)
            codec_refuse(c, ERR_MALFORMED, "record.services.name", "repeats or is not in order");
    }
}

enum { PROTOCOL_MASK = 0xff, LINK_MASK = 0xf };
static const uint32_t version_bits =
    (uint32_t)PROTOCOL_MASK << PROTOCOL_MIN_SHIFT | (uint32_t)PROTOCOL_MASK << PROTOCOL_MAX_SHIFT |
    (uint32_t)LINK_MASK << LINK_MIN_SHIFT | (uint32_t)LINK_MASK << LINK_MAX_SHIFT;

/* A version, from 1 on, among the features; and back. */
static uint32_t bits_of_version(unsigned version, uint32_t mask, unsigned shift)
{
    return version > 1 ? ((version - 1) & mask) << shift : 0;
}

static unsigned version_of_bits(uint32_t bits, uint32_t mask, unsigned shift)
{
    return (bits >> shift & mask) + 1;
}

static void put_features(struct buf *out, const struct record *r)
{
    codec_put_u64(out, (r->features & ~version_bits) |
                           bits_of_version(r->protocol_min, PROTOCOL_MASK, PROTOCOL_MIN_SHIFT) |
                           bits_of_version(r->protocol_max, PROTOCOL_MASK, PROTOCOL_MAX_SHIFT) |
                           bits_of_version(r->link_min, LINK_MASK, LINK_MIN_SHIFT) |
                           bits_of_version(r->link_max, LINK_MASK, LINK_MAX_SHIFT));
}

static void read_features(struct codec *c, struct record *r)
{
    uint32_t bits = (uint32_t)codec_u64(c, "record.features", UINT32_MAX);
    r->protocol_min = (uint16_t)version_of_bits(bits, PROTOCOL_MASK, PROTOCOL_MIN_SHIFT);
    r->protocol_max = (uint16_t)version_of_bits(bits, PROTOCOL_MASK, PROTOCOL_MAX_SHIFT);
    r->link_min = (uint8_t)version_of_bits(bits, LINK_MASK, LINK_MIN_SHIFT);
    r->link_max = (uint8_t)version_of_bits(bits, LINK_MASK, LINK_MAX_SHIFT);
    r->features = bits & ~version_bits;
}

static bool has_coordinate(const struct record *r)
{
    static const uint8_t none[RECORD_COORDINATE_BYTES];
    return memcmp(r->coordinate, none, sizeof none) != 0;
}

static void put_failed(struct buf *out, const struct record_failed *f)
{
    bool none = f->reason.len == 0;
    codec_put_array(out, none ? 0 : 4);
    if (none)
        return;
    codec_put_u64(out, f->epoch);
    codec_put_u64(out, f->version);
    body_put_text(out, f->reason);
    body_put_text(out, f->words);
}

/* What another host says of itself is shown to operators: no byte that a terminal would obey. */
static struct bytes read_plain(struct codec *c, const char *field, size_t max)
{
    struct bytes text = codec_str(c, field, max);
    for (size_t i = 0; i < text.len; i++)
        if (text.at[i] < ' ' || text.at[i] > '~')
            codec_refuse(c, ERR_MALFORMED, field, "not printable ASCII");
    return text;
}

static void read_failed(struct codec *c, struct record_failed *f)
{
    size_t count = codec_array(c, "record.failed", 0, 4);
    if (count == 0)
        return;
    if (count != 4)
        codec_refuse(c, ERR_MALFORMED, "record.failed", "neither 0 nor 4 elements");
    f->epoch = codec_u64(c, "record.failed", NUMBER_MAX);
    f->version = codec_u64(c, "record.failed", NUMBER_MAX);
    f->reason = body_name(c, "record.failed", RECORD_REASON_MAX);
    f->words = read_plain(c, "record.failed", RECORD_WORDS_MAX);
}

static void put_parts(struct buf *out, const struct record *r)
{
    codec_put_array(out, r->parts_sum ? 2 : 0);
    if (r->parts_sum == 0)
        return;
    codec_put_u64(out, r->parts_sum);
    codec_put_bin(out, bytes_of(r->parts_hash.b, HASH_BYTES));
}

static void read_parts(struct codec *c, struct record *r)
{
    size_t count = codec_array(c, "record.parts", 0, 2);
    if (count == 0)
        return;
    if (count != 2)
        codec_refuse(c, ERR_MALFORMED, "record.parts", "neither 0 nor 2 elements");
    r->parts_sum = codec_u64(c, "record.parts", NUMBER_MAX);
    codec_bin_copy(c, "record.parts", r->parts_hash.b, HASH_BYTES);
    if (r->parts_sum == 0)
        codec_refuse(c, ERR_MALFORMED, "record.parts", "none, in the long form");
}

static void put_count(struct buf *out, const struct record_count *n)
{
    codec_put_u64(out, n->requests);
    codec_put_u64(out, n->errors);
    codec_put_u64(out, n->denied);
    codec_put_u64(out, n->p99_us);
}

static void read_count(struct codec *c, struct record_count *n)
{
    n->requests = codec_u64(c, "record.rollout.requests", NUMBER_MAX);
    n->errors = codec_u64(c, "record.rollout.errors", n->requests);
    n->denied = codec_u64(c, "record.rollout.denied", n->requests);
    n->p99_us = codec_u64(c, "record.rollout.p99", NUMBER_MAX);
}

static void put_rollout(struct buf *out, const struct record_rollout *r)
{
    codec_put_array(out, r->version == 0 ? 0 : ROLLOUT_ELEMENTS);
    if (r->version == 0)
        return;
    codec_put_u64(out, r->epoch);
    codec_put_u64(out, r->version);
    codec_put_bool(out, r->halted);
    put_count(out, &r->before);
    put_count(out, &r->after);
}

static void read_rollout(struct codec *c, struct record_rollout *r)
{
    size_t count = codec_array(c, "record.rollout", 0, ROLLOUT_ELEMENTS);
    if (count == 0)
        return;
    if (count != ROLLOUT_ELEMENTS)
        codec_refuse(c, ERR_MALFORMED, "record.rollout", "neither 0 nor 11 elements");
    r->epoch = codec_u64(c, "record.rollout", NUMBER_MAX);
    r->version = codec_u64(c, "record.rollout", NUMBER_MAX);
    r->halted = codec_bool(c, "record.rollout");
    read_count(c, &r->before);
    read_count(c, &r->after);
    if (r->version == 0)
        codec_refuse(c, ERR_MALFORMED, "record.rollout", "none, in the long form");
}

static void put_overlay(struct buf *out, const struct record_overlay *o)
{
    codec_put_array(out, o->version == 0 ? 0 : 4);
    if (o->version == 0)
        return;
    codec_put_u64(out, o->epoch);
    codec_put_u64(out, o->version);
    body_put_time(out, o->ends);
    codec_put_bool(out, o->in_force);
}

static void read_overlay(struct codec *c, struct record_overlay *o)
{
    size_t count = codec_array(c, "record.overlay", 0, 4);
    if (count == 0)
        return;
    if (count != 4)
        codec_refuse(c, ERR_MALFORMED, "record.overlay", "neither 0 nor 4 elements");
    o->epoch = codec_u64(c, "record.overlay", NUMBER_MAX);
    o->version = codec_u64(c, "record.overlay", NUMBER_MAX);
    o->ends = body_time(c, "record.overlay");
    o->in_force = codec_bool(c, "record.overlay");
    if (o->version == 0)
        codec_refuse(c, ERR_MALFORMED, "record.overlay", "none, in the long form");
}

/* What says nothing at the end is left out, so that records stay short, and as they were before there was more to say. */
static size_t elements_2(const struct record *r)
{
    if (r->unknown_count > 0)
        return ELEMENT_OVERLAY + r->unknown_count;
    if (r->overlay.version > 0)
        return ELEMENT_OVERLAY;
    if (r->rollout.version > 0)
        return ELEMENT_ROLLOUT;
    return r->parts_sum > 0 ? ELEMENT_PARTS : r->failed.reason.len > 0 ? ELEMENT_FAILED : ELEMENTS_2;
}

static void put_layout_2(struct buf *out, const struct record *r, size_t elements)
{
    codec_put_bin(out, bytes_of(r->coordinate, has_coordinate(r) ? sizeof r->coordinate : 0));
    codec_put_u64(out, r->root_epoch);
    if (elements >= ELEMENT_FAILED)
        put_failed(out, &r->failed);
    if (elements >= ELEMENT_PARTS)
        put_parts(out, r);
    if (elements >= ELEMENT_ROLLOUT)
        put_rollout(out, &r->rollout);
    if (elements >= ELEMENT_OVERLAY)
        put_overlay(out, &r->overlay);
    codec_put_unknown(out, r->unknown);
}

static void read_layout_2(struct codec *c, struct record *r, size_t elements)
{
    struct bytes at = codec_bin(c, "record.coordinate", 0, RECORD_COORDINATE_BYTES);
    if (at.len == RECORD_COORDINATE_BYTES)
        memcpy(r->coordinate, at.at, at.len);
    if (at.len > 0 && !has_coordinate(r))
        codec_refuse(c, ERR_MALFORMED, "record.coordinate",
                     "neither empty nor 11 bytes that are not all zero");
    r->root_epoch = codec_u64(c, "record.root_epoch", NUMBER_MAX);
    if (elements >= ELEMENT_FAILED)
        read_failed(c, &r->failed);
    if (elements >= ELEMENT_PARTS)
        read_parts(c, r);
    if (elements >= ELEMENT_ROLLOUT)
        read_rollout(c, &r->rollout);
    if (elements >= ELEMENT_OVERLAY)
        read_overlay(c, &r->overlay);
    r->unknown_count = elements > ELEMENT_OVERLAY ? elements - ELEMENT_OVERLAY : 0;
    if (elements != elements_2(r))
        codec_refuse(c, ERR_MALFORMED, "record", "ends with an element that says nothing");
    r->unknown = codec_unknown(c, "record.unknown", r->unknown_count);
}

static void record_encode(struct buf *out, const struct record *r)
{
    codec_put_array(out, r->layout < 2 ? ELEMENTS_1 : elements_2(r));
    codec_put_bin(out, r->credential.bytes);
    codec_put_u64(out, r->incarnation);
    codec_put_u64(out, r->version);
    codec_put_bool(out, r->left);
    codec_put_bool(out, r->draining);
    codec_put_array(out, r->addr_count);
    for (size_t i = 0; i < r->addr_count; i++)
        put_addr(out, &r->addr[i]);
    put_features(out, r);
    put_policy(out, r);
    put_services(out, r);
    if (r->layout >= 2)
        put_layout_2(out, r, elements_2(r));
}

/* All of a record that is read before it is known to be authentic. */
static struct bytes read_credential(struct codec *c, size_t *elements)
{
    *elements = codec_array(c, "record", ELEMENTS_1, ELEMENT_OVERLAY + RECORD_UNKNOWN_MAX);
    if (*elements > ELEMENTS_1 && *elements < ELEMENTS_2)
        codec_refuse(c, ERR_MALFORMED, "record", "too few elements for layout 2");
    return codec_bin(c, "record.credential", 1, CREDENTIAL_BYTES_MAX);
}

void record_decode(struct codec *c, struct record *r)
{
    size_t elements;
    read_credential(c, &elements);
    r->layout = elements > ELEMENTS_1 ? 2 : 1;
    r->incarnation = codec_u64(c, "record.incarnation", UINT64_MAX);
    r->version = codec_u64(c, "record.version", UINT64_MAX);
    r->left = codec_bool(c, "record.left");
    r->draining = codec_bool(c, "record.draining");
    r->addr_count = codec_array(c, "record.addresses", 0, RECORD_ADDRS_MAX);
    for (size_t i = 0; i < r->addr_count && codec_ok(c); i++)
        read_addr(c, &r->addr[i]);
    read_features(c, r);
    read_policy(c, r);
    read_services(c, r);
    if (r->layout == 2)
        read_layout_2(c, r, elements);
}

/* As record_judge(): room for services that it does not have is not cleared. */
void record_reopen(struct record *out, struct bytes envelope)
{
    struct envelope e;
    size_t elements;
    enum err err = envelope_parse(&e, envelope);
    assert(err == ERR_OK); /* it was accepted */
    memset(out, 0, offsetof(struct record, service));
    struct codec outer = codec_of(e.body), c = codec_of(e.body);
    credential_reopen(&out->credential, read_credential(&outer, &elements));
    record_decode(&c, out);
    assert(codec_ok(&c));
}

enum err record_create_why(struct buf *out, const struct record *r, const struct sign_key *identity,
                           struct refusal *why)
{
    assert(r->service_count <= RECORD_SERVICES_MAX && r->addr_count <= RECORD_ADDRS_MAX);
    struct buf body = {0};
    struct record back = {0};
    record_encode(&body, r);
    struct codec c = codec_of(buf_bytes(&body));
    record_decode(&c, &back);
    enum err err =
        body_seal(out, ENVELOPE_RECORD, &body, codec_end(&c, why), &identity, 1, RECORD_BYTES_MAX, why);
    buf_fini(&body);
    return err;
}

enum err record_create(struct buf *out, const struct record *r, const struct sign_key *identity)
{
    return record_create_why(out, r, identity, NULL);
}

/* The credential first; then the record's raw bytes by the credential's key; nothing else is read before
 * that. */
static enum err check_owner(const struct judging *j, bool vouched, const struct envelope *e,
                            struct credential *owner)
{
    struct codec c = codec_of(e->body);
    size_t elements;
    struct bytes inside = read_credential(&c, &elements);
    if (!codec_ok(&c)) /* the rest of the body stays unread; only these two were asked */
        return body_refuse(j->why, c.err, c.why.field, c.why.reason);
    enum err err = credential_judge(j, vouched, inside, owner);
    if (err || vouched)
        return err;
    if (e->sig_count != 1)
        return body_refuse(j->why, ERR_AUTH, "record.signatures", "more than its owner's");
    struct role by = {1, 1, {owner->id}};
    return body_verify(e, ENVELOPE_RECORD, &by, "record.signatures", "not by its credential's identity key",
                       j->why);
}

static enum err open_body(struct record *r, struct bytes body, struct refusal *why)
{
    struct codec c = codec_of(body);
    record_decode(&c, r);
    for (size_t i = 0; i < r->service_count && codec_ok(&c); i++)
        if (!credential_allows(&r->credential, r->service[i].name))
            codec_refuse(&c, ERR_DENIED, "record.services", "one that its credential does not allow");
    return codec_end(&c, why);
}

/* Each record is read several times, and most have a service or two: room for all of them is neither cleared nor copied, which would be
 * 17 KiB each time. */
enum err record_judge(const struct judging *j, struct bytes envelope, struct record *out)
{
    struct envelope e;
    struct record r;
    if (envelope.len > RECORD_BYTES_MAX)
        return body_refuse(j->why, ERR_MALFORMED, "record", "too long");
    enum err err = envelope_parse_why(&e, envelope, j->why);
    if (!err)
        err = body_type(&e, ENVELOPE_RECORD, "not a record", j->why);
    if (err)
        return err;
    memset(&r, 0, offsetof(struct record, service));
    if (j->seen)
        r.hash = hash_of(envelope);
    bool vouched = j->seen && cache_knows(j->seen, &r.hash, j->now);
    err = check_owner(j, vouched, &e, &r.credential);
    if (!err)
        err = open_body(&r, e.body, j->why);
    if (!err && j->seen && !vouched)
        cache_learn(j->seen, &r.hash, r.credential.expires, j->now);
    if (!err)
        memcpy(out, &r, offsetof(struct record, service) + r.service_count * sizeof r.service[0]);
    return err;
}

enum err trust_record_why(const struct trust *t, struct bytes envelope, wall_s now, struct record *out,
                          struct refusal *why)
{
    struct judging j = judging_by(t, NULL, now, why);
    return record_judge(&j, envelope, out);
}

enum err trust_record(const struct trust *t, struct bytes envelope, wall_s now, struct record *out)
{
    return trust_record_why(t, envelope, now, out, NULL);
}
