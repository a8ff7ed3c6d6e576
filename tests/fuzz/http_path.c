/* Paths and authorities: what is accepted is already its own canonical form the second time, in place or not.
 */
#include "http/h1.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void path(struct bytes raw)
{
    uint8_t out[4096], again[4096];
    size_t len, len_again;
    if (raw.len > sizeof out || http_path_normalise(raw, out, &len))
        return;
    assert(len > 0 && len <= raw.len && out[0] == '/');
    enum err e = http_path_normalise(bytes_of(out, len), again, &len_again);
    assert(e == ERR_OK && bytes_eq(bytes_of(out, len), bytes_of(again, len_again)));
    memcpy(again, raw.at, raw.len);
    e = http_path_normalise(bytes_of(again, raw.len), again, &len_again);
    assert(e == ERR_OK && bytes_eq(bytes_of(out, len), bytes_of(again, len_again)));
    static const char *const never[] = {"//",  "/./", "/../", "\\",  ";", "%2e",
                                        "%2f", "%2F", "%5C",  "%00", "?", "#"};
    for (size_t i = 0; i < sizeof never / sizeof *never; i++)
        assert(!memmem(out, len, never[i], strlen(never[i])));
}

static void authority(struct bytes raw)
{
    uint8_t out[HTTP_AUTHORITY_MAX], again[HTTP_AUTHORITY_MAX];
    size_t len, len_again;
    if (http_authority_normalise(raw, out, sizeof out, &len))
        return;
    enum err e = http_authority_normalise(bytes_of(out, len), again, sizeof again, &len_again);
    assert(e == ERR_OK && bytes_eq(bytes_of(out, len), bytes_of(again, len_again)));
    assert(!memchr(out, '@', len) && !memchr(out, '/', len) && !memchr(out, 0, len));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    path(bytes_of(data, size));
    authority(bytes_of(data, size));
    return 0;
}
