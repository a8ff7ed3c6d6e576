/* The agent's durable state: one LMDB environment in the data folder, named databases, a versioned schema,
 * and a writer thread.
 *
 *   meta      "schema", "mesh", "node", "txn"  refused when of another version, mesh or node
 *   self      "incarnation", "udp_timestamp"   be64; only rise; durable before they are used on the wire
 *             "revoked/" and a key             be64 time; what no later policy takes back
 *             "roots"                          a fact: the chain of roots, durable before it is used
 *             "time"                           a fact: the latest time seen
 *   members   node id -> signed record         at worst old, never wrong: verified again when loaded
 *   policy    "floor", "active"                be64 epoch | be64 version; one transaction with the bundle
 *   bundles   be64 epoch | be64 version -> bundle
 *   aside     damaged values, kept for whoever wants to look
 *
 * Every value carries a checksum (LMDB has none): a damaged member or bundle is set aside and reported, never
 * used; damage in anything else refuses the whole file. Default LMDB flags only (durable on commit). The map
 * grows in steps up to STORE_MAP_MAX. Opening is guarded: the file is created beside, synced and renamed; a
 * size that cannot be right, a symlink, a directory, another node's file are refused with a message before
 * anything is mapped, and a child process walks all of it first. Nothing is ever deleted or made anew in
 * place of something damaged: the message says what to do. A second process is refused by a lock on the
 * folder.
 *
 * Reads are synchronous and cheap. Writes are queued to the writer thread and grouped into one transaction;
 * each is confirmed in order. A full disk fails the whole group (never half of it), is reported, and is tried
 * again by the next write.
 *
 * All functions belong to one thread, the owner's. docs/store.md tells it from the operator's side. */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include "base/buf.h"
#include "base/err.h"
#include "base/id.h"

struct store;

enum {
    STORE_SCHEMA = 1,
    STORE_QUEUE_MAX = 4096,                   /* writes waiting or not yet polled; one more is ERR_FULL */
    STORE_QUEUE_BYTES_MAX = 64 * 1024 * 1024, /* of their values; more is ERR_FULL */
    STORE_POLICY_HISTORY = 50,                /* bundles kept; the lowest is dropped */
    STORE_ASIDE_MAX = 64,                     /* damaged values kept; further ones are dropped */
    STORE_MAP_MIN = 4 * 1024 * 1024,          /* first size of the file (sparse); doubled when full ... */
    STORE_MAP_MAX = 1024 * 1024 * 1024,       /* ... up to this, then writes are ERR_FULL */
};

/* Opens (or creates) the state in `dir` (created 0700 if missing). On error `why` (a sentence: what, where,
 * what to do) is filled in. ERR_EXISTS: another agent runs on this folder. ERR_DAMAGED. ERR_FOREIGN: another
 * schema or file format. ERR_DENIED: the folder is open to others, of another owner, or read-only.
 * ERR_INVALID: something that is not our file is in its place. ERR_FULL, ERR_IO, ERR_NOMEM. `wake` is called
 * from the writer thread when store_poll_done() has news. Forks a child for a moment: call it before other
 * threads hold locks that matter to them. */
must_check enum err store_open(struct store **out, const char *dir, void (*wake)(void *arg), void *arg,
                               struct buf *why);
/* The same with another cap on the map, for small disks and tests. */
must_check enum err store_open_capped(struct store **out, const char *dir, size_t map_bytes_max,
                                      void (*wake)(void *arg), void *arg, struct buf *why);
/* Waits for queued writes, then closes. Confirmations not yet polled are lost. */
void store_close(struct store *s);

/* Binds the state to this mesh and node on first use, refuses another later: ERR_FOREIGN. Synchronous,
 * durable. */
must_check enum err store_bind(struct store *s, struct bytes mesh, const struct node_id *node);
/* Whether a node was bound: this folder has had an identity. */
must_check enum err store_is_bound(struct store *s, bool *out);

