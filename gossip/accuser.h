/* accuser.h: whose accusations proved false, and how long each is doubted for it. Opinions are not signed facts: anybody can
 * say of anybody that it is dead, under anybody's name. What an accuser is worth follows from what our own looks found
 * (ADVERSARY G4, G15: a flood of accusations must cost the accuser's credit, not everybody's bandwidth).
 *
 * Each name has two such accounts, in two tables: for what it told us itself, over its own session, and for what relays told us
 * in its name. Only the member itself can run down the first. Any liar can run down the second, which makes us doubt hearsay in
 * that name, and make none of its own word before our look. So nobody is blamed for another's lies, and a flood under borrowed
 * names ends like any other.
 *
 * A strike: we looked, and the accused answered the first look. In a bad network the honest get some too, so three are
 * free, and one is forgiven every fifteen seconds. One more, and the accuser is doubted for ten seconds, the next time for
 * eight times as long, up to 85 minutes; a death that our own probes confirm clears its accusers. The word of a doubted
 * one makes nobody do anything, and before that each strike means that more credit must be left (hearing.c). So a lie costs
 * little, and a true word of one who was doubted is told by others a moment later.
 *
 * A fixed table: when it is full, who is least doubted goes. Pure; belongs to one instance. */
#ifndef GOSSIP_ACCUSER_H
#define GOSSIP_ACCUSER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/id.h"

enum {
    ACCUSERS_MAX = 256, /* doubted at once; beyond, who is doubted for the shortest time is believed again */
    STRIKES_FREE = 3,
    STRIKE_FORGIVEN_MS = 15 * 1000,
    UNPROVED_MAX = 3,                   /* that count */
    UNPROVED_FORGOTTEN_MS = 120 * 1000, /* one of them each time */
    DOUBT_MIN_MS = 10 * 1000,
    DOUBTS_MAX = 4,                   /* doubts that count: 10 s * 8^(4 - 1) is 85 minutes */
    DOUBT_FORGOTTEN_MS = 3600 * 1000, /* doubts are forgotten so long after the last has ended */
};

struct accuser {
    struct node_id id;
    mono_ms until;     /* doubted before this */
    mono_ms struck_at; /* last */
    uint8_t strikes;   /* not forgiven yet, at that time */
    uint8_t doubts;    /* how often it was doubted */
    uint8_t unproved;  /* at told_s: accusations that it brought, and nobody has seen to be true */
    uint32_t told_s;
};

struct accusers {
    uint32_t count;
    uint32_t tag
        [ACCUSERS_MAX]; /* the beginnings of their names, side by side: nearly all that are looked up are not there */
    struct accuser at[ACCUSERS_MAX];
};

bool accusers_doubt(const struct accusers *a, const struct node_id *id, mono_ms now);
uint32_t accusers_strikes(const struct accusers *a, const struct node_id *id, mono_ms now); /* not forgiven */
void accusers_strike(struct accusers *a, const struct node_id *id, mono_ms now);
/* How many accusations it brought of late of which we have not seen that they are true; and one more. */
uint32_t accusers_unproved(const struct accusers *a, const struct node_id *id, mono_ms now);
void accusers_tells(struct accusers *a, const struct node_id *id, mono_ms now);
void accusers_proved(struct accusers *a, const struct node_id *id); /* one was: none counts any more */
void accusers_clear(struct accusers *a, const struct node_id *id);  /* its word was true */

#endif
