/* What the fields of a head mean: how its body is framed, whom it addresses, which fields end here. RFC 9112
 * sections 3.2, 6 and 9, RFC 9110 section 7.6.1; the whole of it is an allow list. */
#include "http/grammar.h"
#include "http/h1_head.h"

enum {
    CONNECTION_OPTIONS_MAX = 32
};                               /* names in Connection, all its lines together; more is an error (P17) */
enum { LENGTH_DIGITS_MAX = 18 }; /* of Content-Length: below 2^63 whatever they are */

/* The special fields, gathered in one pass. */
struct gathered {
    struct buf *text;
    struct h1_lines *lines;
    struct h1_start *start;
    enum h1_role role;
    struct h1_span host, length, coding, upgrade;
    bool has_host, has_length, has_coding, has_upgrade;
    bool close, keep_alive, connection_upgrade, expect, expect_unknown;
    bool removes; /* `option` names fields to be removed */
    size_t option_count;
    struct bytes option[CONNECTION_OPTIONS_MAX];
};

static const struct h1_fault sound;

static struct h1_fault fault(uint16_t status, const char *why)
{
    return (struct h1_fault){status, why};
}

static struct h1_fault once(struct h1_span *to, bool *has, struct h1_span value, const char *why_twice)
{
    if (*has)
        return fault(400, why_twice);
    *has = true;
    *to = value;
    return sound;
}

/* Fields that a Connection line cannot take from the next hop: who sends, what is sent, and all the mesh
 * itself says. */
