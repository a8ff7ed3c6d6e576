/* Byte classes and names of HTTP/1: the only place that says which byte may stand where. RFC 9110 section 5,
 * RFC 9112, RFC 3986. */
#ifndef HTTP_GRAMMAR_H
#define HTTP_GRAMMAR_H

#include "base/bytes.h"

enum {
    GRAMMAR_TOKEN = 1 << 0,      /* tchar */
    GRAMMAR_UPPER = 1 << 1,      /* A-Z */
    GRAMMAR_VALUE = 1 << 2,      /* field-vchar, blank, tab; obs-text too */
    GRAMMAR_PATH = 1 << 3,       /* pchar but '%' and ';', and '/' */
    GRAMMAR_QUERY = 1 << 4,      /* see http_query_is_sound(); not '%' */
    GRAMMAR_UNRESERVED = 1 << 5, /* RFC 3986 section 2.3 */
    GRAMMAR_HEX = 1 << 6,
    GRAMMAR_HOST = 1 << 7, /* letters, digits, '-', '_', '.' */
};
extern const uint8_t grammar_class[256];

static inline bool grammar_is(uint8_t c, unsigned classes)
{
    return (grammar_class[c] & classes) != 0;
}

static inline uint8_t grammar_lower(uint8_t c)
{
    return grammar_is(c, GRAMMAR_UPPER) ? (uint8_t)(c | 0x20) : c;
}

/* 0..15; the byte must be of GRAMMAR_HEX. */
static inline uint8_t grammar_hex(uint8_t c)
{
    return (uint8_t)((c & 15) + (c > '9' ? 9 : 0));
}

bool grammar_token_is_sound(struct bytes s);
bool grammar_name_is_sound(struct bytes s);  /* a lower-case token */
bool grammar_value_is_sound(struct bytes s); /* no control byte but tab, no blank at either end */
/* How many bytes at the front may stand in a value (GRAMMAR_VALUE). */
size_t grammar_value_run(const uint8_t *at, size_t len);
/* Case-insensitive; `lower` must be lower-case. */
bool grammar_eq(struct bytes s, const char *lower);
struct bytes grammar_trim(struct bytes s); /* without blanks and tabs at both ends */

/* Fields that are not headers of a typed message: said by its typed members, or meant for one connection
 * only. */
enum grammar_field {
    FIELD_ORDINARY,
    FIELD_HOST,
    FIELD_CONTENT_LENGTH,
    FIELD_TRANSFER_ENCODING,
    FIELD_CONNECTION,
    FIELD_UPGRADE,
    FIELD_EXPECT, /* ordinary in a response */
    FIELD_HOP, /* keep-alive, te, proxy-connection, proxy-authenticate, proxy-authorization, http2-settings */
};
enum grammar_field grammar_field_of(struct bytes lower_name);

/* What http_strip_edge_headers() removes. */
bool grammar_is_edge_name(struct bytes lower_name);
/* May it be a header of a typed message, or a trailer of one (RFC 9110 section 6.5.1: nothing that frames,
 * routes, or says who calls)? */
bool grammar_may_be_header(struct bytes lower_name, bool is_response);
bool grammar_may_be_trailer(struct bytes lower_name);

#endif
