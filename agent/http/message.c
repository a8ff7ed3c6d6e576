#include "http/message.h"

#include "http/grammar.h"

/* The header array is most of a head and only its first header_count entries mean anything: it is never
 * cleared. */
void http_head_fini(struct http_head *h)
{
    buf_fini(&h->text);
    memset(h, 0, offsetof(struct http_head, header));
}

const struct http_header *http_head_find(const struct http_head *h, const char *name)
{
    struct bytes want = bytes_str(name);
    for (size_t i = 0; i < h->header_count; i++)
        if (bytes_eq(h->header[i].name, want))
            return &h->header[i];
    return NULL;
}

void http_strip_edge_headers(struct http_head *h)
{
    size_t kept = 0;
    for (size_t i = 0; i < h->header_count; i++)
        if (!grammar_is_edge_name(h->header[i].name))
            h->header[kept++] = h->header[i];
    h->header_count = kept;
}
