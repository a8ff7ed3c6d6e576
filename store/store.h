/* The agent's durable state: one LMDB environment in the data folder, named databases, a versioned schema, and a writer thread.
 *
 *   meta      "schema", "mesh", "node"        refused when of another version, mesh or node
 *   self      "incarnation", "udp_timestamp"  be64; only rise; durable before they are used on the wire
 *   members   node id -> signed record        at worst old, never wrong: re-verified by signature when loaded
 *   policy    "floor", "active", be64 epoch|be64 version -> bundle   the active one and its floor are one transaction
 *
 * Every value carries a checksum (LMDB has none): a damaged one is reported by name and set aside, never used.
 * Default LMDB flags only (durable on commit). The map grows in steps up to STORE_MAP_MAX. Opening is guarded: the file is created
 * beside, synced and renamed; a size that cannot be right, a symlink, a directory, another node's file are refused with a
 * message before anything is mapped. A second process is refused by a lock on the folder.
 *
 * Reads are synchronous and cheap. Writes are queued to the writer thread and grouped into one transaction; each is confirmed in
 * order. A full disk fails the whole group (never half of it), is reported, and is retried by the next write. */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include "base/buf.h"
#include "base/err.h"
#include "base/id.h"

struct store;

enum {
    STORE_SCHEMA = 1,
    STORE_QUEUE_MAX = 4096,             /* writes waiting; one more is ERR_FULL */
    STORE_POLICY_HISTORY = 50,
};

/* Opens (or creates) the state in `dir` (created 0700 if missing). On error `why` (a sentence: what, where, what to do)
 * is filled in. ERR_EXISTS: another agent runs on this folder. ERR_DAMAGED, ERR_FOREIGN (another schema), ERR_DENIED
 * (permissions of the folder are too open), ERR_IO. `wake` is called from the writer thread when store_poll_done() has news. */
must_check enum err store_open(struct store **out, const char *dir, void (*wake)(void *arg), void *arg, struct buf *why);
/* Waits for queued writes, then closes. */
void store_close(struct store *s);

/* Binds the state to this mesh and node on first use, refuses another later: ERR_FOREIGN. Synchronous, durable. */
must_check enum err store_bind(struct store *s, struct bytes mesh, const struct node_id *node);

/* Numbers that only rise ("incarnation", "udp_timestamp", ...). */
must_check enum err store_number_get(struct store *s, const char *name, uint64_t *out); /* 0 if never set */
/* Synchronous and durable on ERR_OK. ERR_STALE: lower than what is stored. */
must_check enum err store_number_raise(struct store *s, const char *name, uint64_t value);

/* Members. `each` gets borrowed bytes; damaged entries are counted in *damaged and moved aside. */
must_check enum err store_members_each(struct store *s, void (*each)(void *arg, const struct node_id *id, struct bytes record), void *arg,
                                       size_t *damaged);
/* Queued; copies. An empty record deletes. `ticket` (may be 0) is confirmed by store_poll_done(). */
must_check enum err store_member_put(struct store *s, const struct node_id *id, struct bytes record, uint64_t ticket);

/* Policy. The floor (epoch, version) never goes down; activating below it is ERR_STALE. Queued; one transaction stores the bundle,
 * makes it active, raises the floor and trims the history. */
must_check enum err store_policy_activate(struct store *s, uint64_t epoch, uint64_t version, struct bytes bundle, uint64_t ticket);
/* The active bundle, copied into out (empty if there is none), and the floor. ERR_DAMAGED: named in the log; keep the floor. */
must_check enum err store_policy_active(struct store *s, struct buf *out, uint64_t *floor_epoch, uint64_t *floor_version);

/* Confirms finished writes in order: their ticket and outcome. False: nothing new. Call on the owner's loop after `wake`. */
bool store_poll_done(struct store *s, uint64_t *ticket, enum err *outcome);
/* The last write error and when the store began to fail; ERR_OK while healthy. For health and logs. */
enum err store_health(const struct store *s);

#endif
