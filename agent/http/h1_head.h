/* From the bytes of one head to what it says. Inside http/ only.
 *
 *   head_split()   our grammar: start line and fields, names lower-cased in place        h1_head.c
 *   second_read()  http-parser reads the same bytes and must see the same                h1_second.c
 *   head_mean()    which fields frame, route or are hop-by-hop; what remains is ordinary  h1_mean.c
 *
 * Everything is an offset into the head's text, which may move while it grows. */
#ifndef HTTP_H1_HEAD_H
#define HTTP_H1_HEAD_H

#include <assert.h>

#include "http/h1.h"

/* Why a message is refused: the answer's status and a static text; all zero when there is no fault. Statuses
 * are those a server would answer; a reader of responses turns each into 502. */
struct h1_fault {
    uint16_t status;
    const char *why;
};

struct h1_span {
    uint16_t at, len;
};
static_assert(HTTP_HEAD_BYTES_MAX + HTTP_AUTHORITY_MAX <= UINT16_MAX,
              "a head's text is addressed with 16 bits");

struct h1_slot {
    struct h1_span name, value;
};

/* As split: nothing judged yet. */
struct h1_lines {
    struct h1_span method, target; /* requests */
    uint16_t status;               /* responses */
    uint8_t minor;
    size_t count;
    struct h1_slot slot[HTTP_HEADERS_MAX];
};

/* What the start line and the removed fields say; the remaining slots are the headers. */
struct h1_start {
    struct h1_span method, authority, path, query, upgrade;
    uint64_t content_length;
    uint16_t status;
    uint8_t minor;
    enum http_body body;
    bool has_query, expect_continue, keep_alive;
};

static inline struct bytes span_bytes(const struct buf *text, struct h1_span s)
{
    return bytes_of(text->at + s.at, s.len);
}

/* `text` is exactly one head, ending in the empty line. */
struct h1_fault head_split(struct h1_lines *lines, struct buf *text, enum h1_role role, size_t headers_max);
/* `text` is exactly one trailer section, ending in the empty line; edge names are dropped. */
struct h1_fault trailers_split(struct h1_lines *lines, struct buf *text, size_t headers_max);
struct h1_fault second_read(const struct h1_lines *lines, const struct buf *text, enum h1_role role);
/* Leaves the ordinary headers in `lines`. May append to the text. */
struct h1_fault head_mean(struct h1_start *start, struct h1_lines *lines, struct buf *text, enum h1_role role,
                          bool allow_proxy_form);

#endif
