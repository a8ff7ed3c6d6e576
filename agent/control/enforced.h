/* The policy in force: the one slot through which a bundle becomes law on this agent.
 *
 * A candidate is verified against the root, compiled, its tests run, compared with what is in force and with
 * the stored floor, then stored, and only then enforced. One candidate at a time; refusals are counted under
 * their reason. */
#ifndef CONTROL_ENFORCED_H
#define CONTROL_ENFORCED_H

#include "observe/metrics.h"
#include "policy/bundle.h"
#include "store/store.h"

enum {
    DOC_POLICY = 1, /* gossip's kind of document */
    ENFORCED_LACKING_MAX = 256,
};

struct enforced {
    struct policy *policy; /* NULL: none; everything is denied */
    struct buf bundle;
    uint64_t epoch, version; /* in force; 0,0 when none */
    struct hash hash;
    uint64_t floor_epoch, floor_version; /* durable; never falls */
    bool damaged; /* the stored bundle could not be used: nothing is enforced but denial */
    bool forked;  /* two validly signed bundles of one version were seen */
    bool
        unvouched; /* the root in force does not vouch for it, an earlier one did: it stays, until another is published */
    struct buf waiting; /* enforced_wait() */
    struct { /* the newest bundle that needs what this agent cannot do; the one before stays in force */
        bool seen;
        uint64_t epoch, version;
        char what[ENFORCED_LACKING_MAX]; /* "retry, mirror" */
    } lacking;
    struct {
        bool busy;
        struct policy *policy;
        struct buf bundle;
        uint64_t epoch, version;
        struct hash hash;
    } next;
    struct metrics *metrics;
};

/* Loads what was in force before, by the newest of `roots` that vouches for it. A damaged or unverifiable bundle leaves the floor up and denies everything;
 * `why` then says so and ERR_OK is returned: the agent starts and waits for a good bundle. */
must_check enum err enforced_init(struct enforced *f, struct store *s, const struct chain *roots,
                                  struct metrics *m, struct buf *why);
void enforced_fini(struct enforced *f);
/* Judges what is in force by a new root. It stays in force whatever comes of it: a rotation must not stop traffic, and
 * what it denied it goes on denying; without the new root's word it is marked `unvouched`. */
void enforced_rejudge(struct enforced *f, const struct root *root);
/* Checks a candidate and hands it to the store. Under a root that has expired at `now` nothing new is taken (ERR_EXPIRED). `why` says what was wrong. ERR_OK: under way, the store
 * confirms `ticket`; ERR_AGAIN: another is under way; ERR_EXISTS: already in force; anything else: refused.
 */
must_check enum err enforced_offer(struct enforced *f, struct store *s, const struct root *root,
                                   struct bytes bundle, wall_s now, uint64_t ticket, struct buf *why);
/* Keeps a bundle that was refused for its signers, its epoch or an expired root, in the place of the last such one: gossip brings
 * roots and policies apart, in any order, and its root may be on its way. Copies. */
void enforced_wait(struct enforced *f, struct bytes bundle);
/* The store has answered. True: the candidate is in force now. */
bool enforced_confirmed(struct enforced *f, enum err outcome);

#endif
