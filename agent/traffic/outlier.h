/* Outlier detection: which instances answer so badly that they get no requests for a while, as this agent has seen it over all
 * its workers (POLICY: outlierDetection). Envoy's, with a half-open return:
 *
 *                consecutive failures, or a bad success rate
 *       IN ──────────────────────────────────────────────────► OUT until now + min(base x times, max)
 *        ▲                                                     │ ▲
 *        │ the probe succeeded                 time is over    ▼ │ the probe failed
 *        └──────────────────────────────── PROBING ◄────────── DUE      PROBING: one request at a time
 *
 * An instance fails by a status from 500 on, or when it cannot be reached, breaks off or is late; on tcp by a connection that
 * cannot be made. `times` is how often it was ejected: one more at each ejection, until base x times reaches max, and one less
 * for each `successRate.interval` that it has been in since (Envoy's decay, which counts per interval of its detector).
 *
 * The success rate is that of windows of `successRate.interval`, side by side; a window is judged when it is over, by the first
 * answer of the next one. A window that nothing followed says nothing.
 *
 * Never more than maxPercent of a service's instances are out at once, but one always may be where there are two or more.
 * Those that wait for their probe count as out. A single instance is ejected only where maxPercent is 100.
 *
 * State belongs to (node, service): a new view or policy changes nothing of it, changed numbers apply from the next answer on.
 * Pure: no clock. Every function may be called by all workers at once; nothing waits. */
#ifndef TRAFFIC_OUTLIER_H
#define TRAFFIC_OUTLIER_H

#include "discovery/view.h"
#include "trust/shorthash.h"

enum {
    OUTLIER_ENDPOINTS =
        32768, /* in the table; of those beyond, nothing is learned, and they are never ejected */
    OUTLIER_PROBE_MS = 15000, /* a probe without an end by then does not keep others from probing */
    OUTLIER_FORGET_MS =
        3600 * 1000, /* what is in, or was due for a probe, and was not asked for so long may be forgotten */
};

struct outliers;
/* NULL: no memory. */
struct outliers *outliers_new(const struct shorthash_key *key);
void outliers_free(struct outliers *o);

enum outlier_standing {
    OUTLIER_IN,
    OUTLIER_OUT,
    OUTLIER_DUE,     /* a request may be sent there as the probe: outlier_probe() */
    OUTLIER_PROBING, /* that request is under way */
};
/* Costs one load while nothing is ejected at all. */
enum outlier_standing outlier_standing(const struct outliers *o, const struct view_endpoint *e, mono_ms now);
/* Until when it gets no requests but those that began before: OUT, or PROBING; 0: IN or DUE. */
mono_ms outlier_until(const struct outliers *o, const struct view_endpoint *e, mono_ms now);
/* Makes this request the probe of an endpoint that is DUE. False: another one is. The request's outcome is then told with
 * `is_probe`. */
bool outlier_probe(struct outliers *o, const struct view_endpoint *e, mono_ms now);

enum outlier_result {
    OUTLIER_SUCCESS,
    OUTLIER_FAILURE,
    OUTLIER_UNDECIDED, /* the client left, or nothing was asked: a probe is still due */
};
enum outlier_reason { OUTLIER_CONSECUTIVE, OUTLIER_SUCCESS_RATE, OUTLIER_PROBE_FAILED, OUTLIER_REASONS };
struct outlier_news { /* what an outcome changed */
    enum { OUTLIER_NO_NEWS, OUTLIER_EJECTED, OUTLIER_RETURNED } what;
    enum outlier_reason reason; /* EJECTED */
    uint32_t times;             /* EJECTED: how often by now */
    uint64_t for_ms;            /* EJECTED */
};
const char *outlier_reason_text(enum outlier_reason r);

/* By what the table knows an endpoint: a keyed hash of node and service, never 0, the same in every view. */
uint64_t outlier_key(const struct outliers *o, const struct view_endpoint *e);
/* What became of a request to `e`, an endpoint of the view `v` it began with, known by `key`. What is told of an endpoint that is out
 * by requests other than the probe counts for nothing: they began before. */
struct outlier_news outlier_note(struct outliers *o, uint64_t key, const struct view *v,
                                 const struct view_endpoint *e, const struct policy_outlier_detection *rules,
                                 enum outlier_result result, bool is_probe, mono_ms now);

/* A new view: an instance that is OUT, and was away or unhealthy in the view before and is well in this one, is DUE at once: what was
 * seen of it was seen before it fell or was started again (Envoy's successful_active_health_check_uneject_host, but for the
 * probe). To be called once per agent and view. Returns how many there are; costs one load while nothing is ejected, else a walk. */
size_t outlier_judge(struct outliers *o, const struct view *before, const struct view *after, mono_ms now);

struct outlier_look { /* for people */
    enum outlier_standing standing;
    uint32_t times, consecutive;
    uint64_t left_ms; /* OUT: until the probe */
};
struct outlier_look outlier_look(const struct outliers *o, const struct view_endpoint *e, mono_ms now);
/* How many instances of the service are not IN. Walks over them. */
size_t outlier_count(const struct outliers *o, const struct view_service *s, mono_ms now);

#endif
