#include "traffic/budget.h"

static uint64_t interval_of(const struct policy_retry *r)
{
    return r->budget_interval_ms > BUDGET_INTERVAL_MIN_MS ? r->budget_interval_ms : BUDGET_INTERVAL_MIN_MS;
}

/* Never 0: that is a word which nobody wrote yet. */
static uint32_t slice_at(uint64_t interval_ms, mono_ms now)
{
    return (uint32_t)(now / (interval_ms / BUDGET_SLICES)) | UINT32_C(1) << 31;
}

/* Services are few and their names the policy's own, so nobody gains by colliding. FNV-1a, and the finaliser of MurmurHash3. */
static uint64_t key_of(const char *service, uint64_t interval_ms)
{
    uint64_t h = UINT64_C(0xcbf29ce484222325) ^ interval_ms;
    for (; *service; service++)
        h = (h ^ (uint8_t)*service) * UINT64_C(0x100000001b3);
    h = (h ^ h >> 33) * UINT64_C(0xff51afd7ed558ccd);
    return (h ^ h >> 33) | 1;
}

/* -- words ----------------------------------------------------------------------------------------- */

static uint64_t word_of(uint32_t slice, uint32_t count)
{
    return (uint64_t)slice << 32 | count;
}

/* Counts in the ring's place of this slice; what an older slice had left there is gone. */
static void ring_add(atomic_uint_fast64_t *ring, uint32_t slice)
{
    atomic_uint_fast64_t *at = &ring[slice % BUDGET_RING];
    uint64_t is = atomic_load_explicit(at, memory_order_relaxed), to;
    do {
        uint32_t count = (uint32_t)(is >> 32) == slice ? (uint32_t)is : 0;
        to = word_of(slice, count < UINT32_MAX ? count + 1 : count);
    } while (!atomic_compare_exchange_weak_explicit(at, &is, to, memory_order_relaxed, memory_order_relaxed));
}

static void ring_take_back(atomic_uint_fast64_t *ring, uint32_t slice)
{
    atomic_uint_fast64_t *at = &ring[slice % BUDGET_RING];
    uint64_t is = atomic_load_explicit(at, memory_order_relaxed);
    while (
        (uint32_t)(is >> 32) == slice && (uint32_t)is > 0 &&
        !atomic_compare_exchange_weak_explicit(at, &is, is - 1, memory_order_relaxed, memory_order_relaxed)) {
    }
}

/* Of the newest `slices`. A worker whose clock is a slice ahead is counted too: the difference wraps. */
static uint64_t ring_sum(const atomic_uint_fast64_t *ring, uint32_t slice, uint32_t slices)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < BUDGET_RING; i++) {
        uint64_t is = atomic_load_explicit(&ring[i], memory_order_relaxed);
        int32_t age = (int32_t)(slice - (uint32_t)(is >> 32));
        if (is != 0 && age < (int32_t)slices && age > -BUDGET_RING)
            sum += (uint32_t)is;
    }
    return sum;
}

/* -- places ---------------------------------------------------------------------------------------- */

enum { KEY_FREE = 0, KEY_TAKING = 2 }; /* keys are odd */

/* Nothing of it counts any more. */
static bool is_idle(const struct budget *b, mono_ms now)
{
    uint64_t interval = atomic_load_explicit(&b->interval_ms, memory_order_relaxed);
    uint32_t slice = interval ? slice_at(interval, now) : 0;
    return ring_sum(b->request, slice, BUDGET_RING) + ring_sum(b->retry, slice, BUDGET_RING) == 0;
}

static void restart(struct budget *b, uint64_t interval_ms)
{
    for (size_t i = 0; i < BUDGET_RING; i++) {
        atomic_store_explicit(&b->request[i], 0, memory_order_relaxed);
        atomic_store_explicit(&b->retry[i], 0, memory_order_relaxed);
    }
    atomic_store_explicit(&b->interval_ms, interval_ms, memory_order_relaxed);
}

/* A place that is free, or whose owner has gone quiet. NULL: none, or another worker was first. */
static struct budget *claim(struct budgets *all, uint64_t key, uint64_t interval_ms, mono_ms now)
{
    for (uint64_t i = 0; i < BUDGET_PROBES; i++) {
        struct budget *b = &all->at[((key >> 20) + i) % BUDGETS_MAX];
        uint64_t is = atomic_load_explicit(&b->key, memory_order_acquire);
        if (is == KEY_TAKING || (is != KEY_FREE && !is_idle(b, now)))
            continue;
        if (!atomic_compare_exchange_strong(&b->key, &is, KEY_TAKING))
            return NULL;
        restart(b, interval_ms);
        atomic_store_explicit(&b->key, key, memory_order_release);
        return b;
    }
    return NULL;
}

static struct budget *find(struct budgets *all, const char *service, uint64_t interval_ms, mono_ms now)
{
    uint64_t key = key_of(service, interval_ms);
    for (uint64_t i = 0; i < BUDGET_PROBES; i++) {
        struct budget *b = &all->at[((key >> 20) + i) % BUDGETS_MAX];
        if (atomic_load_explicit(&b->key, memory_order_acquire) == key)
            return b;
    }
    struct budget *b = claim(all, key, interval_ms, now);
    return b ? b : &all->rest;
}

/* -- the budget ------------------------------------------------------------------------------------ */

static struct budget_state look(const struct budget *b, const struct policy_retry *r, uint32_t slice)
{
    struct budget_state s = {.requests = ring_sum(b->request, slice, BUDGET_SLICES),
                             .retries = ring_sum(b->retry, slice, BUDGET_RING)};
    uint64_t share = s.requests * r->budget_percent / 100,
             least = r->budget_min_per_second * interval_of(r) / 1000;
    s.allowed = share > least ? share : least;
    return s;
}

void budget_count(struct budgets *all, const char *service, const struct policy_retry *r, mono_ms now)
{
    uint64_t interval = interval_of(r);
    ring_add(find(all, service, interval, now)->request, slice_at(interval, now));
}

bool budget_take(struct budgets *all, const char *service, const struct policy_retry *r, mono_ms now)
{
    uint64_t interval = interval_of(r);
    uint32_t slice = slice_at(interval, now);
    struct budget *b = find(all, service, interval, now);
    ring_add(b->retry, slice);
    struct budget_state s = look(b, r, slice);
    if (s.retries > s.allowed)
        ring_take_back(b->retry, slice);
    return s.retries <= s.allowed;
}

struct budget_state budget_state(struct budgets *all, const char *service, const struct policy_retry *r,
                                 mono_ms now)
{
    uint64_t interval = interval_of(r);
    return look(find(all, service, interval, now), r, slice_at(interval, now));
}
