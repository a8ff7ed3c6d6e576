/* One request, or one TCP connection, on its way through one agent: between a front side (who asks) and a
 * back side (who answers). The same machine runs at the near agent and at the far one:
 *
 *   near    front: a client's connection        back: a stream of a link, or a local application's connection
 *   far     front: a stream of a link           back: a local application's connection
 *
 * It decides (service, route, intention, endpoint, retry, refusal), keeps the deadline, passes typed messages
 * on, and gathers facts. It makes no I/O: sides are told through a small vtable, they tell it what arrived,
 * and what it wants from its owner (a back side; to be observed and forgotten) is polled from a list.
 *
 *   NEW --start--> SEEKING --back--> SENDING --response head--> ANSWERING --both ended--> OVER
 *                   ^   |              |  (it failed, and is tried again: tries.h)
 *                   |   +--> PAUSING <-+
 *                   +-----------+               any state --refused, lost, late--> OVER
 *                                               NEW --held up by a fault (fault.h)--> PAUSING
 *
 * A side's functions are called from inside the exchange_* functions. They may store and mark, but must not
 * call back into any exchange. After `finish` the exchange has forgotten the side. Time comes in as `now_us` of the monotonic clock with
 * all that may begin or end a try, and is kept as the newest that was heard of. Policy is judged by the
 * one view the exchange began with (P33); the far agent judges again, with the caller that the peer's
 * credential vouches for (P34, P35). */
#ifndef EXCHANGE_EXCHANGE_H
#define EXCHANGE_EXCHANGE_H

#include "base/list.h"
#include "discovery/view.h"
#include "exchange/facts.h"
#include "exchange/replay.h"
#include "http/message.h"
#include "traffic/pick.h"

enum {
    CONNECT_APP_MS = 5000,  /* to an application of this host */
    CONNECT_MS_MAX = 30000, /* also where the policy switches it off: the kernel would try for minutes */
    /* Silence is looked for so often in the time that it may last, and ended so much later at most. */
    IDLE_LOOKS = 8,
    IDLE_LOOK_MS_MIN = 20,
    FAR_IDLE_MS = 60 * 60 * 1000, /* at the far agent, where the near one decides: at least this long */
};

struct exchange;
struct side;
struct side_ops {
    /* DATA bytes that would be taken now. 0: the side notes that somebody waits, and calls exchange_writable() later; so a source
     * that holds bytes back must have been told 0 (having been given "some" and used it up, it asks again). */
    size_t (*room)(const struct side *s);
    /* The message begins. `h` is NULL for TCP. Towards a front `v` (may be NULL) says whether an agent
     * refused; then for HTTP `h` is the response to write, and a front that is a stream passes on `v` alone.
     * Borrowed. */
    void (*head)(struct side *s, const struct http_head *h, const struct mesh_verdict *v);
    void (*data)(struct side *s, struct bytes d); /* at most what room() said; copied */
    void (*end)(struct side *s, const struct http_head *trailers_or_null);
    /* The other side has room again: deliver more, later, not from inside this call. */
    void (*resume)(struct side *s);
    /* Forget the exchange. `clean`: both directions were complete; else cut what is under way. */
    void (*finish)(struct side *s, bool clean);
};
struct side {
    const struct side_ops *ops;
    struct exchange *x; /* NULL: in no exchange */
};

/* Who listens to what the front says, to make a copy of the request. As with sides, its functions may store and mark, but must not
 * call back into any exchange. One that has heard enough sets x->tap to NULL. */
struct tap;
struct tap_ops {
    void (*data)(struct tap *t, struct bytes d);
    /* The last that it hears: all was said; or not all, and no more will be. The exchange has forgotten it. */
    void (*end)(struct tap *t, const struct http_head *trailers_or_null);
    void (*cut)(struct tap *t);
};
struct tap {
    const struct tap_ops *ops;
};

