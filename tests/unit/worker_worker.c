/* The buffers that a worker lends to its connections. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "worker/internal.h"

static int set_up(void **state)
{
    *state = calloc(1, sizeof(struct worker));
    return *state ? 0 : -1;
}
static int tear_down(void **state)
{
    free(*state);
    return 0;
}

static void a_spare_buffer_is_lent_again(void **state)
{
    struct worker *w = *state;
    struct buf first = {0}, second = {0};
    worker_out(w, &first); /* there is none yet */
    buf_add_str(&first, "said");
    const uint8_t *at = first.at;
    worker_buf_return(w, &first);
    worker_out(w, &second);
    assert_ptr_equal(second.at, at);
    assert_int_equal(second.len, 0);
    buf_fini(&second);
}

/* A head that cannot be written leaves nothing behind but this: else the body that follows would be read as a message. */
static void what_failed_before_it_had_a_buffer_stays_failed(void **state)
{
    struct worker *w = *state;
    struct buf out = {.failed = true};
    worker_out(w, &out);
    assert_false(buf_ok(&out));
    buf_add_str(&out, "HTTP/1.1 200 OK\r\n");
    assert_int_equal(out.len, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_spare_buffer_is_lent_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_failed_before_it_had_a_buffer_stays_failed, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
