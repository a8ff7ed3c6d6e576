#include "traffic/breaker.h"

#include <assert.h>

#include "traffic/keyed.h"

struct breaker {
    _Atomic uint32_t count[BREAKER_KINDS];
};
struct breakers {
    struct shorthash_key seed;
    struct keyed keyed;
    struct breaker *slot;
    struct breaker rest; /* of all who found no slot */
};

static const struct {
    const char *key;
    size_t max; /* offset of its limit */
} kinds[] = {
    [BREAKER_CONNECTIONS] = {"circuitBreaker.maxConnections",
                             offsetof(struct policy_circuit_breaker, max_connections)},
    [BREAKER_PENDING] = {"circuitBreaker.maxPending", offsetof(struct policy_circuit_breaker, max_pending)},
    [BREAKER_REQUESTS] = {"circuitBreaker.maxRequests",
                          offsetof(struct policy_circuit_breaker, max_requests)},
};

const char *breaker_key(enum breaker_kind kind)
{
    return kinds[kind].key;
}

uint32_t breaker_max(const struct policy_circuit_breaker *limits, enum breaker_kind kind)
{
    return *(const uint32_t *)((const char *)limits + kinds[kind].max);
}

struct breakers *breakers_new(const struct shorthash_key *key)
{
    struct breakers *b = calloc(1, sizeof *b);
    if (!b)
        return NULL;
    b->seed = *key;
    b->slot = calloc(BREAKERS, sizeof *b->slot);
    if (!b->slot || !keyed_init(&b->keyed, BREAKERS)) {
        free(b->slot);
        free(b);
        return NULL;
    }
    return b;
}

void breakers_free(struct breakers *b)
{
    if (!b)
        return;
    keyed_fini(&b->keyed);
    free(b->slot);
    free(b);
}

static uint32_t count_of(const struct breaker *s, enum breaker_kind kind)
{
    return atomic_load_explicit(&s->count[kind], memory_order_relaxed);
}

/* A service of which nothing is under way is as good as never seen. Should it come back in this very moment, its first
 * requests are counted with those of the service that takes its place, until they end. */
static bool forget(void *arg, size_t slot)
{
    const struct breaker *s = &((struct breakers *)arg)->slot[slot];
    for (int kind = 0; kind < BREAKER_KINDS; kind++)
        if (count_of(s, (enum breaker_kind)kind) != 0)
            return false;
    return true;
}

static uint64_t key_of(const struct breakers *b, struct bytes service)
{
    uint64_t key = shorthash(&b->seed, service);
    return key ? key : 1;
}

struct breaker *breaker_of(struct breakers *b, struct bytes service)
{
    size_t at = keyed_take(&b->keyed, key_of(b, service), forget, b);
    return at == KEYED_NONE ? &b->rest : &b->slot[at];
}

/* Not an addition that is taken back when it was one too many: in between, it would make others refuse in vain. */
bool breaker_enter(struct breaker *s, enum breaker_kind kind, uint32_t max)
{
    uint32_t n = count_of(s, kind);
    do {
        if (n >= max)
            return false;
    } while (!atomic_compare_exchange_weak_explicit(&s->count[kind], &n, n + 1, memory_order_relaxed,
                                                    memory_order_relaxed));
    return true;
}

void breaker_leave(struct breaker *s, enum breaker_kind kind)
{
    uint32_t before = atomic_fetch_sub_explicit(&s->count[kind], 1, memory_order_relaxed);
    assert(before > 0);
}

uint32_t breaker_count(const struct breakers *b, struct bytes service, enum breaker_kind kind)
{
    size_t at = keyed_find(&b->keyed, key_of(b, service));
    return at == KEYED_NONE ? 0 : count_of(&b->slot[at], kind);
}
