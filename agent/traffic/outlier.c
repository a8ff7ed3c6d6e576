#include "traffic/outlier.h"

#include "traffic/keyed.h"

/* An endpoint's standing is one word, so that one compare-and-swap moves it:
 *
 *   phase 2 | times ejected 14 | since or until, ms 48
 *
 * A neutral slot is all zeros. */
enum phase { PHASE_IN, PHASE_OUT, PHASE_PROBING };
enum { TIMES_BITS = 14, AT_BITS = 48, TIMES_MAX = (1 << TIMES_BITS) - 1 };
static const uint64_t AT_MASK = (UINT64_C(1) << AT_BITS) - 1;
struct state {
    enum phase phase;
    uint32_t times;
    mono_ms
        at; /* IN: since when `times` decays; OUT: until; PROBING: how long this probe keeps others away */
};

/* And so is a window of answers: number 20 | all 22 | failed 22. */
enum { COUNT_BITS = 22, NUMBER_BITS = 20 };
static const uint64_t COUNT_MASK = (1 << COUNT_BITS) - 1, NUMBER_MASK = (1 << NUMBER_BITS) - 1;

struct slot {
    _Atomic uint64_t state, window;
    _Atomic uint32_t consecutive; /* failures without a success between them */
    _Atomic uint32_t used_s;      /* when it was last told of something */
};
struct outliers {
    struct shorthash_key seed;
    struct keyed keyed;
    struct slot *slot;
    _Atomic uint32_t out; /* slots that are not IN */
    atomic_flag
        is_ejecting; /* one at a time, so that what is counted for maxPercent stays true until it is used */
};

const char *outlier_reason_text(enum outlier_reason r)
{
    static const char *const text[] = {[OUTLIER_CONSECUTIVE] = "failures in a row",
                                       [OUTLIER_SUCCESS_RATE] = "success rate",
                                       [OUTLIER_PROBE_FAILED] = "its probe failed"};
    return text[r];
}

struct outliers *outliers_new(const struct shorthash_key *key)
{
    struct outliers *o = calloc(1, sizeof *o);
    if (!o)
        return NULL;
    o->seed = *key;
    atomic_flag_clear(&o->is_ejecting);
    o->slot = calloc(OUTLIER_ENDPOINTS, sizeof *o->slot);
    if (!o->slot || !keyed_init(&o->keyed, OUTLIER_ENDPOINTS)) {
        free(o->slot);
        free(o);
        return NULL;
    }
    return o;
}

void outliers_free(struct outliers *o)
{
    if (!o)
        return;
    keyed_fini(&o->keyed);
    free(o->slot);
    free(o);
}

/* --- slots --------------------------------------------------------------------------------- */

static struct state state_of(uint64_t word)
{
    return (struct state){(enum phase)(word >> (TIMES_BITS + AT_BITS)), word >> AT_BITS & TIMES_MAX,
                          word & AT_MASK};
}

static uint64_t word_of(struct state s)
{
    return (uint64_t)s.phase << (TIMES_BITS + AT_BITS) | (uint64_t)s.times << AT_BITS | (s.at & AT_MASK);
}

static bool move(struct slot *s, uint64_t *from, struct state to)
{
    return atomic_compare_exchange_strong(&s->state, from, word_of(to));
}

uint64_t outlier_key(const struct outliers *o, const struct view_endpoint *e)
{
    uint8_t id[ID_BYTES + SERVICE_NAME_MAX] = {0};
    size_t len = strlen(e->service);
    if (e->node)
        memcpy(id, e->node->id.b, ID_BYTES);
    memcpy(id + ID_BYTES, e->service, len);
    uint64_t key = shorthash(&o->seed, bytes_of(id, ID_BYTES + len));
    return key ? key : 1;
}

static struct slot *find(const struct outliers *o, const struct view_endpoint *e)
{
    size_t at = keyed_find(&o->keyed, outlier_key(o, e));
    return at == KEYED_NONE ? NULL : &o->slot[at];
}

struct forgetting {
    struct outliers *o;
    mono_ms now;
};

