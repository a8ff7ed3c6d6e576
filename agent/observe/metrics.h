/* Counters, gauges and histograms, one set per loop (one writer), rendered together as Prometheus text
 * (version 0.0.4) by any thread. Names follow Prometheus: starling_<what>_<unit>_total. A set holds at most
 * METRICS_SERIES_MAX series; further ones share one series per name with the label overflow="true", and each
 * look-up that ends there is counted in starling_metrics_overflow_total (P37). Label values are cut at
 * METRIC_LABEL_BYTES_MAX, and what is not printable ASCII in them is written as \xNN.
 *
 * Series are only ever added, by the set's writer, and published with a release; readers walk them without a
 * lock. */
#ifndef OBSERVE_METRICS_H
#define OBSERVE_METRICS_H

#include <stdatomic.h>

#include "base/buf.h"
#include "base/err.h"

enum { METRICS_SERIES_MAX = 10000, METRIC_LABELS_MAX = 8, METRIC_LABEL_BYTES_MAX = 128 };

struct metrics;
struct metrics *metrics_new(void); /* NULL: out of memory */
void metrics_free(struct metrics *m);

struct metric_label {
    const char *key;
    struct bytes value;
};
/* A value with one writer; others may read at any time. Never NULL (without memory it is one that is not
 * rendered); lives as long as the set. Look it up once, keep it. `name` and `help` are static text; one name
 * has one kind and one help. */
typedef _Atomic uint64_t metric_value;
metric_value *metric_counter(struct metrics *m, const char *name, const char *help,
                             const struct metric_label *labels, size_t count);
metric_value *metric_gauge(struct metrics *m, const char *name, const char *help,
                           const struct metric_label *labels, size_t count);
/* One writer: a plain add without a locked instruction. */
static inline void metric_add(metric_value *v, uint64_t n)
{
    atomic_store_explicit(v, atomic_load_explicit(v, memory_order_relaxed) + n, memory_order_relaxed);
}
static inline void metric_set(metric_value *v, uint64_t n)
{
    atomic_store_explicit(v, n, memory_order_relaxed);
}
/* Latencies in microseconds, rendered in seconds; fixed buckets from 100 us to 60 s. */
struct metric_histogram;
struct metric_histogram *metric_histogram(struct metrics *m, const char *name, const char *help,
                                          const struct metric_label *labels, size_t count);
void metric_observe_us(struct metric_histogram *h, uint64_t us);
/* Appends all series of all sets, sorted by name and labels; those of one name and labels in several sets are
 * added up. ERR_NOMEM: `out` holds a part. */
must_check enum err metrics_render(struct buf *out, struct metrics *const *sets, size_t count);

#endif
