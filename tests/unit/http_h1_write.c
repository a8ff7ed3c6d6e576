/* The writer: literal text, the round trip with the reader, and what it refuses to write (P18). */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "http_roundtrip.h"

static struct http_header header(const char *name, const char *value)
{
    return (struct http_header){bytes_str(name), bytes_str(value)};
}

static struct http_head request_head(void)
{
    return (struct http_head){.method = bytes_str("POST"),
                              .authority = bytes_str("a.example"),
                              .path = bytes_str("/x"),
                              .query = bytes_str("y=1"),
                              .minor = 1};
}

static struct http_head response_head(uint16_t status, enum http_body body)
{
    return (struct http_head){.is_response = true, .status = status, .minor = 1, .body = body};
}

static void expect_written(const struct http_head *h, const struct h1_write_opts *opts, const char *text)
{
    struct buf out = {0};
    assert_int_equal(h1_write_head(&out, h, opts), ERR_OK);
    assert_string_equal(buf_str(&out), text);
    buf_fini(&out);
}

static void expect_refused(const struct http_head *h, const struct h1_write_opts *opts)
{
    struct buf out = {0};
    buf_add_str(&out, "before");
    assert_int_equal(h1_write_head(&out, h, opts), ERR_INVALID);
    assert_string_equal(buf_str(&out), "before");
    buf_fini(&out);
}

