/* HTTP/1 at the edges: a strict reader in front of http-parser, and a writer. Sans-I/O.
 *
 * The reader collects a head up to its limit, checks its grammar itself (http-parser's known leniencies are closed before
 * the library sees a byte), lets http-parser parse it, and frames the body by itself: none, one Content-Length, or exactly one
 * chunked. Any doubt about framing is an error that closes the connection. RFC 9110, 9112; ADVERSARY "HTTP" and P1..P29. */
#ifndef HTTP_H1_H
#define HTTP_H1_H

#include "http/message.h"

enum h1_event_type {
    H1_NONE,     /* more input needed */
    H1_HEAD,     /* `head` is complete; take it with h1_reader_head_take() */
    H1_DATA,     /* `data`: body bytes, borrowed from the input of this call */
    H1_TRAILERS, /* `head` holds the trailers as headers */
    H1_END,      /* the message is complete; the reader is ready for the next */
    H1_ERROR,    /* `status` and `why`; the connection must be closed after the answer */
};
struct h1_event {
    enum h1_event_type type;
    struct bytes data;
    uint16_t status;  /* what a server would answer: 400, 405, 413, 414, 417, 431, 501, 505; 502 from a response reader */
    const char *why;  /* static text */
};

enum h1_role { H1_REQUESTS, H1_RESPONSES };
struct h1_limits {
    size_t head_bytes_max; /* 0 = HTTP_HEAD_BYTES_MAX */
    size_t headers_max;    /* 0 = HTTP_HEADERS_MAX */
    bool allow_proxy_form; /* absolute-form targets are taken (http_proxy) */
};
struct h1_reader;
struct h1_reader *h1_reader_new(enum h1_role role, const struct h1_limits *limits);
void h1_reader_free(struct h1_reader *r);
/* Consumes a prefix of `in` up to the next event; *used bytes were taken. Call again with the rest until H1_NONE. */
struct h1_event h1_reader_feed(struct h1_reader *r, struct bytes in, size_t *used);
/* The connection's input ended: H1_END completes a close-delimited response, H1_NONE is a clean end between messages,
 * H1_ERROR an incomplete message. */
struct h1_event h1_reader_eof(struct h1_reader *r);
/* Moves the finished head (or trailers) out; the caller then owns it. */
void h1_reader_head_take(struct h1_reader *r, struct http_head *out);
/* Responses: what the request was, since HEAD, CONNECT, 204 and 304 have no body. Call before each response. */
void h1_reader_expect(struct h1_reader *r, struct bytes request_method);
/* After a 101 both sides speak something else: everything from here on is H1_DATA until eof. */
void h1_reader_tunnel(struct h1_reader *r);
bool h1_reader_is_idle(const struct h1_reader *r);     /* between messages, nothing buffered */
bool h1_reader_keep_alive(const struct h1_reader *r);  /* of the message last read */

/* Writing: from the typed form, afresh. */
struct h1_write_opts {
    bool close;           /* adds "connection: close" */
    bool proxy_minor0;    /* the client spoke HTTP/1.0: no chunking, close-delimited instead */
    struct bytes host;    /* requests: Host to send; empty = head->authority */
};
must_check enum err h1_write_head(struct buf *out, const struct http_head *h, const struct h1_write_opts *opts);
must_check enum err h1_write_data(struct buf *out, enum http_body body, struct bytes data);
must_check enum err h1_write_end(struct buf *out, enum http_body body, const struct http_head *trailers_or_null);
/* A whole small answer of our own: status, text/plain reason, and headers such as "x-starling-rule". */
must_check enum err h1_write_simple(struct buf *out, uint16_t status, const struct http_header *extra, size_t extra_count, struct bytes text,
                                    bool close, bool is_head_request);
const char *http_status_text(uint16_t status);

/* POLICY.md's path normalisation. Writes at most raw.len bytes to out. ERR_INVALID: must be answered 400. */
must_check enum err http_path_normalise(struct bytes raw, uint8_t *out, size_t *len);
/* host[:port] in canonical form (lower case, no trailing dot, no default port 80). ERR_INVALID. */
must_check enum err http_authority_normalise(struct bytes raw, uint8_t *out, size_t cap, size_t *len);

#endif