/* Of an instance that nobody has asked for in an hour: it has gone, or has no requests. */
static bool forget(void *arg, size_t slot)
{
    struct forgetting *f = arg;
    struct slot *s = &f->o->slot[slot];
    uint64_t word = atomic_load(&s->state);
    struct state was = state_of(word);
    uint64_t used_ms = (uint64_t)atomic_load_explicit(&s->used_s, memory_order_relaxed) * 1000;
    mono_ms last = was.at > used_ms ? was.at : used_ms;
    if (f->now < last + OUTLIER_FORGET_MS || !atomic_compare_exchange_strong(&s->state, &word, 0))
        return false;
    if (was.phase != PHASE_IN)
        atomic_fetch_sub(&f->o->out, 1);
    atomic_store(&s->window, 0);
    atomic_store(&s->consecutive, 0);
    return true;
}

static struct slot *take(struct outliers *o, uint64_t key, mono_ms now)
{
    struct forgetting f = {o, now};
    uint32_t now_s = (uint32_t)(now / 1000);
    size_t at = keyed_take(&o->keyed, key, forget, &f);
    if (at == KEYED_NONE)
        return NULL;
    struct slot *s = &o->slot[at];
    if (atomic_load_explicit(&s->used_s, memory_order_relaxed) != now_s)
        atomic_store_explicit(&s->used_s, now_s, memory_order_relaxed);
    return s;
}

/* --- standing ------------------------------------------------------------------------------ */

static enum outlier_standing standing_of(struct state s, mono_ms now)
{
    if (s.phase == PHASE_IN)
        return OUTLIER_IN;
    if (now >= s.at)
        return OUTLIER_DUE;
    return s.phase == PHASE_OUT ? OUTLIER_OUT : OUTLIER_PROBING;
}

enum outlier_standing outlier_standing(const struct outliers *o, const struct view_endpoint *e, mono_ms now)
{
    if (atomic_load_explicit(&o->out, memory_order_relaxed) == 0)
        return OUTLIER_IN;
    const struct slot *s = find(o, e);
    return s ? standing_of(state_of(atomic_load(&s->state)), now) : OUTLIER_IN;
}

mono_ms outlier_until(const struct outliers *o, const struct view_endpoint *e, mono_ms now)
{
    if (atomic_load_explicit(&o->out, memory_order_relaxed) == 0)
        return 0;
    const struct slot *s = find(o, e);
    struct state st = state_of(s ? atomic_load(&s->state) : 0);
    return st.phase != PHASE_IN && st.at > now ? st.at : 0;
}

bool outlier_probe(struct outliers *o, const struct view_endpoint *e, mono_ms now)
{
    struct slot *s = find(o, e);
    if (!s)
        return false;
    uint64_t word = atomic_load(&s->state);
    struct state was = state_of(word);
    return standing_of(was, now) == OUTLIER_DUE &&
           move(s, &word, (struct state){PHASE_PROBING, was.times, now + OUTLIER_PROBE_MS});
}

size_t outlier_count(const struct outliers *o, const struct view_service *s, mono_ms now)
{
    size_t out = 0;
    if (atomic_load_explicit(&o->out, memory_order_relaxed) == 0)
        return 0;
    for (size_t i = 0; i < s->count; i++)
        out += outlier_standing(o, s->endpoint[i], now) != OUTLIER_IN;
    return out;
}

struct outlier_look outlier_look(const struct outliers *o, const struct view_endpoint *e, mono_ms now)
{
    const struct slot *s = find(o, e);
    if (!s)
        return (struct outlier_look){.standing = OUTLIER_IN};
    struct state st = state_of(atomic_load(&s->state));
    enum outlier_standing standing = standing_of(st, now);
    return (struct outlier_look){standing, st.times, atomic_load(&s->consecutive),
                                 standing == OUTLIER_OUT ? st.at - now : 0};
}

/* --- coming back --------------------------------------------------------------------------- */

static bool is_well(const struct view_endpoint *e)
{
    return e->healthy && (!e->node || e->node->alive);
}

