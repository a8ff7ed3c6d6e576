/* The mesh encodings of heads, verdicts and trailers.
 *
 *   request   u8 version=1 | u8 protocol | u8 hops | u8 flags | be32 deadline_ms | lv caller | lv service |
 * lv subset | lv trace | [lv asked] protocol 1 (http) goes on: lv method | lv authority | lv path | [lv query] | [be64
 * content_length] | headers flags: 1 query, 2 expect 100-continue, 4 upgrade to websocket, 8 asked (the only one
 * of protocol 0), 0x40 a copy, 0x30 body (enum http_body << 4)
 *
 *   response  u8 version=1 | u8 kind | u8 flags | ...
 *             kind 0, refused:       lv flag | lv reason                        (flags 0)
 *             kind 1, answered:      be16 status | [be64 content_length] | headers   (flags 4 and 0x30 as
 * above) kind 2, answered, TCP: nothing more                               (flags 0)
 *
 *   trailers  u8 version=1 | headers
 *   headers   be16 count | count * (lv name | lv value)
 *   lv        be16 length, then that many bytes
 *
 * Nothing may follow. content_length is there if the body is LENGTH. One message has one encoding. */
#include <assert.h>

#include "http/grammar.h"
#include "http/h1.h"

enum { MESH_VERSION = 1 };
enum { KIND_REFUSED, KIND_HTTP, KIND_TCP };
enum {
    FLAG_QUERY = 1,
    FLAG_EXPECT = 2,
    FLAG_UPGRADE = 4,
    FLAG_ASKED = 8,
    FLAG_MIRRORED = 0x40,
    BODY_SHIFT = 4,
    FLAG_BODY = 3 << BODY_SHIFT
};
enum {
    NAME_MAX_BYTES = 253,  /* of a service or a subset */
    TRACE_MAX_BYTES = 128, /* traceparent has 55 */
    METHOD_MAX_BYTES = 32,
    REASON_MAX_BYTES = 1024,
};
static const uint64_t LENGTH_MAX = 999999999999999999u; /* what the reader takes: 18 digits */

/* ---- encoding ---- */

static void put_headers(struct wr *w, const struct http_header *header, size_t count)
{
    wr_be16(w, (uint16_t)count);
    for (size_t i = 0; i < count; i++) {
        wr_lv16(w, header[i].name);
        wr_lv16(w, header[i].value);
    }
}

static uint8_t flags_of(const struct http_head *h)
{
    return (uint8_t)((h->query.at ? FLAG_QUERY : 0) | (h->expect_continue ? FLAG_EXPECT : 0) |
                     (h->upgrade.len ? FLAG_UPGRADE : 0) | h->body << BODY_SHIFT);
}

static void put_length(struct wr *w, const struct http_head *h)
{
    if (h->body == HTTP_BODY_LENGTH)
        wr_be64(w, h->content_length);
}

static size_t headers_size(const struct http_header *header, size_t count)
{
    size_t n = 2;
    for (size_t i = 0; i < count; i++)
        n += 4 + header[i].name.len + header[i].value.len;
    return n;
}

/* Room for exactly `size` bytes behind `out`. */
static enum err begin(struct buf *out, struct wr *w, size_t size)
{
    if (size > HTTP_MESSAGE_MAX)
        return ERR_LIMIT;
    uint8_t *to = buf_reserve(out, size);
    if (!to)
        return ERR_NOMEM;
    *w = wr_init(to, size);
    return ERR_OK;
}

static enum err commit(struct buf *out, const struct wr *w)
{
    assert(wr_ok(w) && w->at == w->end);
    out->len += wr_len(w);
    return ERR_OK;
}

static size_t lv_size(struct bytes b)
{
    return 2 + b.len;
}

