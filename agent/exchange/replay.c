#include "exchange/replay.h"

#include "exchange/kept.h"

void replay_begin(struct replay *r, size_t max, atomic_size_t *all)
{
    *r = (struct replay){.max = max, .all = all, .body.max = max};
}

void replay_drop_kept(struct replay *r)
{
    r->is_spoilt |= r->body.len > 0 || r->has_trailers;
    kept_drop(&r->body, r->all);
    kept_drop(&r->trailers, r->all);
    r->at = 0;
    r->has_trailers = false;
}

/* True: these bytes were added to one of ours. */
static bool keep(struct replay *r, struct buf *to, struct bytes d)
{
    return d.len <= r->max - r->body.len - r->trailers.len && kept_add(to, d, r->all, REPLAY_ALL_MAX);
}

static void spoil(struct replay *r)
{
    replay_drop(r);
    r->is_spoilt = true;
}

void replay_data(struct replay *r, struct bytes d)
{
    if (r->is_spoilt || d.len == 0)
        return;
    if (keep(r, &r->body, d))
        r->at = r->body.len;
    else
        spoil(r);
}

void replay_trailers(struct replay *r, const struct http_head *trailers)
{
    struct buf encoded = {0};
    if (r->is_spoilt)
        return;
    r->has_trailers = mesh_trailers_encode(&encoded, trailers->header, trailers->header_count) == ERR_OK &&
                      keep(r, &r->trailers, buf_bytes(&encoded));
    if (!r->has_trailers)
        spoil(r);
    buf_fini(&encoded);
}

struct bytes replay_next(struct replay *r, size_t room)
{
    size_t left = r->body.len - r->at, n = room < left ? room : left;
    struct bytes next = bytes_of(r->body.at + r->at, n);
    r->at += n;
    return next;
}

void replay_trailers_of(const struct replay *r, struct http_head *out)
{
    *out = (struct http_head){0};
    if (mesh_trailers_decode(out, buf_bytes(&r->trailers)) != ERR_OK)
        http_head_fini(out);
}
