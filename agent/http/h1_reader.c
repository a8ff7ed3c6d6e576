/* The reader's states: heads are collected, bodies are framed. What a head means is h1_mean.c's matter.
 *
 *   HEAD -> LENGTH ------------------------------------------> (end) -> HEAD | SPENT | HELD
 *        -> CHUNK_SIZE [-> CHUNK_EXT] -> CHUNK_SIZE_LF -> CHUNK_DATA -> CHUNK_DATA_CR -> CHUNK_DATA_LF ->
 * CHUNK_SIZE
 *                                                      -> TRAILERS -> ENDING -> (end)
 *        -> UNTIL_CLOSE, TUNNEL -> eof
 *   any  -> FAILED */
#include <assert.h>

#include "http/grammar.h"
#include "http/h1_head.h"

enum {
    CHUNK_DIGITS_MAX = 15, /* hexadecimal, so a size never overflows */
    CHUNK_EXT_MAX =
        4096,        /* bytes of chunk extensions in one message, not per chunk (CVE-2024-22019); dropped */
    INTERIM_MAX = 8, /* 1xx before one response (P19) */
    HEAD_ROOM =
        HTTP_AUTHORITY_MAX, /* beside the head: its canonical authority may be longer than the one received */
};

enum state {
    HEAD,
    LENGTH,
    CHUNK_SIZE,
    CHUNK_EXT,
    CHUNK_SIZE_LF,
    CHUNK_DATA,
    CHUNK_DATA_CR,
    CHUNK_DATA_LF,
    TRAILERS,
    ENDING, /* all read; H1_END is to be told */
    UNTIL_CLOSE,
    TUNNEL,
    HELD,  /* after a request with an upgrade: the next bytes are not HTTP, or the connection ends */
    SPENT, /* after a message that ends the connection */
    FAILED,
};

struct h1_reader {
    enum h1_role role;
    enum state state;
    uint16_t headers_max;
    uint16_t line; /* where the line being collected begins in the text */
    uint32_t head_bytes_max;
    bool allow_proxy_form;
    bool is_ready;     /* `text` holds what H1_HEAD or H1_TRAILERS announced */
    bool skipped_line; /* one empty line before a request was skipped */
    bool expected, expected_head, expected_continue, expected_upgrade; /* what h1_reader_expect() said */
    uint8_t interim;                                                   /* 1xx seen before the response */
    uint8_t chunk_digits;
    uint16_t chunk_ext;  /* bytes of extensions in this message */
    uint16_t slot_count; /* headers, as slots behind the text */
    uint16_t slots_at;
    uint64_t left; /* of the body or the chunk */
    struct h1_start start;
    struct h1_fault fault;
    struct buf text;
};

struct h1_reader *h1_reader_new(enum h1_role role, const struct h1_limits *limits)
{
    static const struct h1_limits none;
    const struct h1_limits *l = limits ? limits : &none;
    assert(l->head_bytes_max <= HTTP_HEAD_BYTES_MAX && l->headers_max <= HTTP_HEADERS_MAX);
    struct h1_reader *r = calloc(1, sizeof *r);
    if (!r)
        return NULL;
    r->role = role;
    r->head_bytes_max = l->head_bytes_max ? (uint32_t)l->head_bytes_max : HTTP_HEAD_BYTES_MAX;
    r->headers_max = l->headers_max ? (uint16_t)l->headers_max : HTTP_HEADERS_MAX;
    r->allow_proxy_form = l->allow_proxy_form;
    return r;
}

void h1_reader_free(struct h1_reader *r)
{
    if (!r)
        return;
    buf_fini(&r->text);
    free(r);
}

static struct h1_event event(enum h1_event_type type)
{
    return (struct h1_event){.type = type};
}

/* A fault of the origin is the client's 502, whatever it was. */
static struct h1_event fail(struct h1_reader *r, struct h1_fault f)
{
    r->state = FAILED;
    r->fault = f;
    if (r->role == H1_RESPONSES)
        r->fault.status = 502;
    return (struct h1_event){.type = H1_ERROR, .status = r->fault.status, .why = r->fault.why};
}

static struct h1_event fail_why(struct h1_reader *r, uint16_t status, const char *why)
{
    return fail(r, (struct h1_fault){status, why});
}

/* ---- collecting a head or trailers ---- */

static void text_reset(struct h1_reader *r)
{
    r->text.len = 0;
    r->line = 0;
    r->is_ready = false;
}

/* Appends up to the empty line that ends the section, or all there is. *done: the section is complete. Each
 * byte is looked at once, however the input is cut. */