static bool was_well(const struct view *before, const struct view_endpoint *e)
{
    const struct view_service *s = view_service(before, bytes_str(e->service));
    for (size_t i = 0; s && i < s->count; i++) {
        const struct view_endpoint *old = s->endpoint[i];
        bool is_it = old->node && e->node ? node_id_eq(&old->node->id, &e->node->id) : old->node == e->node;
        if (is_it)
            return is_well(old);
    }
    return false;
}

static bool let_probe(struct outliers *o, const struct view_endpoint *e, mono_ms now)
{
    struct slot *s = find(o, e);
    uint64_t word = s ? atomic_load(&s->state) : 0;
    struct state was = state_of(word);
    return standing_of(was, now) == OUTLIER_OUT && move(s, &word, (struct state){PHASE_OUT, was.times, now});
}

size_t outlier_judge(struct outliers *o, const struct view *before, const struct view *after, mono_ms now)
{
    size_t count = 0;
    if (atomic_load_explicit(&o->out, memory_order_relaxed) == 0)
        return 0;
    for (size_t i = 0; i < after->service_count; i++)
        for (size_t k = 0; k < after->service[i].count; k++) {
            const struct view_endpoint *e = after->service[i].endpoint[k];
            if (outlier_standing(o, e, now) == OUTLIER_OUT && is_well(e) && !was_well(before, e))
                count += let_probe(o, e, now);
        }
    return count;
}

/* --- ejecting ------------------------------------------------------------------------------ */

/* The only walk over a service's instances, and it is made by failures only. */
static bool may_eject(const struct outliers *o, const struct view *v, const struct view_endpoint *e,
                      const struct policy_outlier_detection *rules, mono_ms now)
{
    const struct view_service *s = view_service(v, bytes_str(e->service));
    size_t most = s ? s->count * rules->ejection_max_percent / 100 : 0;
    if (most == 0 && s && s->count >= 2)
        most = 1;
    return most > 0 && outlier_count(o, s, now) < most;
}

static uint32_t decayed(struct state s, const struct policy_outlier_detection *rules, mono_ms now)
{
    uint64_t gone = rules->success_interval_ms && now > s.at ? (now - s.at) / rules->success_interval_ms : 0;
    return gone < s.times ? s.times - (uint32_t)gone : 0;
}

/* Out for the next time, after `times` before it. */
static struct state ejected(uint32_t times, const struct policy_outlier_detection *rules, mono_ms now,
                            uint64_t *for_ms)
{
    if (rules->ejection_base_ms * times < rules->ejection_max_ms && times < TIMES_MAX)
        times++;
    *for_ms = rules->ejection_base_ms * times;
    if (*for_ms > rules->ejection_max_ms)
        *for_ms = rules->ejection_max_ms;
    return (struct state){PHASE_OUT, times, now + *for_ms};
}

static void start_afresh(struct slot *s)
{
    atomic_store(&s->consecutive, 0);
    atomic_store(&s->window, 0);
}

/* Whoever finds another ejecting leaves it at that: the instance goes on failing, and will be met again. */
static struct outlier_news eject(struct outliers *o, const struct view *v, const struct view_endpoint *e,
                                 struct slot *s, const struct policy_outlier_detection *rules,
                                 enum outlier_reason reason, mono_ms now)
{
    struct outlier_news news = {.what = OUTLIER_NO_NEWS, .reason = reason};
    start_afresh(s); /* also where it may not go: then it is asked again after as many failures */
    if (atomic_flag_test_and_set(&o->is_ejecting))
        return news;
    uint64_t word = atomic_load(&s->state);
    struct state was = state_of(word);
    if (was.phase == PHASE_IN && may_eject(o, v, e, rules, now)) {
        struct state to = ejected(decayed(was, rules, now), rules, now, &news.for_ms);
        if (move(s, &word, to)) {
            atomic_fetch_add(&o->out, 1);
            news.what = OUTLIER_EJECTED;
            news.times = to.times;
        }
    }
    atomic_flag_clear(&o->is_ejecting);
    return news;
}

/* --- outcomes ------------------------------------------------------------------------------ */

static uint64_t number_of(uint64_t window)
{
    return window >> (2 * COUNT_BITS);
}

