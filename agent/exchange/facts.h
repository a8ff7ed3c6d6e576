/* What happened to one exchange: filled on the way, observed once at its end (metrics, access line). */
#ifndef EXCHANGE_FACTS_H
#define EXCHANGE_FACTS_H

#include "base/clock.h"
#include "base/id.h"
#include "trust/trust.h"

/* Envoy's response-flag letters, with its meanings. */
#define EXCHANGE_FLAG_LIST(X)                                                                                \
    X(NONE, "-", "as the application answered")                                                              \
    X(UH, "UH", "no healthy endpoint")                                                                       \
    X(UF, "UF", "the endpoint could not be reached")                                                         \
    X(UO, "UO", "over a limit of ours")                                                                      \
    X(UT, "UT", "request timeout")                                                                           \
    X(SI, "SI", "silent for too long")                                                                       \
    X(NR, "NR", "no route, or no such service")                                                              \
    X(URX, "URX", "the other endpoint could not be reached either")                                          \
    X(UC, "UC", "the endpoint ended the connection")                                                         \
    X(UPE, "UPE", "the endpoint broke the protocol")                                                         \
    X(DC, "DC", "the client ended the connection")                                                           \
    X(DPE, "DPE", "the client broke the protocol")                                                           \
    X(UAEX, "UAEX", "refused by policy")

enum exchange_flag {
#define X(name, text, words) FLAG_##name,
    EXCHANGE_FLAG_LIST(X)
#undef X
        FLAG_COUNT
};
const char *exchange_flag_text(enum exchange_flag f);
/* What another agent said; FLAG_NONE for a text we do not know. */
enum exchange_flag exchange_flag_of(struct bytes text);

enum exchange_role { EXCHANGE_NEAR, EXCHANGE_FAR };

enum { FACT_NAME_MAX = 128 }; /* bytes of a rule's or route's name kept; longer ones are cut */

struct facts {
    enum exchange_role role;
    uint8_t protocol; /* enum service_protocol */
    char service[SERVICE_NAME_MAX +
                 1]; /* "" when the policy knows no such service: bounded as a metric's label (P37) */
    char caller[SERVICE_NAME_MAX + 1]; /* "" unknown */
    char route[FACT_NAME_MAX], rule[FACT_NAME_MAX];
    /* The rule by which it would have been decided otherwise were nothing under audit: one of `mode: audit`, or
     * "unmatched". "" when audit changed nothing. */
    char audit_rule[FACT_NAME_MAX];
    bool by_overlay;      /* `rule` is one of a break-glass overlay */
    bool overlay_allowed; /* ... and let it through, until `flag` says that it was cut */
    bool audit_allowed;   /* with an audit_rule: what was decided here */
    enum exchange_flag flag;
    uint16_t status;   /* told to the client; 0 for TCP or when none was */
    bool refused_afar; /* `status` and `flag` are another agent's */
    bool cut;          /* ended before both directions were complete */
    bool local;        /* the endpoint is on this very host */
    bool retried;
    struct node_id endpoint;       /* whose; zero when none was chosen or local */
    struct bundle_id policy;       /* by which it was decided; version 0: there was none */
    uint64_t bytes_up, bytes_down; /* of bodies */
    mono_us began_us, ended_us;
};

#endif
