#include "exchange/edit.h"

#include "exchange/decide.h"

static bool is_dropped(const struct policy_header_edit *e, struct bytes name)
{
    for (size_t i = 0; i < e->remove_count; i++)
        if (bytes_eq(e->remove[i], name))
            return true;
    for (size_t i = 0; i < e->set_count; i++)
        if (bytes_eq(e->set[i].name, name))
            return true;
    return false;
}

/* All lines of a name that is removed or set go; one line for each that is set comes behind what is left. */
static enum err edit_headers(struct http_head *to, const struct policy_header_edit *e,
                             const struct http_head *from)
{
    size_t n = 0;
    for (size_t i = 0; i < from->header_count; i++)
        if (!is_dropped(e, from->header[i].name))
            to->header[n++] = from->header[i];
    to->header_count = n;
    if (n + e->set_count > HTTP_HEADERS_MAX)
        return ERR_LIMIT;
    for (size_t i = 0; i < e->set_count; i++)
        to->header[n++] = (struct http_header){e->set[i].name, e->set[i].value};
    to->header_count = n;
    return ERR_OK;
}

static void begin(struct edited *out, const struct http_head *from)
{
    memcpy(&out->head, from, offsetof(struct http_head, header));
    out->head.text = out->path = (struct buf){0};
}

enum err edit_request(struct edited *out, const struct policy_service *s, const struct policy_route *r,
                      struct bytes caller, const struct http_head *request)
{
    begin(out, request);
    if (r->rewrite_prefix) {
        struct policy_header space[HTTP_HEADERS_MAX];
        struct policy_request rq = decide_request(caller, request, space);
        policy_route_rewrite(s, r, &rq, &out->path);
        if (!buf_ok(&out->path))
            return ERR_NOMEM;
        out->head.path = buf_bytes(&out->path);
    }
    return edit_headers(&out->head, &r->request_headers, request);
}

enum err edit_response(struct edited *out, const struct policy_route *r, const struct http_head *response)
{
    begin(out, response);
    return edit_headers(&out->head, &r->response_headers, response);
}

void edited_fini(struct edited *e)
{
    buf_fini(&e->path);
}
