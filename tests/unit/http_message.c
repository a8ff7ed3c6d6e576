/* What may cross the edge of the mesh as a header: P14 to P16. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "http/message.h"

static void identity_and_forwarding_headers_are_removed_in_every_spelling(void **state)
{
    (void)state;
    static const char *const removed[] = {"x-starling-caller",
                                          "x_starling_caller",
                                          "x.starling.caller",
                                          "x-starling_caller",
                                          "x-starling",
                                          "x-starling-anything",
                                          "x-forwarded-for",
                                          "x_forwarded_for",
                                          "x-forwarded-proto",
                                          "x-forwarded-host",
                                          "forwarded",
                                          "x-real-ip",
                                          "x_real_ip",
                                          "via",
                                          "x-original-url",
                                          "x-rewrite-url",
                                          "x_rewrite_url",
                                          "x-http-method",
                                          "x-http-method-override",
                                          "x-method-override",
                                          "x_http_method_override",
                                          "proxy"};
    static const char *const kept[] = {"x-request-id",   "traceparent", "authorization", "cookie",
                                       "x-real-ip-hint", "x",           "viable",        "proxy-hint",
                                       "x-original",     "x-stars",     "forwarded-by"};
    static struct http_head h;
    h.header_count = 0;
    for (size_t i = 0; i < sizeof removed / sizeof *removed; i++) {
        h.header[h.header_count++] = (struct http_header){bytes_str(removed[i]), bytes_str("forged")};
        if (i < sizeof kept / sizeof *kept)
            h.header[h.header_count++] = (struct http_header){bytes_str(kept[i]), bytes_str("own")};
    }
    http_strip_edge_headers(&h);
    assert_int_equal(h.header_count, sizeof kept / sizeof *kept);
    for (size_t i = 0; i < h.header_count; i++) {
        assert_true(bytes_eq_str(h.header[i].name, kept[i]));
        assert_true(bytes_eq_str(h.header[i].value, "own"));
    }
}

static void finding_and_finishing(void **state)
{
    (void)state;
    static struct http_head h;
    buf_add_str(&h.text, "x-a1");
    h.header_count = 2;
    h.header[0] = h.header[1] = (struct http_header){bytes_of(h.text.at, 3), bytes_of(h.text.at + 3, 1)};
    assert_ptr_equal(http_head_find(&h, "x-a"), &h.header[0]);
    assert_null(http_head_find(&h, "x-"));
    assert_null(http_head_find(&h, "x-a1"));
    http_head_fini(&h);
    assert_null(http_head_find(&h, "x-a"));
    assert_null(h.text.at);
    http_head_fini(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(identity_and_forwarding_headers_are_removed_in_every_spelling),
        cmocka_unit_test(finding_and_finishing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
