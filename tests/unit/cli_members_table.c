/* What `starling members` prints. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "cli/members_table.h"

static void expect(const char *json, const char *table)
{
    struct buf out = {0};
    json_error_t why;
    json_t *list = json_loads(json, 0, &why);
    assert_non_null(list);
    members_table(list, &out);
    assert_string_equal(buf_str(&out), table);
    buf_fini(&out);
    json_decref(list);
}

static void columns_are_as_wide_as_their_entries(void **state)
{
    (void)state;
    expect("[]", "NAME  STATE     SINCE   HEARD   ADDRESS  POLICY  LABELS\n");
    expect(
        "[{\"name\": \"a\", \"state\": \"alive\", \"self\": true, \"since_ms\": 130000, \"heard_ms\": null,"
        "  \"address\": \"10.0.0.1:7400\", \"policy\": 12, \"labels\": {\"zone\": \"x\", \"ring\": \"1\"}},"
        " {\"name\": \"backend\", \"state\": \"degraded\", \"self\": false, \"since_ms\": 7260000, "
        "\"heard_ms\": 900,"
        "  \"address\": \"[fd77::2]:7400\", \"policy\": 0, \"labels\": {}},"
        " {\"name\": \"c\", \"state\": \"dead\", \"self\": false, \"since_ms\": 400000000, \"heard_ms\": "
        "null,"
        "  \"address\": \"10.0.0.3:7400\", \"policy\": 12, \"labels\": {}}]",
        "NAME     STATE     SINCE   HEARD   ADDRESS         POLICY  LABELS\n"
        "a        alive     2m10s   self    10.0.0.1:7400   12      zone=x,ring=1\n"
        "backend  degraded  2h1m    0s      [fd77::2]:7400  -\n"
        "c        dead      4d15h   -       10.0.0.3:7400   12\n");
}

/* A clock is told of in the words that `status` and the log use. */
static void what_is_wrong_stands_beside_a_member(void **state)
{
    (void)state;
    expect("[{\"name\": \"b\", \"state\": \"alive\", \"since_ms\": 0, \"heard_ms\": 1000, \"address\": "
           "\"10.0.0.2:7400\","
           "  \"policy\": 1, \"labels\": {}, \"clock_wrong\": true, \"clock_off_ms\": -86403200},"
           " {\"name\": \"c\", \"state\": \"alive\", \"since_ms\": 0, \"heard_ms\": 1000, \"address\": "
           "\"10.0.0.3:7400\","
           "  \"policy\": 1, \"labels\": {}, \"clock_wrong\": false, \"clock_off_ms\": 20, \"unreachable\": "
           "\"refused\"}]",
           "NAME  STATE     SINCE   HEARD   ADDRESS        POLICY  LABELS\n"
           "b     alive     0s      1s      10.0.0.2:7400  1  (clock 24h3s behind)\n"
           "c     alive     0s      1s      10.0.0.3:7400  1  (unreachable for traffic from here)\n");
}

static void a_line_keeps_to_its_columns(void **state)
{
    (void)state;
    const char *all = "[{\"name\": \"b\", \"state\": \"alive\", \"since_ms\": 0, \"heard_ms\": 1000, "
                      "\"address\": \"10.0.0.2:7400\","
                      "  \"policy\": 1, \"labels\": {\"zone\": \"eu-central-1a\"}, \"clock_wrong\": true, "
                      "\"clock_off_ms\": 3600000,"
                      "  \"quarantined\": \"x\", \"conflict\": \"x\", \"overlay\": {\"in_force\": true}, "
                      "\"revoked\": \"x\"}]";
    expect(all, "NAME  STATE     SINCE   HEARD   ADDRESS        POLICY  LABELS\n"
                "b     alive     0s      1s      10.0.0.2:7400  1       zone=eu-central-1a  (name held by "
                "another: not routed to)\n"
                "    (break-glass: an overlay is in force)  (quarantined: two agents run with its key, or it "
                "is stolen)  (revoked)\n"
                "    (clock 1h ahead)\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(columns_are_as_wide_as_their_entries),
                                       cmocka_unit_test(what_is_wrong_stands_beside_a_member),
                                       cmocka_unit_test(a_line_keeps_to_its_columns)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
