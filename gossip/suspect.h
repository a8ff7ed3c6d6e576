/* suspect.h: how long a suspicion lasts, and who has confirmed it.
 *
 * Lifeguard (Dadgar et al. 2018), LHA-Suspicion: the timer starts at its longest and each independent
 * confirmation shortens it on a logarithmic scale, down to the shortest after SUSPECT_CONFIRMS of them:
 *     longest = mult * max(1, log10 n) * interval          shortest = mult * interval
 * A confirmation counts once per accuser and only when the accuser itself told us: whom a relay names is the
 * relay's word. What SWIM and Lifeguard lack: a suspicion that others brought is verified by own probes,
 * spread over its life, before it may become a death here (ADVERSARY R3, G4: one accuser removes nobody for
 * others). Integers only: same on every machine. */
#ifndef GOSSIP_SUSPECT_H
#define GOSSIP_SUSPECT_H

#include "base/clock.h"
#include "base/id.h"

struct member;

enum {
    SUSPECT_CONFIRMS = 3,
    SUSPECT_VERIFY_TRIES = 4,
    SUSPECT_REFUSERS = 3, /* whose words of refused dials are kept and passed on */
};

struct suspicion {
    uint32_t place; /* in struct suspicions */
    struct member *member;
    mono_ms start, deadline;
    mono_ms verify_at; /* next own probe; NEVER after the last */
    uint8_t tries;     /* own probes begun */
    uint8_t spared,
        doomed;       /* own looks that were not answered: relays said that theirs were; they were not */
    uint8_t accusers; /* used entries of accuser[] */
    bool is_hearsay;  /* accuser[0] did not tell us itself: a relay named it */
    bool is_unsure; /* hearsay in the accuser's name was wrong: told to nobody before a look of ours fails */
    bool is_on_credit;   /* believed before our own look (credit.h) */
    bool is_own;         /* a probe of ours failed while others answered us */
    bool is_told;        /* ... and we said so */
    bool is_unwitnessed; /* no relay says that it hears nothing either: that may be our own fault */
    bool is_hastened;    /* another member holds it dead */
    bool is_refused;     /* a dial of ours was refused */
    uint8_t refusers;    /* used entries of refuser[] */
    struct node_id accuser[SUSPECT_CONFIRMS + 1];
    struct node_id refuser[SUSPECT_REFUSERS]; /* others who say that theirs were */
};

/* All that are open, in the order in which they began. After a split a member doubts half of all others, and something is due
 * for one of them nearly each millisecond: so what is due when lies side by side, and only those are touched for which
 * it is. */
struct suspicions {
    struct suspicion **list; /* NULL: it is over */
    mono_ms *due;            /* of list[i] the earlier of deadline and verify_at; NEVER: it is over */
    uint32_t count, cap, over;
};
/* Takes it over. False: no memory, and it is the caller's. */
bool suspicions_add(struct suspicions *q, struct suspicion *s_take);
void suspicions_end(struct suspicions *q, struct suspicion *s); /* frees it; the others keep their places */
void suspicions_fini(struct suspicions *q);
void suspicions_tidy(
    struct suspicions *q); /* places of those that are over are given up: not while going through them */
/* To be called when its deadline or verify_at has changed. Returns when it is due. */
static inline mono_ms suspicions_reschedule(struct suspicions *q, const struct suspicion *s)
{
    return q->due[s->place] = s->deadline < s->verify_at ? s->deadline : s->verify_at;
}

/* 1000 * log10(n) for n >= 1, to about four hundredths: linear between 1, 2, 3, 5, 10, ... */
uint32_t suspect_log10_milli(uint32_t n);
uint32_t suspect_timeout_ms(uint32_t mult, uint32_t interval_ms, uint32_t members, uint32_t confirmations);
/* Notes an accuser. True: it is a new one and confirmations rose. */
bool suspect_confirm(struct suspicion *s, const struct node_id *accuser);
/* Notes one whose dial was refused. True: it is a new one. */
bool suspect_refused_by(struct suspicion *s, const struct node_id *who);
static inline uint32_t suspect_confirmations(const struct suspicion *s)
{
    return s->accusers > 0 ? s->accusers - 1u : 0;
}

#endif
