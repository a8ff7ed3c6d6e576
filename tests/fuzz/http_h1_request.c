/* Requests: however the input is cut the reader says the same, and each accepted message survives the writer
 * unchanged. */
#include "../unit/http_roundtrip.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    struct bytes raw = bytes_of(data + 1, size - 1);
    struct h1_reader *whole = h1_reader_new(H1_REQUESTS, NULL), *cut = h1_reader_new(H1_REQUESTS, NULL);
    struct buf a = transcript_of(whole, raw, 0, 0), b = transcript_of(cut, raw, 1 + data[0] % 16, 0);
    if (strcmp(buf_str(&a), buf_str(&b)) != 0)
        abort();
    buf_fini(&a);
    buf_fini(&b);
    h1_reader_free(whole);
    h1_reader_free(cut);
    roundtrip(H1_REQUESTS, NULL, raw);
    return 0;
}