static void heads_are_written_afresh(void **state)
{
    (void)state;
    struct http_head h = request_head();
    h.body = HTTP_BODY_LENGTH;
    h.content_length = 1234567890123;
    h.expect_continue = true;
    h.header[0] = header("x-a", "1");
    h.header_count = 1;
    expect_written(&h, NULL,
                   "POST /x?y=1 HTTP/1.1\r\nhost: a.example\r\nexpect: 100-continue\r\nx-a: "
                   "1\r\ncontent-length: 1234567890123\r\n\r\n");
    h = request_head();
    h.method = bytes_str("GET");
    h.upgrade = bytes_str("websocket");
    h.query = bytes_of(NULL, 0);
    expect_written(
        &h, &(struct h1_write_opts){.host = bytes_str("b.example:81"), .close = true},
        "GET /x HTTP/1.1\r\nhost: b.example:81\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n");
    h = response_head(200, HTTP_BODY_CHUNKED);
    expect_written(&h, NULL, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
    expect_written(&h, &(struct h1_write_opts){.proxy_minor0 = true},
                   "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n");
    h = response_head(404, HTTP_BODY_CLOSE);
    expect_written(&h, NULL, "HTTP/1.1 404 Not Found\r\ntransfer-encoding: chunked\r\n\r\n");
    h = response_head(299, HTTP_BODY_NONE);
    expect_written(&h, &(struct h1_write_opts){.close = true}, "HTTP/1.1 299 \r\nconnection: close\r\n\r\n");
}

static void our_headers_replace_those_of_the_same_name(void **state)
{
    (void)state;
    struct http_head h = request_head();
    h.header[0] = header("x-starling-caller", "forged");
    h.header[1] = header("x-a", "1");
    h.header_count = 2;
    struct http_header ours = header("x-starling-caller", "web");
    expect_written(&h, &(struct h1_write_opts){.extra = &ours, .extra_count = 1},
                   "POST /x?y=1 HTTP/1.1\r\nhost: a.example\r\nx-a: 1\r\nx-starling-caller: web\r\n\r\n");
}

static void bodies_are_framed(void **state)
{
    (void)state;
    struct buf out = {0};
    assert_int_equal(h1_write_data(&out, HTTP_BODY_CHUNKED, bytes_str("0123456789abcdef")), ERR_OK);
    assert_int_equal(h1_write_data(&out, HTTP_BODY_CHUNKED, bytes_str("")), ERR_OK);
    struct http_head trailers = {.header_count = 1, .header = {header("x-sum", "1")}};
    assert_int_equal(h1_write_end(&out, HTTP_BODY_CHUNKED, &trailers), ERR_OK);
    assert_string_equal(buf_str(&out), "10\r\n0123456789abcdef\r\n0\r\nx-sum: 1\r\n\r\n");
    out.len = 0;
    assert_int_equal(h1_write_data(&out, HTTP_BODY_LENGTH, bytes_str("hi")), ERR_OK);
    assert_int_equal(h1_write_end(&out, HTTP_BODY_LENGTH, &trailers), ERR_OK);
    assert_int_equal(h1_write_end(&out, HTTP_BODY_NONE, NULL), ERR_OK);
    assert_string_equal(buf_str(&out), "hi");
    assert_int_equal(h1_write_data(&out, HTTP_BODY_NONE, bytes_str("hi")), ERR_INVALID);
    trailers.header[0] = header("content-length", "5");
    assert_int_equal(h1_write_end(&out, HTTP_BODY_CHUNKED, &trailers), ERR_INVALID);
    trailers.header[0] = header("x-starling-caller", "root");
    assert_int_equal(h1_write_end(&out, HTTP_BODY_CHUNKED, &trailers), ERR_INVALID);
    assert_string_equal(buf_str(&out), "hi");
    buf_fini(&out);
}

/* P18: each of these would be a second message, a forged field, or a doubt. */
static void nothing_ambiguous_can_be_written(void **state)
{
    (void)state;
    static const char *const bad_values[] = {"a\r\nb: c", "a\nb", "a\rb", " a", "a ", "a\t", "\x01", "\x7f"};
    static const char *const bad_names[] = {
        "",     "a b",        "a:",      "X-A", "a\r\n",  "content-length", "transfer-encoding",
        "host", "connection", "upgrade", "te",  "expect", "keep-alive"};
    struct http_head h = request_head();
    h.header_count = 1;
    for (size_t i = 0; i < sizeof bad_values / sizeof *bad_values; i++) {
        h.header[0] = header("x-a", bad_values[i]);
        expect_refused(&h, NULL);
        struct http_header ours = h.header[0];
        struct http_head sound = request_head();
        expect_refused(&sound, &(struct h1_write_opts){.extra = &ours, .extra_count = 1});
    }
    for (size_t i = 0; i < sizeof bad_names / sizeof *bad_names; i++) {
        h.header[0] = header(bad_names[i], "1");
        expect_refused(&h, NULL);
    }
    h.header[0] = (struct http_header){bytes_str("x-a"), bytes_of("a\0b", 3)};
    expect_refused(&h, NULL);

    static const char *const bad_hosts[] = {"", "a b", "a\r\nx: y", "u@a", "a/b"};
    static const char *const bad_paths[] = {"", "x", "/a b", "/a\r\n", "/a?b", "/a#b", "*"};
    static const char *const bad_methods[] = {"", "GET ", "G\r\nT", "CONNECT"};
    for (size_t i = 0; i < sizeof bad_hosts / sizeof *bad_hosts; i++) {
        h = request_head();
        h.authority = bytes_str(bad_hosts[i]);
        expect_refused(&h, NULL);
    }
    for (size_t i = 0; i < sizeof bad_paths / sizeof *bad_paths; i++) {
        h = request_head();
        h.path = bytes_str(bad_paths[i]);
        expect_refused(&h, NULL);
    }
    for (size_t i = 0; i < sizeof bad_methods / sizeof *bad_methods; i++) {
        h = request_head();
        h.method = bytes_str(bad_methods[i]);
        expect_refused(&h, NULL);
    }
    h = request_head();
    h.query = bytes_str("a HTTP/1.1\r\n");
    expect_refused(&h, NULL);
    h = request_head();
    h.body = HTTP_BODY_CLOSE;
    expect_refused(&h, NULL);
    h = response_head(204, HTTP_BODY_LENGTH);
    expect_refused(&h, NULL);
    h = response_head(101, HTTP_BODY_NONE);
    expect_refused(&h, NULL);
    h = response_head(99, HTTP_BODY_NONE);
    expect_refused(&h, NULL);
    h = response_head(600, HTTP_BODY_NONE);
    expect_refused(&h, NULL);
}

static void small_answers(void **state)
{
    (void)state;
    struct buf out = {0};
    struct http_header rule = header("x-starling-rule", "no-admin");
    assert_int_equal(h1_write_simple(&out, 403, &rule, 1, bytes_str("denied by no-admin\n"), true, false),
                     ERR_OK);
    assert_string_equal(
        buf_str(&out),
        "HTTP/1.1 403 Forbidden\r\ncontent-type: text/plain; charset=utf-8\r\nx-starling-rule: no-admin\r\n"
        "content-length: 19\r\nconnection: close\r\n\r\ndenied by no-admin\n");
    out.len = 0;
    assert_int_equal(h1_write_simple(&out, 503, NULL, 0, bytes_str("x"), false, true), ERR_OK);
    assert_string_equal(buf_str(&out), "HTTP/1.1 503 Service Unavailable\r\ncontent-type: text/plain; "
                                       "charset=utf-8\r\ncontent-length: 1\r\n\r\n");
    rule.value = bytes_str("a\r\nb");
    assert_int_equal(h1_write_simple(&out, 403, &rule, 1, bytes_str("x"), true, false), ERR_INVALID);
    buf_fini(&out);
}

static void what_is_read_is_written_and_read_again_the_same(void **state)
{
    (void)state;
    static const struct {
        const char *raw;
        size_t messages;
    } requests[] = {
        {"GET / HTTP/1.1\r\nHost: A.example:80\r\n\r\n", 1},
        {"GET http://b.example/ HTTP/1.0\r\n\r\n", 1},
        {"GET http://b.example/%61?q=%41 HTTP/1.1\r\nHost: a\r\nX-A: \xc3\xa9 x\r\nConnection: x-b\r\nX-B: "
         "1\r\n\r\n",
         1},
        {"POST //a HTTP/1.1\r\nHost: [::1]:80\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\nabcPUT /b "
         "HTTP/1.1\r\nHost: a\r\n"
         "Transfer-Encoding: chunked\r\n\r\n1;x=y\r\na\r\n2\r\nbc\r\n0\r\nX-T: 1\r\n\r\n",
         2},
        {"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: WebSocket\r\n\r\nrest", 1},
    };
    for (size_t i = 0; i < sizeof requests / sizeof *requests; i++)
        assert_int_equal(roundtrip(H1_REQUESTS, NULL, bytes_str(requests[i].raw)), requests[i].messages);

    static const struct {
        const char *method, *raw;
    } responses[] = {
        {"GET", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"},
        {"GET", "HTTP/1.1 200 OK\r\n\r\nuntil the end"},
        {"GET", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi"},
        {"GET", "HTTP/1.1 200\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nX-T: 1\r\n\r\n"},
        {"GET", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No\r\n\r\n"},
        {"GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 12\r\nETag: \"x\"\r\n\r\n"},
        {"HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n"},
        {"HEAD", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"},
    };
    for (size_t i = 0; i < sizeof responses / sizeof *responses; i++) {
        struct http_head request = {.method = bytes_str(responses[i].method), .expect_continue = true};
        assert_int_equal(roundtrip(H1_RESPONSES, &request, bytes_str(responses[i].raw)), 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(heads_are_written_afresh),
        cmocka_unit_test(our_headers_replace_those_of_the_same_name),
        cmocka_unit_test(bodies_are_framed),
        cmocka_unit_test(nothing_ambiguous_can_be_written),
        cmocka_unit_test(small_answers),
        cmocka_unit_test(what_is_read_is_written_and_read_again_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
