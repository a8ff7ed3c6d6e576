#include "worker/tally.h"

enum { FIRST_OCTAVE = 6 /* 2^6 us */ };

static unsigned bucket_of(uint64_t us)
{
    if (us < UINT64_C(1) << FIRST_OCTAVE)
        return 0;
    unsigned octave = 63 - (unsigned)__builtin_clzll(us);
    unsigned at = (octave - FIRST_OCTAVE) * TALLY_PARTS + (unsigned)(us >> (octave - 2) & (TALLY_PARTS - 1));
    return at < TALLY_BUCKETS ? at : TALLY_BUCKETS - 1;
}

/* The end of a bucket. */
static uint64_t bucket_us(unsigned at)
{
    uint64_t octave = UINT64_C(1) << (FIRST_OCTAVE + at / TALLY_PARTS);
    return octave + octave / TALLY_PARTS * (at % TALLY_PARTS + 1);
}

static uint64_t get(const metric_value *v)
{
    return atomic_load_explicit(v, memory_order_relaxed);
}

static struct bundle_id id_at(const struct tally *t, int at)
{
    struct bundle_id id = {.epoch = get(&t->of[at].epoch), .version = get(&t->of[at].version)};
    for (size_t i = 0; i < HASH_BYTES / sizeof(uint64_t); i++) {
        uint64_t word = get(&t->of[at].hash[i]);
        memcpy(id.hash.b + i * sizeof word, &word, sizeof word);
    }
    return id;
}

static bool is_older(const struct bundle_id *a, const struct bundle_id *b)
{
    return a->epoch < b->epoch || (a->epoch == b->epoch && a->version < b->version);
}

/* -1: it is not counted yet. */
static int slot_of(const struct tally *t, const struct bundle_id *of)
{
    for (int i = 0; i < TALLY_BUNDLES; i++) {
        if (get(&t->of[i].version) != of->version)
            continue;
        struct bundle_id id = id_at(t, i);
        if (bundle_id_eq(&id, of))
            return i;
    }
    return -1;
}

/* Free while it is being made: who reads meanwhile finds nothing. */
static void restart(struct tally *t, int at, const struct bundle_id *of)
{
    metric_set(&t->of[at].version, 0);
    metric_set(&t->of[at].requests, 0);
    metric_set(&t->of[at].errors, 0);
    metric_set(&t->of[at].denied, 0);
    for (size_t i = 0; i < TALLY_BUCKETS; i++)
        metric_set(&t->of[at].in[i], 0);
    for (size_t i = 0; i < HASH_BYTES / sizeof(uint64_t); i++) {
        uint64_t word;
        memcpy(&word, of->hash.b + i * sizeof word, sizeof word);
        metric_set(&t->of[at].hash[i], word);
    }
    metric_set(&t->of[at].epoch, of->epoch);
    metric_set(&t->of[at].version, of->version);
}

/* In the place of the oldest, or of a twin of that; one that is free, with zeros, is older than any. -1: all are newer. */
static int make_room(struct tally *t, const struct bundle_id *of)
{
    struct bundle_id least = id_at(t, 0);
    int oldest = 0;
    for (int i = 1; i < TALLY_BUNDLES; i++) {
        struct bundle_id id = id_at(t, i);
        if (is_older(&id, &least)) {
            least = id;
            oldest = i;
        }
    }
    if (is_older(of, &least))
        return -1;
    restart(t, oldest, of);
    return oldest;
}

static bool is_failure(const struct facts *f)
{
    switch (f->flag) {
    case FLAG_DC:
    case FLAG_DPE:
    case FLAG_UAEX:
        return false;
    case FLAG_NONE:
        return f->status >= 500;
    default:
        return true;
    }
}

void tally_facts(struct tally *t, const struct facts *f)
{
    if (f->policy.version == 0 || f->refused_afar || f->mirrored || f->delayed || f->aborted)
        return;
    int at = slot_of(t, &f->policy);
    if (at < 0 && (at = make_room(t, &f->policy)) < 0)
        return;
    metric_add(&t->of[at].requests, 1);
    metric_add(&t->of[at].errors, is_failure(f));
    metric_add(&t->of[at].denied, f->flag == FLAG_UAEX);
    metric_add(&t->of[at].in[bucket_of(f->ended_us - f->began_us)], 1);
}

void tally_add(struct tally_sum *sum, const struct tally *t, const struct bundle_id *of)
{
    int at = of->version > 0 ? slot_of(t, of) : -1;
    if (at < 0)
        return;
    sum->requests += get(&t->of[at].requests);
    sum->errors += get(&t->of[at].errors);
    sum->denied += get(&t->of[at].denied);
    for (size_t k = 0; k < TALLY_BUCKETS; k++)
        sum->in[k] += get(&t->of[at].in[k]);
}

static uint64_t at_most(uint64_t v, uint64_t max)
{
    return v < max ? v : max;
}

struct record_count tally_count(const struct tally_sum *sum)
{
    uint64_t all = 0, so_far = 0;
    struct record_count c = {.requests = sum->requests,
                             .errors = at_most(sum->errors, sum->requests),
                             .denied = at_most(sum->denied, sum->requests)};
    for (unsigned i = 0; i < TALLY_BUCKETS; i++)
        all += sum->in[i];
    for (unsigned i = 0; i < TALLY_BUCKETS && all > 0 && c.p99_us == 0; i++) {
        so_far += sum->in[i];
        if (so_far * 100 >= all * 99)
            c.p99_us = bucket_us(i);
    }
    return c;
}
