#include "sim/capture.h"

#include <stdlib.h>

#include "sim/must.h"

enum { RECORDED_MAX = 1 << 20 };

struct recorded {
    uint32_t from, to;
    enum gossip_lane lane;
    size_t at, len; /* in `bytes` */
};

struct capture {
    bool is_on;
    struct recorded *list;
    size_t count, cap;
    struct buf bytes;
};

void capture_free(struct capture *c)
{
    if (!c)
        return;
    free(c->list);
    buf_fini(&c->bytes);
    free(c);
}

void capture_start(struct world *w)
{
    capture_free(w->capture);
    w->capture = must_zeros(1, sizeof *w->capture);
    w->capture->is_on = true;
}

void capture_stop(struct world *w)
{
    w->capture->is_on = false;
}

void capture_hears(struct world *w, uint32_t from, uint32_t to, enum gossip_lane lane, struct bytes msg)
{
    struct capture *c = w->capture;
    if (!c || !c->is_on || to >= w->config.hosts || c->count == RECORDED_MAX)
        return;
    if (c->count == c->cap) {
        c->cap = c->cap ? 2 * c->cap : 1024;
        c->list = must(realloc(c->list, c->cap * sizeof *c->list));
    }
    c->list[c->count++] = (struct recorded){from, to, lane, c->bytes.len, msg.len};
    buf_add_bytes(&c->bytes, msg);
}

size_t capture_replay(struct world *w, size_t count, mono_us lasts, bool is_shuffled)
{
    struct capture *c = w->capture;
    if (c->count == 0)
        return 0;
    count = is_shuffled || count < c->count ? count : c->count;
    mono_us step = lasts / count;
    for (size_t i = 0; i < count && world_is_well(w); i++) {
        const struct recorded *r = &c->list[is_shuffled ? rng_below(&w->rng, (uint32_t)c->count) : i];
        if (host_is_running(&w->host[r->to]))
            world_inject(w, r->from, false, r->to, r->lane, bytes_of(c->bytes.at + r->at, r->len));
        world_run(w, step);
    }
    return count;
}
