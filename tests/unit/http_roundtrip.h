/* The property of the whole room: whatever the reader accepts, written by the writer and read again, is the
 * same one message. Asserts, so that it serves the unit tests and the fuzz targets alike. */
#ifndef HTTP_ROUNDTRIP_H
#define HTTP_ROUNDTRIP_H

#include "http_transcript.h"

struct roundtrip {
    enum h1_role role;
    const struct http_head *request;
    struct buf said, wire; /* of the message under way: what was read of it, and what we wrote */
    enum http_body body;
    bool in_data, ended;
    size_t messages;
};

static inline struct h1_reader *roundtrip_reader(const struct roundtrip *t)
{
    struct h1_limits limits = {.allow_proxy_form = true};
    struct h1_reader *r = h1_reader_new(t->role, &limits);
    assert(r);
    if (t->role == H1_RESPONSES)
        h1_reader_expect(r, t->request);
    return r;
}

/* The writer adds its own fields (host, framing, connection), which may take a head at the reader's limit
 * beyond it. */
static inline bool roundtrip_is_over_limit(struct buf *said_again)
{
    const char *text = buf_str(said_again);
    return strncmp(text, "error", 5) == 0 &&
           (strstr(text, "too many header fields") || strstr(text, "head is too long"));
}

/* The message is complete: what we wrote must read as what we read, and as nothing more. */
static inline void roundtrip_message(struct roundtrip *t)
{
    struct h1_reader *again = roundtrip_reader(t);
    struct buf said_again = transcript_of(again, buf_bytes(&t->wire), 0, 0);
    if (strcmp(buf_str(&t->said), buf_str(&said_again)) != 0 && !roundtrip_is_over_limit(&said_again)) {
        fprintf(stderr, "read:\n%swritten:\n%.*s\nread again:\n%s", buf_str(&t->said), (int)t->wire.len,
                (const char *)t->wire.at, buf_str(&said_again));
        abort();
    }
    buf_fini(&said_again);
    h1_reader_free(again);
    t->said.len = t->wire.len = 0;
    t->messages++;
}

static inline void roundtrip_head(struct roundtrip *t, struct h1_reader *r)
{
    static struct http_head h;
    h1_reader_head_take(r, &h);
    h.minor = 1; /* what we write is always 1.1 */
    t->body = h1_body_on_wire(&h, NULL);
    enum err e = h1_write_head(&t->wire, &h, NULL);
    assert(e == ERR_OK);
    h.body = t->body;
    say_head(&t->said, &h);
    t->ended = false;
    http_head_fini(&h);
}

static inline void roundtrip_trailers(struct roundtrip *t, struct h1_reader *r)
{
    static struct http_head h;
    h1_reader_head_take(r, &h);
    buf_add_str(&t->said, "trailers\n");
    say_headers(&t->said, &h);
    enum err e = h1_write_end(&t->wire, t->body, &h);
    assert(e == ERR_OK);
    t->ended = true;
    http_head_fini(&h);
}

static inline void roundtrip_data(struct roundtrip *t, struct bytes data)
{
    if (!t->in_data)
        buf_add_str(&t->said, "data ");
    t->in_data = true;
    say_bytes(&t->said, data);
    enum err e = h1_write_data(&t->wire, t->body, data);
    assert(e == ERR_OK);
}

static inline void roundtrip_end(struct roundtrip *t)
{
    enum err e = t->ended ? ERR_OK : h1_write_end(&t->wire, t->body, NULL);
    assert(e == ERR_OK);
    buf_add_str(&t->said, "end\n");
    roundtrip_message(t);
}

/* Reads all of `raw` and takes every complete message there and back; returns how many there were. A tunnel
 * ends it. */
static inline size_t roundtrip(enum h1_role role, const struct http_head *request, struct bytes raw)
{
    struct roundtrip t = {.role = role, .request = request};
    struct h1_reader *r = roundtrip_reader(&t);
    for (bool at_end = false, over = false; !over;) {
        size_t used = 0;
        struct h1_event e = at_end ? h1_reader_eof(r) : h1_reader_feed(r, raw, &used);
        raw.at += used;
        raw.len -= used;
        if (t.in_data && e.type != H1_DATA && e.type != H1_NONE) {
            buf_add_u8(&t.said, '\n');
            t.in_data = false;
        }
        if (e.type == H1_HEAD)
            roundtrip_head(&t, r);
        else if (e.type == H1_TRAILERS)
            roundtrip_trailers(&t, r);
        else if (e.type == H1_END)
            roundtrip_end(&t);
        else if (e.type == H1_DATA && t.body != HTTP_BODY_NONE)
            roundtrip_data(&t, e.data);
        over = at_end || e.type == H1_ERROR || (e.type == H1_DATA && t.body == HTTP_BODY_NONE);
        at_end = e.type == H1_NONE;
    }
    buf_fini(&t.said);
    buf_fini(&t.wire);
    h1_reader_free(r);
    return t.messages;
}

#endif
