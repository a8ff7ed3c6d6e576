#include "store/writer.h"

#include <signal.h>
#include <stdatomic.h>
#include <time.h>

#include "store/store.h"

struct list {
    struct write *first, **end;
};

struct confirmation {
    uint64_t ticket;
    enum err outcome;
};

struct writer {
    struct env *env;
    void (*wake)(void *arg);
    void *arg;
    pthread_t thread;
    pthread_mutex_t lock; /* of everything below but health */
    pthread_cond_t work, done;
    bool stopping;
    struct list urgent, queue;
    size_t queued, pressing; /* in `queue`; how many of them cannot wait */
    int64_t not_before;      /* when what can wait is written next, monotonic ms */
    size_t open,
        queued_bytes; /* writes queued, being written, or confirmed but not polled; bytes of the first two */
    struct confirmation
        confirmed[STORE_QUEUE_MAX]; /* a ring; `open` never exceeds it, so it cannot overflow */
    size_t confirmed_at, confirmed_count;
    atomic_int health;
};

static void list_init(struct list *l)
{
    l->first = NULL;
    l->end = &l->first;
}

static void list_add(struct list *l, struct write *w)
{
    w->next = NULL;
    *l->end = w;
    l->end = &w->next;
}

static struct write *list_take(struct list *l)
{
    struct write *w = l->first;
    if (w && !(l->first = w->next))
        l->end = &l->first;
    return w;
}

/* ---- on the writer thread ---- */

static int64_t clock_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int fill_group(MDB_txn *txn, const MDB_dbi *dbi, void *arg)
{
    struct list *group = arg;
    for (struct write *w = group->first; w; w = w->next) {
        w->outcome = ERR_OK;
        int rc = w->run(txn, dbi, w);
        if (rc)
            return rc;
    }
    return 0;
}

/* All or nothing: a failure is everybody's outcome. */
static void write_group(struct writer *w, struct list *group)
{
    enum err e = env_write(w->env, fill_group, group);
    for (struct write *x = group->first; e && x; x = x->next)
        x->outcome = e;
    atomic_store(&w->health, (int)e);
}

static void take_group(struct writer *w, struct list *group)
{
    size_t count = 0, bytes = 0;
    list_init(group);
    while (w->queue.first && count < WRITER_GROUP_MAX &&
           (count == 0 || bytes + w->queue.first->value.len <= WRITER_GROUP_BYTES_MAX)) {
        struct write *next = list_take(&w->queue);
        bytes += next->value.len;
        count++;
        w->pressing -= !next->can_wait;
        list_add(group, next);
    }
    w->queued -= count;
}

static void confirm(struct writer *w, const struct write *x)
{
    assert(w->confirmed_count < STORE_QUEUE_MAX);
    size_t at = (w->confirmed_at + w->confirmed_count++) % STORE_QUEUE_MAX;
    w->confirmed[at] = (struct confirmation){x->ticket, x->outcome};
}

/* Returns whether there is something to poll. */
static bool finish_group(struct writer *w, struct list *group)
{
    bool news = false;
    for (struct write *x; (x = list_take(group));) {
        w->queued_bytes -= x->value.len;
        if (x->ticket)
            confirm(w, x);
        else
            w->open--;
        news |= x->ticket != 0;
        free(x);
    }
    return news;
}

/* The urgent one is somebody's who waits. It goes alone, so that it does not fail for another's size. */
static void do_urgent(struct writer *w)
{
    struct list one;
    struct write *x = list_take(&w->urgent);
    list_init(&one);
    list_add(&one, x);
    pthread_mutex_unlock(&w->lock);
    write_group(w, &one);
    pthread_mutex_lock(&w->lock);
    x->is_done = true;
    pthread_cond_broadcast(&w->done);
}

static void do_group(struct writer *w)
{
    struct list group;
    take_group(w, &group);
    pthread_mutex_unlock(&w->lock);
    write_group(w, &group);
    pthread_mutex_lock(&w->lock);
    w->not_before = clock_now() + WRITER_PAUSE_MS;
    if (finish_group(w, &group) && w->wake) {
        pthread_mutex_unlock(&w->lock);
        w->wake(w->arg);
        pthread_mutex_lock(&w->lock);
    }
}

static bool is_group_due(const struct writer *w)
{
    return w->pressing > 0 || w->queued >= WRITER_GROUP_MAX || w->queued_bytes >= WRITER_GROUP_BYTES_MAX ||
           w->stopping || clock_now() >= w->not_before;
}