/* Who asks for what. Borrowed for exchange_start(). */
struct exchange_ask {
    uint8_t protocol;     /* enum service_protocol */
    struct bytes caller;  /* near: by entry or user id; far: as the call says. Empty: unknown */
    struct bytes service; /* a service's name, or (near, HTTP) the authority asked for */
    struct bytes asked;   /* far: the service asked for, if `service` took its place; else empty */
    uint32_t deadline_ms; /* far: what was left when the call was sent; 0 = none */
    uint8_t hops;         /* agents this request has passed */
    bool mirrored;        /* a copy: it is not retried, not disturbed, and has no copies of its own */
    /* Whose credential must allow the caller: the peer's (far), our own (near); NULL: none does. */
    const struct credential *vouch;
    wall_s wall_now; /* near: for the ends of faults; need not be told where the policy has none */
    uint64_t dice;   /* uniform 64 bits, for the weighted split of a route that is not sticky */
};

enum exchange_state {
    EXCHANGE_NEW,
    EXCHANGE_SEEKING,   /* wants a back side */
    EXCHANGE_SENDING,   /* has one, which has not answered */
    EXCHANGE_PAUSING,   /* until times.resume_at: before a retry, or held up by a fault; no back side */
    EXCHANGE_ANSWERING, /* the answer, or a tcp connection, has begun: nothing is tried again */
    EXCHANGE_OVER
};
enum exchange_from { FROM_FRONT, FROM_BACK };

/* Of the near agent; at the far one there is one try, and none of this (tries.c). */
struct exchange_tries {
    struct traffic_tried tried;
    const struct view_endpoint *last; /* just tried; NULL: nobody yet */
    struct load *load;                /* of the endpoint, while a try of it is under way; NULL: not counted */
    struct traffic_outcome outcome;   /* of that try */
    mono_us began_us;                 /* that one */
    struct replay replay;
    unsigned retries; /* made */
    bool is_probe;    /* of the endpoint, which was ejected until now */
    bool continued;   /* the client has been told 100 */
};
struct exchange_times {  /* times.c; NEVER: none */
    mono_ms deadline;    /* of the whole request */
    mono_ms end_by;      /* of the stream, whatever it does */
    uint64_t per_try_ms; /* 0: as long as all of it */
    mono_ms try_by;      /* SENDING: when the try has lasted long enough */
    mono_ms resume_at;   /* PAUSING: when the pause is over */
    /* Silence: whether anything has stirred since it was last looked at. */
    uint64_t stirs, looked_stirs; /* heads and pieces of bodies, both ways */
    mono_ms look_at, stirred_at;
    uint64_t idle_ms, look_ms;
};

struct exchange {
    enum exchange_state state;
    enum exchange_role role;
    struct view *view; /* pinned */
    struct side *front, *back;
    struct traffic *traffic; /* of this worker */
    struct list_node news;   /* in the owner's list when it wants a back side or is over */
    struct list *news_list;
    char service[SERVICE_NAME_MAX + 1]; /* whose endpoint answers: the route's target */
    char caller[SERVICE_NAME_MAX + 1];  /* as judged */
    char subset[SERVICE_NAME_MAX + 1];
    uint8_t hops;
    bool vouched; /* the credential at hand speaks for the caller */
    /* Near, of the pinned view's policy: the service that was asked for, its route for this request, and its settings (what a
     * route may say otherwise, timeouts and retry, stands in the route). NULL: refused before it was found, and at the far agent. */
    const struct policy_service *asked;
    const struct policy_route *route;
    const struct policy_settings *settings;
    const struct policy_subset *wanted_subset;
    /* A route that edits, and its service: for what an application of this host gets and answers (edit.h). NULL: none does. */
    const struct policy_route *edits;
    const struct policy_service *edits_of;
    /* Near: the service that is to get a copy of the request, until the owner has seen to it when SEEKING; NULL: none is */
    const struct policy_service *mirror_to;
    /* Near, PAUSING before the first try: the fault that answers then; NULL: nothing does */
    const struct policy_fault *aborts_by;
    struct tap *tap; /* NULL: none listens */
    /* What the owner is to connect to, when SEEKING: */
    const struct view_endpoint *endpoint; /* near; NULL at the far agent */
    struct addr app;                      /* a local application; port 0: the endpoint's node, by a link */
    bool insists;                         /* on this endpoint, though it failed lately: no other is left */
    bool fresh;                           /* not one of the pool's connections: that was stale */
    uint8_t entered;                      /* bits of enum breaker_kind: where it is counted in `breaker` */
    struct breaker *breaker;              /* near: of the service that is to answer */
    mono_us now_us;                       /* the newest that was told */
    uint32_t connect_ms;
    struct exchange_tries tries;
    struct exchange_times times;
    uint64_t dice;      /* for the jitter of pauses */
    bool ended[2];      /* by enum exchange_from */
    bool tunnel;        /* both directions are plain bytes: TCP, or after 101 */
    bool back_answered; /* any byte came */
    /* These two last: what is large in them is not cleared for each exchange. */
    struct facts facts;
    struct http_head request; /* HTTP */
};

