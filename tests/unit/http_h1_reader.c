/* The reader against raw messages: every way of ADVERSARY's list, whole, byte by byte, and cut at every
 * place. The expectation is what the reader says (http_transcript.h), so a row shows both what is refused and
 * what remains. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "http_transcript.h"

struct row {
    const char *what; /* the case, by its name in ADVERSARY where it has one */
    const char *raw;
    size_t len; /* 0: strlen */
    const char *says;
};
#define ROW(what, raw, says)                                                                                 \
    {                                                                                                        \
        what, raw, sizeof raw - 1, says                                                                      \
    }

static struct http_head asked(const char *method, bool expect_continue, bool upgrade)
{
    return (struct http_head){.method = bytes_str(method),
                              .expect_continue = expect_continue,
                              .upgrade = bytes_str(upgrade ? "websocket" : "")};
}

static struct h1_reader *reader_for(enum h1_role role, const struct h1_limits *limits,
                                    const struct http_head *request)
{
    struct h1_reader *r = h1_reader_new(role, limits);
    assert_non_null(r);
    if (request)
        h1_reader_expect(r, request);
    return r;
}

static void expect_cut(const struct row *row, enum h1_role role, const struct h1_limits *limits,
                       const struct http_head *request, size_t piece, size_t cut)
{
    struct h1_reader *r = reader_for(role, limits, request);
    struct buf out = transcript_of(r, bytes_of(row->raw, row->len), piece, cut);
    if (strcmp(buf_str(&out), row->says) != 0)
        fail_msg("%s (piece %zu, cut %zu): says\n%sinstead of\n%s", row->what, piece, cut, buf_str(&out),
                 row->says);
    buf_fini(&out);
    h1_reader_free(r);
}

static void expect_row(const struct row *row, enum h1_role role, const struct h1_limits *limits,
                       const struct http_head *request)
{
    expect_cut(row, role, limits, request, 0, 0);
    expect_cut(row, role, limits, request, 1, 0);
    expect_cut(row, role, limits, request, 3, 0);
    for (size_t cut = 1; cut < row->len; cut++)
        expect_cut(row, role, limits, request, 0, cut);
}

#define EXPECT_REQUESTS(rows, limits)                                                                        \
    for (size_t i_ = 0; i_ < sizeof rows / sizeof *rows; i_++)                                               \
    expect_row(&rows[i_], H1_REQUESTS, limits, NULL)
#define EXPECT_RESPONSES(rows, request)                                                                      \
    for (size_t i_ = 0; i_ < sizeof rows / sizeof *rows; i_++)                                               \
    expect_row(&rows[i_], H1_RESPONSES, NULL, request)

#define HOST  "Host: a.example\r\n"
#define START "GET / HTTP/1.1\r\n" HOST
#define POST  "POST / HTTP/1.1\r\n" HOST

static void plain_requests_are_read(void **state)
{
    (void)state;
    static const struct row rows[] = {
        ROW("a request without a body",
            "GET /a?b=1 HTTP/1.1\r\nHost: A.Example:80\r\nX-Name:  two words \t\r\nX-Empty:\r\n\r\n",
            "GET a.example /a ?b=1\n  x-name: two words\n  x-empty: \nend\n"),
        ROW("an empty query is a query", "GET /? HTTP/1.1\r\n" HOST "\r\n", "GET a.example / ?\nend\n"),
        ROW("a counted body", POST "Content-Length: 5\r\n\r\nhello",
            "POST a.example / length 5\ndata hello\nend\n"),
        ROW("a body of nothing", POST "Content-Length: 0\r\n\r\n", "POST a.example / length 0\nend\n"),
        ROW("two requests in one", POST "Content-Length: 2\r\n\r\nhiGET /2 HTTP/1.1\r\n" HOST "\r\n",
            "POST a.example / length 2\ndata hi\nend\nGET a.example /2\nend\n"),
        ROW("chunks, their extensions dropped, a trailer",
            POST "Transfer-Encoding: Chunked\r\n\r\n3;a=\"b c\"\r\nabc\r\n00A\r\n0123456789\r\n0\r\nX-Sum: "
                 "1\r\n\r\n",
            "POST a.example / chunked\ndata abc0123456789\ntrailers\n  x-sum: 1\nend\n"),
        ROW("chunks, then another request",
            POST "Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n" START "\r\n",
            "POST a.example / chunked\ndata x\nend\nGET a.example /\nend\n"),
        ROW("one empty line before a request (RFC 9112 2.2)", "\r\n" START "\r\n", "GET a.example /\nend\n"),
        ROW("HTTP/1.0 without Host, which is not kept alive; what follows is not read",
            "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /2 HTTP/1.1\r\n\r\n",
            "GET  / minor 0\nend\n"),
        ROW("after Connection: close nothing is read", START "Connection: close\r\n\r\n" START "\r\n",
            "GET a.example /\nend\n"),
        ROW("a client that waits to be asked", POST "Content-Length: 1\r\nExpect: 100-Continue\r\n\r\nx",
            "POST a.example / length 1 expect\ndata x\nend\n"),
        ROW("a websocket; what follows is not HTTP",
            START "Upgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\n\r\n\x81\x00",
            "GET a.example / upgrade websocket\nend\n"),
        ROW("an Upgrade that Connection does not name is nothing (RFC 9110 7.8)",
            START "Upgrade: h2c\r\n\r\n", "GET a.example /\nend\n"),
        ROW("hop-by-hop fields end here",
            START "Keep-Alive: 1\r\nTE: trailers\r\nProxy-Connection: x\r\nProxy-Authorization: "
                  "x\r\nHTTP2-Settings: x\r\nX-End: 1\r\n\r\n",
            "GET a.example /\n  x-end: 1\nend\n"),
        ROW("absolute form that agrees with Host", "GET http://A.example:80?q HTTP/1.1\r\n" HOST "\r\n",
            "GET a.example / ?q\nend\n"),
        ROW("absolute form, path made canonical", "GET http://a.example//b/./c%41 HTTP/1.1\r\n" HOST "\r\n",
            "GET a.example /b/cA\nend\n"),
        ROW("an IPv6 Host", "GET / HTTP/1.1\r\nHost: [2001:DB8:0:0::5]:8080\r\n\r\n",
            "GET [2001:db8::5]:8080 /\nend\n"),
        ROW("a mapped address is longer in its canonical form",
            "GET / HTTP/1.1\r\nHost: [::FFFF:7F7F:7F7F]\r\nX-A: b\r\n\r\n",
            "GET [::ffff:127.127.127.127] /\n  x-a: b\nend\n"),
        ROW("any byte above ASCII may be in a value", START "X-A: \xc3\xa9\r\n\r\n",
            "GET a.example /\n  x-a: \\xc3\\xa9\nend\n"),
    };
    EXPECT_REQUESTS(rows, NULL);
}

