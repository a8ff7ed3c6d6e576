/* HTTP/1 at the edges: a strict reader in front of http-parser, and a writer. Sans-I/O.
 *
 * The reader collects a head up to its limit, splits it by a grammar of its own, and then lets http-parser
 * read the same bytes: a head counts only if both saw the same method, target, version and fields at the same
 * places. Bodies it frames by itself: none, one Content-Length, or exactly one chunked; a response may also
 * last until the connection ends. Any doubt about framing is an error that closes the connection. RFC 9110,
 * 9112; ADVERSARY "HTTP" and P1..P29.
 *
 * What is stricter here than in the RFCs, so that no two programs can read one message in two ways: line ends
 * are CRLF, no folded lines, one SP in the start line, no blanks around chunk sizes, a length is given once,
 * Transfer-Encoding is one "chunked", CONNECT and upgrades other than websocket are refused, an HTTP/1.0
 * client's connection is not kept. */
#ifndef HTTP_H1_H
#define HTTP_H1_H

#include "http/message.h"

enum h1_event_type {
    H1_NONE, /* more input needed */
    H1_HEAD, /* a head is complete; take it with h1_reader_head_take() before the next feed, or it is dropped
              */
    H1_DATA, /* `data`: body bytes, never none, borrowed from the input of this call */
    H1_TRAILERS, /* trailers are complete; take them in the same way: a head with nothing but headers */
    H1_END,      /* the message is complete; the reader is ready for the next */
    H1_ERROR, /* `status` and `why`; the connection must be closed after the answer. Every later feed says it
                 again */
};
struct h1_event {
    enum h1_event_type type;
    struct bytes data;
    uint16_t status; /* what a server would answer: 400, 405, 413, 414, 417, 431, 501, 505; 502 from a
                        response reader */
    const char *why; /* static text */
};

enum h1_role { H1_REQUESTS, H1_RESPONSES };
struct h1_limits {
    size_t head_bytes_max; /* 0 = HTTP_HEAD_BYTES_MAX, and never more; also of a trailer section */
    size_t headers_max;    /* 0 = HTTP_HEADERS_MAX, and never more */
    bool
        allow_proxy_form; /* absolute-form targets name any authority (http_proxy), and HTTP/1.0 must name one
                              too; else it must be the one of Host */
};
struct h1_reader;
/* NULL: out of memory. A reader between messages holds some 150 bytes. `limits` may be NULL. */
struct h1_reader *h1_reader_new(enum h1_role role, const struct h1_limits *limits);
void h1_reader_free(struct h1_reader *r);
/* Consumes a prefix of `in` up to the next event; *used bytes were taken. Call again with the rest, also when
 * nothing is left (H1_END may follow), until H1_NONE. After a message that ends the connection (not
 * h1_reader_keep_alive) further bytes are swallowed unread; after a request with `upgrade` they are left to
 * the caller (H1_NONE, *used 0) until h1_reader_tunnel(). Responses: 100 is told as an H1_HEAD of its own if
 * the request expected it, other 1xx are skipped, up to 8; 101 is told only to a request that asked, and
 * switches to the tunnel by itself. */
struct h1_event h1_reader_feed(struct h1_reader *r, struct bytes in, size_t *used);
/* The connection's input ended: H1_END completes a close-delimited response, H1_NONE is a clean end between
 * messages, H1_ERROR an incomplete message. */
struct h1_event h1_reader_eof(struct h1_reader *r);
/* Moves the finished head (or trailers) out; the caller then owns it. */
void h1_reader_head_take(struct h1_reader *r, struct http_head *out);
/* Responses: what was asked, since HEAD has no body and 100 and 101 are only answers to those who asked. Call
 * when the request is written; the reader must not be inside a response. Without it any byte is H1_ERROR (a
 * response nobody asked for). */
void h1_reader_expect(struct h1_reader *r, const struct http_head *request);
/* Both sides speak something else now: everything from here on is H1_DATA until eof. For the request's reader
 * after a 101 was passed on; if its last request did not ask for an upgrade, the reader fails instead
 * (H1_ERROR). */
void h1_reader_tunnel(struct h1_reader *r);
bool h1_reader_is_idle(const struct h1_reader *r);    /* between messages, nothing buffered */
bool h1_reader_keep_alive(const struct h1_reader *r); /* of the message last read */

/* Writing: from the typed form, afresh. */
struct h1_write_opts {
    bool close;                      /* adds "connection: close" */
    bool proxy_minor0;               /* the client spoke HTTP/1.0: no chunking, close-delimited instead */
    struct bytes host;               /* requests: Host to send; empty = head->authority */
    const struct http_header *extra; /* headers of ours; each replaces what the head has of that name */
    size_t extra_count;
};
/* The writers append to `out`. ERR_INVALID: what was given cannot be written as one unambiguous message
 * (checked byte by byte, so that no mistake elsewhere becomes a second message); ERR_NOMEM. Both leave `out`
 * as it was. `opts` may be NULL. */
must_check enum err h1_write_head(struct buf *out, const struct http_head *h,
                                  const struct h1_write_opts *opts);
/* How h1_write_head() framed the body, to be passed to the two below: CLOSE is written CHUNKED to those who
 * know it, so that a cut is noticed and the connection kept; CHUNKED becomes CLOSE for an HTTP/1.0 client. */
enum http_body h1_body_on_wire(const struct http_head *h, const struct h1_write_opts *opts);
must_check enum err h1_write_data(struct buf *out, enum http_body body, struct bytes data);
/* Nothing is written but for CHUNKED. Not to be called for an answer to HEAD. Trailers are dropped where they
 * cannot go. */
must_check enum err h1_write_end(struct buf *out, enum http_body body,
                                 const struct http_head *trailers_or_null);
/* A whole small answer of our own: status, text/plain reason, and headers such as "x-starling-rule". */
must_check enum err h1_write_simple(struct buf *out, uint16_t status, const struct http_header *extra,
                                    size_t extra_count, struct bytes text, bool close, bool is_head_request);
const char *http_status_text(uint16_t status); /* "" for one that has no words */

/* The one spelling of a path that is judged, routed and sent. Collapses '//', resolves dot segments, decodes
 * unreserved characters, makes escapes upper case; decodes once only. Writes at most raw.len bytes; out may
 * be raw.at itself. ERR_INVALID, to be answered 400, for what programs read in different ways: not beginning
 * with '/', climbing out, a bad escape, an escaped slash, backslash or control byte, ';' (path parameters),
 * bytes RFC 3986 does not allow in a path, escapes that are not UTF-8, and compatibility forms of path syntax
 * (fullwidth solidus and its kin; U+FF0F, U+FF3C, ...). */
must_check enum err http_path_normalise(struct bytes raw, uint8_t *out, size_t *len);
/* Query: RFC 3986 and what browsers send raw (brackets, braces, '|', '^', '`'); escapes well-formed. Kept as
 * it is. */
bool http_query_is_sound(struct bytes query);
/* host[:port] in canonical form: lower case, no trailing dot, no default port 80, IPv6 literals as RFC 5952
 * has them. ERR_INVALID for anything but a DNS name (A-labels; '_' allowed), a dotted quad or a bracketed
 * IPv6 literal: no userinfo, no port 0, no number that some resolvers take for an IPv4 address (127.1,
 * 0177.0.0.1, 2130706433). */
must_check enum err http_authority_normalise(struct bytes raw, uint8_t *out, size_t cap, size_t *len);

#endif
