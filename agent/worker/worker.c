/* One worker's loop: the turn, what is marked, what dies, output buffers, drain. */
#include <assert.h>

#include "observe/log.h"
#include "worker/run.h"

/* --- marking ------------------------------------------------------------------------------- */

void worker_pump(struct worker *w, struct task *t)
{
    if (!t->node.next)
        list_append(&w->pump, &t->node);
}

void worker_flush(struct worker *w, struct task *t)
{
    if (!t->node.next)
        list_append(&w->flush, &t->node);
}

void worker_bury(struct worker *w, struct grave *g)
{
    assert(!g->node.next);
    list_append(&w->graves, &g->node);
}

static void run_all(struct list *tasks)
{
    while (!list_is_empty(tasks)) {
        struct task *t = list_entry(tasks->head.next, struct task, node);
        list_remove(&t->node);
        t->run(t);
    }
}

/* --- output buffers ------------------------------------------------------------------------ */

struct buf worker_buf(struct worker *w)
{
    if (w->spare_buf_count == 0)
        return (struct buf){0};
    struct buf b = w->spare_buf[--w->spare_buf_count];
    w->spare_buf_bytes -= b.cap;
    return b;
}

void worker_out(struct worker *w, struct buf *out)
{
    if (!out->at && !out->failed)
        *out = worker_buf(w);
}

void worker_buf_return(struct worker *w, struct buf *b)
{
    if (b->at && w->spare_buf_count < SPARE_BUFS_MAX && w->spare_buf_bytes + b->cap <= SPARE_BUF_BYTES_MAX) {
        w->spare_buf[w->spare_buf_count++] = (struct buf){.at = b->at, .cap = b->cap};
        w->spare_buf_bytes += b->cap;
    } else {
        free(b->at);
    }
    *b = (struct buf){0};
}

void worker_write(struct worker *w, struct net_conn *c, struct buf *out)
{
    if (out->len > 0)
        net_conn_write_take(c, out);
    worker_buf_return(w, out);
}

/* --- clients' connections ------------------------------------------------------------------ */

void front_enlist(struct worker *w, struct front *f)
{
    list_append(&w->fronts, &f->in_worker);
    w->front_count++;
}

void front_delist(struct worker *w, struct front *f)
{
    list_remove(&f->in_worker);
    w->front_count--;
}

void fronts_drain(struct worker *w)
{
    list_each_safe (struct front, f, &w->fronts, in_worker)
        f->drain(f);
}

void fronts_free_all(struct worker *w)
{
    list_each_safe (struct front, f, &w->fronts, in_worker)
        f->kill(f);
}

/* --- drain --------------------------------------------------------------------------------- */

void worker_drain(void *arg)
{
    struct worker *w = arg;
    w->draining = true;
    w->drain_by = worker_now(w) + w->all->config.drain_ms;
    listeners_close(w);
    fronts_drain(w);
    links_goaway(w);
}

static void end_drain(struct worker *w)
{
    struct workers *all = w->all;
    w->drained = true;
    if (w->flow_count > 0)
        log_warn("worker", "%zu requests were still in flight when the time to drain was over",
                 w->flow_count);
    fronts_free_all(w);
    links_free_all(w);
    pools_free_all(w);
    flow_news(w);
    if (atomic_fetch_sub(&all->draining, 1) == 1 && all->drain_done &&
        net_post(all->config.control, all->drain_done, all->drain_arg) != ERR_OK)
        log_error("worker", "no memory to say that the drain is over");
}

static void drain_if_done(struct worker *w)
{
    bool quiet = w->flow_count == 0 && links_are_quiet(w);
    if (w->draining && !w->drained && (quiet || worker_now(w) >= w->drain_by))
        end_drain(w);
}

/* --- the turn ------------------------------------------------------------------------------ */

static void bury_all(struct worker *w)
{
    while (!list_is_empty(&w->graves)) {
        struct grave *g = list_entry(w->graves.head.next, struct grave, node);
        list_remove(&g->node);
        g->bury(g);
    }
}

static bool has_work(const struct worker *w)
{
    return !list_is_empty(&w->pump) || !list_is_empty(&w->news) || !list_is_empty(&w->flush);
}

void worker_turn(void *arg, mono_ms now)
{
    struct worker *w = arg;
    wheel_turn(&w->wheel, now);
    while (has_work(w)) {
        /* Output is written when nothing is left to be said: all streams of a link in one record. */
        run_all(&w->pump);
        flow_news(w);
        if (list_is_empty(&w->pump))
            run_all(&w->flush);
    }
    observe_panics(w);
    drain_if_done(w);
    bury_all(w);
    net_loop_deadline(w->loop,
                      mono_min(wheel_deadline(&w->wheel), w->draining && !w->drained ? w->drain_by : NEVER));
}

/* --- life ---------------------------------------------------------------------------------- */

static void init_lists(struct worker *w)
{
    struct list *lists[] = {&w->pump,   &w->flush,       &w->graves,       &w->news,
                            &w->fronts, &w->flows,       &w->links,        &w->handshakes,
                            &w->pools,  &w->spare_flows, &w->spare_streams};
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        list_init(lists[i]);
    peers_init(w);
}

enum err worker_init(struct worker *w, struct workers *all, unsigned index, struct view *view,
                     struct buf *why)
{
    uint64_t seed = net_clock_us() * 1000003u + index;
    *w = (struct worker){.all = all, .index = index, .rng = rng_seeded(seed)};
    init_lists(w);
    w->traffic = traffic_new(all->shared, rng_u64(&w->rng));
    w->source_seed = rng_u64(&w->rng) | 1;
    w->metrics = metrics_new();
    if (!w->traffic || !w->metrics)
        return ERR_NOMEM;
    observe_init(w);
    enum err e = net_loop_new(&w->loop, worker_turn, w);
    if (e)
        return e;
    wheel_init(&w->wheel, worker_now(w));
    w->view = view_ref(view);
    return listeners_open(w, why);
}

void worker_fini(struct worker *w)
{
    if (w->loop) {
        listeners_close(w);
        fronts_free_all(w);
        links_free_all(w);
        pools_free_all(w);
        flows_free_all(w);
        bury_all(w);
        streams_free_spare(w);
        net_loop_free(w->loop);
        peers_free(w);
    }
    if (w->metrics)
        observe_fini(w);
    if (w->view)
        view_unref(w->view);
    for (size_t i = 0; i < w->spare_buf_count; i++)
        free(w->spare_buf[i].at);
    traffic_free(w->traffic);
    metrics_free(w->metrics);
}