static void ambiguous_heads_are_refused(void **state)
{
    (void)state;
    static const struct row rows[] = {
        ROW("1 Host missing", "GET / HTTP/1.1\r\nX: 1\r\n\r\n", "error 400 Host is missing\n"),
        ROW("1 Host twice", START HOST "\r\n", "error 400 Host is given twice\n"),
        ROW("1 Host empty", "GET / HTTP/1.1\r\nHost:\r\n\r\n",
            "error 400 Host is not a name or address with an optional port\n"),
        ROW("1 Host with comma", "GET / HTTP/1.1\r\nHost: a,b\r\n\r\n",
            "error 400 Host is not a name or address with an optional port\n"),
        ROW("1 Host with @", "GET / HTTP/1.1\r\nHost: u@b\r\n\r\n",
            "error 400 Host is not a name or address with an optional port\n"),
        ROW("1 Host with slash", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
            "error 400 Host is not a name or address with an optional port\n"),
        ROW("1 Host with space", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
            "error 400 Host is not a name or address with an optional port\n"),
        ROW("2 chunked twice (CVE-2020-8287)",
            POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "error 400 Transfer-Encoding is given twice\n"),
        ROW("chunkedchunked (CVE-2022-32213)", POST "Transfer-Encoding: chunkedchunked\r\n\r\n0\r\n\r\n",
            "error 501 Transfer-Encoding other than chunked\n"),
        ROW("chunked, chunked", POST "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
            "error 501 Transfer-Encoding other than chunked\n"),
        ROW("chunked is not last (CVE-2022-32215)",
            POST "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
            "error 501 Transfer-Encoding other than chunked\n"),
        ROW("identity", POST "Transfer-Encoding: identity\r\n\r\n",
            "error 501 Transfer-Encoding other than chunked\n"),
        ROW("vertical tab before chunked (CVE-2019-15605)",
            POST "Transfer-Encoding: \x0b"
                 "chunked\r\n\r\n",
            "error 400 header value holds a control byte\n"),
        ROW("length and coding", POST "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "error 400 both Content-Length and Transfer-Encoding\n"),
        ROW("coding and length", POST "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
            "error 400 both Content-Length and Transfer-Encoding\n"),
        ROW("two lengths", POST "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
            "error 400 Content-Length is given twice\n"),
        ROW("two equal lengths", POST "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
            "error 400 Content-Length is given twice\n"),
        ROW("a list of lengths", POST "Content-Length: 5, 5\r\n\r\nhello",
            "error 400 Content-Length is not a number\n"),
        ROW("a signed length", POST "Content-Length: +5\r\n\r\nhello",
            "error 400 Content-Length is not a number\n"),
        ROW("a hexadecimal length", POST "Content-Length: 0x5\r\n\r\nhello",
            "error 400 Content-Length is not a number\n"),
        ROW("an empty length", POST "Content-Length:\r\n\r\nhello", "error 400 Content-Length is empty\n"),
        ROW("P26 a length of 2^63-1", POST "Content-Length: 9223372036854775807\r\n\r\n",
            "error 413 Content-Length is too large\n"),
        ROW("space before colon (CVE-2021-22959)", START "X-A : 1\r\n\r\n",
            "error 400 header name is not a token followed by a colon\n"),
        ROW("space before colon of a length", POST "Content-Length : 5\r\n\r\nhello",
            "error 400 header name is not a token followed by a colon\n"),
        ROW("space in a name", START "X A: 1\r\n\r\n",
            "error 400 header name is not a token followed by a colon\n"),
        ROW("space before a name (CVE-2024-27982)", "GET / HTTP/1.1\r\n Host: a\r\n\r\n",
            "error 400 header name is not a token followed by a colon\n"),
        ROW("9 obs-fold", START "X-A: 1\r\n 2\r\n\r\n",
            "error 400 header name is not a token followed by a colon\n"),
        ROW("an empty name", START ": 1\r\n\r\n",
            "error 400 header name is not a token followed by a colon\n"),
        ROW("no colon", START "X-A\r\n\r\n", "error 400 header name is not a token followed by a colon\n"),
        ROW("P15 an 8-bit lookalike of a name", START "x-st\xc3\xa0rling-caller: a\r\n\r\n",
            "error 400 header name is not a token followed by a colon\n"),
        ROW("P18 NUL in a value", START "X-A: a\0b\r\n\r\n", "error 400 header value holds a control byte\n"),
        ROW("P18 DEL in a value", START "X-A: a\x7f\r\n\r\n",
            "error 400 header value holds a control byte\n"),
        ROW("9 bare LF (CVE-2022-32214)", "GET / HTTP/1.1\nHost: a\n\n",
            "error 400 line does not end in CRLF\n"),
        ROW("9 bare LF after CRLF lines", START "X-A: 1\n\r\n", "error 400 line does not end in CRLF\n"),
        ROW("bare CR in a value", START "X-A: 1\rX-B: 2\r\n\r\n",
            "error 400 header value holds a control byte\n"),
        ROW("CR before the ending CRLF (CVE-2022-35256)", START "X-A:\r\r\n\r\n",
            "error 400 header value holds a control byte\n"),
        ROW("11 two empty lines before a request", "\r\n\r\n" START "\r\n",
            "error 400 not the beginning of an HTTP/1 message\n"),
        ROW("TLS on a plaintext port is refused at its first byte", "\x16\x03\x01",
            "error 400 not the beginning of an HTTP/1 message\n"),
        ROW("P26 the input ends inside a head", START, "error 400 connection ended inside a message\n"),
        ROW("P26 the input ends inside a body", POST "Content-Length: 10\r\n\r\n123456789",
            "POST a.example / length 10\ndata 123456789\nerror 400 connection ended inside a message\n"),
    };
    EXPECT_REQUESTS(rows, NULL);
}

static void strange_request_lines_are_refused(void **state)
{
    (void)state;
#define LINE(line) line "\r\n" HOST "\r\n"
    static const struct row rows[] = {
        ROW("5 two spaces before the target", LINE("GET  / HTTP/1.1"),
            "error 400 request line needs a target of visible ASCII and one space after it\n"),
        ROW("5 two spaces after the target", LINE("GET /  HTTP/1.1"),
            "error 400 no HTTP version where one belongs\n"),
        ROW("5 space after the version", LINE("GET / HTTP/1.1 "),
            "error 400 something follows the HTTP version\n"),
        ROW("P14 tab after the method", LINE("GET\t/ HTTP/1.1"),
            "error 400 request line does not begin with a method and one space\n"),
        ROW("P14 get is another method", LINE("get / HTTP/1.1"), "error 501 method is not known here\n"),
        ROW("P14 GeT too", LINE("GeT / HTTP/1.1"), "error 501 method is not known here\n"),
        ROW("12 a lawful method nobody knows", LINE("BREW / HTTP/1.1"),
            "error 501 method is not known here\n"),
        ROW("6 HTTP/0.9, simple", LINE("GET /"),
            "error 400 request line needs a target of visible ASCII and one space after it\n"),
        ROW("6 HTTP/0.9", LINE("GET / HTTP/0.9"), "error 505 HTTP version is neither 1.0 nor 1.1\n"),
        ROW("6 HTTP/9.9", LINE("GET / HTTP/9.9"), "error 505 HTTP version is neither 1.0 nor 1.1\n"),
        ROW("6 HTTP/1.10", LINE("GET / HTTP/1.10"), "error 400 something follows the HTTP version\n"),
        ROW("6 ICE/1.0", LINE("GET / ICE/1.0"), "error 400 no HTTP version where one belongs\n"),
        ROW("P20 the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            "error 505 HTTP version is neither 1.0 nor 1.1\n"),
        ROW("P20 CONNECT", LINE("CONNECT a.example:443 HTTP/1.1"), "error 405 CONNECT is not offered\n"),
        ROW("8 CONNECT with a path", LINE("CONNECT /x HTTP/1.1"), "error 405 CONNECT is not offered\n"),
        ROW("P20 h2c",
            START "Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: x\r\n\r\n",
            "error 501 upgrade to something other than websocket\n"),
        ROW("an upgrade with a body",
            POST "Upgrade: websocket\r\nConnection: upgrade\r\nContent-Length: 1\r\n\r\nx",
            "error 400 upgrade of something other than a GET without a body\n"),
        ROW("P21 an expectation nobody knows", POST "Content-Length: 1\r\nExpect: foo\r\n\r\nx",
            "error 417 Expect other than 100-continue\n"),
        ROW("10 chunked in HTTP/1.0",
            "POST / HTTP/1.0\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "error 400 Transfer-Encoding in HTTP/1.0\n"),
        ROW("7 # in the target", LINE("GET /a#b HTTP/1.1"),
            "error 400 path is not one that every program reads alike\n"),
        ROW("7 \\ in the target", LINE("GET /a\\b HTTP/1.1"),
            "error 400 path is not one that every program reads alike\n"),
        ROW("7 quote in the target", LINE("GET /a\"b HTTP/1.1"),
            "error 400 path is not one that every program reads alike\n"),
        ROW("7 bad escape in the path", LINE("GET /%zz HTTP/1.1"),
            "error 400 path is not one that every program reads alike\n"),
        ROW("7 bad escape in the query", LINE("GET /?%1 HTTP/1.1"),
            "error 400 query holds a byte or an escape it must not\n"),
        ROW("7 # in the query", LINE("GET /?a#b HTTP/1.1"),
            "error 400 query holds a byte or an escape it must not\n"),
        ROW("P11 CRLF in the path", LINE("GET /a%0d%0ab HTTP/1.1"),
            "error 400 path is not one that every program reads alike\n"),
        ROW("P11 NUL in the path", LINE("GET /a%00 HTTP/1.1"),
            "error 400 path is not one that every program reads alike\n"),
        ROW("7 LF in the target (HTTP/0.9 and forged headers)", "GET /\nX: y HTTP/1.1\r\n" HOST "\r\n",
            "error 400 line does not end in CRLF\n"),
        ROW("7 8-bit in the target", LINE("GET /\xc3\xa9 HTTP/1.1"),
            "error 400 request line needs a target of visible ASCII and one space after it\n"),
        ROW("P12 * for GET", LINE("GET * HTTP/1.1"),
            "error 400 target is neither a path nor an http:// URL\n"),
        ROW("P12 no leading slash", LINE("GET admin HTTP/1.1"),
            "error 400 target is neither a path nor an http:// URL\n"),
        ROW("P12 authority form", LINE("GET a.example:80 HTTP/1.1"),
            "error 400 target is neither a path nor an http:// URL\n"),
        ROW("P12 absolute form to another host", LINE("GET http://b.example/ HTTP/1.1"),
            "error 400 target names another host than Host\n"),
        ROW("P13 userinfo", LINE("GET http://u:p@a.example/ HTTP/1.1"),
            "error 400 Host is not a name or address with an optional port\n"),
        ROW("another scheme", LINE("GET https://a.example/ HTTP/1.1"),
            "error 400 target is neither a path nor an http:// URL\n"),
        ROW("no method", LINE("/ HTTP/1.1"), "error 400 not the beginning of an HTTP/1 message\n"),
    };
    EXPECT_REQUESTS(rows, NULL);
}

static void forward_proxy_takes_the_authority_of_the_target(void **state)
{
    (void)state;
    static const struct h1_limits proxy = {.allow_proxy_form = true};
    static const struct row rows[] = {
        ROW("P13 the target counts, not Host", "GET http://B.example:8080/x HTTP/1.1\r\n" HOST "\r\n",
            "GET b.example:8080 /x\nend\n"),
        ROW("P13 Host is judged all the same", "GET http://b.example/x HTTP/1.1\r\nHost: a,b\r\n\r\n",
            "error 400 Host is not a name or address with an optional port\n"),
        ROW("an empty authority", "GET http:///x HTTP/1.1\r\n" HOST "\r\n",
            "error 400 Host is not a name or address with an optional port\n"),
        ROW("HTTP/1.0 without Host names nobody", "GET /x HTTP/1.0\r\n\r\n", "error 400 Host is missing\n"),
        ROW("HTTP/1.0 whose target does", "GET http://b.example/x HTTP/1.0\r\n\r\n",
            "GET b.example /x minor 0\nend\n"),
        ROW("HTTP/1.1 needs Host all the same", "GET http://b.example/x HTTP/1.1\r\n\r\n",
            "error 400 Host is missing\n"),
    };
    EXPECT_REQUESTS(rows, &proxy);
}

static void bad_chunks_are_refused(void **state)
{
    (void)state;
#define CHUNKED    POST "Transfer-Encoding: chunked\r\n\r\n"
#define HEAD_SAYS  "POST a.example / chunked\n"
#define SIZE_WRONG "error 400 chunk size is not a hexadecimal number at once followed by CRLF or ';'\n"
    static const struct row rows[] = {
        ROW("3 space after the size", CHUNKED "3 \r\nabc\r\n0\r\n\r\n", HEAD_SAYS SIZE_WRONG),
        ROW("space before the size", CHUNKED " 3\r\nabc\r\n0\r\n\r\n", HEAD_SAYS SIZE_WRONG),
        ROW("no size", CHUNKED "\r\nabc\r\n0\r\n\r\n", HEAD_SAYS SIZE_WRONG),
        ROW("0x", CHUNKED "0x3\r\nabc\r\n0\r\n\r\n", HEAD_SAYS SIZE_WRONG),
        ROW("a sign", CHUNKED "+3\r\nabc\r\n0\r\n\r\n", HEAD_SAYS SIZE_WRONG),
        ROW("a size that overflows", CHUNKED "10000000000000003\r\nabc\r\n",
            HEAD_SAYS "error 400 chunk size has too many digits\n"),
        ROW("3 control byte in an extension", CHUNKED "3;a\x01\r\nabc\r\n0\r\n\r\n",
            HEAD_SAYS "error 400 chunk extension holds a byte it must not\n"),
        ROW("LF in an extension", CHUNKED "3;a\nabc\r\n0\r\n\r\n",
            HEAD_SAYS "error 400 chunk extension holds a byte it must not\n"),
        ROW("bare LF after the size", CHUNKED "3\nabc\r\n0\r\n\r\n", HEAD_SAYS SIZE_WRONG),
        ROW("CR and another byte after the size", CHUNKED "3\rXabc\r\n0\r\n\r\n",
            HEAD_SAYS "error 400 chunk size line does not end in CRLF\n"),
        ROW("a chunk longer than its size", CHUNKED "3\r\nabcd\r\n0\r\n\r\n",
            HEAD_SAYS "data abc\nerror 400 chunk is longer than its size\n"),
        ROW("CR and another byte after the data", CHUNKED "3\r\nabc\rX0\r\n\r\n",
            HEAD_SAYS "data abc\nerror 400 chunk does not end in CRLF\n"),
        ROW("bare LF after the data", CHUNKED "3\r\nabc\n0\r\n\r\n",
            HEAD_SAYS "data abc\nerror 400 chunk is longer than its size\n"),
        ROW("bare LF after the last chunk", CHUNKED "0\r\n\n",
            HEAD_SAYS "error 400 line does not end in CRLF\n"),
        ROW("4 a length among the trailers", CHUNKED "0\r\nContent-Length: 5\r\n\r\n",
            HEAD_SAYS "error 400 trailer that frames, routes or authenticates a message\n"),
        ROW("4 a coding among the trailers", CHUNKED "0\r\nTransfer-Encoding: chunked\r\n\r\n",
            HEAD_SAYS "error 400 trailer that frames, routes or authenticates a message\n"),
        ROW("4 Host among the trailers", CHUNKED "0\r\nHost: b\r\n\r\n",
            HEAD_SAYS "error 400 trailer that frames, routes or authenticates a message\n"),
        ROW("authorization among the trailers", CHUNKED "0\r\nAuthorization: b\r\n\r\n",
            HEAD_SAYS "error 400 trailer that frames, routes or authenticates a message\n"),
        ROW("4 P15 identity among the trailers is dropped",
            CHUNKED "0\r\nX_Starling-Caller: root\r\nX-Sum: 1\r\n\r\n",
            HEAD_SAYS "trailers\n  x-sum: 1\nend\n"),
        ROW("P15 nothing else among them", CHUNKED "0\r\nX-Starling-Caller: root\r\n\r\n", HEAD_SAYS "end\n"),
        ROW("a folded trailer", CHUNKED "0\r\nX: 1\r\n 2\r\n\r\n",
            HEAD_SAYS "error 400 header name is not a token followed by a colon\n"),
        ROW("P26 the input ends between chunks", CHUNKED "3\r\nabc\r\n",
            HEAD_SAYS "data abc\nerror 400 connection ended inside a message\n"),
        ROW("P26 the input ends before the last line", CHUNKED "0\r\n",
            HEAD_SAYS "error 400 connection ended inside a message\n"),
    };
    EXPECT_REQUESTS(rows, NULL);
}

static void connection_removes_what_it_names_but_not_what_is_protected(void **state)
{
    (void)state;
    static const struct row rows[] = {
        ROW("P17 a field of one connection", START "X-Hop: 1\r\nConnection: x-HOP, close\r\nX-End: 1\r\n\r\n",
            "GET a.example /\n  x-end: 1\nend\n"),
        ROW("P17 protected fields stay",
            POST "Connection: host, content-length, authorization, x-starling-caller, x_starling_caller, "
                 "cookie\r\nAuthorization: s\r\nCookie: c\r\n"
                 "X-Starling-Caller: w\r\nX_Starling_Caller: v\r\nContent-Length: 1\r\n\r\nx",
            "POST a.example / length 1\n  authorization: s\n  cookie: c\n  x-starling-caller: w\n  "
            "x_starling_caller: v\ndata x\nend\n"),
        ROW("P17 not a name", START "Connection: a b\r\n\r\n",
            "error 400 Connection holds something other than names\n"),
        ROW("empty elements are nothing", START "Connection: , ,close,\r\n\r\n", "GET a.example /\nend\n"),
    };
    EXPECT_REQUESTS(rows, NULL);

    struct buf many = {0};
    buf_add_str(&many, START "Connection: a");
    for (int i = 1; i < 1000; i++)
        buf_addf(&many, ",n%d", i);
    buf_add_str(&many, "\r\n\r\n");
    struct row row = {"P17 a thousand names", (const char *)many.at, many.len,
                      "error 400 Connection holds too many names\n"};
    expect_cut(&row, H1_REQUESTS, NULL, NULL, 0, 0);
    expect_cut(&row, H1_REQUESTS, NULL, NULL, 1, 0);
    buf_fini(&many);
}

/* `text` `count` times, after `head` and before `tail`. */
static struct buf repeated(const char *head, const char *text, size_t count, const char *tail)
{
    struct buf b = {0};
    buf_add_str(&b, head);
    for (size_t i = 0; i < count; i++)
        buf_add_str(&b, text);
    buf_add_str(&b, tail);
    assert_true(buf_ok(&b));
    return b;
}

static void expect_long(const char *what, struct buf raw, const char *says)
{
    struct row row = {what, (const char *)raw.at, raw.len, says};
    expect_cut(&row, H1_REQUESTS, NULL, NULL, 0, 0);
    expect_cut(&row, H1_REQUESTS, NULL, NULL, 7, 0);
    buf_fini(&raw);
}

static void limits_hold(void **state)
{
    (void)state;
    expect_long("P25 101 headers", repeated(START, "x: y\r\n", 100, "\r\n"),
                "error 431 too many header fields\n");
    expect_long("P19 a header of 1 MiB", repeated(START "x: ", "0123456789abcdef", 65536, "\r\n\r\n"),
                "error 431 head is too long\n");
    expect_long("11 a head of 80 kB in short lines", repeated(START, "x: 0123456789abcdef\r\n", 4000, "\r\n"),
                "error 431 head is too long\n");
    expect_long("a target of 17 KiB",
                repeated("GET /", "0123456789abcdef", 1088, " HTTP/1.1\r\n" HOST "\r\n"),
                "error 414 target is too long\n");
    expect_long("a request line without an end", repeated("GET /", "0123456789abcdef", 65536, ""),
                "error 414 request line is too long\n");
    expect_long("P29 an extension of 1 MiB",
                repeated(CHUNKED "1;", "0123456789abcdef", 65536, "\r\nx\r\n0\r\n\r\n"),
                HEAD_SAYS "error 400 too many bytes of chunk extensions\n");
    expect_long("101 trailers", repeated(CHUNKED "0\r\n", "x: y\r\n", 101, "\r\n"),
                HEAD_SAYS "error 431 too many header fields\n");
}

static void extensions_are_counted_over_the_whole_message(void **state)
{
    (void)state;
    struct buf raw = repeated(CHUNKED, "1;0123456789abcdef0123456789abcdef\r\n.\r\n", 1000, "0\r\n\r\n");
    struct h1_reader *r = reader_for(H1_REQUESTS, NULL, NULL);
    struct buf out = transcript_of(r, buf_bytes(&raw), 0, 0);
    assert_non_null(strstr(buf_str(&out), "error 400 too many bytes of chunk extensions\n"));
    buf_fini(&out);
    buf_fini(&raw);
    h1_reader_free(r);
}

static void exactly_a_hundred_headers_pass(void **state)
{
    (void)state;
    struct buf raw = repeated(START, "x: y\r\n", 99, "\r\n"); /* and Host */
    struct h1_reader *r = reader_for(H1_REQUESTS, NULL, NULL);
    static struct http_head h;
    size_t used;
    assert_int_equal(h1_reader_feed(r, buf_bytes(&raw), &used).type, H1_HEAD);
    h1_reader_head_take(r, &h);
    assert_int_equal(h.header_count, 99);
    assert_int_equal(used, raw.len);
    http_head_fini(&h);
    buf_fini(&raw);
    h1_reader_free(r);
}

static void responses_are_read(void **state)
{
    (void)state;
    struct http_head get = asked("GET", false, false);
#define OK_LINE "HTTP/1.1 200 OK\r\n"
    static const struct row rows[] = {
        ROW("a counted body", OK_LINE "Content-Length: 2\r\nServer: s\r\n\r\nhi",
            "200 length 2\n  server: s\ndata hi\nend\n"),
        ROW("without a reason", "HTTP/1.1 404\r\nContent-Length: 0\r\n\r\n", "404 length 0\nend\n"),
        ROW("until the connection ends", OK_LINE "\r\nhi", "200 until-close\ndata hi\nend\n"),
        ROW("chunked with trailers",
            OK_LINE "Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nX-T: 1\r\n\r\n",
            "200 chunked\ndata hi\ntrailers\n  x-t: 1\nend\n"),
        ROW("204 has no body", "HTTP/1.1 204 No Content\r\n\r\n", "204\nend\n"),
        ROW("204 with length 0", "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", "204\nend\n"),
        ROW("304 says a length and sends nothing", "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n",
            "304 length 9\nend\n"),
        ROW("103 is skipped",
            "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" OK_LINE "Content-Length: 0\r\n\r\n",
            "200 length 0\nend\n"),
        ROW("100 is skipped where nobody waits for it",
            "HTTP/1.1 100 Continue\r\n\r\n" OK_LINE "Content-Length: 0\r\n\r\n", "200 length 0\nend\n"),
        ROW("HTTP/1.0", "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx",
            "200 minor 0 length 1\ndata x\nend\n"),
        ROW("an advertised upgrade is dropped",
            OK_LINE "Upgrade: h2,h2c\r\nUpgrade: x\r\nConnection: Upgrade\r\nContent-Length: 0\r\n\r\n",
            "200 length 0\nend\n"),
    };
    EXPECT_RESPONSES(rows, &get);

    struct http_head head = asked("HEAD", false, false);
    static const struct row head_rows[] = {
        ROW("HEAD: a length and no body", OK_LINE "Content-Length: 5\r\n\r\n", "200 length 5\nend\n"),
        ROW("HEAD: chunked and no body", OK_LINE "Transfer-Encoding: chunked\r\n\r\n", "200\nend\n"),
        ROW("P19 HEAD: a body all the same", OK_LINE "Content-Length: 2\r\n\r\nhi",
            "200 length 2\nend\nerror 502 response that nobody asked for\n"),
    };
    EXPECT_RESPONSES(head_rows, &head);

    struct http_head waiting = asked("POST", true, false);
    static const struct row waiting_rows[] = {
        ROW("100 is told to those who wait, once",
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n" OK_LINE "Content-Length: 0\r\n\r\n",
            "100\n200 length 0\nend\n"),
    };
    EXPECT_RESPONSES(waiting_rows, &waiting);

    struct http_head upgrading = asked("GET", false, true);
    static const struct row upgrading_rows[] = {
        ROW("P20 after 101 nothing is HTTP",
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: "
            "WebSocket\r\nSec-WebSocket-Accept: x\r\n\r\nHTTP/1.1 \r\n\r\n",
            "101 upgrade websocket\n  sec-websocket-accept: x\ndata HTTP/1.1 \\x0d\\x0a\\x0d\\x0a\nend\n"),
        ROW("declined", OK_LINE "Content-Length: 0\r\n\r\n", "200 length 0\nend\n"),
        ROW("101 to something else", "HTTP/1.1 101 S\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
            "error 502 101 that does not switch to websocket\n"),
    };
    EXPECT_RESPONSES(upgrading_rows, &upgrading);
}

static void split_and_poisoned_responses_are_refused(void **state)
{
    (void)state;
    struct http_head get = asked("GET", false, false);
    static const struct row rows[] = {
        ROW("P19 two lengths", OK_LINE "Content-Length: 1\r\nContent-Length: 2\r\n\r\nx",
            "error 502 Content-Length is given twice\n"),
        ROW("P19 coding and length", OK_LINE "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\nx",
            "error 502 both Content-Length and Transfer-Encoding\n"),
        ROW("a coding that does not end in chunked", OK_LINE "Transfer-Encoding: gzip\r\n\r\nx",
            "error 502 Transfer-Encoding other than chunked\n"),
        ROW("P19 101 unasked", "HTTP/1.1 101 S\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
            "error 502 101 without having been asked\n"),
        ROW("P19 204 with a body", "HTTP/1.1 204 No\r\nContent-Length: 2\r\n\r\nhi",
            "error 502 body announced by a response that cannot have one\n"),
        ROW("P19 204 with chunks", "HTTP/1.1 204 No\r\nTransfer-Encoding: chunked\r\n\r\n",
            "error 502 body announced by a response that cannot have one\n"),
        ROW("100 with a body", "HTTP/1.1 100 C\r\nContent-Length: 2\r\n\r\nhi",
            "error 502 body announced by a response that cannot have one\n"),
        ROW("P19 a second response unasked",
            OK_LINE "Content-Length: 0\r\n\r\n" OK_LINE "Content-Length: 0\r\n\r\n",
            "200 length 0\nend\nerror 502 response that nobody asked for\n"),
        ROW("P19 status 000", "HTTP/1.1 000 X\r\n\r\n", "error 502 status is not 100 to 599\n"),
        ROW("P19 status 099", "HTTP/1.1 099 X\r\n\r\n", "error 502 status is not 100 to 599\n"),
        ROW("P19 status 99", "HTTP/1.1 99 X\r\n\r\n", "error 502 status is not 100 to 599\n"),
        ROW("P19 status 1000", "HTTP/1.1 1000 X\r\n\r\n", "error 502 status line holds a byte it must not\n"),
        ROW("status 600", "HTTP/1.1 600 X\r\n\r\n", "error 502 status is not 100 to 599\n"),
        ROW("NUL in the reason", "HTTP/1.1 200 a\0b\r\n\r\n",
            "error 502 status line holds a byte it must not\n"),
        ROW("two spaces before the status", "HTTP/1.1  200 OK\r\n\r\n",
            "error 502 status is not 100 to 599\n"),
        ROW("HTTP/2.0", "HTTP/2.0 200 OK\r\n\r\n", "error 502 HTTP version is neither 1.0 nor 1.1\n"),
        ROW("ICY", "ICY 200 OK\r\n\r\n", "error 502 not the beginning of an HTTP/1 message\n"),
        ROW("an empty line first", "\r\n" OK_LINE "\r\n",
            "error 502 not the beginning of an HTTP/1 message\n"),
        ROW("bare LF", "HTTP/1.1 200 OK\nContent-Length: 0\n\n", "error 502 line does not end in CRLF\n"),
        ROW("chunked in HTTP/1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "error 502 Transfer-Encoding in HTTP/1.0\n"),
        ROW("the input ends before the body does", OK_LINE "Content-Length: 3\r\n\r\nhi",
            "200 length 3\ndata hi\nerror 502 connection ended inside a message\n"),
        ROW("obs-fold", OK_LINE "X: 1\r\n\t2\r\n\r\n",
            "error 502 header name is not a token followed by a colon\n"),
        ROW("space before colon", OK_LINE "Content-Length : 3\r\n\r\nabc",
            "error 502 header name is not a token followed by a colon\n"),
    };
    EXPECT_RESPONSES(rows, &get);

    static const struct row unasked[] = {ROW("P19 a response before any request", OK_LINE "\r\n",
                                             "error 502 response that nobody asked for\n")};
    EXPECT_RESPONSES(unasked, NULL);

    struct buf flood = repeated("", "HTTP/1.1 102 Processing\r\n\r\n", 1000, OK_LINE "\r\n");
    struct row row = {"P19 a flood of 1xx", (const char *)flood.at, flood.len,
                      "error 502 too many interim responses\n"};
    expect_cut(&row, H1_RESPONSES, NULL, &get, 0, 0);
    expect_cut(&row, H1_RESPONSES, NULL, &get, 1, 0);
    buf_fini(&flood);
}

static void upgraded_connection_keeps_its_bytes_until_the_tunnel(void **state)
{
    (void)state;
    struct bytes raw = bytes_str(START "Upgrade: websocket\r\nConnection: upgrade\r\n\r\nGET / HTTP/1.1\r\n");
    struct h1_reader *r = reader_for(H1_REQUESTS, NULL, NULL);
    size_t used, at;
    assert_int_equal(h1_reader_feed(r, raw, &used).type, H1_HEAD);
    at = used;
    assert_int_equal(h1_reader_feed(r, bytes_of(raw.at + at, raw.len - at), &used).type, H1_END);
    assert_int_equal(h1_reader_feed(r, bytes_of(raw.at + at, raw.len - at), &used).type, H1_NONE);
    assert_int_equal(used, 0);
    assert_false(h1_reader_keep_alive(r));
    h1_reader_tunnel(r);
    struct h1_event e = h1_reader_feed(r, bytes_of(raw.at + at, raw.len - at), &used);
    assert_int_equal(e.type, H1_DATA);
    assert_true(bytes_eq_str(e.data, "GET / HTTP/1.1\r\n"));
    assert_int_equal(h1_reader_eof(r).type, H1_END);
    h1_reader_free(r);
}

static void tunnel_without_an_upgrade_fails(void **state)
{
    (void)state;
    struct h1_reader *r = reader_for(H1_REQUESTS, NULL, NULL);
    size_t used;
    h1_reader_tunnel(r);
    assert_int_equal(h1_reader_feed(r, bytes_str("x"), &used).type, H1_ERROR);
    assert_int_equal(h1_reader_feed(r, bytes_str("x"), &used).type, H1_ERROR);
    h1_reader_free(r);
}

static void idleness_and_clean_ends(void **state)
{
    (void)state;
    struct h1_reader *r = reader_for(H1_REQUESTS, NULL, NULL);
    size_t used;
    assert_true(h1_reader_is_idle(r));
    assert_int_equal(h1_reader_feed(r, bytes_str("G"), &used).type, H1_NONE);
    assert_false(h1_reader_is_idle(r));
    assert_int_equal(h1_reader_feed(r, bytes_str("ET / HTTP/1.1\r\n" HOST "\r\n"), &used).type, H1_HEAD);
    assert_false(h1_reader_is_idle(r));
    assert_int_equal(h1_reader_feed(r, bytes_of(NULL, 0), &used).type, H1_END);
    assert_true(h1_reader_is_idle(r));
    assert_true(h1_reader_keep_alive(r));
    assert_int_equal(h1_reader_eof(r).type, H1_NONE);
    h1_reader_free(r);
}

static void ten_thousand_pipelined_requests_come_one_by_one(void **state)
{
    (void)state;
    struct buf raw = repeated("", START "\r\n", 10000, ""); /* P24 */
    struct h1_reader *r = reader_for(H1_REQUESTS, NULL, NULL);
    static struct http_head h;
    size_t at = 0, used, heads = 0, ends = 0;
    for (;;) {
        struct h1_event e = h1_reader_feed(r, bytes_of(raw.at + at, raw.len - at), &used);
        at += used;
        if (e.type == H1_NONE)
            break;
        if (e.type == H1_HEAD) {
            assert_int_equal(heads, ends);
            h1_reader_head_take(r, &h);
            http_head_fini(&h);
            heads++;
        } else {
            assert_int_equal(e.type, H1_END);
            ends++;
        }
    }
    assert_int_equal(heads, 10000);
    assert_int_equal(ends, 10000);
    buf_fini(&raw);
    h1_reader_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_requests_are_read),
        cmocka_unit_test(ambiguous_heads_are_refused),
        cmocka_unit_test(strange_request_lines_are_refused),
        cmocka_unit_test(forward_proxy_takes_the_authority_of_the_target),
        cmocka_unit_test(bad_chunks_are_refused),
        cmocka_unit_test(connection_removes_what_it_names_but_not_what_is_protected),
        cmocka_unit_test(limits_hold),
        cmocka_unit_test(extensions_are_counted_over_the_whole_message),
        cmocka_unit_test(exactly_a_hundred_headers_pass),
        cmocka_unit_test(responses_are_read),
        cmocka_unit_test(split_and_poisoned_responses_are_refused),
        cmocka_unit_test(upgraded_connection_keeps_its_bytes_until_the_tunnel),
        cmocka_unit_test(tunnel_without_an_upgrade_fails),
        cmocka_unit_test(idleness_and_clean_ends),
        cmocka_unit_test(ten_thousand_pipelined_requests_come_one_by_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
