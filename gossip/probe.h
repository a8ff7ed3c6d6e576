/* probe.h: probes under way, probes done for others, and whose turn it is. SWIM sections 3.1 and 4.3.
 *
 * A probe is known by a 64-bit nonce of its own: an ack counts only with the nonce of a probe under way and
 * only from the member that was probed, as the channel authenticated it (ADVERSARY G23, G24). The nonces are
 * not secrets; the sender's identity is.
 *
 * Turns: SWIM's shuffled round robin, without a shuffled list. A linear congruential generator of full period
 * (Hull and Dobell 1962: c odd, a = 1 mod 4) walks 0..2^k-1 >= count in an order drawn afresh for each round;
 * values that are no slot are skipped. Each member is probed once a round; one that arrives in mid-round
 * waits at most until the end of the next. */
#ifndef GOSSIP_PROBE_H
#define GOSSIP_PROBE_H

#include "base/addr.h"
#include "base/clock.h"
#include "base/rng.h"
#include "base/rtt.h"

struct member;

enum {
    PROBES_MAX = 256,      /* under way at once, as after the loss of a rack; one more is not begun */
    PROBE_RELAYS_MAX = 8,  /* SWIM's k is capped here */
    RELAYS_MAX = 64,       /* probes done for others at once; one more is refused */
    RELAYS_PER_MEMBER = 4, /* ... of these for one member: one packet out per packet in (ADVERSARY G17) */
};

enum probe_reason {
    PROBE_TURN,   /* its turn, or evidence from traffic: direct, then through others, then suspect */
    PROBE_VERIFY, /* a suspicion or a memory is checked: direct only */
    PROBE_RETRY, /* a dead member is tried again, or we want to know whether anybody hears us: direct only, its
                     failure means nothing */
};

struct probe {
    struct member *target;
    uint64_t nonce;
    mono_us sent_us;                     /* when it really went out; 0: not yet */
    mono_ms sent_at, again_at, deadline; /* again_at: NEVER once done or never due */
    uint8_t pings;                       /* sent so far */
    enum probe_reason reason;
    uint8_t relay_count;
    uint8_t acks, nacks;         /* bit k: relay[k] has its ack; has heard nothing either */
    bool is_direct;              /* TURN: nobody else is asked */
    bool is_missed;              /* TURN: because it did not come in its own */
    bool is_knocked, is_refused; /* its TCP port was tried too; it refused us */
    struct member *relay[PROBE_RELAYS_MAX];
    struct member *tell; /* RETRY: holds the target alive, and is told if it does not answer; or NULL */
};

static inline int relays_in(uint8_t bits) /* how many are in `acks` or `nacks` */
{
    int n = 0;
    for (; bits; bits &= (uint8_t)(bits - 1))
        n++;
    return n;
}

struct probes {
    struct probe *list; /* in order of their beginning */
    uint32_t count, cap;
};

void probes_fini(struct probes *p);
/* NULL: full, no memory. The pointer is good until the next add or remove. */
struct probe *probes_add(struct probes *p);
void probes_remove(struct probes *p, struct probe *probe);
struct probe *probes_find(const struct probes *p, uint64_t nonce);
struct probe *probes_of(const struct probes *p, const struct member *m); /* the first under way; or NULL */
uint32_t probes_count_asking(const struct probes *p);                    /* under way, but for RETRY */
static inline bool probes_has_target(const struct probes *p, const struct member *m)
{
    return probes_of(p, m) != NULL;
}
mono_ms probes_deadline(const struct probes *p);
void probes_forget(struct probes *p, const struct member *m);
void probes_delay(struct probes *p, uint32_t late_ms);

/* A probe on behalf of `origin`. */
struct relay {
    struct member *origin, *target;
    struct addr origin_via;
    uint64_t origin_nonce, nonce;
    mono_ms again_at; /* its second ping; NEVER once sent */
    mono_ms nack_at;  /* NEVER once said */
    mono_ms deadline;
};
struct relays {
    struct relay *list;
    uint32_t count, cap;
};
void relays_fini(struct relays *p);
/* NULL: full, over RELAYS_PER_MEMBER, no memory. Drops what is past its deadline first. */
struct relay *relays_add(struct relays *p, const struct member *origin, mono_ms now);
/* Takes out the relay with this nonce if `target` is whom it probed. False: there is none. */
bool relays_take(struct relays *p, uint64_t nonce, const struct member *target, struct relay *out);
void relays_forget(struct relays *p, const struct member *m);
/* For how many members we have probed it in vain within the last interval, and told them so. */
uint32_t relays_in_vain(const struct relays *p, const struct member *target, mono_ms now);
mono_ms relays_deadline(const struct relays *p); /* of the next ping or nack */
void relays_delay(struct relays *p, uint32_t late_ms);

/* The share of round trips that fail, as probes see it that end well: a mean over the last sixteen or so, in 65536ths.
 * Those of the dead are no loss and do not count. */
void loss_sample(uint16_t *loss, bool is_lost);
enum {
    LOSS_PINGS_MIN = 2,
    LOSS_PINGS_MAX = 10,
    LOSS_OWN_FAULT = 52000, /* four of five fail with everybody: it is us, and we accuse nobody */
};
/* How many pings a probe needs so that all of them are lost once in a thousand times. Two while hardly any is. */
uint8_t loss_pings(uint16_t loss);

struct turns {
    uint64_t at, step, left;
    uint32_t factor, mask;
};
/* The next slot in [0, count); count > 0. */
uint32_t turns_next(struct turns *t, struct rng *r, uint32_t count);

#endif
