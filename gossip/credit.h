/* credit.h: how much is taken on the word of others before we have looked ourselves. A bucket of tokens: one is spent on
 * each thing done on a mere word, one comes back every so often, and at once when the word proved true.
 *
 * So what false words can cost does not depend on who says them, on how many there are, or on under how many names: a flood
 * spends the burst once and then as much as comes back. And true words, however many at once, as when a rack is lost, spend
 * nothing in the end (ADVERSARY G4, G15). Who was wrong lately needs more to be left than who was not. Integers, pure. */
#ifndef GOSSIP_CREDIT_H
#define GOSSIP_CREDIT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"

enum { CREDIT_MAX = 64 }; /* that may be earned */

struct credit {
    uint32_t burst, every_ms; /* one comes back each time, while there are fewer than `burst` */
    uint32_t left;
    mono_ms at; /* when `left` was counted */
};

static inline struct credit credit_new(uint32_t burst, uint32_t every_ms, mono_ms now)
{
    return (struct credit){.burst = burst, .every_ms = every_ms, .left = burst, .at = now};
}

static inline void credit_refill(struct credit *c, mono_ms now)
{
    uint64_t back = now > c->at ? (now - c->at) / c->every_ms : 0;
    c->at = c->left + back >= c->burst ? now : c->at + back * c->every_ms;
    if (c->left < c->burst)
        c->left = back >= c->burst - c->left ? c->burst : c->left + (uint32_t)back;
}

static inline bool credit_is_full(struct credit *c, mono_ms now)
{
    credit_refill(c, now);
    return c->left >= c->burst;
}

static inline bool credit_has(struct credit *c, mono_ms now)
{
    credit_refill(c, now);
    return c->left > 0;
}

/* Spends one if at least `least` >= 1 are there; more than `burst` are never asked for. */
static inline bool credit_take(struct credit *c, uint32_t least, mono_ms now)
{
    credit_refill(c, now);
    if (c->left < (least < c->burst ? least : c->burst))
        return false;
    c->left--;
    return true;
}

/* A word proved true: what it cost comes back, and as much again. So when many words are true at once, each round of looks is
 * twice as large as the one before, as TCP's window in slow start. */
static inline void credit_earn(struct credit *c)
{
    c->left += c->left + 2 <= CREDIT_MAX ? 2 : c->left < CREDIT_MAX;
}

#endif