static struct h1_fault collect(struct h1_reader *r, struct bytes in, size_t *used, bool *done)
{
    size_t base = r->text.len, room = r->head_bytes_max - base, n = in.len < room ? in.len : room, i = 0;
    const uint8_t *lf;
    *done = false;
    while (i < n && !*done && (lf = memchr(in.at + i, '\n', n - i)) != NULL) {
        i = (size_t)(lf - in.at) + 1;
        size_t length = base + i - r->line; /* of the line, with its end */
        uint8_t before = i >= 2 ? in.at[i - 2] : base ? r->text.at[base - 1] : 0;
        if (length < 2 || before != '\r')
            return (struct h1_fault){400, "line does not end in CRLF"};
        *done = length == 2;
        if (!*done)
            r->line = (uint16_t)(base + i);
    }
    *used = *done ? i : n;
    if (!*done && n == room)
        return r->line == 0 && r->role == H1_REQUESTS ? (struct h1_fault){414, "request line is too long"}
                                                      : (struct h1_fault){431, "head is too long"};
    if (*done && base == 0)
        buf_reserve(&r->text, *used + HEAD_ROOM);
    buf_add(&r->text, in.at, *used);
    return buf_ok(&r->text) ? (struct h1_fault){0, NULL} : (struct h1_fault){503, "out of memory"};
}

/* Keeps the slots behind the text, so that between messages a reader holds nothing. */
static struct h1_fault slots_keep(struct h1_reader *r, const struct h1_lines *lines)
{
    if (r->text.len % 2)
        buf_add_u8(&r->text, 0);
    r->slots_at = (uint16_t)r->text.len;
    r->slot_count = (uint16_t)lines->count;
    buf_add(&r->text, lines->slot, lines->count * sizeof *lines->slot);
    r->is_ready = buf_ok(&r->text);
    return r->is_ready ? (struct h1_fault){0, NULL} : (struct h1_fault){503, "out of memory"};
}

static struct h1_fault head_parse(struct h1_reader *r)
{
    struct h1_lines lines;
    lines.status = 0;
    struct h1_fault f = head_split(&lines, &r->text, r->role, r->headers_max);
    if (f.status)
        return f;
    /* The library reads what came, so it goes first; but our own reason is the clearer one. */
    struct h1_fault second = second_read(&lines, &r->text, r->role);
    f = head_mean(&r->start, &lines, &r->text, r->role, r->allow_proxy_form);
    if (!f.status)
        f = second;
    return f.status ? f : slots_keep(r, &lines);
}

/* ---- after a head ---- */

static struct h1_event body_begins(struct h1_reader *r)
{
    switch (r->start.body) {
    case HTTP_BODY_NONE:
        r->state = ENDING;
        break;
    case HTTP_BODY_LENGTH:
        r->left = r->start.content_length;
        r->state = r->left ? LENGTH : ENDING;
        break;
    case HTTP_BODY_CHUNKED:
        r->chunk_digits = 0;
        r->chunk_ext = 0;
        r->left = 0;
        r->state = CHUNK_SIZE;
        break;
    case HTTP_BODY_CLOSE:
        r->state = UNTIL_CLOSE;
        break;
    }
    return event(H1_HEAD);
}

static struct h1_event interim_read(struct h1_reader *r)
{
    if (r->start.status == 101) {
        if (!r->expected_upgrade)
            return fail_why(r, 502, "101 without having been asked");
        r->state = TUNNEL;
        r->expected = false;
        return event(H1_HEAD);
    }
    if (++r->interim > INTERIM_MAX)
        return fail_why(r, 502, "too many interim responses");
    if (r->start.status == 100 && r->expected_continue) {
        r->expected_continue = false;
        return event(H1_HEAD);
    }
    text_reset(r);
    return event(H1_NONE);
}

/* RFC 9112 section 6.3, cases 1, 2 and 8. */
static struct h1_event response_read(struct h1_reader *r)
{
    struct h1_start *s = &r->start;
    if (s->status < 200)
        return interim_read(r);
    if (r->expected_head || s->status == 204 || s->status == 304) {
        if (s->body == HTTP_BODY_CHUNKED)
            s->body = HTTP_BODY_NONE;
        r->state = ENDING;
        return event(H1_HEAD);
    }
    if (s->body == HTTP_BODY_NONE) {
        s->body = HTTP_BODY_CLOSE;
        s->keep_alive = false;
    }
    return body_begins(r);
}

/* What cannot be the first byte of a head is refused at once, not when the deadline comes (TLS, HTTP/2,
 * noise). */
static bool may_begin(const struct h1_reader *r, uint8_t c)
{
    return r->role == H1_RESPONSES ? c == 'H'
                                   : grammar_is(c, GRAMMAR_TOKEN) || (c == '\r' && !r->skipped_line);
}

