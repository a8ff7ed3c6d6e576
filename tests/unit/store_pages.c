/* Files that LMDB wrote are sound, whatever was done to them; and each belief about a page is checked. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>

#include "base/rng.h"
#include "store/pages.h"
#include "tests/unit/store_folder.h"

static uint8_t *image;
static size_t image_bytes;

static void load(void)
{
    struct stat st;
    int fd = open(in_folder("state.mdb"), O_RDONLY);
    assert_true(fd >= 0 && fstat(fd, &st) == 0);
    free(image);
    image_bytes = (size_t)st.st_size;
    image = malloc(image_bytes);
    assert_non_null(image);
    assert_int_equal(read(fd, image, image_bytes), image_bytes);
    close(fd);
}

static const char *flaw(void)
{
    return pages_flaw(bytes_of(image, image_bytes));
}

/* Puts, shortens, lengthens and deletes values of all sizes, so that pages split, merge, become free and are
 * used again. */
static void churn(struct store *s, struct rng *r, uint32_t writes, uint64_t *version)
{
    static uint8_t bytes[40000];
    for (uint32_t i = 0; i < writes; i++) {
        struct node_id id = node_numbered(rng_below(r, 400));
        size_t len = rng_below(r, 3) == 0 ? 0 : rng_below(r, rng_below(r, 4) == 0 ? 8192 : 700);
        if (rng_below(r, 30) == 0)
            assert_int_equal(
                store_policy_activate(s, 1, ++*version, bytes_of(bytes, rng_below(r, sizeof bytes)), 0),
                ERR_OK);
        assert_int_equal(store_member_put(s, &id, bytes_of(bytes, len), i + 1 == writes ? 1 : 0), ERR_OK);
    }
    assert_int_equal(next_outcome(s, 1), ERR_OK);
}

static void whatever_lmdb_wrote_is_sound(void **state)
{
    (void)state;
    struct rng r = rng_seeded(0x9a9e5);
    uint64_t version = 0;
    struct store *s = must_open();
    for (int round = 0; round < 150; round++) {
        churn(s, &r, 1 + rng_below(&r, 150), &version);
        load();
        if (flaw())
            print_error("round %d: %s\n", round, flaw());
        assert_null(flaw());
        if (round % 10 == 9) {
            store_close(s);
            s = must_open();
        }
    }
    store_close(s);
}

/* Each page header and node header field in turn, set to what it cannot be. */
static void a_wrong_field_is_found(void **state)
{
    (void)state;
    static uint8_t record[300];
    struct store *s = must_open();
    for (uint32_t i = 0; i < 900; i++) {
        struct node_id id = node_numbered(i);
        assert_int_equal(store_member_put(s, &id, bytes_of(record, sizeof record), 0), ERR_OK);
    }
    store_close(s);
    load();
    assert_null(flaw());
    size_t found = 0, tried = 0;
    for (size_t page = 0; page < 100; page++)
        for (size_t at = page * 4096; at < page * 4096 + 16; at++) {
            if (at % 4096 == 8 || at % 4096 == 9) /* the pad has no meaning */
                continue;
            image[at] ^= 0x40;
            found += flaw() != NULL;
            tried++;
            image[at] ^= 0x40;
        }
    /* What is not found lies on pages that are free, or in the older of the two headers. */
    assert_true(found > tried / 4);
    assert_non_null(pages_flaw(bytes_of(image, 4096)));
    assert_non_null(pages_flaw(bytes_of(image, 3 * 4096)));
    assert_non_null(pages_flaw(bytes_of(NULL, 0)));
    free(image);
    image = NULL;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FOLDER_CASE(whatever_lmdb_wrote_is_sound),
        FOLDER_CASE(a_wrong_field_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
