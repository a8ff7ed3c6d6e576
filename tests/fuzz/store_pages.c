/* The look at a damaged state file, with a good one as the start: the input is a list of be16 offset, u8
 * value to change in its first 64 KiB. Whatever comes out, nothing outside of the image is read. */
#include <fcntl.h>
#include <unistd.h>

#include "base/rng.h"
#include "store/pages.h"
#include "store/store.h"

enum { IMAGE_BYTES = 256 * 1024, REACH = 64 * 1024 };
static uint8_t good[IMAGE_BYTES];

static void make_good(void)
{
    char dir[] = "/tmp/starling-fuzz-XXXXXX", file[64];
    struct store *s;
    struct buf why = {0};
    struct rng r = rng_seeded(1);
    if (!mkdtemp(dir) || store_open(&s, dir, NULL, NULL, &why))
        abort();
    for (int i = 0; i < 60; i++) {
        struct node_id id;
        for (size_t j = 0; j < sizeof id.b; j++)
            id.b[j] = (uint8_t)rng_u64(&r);
        if (store_member_put(s, &id, bytes_of(good, i % 20 == 0 ? 6000 : 300), 0))
            abort();
    }
    store_close(s);
    snprintf(file, sizeof file, "%s/state.mdb", dir);
    int fd = open(file, O_RDONLY);
    if (read(fd, good, sizeof good) != (ssize_t)sizeof good || pages_flaw(bytes_of(good, sizeof good)))
        abort();
    close(fd);
    unlink(file);
    snprintf(file, sizeof file, "%s/state.mdb-lock", dir);
    unlink(file);
    snprintf(file, sizeof file, "%s/lock", dir);
    unlink(file);
    rmdir(dir);
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    static uint8_t *image; /* on the heap, where reading past its end is seen */
    if (!image) {
        make_good();
        image = malloc(IMAGE_BYTES);
        if (!image)
            abort();
    }
    memcpy(image, good, IMAGE_BYTES);
    for (; len >= 3; at += 3, len -= 3)
        image[load_be16(at) % REACH] = at[2];
    (void)pages_flaw(bytes_of(image, IMAGE_BYTES));
    return 0;
}
