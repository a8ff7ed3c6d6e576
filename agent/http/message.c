#include "http/message.h"

#include "http/grammar.h"

/* The header array is most of a head and only its first header_count entries mean anything: it is never
 * cleared. */
void http_head_fini(struct http_head *h)
{
    buf_fini(&h->text);
    memset(h, 0, offsetof(struct http_head, header));
}

static size_t text_len(const struct http_head *h)
{
    size_t n = h->method.len + h->authority.len + h->path.len + h->query.len;
    for (size_t i = 0; i < h->header_count; i++)
        n += h->header[i].name.len + h->header[i].value.len;
    return n;
}

/* There is room. An empty slice that is one (a query that is there) stays one. */
static struct bytes copy_slice(struct buf *to, struct bytes from)
{
    uint8_t *at = to->at + to->len;
    buf_add_bytes(to, from);
    return from.at ? bytes_of(at, from.len) : from;
}

enum err http_head_copy(struct http_head *out, const struct http_head *h)
{
    memcpy(out, h, offsetof(struct http_head, header));
    out->text = (struct buf){0};
    if (!buf_reserve(&out->text, text_len(h) + 1)) {
        http_head_fini(out);
        return ERR_NOMEM;
    }
    out->method = copy_slice(&out->text, h->method);
    out->authority = copy_slice(&out->text, h->authority);
    out->path = copy_slice(&out->text, h->path);
    out->query = copy_slice(&out->text, h->query);
    for (size_t i = 0; i < h->header_count; i++)
        out->header[i] = (struct http_header){copy_slice(&out->text, h->header[i].name),
                                              copy_slice(&out->text, h->header[i].value)};
    return ERR_OK;
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
