/* What a stolen peer may send instead of a head: what decodes has one encoding, and can be written as exactly
 * one message that a reader understands as the same. */
#include "../unit/http_transcript.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect_same(struct bytes in, struct buf *again)
{
    if (!bytes_eq(in, buf_bytes(again)))
        abort();
    buf_fini(again);
}

/* Writes the head and reads it back; a reader that does not know a method (501) is the only excuse. */
static void expect_readable(struct http_head *h)
{
    static struct http_head back;
    struct buf wire = {0}, said = {0}, said_back = {0};
    if (!h->is_response && h->authority.len == 0)
        h->authority = bytes_str("none.example");
    enum err e = h1_write_head(&wire, h, NULL);
    assert(e == ERR_OK);
    bool none_by_rule = h->status < 200 || h->status == 204 || h->status == 304;
    struct http_head request = {.method =
                                    bytes_str(h->body == HTTP_BODY_NONE && !none_by_rule ? "HEAD" : "GET"),
                                .expect_continue = true,
                                .upgrade = bytes_str("websocket")};
    struct h1_reader *r = h1_reader_new(h->is_response ? H1_RESPONSES : H1_REQUESTS, NULL);
    if (h->is_response)
        h1_reader_expect(r, &request);
    size_t used;
    struct h1_event event = h1_reader_feed(r, buf_bytes(&wire), &used);
    /* The head's own bytes may pass the reader's limit: the encoding is a little denser than text. */
    if (event.type != H1_ERROR || (event.status != 501 && strcmp(event.why, "head is too long") != 0)) {
        assert(event.type == H1_HEAD && used == wire.len);
        h1_reader_head_take(r, &back);
        h->body = h1_body_on_wire(h, NULL);
        if (h->is_response && h->status == 304 && h->body == HTTP_BODY_CHUNKED)
            h->body = HTTP_BODY_NONE;
        say_head(&said, h);
        say_head(&said_back, &back);
        if (strcmp(buf_str(&said), buf_str(&said_back)) != 0)
            abort();
        http_head_fini(&back);
    }
    buf_fini(&said);
    buf_fini(&said_back);
    buf_fini(&wire);
    h1_reader_free(r);
}

static void request(struct bytes in)
{
    static struct http_head h;
    struct mesh_call call;
    struct buf again = {0};
    if (mesh_request_decode(&call, &h, in))
        return;
    enum err e = mesh_request_encode(&again, &call, call.protocol == 1 ? &h : NULL);
    assert(e == ERR_OK);
    expect_same(in, &again);
    if (call.protocol == 1)
        expect_readable(&h);
    http_head_fini(&h);
}

static void response(struct bytes in)
{
    static struct http_head h;
    struct mesh_verdict v;
    struct buf again = {0};
    if (mesh_response_decode(&v, &h, in))
        return;
    enum err e = mesh_response_encode(&again, &v, h.status ? &h : NULL);
    assert(e == ERR_OK);
    expect_same(in, &again);
    if (h.status)
        expect_readable(&h);
    http_head_fini(&h);
}

static void trailers(struct bytes in)
{
    static struct http_head h;
    struct buf again = {0};
    if (mesh_trailers_decode(&h, in))
        return;
    enum err e = mesh_trailers_encode(&again, h.header, h.header_count);
    assert(e == ERR_OK);
    expect_same(in, &again);
    e = h1_write_end(&again, HTTP_BODY_CHUNKED, &h);
    assert(e == ERR_OK);
    buf_fini(&again);
    http_head_fini(&h);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const decoder[])(struct bytes in) = {request, response, trailers};
    if (size > 0)
        decoder[data[0] % 3](bytes_of(data + 1, size - 1));
    return 0;
}