/* Takes its own reference to the view. `news` is where it will put itself. */
void exchange_init(struct exchange *x, enum exchange_role role, struct view *view, struct traffic *traffic,
                   struct side *front, struct list *news, mono_us now_us);
void exchange_fini(struct exchange *x);

/* Judges and chooses; afterwards the exchange is SEEKING, or OVER with the refusal told to the front. Moves
 * the head out of *request (NULL for TCP). */
void exchange_start(struct exchange *x, const struct exchange_ask *ask, struct http_head *request_take,
                    mono_ms now);

/* From the owner: what was wanted. exchange_waiting(): it is not there at once, but waited for; it may be refused then, for too many
 * wait already. exchange_back_failed(): `why` is ERR_REFUSED, ERR_TIMEOUT, ...; ERR_AGAIN: it failed lately and was not even asked, or
 * the network may have lost the question and there is time for another. Another endpoint may be chosen and wanted; if there is
 * none after ERR_AGAIN, the same one, once, with `insists`: then it is to be asked, and waited for within the same connect_ms. */
void exchange_waiting(struct exchange *x);
void exchange_back_ready(struct exchange *x, struct side *back, mono_us now_us);
void exchange_back_failed(struct exchange *x, enum err why, mono_us now_us);

/* From the sides. `head` from the back only: 1xx are passed on, 101 begins a tunnel. `v` NULL: no agent
 * refused. */
void exchange_head(struct exchange *x, const struct http_head *h, const struct mesh_verdict *v,
                   mono_us now_us);
size_t exchange_room(const struct exchange *x, enum exchange_from from); /* bytes of DATA that may be given */
void exchange_data(struct exchange *x, enum exchange_from from, struct bytes d);
/* Nothing more comes from there. A front that has trailers waits for a back side, as with bytes: until there is room. */
void exchange_end(struct exchange *x, enum exchange_from from, const struct http_head *trailers_or_null,
                  mono_us now_us);
/* The side is gone, or broke its protocol (`flag` FLAG_NONE: the usual one), and has been forgotten. */
enum exchange_loss {
    LOSS_CUT,     /* reset, closed too early */
    LOSS_STALE,   /* back: a pooled connection that had ended before it said a byte */
    LOSS_REFUSED, /* back: the stream was never looked at (mux: REFUSED) */
    LOSS_BROKEN,  /* not the protocol */
};
void exchange_lost(struct exchange *x, enum exchange_from from, enum exchange_loss loss, mono_us now_us);
void exchange_writable(struct exchange *x, enum exchange_from sink); /* that side has room again */

/* Another view is in force. The one it began with stays its own (P33), with one exception: what an overlay let through ends with
 * that overlay, and what one denies now is cut, for neither may last as long as a stream does. */
void exchange_rejudge(struct exchange *x, const struct view *now);

void exchange_tick(struct exchange *x, mono_ms now);
mono_ms
exchange_tick_at(const struct exchange *x); /* when exchange_tick() has something to do at the earliest */
/* What is left of the deadline, at least 1; 0 = no deadline. */
uint32_t exchange_left_ms(const struct exchange *x, mono_ms now);
const char *exchange_state_name(enum exchange_state s);

#endif
