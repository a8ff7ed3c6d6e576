/* Copies of requests (`mirror`): a front side without a client, which says to a flow of its own what it has heard of another's front.
 *
 *   client ─► front_http ─► exchange ─► the service that was asked
 *                              │ tap
 *                              └─► mirror ─► exchange ─► the service that gets copies; its answer is thrown away
 *
 * The copy never holds up the request: what its receiver has not taken waits here, up to MIRROR_BYTES_MAX and MIRROR_ALL_MAX, and beyond
 * that the copy is dropped. It lives as long as its exchange does, and that as long as its own timeouts say. */
#include "exchange/kept.h"
#include "worker/internal.h"

#define OUTCOME_LIST(X)                                                                                      \
    X(ANSWERED, "answered") /* by the application, whatever it said */                                       \
    X(DENIED, "denied")     /* the caller may not call that service so */                                    \
    X(FAILED, "failed")     /* no instance, or it could not be reached, or not in time */                    \
    X(BEHIND, "behind")     /* its receiver was too slow for the request's body */                           \
    X(CUT, "cut")           /* the request itself ended before all of it was said */                         \
    X(FULL,                                                                                                  \
      "full") /* too many copies are under way, or too much waits of them, or no memory: none was made, or it was dropped */
enum outcome {
#define X(name, text) OUTCOME_##name,
    OUTCOME_LIST(X)
#undef X
};
static const char *const outcome_text[] = {
#define X(name, text) text,
    OUTCOME_LIST(X)
#undef X
};

struct mirror {
    struct side side;
    struct tap tap;
    struct exchange *source; /* that the tap is in; NULL: it has said all, or is over */
    struct worker *w;
    char service[SERVICE_NAME_MAX + 1];
    struct buf pending;
    struct http_head *trailers;
    struct task pump;
    struct grave grave;
    enum outcome outcome;
    bool said_all, is_cut, is_behind, is_full, told_end, dead;
};

static struct mirror *of_side(const struct side *s)
{
    return list_entry((struct side *)s, struct mirror, side);
}

static struct mirror *of_tap(struct tap *t)
{
    return list_entry(t, struct mirror, tap);
}

static atomic_size_t *waiting(const struct mirror *m)
{
    return &m->w->all->shared->mirror_bytes;
}

static void count(struct worker *w, const char *service, enum outcome o)
{
    struct metric_label labels[] = {{"service", bytes_str(service)}, {"outcome", bytes_str(outcome_text[o])}};
    metric_add(metric_counter(w->metrics, "starling_mirrored_total",
                              "Copies of requests, by the service that was to get them.", labels, 2),
               1);
}

/* --- life ---------------------------------------------------------------------------------- */

static void bury_mirror(struct grave *g)
{
    struct mirror *m = list_entry(g, struct mirror, grave);
    kept_drop(&m->pending, waiting(m));
    if (m->trailers)
        http_head_fini(m->trailers);
    free(m->trailers);
    free(m);
}

static void leave_source(struct mirror *m)
{
    if (m->source)
        m->source->tap = NULL;
    m->source = NULL;
}

static void die(struct mirror *m)
{
    if (m->dead)
        return;
    m->dead = true;
    leave_source(m);
    count(m->w, m->service, m->outcome);
    list_remove(&m->pump.node);
    m->w->mirror_count--;
    worker_bury(m->w, &m->grave);
}

static void end_as(struct mirror *m, enum outcome o)
{
    m->outcome = o;
    die(m);
}

/* --- the tap: what the request says -------------------------------------------------------- */

static void tap_data(struct tap *t, struct bytes d)
{
    struct mirror *m = of_tap(t);
    m->is_behind = m->pending.len + d.len > MIRROR_BYTES_MAX;
    m->is_full = !m->is_behind && !kept_add(&m->pending, d, waiting(m), MIRROR_ALL_MAX);
    if (m->is_behind || m->is_full)
        leave_source(m);
    worker_pump(m->w, &m->pump);
}

static void tap_end(struct tap *t, const struct http_head *trailers)
{
    struct mirror *m = of_tap(t);
    m->source = NULL;
    m->said_all = true;
    if (trailers &&
        (!(m->trailers = calloc(1, sizeof *m->trailers)) || http_head_copy(m->trailers, trailers)))
        m->is_full = true;
    worker_pump(m->w, &m->pump);
}

static void tap_cut(struct tap *t)
{
    struct mirror *m = of_tap(t);
    m->source = NULL;
    m->is_cut = true;
    worker_pump(m->w, &m->pump);
}

static const struct tap_ops tap_ops = {tap_data, tap_end, tap_cut};

/* --- the side: nobody listens to the answer ------------------------------------------------ */

static size_t room(const struct side *s)
{
    (void)s;
    return SINK_BYTES_MAX;
}