/* Numbers that only rise ("incarnation", "udp_timestamp", ...). ERR_DAMAGED: stop; do not begin again at 0.
 */
must_check enum err store_number_get(struct store *s, const char *name, uint64_t *out); /* 0 if never set */
/* Synchronous and durable on ERR_OK. ERR_STALE: lower than what is stored. On any other error the number may
 * not be used. */
must_check enum err store_number_raise(struct store *s, const char *name, uint64_t value);

/* The same through the queue, for a loop that may not wait for a disk: the number may be used once its ticket
 * is confirmed with ERR_OK. `name` is copied. ERR_FULL, ERR_NOMEM: nothing was queued. */
must_check enum err store_number_raise_queued(struct store *s, const char *name, uint64_t value,
                                              uint64_t ticket);

/* Facts of this agent that are kept whole under a name ("roots", ...), beside the numbers: damage in one refuses the whole
 * file. Appends to *out, nothing if it was never set. Writing is queued and copies; the last one queued stays. */
must_check enum err store_fact_get(struct store *s, const char *name, struct buf *out);
must_check enum err store_fact_put(struct store *s, const char *name, struct bytes value, uint64_t ticket);

/* Members. `each` gets borrowed bytes and may not call the store; damaged entries are counted in *damaged and
 * set aside. */
must_check enum err store_members_each(struct store *s,
                                       void (*each)(void *arg, const struct node_id *id, struct bytes record),
                                       void *arg, size_t *damaged);
/* Queued; copies. An empty record deletes. A `ticket` other than 0 is confirmed by store_poll_done(); with 0
 * nobody asks, it may wait half a second for others (a crash loses it then), and a failure shows in store_health() only. ERR_FULL: the queue is full; nothing was queued.
 * ERR_NOMEM. */
must_check enum err store_member_put(struct store *s, const struct node_id *id, struct bytes record,
                                     uint64_t ticket);

/* Policy. The floor (epoch, version) never goes down; activating below it is ERR_STALE (confirmed as the
 * outcome). Queued; one transaction stores the bundle, makes it active, raises the floor and trims the
 * history. ERR_FULL, ERR_NOMEM as above. */
must_check enum err store_policy_activate(struct store *s, uint64_t epoch, uint64_t version,
                                          struct bytes bundle, uint64_t ticket);
/* The active bundle, appended to out (nothing if there is none), and the floor (0, 0 if none). ERR_DAMAGED:
 * the bundle cannot be used and was set aside; the floor is filled in and stays in force, and the same bundle
 * may be activated again. */
must_check enum err store_policy_active(struct store *s, struct buf *out, uint64_t *floor_epoch,
                                        uint64_t *floor_version);

/* A bundle of the history, appended to out. ERR_NOT_FOUND: none of that number is kept. ERR_DAMAGED: it cannot be used. */
must_check enum err store_policy_get(struct store *s, uint64_t epoch, uint64_t version, struct buf *out);

/* Keys that were revoked, each with a time of its owner's. What is once here stays until it is deleted. Queued; the ticket
 * as above. `since` 0 deletes. ERR_FULL, ERR_NOMEM: nothing was queued. */
must_check enum err store_revoked_put(struct store *s, const struct node_id *key, uint64_t since,
                                      uint64_t ticket);
/* `each` may not call the store. ERR_DAMAGED: some could not be read; it is not known what is missing. */
must_check enum err store_revoked_each(struct store *s,
                                       void (*each)(void *arg, const struct node_id *key, uint64_t since),
                                       void *arg);

/* Confirms finished writes in order: their ticket and outcome. False: nothing new. Call on the owner's loop
 * after `wake`. */
bool store_poll_done(struct store *s, uint64_t *ticket, enum err *outcome);
/* The last write's error (ERR_FULL: disk or map full); ERR_OK while healthy, and again after the next write
 * that succeeds. */
enum err store_health(const struct store *s);

#endif