static struct h1_event head_step(struct h1_reader *r, struct bytes in, size_t *used)
{
    bool done;
    if (r->is_ready)
        text_reset(r);
    if (in.len == 0)
        return event(H1_NONE);
    if (r->role == H1_RESPONSES && !r->expected)
        return fail_why(r, 502, "response that nobody asked for");
    if (r->text.len == 0 && !may_begin(r, in.at[0]))
        return fail_why(r, 400, "not the beginning of an HTTP/1 message");
    struct h1_fault f = collect(r, in, used, &done);
    if (f.status)
        return fail(r, f);
    if (!done)
        return event(H1_NONE);
    if (r->text.len == 2) {
        /* RFC 9112 section 2.2: one empty line before a request is ignored. */
        if (r->skipped_line || r->role == H1_RESPONSES)
            return fail_why(r, 400, "empty line before a message");
        r->skipped_line = true;
        text_reset(r);
        return event(H1_NONE);
    }
    f = head_parse(r);
    if (f.status)
        return fail(r, f);
    return r->role == H1_RESPONSES ? response_read(r) : body_begins(r);
}

static struct h1_event trailers_step(struct h1_reader *r, struct bytes in, size_t *used)
{
    struct h1_lines lines;
    bool done;
    struct h1_fault f = collect(r, in, used, &done);
    if (!f.status && !done)
        return event(H1_NONE);
    if (!f.status)
        f = trailers_split(&lines, &r->text, r->headers_max);
    if (!f.status && lines.count > 0)
        f = slots_keep(r, &lines);
    if (f.status)
        return fail(r, f);
    r->state = ENDING;
    if (lines.count == 0)
        return event(H1_NONE);
    /* Trailers are a head with nothing but headers; the reader's own facts about the message stay. */
    r->start = (struct h1_start){.minor = 1, .keep_alive = r->start.keep_alive, .upgrade = {0, 0}};
    return event(H1_TRAILERS);
}

/* ---- bodies ---- */

static struct h1_event data(struct bytes in, size_t n, size_t *used)
{
    *used = n;
    return n ? (struct h1_event){.type = H1_DATA, .data = bytes_of(in.at, n)} : event(H1_NONE);
}

/* Bytes of a counted run; `after` is the state when it is complete. */
static struct h1_event counted(struct h1_reader *r, struct bytes in, size_t *used, enum state after)
{
    size_t n = in.len < r->left ? in.len : (size_t)r->left;
    r->left -= n;
    if (r->left == 0)
        r->state = after;
    return data(in, n, used);
}

/* One byte of a chunk's size line or of the CRLF after its data: RFC 9112 section 7.1 without blanks. */
static const char *chunk_byte(struct h1_reader *r, uint8_t c)
{
    switch (r->state) {
    case CHUNK_SIZE:
        if (grammar_is(c, GRAMMAR_HEX)) {
            r->left = r->left << 4 | grammar_hex(c);
            return ++r->chunk_digits > CHUNK_DIGITS_MAX ? "chunk size has too many digits" : NULL;
        }
        if (r->chunk_digits == 0 || (c != ';' && c != '\r'))
            return "chunk size is not a hexadecimal number at once followed by CRLF or ';'";
        r->state = c == ';' ? CHUNK_EXT : CHUNK_SIZE_LF;
        return NULL;
    case CHUNK_EXT:
        if (c == '\r')
            r->state = CHUNK_SIZE_LF;
        else if (c >= 0x80 || !grammar_is(c, GRAMMAR_VALUE))
            return "chunk extension holds a byte it must not";
        return ++r->chunk_ext > CHUNK_EXT_MAX ? "too many bytes of chunk extensions" : NULL;
    case CHUNK_SIZE_LF:
        r->state = r->left ? CHUNK_DATA : TRAILERS;
        text_reset(r);
        return c == '\n' ? NULL : "chunk size line does not end in CRLF";
    case CHUNK_DATA_CR:
        r->state = CHUNK_DATA_LF;
        return c == '\r' ? NULL : "chunk is longer than its size";
    default:
        assert(r->state == CHUNK_DATA_LF);
        r->state = CHUNK_SIZE;
        r->chunk_digits = 0;
        return c == '\n' ? NULL : "chunk does not end in CRLF";
    }
}

static struct h1_event chunk_step(struct h1_reader *r, struct bytes in, size_t *used)
{
    while (*used < in.len && r->state != CHUNK_DATA && r->state != TRAILERS) {
        const char *why = chunk_byte(r, in.at[(*used)++]);
        if (why)
            return fail_why(r, 400, why);
    }
    return event(H1_NONE);
}