static void answer_head(struct side *s, const struct http_head *h, const struct mesh_verdict *v)
{
    struct mirror *m = of_side(s);
    bool refused = v && v->refused;
    if (refused && exchange_flag_of(v->flag) == FLAG_UAEX)
        m->outcome = OUTCOME_DENIED;
    else if (!refused && h && h->status >= 200)
        m->outcome = OUTCOME_ANSWERED;
}

static void answer_data(struct side *s, struct bytes d)
{
    (void)s, (void)d;
}

static void answer_end(struct side *s, const struct http_head *trailers)
{
    (void)s, (void)trailers;
}

static void resume(struct side *s)
{
    struct mirror *m = of_side(s);
    worker_pump(m->w, &m->pump);
}

static void finish(struct side *s, bool clean)
{
    (void)clean;
    die(of_side(s));
}

static const struct side_ops side_ops = {room, answer_head, answer_data, answer_end, resume, finish};

static void drop(struct mirror *m, enum outcome o)
{
    exchange_lost(m->side.x, FROM_FRONT, LOSS_CUT, worker_now_us(m->w));
    end_as(m, o);
}

/* Without a back side there is nobody who could be told trailers: they wait for one, as bytes do. */
static bool may_end(const struct mirror *m)
{
    return m->said_all && !m->told_end && (!m->trailers || exchange_room(m->side.x, FROM_FRONT) > 0);
}

static void pass_on(struct mirror *m)
{
    while (m->side.x && m->pending.len > 0) {
        size_t n = exchange_room(m->side.x, FROM_FRONT);
        n = n < m->pending.len ? n : m->pending.len;
        if (n == 0)
            return;
        exchange_data(m->side.x, FROM_FRONT, bytes_of(m->pending.at, n));
        buf_consume(&m->pending, n);
    }
    if (m->pending.len == 0)
        kept_drop(&m->pending, waiting(m));
    if (m->side.x && may_end(m)) {
        m->told_end = true;
        exchange_end(m->side.x, FROM_FRONT, m->trailers, worker_now_us(m->w));
    }
}

static void pump(struct task *t)
{
    struct mirror *m = list_entry(t, struct mirror, pump);
    if (m->dead || !m->side.x)
        return;
    if (m->is_behind || m->is_full)
        drop(m, m->is_behind ? OUTCOME_BEHIND : OUTCOME_FULL);
    else if (m->is_cut)
        drop(m, OUTCOME_CUT);
    else
        pass_on(m);
}

/* --- beginning ----------------------------------------------------------------------------- */

static struct mirror *mirror_new(struct worker *w, const char *service)
{
    struct mirror *m = w->mirror_count < MIRRORS_MAX && !w->draining ? calloc(1, sizeof *m) : NULL;
    if (!m)
        return NULL;
    m->side.ops = &side_ops;
    m->tap.ops = &tap_ops;
    m->pending.max = MIRROR_BYTES_MAX;
    m->w = w;
    m->outcome = OUTCOME_FAILED;
    m->pump.run = pump;
    m->grave.bury = bury_mirror;
    snprintf(m->service, sizeof m->service, "%s", service);
    w->mirror_count++;
    return m;
}

/* Asked as the request was, but for whom: so by the intention of the same caller, believed for the same reason. */
static bool start(struct mirror *m, struct exchange *source)
{
    struct http_head h; /* 3 KiB, written as far as needed */
    struct exchange_ask ask = {.protocol = PROTOCOL_HTTP,
                               .caller = bytes_str(source->caller),
                               .service = bytes_str(m->service),
                               .hops = source->hops,
                               .mirrored = true,
                               .vouch = own_credential(m->w)};
    if (http_head_copy(&h, &source->request))
        return false;
    h.expect_continue = false; /* its body comes whether it is wanted or not */
    struct flow *f = flow_new(m->w, EXCHANGE_NEAR, &m->side);
    if (f)
        flow_start(f, &ask, &h);
    http_head_fini(&h);
    return f != NULL;
}

static void listen_to(struct mirror *m, struct exchange *source)
{
    m->said_all = source->ended[FROM_FRONT]; /* before anybody could take a byte: there is no body */
    if (m->said_all) {
        worker_pump(m->w, &m->pump);
        return;
    }
    m->source = source;
    source->tap = &m->tap;
}

void mirror_begin(struct flow *f)
{
    struct exchange *source = &f->x;
    const char *service = policy_service_name(source->mirror_to);
    struct mirror *m = mirror_new(f->w, service);
    source->mirror_to = NULL;
    if (!m)
        count(f->w, service, OUTCOME_FULL);
    else if (!start(m, source))
        end_as(m, OUTCOME_FULL);
    else if (!m->dead) /* refused at once */
        listen_to(m, source);
}
