#include "http/grammar.h"

#define T GRAMMAR_TOKEN
#define V GRAMMAR_VALUE
#define P GRAMMAR_PATH
#define Q GRAMMAR_QUERY
#define N GRAMMAR_UNRESERVED
#define X GRAMMAR_HEX
#define H GRAMMAR_HOST
#define U GRAMMAR_UPPER

const uint8_t grammar_class[256] = {
    ['\t'] = V,
    [' '] = V,
    ['!'] = T | V | P | Q,
    ['"'] = V,
    ['#'] = T | V,
    ['$'] = T | V | P | Q,
    ['%'] = T | V,
    ['&'] = T | V | P | Q,
    ['\''] = T | V | P | Q,
    ['('] = V | P | Q,
    [')'] = V | P | Q,
    ['*'] = T | V | P | Q,
    ['+'] = T | V | P | Q,
    [','] = V | P | Q,
    ['-'] = T | V | P | Q | N | H,
    ['.'] = T | V | P | Q | N | H,
    ['/'] = V | P | Q,
    ['0' ... '9'] = T | V | P | Q | N | H | X,
    [':'] = V | P | Q,
    [';'] = V | Q,
    ['<'] = V,
    ['='] = V | P | Q,
    ['>'] = V,
    ['?'] = V | Q,
    ['@'] = V | P | Q,
    ['A' ... 'F'] = T | V | P | Q | N | H | X | U,
    ['G' ... 'Z'] = T | V | P | Q | N | H | U,
    ['['] = V | Q,
    ['\\'] = V,
    [']'] = V | Q,
    ['^'] = T | V | Q,
    ['_'] = T | V | P | Q | N | H,
    ['`'] = T | V | Q,
    ['a' ... 'f'] = T | V | P | Q | N | H | X,
    ['g' ... 'z'] = T | V | P | Q | N | H,
    ['{'] = V | Q,
    ['|'] = T | V | Q,
    ['}'] = V | Q,
    ['~'] = T | V | P | Q | N,
    [0x80 ... 0xff] = V,
};

#undef T
#undef V
#undef P
#undef Q
#undef N
#undef X
#undef H
#undef U

/* Of the classes `among`, are these the only ones that any byte is of? */
static bool is_only(struct bytes s, unsigned classes, unsigned among)
{
    for (size_t i = 0; i < s.len; i++)
        if ((grammar_class[s.at[i]] & among) != classes)
            return false;
    return true;
}

bool grammar_token_is_sound(struct bytes s)
{
    return s.len > 0 && is_only(s, GRAMMAR_TOKEN, GRAMMAR_TOKEN);
}

bool grammar_name_is_sound(struct bytes s)
{
    return s.len > 0 && is_only(s, GRAMMAR_TOKEN, GRAMMAR_TOKEN | GRAMMAR_UPPER);
}

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t';
}

/* Eight bytes at a time while none is a control byte: values are most of a head. A tab, which is allowed,
 * takes the slow way. */
size_t grammar_value_run(const uint8_t *at, size_t len)
{
    const uint64_t ones = 0x0101010101010101, highs = 0x8080808080808080;
    size_t i = 0;
    while (i < len) {
        for (uint64_t v; len - i >= 8; i += 8) {
            memcpy(&v, at + i, 8);
            uint64_t del = v ^ (ones * 0x7f);
            if ((((v - ones * 0x20) & ~v) | ((del - ones) & ~del)) & highs)
                break;
        }
        for (size_t stop = len - i < 8 ? len : i + 8; i < stop; i++)
            if (!grammar_is(at[i], GRAMMAR_VALUE))
                return i;
    }
    return i;
}

bool grammar_value_is_sound(struct bytes s)
{
    return grammar_value_run(s.at, s.len) == s.len &&
           (s.len == 0 || (!is_blank(s.at[0]) && !is_blank(s.at[s.len - 1])));
}

bool grammar_eq(struct bytes s, const char *lower)
{
    size_t i = 0;
    for (; i < s.len && lower[i] != 0; i++)
        if (grammar_lower(s.at[i]) != (uint8_t)lower[i])
            return false;
    return i == s.len && lower[i] == 0;
}

struct bytes grammar_trim(struct bytes s)
{
    while (s.len > 0 && is_blank(s.at[0])) {
        s.at++;
        s.len--;
    }
    while (s.len > 0 && is_blank(s.at[s.len - 1]))
        s.len--;
    return s;
}

/* On the path of every header of every message: a length leaves at most two names to compare with. */
enum grammar_field grammar_field_of(struct bytes n)
{
#define IS(name) (memcmp(n.at, name, sizeof name - 1) == 0)
    switch (n.len) {
    case 2:
        return IS("te") ? FIELD_HOP : FIELD_ORDINARY;
    case 4:
        return IS("host") ? FIELD_HOST : FIELD_ORDINARY;
    case 6:
        return IS("expect") ? FIELD_EXPECT : FIELD_ORDINARY;
    case 7:
        return IS("upgrade") ? FIELD_UPGRADE : FIELD_ORDINARY;
    case 10:
        return IS("connection") ? FIELD_CONNECTION : IS("keep-alive") ? FIELD_HOP : FIELD_ORDINARY;
    case 14:
        return IS("content-length")   ? FIELD_CONTENT_LENGTH
               : IS("http2-settings") ? FIELD_HOP
                                      : FIELD_ORDINARY;
    case 16:
        return IS("proxy-connection") ? FIELD_HOP : FIELD_ORDINARY;
    case 17:
        return IS("transfer-encoding") ? FIELD_TRANSFER_ENCODING : FIELD_ORDINARY;
    case 18:
        return IS("proxy-authenticate") ? FIELD_HOP : FIELD_ORDINARY;
    case 19:
        return IS("proxy-authorization") ? FIELD_HOP : FIELD_ORDINARY;
    default:
        return FIELD_ORDINARY;
    }
#undef IS
}

/* Does `name` begin with `with`, where '_' and '.' in it count as '-'? */
static bool folds_to(struct bytes name, const char *with, bool whole)
{
    size_t len = strlen(with);
    if (name.len < len || (whole && name.len != len))
        return false;
    for (size_t i = 0; i < len; i++) {
        uint8_t c = name.at[i];
        if ((c == '_' || c == '.' ? '-' : c) != (uint8_t)with[i])
            return false;
    }
    return true;
}

bool grammar_is_edge_name(struct bytes name)
{
    static const char *const prefixes[] = {"x-starling", "x-forwarded"};
    static const char *const names[] = {"forwarded",      "x-real-ip",         "via",
                                        "x-original-url", "x-rewrite-url",     "x-http-method-override",
                                        "x-http-method",  "x-method-override", "proxy"};
    if (name.len == 0 || !strchr("xfvp", name.at[0]))
        return false;
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++)
        if (folds_to(name, prefixes[i], false))
            return true;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (folds_to(name, names[i], true))
            return true;
    return false;
}

bool grammar_may_be_header(struct bytes name, bool is_response)
{
    enum grammar_field f = grammar_field_of(name);
    return f == FIELD_ORDINARY || (f == FIELD_EXPECT && is_response);
}

bool grammar_may_be_trailer(struct bytes name)
{
    static const char *const never[] = {"authorization", "cookie",        "set-cookie", "content-encoding",
                                        "content-type",  "content-range", "trailer"};
    if (grammar_field_of(name) != FIELD_ORDINARY || grammar_is_edge_name(name))
        return false;
    for (size_t i = 0; i < sizeof never / sizeof *never; i++)
        if (bytes_eq_str(name, never[i]))
            return false;
    return true;
}
