/* Paths, queries and authorities: one spelling each, or none. */
#include <arpa/inet.h>

#include "base/utf8.h"
#include "http/grammar.h"
#include "http/h1.h"

/* A path being written: whole segments, and the state of UTF-8 within a run of escapes. */
struct path {
    uint8_t *out;
    size_t len;
    struct utf8 utf8;
};

/* Code points that compatibility folding (NFKC) turns into '/', '\', '.', '%' or ';' or something with a
 * slash in it: an application that folds before it routes would see another path than the one judged here. */
static bool folds_to_syntax(uint32_t point)
{
    static const uint16_t points[] = {0x2024, 0x2025, 0x2100, 0x2101, 0x2105, 0x2106, 0xfe52, 0xfe54,
                                      0xfe68, 0xfe6a, 0xff05, 0xff0e, 0xff0f, 0xff1b, 0xff3c};
    for (size_t i = 0; i < sizeof points / sizeof *points; i++)
        if (points[i] == point)
            return true;
    return false;
}

/* One escaped byte >= 0x80. */
static bool take_beyond_ascii(struct path *p, uint8_t b)
{
    return utf8_take(&p->utf8, b) && (p->utf8.more > 0 || !folds_to_syntax(p->utf8.point));
}

static bool path_escape(struct path *p, uint8_t b)
{
    static const char digit[] = "0123456789ABCDEF";
    if (b < 0x20 || b == 0x7f || b == '/' || b == '\\' || (b < 0x80 && p->utf8.more > 0) ||
        (b >= 0x80 && !take_beyond_ascii(p, b)))
        return false;
    if (grammar_is(b, GRAMMAR_UNRESERVED)) {
        p->out[p->len++] = b;
        return true;
    }
    p->out[p->len++] = '%';
    p->out[p->len++] = (uint8_t)digit[b >> 4];
    p->out[p->len++] = (uint8_t)digit[b & 15];
    return true;
}

/* Copies one segment from raw[*i], up to the next '/' or the end. What is written is never longer than what
 * was read. */
static bool path_segment(struct path *p, struct bytes raw, size_t *i)
{
    while (*i < raw.len && raw.at[*i] != '/') {
        uint8_t c = raw.at[*i];
        if (c == '%') {
            if (raw.len - *i < 3 || !grammar_is(raw.at[*i + 1], GRAMMAR_HEX) ||
                !grammar_is(raw.at[*i + 2], GRAMMAR_HEX))
                return false;
            uint8_t b = (uint8_t)(grammar_hex(raw.at[*i + 1]) << 4 | grammar_hex(raw.at[*i + 2]));
            if (!path_escape(p, b))
                return false;
            *i += 3;
        } else {
            if (p->utf8.more > 0 || !grammar_is(c, GRAMMAR_PATH))
                return false;
            p->out[p->len++] = c;
            *i += 1;
        }
    }
    return p->utf8.more == 0;
}

/* The segment just written began at `from`. RFC 3986 section 5.2.4, but climbing out of the root is an error.
 */
static bool path_resolve_dots(struct path *p, size_t from)
{
    struct bytes s = bytes_of(p->out + from, p->len - from);
    if (bytes_eq_str(s, ".")) {
        p->len = from;
    } else if (bytes_eq_str(s, "..")) {
        if (from == 1)
            return false;
        p->len = from - 1;
        while (p->out[p->len - 1] != '/')
            p->len--;
    }
    return true;
}

enum err http_path_normalise(struct bytes raw, uint8_t *out, size_t *len)
{
    struct path p = {.out = out};
    *len = 0;
    if (raw.len == 0 || raw.at[0] != '/')
        return ERR_INVALID;
    for (size_t i = 0; i < raw.len;) {
        i++; /* the '/' */
        if (p.len == 0 || p.out[p.len - 1] != '/')
            p.out[p.len++] = '/';
        size_t from = p.len;
        if (!path_segment(&p, raw, &i) || !path_resolve_dots(&p, from))
            return ERR_INVALID;
    }
    *len = p.len;
    return ERR_OK;
}