static size_t request_size(const struct mesh_call *c, const struct http_head *h)
{
    size_t n = 8 + lv_size(c->caller) + lv_size(c->service) + lv_size(c->subset) + lv_size(c->trace) +
               (c->asked.len ? lv_size(c->asked) : 0);
    if (h)
        n += lv_size(h->method) + lv_size(h->authority) + lv_size(h->path) +
             (h->query.at ? lv_size(h->query) : 0) + (h->body == HTTP_BODY_LENGTH ? 8 : 0) +
             headers_size(h->header, h->header_count);
    return n;
}

enum err mesh_request_encode(struct buf *out, const struct mesh_call *c, const struct http_head *h)
{
    struct wr w;
    assert((h != NULL) == (c->protocol == 1) && (!h || !h->is_response) && (h || !c->mirrored));
    assert(c->asked.len == 0 || !bytes_eq(c->asked, c->service));
    enum err e = begin(out, &w, request_size(c, h));
    if (e)
        return e;
    wr_u8(&w, MESH_VERSION);
    wr_u8(&w, c->protocol);
    wr_u8(&w, c->hops);
    wr_u8(&w, (uint8_t)((h ? flags_of(h) : 0) | (c->asked.len ? FLAG_ASKED : 0) |
                        (c->mirrored ? FLAG_MIRRORED : 0)));
    wr_be32(&w, c->deadline_ms);
    wr_lv16(&w, c->caller);
    wr_lv16(&w, c->service);
    wr_lv16(&w, c->subset);
    wr_lv16(&w, c->trace);
    if (c->asked.len)
        wr_lv16(&w, c->asked);
    if (h) {
        wr_lv16(&w, h->method);
        wr_lv16(&w, h->authority);
        wr_lv16(&w, h->path);
        if (h->query.at)
            wr_lv16(&w, h->query);
        put_length(&w, h);
        put_headers(&w, h->header, h->header_count);
    }
    return commit(out, &w);
}

static size_t response_size(const struct mesh_verdict *v, const struct http_head *h)
{
    if (v->refused)
        return 3 + lv_size(v->flag) + lv_size(v->reason);
    return h ? 3 + 2 + (h->body == HTTP_BODY_LENGTH ? 8 : 0) + headers_size(h->header, h->header_count) : 3;
}

enum err mesh_response_encode(struct buf *out, const struct mesh_verdict *v, const struct http_head *h)
{
    struct wr w;
    assert(!h || (h->is_response && !v->refused));
    enum err e = begin(out, &w, response_size(v, h));
    if (e)
        return e;
    wr_u8(&w, MESH_VERSION);
    wr_u8(&w, v->refused ? KIND_REFUSED : h ? KIND_HTTP : KIND_TCP);
    wr_u8(&w, h ? flags_of(h) : 0);
    if (v->refused) {
        wr_lv16(&w, v->flag);
        wr_lv16(&w, v->reason);
    } else if (h) {
        wr_be16(&w, h->status);
        put_length(&w, h);
        put_headers(&w, h->header, h->header_count);
    }
    return commit(out, &w);
}

enum err mesh_trailers_encode(struct buf *out, const struct http_header *headers, size_t count)
{
    struct wr w;
    enum err e = begin(out, &w, 1 + headers_size(headers, count));
    if (e)
        return e;
    wr_u8(&w, MESH_VERSION);
    put_headers(&w, headers, count);
    return commit(out, &w);
}

/* ---- decoding: every rule of the reader holds again, since a peer may be stolen ---- */

typedef bool name_rule(struct bytes name, bool is_response);

static bool may_be_trailer(struct bytes name, bool is_response)
{
    (void)is_response;
    return grammar_may_be_trailer(name);
}

static bool take_headers(struct rd *r, struct http_head *h, name_rule *allowed)
{
    size_t count = rd_be16(r);
    if (count > HTTP_HEADERS_MAX)
        return false;
    for (size_t i = 0; i < count; i++) {
        struct bytes name = rd_lv16(r), value = rd_lv16(r);
        if (!rd_ok(r) || !grammar_name_is_sound(name) || !grammar_value_is_sound(value) ||
            !allowed(name, h->is_response))
            return false;
        h->header[i] = (struct http_header){name, value};
    }
    h->header_count = count;
    return true;
}

