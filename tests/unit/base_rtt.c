/* What round trips foretell. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/rtt.h"

/* RFC 6298, section 2: the first sample counts whole, later ones an eighth; a steady path ends near its round trip. */
static void round_trips_make_timeouts(void **state)
{
    uint16_t mean = 0, var = 0;
    (void)state;
    assert_int_equal(rtt_timeout_ms(mean, var), 0);
    rtt_sample(&mean, &var, 100);
    assert_int_equal(rtt_timeout_ms(mean, var), 100 + 4 * 50 + 1);
    for (int i = 0; i < 50; i++)
        rtt_sample(&mean, &var, 100);
    assert_in_range(rtt_timeout_ms(mean, var), 100, 106);
    rtt_sample(&mean, &var, 400); /* one slow answer is remembered for a while */
    assert_true(rtt_timeout_ms(mean, var) > 350);
    for (int i = 0; i < 1000; i++)
        rtt_sample(&mean, &var, UINT64_MAX);
    assert_in_range(rtt_timeout_ms(mean, var), RTT_MAX_MS - 100, RTT_MAX_MS + 100);
    for (int i = 0; i < 1000; i++)
        rtt_sample(&mean, &var, 0);
    assert_in_range(rtt_timeout_ms(mean, var), 1, 8); /* measured, and next to nothing */
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(round_trips_make_timeouts)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
