/* The policy in force: the one slot through which a bundle becomes law on this agent.
 *
 * A candidate is verified against the root, compiled, its tests run, compared with what is in force and with
 * the stored floor, then stored, and only then enforced. One candidate at a time; refusals are counted under
 * their reason. */
#ifndef CONTROL_ENFORCED_H
#define CONTROL_ENFORCED_H

#include "control/history.h"
#include "observe/metrics.h"
#include "policy/bundle.h"
#include "store/store.h"

enum {
    DOC_POLICY = 1, /* gossip's kind of document */
    ENFORCED_WARN_S =
        30 * 24 * 3600, /* before a policy's end, or the last third of its life if that is less */
};

/* Of a validly signed bundle above what is in force, which is not taken all the same. */
struct enforced_failed {
    uint64_t epoch, version;
    char reason[RECORD_REASON_MAX + 1]; /* feature, text, store; or fork, of the version in force or being
                                        rolled out; empty: nothing */
    char what[RECORD_WORDS_MAX + 1];    /* printable ASCII: "retry, mirror" */
};

struct enforced {
    struct policy *policy; /* NULL: none; everything is denied */
    struct buf bundle;
    uint64_t epoch, version; /* in force; 0,0 when none */
    struct hash hash;
    uint64_t floor_epoch, floor_version; /* durable; never falls */
    bool damaged;   /* the stored bundle could not be used: nothing is enforced but denial */
    bool unvouched; /* the root in force does not vouch for it, an earlier one did: it stays, until another is
                       published */
    struct history history;        /* durable: what was in force, and the alarms about what is */
    bool history_dirty;            /* enforced_save() */
    struct buf waiting;            /* enforced_wait() */
    struct enforced_failed failed; /* the newest; the one before stays in force */
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
/* The store has answered, at `now`. True: the candidate is in force now. */
bool enforced_confirmed(struct enforced *f, enum err outcome, wall_s now);
/* Queues the history if it has changed; what the store does not take is tried again at the next call. */
void enforced_save(struct enforced *f, struct store *s);

/* ADVERSARY B12: the signers have contradicted each other, `b` carries the version of the one that is in force or being rolled
 * out, whose hash is `held`. Told once, counted each time it is seen; save. */
void enforced_alarm_fork(struct enforced *f, const struct bundle *b, const struct hash *held);
/* Two validly signed bundles carry the version in force, or one above it that is being rolled out: true over restarts, until a
 * next version is in force. *other: the hash of the one that is not. */
bool enforced_is_forked(const struct enforced *f, struct hash *other);
/* It stays enforced, whatever it allows and denies; who sees it once expired holds it so, whatever the clock says later
 * (ADVERSARY B8, B9). Look now and then, and save. */
bool enforced_is_expired(const struct enforced *f);
void enforced_look_at_clock(struct enforced *f, wall_s now);
bool enforced_expires_soon(const struct enforced *f, wall_s now);
/* The failure or the fork that others should know of; an empty reason: none. */
struct enforced_failed enforced_trouble(const struct enforced *f);

#endif
