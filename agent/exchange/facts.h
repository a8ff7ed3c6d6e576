/* What happened to one exchange: filled on the way, observed once at its end (metrics, access line). */
#ifndef EXCHANGE_FACTS_H
#define EXCHANGE_FACTS_H

#include "base/clock.h"
#include "base/id.h"
#include "traffic/outlier.h"

/* Envoy's response-flag letters, with its meanings. */
#define EXCHANGE_FLAG_LIST(X)                                                                                \
    X(NONE, "-", "as the application answered")                                                              \
    X(UH, "UH", "no healthy endpoint")                                                                       \
    X(UF, "UF", "the endpoint could not be reached")                                                         \
    X(UO, "UO", "over a limit of ours")                                                                      \
    X(RL, "RL", "over a rate limit")                                                                         \
    X(UT, "UT", "request timeout")                                                                           \
    X(SI, "SI", "silent for too long")                                                                       \
    X(DT, "DT", "lasted for too long")                                                                       \
    X(NR, "NR", "no route, or no such service")                                                              \
    X(URX, "URX", "failed, and the retries are used up")                                                     \
    X(UC, "UC", "the endpoint ended the connection")                                                         \
    X(UPE, "UPE", "the endpoint broke the protocol")                                                         \
    X(DC, "DC", "the client ended the connection")                                                           \
    X(DPE, "DPE", "the client broke the protocol")                                                           \
    X(UAEX, "UAEX", "refused by policy")                                                                     \
    X(FI, "FI", "answered by a fault of the policy")                                                         \
    X(DI, "DI", "held up by a fault of the policy, then as the application answered")

enum exchange_flag {
#define X(name, text, words) FLAG_##name,
    EXCHANGE_FLAG_LIST(X)
#undef X
        FLAG_COUNT
};
const char *exchange_flag_text(enum exchange_flag f);
const char *exchange_flag_words(enum exchange_flag f);
/* What another agent said; FLAG_NONE for a text we do not know. */
enum exchange_flag exchange_flag_of(struct bytes text);

/* Why a try was, or would have been, made again. */
#define RETRY_CAUSE_LIST(X)                                                                                  \
    X(CONNECT_FAILURE, "connect-failure") /* nothing of the request had reached an application */            \
    X(REFUSED_STREAM, "refused-stream")   /* it was never looked at */                                       \
    X(STATUS, "status")                                                                                      \
    X(TIMEOUT, "per-try-timeout")
enum retry_cause {
#define X(name, text) RETRY_##name,
    RETRY_CAUSE_LIST(X)
#undef X
        RETRY_CAUSES
};
/* What became of a wish to try again; the words end a refusal's reason. */
#define RETRY_OUTCOME_LIST(X)                                                                                \
    X(UNWANTED, "unwanted", "")                                                                              \
    X(MADE, "made", "")                                                                                      \
    X(ATTEMPTS, "attempts", "; its retries are used up")                                                     \
    X(BODY, "body", "; not retried: more of its body was sent than is kept (limits.replayBody)")             \
    X(BUDGET, "budget", "; not retried: the service's retry budget is used up")                              \
    X(LATE, "late", "; not retried: its time would be over before")
enum retry_outcome {
#define X(name, text, words) RETRY_##name,
    RETRY_OUTCOME_LIST(X)
#undef X
        RETRY_OUTCOMES
};
/* Which of our limits refused it; `rule` is then its key. */
enum facts_over { OVER_NOTHING, OVER_HEAD, OVER_BREAKER, OVER_RATE };

enum exchange_role { EXCHANGE_NEAR, EXCHANGE_FAR };

enum { FACT_NAME_MAX = 128 }; /* bytes of a rule's or route's name kept; longer ones are cut */

struct facts {
    enum exchange_role role;
    uint8_t protocol;     /* enum service_protocol */
    bool by_overlay;      /* `rule` is one of a break-glass overlay */
    bool overlay_allowed; /* ... and let it through, until `flag` says that it was cut */
    bool audit_allowed;   /* with an audit_rule: what was decided here */
    enum exchange_flag flag;
    uint16_t status; /* told to the client; 0 for TCP or when none was */
    enum facts_over over;
    bool has_outlier_news;
    uint8_t ejections[OUTLIER_REASONS]; /* of instances, by what its tries met */
    uint8_t returns;                    /* of instances, whose probe a try of it was */
    bool refused_afar;                  /* `status` and `flag` are another agent's */
    bool cut;                           /* ended before both directions were complete */
    bool local;                         /* the endpoint is on this very host */
    bool resent; /* over a fresh connection, since the pool's was stale: no retry of the policy's */
    uint8_t retries[RETRY_CAUSES]; /* made, by what they were made for */
    enum retry_outcome
        wish; /* UNWANTED, or why the last try was not made again although it would have been */
    enum retry_cause wish_cause;
    bool failover;                 /* the endpoint is of a service that stands in for the one asked for */
    bool panic;                    /* too few were healthy: one that is not may have been chosen */
    bool mirrored;                 /* a copy of a request, that nobody waits for */
    bool delayed, aborted;         /* by which of its means `fault` disturbed it */
    struct node_id endpoint;       /* whose; zero when none was chosen or local */
    struct bundle_id policy;       /* by which it was decided; version 0: there was none */
    uint64_t bytes_up, bytes_down; /* of bodies */
    mono_us began_us, ended_us;
    /* Strings, of which only the first byte is cleared for each exchange; `service` is the first of them. */
    char service[SERVICE_NAME_MAX +
                 1]; /* "" when the policy knows no such service: bounded as a metric's label (P37) */
    char caller[SERVICE_NAME_MAX + 1]; /* "" unknown */
    char route[FACT_NAME_MAX], rule[FACT_NAME_MAX];
    /* The rule by which it would have been decided otherwise were nothing under audit: one of `mode: audit`, or
     * "unmatched". "" when audit changed nothing. */
    char audit_rule[FACT_NAME_MAX];
    char fault[FACT_NAME_MAX]; /* "" none disturbed it */
};

static inline void facts_clear(struct facts *f)
{
    memset(f, 0, offsetof(struct facts, service));
    f->service[0] = f->caller[0] = f->route[0] = f->rule[0] = f->audit_rule[0] = f->fault[0] = 0;
}

static inline unsigned facts_retries(const struct facts *f)
{
    unsigned n = 0;
    for (int i = 0; i < RETRY_CAUSES; i++)
        n += f->retries[i];
    return n;
}

#endif
