/* Responses to a GET, a HEAD, a client that waits for 100, and one that wants to upgrade: as
 * http_h1_request.c. Never more than one response for one request. */
#include "../unit/http_roundtrip.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    struct bytes raw = bytes_of(data + 1, size - 1);
    static struct http_head request;
    request.method = bytes_str(data[0] & 1 ? "HEAD" : "GET");
    request.expect_continue = data[0] & 2;
    request.upgrade = bytes_str(data[0] & 4 ? "websocket" : "");
    struct h1_reader *whole = h1_reader_new(H1_RESPONSES, NULL), *cut = h1_reader_new(H1_RESPONSES, NULL);
    h1_reader_expect(whole, &request);
    h1_reader_expect(cut, &request);
    struct buf a = transcript_of(whole, raw, 0, 0), b = transcript_of(cut, raw, 1 + (data[0] >> 4), 0);
    if (strcmp(buf_str(&a), buf_str(&b)) != 0)
        abort();
    buf_fini(&a);
    buf_fini(&b);
    h1_reader_free(whole);
    h1_reader_free(cut);
    size_t messages = roundtrip(H1_RESPONSES, &request, raw);
    assert(messages <= 1);
    return 0;
}