/* The flags' share of a head; `known` are those that may be set. */
static bool take_flags(uint8_t flags, struct http_head *h, unsigned known)
{
    h->body = (enum http_body)(flags >> BODY_SHIFT & 3);
    h->expect_continue = flags & FLAG_EXPECT;
    if (flags & FLAG_UPGRADE)
        h->upgrade = bytes_str("websocket");
    if (flags & FLAG_QUERY)
        h->query = bytes_str(""); /* there is one; it is read later */
    return (flags & ~known) == 0;
}

static bool take_length(struct rd *r, struct http_head *h)
{
    if (h->body == HTTP_BODY_LENGTH)
        h->content_length = rd_be64(r);
    return h->content_length <= LENGTH_MAX;
}

static bool is_printable(struct bytes s, size_t max)
{
    if (s.len > max)
        return false;
    for (size_t i = 0; i < s.len; i++)
        if (s.at[i] <= 0x20 || s.at[i] >= 0x7f)
            return false;
    return true;
}

/* Is it the very form the normaliser makes? */
static bool path_is_canonical(struct bytes path)
{
    uint8_t canon[HTTP_TARGET_BYTES_MAX];
    size_t len;
    return path.len <= sizeof canon && http_path_normalise(path, canon, &len) == ERR_OK &&
           bytes_eq(path, bytes_of(canon, len));
}

static bool authority_is_canonical(struct bytes authority)
{
    uint8_t canon[HTTP_AUTHORITY_MAX];
    size_t len;
    return authority.len == 0 || (http_authority_normalise(authority, canon, sizeof canon, &len) == ERR_OK &&
                                  bytes_eq(authority, bytes_of(canon, len)));
}

static bool method_is_sound(struct bytes method)
{
    return method.len <= METHOD_MAX_BYTES && grammar_token_is_sound(method) && !grammar_eq(method, "connect");
}

static bool take_request_head(struct rd *r, struct http_head *h)
{
    h->method = rd_lv16(r);
    h->authority = rd_lv16(r);
    h->path = rd_lv16(r);
    if (h->query.at)
        h->query = rd_lv16(r);
    if (!take_length(r, h) || !take_headers(r, h, grammar_may_be_header) || !rd_done(r))
        return false;
    if (!method_is_sound(h->method) || !authority_is_canonical(h->authority) || !path_is_canonical(h->path))
        return false;
    if (h->path.len + h->query.len > HTTP_TARGET_BYTES_MAX || !http_query_is_sound(h->query) ||
        h->body == HTTP_BODY_CLOSE)
        return false;
    if (h->expect_continue && h->body == HTTP_BODY_NONE)
        return false;
    return h->upgrade.len == 0 || (bytes_eq_str(h->method, "GET") && h->body == HTTP_BODY_NONE);
}

static bool take_request(struct rd *r, struct mesh_call *c, struct http_head *h)
{
    uint8_t version = rd_u8(r);
    c->protocol = rd_u8(r);
    c->hops = rd_u8(r);
    uint8_t flags = rd_u8(r);
    unsigned of_http = FLAG_QUERY | FLAG_EXPECT | FLAG_UPGRADE | FLAG_MIRRORED | FLAG_BODY;
    bool flags_known = take_flags(flags, h, FLAG_ASKED | (c->protocol == 1 ? of_http : 0));
    c->mirrored = flags & FLAG_MIRRORED;
    c->deadline_ms = rd_be32(r);
    c->caller = rd_lv16(r);
    c->service = rd_lv16(r);
    c->subset = rd_lv16(r);
    c->trace = rd_lv16(r);
    if (flags & FLAG_ASKED)
        c->asked = rd_lv16(r);
    if (!rd_ok(r) || version != MESH_VERSION || c->protocol > 1 || !flags_known || c->service.len == 0)
        return false;
    if (!is_printable(c->caller, NAME_MAX_BYTES) || !is_printable(c->service, NAME_MAX_BYTES) ||
        !is_printable(c->subset, NAME_MAX_BYTES) || !is_printable(c->trace, TRACE_MAX_BYTES) ||
        !is_printable(c->asked, NAME_MAX_BYTES))
        return false;
    if ((flags & FLAG_ASKED) && (c->asked.len == 0 || bytes_eq(c->asked, c->service)))
        return false; /* one message has one encoding */
    return c->protocol == 1 ? take_request_head(r, h) : rd_done(r);
}

