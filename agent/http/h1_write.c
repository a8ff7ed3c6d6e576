/* The writer: a typed message as HTTP/1.1 text, afresh. Measures and checks first, reserves once, then only
 * copies. */
#include "http/grammar.h"
#include "http/h1.h"

enum { DECIMAL_MAX = 20, CHUNK_HEX_MAX = 16 };
enum { FRAMING_ROOM = 160 }; /* start line's fixed parts, framing fields, connection, the empty line */

static const struct h1_write_opts opts_none;

const char *http_status_text(uint16_t status)
{
    static const struct {
        uint16_t status;
        const char *text;
    } texts[] = {
        {200, "OK"},
        {100, "Continue"},
        {101, "Switching Protocols"},
        {103, "Early Hints"},
        {201, "Created"},
        {202, "Accepted"},
        {203, "Non-Authoritative Information"},
        {204, "No Content"},
        {205, "Reset Content"},
        {206, "Partial Content"},
        {207, "Multi-Status"},
        {300, "Multiple Choices"},
        {301, "Moved Permanently"},
        {302, "Found"},
        {303, "See Other"},
        {304, "Not Modified"},
        {307, "Temporary Redirect"},
        {308, "Permanent Redirect"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {402, "Payment Required"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {406, "Not Acceptable"},
        {407, "Proxy Authentication Required"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {410, "Gone"},
        {411, "Length Required"},
        {412, "Precondition Failed"},
        {413, "Content Too Large"},
        {414, "URI Too Long"},
        {415, "Unsupported Media Type"},
        {416, "Range Not Satisfiable"},
        {417, "Expectation Failed"},
        {418, "I'm a teapot"}, /* RFC 2324; reserved as unused, and used */
        {421, "Misdirected Request"},
        {422, "Unprocessable Content"},
        {423, "Locked"},
        {424, "Failed Dependency"},
        {425, "Too Early"},
        {426, "Upgrade Required"},
        {428, "Precondition Required"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {451, "Unavailable For Legal Reasons"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {502, "Bad Gateway"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
        {505, "HTTP Version Not Supported"},
        {507, "Insufficient Storage"},
        {508, "Loop Detected"},
        {511, "Network Authentication Required"},
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (texts[i].status == status)
            return texts[i].text;
    return ""; /* as RFC 9112 (section 4) lets it be */
}

/* ---- checking ---- */

static bool header_is_sound(const struct http_header *h, bool is_response)
{
    return grammar_name_is_sound(h->name) && grammar_value_is_sound(h->value) &&
           grammar_may_be_header(h->name, is_response);
}

static bool is_replaced(struct bytes name, const struct h1_write_opts *o)
{
    for (size_t i = 0; i < o->extra_count; i++)
        if (bytes_eq(name, o->extra[i].name))
            return true;
    return false;
}

static bool request_is_sound(const struct http_head *h, struct bytes host)
{
    uint8_t canon[HTTP_AUTHORITY_MAX];
    size_t len;
    if (h->body == HTTP_BODY_CLOSE || !grammar_token_is_sound(h->method) ||
        bytes_eq_str(h->method, "CONNECT"))
        return false;
    if (h->path.len == 0 || h->path.at[0] != '/' || (h->query.at && !http_query_is_sound(h->query)))
        return false;
    for (size_t i = 0; i < h->path.len; i++)
        if (h->path.at[i] != '%' && !grammar_is(h->path.at[i], GRAMMAR_PATH))
            return false;
    return http_authority_normalise(host, canon, sizeof canon, &len) == ERR_OK;
}

static bool response_is_sound(const struct http_head *h)
{
    bool bodiless = h->status < 200 || h->status == 204;
    return h->status >= 100 && h->status <= 599 && (!bodiless || h->body == HTTP_BODY_NONE) &&
           (h->status == 101) == (h->upgrade.len > 0);
}

/* True, and how many bytes at most: everything is fit to be written. */
static bool head_measure(const struct http_head *h, const struct h1_write_opts *o, struct bytes host,
                         size_t *room)
{
    if (!(h->is_response ? response_is_sound(h) : request_is_sound(h, host)) ||
        (h->upgrade.len > 0 && !bytes_eq_str(h->upgrade, "websocket")))
        return false;
    *room = FRAMING_ROOM + h->method.len + h->path.len + h->query.len + host.len;
    for (size_t i = 0; i < o->extra_count; i++) {
        *room += o->extra[i].name.len + o->extra[i].value.len + 4;
        if (!header_is_sound(&o->extra[i], h->is_response))
            return false;
    }
    for (size_t i = 0; i < h->header_count; i++) {
        *room += h->header[i].name.len + h->header[i].value.len + 4;
        if (!header_is_sound(&h->header[i], h->is_response))
            return false;
    }
    return true;
}

/* ---- copying ---- */

static void put(struct wr *w, struct bytes b)
{
    wr_bytes(w, b.at, b.len);
}

#define PUT(w, literal) wr_bytes((w), (literal), sizeof(literal) - 1)

static void put_decimal(struct wr *w, uint64_t v)
{
    char digits[DECIMAL_MAX];
    size_t n = sizeof digits;
    do
        digits[--n] = (char)('0' + v % 10);
    while ((v /= 10) != 0);
    wr_bytes(w, digits + n, sizeof digits - n);
}

static void put_header(struct wr *w, const struct http_header *h)
{
    put(w, h->name);
    PUT(w, ": ");
    put(w, h->value);
    PUT(w, "\r\n");
}

static void put_request_line(struct wr *w, const struct http_head *h, struct bytes host)
{
    put(w, h->method);
    PUT(w, " ");
    put(w, h->path);
    if (h->query.at) {
        PUT(w, "?");
        put(w, h->query);
    }
    PUT(w, " HTTP/1.1\r\nhost: ");
    put(w, host);
    PUT(w, "\r\n");
    if (h->expect_continue)
        PUT(w, "expect: 100-continue\r\n");
}

static void put_status_line(struct wr *w, uint16_t status)
{
    PUT(w, "HTTP/1.1 ");
    put_decimal(w, status);
    PUT(w, " ");
    put(w, bytes_str(http_status_text(status)));
    PUT(w, "\r\n");
}

static void put_framing(struct wr *w, const struct http_head *h, const struct h1_write_opts *o)
{
    enum http_body body = h1_body_on_wire(h, o);
    if (body == HTTP_BODY_LENGTH) {
        PUT(w, "content-length: ");
        put_decimal(w, h->content_length);
        PUT(w, "\r\n");
    } else if (body == HTTP_BODY_CHUNKED) {
        PUT(w, "transfer-encoding: chunked\r\n");
    }
    if (h->upgrade.len > 0)
        PUT(w, "connection: upgrade\r\nupgrade: websocket\r\n");
    else if (o->close || body == HTTP_BODY_CLOSE)
        PUT(w, "connection: close\r\n");
    PUT(w, "\r\n");
}

enum http_body h1_body_on_wire(const struct http_head *h, const struct h1_write_opts *opts)
{
    bool minor0 = opts && opts->proxy_minor0;
    if (h->body == HTTP_BODY_CLOSE && !minor0)
        return HTTP_BODY_CHUNKED;
    if (h->body == HTTP_BODY_CHUNKED && minor0)
        return HTTP_BODY_CLOSE;
    return h->body;
}

enum err h1_write_head(struct buf *out, const struct http_head *h, const struct h1_write_opts *opts)
{
    const struct h1_write_opts *o = opts ? opts : &opts_none;
    struct bytes host = o->host.len ? o->host : h->authority;
    size_t room;
    if ((!h->is_response && o->proxy_minor0) || !head_measure(h, o, host, &room))
        return ERR_INVALID;
    uint8_t *to = buf_reserve(out, room);
    if (!to)
        return ERR_NOMEM;
    struct wr w = wr_init(to, room);
    if (h->is_response)
        put_status_line(&w, h->status);
    else
        put_request_line(&w, h, host);
    for (size_t i = 0; i < h->header_count; i++)
        if (o->extra_count == 0 || !is_replaced(h->header[i].name, o))
            put_header(&w, &h->header[i]);
    for (size_t i = 0; i < o->extra_count; i++)
        put_header(&w, &o->extra[i]);
    put_framing(&w, h, o);
    assert(wr_ok(&w));
    out->len += wr_len(&w);
    return ERR_OK;
}

/* ---- bodies ---- */

enum err h1_write_data(struct buf *out, enum http_body body, struct bytes data)
{
    if (data.len == 0)
        return ERR_OK;
    if (body == HTTP_BODY_NONE)
        return ERR_INVALID;
    size_t room = data.len + (body == HTTP_BODY_CHUNKED ? CHUNK_HEX_MAX + 4 : 0);
    uint8_t *to = buf_reserve(out, room);
    if (!to)
        return ERR_NOMEM;
    struct wr w = wr_init(to, room);
    if (body == HTTP_BODY_CHUNKED) {
        char size[CHUNK_HEX_MAX + 3];
        wr_bytes(&w, size, (size_t)snprintf(size, sizeof size, "%zx\r\n", data.len));
        put(&w, data);
        PUT(&w, "\r\n");
    } else {
        put(&w, data);
    }
    out->len += wr_len(&w);
    return ERR_OK;
}

enum err h1_write_end(struct buf *out, enum http_body body, const struct http_head *trailers)
{
    if (body != HTTP_BODY_CHUNKED)
        return ERR_OK;
    size_t room = sizeof "0\r\n\r\n", count = trailers ? trailers->header_count : 0;
    for (size_t i = 0; i < count; i++) {
        const struct http_header *h = &trailers->header[i];
        if (!grammar_name_is_sound(h->name) || !grammar_value_is_sound(h->value) ||
            !grammar_may_be_trailer(h->name))
            return ERR_INVALID;
        room += h->name.len + h->value.len + 4;
    }
    uint8_t *to = buf_reserve(out, room);
    if (!to)
        return ERR_NOMEM;
    struct wr w = wr_init(to, room);
    PUT(&w, "0\r\n");
    for (size_t i = 0; i < count; i++)
        put_header(&w, &trailers->header[i]);
    PUT(&w, "\r\n");
    out->len += wr_len(&w);
    return ERR_OK;
}

enum err h1_write_simple(struct buf *out, uint16_t status, const struct http_header *extra,
                         size_t extra_count, struct bytes text, bool close, bool is_head_request)
{
    struct http_head h;
    memset(&h, 0, offsetof(struct http_head, header));
    h.is_response = true;
    h.status = status;
    h.body = HTTP_BODY_LENGTH;
    h.content_length = text.len;
    h.header_count = 1;
    h.header[0] = (struct http_header){bytes_str("content-type"), bytes_str("text/plain; charset=utf-8")};
    struct h1_write_opts opts = {.close = close, .extra = extra, .extra_count = extra_count};
    size_t before = out->len;
    enum err e = h1_write_head(out, &h, &opts);
    if (!e && !is_head_request) {
        buf_add_bytes(out, text);
        e = buf_ok(out) ? ERR_OK : ERR_NOMEM;
    }
    if (e)
        out->len = before;
    return e;
}
