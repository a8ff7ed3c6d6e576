/* The grammar of a head: RFC 9112 sections 3, 4 and 5, without any of the leniencies they allow. */
#include "http/grammar.h"
#include "http/h1_head.h"

/* Where we are in the text. The text ends in CRLF, and every loop stops at a CR at the latest. */
struct scan {
    uint8_t *text;
    size_t at, end;
};

static struct h1_fault fault(uint16_t status, const char *why)
{
    return (struct h1_fault){status, why};
}

static const struct h1_fault sound;

static struct h1_span span(size_t from, size_t to)
{
    return (struct h1_span){(uint16_t)from, (uint16_t)(to - from)};
}

static bool take(struct scan *s, const char *literal)
{
    size_t n = strlen(literal);
    if (s->end - s->at < n || memcmp(s->text + s->at, literal, n) != 0)
        return false;
    s->at += n;
    return true;
}

static struct h1_span take_while(struct scan *s, unsigned classes)
{
    size_t from = s->at;
    while (s->at < s->end && grammar_is(s->text[s->at], classes))
        s->at++;
    return span(from, s->at);
}

/* Visible ASCII: what may stand in a target at all. Path, query and authority are judged later, each by its
 * own rule. */
static struct h1_span take_visible(struct scan *s)
{
    size_t from = s->at;
    while (s->at < s->end && s->text[s->at] > 0x20 && s->text[s->at] < 0x7f)
        s->at++;
    return span(from, s->at);
}

/* "HTTP/1.0" or "HTTP/1.1". RFC 9112 section 2.3; a minor version above 1 does not exist. */
static struct h1_fault take_version(struct scan *s, uint8_t *minor)
{
    if (!take(s, "HTTP/"))
        return fault(400, "no HTTP version where one belongs");
    if (take(s, "1.1"))
        *minor = 1;
    else if (take(s, "1.0"))
        *minor = 0;
    else
        return fault(505, "HTTP version is neither 1.0 nor 1.1");
    return sound;
}

static struct h1_fault request_line(struct h1_lines *l, struct scan *s)
{
    l->method = take_while(s, GRAMMAR_TOKEN);
    if (l->method.len == 0 || !take(s, " "))
        return fault(400, "request line does not begin with a method and one space");
    l->target = take_visible(s);
    if (l->target.len > HTTP_TARGET_BYTES_MAX)
        return fault(414, "target is too long");
    if (l->target.len == 0 || !take(s, " "))
        return fault(400, "request line needs a target of visible ASCII and one space after it");
    struct h1_fault f = take_version(s, &l->minor);
    if (f.status)
        return f;
    return take(s, "\r\n") ? sound : fault(400, "something follows the HTTP version");
}

/* The reason phrase is checked and forgotten; some servers leave it and its space away. */
static struct h1_fault status_line(struct h1_lines *l, struct scan *s)
{
    struct h1_fault f = take_version(s, &l->minor);
    if (f.status)
        return f;
    if (!take(s, " "))
        return fault(400, "status line without a space after the version");
    unsigned status = 0;
    size_t from = s->at;
    while (s->at < s->end && s->at - from < 3 && s->text[s->at] >= '0' && s->text[s->at] <= '9')
        status = status * 10 + (unsigned)(s->text[s->at++] - '0');
    if (s->at - from != 3 || status < 100 || status > 599)
        return fault(400, "status is not 100 to 599");
    l->status = (uint16_t)status;
    if (take(s, " "))
        take_while(s, GRAMMAR_VALUE);
    return take(s, "\r\n") ? sound : fault(400, "status line holds a byte it must not");
}

/* A token, which becomes lower case where it stands. Half of a head's bytes pass here, so each is looked up once. */
static struct h1_span take_name(struct scan *s)
{
    size_t from = s->at;
    for (; s->at < s->end; s->at++) {
        uint8_t class = grammar_class[s->text[s->at]];
        if (!(class & GRAMMAR_TOKEN))
            break;
        if (class & GRAMMAR_UPPER)
            s->text[s->at] |= 0x20;
    }
    return span(from, s->at);
}

static struct h1_fault field_line(struct h1_slot *slot, struct scan *s)
{
    slot->name = take_name(s);
    if (slot->name.len == 0 || !take(s, ":"))
        return fault(400, "header name is not a token followed by a colon");
    size_t value = s->at;
    s->at += grammar_value_run(s->text + s->at, s->end - s->at);
    slot->value = span(value, s->at);
    if (!take(s, "\r\n"))
        return fault(400, "header value holds a control byte");
    struct bytes v = grammar_trim(bytes_of(s->text + slot->value.at, slot->value.len));
    slot->value = span((size_t)(v.at - s->text), (size_t)(v.at - s->text) + v.len);
    return sound;
}

/* Field lines up to and including the empty one, which must be the end of the text. */
static struct h1_fault field_lines(struct h1_lines *l, struct scan *s, size_t headers_max)
{
    l->count = 0;
    while (!take(s, "\r\n")) {
        if (l->count == headers_max)
            return fault(431, "too many header fields");
        struct h1_fault f = field_line(&l->slot[l->count], s);
        if (f.status)
            return f;
        l->count++;
    }
    return s->at == s->end ? sound : fault(400, "empty line inside a head");
}

struct h1_fault head_split(struct h1_lines *l, struct buf *text, enum h1_role role, size_t headers_max)
{
    struct scan s = {text->at, 0, text->len};
    struct h1_fault f = role == H1_REQUESTS ? request_line(l, &s) : status_line(l, &s);
    return f.status ? f : field_lines(l, &s, headers_max);
}

struct h1_fault trailers_split(struct h1_lines *l, struct buf *text, size_t headers_max)
{
    struct scan s = {text->at, 0, text->len};
    struct h1_fault f = field_lines(l, &s, headers_max);
    if (f.status)
        return f;
    size_t kept = 0;
    for (size_t i = 0; i < l->count; i++) {
        struct bytes name = span_bytes(text, l->slot[i].name);
        /* P15: nobody can say who he is after the head was judged. */
        if (grammar_is_edge_name(name))
            continue;
        if (!grammar_may_be_trailer(name))
            return fault(400, "trailer that frames, routes or authenticates a message");
        l->slot[kept++] = l->slot[i];
    }
    l->count = kept;
    return sound;
}
