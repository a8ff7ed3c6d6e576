/* The mesh encodings: literal bytes, there and back, every cut, and what a stolen peer might send. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "http_transcript.h"

static struct http_header header(const char *name, const char *value)
{
    return (struct http_header){bytes_str(name), bytes_str(value)};
}

static struct http_head get_head(void)
{
    return (struct http_head){.method = bytes_str("GET"),
                              .authority = bytes_str("cart"),
                              .path = bytes_str("/a"),
                              .minor = 1,
                              .header_count = 1,
                              .header = {header("x", "y")}};
}

static struct mesh_call web_calls_cart(void)
{
    return (struct mesh_call){.protocol = 1,
                              .caller = bytes_str("web"),
                              .service = bytes_str("cart"),
                              .deadline_ms = 15000,
                              .hops = 1};
}

static void a_request_byte_by_byte(void **state)
{
    (void)state;
    struct http_head h = get_head();
    struct mesh_call c = web_calls_cart();
    struct buf out = {0};
    assert_int_equal(mesh_request_encode(&out, &c, &h), ERR_OK);
    static const char bytes[] = "\x01\x01\x01\x00\x00\x00\x3a\x98"
                                "\0\3web\0\4cart\0\0\0\0"
                                "\0\3GET\0\4cart\0\2/a"
                                "\0\1\0\1x\0\1y";
    assert_int_equal(out.len, sizeof bytes - 1);
    assert_memory_equal(out.at, bytes, out.len);
    buf_fini(&out);
}

static void expect_request_survives(const struct mesh_call *c, const struct http_head *h)
{
    static struct http_head back;
    struct mesh_call call;
    struct buf out = {0}, said = {0}, said_back = {0};
    assert_int_equal(mesh_request_encode(&out, c, h), ERR_OK);
    for (size_t n = 0; n < out.len; n++) {
        assert_int_equal(mesh_request_decode(&call, &back, bytes_of(out.at, n)), ERR_MALFORMED);
        assert_null(back.text.at);
    }
    assert_int_equal(mesh_request_decode(&call, &back, buf_bytes(&out)), ERR_OK);
    assert_true(call.protocol == c->protocol && call.hops == c->hops && call.deadline_ms == c->deadline_ms);
    assert_true(bytes_eq(call.caller, c->caller) && bytes_eq(call.service, c->service) &&
                bytes_eq(call.subset, c->subset) && bytes_eq(call.asked, c->asked) &&
                call.mirrored == c->mirrored && bytes_eq(call.trace, c->trace));
    if (h) {
        say_head(&said, h);
        say_head(&said_back, &back);
        assert_string_equal(buf_str(&said), buf_str(&said_back));
    }
    http_head_fini(&back);
    buf_add_u8(&out, 0); /* nothing may follow */
    assert_int_equal(mesh_request_decode(&call, &back, buf_bytes(&out)), ERR_MALFORMED);
    buf_fini(&out);
    buf_fini(&said);
    buf_fini(&said_back);
}