/* Counts an answer. True: a window is over, which is *ended; one worker is told so. */
static bool count(struct slot *s, bool failed, uint64_t number, uint64_t *ended)
{
    uint64_t one = (UINT64_C(1) << COUNT_BITS) + failed;
    uint64_t w = atomic_load_explicit(&s->window, memory_order_relaxed);
    if (number_of(w) == number) {
        if ((w >> COUNT_BITS & COUNT_MASK) <
            COUNT_MASK / 2) /* full: four million answers say enough; half, since workers race */
            atomic_fetch_add_explicit(&s->window, one, memory_order_relaxed);
        return false;
    }
    *ended = w;
    return atomic_compare_exchange_strong(&s->window, &w, number << (2 * COUNT_BITS) | one);
}

/* Whether the window that came just before this one was bad; an older one tells of another time. */
static bool was_bad(uint64_t ended, uint64_t number, const struct policy_outlier_detection *rules)
{
    uint64_t all = ended >> COUNT_BITS & COUNT_MASK, failed = ended & COUNT_MASK;
    return ((number_of(ended) + 1) & NUMBER_MASK) == number && all > 0 &&
           all >= rules->success_min_requests && (all - failed) * POLICY_PPM < all * rules->success_below_ppm;
}

static struct outlier_news note_while_in(struct outliers *o, const struct view *v,
                                         const struct view_endpoint *e, struct slot *s,
                                         const struct policy_outlier_detection *rules, bool failed,
                                         mono_ms now)
{
    uint32_t in_a_row = 0;
    if (failed)
        in_a_row = atomic_fetch_add(&s->consecutive, 1) + 1;
    else if (atomic_load_explicit(&s->consecutive, memory_order_relaxed))
        atomic_store(&s->consecutive, 0);
    if (rules->success_below_ppm) {
        uint64_t number = now / rules->success_interval_ms & NUMBER_MASK, ended;
        if (count(s, failed, number, &ended) && was_bad(ended, number, rules))
            return eject(o, v, e, s, rules, OUTLIER_SUCCESS_RATE, now);
    }
    if (rules->consecutive_5xx && in_a_row >= rules->consecutive_5xx)
        return eject(o, v, e, s, rules, OUTLIER_CONSECUTIVE, now);
    return (struct outlier_news){.what = OUTLIER_NO_NEWS};
}

static struct outlier_news note_probe(struct outliers *o, struct slot *s, uint64_t word,
                                      const struct policy_outlier_detection *rules,
                                      enum outlier_result result, mono_ms now)
{
    struct outlier_news news = {.what = OUTLIER_NO_NEWS};
    struct state was = state_of(word), to = {PHASE_OUT, was.times, now};
    if (result == OUTLIER_SUCCESS) {
        news.what = OUTLIER_RETURNED;
        to.phase = PHASE_IN;
        start_afresh(s);
    } else if (result == OUTLIER_FAILURE) {
        news = (struct outlier_news){.what = OUTLIER_EJECTED, .reason = OUTLIER_PROBE_FAILED};
        to = ejected(was.times, rules, now, &news.for_ms);
        news.times = to.times;
    }
    if (!move(s, &word, to))
        return (struct outlier_news){.what = OUTLIER_NO_NEWS}; /* another probe's end came first */
    if (to.phase == PHASE_IN)
        atomic_fetch_sub(&o->out, 1);
    return news;
}

struct outlier_news outlier_note(struct outliers *o, uint64_t key, const struct view *v,
                                 const struct view_endpoint *e, const struct policy_outlier_detection *rules,
                                 enum outlier_result result, bool is_probe, mono_ms now)
{
    struct outlier_news nothing = {.what = OUTLIER_NO_NEWS};
    if (!is_probe && (result == OUTLIER_UNDECIDED || !(rules->consecutive_5xx || rules->success_below_ppm)))
        return nothing;
    struct slot *s = take(o, key, now);
    if (!s)
        return nothing;
    uint64_t word = atomic_load(&s->state);
    if (state_of(word).phase == PHASE_IN)
        return result == OUTLIER_UNDECIDED ? nothing
                                           : note_while_in(o, v, e, s, rules, result == OUTLIER_FAILURE, now);
    return is_probe ? note_probe(o, s, word, rules, result, now) : nothing;
}