static struct h1_event message_ends(struct h1_reader *r)
{
    text_reset(r);
    r->skipped_line = false;
    r->expected = false;
    if (r->start.upgrade.len > 0)
        r->start.keep_alive = false;
    r->state = r->start.upgrade.len > 0 ? HELD : r->start.keep_alive ? HEAD : SPENT;
    return event(H1_END);
}

/* ---- feeding ---- */

static struct h1_event step(struct h1_reader *r, struct bytes in, size_t *used)
{
    *used = 0;
    switch (r->state) {
    case HEAD:
        return head_step(r, in, used);
    case LENGTH:
        return counted(r, in, used, ENDING);
    case CHUNK_DATA:
        return counted(r, in, used, CHUNK_DATA_CR);
    case CHUNK_SIZE:
    case CHUNK_EXT:
    case CHUNK_SIZE_LF:
    case CHUNK_DATA_CR:
    case CHUNK_DATA_LF:
        return chunk_step(r, in, used);
    case TRAILERS:
        return in.len ? trailers_step(r, in, used) : event(H1_NONE);
    case ENDING:
        return message_ends(r);
    case UNTIL_CLOSE:
    case TUNNEL:
        return data(in, in.len, used);
    case HELD:
        return event(H1_NONE);
    case SPENT:
        *used = in.len;
        return event(H1_NONE);
    case FAILED:
        break;
    }
    return fail(r, r->fault);
}

struct h1_event h1_reader_feed(struct h1_reader *r, struct bytes in, size_t *used)
{
    *used = 0;
    for (;;) {
        enum state before = r->state;
        size_t n;
        struct h1_event e = step(r, in, &n);
        in.at += n;
        in.len -= n;
        *used += n;
        if (e.type != H1_NONE || (n == 0 && r->state == before))
            return e;
    }
}

struct h1_event h1_reader_eof(struct h1_reader *r)
{
    switch (r->state) {
    case HEAD:
        if (h1_reader_is_idle(r))
            return event(H1_NONE);
        break;
    case UNTIL_CLOSE:
    case TUNNEL:
    case ENDING:
        r->start.keep_alive = false;
        r->start.upgrade.len = 0;
        return message_ends(r);
    case HELD:
    case SPENT:
        return event(H1_NONE);
    default:
        break;
    }
    return r->state == FAILED ? fail(r, r->fault) : fail_why(r, 400, "connection ended inside a message");
}

void h1_reader_head_take(struct h1_reader *r, struct http_head *out)
{
    assert(r->is_ready);
    const struct h1_start *s = &r->start;
    memset(out, 0, offsetof(struct http_head, header));
    out->is_response = r->role == H1_RESPONSES;
    out->method = span_bytes(&r->text, s->method);
    out->authority = span_bytes(&r->text, s->authority);
    out->path = span_bytes(&r->text, s->path);
    if (s->has_query)
        out->query = span_bytes(&r->text, s->query);
    out->expect_continue = s->expect_continue;
    out->status = s->status;
    out->minor = s->minor;
    out->upgrade = span_bytes(&r->text, s->upgrade);
    out->body = s->body;
    out->content_length = s->content_length;
    out->header_count = r->slot_count;
    const struct h1_slot *slot = (const struct h1_slot *)(const void *)(r->text.at + r->slots_at);
    for (size_t i = 0; i < r->slot_count; i++) {
        out->header[i].name = span_bytes(&r->text, slot[i].name);
        out->header[i].value = span_bytes(&r->text, slot[i].value);
    }
    out->text = r->text;
    r->text = (struct buf){0};
    text_reset(r);
}

void h1_reader_expect(struct h1_reader *r, const struct http_head *request)
{
    assert(r->role == H1_RESPONSES && !r->expected);
    r->expected = true;
    r->expected_head = bytes_eq_str(request->method, "HEAD");
    r->expected_continue = request->expect_continue;
    r->expected_upgrade = request->upgrade.len > 0;
    r->interim = 0;
}

void h1_reader_tunnel(struct h1_reader *r)
{
    if (r->state == TUNNEL)
        return;
    if (r->state == HELD || (r->state == ENDING && r->start.upgrade.len > 0))
        r->state = TUNNEL;
    else
        fail_why(r, 502, "tunnel on a connection that did not ask for one");
    r->start.keep_alive = false;
}

bool h1_reader_is_idle(const struct h1_reader *r)
{
    return r->state == HEAD && !r->expected && (r->text.len == 0 || r->is_ready);
}

bool h1_reader_keep_alive(const struct h1_reader *r)
{
    return r->start.keep_alive;
}
