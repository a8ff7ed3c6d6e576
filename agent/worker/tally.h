/* What a worker counted under each signed policy, for a staged rollout to compare: two that carry one version are counted apart. One writer, the worker; the control
 * loop reads at any time, and may see a request counted and its error not yet. */
#ifndef WORKER_TALLY_H
#define WORKER_TALLY_H

#include "exchange/facts.h"
#include "observe/metrics.h"
#include "policy/rollout.h"

enum {
    TALLY_BUNDLES = 4,  /* the newest that were seen; an older one is not counted any more */
    TALLY_OCTAVES = 21, /* 64 us and less, to 67 s and more */
    TALLY_PARTS = 4,    /* of an octave: a latency is known to a fifth */
    TALLY_BUCKETS = TALLY_OCTAVES * TALLY_PARTS,
};

struct tally {
    struct {
        metric_value epoch, version, hash[HASH_BYTES / sizeof(uint64_t)]; /* version 0: free */
        metric_value requests, errors, denied, in[TALLY_BUCKETS];
    } of[TALLY_BUNDLES];
};

/* Errors: no answer, or one with 5xx. Denied: by a rule of this agent's policy. What another agent refused is that agent's to
 * count, and a client that goes away, or breaks the protocol, is nobody's fault here. What a fault of the policy has disturbed is not
 * counted at all: neither its answer nor its time says anything of the version. Nor is a copy (mirror). */
void tally_facts(struct tally *t, const struct facts *f);

/* Sums over workers: start with zeros, add each, then ask. */
struct tally_sum {
    uint64_t requests, errors, denied, in[TALLY_BUCKETS];
};
void tally_add(struct tally_sum *sum, const struct tally *t, const struct bundle_id *of);
struct record_count tally_count(const struct tally_sum *sum);

#endif
