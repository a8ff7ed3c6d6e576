#include "exchange/replay.h"

void replay_begin(struct replay *r, size_t max, atomic_size_t *all)
{
    *r = (struct replay){.max = max, .all = all};
}

static void give_back(struct replay *r)
{
    size_t kept = r->body.len + r->trailers.len;
    if (kept > 0)
        atomic_fetch_sub_explicit(r->all, kept, memory_order_relaxed);
    buf_fini(&r->body);
    buf_fini(&r->trailers);
}

void replay_drop(struct replay *r)
{
    r->is_spoilt |= r->body.len > 0 || r->has_trailers;
    give_back(r);
    r->max = r->at = 0;
    r->has_trailers = false;
}

/* True: so many bytes more are counted, and may be kept. */
static bool reserve(struct replay *r, size_t more)
{
    if (r->is_spoilt || more > r->max - r->body.len - r->trailers.len)
        return false;
    if (atomic_fetch_add_explicit(r->all, more, memory_order_relaxed) + more <= REPLAY_ALL_MAX)
        return true;
    atomic_fetch_sub_explicit(r->all, more, memory_order_relaxed);
    return false;
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
    if (!reserve(r, d.len)) {
        spoil(r);
        return;
    }
    buf_add_bytes(&r->body, d);
    if (!buf_ok(&r->body)) {
        atomic_fetch_sub_explicit(r->all, d.len, memory_order_relaxed);
        spoil(r);
        return;
    }
    r->at = r->body.len;
}

void replay_trailers(struct replay *r, const struct http_head *trailers)
{
    struct buf encoded = {0};
    if (r->is_spoilt)
        return;
    if (r->max == 0 || mesh_trailers_encode(&encoded, trailers->header, trailers->header_count) != ERR_OK ||
        !reserve(r, encoded.len)) {
        buf_fini(&encoded);
        spoil(r);
        return;
    }
    r->trailers = encoded;
    r->has_trailers = true;
}

struct bytes replay_next(struct replay *r, size_t room)
{
    size_t left = r->body.len - r->at, n = room < left ? room : left;
    struct bytes next = bytes_of(r->body.at + r->at, n);
    r->at += n;
    return next;
}

bool replay_trailers_of(const struct replay *r, struct http_head *out)
{
    *out = (struct http_head){0};
    if (r->has_trailers && mesh_trailers_decode(out, buf_bytes(&r->trailers)) != ERR_OK)
        http_head_fini(out);
    return r->has_trailers;
}
