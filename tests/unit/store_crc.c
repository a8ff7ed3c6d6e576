/* The checksum against its published check value, and what it must find. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "store/crc.h"

static void the_published_check_value(void **state)
{
    (void)state;
    assert_true(crc64(0, bytes_str("123456789")) == 0x995DC9BBDF1939FAu);
    assert_true(crc64(0, bytes_str("")) == 0);
    assert_true(crc64(crc64(0, bytes_str("1234")), bytes_str("56789")) == 0x995DC9BBDF1939FAu);
}

static void every_flipped_bit_and_pair_of_neighbours_is_found(void **state)
{
    (void)state;
    uint8_t b[64] = "a record that lies on a disk which forgets a bit now and then";
    uint64_t right = crc64(0, bytes_of(b, sizeof b));
    for (unsigned bit = 0; bit + 1 < sizeof b * 8; bit++) {
        b[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_true(crc64(0, bytes_of(b, sizeof b)) != right);
        b[(bit + 1) / 8] ^= (uint8_t)(1u << (bit + 1) % 8);
        assert_true(crc64(0, bytes_of(b, sizeof b)) != right);
        b[bit / 8] ^= (uint8_t)(1u << bit % 8);
        b[(bit + 1) / 8] ^= (uint8_t)(1u << (bit + 1) % 8);
    }
    assert_true(crc64(0, bytes_of(b, sizeof b)) == right);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_published_check_value),
        cmocka_unit_test(every_flipped_bit_and_pair_of_neighbours_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
