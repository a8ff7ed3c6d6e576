/* All workers, as the control loop sees them: started, given views, drained, joined. */
#include <signal.h>
#include <unistd.h>

#include "noise/prim.h"
#include "observe/log.h"
#include "worker/run.h"

static void *thread_main(void *arg)
{
    struct worker *w = arg;
    net_loop_run(w->loop);
    return NULL;
}

static unsigned core_count(void)
{
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n > 0 && n < 256 ? (unsigned)n : 1;
}

/* Signals are the control loop's: a worker's thread is born with all of them blocked. */
static enum err start_threads(struct workers *all)
{
    sigset_t every, before;
    enum err e = ERR_OK;
    sigfillset(&every);
    pthread_sigmask(SIG_BLOCK, &every, &before);
    for (unsigned i = 0; i < all->count && !e; i++) {
        struct worker *w = &all->worker[i];
        w->has_thread = pthread_create(&w->thread, NULL, thread_main, w) == 0;
        e = w->has_thread ? ERR_OK : ERR_FULL;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return e;
}

enum err workers_start(struct workers **out, const struct worker_config *config, struct view *view,
                       struct buf *why)
{
    struct workers *all = calloc(1, sizeof *all);
    struct shorthash_key key;
    enum err e = ERR_NOMEM;
    if (!all)
        return ERR_NOMEM;
    all->config = *config;
    unsigned count = config->count ? config->count : core_count();
    all->worker = calloc(count, sizeof *all->worker);
    prim_random(key.b, sizeof key.b);
    all->shared = traffic_shared_new(&key);
    if (!all->worker || !all->shared)
        goto free_all;
    for (; all->count < count; all->count++) {
        e = worker_init(&all->worker[all->count], all, all->count, view, why);
        if (e) {
            worker_fini(&all->worker[all->count]);
            goto free_all;
        }
    }
    e = start_threads(all);
    if (e) {
        buf_addf(why, "cannot start %u threads", count);
        goto free_all;
    }
    *out = all;
    return ERR_OK;
free_all:
    workers_free(all);
    return e;
}

struct view_note {
    struct worker *w;
    struct view *view;
};

static void take_view(void *arg)
{
    struct view_note *n = arg;
    struct view *before = n->w->view;
    n->w->view = n->view;
    links_judge(n->w, before->trust != n->view->trust);
    flows_judge(n->w, before->policy);
    if (n->w->index == 0) /* once for all */
        traffic_shared_judge(n->w->all->shared, before, n->view, worker_now(n->w));
    traffic_judge(n->w->traffic, n->view, worker_now(n->w));
    view_unref(before);
    free(n);
}

void workers_publish(struct workers *all, struct view *view)
{
    for (unsigned i = 0; i < all->count; i++) {
        struct view_note *n = malloc(sizeof *n);
        if (!n) {
            log_error("worker", "no memory to publish a view; the next one will do");
            return;
        }
        *n = (struct view_note){&all->worker[i], view_ref(view)};
        if (net_post(all->worker[i].loop, take_view, n) != ERR_OK) {
            view_unref(view);
            free(n);
        }
    }
}

void workers_drain(struct workers *all, void (*done)(void *arg), void *arg)
{
    all->drain_done = done;
    all->drain_arg = arg;
    atomic_store(&all->draining, all->count);
    for (unsigned i = 0; i < all->count; i++)
        if (net_post(all->worker[i].loop, worker_drain, &all->worker[i]) != ERR_OK)
            atomic_fetch_sub(&all->draining, 1); /* it will be cut by workers_free() */
}

static void stop(void *arg)
{
    net_loop_stop(((struct worker *)arg)->loop);
}

struct traffic_shared *workers_traffic(const struct workers *all)
{
    return all->shared;
}

void workers_free(struct workers *all)
{
    if (!all)
        return;
    for (unsigned i = 0; i < all->count; i++)
        while (all->worker[i].has_thread && net_post(all->worker[i].loop, stop, &all->worker[i]) != ERR_OK)
            sched_yield(); /* nothing but memory for one note is missing, and the threads must be joined */
    for (unsigned i = 0; i < all->count; i++)
        if (all->worker[i].has_thread)
            pthread_join(all->worker[i].thread, NULL);
    for (unsigned i = 0; i < all->count; i++)
        worker_fini(&all->worker[i]);
    free(all->worker);
    traffic_shared_free(all->shared);
    free(all);
}

size_t workers_metrics(struct workers *all, struct metrics **sets, size_t cap)
{
    size_t n = 0;
    for (; n < all->count && n < cap; n++)
        sets[n] = all->worker[n].metrics;
    return n;
}

struct record_count workers_count(const struct workers *all, const struct bundle_id *policy)
{
    struct tally_sum sum = {.requests = 0};
    for (size_t i = 0; i < all->count; i++)
        tally_add(&sum, &all->worker[i].tally, policy);
    return tally_count(&sum);
}