bool http_query_is_sound(struct bytes q)
{
    for (size_t i = 0; i < q.len; i++) {
        if (q.at[i] == '%') {
            if (q.len - i < 3 || !grammar_is(q.at[i + 1], GRAMMAR_HEX) ||
                !grammar_is(q.at[i + 2], GRAMMAR_HEX))
                return false;
            i += 2;
        } else if (!grammar_is(q.at[i], GRAMMAR_QUERY)) {
            return false;
        }
    }
    return true;
}

/* A host whose last label is a number is an IPv4 address to some resolvers (WHATWG URL, "ends in a number"):
 * only the dotted quad is one here. */
static bool ends_in_number(const char *host)
{
    const char *last = strrchr(host, '.');
    last = last ? last + 1 : host;
    if (*last < '0' || *last > '9')
        return false;
    return last[strspn(last, "0123456789")] == 0 ||
           (last[1] == 'x' && last[2 + strspn(last + 2, "0123456789abcdef")] == 0);
}

static bool labels_are_sound(const char *host)
{
    for (const char *label = host;; label++) {
        size_t n = strcspn(label, ".");
        if (n == 0 || n > 63)
            return false;
        label += n;
        if (*label == 0)
            return true;
    }
}

/* A DNS name or dotted quad, lower-cased into `out` with a NUL; returns its length, 0 if it is neither. */
static size_t host_name(struct bytes raw, char out[HTTP_AUTHORITY_MAX])
{
    struct in_addr v4;
    if (raw.len > 0 && raw.at[raw.len - 1] == '.')
        raw.len--;
    if (raw.len == 0 || raw.len > 253)
        return 0;
    for (size_t i = 0; i < raw.len; i++) {
        if (!grammar_is(raw.at[i], GRAMMAR_HOST))
            return 0;
        out[i] = (char)grammar_lower(raw.at[i]);
    }
    out[raw.len] = 0;
    return labels_are_sound(out) && (!ends_in_number(out) || inet_pton(AF_INET, out, &v4) == 1) ? raw.len : 0;
}

/* What stands between the brackets; writes it with them. As host_name(). */
static size_t host_v6(struct bytes raw, char out[HTTP_AUTHORITY_MAX])
{
    char text[INET6_ADDRSTRLEN];
    struct in6_addr v6;
    if (raw.len >= sizeof text || memchr(raw.at, 0, raw.len))
        return 0;
    memcpy(text, raw.at, raw.len);
    text[raw.len] = 0;
    if (inet_pton(AF_INET6, text, &v6) != 1)
        return 0;
    inet_ntop(AF_INET6, &v6, text, sizeof text);
    return (size_t)snprintf(out, HTTP_AUTHORITY_MAX, "[%s]", text);
}

/* ":port", or nothing: 0, or 80 which is the default. */
static bool port_read(struct bytes raw, unsigned *port)
{
    *port = 80;
    if (raw.len == 0)
        return true;
    if (raw.len < 2 || raw.len > 6 || raw.at[0] != ':' || raw.at[1] == '0')
        return false;
    *port = 0;
    for (size_t i = 1; i < raw.len; i++) {
        if (raw.at[i] < '0' || raw.at[i] > '9')
            return false;
        *port = *port * 10 + (unsigned)(raw.at[i] - '0');
    }
    return *port <= 65535;
}

enum err http_authority_normalise(struct bytes raw, uint8_t *out, size_t cap, size_t *len)
{
    enum { PORT_TEXT_MAX = 8 };
    char text[HTTP_AUTHORITY_MAX + PORT_TEXT_MAX];
    bool v6 = raw.len > 0 && raw.at[0] == '[';
    const uint8_t *stop = raw.len > 0 ? memchr(raw.at, v6 ? ']' : ':', raw.len) : NULL;
    *len = 0;
    if (v6 && !stop)
        return ERR_INVALID;
    size_t host_len = stop ? (size_t)(stop - raw.at) : raw.len, host_end = host_len + v6;
    size_t n =
        v6 ? host_v6(bytes_of(raw.at + 1, host_len - 1), text) : host_name(bytes_of(raw.at, host_len), text);
    unsigned port;
    if (n == 0 || !port_read(bytes_of(raw.at + host_end, raw.len - host_end), &port))
        return ERR_INVALID;
    if (port != 80)
        n += (size_t)snprintf(text + n, PORT_TEXT_MAX, ":%u", port);
    if (n > cap)
        return ERR_INVALID;
    memcpy(out, text, n);
    *len = n;
    return ERR_OK;
}
