/* Addresses: one form for IPv4 and IPv6, their texts, and what may be dialled. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/addr.h"

static void expect_text(const char *given, const char *expected)
{
    struct addr a;
    char text[ADDR_TEXT_MAX];
    if (!expected) {
        if (addr_parse(&a, given, 7400))
            fail_msg("%s was taken as %s", given, addr_text(&a, text));
        return;
    }
    if (!addr_parse(&a, given, 7400))
        fail_msg("%s was refused", given);
    assert_string_equal(addr_text(&a, text), expected);
}

static void literals_are_parsed_and_written(void **state)
{
    (void)state;
    static const struct {
        const char *given, *expected;
    } rows[] = {
        {"10.0.0.5:7401", "10.0.0.5:7401"},
        {"10.0.0.5", "10.0.0.5:7400"},
        {"[2001:DB8:0::5]:1", "[2001:db8::5]:1"},
        {"[::1]", "[::1]:7400"},
        {"::1", "[::1]:7400"},
        {"2001:db8::5", "[2001:db8::5]:7400"},
        {"::ffff:10.0.0.5", "10.0.0.5:7400"}, /* mapped: the same address */
        {"[::ffff:10.0.0.5]:9", "10.0.0.5:9"},
        {"0.0.0.0:0", "0.0.0.0:0"},
        {"10.0.0.5:65535", "10.0.0.5:65535"},
        {"10.0.0.5:65536", NULL},
        {"10.0.0.5:", NULL},
        {"10.0.0.5:x", NULL},
        {"10.0.0.5:+1", NULL},
        {"10.0.0.5:1 ", NULL},
        {"10.0.0.05", NULL},
        {"10.0.0", NULL},
        {"[::1", NULL},
        {"[::1]7400", NULL},
        {"[::1]:7400x", NULL},
        {"[]:1", NULL},
        {":1", NULL},
        {"", NULL},
        {"seeds.example:7400", NULL},
        {"fe80::1%eth0", NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        expect_text(rows[i].given, rows[i].expected);
}

static void names_are_split_from_ports(void **state)
{
    (void)state;
    char host[16];
    uint16_t port;
    assert_true(addr_split("seeds.example:1", host, sizeof host, &port, 7400));
    assert_string_equal(host, "seeds.example");
    assert_int_equal(port, 1);
    assert_true(addr_split("localhost", host, sizeof host, &port, 7400));
    assert_int_equal(port, 7400);
    assert_true(addr_split("123456789012345", host, sizeof host, &port, 1));
    assert_false(addr_split("1234567890123456", host, sizeof host, &port, 1));
}

static void what_no_peer_may_make_us_dial(void **state)
{
    (void)state;
    static const char *const never[] = {
        "0.0.0.0:1",         "[::]:1",    "10.0.0.5:0",  "169.254.169.254:80", "224.0.0.1:1",
        "255.255.255.255:1", "0.1.2.3:1", "[ff02::1]:1", "[fe80::1]:1",        "[febf::1]:1"};
    static const char *const fine[] = {"10.0.0.5:1", "127.0.0.1:1", "[2001:db8::5]:1", "[::1]:1",
                                       "[fd00::1]:1"};
    struct addr a;
    for (size_t i = 0; i < sizeof never / sizeof *never; i++) {
        assert_true(addr_parse(&a, never[i], 0));
        if (addr_is_dialable(&a))
            fail_msg("%s may be dialled", never[i]);
    }
    for (size_t i = 0; i < sizeof fine / sizeof *fine; i++) {
        assert_true(addr_parse(&a, fine[i], 0));
        if (!addr_is_dialable(&a))
            fail_msg("%s may not be dialled", fine[i]);
    }
}

static void loopback_is_known_in_both_families(void **state)
{
    (void)state;
    struct addr a;
    assert_true(addr_parse(&a, "127.9.9.9", 1) && addr_is_loopback(&a) && addr_is_v4(&a));
    assert_true(addr_parse(&a, "::1", 1) && addr_is_loopback(&a) && !addr_is_v4(&a));
    assert_true(addr_parse(&a, "128.0.0.1", 1) && !addr_is_loopback(&a));
    assert_true(addr_parse(&a, "::2", 1) && !addr_is_loopback(&a));
}

static void expect_kernel_form(const char *text, sa_family_t family, socklen_t len)
{
    struct addr a, back;
    struct sockaddr_storage s;
    assert_true(addr_parse(&a, text, 0));
    assert_int_equal(addr_to_sockaddr(&a, &s), len);
    assert_int_equal(s.ss_family, family);
    assert_true(addr_from_sockaddr(&back, (struct sockaddr *)&s));
    assert_true(addr_eq(&a, &back));
}

static void the_kernel_s_form_and_back(void **state)
{
    (void)state;
    expect_kernel_form("10.0.0.5:7400", AF_INET, sizeof(struct sockaddr_in));
    expect_kernel_form("[2001:db8::5]:7400", AF_INET6, sizeof(struct sockaddr_in6));
    /* A dual-stack socket reports IPv4 peers in mapped form: the same address to us. */
    struct sockaddr_in6 mapped = {.sin6_family = AF_INET6, .sin6_port = htons(1)};
    struct addr a, v4;
    assert_int_equal(inet_pton(AF_INET6, "::ffff:10.0.0.5", &mapped.sin6_addr), 1);
    assert_true(addr_from_sockaddr(&a, (struct sockaddr *)&mapped));
    assert_true(addr_parse(&v4, "10.0.0.5:1", 0) && addr_eq(&a, &v4));
    struct sockaddr local = {.sa_family = AF_UNIX};
    assert_false(addr_from_sockaddr(&a, &local));
}

static void eighteen_bytes_on_the_wire(void **state)
{
    (void)state;
    struct addr a, back;
    uint8_t space[18];
    struct wr w = wr_init(space, sizeof space);
    assert_true(addr_parse(&a, "10.0.0.5:258", 0));
    wr_addr(&w, &a);
    assert_int_equal(wr_len(&w), 18);
    assert_memory_equal(space + 10, "\xff\xff\x0a\x00\x00\x05\x01\x02", 8);
    struct rd r = rd_init(wr_done(&w));
    rd_addr(&r, &back);
    assert_true(rd_done(&r) && addr_eq(&a, &back));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(literals_are_parsed_and_written),
        cmocka_unit_test(names_are_split_from_ports),
        cmocka_unit_test(what_no_peer_may_make_us_dial),
        cmocka_unit_test(loopback_is_known_in_both_families),
        cmocka_unit_test(the_kernel_s_form_and_back),
        cmocka_unit_test(eighteen_bytes_on_the_wire),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