static void wait_until(struct writer *w, int64_t ms)
{
    struct timespec at = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    pthread_cond_timedwait(&w->work, &w->lock, &at);
}

static void *run(void *arg)
{
    struct writer *w = arg;
    pthread_mutex_lock(&w->lock);
    for (;;) {
        if (w->urgent.first)
            do_urgent(w);
        else if (w->queue.first && is_group_due(w))
            do_group(w);
        else if (w->queue.first)
            wait_until(w, w->not_before);
        else if (w->stopping)
            break;
        else
            pthread_cond_wait(&w->work, &w->lock);
    }
    pthread_mutex_unlock(&w->lock);
    return NULL;
}

/* ---- on the owner's ---- */

/* Signals are the owner's: the thread starts with all of them blocked, but the one that says that the map is gone (fault.h); blocked it
 * would kill without a word. */
static int start_thread(struct writer *w)
{
    sigset_t all, before;
    sigfillset(&all);
    sigdelset(&all, SIGBUS);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int bad = pthread_create(&w->thread, NULL, run, w);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return bad;
}

/* Its waits are told by a clock that nobody sets. */
static void init_work(pthread_cond_t *work)
{
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(work, &monotonic);
    pthread_condattr_destroy(&monotonic);
}

struct writer *writer_new(struct env *env, void (*wake)(void *arg), void *arg)
{
    struct writer *w = calloc(1, sizeof *w);
    if (!w)
        return NULL;
    w->env = env;
    w->wake = wake;
    w->arg = arg;
    list_init(&w->urgent);
    list_init(&w->queue);
    pthread_mutex_init(&w->lock, NULL);
    init_work(&w->work);
    pthread_cond_init(&w->done, NULL);
    if (start_thread(w) == 0)
        return w;
    free(w);
    return NULL;
}

void writer_free(struct writer *w)
{
    if (!w)
        return;
    pthread_mutex_lock(&w->lock);
    w->stopping = true;
    pthread_cond_signal(&w->work);
    pthread_mutex_unlock(&w->lock);
    pthread_join(w->thread, NULL);
    pthread_mutex_destroy(&w->lock);
    pthread_cond_destroy(&w->work);
    pthread_cond_destroy(&w->done);
    free(w);
}

static struct write *copy_of(const struct write *what)
{
    struct write *x = malloc(sizeof *x + what->key.len + what->value.len);
    if (!x)
        return NULL;
    uint8_t *behind = (uint8_t *)(x + 1);
    *x = *what;
    x->key.at = behind;
    x->value.at = behind + what->key.len;
    if (what->key.len > 0)
        memcpy(behind, what->key.at, what->key.len);
    if (what->value.len > 0)
        memcpy(behind + what->key.len, what->value.at, what->value.len);
    return x;
}

enum err writer_queue(struct writer *w, const struct write *what)
{
    struct write *x = copy_of(what);
    if (!x)
        return ERR_NOMEM;
    pthread_mutex_lock(&w->lock);
    bool fits = w->open < STORE_QUEUE_MAX && what->value.len <= STORE_QUEUE_BYTES_MAX - w->queued_bytes;
    if (fits) {
        w->open++;
        w->queued_bytes += what->value.len;
        w->queued++;
        w->pressing += !what->can_wait;
        list_add(&w->queue, x);
        if (w->queued == 1 || is_group_due(w)) /* else it is waiting for its time already */
            pthread_cond_signal(&w->work);
    }
    pthread_mutex_unlock(&w->lock);
    if (!fits)
        free(x);
    return fits ? ERR_OK : ERR_FULL;
}

enum err writer_run(struct writer *w, struct write *what)
{
    what->is_done = false;
    pthread_mutex_lock(&w->lock);
    list_add(&w->urgent, what);
    pthread_cond_signal(&w->work);
    while (!what->is_done)
        pthread_cond_wait(&w->done, &w->lock);
    pthread_mutex_unlock(&w->lock);
    return what->outcome;
}

bool writer_poll_done(struct writer *w, uint64_t *ticket, enum err *outcome)
{
    pthread_mutex_lock(&w->lock);
    bool any = w->confirmed_count > 0;
    if (any) {
        *ticket = w->confirmed[w->confirmed_at].ticket;
        *outcome = w->confirmed[w->confirmed_at].outcome;
        w->confirmed_at = (w->confirmed_at + 1) % STORE_QUEUE_MAX;
        w->confirmed_count--;
        w->open--;
    }
    pthread_mutex_unlock(&w->lock);
    return any;
}

enum err writer_health(const struct writer *w)
{
    return (enum err)atomic_load(&w->health);
}