static bool take_response_head(struct rd *r, struct http_head *h)
{
    h->status = rd_be16(r);
    if (!take_length(r, h) || !take_headers(r, h, grammar_may_be_header) || !rd_done(r))
        return false;
    bool bodiless = h->status < 200 || h->status == 204;
    bool interim_ok = h->status >= 200 || h->status == 100 || h->status == 101;
    return interim_ok && h->status <= 599 && (!bodiless || h->body == HTTP_BODY_NONE) &&
           (h->status == 101) == (h->upgrade.len > 0);
}

static bool take_response(struct rd *r, struct mesh_verdict *v, struct http_head *h)
{
    uint8_t version = rd_u8(r), kind = rd_u8(r);
    if (!take_flags(rd_u8(r), h, kind == KIND_HTTP ? FLAG_UPGRADE | FLAG_BODY : 0) || version != MESH_VERSION)
        return false;
    v->refused = kind == KIND_REFUSED;
    if (kind == KIND_HTTP)
        return take_response_head(r, h);
    if (kind == KIND_REFUSED) {
        v->flag = rd_lv16(r);
        v->reason = rd_lv16(r);
    }
    return kind <= KIND_TCP && rd_done(r) && is_printable(v->flag, NAME_MAX_BYTES) &&
           v->reason.len <= REASON_MAX_BYTES && grammar_value_is_sound(v->reason);
}

/* A head that owns a copy of `in`, for the slices to point into. */
static enum err copy_begin(struct http_head *h, struct rd *r, struct bytes in)
{
    memset(h, 0, offsetof(struct http_head, header));
    h->text = (struct buf){0};
    h->minor = 1;
    if (in.len > HTTP_MESSAGE_MAX)
        return ERR_MALFORMED;
    buf_add_bytes(&h->text, in);
    if (!buf_ok(&h->text))
        return ERR_NOMEM;
    *r = rd_init(buf_bytes(&h->text));
    return ERR_OK;
}

static enum err copy_end(struct http_head *h, bool sound)
{
    if (sound)
        return ERR_OK;
    http_head_fini(h);
    return ERR_MALFORMED;
}

enum err mesh_request_decode(struct mesh_call *c, struct http_head *h, struct bytes in)
{
    struct rd r;
    *c = (struct mesh_call){0};
    enum err e = copy_begin(h, &r, in);
    if (!e)
        e = copy_end(h, take_request(&r, c, h));
    if (e)
        *c = (struct mesh_call){0};
    return e;
}

enum err mesh_response_decode(struct mesh_verdict *v, struct http_head *h, struct bytes in)
{
    struct rd r;
    *v = (struct mesh_verdict){0};
    enum err e = copy_begin(h, &r, in);
    h->is_response = true;
    if (!e)
        e = copy_end(h, take_response(&r, v, h));
    if (e)
        *v = (struct mesh_verdict){0};
    return e;
}

enum err mesh_trailers_decode(struct http_head *trailers, struct bytes in)
{
    struct rd r;
    enum err e = copy_begin(trailers, &r, in);
    if (e)
        return e;
    bool sound = rd_u8(&r) == MESH_VERSION && take_headers(&r, trailers, may_be_trailer) && rd_done(&r);
    return copy_end(trailers, sound);
}
