/* A compiled policy in the words of the language again: "timeouts.request" is "3s". For reports that explain a policy or
 * compare two. Written so that the text, put into a policy, would mean the same. Every value is appended; an allocation that
 * fails shows in the buf. */
#ifndef POLICY_WORDS_H
#define POLICY_WORDS_H

#include "policy/arena.h"
#include "policy/feature.h"
#include "policy/policy.h"

void words_duration(struct buf *out, uint64_t ms);             /* 1h30m, 250ms, 0s */
void words_share(struct buf *out, uint32_t ppm);               /* 70%, 0.01% */
void words_step(struct buf *out, const struct policy_step *s); /* ring=canary, 10% */
void words_time(struct buf *out, wall_s t);                    /* 2027-01-31T00:00:00Z; nothing if 0 */
void words_labels(struct buf *out, const struct labels *l_or_null);
void words_key(struct buf *out, const struct policy_key *k); /* {header: x}; nothing if there is none */
void words_header_edit(struct buf *out, const struct policy_header_edit *e);
void words_mirror(struct buf *out, const struct policy_mirror *m);
void words_rate_limit(struct buf *out, const struct policy_rate_limit *l);
/* What the fault does, without its name and service. */
void words_fault(struct buf *out, const struct policy_fault *f);
void words_egress(struct buf *out, const struct policy_egress *e);
const char *words_protocol(enum policy_protocol p);
/* The matches of a route: a list; nothing if it takes everything. */
void words_matches(struct buf *out, const struct policy_service *s, const struct policy_route *r);
/* The first of the route's matches that holds for the request, alone: why it took it. */
void words_match_held(struct buf *out, const struct policy_service *s, const struct policy_route *r,
                      const struct policy_request *rq);
/* The matches of a fault. */
void words_fault_matches(struct buf *out, const struct policy *p, const struct policy_fault *f);

/* Settings key by key. */
enum { POLICY_WORDS_MAX = 96 };
struct policy_word {
    const char *key, *value; /* "retry.backoff.base", "25ms" */
    enum policy_feature
        feature; /* that an agent must have to act on it: NONE, since the first version all do */
};
struct policy_words { /* zero-initialise; words_fini() */
    struct arena arena;
    size_t count;
    struct policy_word at[POLICY_WORDS_MAX];
};
/* All keys that apply to such a service, with the values in force. Each appends; check w->arena.failed at the end. */
void words_of_settings(struct policy_words *w, const struct policy_settings *s, bool is_tcp);
/* Only what was given: without a section the agent's own configuration, or nothing, holds. */
void words_of_observability(struct policy_words *w, const struct policy_observability *o);
void words_of_audit(struct policy_words *w, const struct policy_audit *a);
void words_of_rollout(struct policy_words *w, const struct policy_rollout *r);
void words_fini(struct policy_words *w);
/* NULL: this key is not there. */
const char *words_value(const struct policy_words *w, const char *key);

/* The settings that hold for requests which take this route: the service's, and what the route says instead. */
struct policy_settings policy_route_settings(const struct policy_service *s, const struct policy_route *r);

#endif
