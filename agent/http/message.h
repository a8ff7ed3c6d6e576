/* The typed form of an HTTP message, the only one that crosses the mesh: head, data, trailers, end, reset.
 *
 * A head owns its text: all slices point into one block made by whoever built it (h1 reader or decoder).
 * Names are lower-case tokens, values have no leading or trailing blanks and no control bytes but tab: this
 * holds by construction and the decoder refuses anything else, so a writer can never be made to emit a second
 * message. Hop-by-hop fields, Host, Content-Length and Transfer-Encoding are not among the headers: they are
 * what the typed fields say. */
#ifndef HTTP_MESSAGE_H
#define HTTP_MESSAGE_H

#include "base/buf.h"
#include "base/err.h"

enum {
    HTTP_HEADERS_MAX = 100,            /* POLICY: limits.headers */
    HTTP_HEAD_BYTES_MAX = 60 * 1024,   /* POLICY: limits.headerBytes; of the head as received */
    HTTP_TARGET_BYTES_MAX = 16 * 1024, /* of a request's target; RFC 9112 section 3 asks for at least 8000 */
    HTTP_AUTHORITY_MAX = 264,          /* a DNS name is at most 253, ":65535" */
    HTTP_MESSAGE_MAX =
        63 * 1024, /* of a mesh encoding; the mux takes no longer HEAD or TRAILERS (MUX_MESSAGE_MAX) */
};

struct http_header {
    struct bytes name, value;
};

enum http_body {
    HTTP_BODY_NONE,
    HTTP_BODY_LENGTH,  /* content_length bytes will follow */
    HTTP_BODY_CHUNKED, /* unknown length; trailers may follow */
    HTTP_BODY_CLOSE,   /* HTTP/1 responses only: until the connection ends */
};

struct http_head {
    bool is_response;
    /* request */
    struct bytes method;    /* "GET": case-sensitive token */
    struct bytes authority; /* canonical host[:port], lower case, no trailing dot; empty only for HTTP/1.0
                               without Host */
    struct bytes path;      /* normalised (http_path_normalise): begins with '/', no dot segments, no '//' */
    struct bytes query;     /* without '?'; .at == NULL when there is none */
    bool expect_continue;
    /* response */
    uint16_t status; /* 100..599 */
    /* both */
    uint8_t minor;        /* HTTP/1.minor as received; 1 across the mesh */
    struct bytes upgrade; /* "websocket", or empty; in a response only with 101 */
    /* In answers to HEAD and in 304 LENGTH is what a GET would have had; no data follows. NONE in a response
     * is for what has no body by rule (HEAD, 1xx, 204, 304): an empty body is LENGTH 0. */
    enum http_body body;
    uint64_t content_length;
    size_t header_count;
    struct http_header header[HTTP_HEADERS_MAX];
    struct buf text; /* owns what the slices point to */
};

/* Frees the text and empties the head; a zeroed head is fine. */
void http_head_fini(struct http_head *h);
/* *out, which must be zero or finished before, becomes a head of its own with the same content. ERR_NOMEM: it is empty. */
must_check enum err http_head_copy(struct http_head *out, const struct http_head *h);
/* First header of that (lower-case) name, or NULL. */
const struct http_header *http_head_find(const struct http_head *h, const char *name);
/* Removes what only the mesh may say, or what lets a client speak for somebody else. The data plane calls it
 * where a request enters the mesh and again where it leaves it (a stolen near agent is not believed);
 * trailers never hold such names. x-starling-* (who calls), x-forwarded*, forwarded, x-real-ip, via,
 * x-original-url, x-rewrite-url (P15, P16); the method overrides x-http-method(-override) and
 * x-method-override (P14: else an intention on methods could be walked around); and proxy, which CGI turns
 * into HTTP_PROXY (CVE-2016-5385). A '_' or '.' in a name counts as '-': CGI and PHP fold them. */
void http_strip_edge_headers(struct http_head *h);

/* What the mesh adds to a request's head on its way: who asks whom. TCP streams carry only this. */
struct mesh_call {
    uint8_t protocol;     /* enum service_protocol: 0 tcp, 1 http */
    struct bytes caller;  /* service name, empty when the caller is unknown */
    struct bytes service; /* whose instance is to answer */
    struct bytes subset;  /* chosen by the near agent; information */
    struct bytes trace;   /* W3C traceparent or empty */
    struct bytes asked;   /* the service asked for, where `service` took its place (failover); else empty */
    uint32_t deadline_ms; /* what is left of the request's time; 0 = none */
    uint8_t hops;         /* agents passed; more than HOPS_MAX is a loop */
    bool mirrored;        /* HTTP: a copy that nobody waits for */
};
enum { HOPS_MAX = 8 };

/* The mesh encodings, drawn in mesh.c and docs/protocol.md. The encoders append to `out`; ERR_LIMIT: it would
 * pass HTTP_MESSAGE_MAX, nothing was appended; ERR_NOMEM. They trust their input, which a reader or a decoder
 * built. The decoders copy `in` and check everything again: nothing they let through can make the writer emit
 * something ambiguous. What was in *head is overwritten (it may be uninitialised: clearing its 3 KiB first costs more than decoding a
 * small head); then it owns the copy that all slices, those of *call and *v too, point into, so it is needed for TCP as well, and the
 * caller finishes it. ERR_MALFORMED or ERR_NOMEM leave all of them empty. */
must_check enum err mesh_request_encode(struct buf *out, const struct mesh_call *call,
                                        const struct http_head *head_or_null);
must_check enum err mesh_request_decode(struct mesh_call *call, struct http_head *head, struct bytes in);
/* A response head, or a refusal by the far agent (status plus Envoy response flag and reason, which a TCP
 * stream needs too). */
struct mesh_verdict {
    uint8_t refused;     /* 0: the application answered (head follows); 1: the far agent refused */
    struct bytes flag;   /* "UAEX", "UH", "UF", "NR", ... when refused */
    struct bytes reason; /* one line: the rule, the policy version */
};
must_check enum err mesh_response_encode(struct buf *out, const struct mesh_verdict *v,
                                         const struct http_head *head_or_null);
must_check enum err mesh_response_decode(struct mesh_verdict *v, struct http_head *head, struct bytes in);
must_check enum err mesh_trailers_encode(struct buf *out, const struct http_header *headers, size_t count);
must_check enum err mesh_trailers_decode(struct http_head *trailers, struct bytes in);

#endif
