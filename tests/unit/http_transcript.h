/* What a reader says about a stream of bytes, as text: one line per event, data joined. Shared by the tests
 * and fuzz targets of http/.
 *
 *   GET example.com /a ?b=1 minor 1 length 5 expect upgrade
 *     x-name: value
 *   data hello
 *   trailers
 *     x-sum: 1
 *   end
 *   error 400 why */
#ifndef HTTP_TRANSCRIPT_H
#define HTTP_TRANSCRIPT_H

#include <ctype.h>

#include "http/h1.h"

static inline void say_bytes(struct buf *out, struct bytes b)
{
    for (size_t i = 0; i < b.len; i++) {
        if (b.at[i] >= 0x20 && b.at[i] < 0x7f && b.at[i] != '\\')
            buf_add_u8(out, b.at[i]);
        else
            buf_addf(out, "\\x%02x", b.at[i]);
    }
}

static inline void say_headers(struct buf *out, const struct http_head *h)
{
    for (size_t i = 0; i < h->header_count; i++) {
        buf_add_str(out, "  ");
        say_bytes(out, h->header[i].name);
        buf_add_str(out, ": ");
        say_bytes(out, h->header[i].value);
        buf_add_u8(out, '\n');
    }
}

static inline void say_head(struct buf *out, const struct http_head *h)
{
    if (h->is_response) {
        buf_addf(out, "%u", h->status);
    } else {
        say_bytes(out, h->method);
        buf_add_u8(out, ' ');
        say_bytes(out, h->authority);
        buf_add_u8(out, ' ');
        say_bytes(out, h->path);
        if (h->query.at) {
            buf_add_str(out, " ?");
            say_bytes(out, h->query);
        }
    }
    if (h->minor == 0)
        buf_add_str(out, " minor 0");
    if (h->body == HTTP_BODY_LENGTH)
        buf_addf(out, " length %llu", (unsigned long long)h->content_length);
    else if (h->body != HTTP_BODY_NONE)
        buf_add_str(out, h->body == HTTP_BODY_CHUNKED ? " chunked" : " until-close");
    if (h->expect_continue)
        buf_add_str(out, " expect");
    if (h->upgrade.len) {
        buf_add_str(out, " upgrade ");
        say_bytes(out, h->upgrade);
    }
    buf_add_u8(out, '\n');
    say_headers(out, h);
}

struct transcript {
    struct buf out;
    struct h1_reader *reader;
    bool in_data, over;
};

static inline void transcript_event(struct transcript *t, struct h1_event e)
{
    static struct http_head h;
    if (t->in_data && e.type != H1_DATA) {
        buf_add_u8(&t->out, '\n');
        t->in_data = false;
    }
    switch (e.type) {
    case H1_NONE:
        break;
    case H1_HEAD:
    case H1_TRAILERS:
        h1_reader_head_take(t->reader, &h);
        if (e.type == H1_TRAILERS) {
            buf_add_str(&t->out, "trailers\n");
            say_headers(&t->out, &h);
        } else {
            say_head(&t->out, &h);
        }
        http_head_fini(&h);
        break;
    case H1_DATA:
        if (!t->in_data)
            buf_add_str(&t->out, "data ");
        t->in_data = true;
        say_bytes(&t->out, e.data);
        break;
    case H1_END:
        buf_add_str(&t->out, "end\n");
        break;
    case H1_ERROR:
        buf_addf(&t->out, "error %u %s\n", e.status, e.why);
        t->over = true;
        break;
    }
}

/* Feeds one piece as the data plane does: until H1_NONE. */
static inline void transcript_feed(struct transcript *t, struct bytes in)
{
    struct h1_event e = {.type = H1_HEAD};
    while (!t->over && e.type != H1_NONE) {
        size_t used;
        e = h1_reader_feed(t->reader, in, &used);
        if (e.type != H1_NONE || !t->in_data)
            transcript_event(t, e);
        in.at += used;
        in.len -= used;
    }
}

/* The whole of `raw`, cut after every `piece` bytes (0: not cut) and once at `cut` (0: not), then the end of
 * input. */
static inline struct buf transcript_of(struct h1_reader *reader, struct bytes raw, size_t piece, size_t cut)
{
    struct transcript t = {.reader = reader};
    for (size_t at = 0; at < raw.len;) {
        size_t n = raw.len - at;
        if (piece && n > piece)
            n = piece;
        if (cut > at && at + n > cut)
            n = cut - at;
        transcript_feed(&t, bytes_of(raw.at + at, n));
        at += n;
    }
    if (!t.over)
        transcript_event(&t, h1_reader_eof(reader));
    return t.out;
}

#endif
