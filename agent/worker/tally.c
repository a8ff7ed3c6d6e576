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

/* The one of this version, or the place of the oldest; -1: it is older than all. Version 0: free, or no policy. */
static int slot_of(const struct tally *t, uint64_t version)
{
    int oldest = 0;
    for (int i = 0; i < TALLY_VERSIONS; i++) {
        if (get(&t->of[i].version) == version)
            return i;
        if (get(&t->of[i].version) < get(&t->of[oldest].version))
            oldest = i;
    }
    return get(&t->of[oldest].version) < version ? oldest : -1;
}

static void restart(struct tally *t, int at, uint64_t version)
{
    metric_set(&t->of[at].version, 0);
    metric_set(&t->of[at].requests, 0);
    metric_set(&t->of[at].errors, 0);
    metric_set(&t->of[at].denied, 0);
    for (size_t i = 0; i < TALLY_BUCKETS; i++)
        metric_set(&t->of[at].in[i], 0);
    metric_set(&t->of[at].version, version);
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
    int at = f->policy_version > 0 && !f->refused_afar ? slot_of(t, f->policy_version) : -1;
    if (at < 0)
        return;
    if (get(&t->of[at].version) != f->policy_version)
        restart(t, at, f->policy_version);
    metric_add(&t->of[at].requests, 1);
    metric_add(&t->of[at].errors, is_failure(f));
    metric_add(&t->of[at].denied, f->flag == FLAG_UAEX);
    metric_add(&t->of[at].in[bucket_of(f->ended_us - f->began_us)], 1);
}

void tally_add(struct tally_sum *sum, const struct tally *t, uint64_t version)
{
    for (size_t i = 0; i < TALLY_VERSIONS; i++) {
        if (version == 0 || get(&t->of[i].version) != version)
            continue;
        sum->requests += get(&t->of[i].requests);
        sum->errors += get(&t->of[i].errors);
        sum->denied += get(&t->of[i].denied);
        for (size_t k = 0; k < TALLY_BUCKETS; k++)
            sum->in[k] += get(&t->of[i].in[k]);
    }
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
