/* The second reader, and the only file that knows http-parser. It never sees a byte that our grammar has not
 * passed (Debian builds it non-strict), and it decides nothing alone: if it does not see the same message as
 * we did, nobody may. */
#include <http_parser.h>

#include "http/h1_head.h"

/* What the library has reported so far, held against what we read. */
struct second {
    const struct h1_lines *lines;
    const uint8_t *text;
    size_t names, values;
    bool differs, has_target, complete;
};

static bool is_at(const struct second *s, struct h1_span span, const char *at, size_t len)
{
    return (const uint8_t *)at == s->text + span.at && len == span.len;
}

static int on_target(http_parser *p, const char *at, size_t len)
{
    struct second *s = p->data;
    s->differs |= s->has_target || !is_at(s, s->lines->target, at, len);
    s->has_target = true;
    return 0;
}

static int on_name(http_parser *p, const char *at, size_t len)
{
    struct second *s = p->data;
    s->differs |= s->names >= s->lines->count || s->values != s->names ||
                  !is_at(s, s->lines->slot[s->names].name, at, len);
    s->names++;
    return 0;
}

/* The library leaves trailing blanks in a value, and puts an empty one wherever its line ends. */
static int on_value(http_parser *p, const char *at, size_t len)
{
    struct second *s = p->data;
    s->values++;
    if (s->values != s->names || s->names > s->lines->count) {
        s->differs = true;
        return 0;
    }
    struct h1_span v = s->lines->slot[s->values - 1].value;
    while (len > 0 && (at[len - 1] == ' ' || at[len - 1] == '\t'))
        len--;
    s->differs |= len != v.len || (len > 0 && !is_at(s, v, at, len));
    return 0;
}

/* 2: there is no body and nothing after the head for the library, whatever the fields say. */
static int on_complete(http_parser *p)
{
    struct second *s = p->data;
    s->complete = true;
    return 2;
}

static bool start_agrees(const struct second *s, const http_parser *p, enum h1_role role)
{
    if (p->http_major != 1 || p->http_minor != s->lines->minor)
        return false;
    if (role == H1_RESPONSES)
        return p->status_code == s->lines->status;
    struct bytes method = bytes_of(s->text + s->lines->method.at, s->lines->method.len);
    return s->has_target && bytes_eq_str(method, http_method_str((enum http_method)p->method));
}

struct h1_fault second_read(const struct h1_lines *lines, const struct buf *text, enum h1_role role)
{
    static const http_parser_settings settings = {.on_url = on_target,
                                                  .on_header_field = on_name,
                                                  .on_header_value = on_value,
                                                  .on_headers_complete = on_complete};
    struct second s = {.lines = lines, .text = text->at};
    http_parser p;
    http_parser_init(&p, role == H1_REQUESTS ? HTTP_REQUEST : HTTP_RESPONSE);
    p.data = &s;
    size_t n = http_parser_execute(&p, &settings, (const char *)text->at, text->len);
    if (HTTP_PARSER_ERRNO(&p) == HPE_INVALID_METHOD)
        return (struct h1_fault){501, "method is not known here"};
    if (HTTP_PARSER_ERRNO(&p) != HPE_OK || n != text->len || !s.complete)
        return (struct h1_fault){400, "head is refused by the second reader"};
    if (s.differs || s.names != lines->count || s.values != lines->count || !start_agrees(&s, &p, role))
        return (struct h1_fault){400, "two readers disagree about the head"};
    return (struct h1_fault){0, NULL};
}