static void requests_survive_the_mesh(void **state)
{
    (void)state;
    struct http_head h = get_head();
    struct mesh_call c = web_calls_cart();
    expect_request_survives(&c, &h);
    h.query = bytes_str("");
    h.upgrade = bytes_str("websocket");
    expect_request_survives(&c, &h);
    h = get_head();
    h.method = bytes_str("POST");
    h.query = bytes_str("q=%20");
    h.body = HTTP_BODY_LENGTH;
    h.content_length = 999999999999999999;
    h.expect_continue = true;
    c.subset = bytes_str("v2");
    c.trace = bytes_str("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    c.caller = bytes_str("");
    expect_request_survives(&c, &h);
    h.body = HTTP_BODY_CHUNKED;
    h.content_length = 0;
    expect_request_survives(&c, &h);
    c.asked = bytes_str("cart-eu");
    c.mirrored = true;
    expect_request_survives(&c, &h);
    c.mirrored = false;
    c.protocol = 0;
    expect_request_survives(&c, NULL);
    c.asked = (struct bytes){0};
    expect_request_survives(&c, NULL);
}

/* One message has one encoding: what asks for nobody, or for the very service, has another. */
static void who_was_asked_is_said_only_if_it_differs(void **state)
{
    (void)state;
    static struct http_head back;
    struct mesh_call c = {.service = bytes_str("a"), .asked = bytes_str("b")};
    struct buf out = {0};
    assert_int_equal(mesh_request_encode(&out, &c, NULL), ERR_OK);
    out.at[out.len - 1] = 'a';
    assert_int_equal(mesh_request_decode(&c, &back, buf_bytes(&out)), ERR_MALFORMED);
    out.at[out.len - 2] = 0;
    assert_int_equal(mesh_request_decode(&c, &back, bytes_of(out.at, out.len - 1)), ERR_MALFORMED);
    buf_fini(&out);
}

/* Encodes what no reader would have let through; the decoder must see it. */
static void expect_request_refused(const char *what, const struct http_head *h)
{
    static struct http_head back;
    struct mesh_call c = web_calls_cart();
    struct buf out = {0};
    assert_int_equal(mesh_request_encode(&out, &c, h), ERR_OK);
    if (mesh_request_decode(&c, &back, buf_bytes(&out)) != ERR_MALFORMED)
        fail_msg("%s was decoded", what);
    assert_null(back.text.at);
    assert_null(c.service.at);
    buf_fini(&out);
}

static void a_stolen_peer_cannot_smuggle_a_request(void **state)
{
    (void)state;
    struct http_head h;
#define REFUSED(what, change)                                                                                \
    do {                                                                                                     \
        h = get_head();                                                                                      \
        change;                                                                                              \
        expect_request_refused(what, &h);                                                                    \
    } while (0)
    REFUSED("CRLF in a value", h.header[0].value = bytes_str("y\r\nhost: b"));
    REFUSED("blank at the end of a value", h.header[0].value = bytes_str("y "));
    REFUSED("NUL in a value", h.header[0].value = bytes_of("a\0b", 3));
    REFUSED("an upper-case name", h.header[0].name = bytes_str("X"));
    REFUSED("an empty name", h.header[0].name = bytes_str(""));
    REFUSED("a name with a colon", h.header[0].name = bytes_str("x:"));
    REFUSED("content-length as a header", h.header[0] = header("content-length", "5"));
    REFUSED("transfer-encoding as a header", h.header[0] = header("transfer-encoding", "chunked"));
    REFUSED("host as a header", h.header[0] = header("host", "b"));
    REFUSED("connection as a header", h.header[0] = header("connection", "close"));
    REFUSED("expect as a header", h.header[0] = header("expect", "100-continue"));
    REFUSED("a path that is not canonical", h.path = bytes_str("/a/../b"));
    REFUSED("a path with an escape in lower case", h.path = bytes_str("/%c3%a9"));
    REFUSED("a path with a query", h.path = bytes_str("/a?b"));
    REFUSED("no path", h.path = bytes_str(""));
    REFUSED("a bad query", h.query = bytes_str("a b"));
    REFUSED("an authority in upper case", h.authority = bytes_str("Cart"));
    REFUSED("an authority with its default port", h.authority = bytes_str("cart:80"));
    REFUSED("an authority with CRLF", h.authority = bytes_str("a\r\nb: c"));
    REFUSED("no method", h.method = bytes_str(""));
    REFUSED("a method with a space", h.method = bytes_str("GET /x HTTP/1.1\r\n"));
    REFUSED("CONNECT", h.method = bytes_str("CONNECT"));
    REFUSED("a body until close", h.body = HTTP_BODY_CLOSE);
    REFUSED("a length of 19 digits", (h.body = HTTP_BODY_LENGTH, h.content_length = 1000000000000000000));
    REFUSED("an upgrade of a POST", (h.upgrade = bytes_str("websocket"), h.method = bytes_str("POST")));
    REFUSED("an upgrade with a body", (h.upgrade = bytes_str("websocket"), h.body = HTTP_BODY_CHUNKED));
}

/* A copy outlives what it was made of. */
static void a_copied_head_stands_alone(void **state)
{
    (void)state;
    static struct http_head copy;
    struct http_head h = get_head();
    struct mesh_call c = web_calls_cart();
    struct buf wire = {0}, said = {0}, said_copy = {0};
    h.query = bytes_str("");
    assert_int_equal(mesh_request_encode(&wire, &c, &h), ERR_OK);
    static struct http_head read;
    assert_int_equal(mesh_request_decode(&c, &read, buf_bytes(&wire)), ERR_OK);
    say_head(&said, &read);
    assert_int_equal(http_head_copy(&copy, &read), ERR_OK);
    http_head_fini(&read);
    buf_fini(&wire);
    say_head(&said_copy, &copy);
    assert_string_equal(buf_str(&said), buf_str(&said_copy));
    assert_non_null(copy.query.at);
    http_head_fini(&copy);
    buf_fini(&said);
    buf_fini(&said_copy);
}

static void too_many_headers_and_too_long_messages(void **state)
{
    (void)state;
    static struct http_head h;
    struct mesh_call c = web_calls_cart();
    struct buf out = {0};
    h = get_head();
    h.header_count = HTTP_HEADERS_MAX;
    for (size_t i = 0; i < HTTP_HEADERS_MAX; i++)
        h.header[i] = header("x", "y");
    expect_request_survives(&c, &h);
    assert_int_equal(mesh_request_encode(&out, &c, &h), ERR_OK);
    size_t count_at = out.len - HTTP_HEADERS_MAX * 6 - 2;
    assert_int_equal(load_be16(out.at + count_at), HTTP_HEADERS_MAX);
    store_be16(out.at + count_at, HTTP_HEADERS_MAX + 1);
    buf_add(&out, "\0\1x\0\1y", 6);
    static struct http_head back;
    assert_int_equal(mesh_request_decode(&c, &back, buf_bytes(&out)), ERR_MALFORMED);

    static char big[HTTP_MESSAGE_MAX];
    memset(big, 'a', sizeof big);
    h = get_head();
    h.header[0].value = bytes_of(big, sizeof big);
    size_t before = out.len;
    c = web_calls_cart();
    assert_int_equal(mesh_request_encode(&out, &c, &h), ERR_LIMIT);
    assert_int_equal(out.len, before);
    buf_fini(&out);
}

static void expect_response(const struct mesh_verdict *v, const struct http_head *h, enum err expected)
{
    static struct http_head back;
    struct mesh_verdict verdict;
    struct buf out = {0}, said = {0}, said_back = {0};
    assert_int_equal(mesh_response_encode(&out, v, h), ERR_OK);
    for (size_t n = 0; n < out.len; n++)
        assert_int_equal(mesh_response_decode(&verdict, &back, bytes_of(out.at, n)), ERR_MALFORMED);
    assert_int_equal(mesh_response_decode(&verdict, &back, buf_bytes(&out)), expected);
    if (!expected) {
        assert_true(verdict.refused == v->refused && bytes_eq(verdict.flag, v->flag) &&
                    bytes_eq(verdict.reason, v->reason));
        assert_int_equal(back.status, h ? h->status : 0);
        if (h) {
            say_head(&said, h);
            say_head(&said_back, &back);
            assert_string_equal(buf_str(&said), buf_str(&said_back));
        }
    }
    http_head_fini(&back);
    buf_fini(&out);
    buf_fini(&said);
    buf_fini(&said_back);
}

static void responses_and_refusals_survive_the_mesh(void **state)
{
    (void)state;
    struct mesh_verdict answered = {0}, refused = {.refused = 1,
                                                   .flag = bytes_str("UAEX"),
                                                   .reason = bytes_str("denied by no-admin, policy 1.42")};
    struct http_head h = {
        .is_response = true, .status = 200, .minor = 1, .body = HTTP_BODY_LENGTH, .content_length = 5};
    expect_response(&answered, &h, ERR_OK);
    expect_response(&answered, NULL, ERR_OK);
    expect_response(&refused, NULL, ERR_OK);
    h = (struct http_head){.is_response = true, .status = 101, .minor = 1, .upgrade = bytes_str("websocket")};
    expect_response(&answered, &h, ERR_OK);
    h = (struct http_head){.is_response = true, .status = 200, .minor = 1, .body = HTTP_BODY_CLOSE};
    expect_response(&answered, &h, ERR_OK);

    refused.reason = bytes_str("two\r\nlines");
    expect_response(&refused, NULL, ERR_MALFORMED);
    h = (struct http_head){
        .is_response = true, .status = 204, .minor = 1, .body = HTTP_BODY_LENGTH, .content_length = 5};
    expect_response(&answered, &h, ERR_MALFORMED);
    h = (struct http_head){.is_response = true, .status = 101, .minor = 1};
    expect_response(&answered, &h, ERR_MALFORMED);
    h = (struct http_head){.is_response = true, .status = 103, .minor = 1};
    expect_response(&answered, &h, ERR_MALFORMED);
    h = (struct http_head){.is_response = true, .status = 600, .minor = 1};
    expect_response(&answered, &h, ERR_MALFORMED);
    h = (struct http_head){.is_response = true, .status = 200, .minor = 1, .upgrade = bytes_str("websocket")};
    expect_response(&answered, &h, ERR_MALFORMED);
}

static void trailers_survive_and_cannot_frame_or_identify(void **state)
{
    (void)state;
    static struct http_head back;
    struct http_header good[] = {header("x-sum", "1"), header("grpc-status", "0")};
    struct buf out = {0};
    assert_int_equal(mesh_trailers_encode(&out, good, 2), ERR_OK);
    assert_int_equal(mesh_trailers_decode(&back, buf_bytes(&out)), ERR_OK);
    assert_int_equal(back.header_count, 2);
    assert_true(bytes_eq_str(http_head_find(&back, "grpc-status")->value, "0"));
    http_head_fini(&back);
    static const char *const never[] = {"content-length",    "host",
                                        "transfer-encoding", "x-starling-caller",
                                        "x_starling_caller", "authorization"};
    for (size_t i = 0; i < sizeof never / sizeof *never; i++) {
        struct http_header bad = header(never[i], "1");
        out.len = 0;
        assert_int_equal(mesh_trailers_encode(&out, &bad, 1), ERR_OK);
        assert_int_equal(mesh_trailers_decode(&back, buf_bytes(&out)), ERR_MALFORMED);
    }
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_byte_by_byte),
        cmocka_unit_test(requests_survive_the_mesh),
        cmocka_unit_test(who_was_asked_is_said_only_if_it_differs),
        cmocka_unit_test(a_stolen_peer_cannot_smuggle_a_request),
        cmocka_unit_test(a_copied_head_stands_alone),
        cmocka_unit_test(too_many_headers_and_too_long_messages),
        cmocka_unit_test(responses_and_refusals_survive_the_mesh),
        cmocka_unit_test(trailers_survive_and_cannot_frame_or_identify),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