static bool is_protected(struct bytes name)
{
    static const char *const names[] = {
        "authorization", "cookie",           "set-cookie",  "content-type", "content-encoding",
        "content-range", "www-authenticate", "traceparent", "tracestate",   "origin"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (bytes_eq_str(name, names[i]))
            return true;
    return grammar_is_edge_name(name);
}

static struct h1_fault connection_option(struct gathered *g, struct bytes option)
{
    if (!grammar_token_is_sound(option))
        return fault(400, "Connection holds something other than names");
    if (g->option_count == CONNECTION_OPTIONS_MAX)
        return fault(400, "Connection holds too many names");
    g->option[g->option_count++] = option;
    if (grammar_eq(option, "close"))
        g->close = true;
    else if (grammar_eq(option, "keep-alive"))
        g->keep_alive = true;
    else if (grammar_eq(option, "upgrade"))
        g->connection_upgrade = true;
    else
        g->removes = true;
    return sound;
}

/* A comma-separated list; empty elements are allowed (RFC 9110 section 5.6.1.2). */
static struct h1_fault connection_list(struct gathered *g, struct bytes list)
{
    while (list.len > 0) {
        const uint8_t *comma = memchr(list.at, ',', list.len);
        size_t n = comma ? (size_t)(comma - list.at) : list.len;
        struct bytes option = grammar_trim(bytes_of(list.at, n));
        struct h1_fault f = option.len ? connection_option(g, option) : sound;
        if (f.status)
            return f;
        n += comma != NULL;
        list = bytes_of(list.at + n, list.len - n);
    }
    return sound;
}

static struct h1_fault gather_expect(struct gathered *g, struct bytes value)
{
    g->expect = true;
    g->expect_unknown |= !grammar_eq(value, "100-continue");
    return sound;
}

/* Takes one field out of the list, or keeps it. */
static struct h1_fault gather_field(struct gathered *g, struct h1_slot slot, bool *keep)
{
    *keep = false;
    switch (grammar_field_of(span_bytes(g->text, slot.name))) {
    case FIELD_HOST:
        return once(&g->host, &g->has_host, slot.value, "Host is given twice");
    case FIELD_CONTENT_LENGTH:
        return once(&g->length, &g->has_length, slot.value, "Content-Length is given twice");
    case FIELD_TRANSFER_ENCODING:
        return once(&g->coding, &g->has_coding, slot.value, "Transfer-Encoding is given twice");
    case FIELD_UPGRADE:
        /* Servers list what they know ("Upgrade: h2,h2c"), on several lines too; only with 101 does it mean
         * anything. */
        if (g->role == H1_RESPONSES && g->lines->status != 101)
            return sound;
        return once(&g->upgrade, &g->has_upgrade, slot.value, "Upgrade is given twice");
    case FIELD_CONNECTION:
        return connection_list(g, span_bytes(g->text, slot.value));
    case FIELD_EXPECT:
        if (g->role == H1_REQUESTS)
            return gather_expect(g, span_bytes(g->text, slot.value));
        *keep = true;
        return sound;
    case FIELD_HOP:
        return sound;
    case FIELD_ORDINARY:
        break;
    }
    *keep = true;
    return sound;
}

static struct h1_fault gather(struct gathered *g)
{
    size_t kept = 0;
    for (size_t i = 0; i < g->lines->count; i++) {
        bool keep;
        struct h1_fault f = gather_field(g, g->lines->slot[i], &keep);
        if (f.status)
            return f;
        if (keep)
            g->lines->slot[kept++] = g->lines->slot[i];
    }
    g->lines->count = kept;
    return sound;
}

static bool is_listed(const struct gathered *g, struct bytes name)
{
    for (size_t i = 0; i < g->option_count; i++) {
        struct bytes o = g->option[i];
        size_t k = 0;
        while (o.len == name.len && k < o.len && grammar_lower(o.at[k]) == name.at[k])
            k++;
        if (o.len == name.len && k == o.len)
            return true;
    }
    return false;
}

static void remove_listed(struct gathered *g)
{
    size_t kept = 0;
    for (size_t i = 0; i < g->lines->count; i++) {
        struct bytes name = span_bytes(g->text, g->lines->slot[i].name);
        if (!is_listed(g, name) || is_protected(name))
            g->lines->slot[kept++] = g->lines->slot[i];
    }
    g->lines->count = kept;
}

/* RFC 9112 section 6.3, cases 3 to 5, without recovery. */
static struct h1_fault length_read(struct gathered *g)
{
    struct bytes v = span_bytes(g->text, g->length);
    uint64_t n = 0;
    for (size_t i = 0; i < v.len; i++) {
        if (v.at[i] < '0' || v.at[i] > '9')
            return fault(400, "Content-Length is not a number");
        if (i < LENGTH_DIGITS_MAX)
            n = n * 10 + (unsigned)(v.at[i] - '0');
    }
    if (v.len == 0)
        return fault(400, "Content-Length is empty");
    if (v.len > LENGTH_DIGITS_MAX)
        return fault(413, "Content-Length is too large");
    g->start->body = HTTP_BODY_LENGTH;
    g->start->content_length = n;
    return sound;
}

static struct h1_fault frame_body(struct gathered *g)
{
    g->start->body = HTTP_BODY_NONE;
    if (g->has_coding && g->has_length)
        return fault(400, "both Content-Length and Transfer-Encoding");
    if (g->has_length)
        return length_read(g);
    if (!g->has_coding)
        return sound;
    if (g->start->minor == 0)
        return fault(400, "Transfer-Encoding in HTTP/1.0");
    if (!grammar_eq(span_bytes(g->text, g->coding), "chunked"))
        return fault(501, "Transfer-Encoding other than chunked");
    g->start->body = HTTP_BODY_CHUNKED;
    return sound;
}

/* Puts a canonical authority in place of the one at `raw`, or behind the text where it does not fit. */
static struct h1_fault authority_set(struct gathered *g, struct h1_span raw)
{
    uint8_t canon[HTTP_AUTHORITY_MAX];
    size_t len;
    if (http_authority_normalise(span_bytes(g->text, raw), canon, sizeof canon, &len))
        return fault(400, "Host is not a name or address with an optional port");
    if (len > raw.len) {
        raw.at = (uint16_t)g->text->len;
        buf_add(g->text, canon, len);
        if (!buf_ok(g->text))
            return fault(503, "out of memory");
    }
    memcpy(g->text->at + raw.at, canon, len);
    g->start->authority = (struct h1_span){raw.at, (uint16_t)len};
    return sound;
}

/* "http://authority" before path and query; `rest` is what follows it. The target's authority counts, not
 * Host's (RFC 9112 section 3.2.2); where we are no forward proxy the two must name the same (P12, P13). */
static struct h1_fault absolute_form(struct gathered *g, struct h1_span *rest, bool allow_proxy_form)
{
    enum { SCHEME = sizeof "http://" - 1 };
    const uint8_t *t = g->text->at + rest->at;
    uint16_t end = SCHEME;
    if (rest->len < SCHEME || !grammar_eq(bytes_of(t, SCHEME), "http://"))
        return fault(400, "target is neither a path nor an http:// URL");
    while (end < rest->len && t[end] != '/' && t[end] != '?')
        end++;
    struct h1_span host = g->start->authority;
    struct h1_fault f =
        authority_set(g, (struct h1_span){(uint16_t)(rest->at + SCHEME), (uint16_t)(end - SCHEME)});
    if (f.status)
        return f;
    if (!allow_proxy_form && !bytes_eq(span_bytes(g->text, host), span_bytes(g->text, g->start->authority)))
        return fault(400, "target names another host than Host");
    rest->at = (uint16_t)(rest->at + end);
    rest->len = (uint16_t)(rest->len - end);
    return sound;
}

/* Splits off the query and makes the path canonical where it stands. `absolute`: an empty path means "/". */
static struct h1_fault path_set(struct gathered *g, struct h1_span target, bool absolute)
{
    uint8_t *t = g->text->at + target.at;
    const uint8_t *mark = target.len ? memchr(t, '?', target.len) : NULL;
    uint16_t path_len = mark ? (uint16_t)(mark - t) : target.len;
    if (mark) {
        g->start->has_query = true;
        g->start->query =
            (struct h1_span){(uint16_t)(target.at + path_len + 1), (uint16_t)(target.len - path_len - 1)};
        if (!http_query_is_sound(span_bytes(g->text, g->start->query)))
            return fault(400, "query holds a byte or an escape it must not");
    }
    if (absolute && path_len == 0) {
        /* The byte before the path is the authority's last, which a longer canonical form may share: the "//"
         * of the scheme is free. */
        g->start->path = (struct h1_span){(uint16_t)(g->lines->target.at + sizeof "http:/" - 1), 1};
        return sound;
    }
    size_t len;
    if (http_path_normalise(bytes_of(t, path_len), t, &len))
        return fault(400, "path is not one that every program reads alike");
    g->start->path = (struct h1_span){target.at, (uint16_t)len};
    return sound;
}

static struct h1_fault address(struct gathered *g, bool allow_proxy_form)
{
    struct h1_span target = g->lines->target;
    g->start->method = g->lines->method;
    if (grammar_eq(span_bytes(g->text, g->start->method), "connect"))
        return fault(405, "CONNECT is not offered");
    bool absolute = g->text->at[target.at] != '/';
    /* HTTP/1.0 need not say it, where nothing goes by it or its target does. */
    if (!g->has_host && (g->start->minor != 0 || (allow_proxy_form && !absolute)))
        return fault(400, "Host is missing");
    struct h1_fault f = g->has_host ? authority_set(g, g->host) : sound;
    if (f.status)
        return f;
    if (absolute)
        f = absolute_form(g, &target, allow_proxy_form);
    return f.status ? f : path_set(g, target, absolute);
}

/* The span as typed messages have it: lower case. */
static struct h1_span lowered(struct gathered *g, struct h1_span s)
{
    for (size_t i = 0; i < s.len; i++)
        g->text->at[s.at + i] = grammar_lower(g->text->at[s.at + i]);
    return s;
}

/* RFC 9110 sections 7.8 and 10.1.1: HTTP/1.0 knows neither, and an Upgrade that Connection does not name is
 * to be ignored. */
static struct h1_fault request_wishes(struct gathered *g)
{
    if (g->start->minor == 0)
        return sound;
    if (g->expect_unknown)
        return fault(417, "Expect other than 100-continue");
    g->start->expect_continue = g->expect && g->start->body != HTTP_BODY_NONE;
    if (!g->has_upgrade || !g->connection_upgrade)
        return sound;
    if (!grammar_eq(span_bytes(g->text, g->upgrade), "websocket"))
        return fault(501, "upgrade to something other than websocket");
    if (!bytes_eq_str(span_bytes(g->text, g->start->method), "GET") || g->start->body != HTTP_BODY_NONE)
        return fault(400, "upgrade of something other than a GET without a body");
    g->start->upgrade = lowered(g, g->upgrade);
    return sound;
}

/* 1xx and 204 cannot have a body; the length 0 that some servers send with 204 says just that (P19). */
static struct h1_fault response_rules(struct gathered *g)
{
    uint16_t status = g->start->status;
    bool bodiless = status < 200 || status == 204;
    if (bodiless && g->start->body != HTTP_BODY_NONE) {
        if (status != 204 || g->start->body != HTTP_BODY_LENGTH || g->start->content_length != 0)
            return fault(400, "body announced by a response that cannot have one");
        g->start->body = HTTP_BODY_NONE;
    }
    if (status == 101) {
        if (!g->has_upgrade || !g->connection_upgrade ||
            !grammar_eq(span_bytes(g->text, g->upgrade), "websocket"))
            return fault(400, "101 that does not switch to websocket");
        g->start->upgrade = lowered(g, g->upgrade);
    }
    return sound;
}

/* An HTTP/1.0 client's connection is not kept: a proxy must not (RFC 9112 appendix C.2.2). */
static bool keeps_alive(const struct gathered *g)
{
    if (g->start->minor == 0)
        return g->role == H1_RESPONSES && g->keep_alive && !g->close;
    return !g->close;
}

struct h1_fault head_mean(struct h1_start *start, struct h1_lines *lines, struct buf *text, enum h1_role role,
                          bool allow_proxy_form)
{
    struct gathered g;
    memset(&g, 0, offsetof(struct gathered, option));
    g.text = text, g.lines = lines, g.start = start, g.role = role;
    *start = (struct h1_start){.minor = lines->minor, .status = lines->status};
    struct h1_fault f = gather(&g);
    if (!f.status)
        f = frame_body(&g);
    if (f.status)
        return f;
    if (g.removes)
        remove_listed(&g);
    start->keep_alive = keeps_alive(&g);
    if (role == H1_RESPONSES)
        return response_rules(&g);
    f = address(&g, allow_proxy_form);
    return f.status ? f : request_wishes(&g);
}
