/* Counters, gauges and histograms, one set per loop (one writer), rendered together as Prometheus text by any thread.
 * Names follow Prometheus: starling_<what>_<unit>_total. A set holds at most METRICS_SERIES_MAX series; further ones share one
 * series with the label overflow="true" and are counted. Text of labels is escaped. */
#ifndef OBSERVE_METRICS_H
#define OBSERVE_METRICS_H

#include <stdatomic.h>

#include "base/buf.h"
#include "base/err.h"

enum { METRICS_SERIES_MAX = 10000 };

struct metrics;
struct metrics *metrics_new(void);
void metrics_free(struct metrics *m);

struct metric_label {
    const char *key;
    struct bytes value;
};
/* A value with one writer; others may read at any time. Never NULL; lives as long as the set. Look it up once, keep it. */
typedef _Atomic uint64_t metric_value;
metric_value *metric_counter(struct metrics *m, const char *name, const char *help, const struct metric_label *labels, size_t count);
metric_value *metric_gauge(struct metrics *m, const char *name, const char *help, const struct metric_label *labels, size_t count);
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
struct metric_histogram *metric_histogram(struct metrics *m, const char *name, const char *help, const struct metric_label *labels, size_t count);
void metric_observe_us(struct metric_histogram *h, uint64_t us);
/* Series of one name and labels in several sets are added up. */
must_check enum err metrics_render(struct buf *out, struct metrics *const *sets, size_t count);

#endif
