#include "policy/path.h"

static bool is_unreserved(unsigned c) /* RFC 3986 section 2.3 */
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

static int hex_value(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1; /* lower case is not the normal form */
}

static const char *escape_fault(struct bytes path, size_t i)
{
    int hi = i + 2 < path.len ? hex_value(path.at[i + 1]) : -1, lo = hi >= 0 ? hex_value(path.at[i + 2]) : -1;
    if (lo < 0)
        return "% must be followed by two digits or capital letters A to F";
    unsigned c = (unsigned)(hi * 16 + lo);
    if (is_unreserved(c))
        return "an escape of a letter, digit or one of -._~ is forwarded decoded; write the character itself";
    if (c == '/' || c == '\\' || c == 0)
        return "an encoded slash, backslash or NUL is answered 400 and never forwarded";
    return NULL;
}

static const char *segment_fault(struct bytes path, size_t begin, size_t end)
{
    size_t len = end - begin;
    if (len == 0 && end != path.len)
        return "`//` is forwarded as `/`; write a single slash";
    if ((len == 1 && path.at[begin] == '.') ||
        (len == 2 && path.at[begin] == '.' && path.at[begin + 1] == '.'))
        return "dot segments are resolved before paths are compared; write the resolved path";
    return NULL;
}

const char *path_fault(struct bytes path)
{
    const char *fault = NULL;
    if (path.len == 0 || path.at[0] != '/')
        return "a path begins with /";
    for (size_t i = 1, begin = 1; i <= path.len && !fault; i++) {
        uint8_t c = i < path.len ? path.at[i] : '/';
        if (c == '?' || c == '#')
            fault = "a path ends before ? or #; use `query` to look at the query";
        else if (c <= 0x20 || c >= 0x7f || c == '\\')
            fault = "blanks, backslashes and characters outside ASCII are only possible as escapes (%20)";
        else if (c == '%')
            fault = escape_fault(path, i);
        else if (c == '/') {
            fault = segment_fault(path, begin, i);
            begin = i + 1;
        }
    }
    return fault;
}

/* A character of a segment, and one that is no dot; a segment is neither empty (but at the end), nor `.`, nor `..`. */
#define ESCAPE  "%(?:0[1-9A-F]|1[0-9A-F]|2[0-9A-C]|3[A-F]|[46]0|5[BDE]|7[BCDF]|[89A-F][0-9A-F])"
#define INNER   "(?:[!\"$&-.0->@-[\\]-~]|" ESCAPE ")"
#define NO_DOT  "(?:[!\"$&-\\-0->@-[\\]-~]|" ESCAPE ")"
#define SEGMENT "(?:\\.?" NO_DOT INNER "*|\\.\\." INNER "+)"
const char path_normal_form[] = "(?:/" SEGMENT ")+/?|/";

bool path_is_under(struct bytes path, struct bytes prefix)
{
    return path.len >= prefix.len && (path.len == prefix.len || path.at[prefix.len] == '/') &&
           (prefix.len == 0 || memcmp(path.at, prefix.at, prefix.len) == 0);
}

static int by_length_then_bytes(const void *a, const void *b)
{
    const struct bytes *x = a, *y = b;
    if (x->len != y->len)
        return x->len < y->len ? -1 : 1;
    return x->len ? memcmp(x->at, y->at, x->len) : 0;
}

static const struct bytes *sorted_copy(struct arena *a, const struct bytes *in, size_t count)
{
    struct bytes *out = arena_take(a, count, sizeof *out);
    if (out && count) {
        memcpy(out, in, count * sizeof *out);
        qsort(out, count, sizeof *out, by_length_then_bytes);
    }
    return out;
}

bool path_set_build(struct path_set *s, struct arena *a, const struct bytes *exact, size_t exact_count,
                    const struct bytes *prefix, size_t prefix_count)
{
    s->exact = sorted_copy(a, exact, exact_count);
    s->prefix = sorted_copy(a, prefix, prefix_count);
    if (!s->exact || !s->prefix)
        return false;
    s->exact_count = exact_count;
    s->prefix_count = prefix_count;
    s->prefix_longest = prefix_count ? s->prefix[prefix_count - 1].len : 0;
    return true;
}

static bool holds(const struct bytes *sorted, size_t count, struct bytes key)
{
    size_t lo = 0, hi = count;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        int d = by_length_then_bytes(&sorted[mid], &key);
        if (d == 0)
            return true;
        if (d < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return false;
}

/* Each segment boundary of the path is looked up among the prefixes; boundaries beyond the longest prefix
 * cannot be there, so that a request with ten thousand segments costs no more than the rules are long. */
static bool is_under_one(const struct path_set *s, struct bytes path)
{
    for (size_t i = 0; s->prefix_count && i <= path.len && i <= s->prefix_longest; i++)
        if ((i == path.len || path.at[i] == '/') && holds(s->prefix, s->prefix_count, bytes_of(path.at, i)))
            return true;
    return false;
}

bool path_set_has(const struct path_set *s, struct bytes path)
{
    return holds(s->exact, s->exact_count, path) || is_under_one(s, path);
}

bool path_set_covers(const struct path_set *a, const struct path_set *b)
{
    if (path_set_is_empty(a))
        return true;
    if (path_set_is_empty(b))
        return is_under_one(a, bytes_of("", 0));
    for (size_t i = 0; i < b->exact_count; i++)
        if (!path_set_has(a, b->exact[i]))
            return false;
    for (size_t i = 0; i < b->prefix_count; i++)
        if (!is_under_one(a, b->prefix[i]))
            return false;
    return true;
}
