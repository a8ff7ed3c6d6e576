/* The parts of the policy that delegates sign, and how they and the policy become one.
 *
 * Of each delegation of the root the newest part is kept: verified, stored, and only then used. All of them together are
 * one document of gossip, [part's bundle bin, ...] by name, whose version is the sum of their versions: of two agents with different
 * parts one has the lower (version, hash) and pulls the other's, keeps the newest of each, and so has more than both; then
 * the other pulls. So all end with the newest of every part, in whatever order they come.
 *
 * What is in force is a function of the root, the policy and this set alone: the policy first, then the parts by name, each
 * if it compiles with those before it. So the policy wins over every part, of two parts that both hold a service the one
 * with the lower name wins, and the other is not in force and alarms by name. A part that the root no longer vouches for
 * falls at once, unlike the policy: its delegation was taken back. */
#ifndef CONTROL_PARTS_H
#define CONTROL_PARTS_H

#include "observe/metrics.h"
#include "policy/bundle.h"
#include "store/store.h"

enum { DOC_PARTS = 3, PARTS_WHY_MAX = 256 };

struct part {
    char name[SERVICE_NAME_MAX + 1];
    struct buf bundle;
    uint64_t epoch, version;
    struct hash hash;
    bool in_force;
    char why_not[PARTS_WHY_MAX]; /* while it is not in force */
};
struct part_set {
    size_t count;
    struct part at[ROOT_DELEGATIONS_MAX]; /* rising by name */
};
struct parts {
    struct part_set now, next;
    bool busy;       /* `next` is being stored */
    bool save_again; /* a new root has judged that meanwhile, and some fell */
    struct buf document;
    struct hash hash; /* of the document, over what the parts say */
    uint64_t sum;     /* of the versions */
};

/* What was stored, as far as `root` vouches for it. ERR_NOMEM, ERR_IO. */
must_check enum err parts_init(struct parts *p, struct store *s, const struct root *root);
void parts_fini(struct parts *p);
/* A document of gossip, or one part's bundle. What is newer in it goes to the store, which confirms `ticket`. ERR_OK: under way;
 * ERR_AGAIN: another is; ERR_EXISTS: nothing in it is newer; ERR_DENIED: a part of it is refused, and `why` says which and
 * why (others of the same document may be under way, and then it is ERR_OK); ERR_EXPIRED, ERR_MALFORMED, ERR_NOMEM. */
must_check enum err parts_offer(struct parts *p, struct store *s, const struct root *root, struct bytes in,
                                wall_s now, uint64_t ticket, struct buf *why);
/* A new root: drops the parts that it does not vouch for, of those being stored too, and has that stored. True: some fell. */
bool parts_rejudge(struct parts *p, struct store *s, const struct root *root, uint64_t ticket);
/* The store has answered. True: the set has changed. */
bool parts_confirmed(struct parts *p, struct store *s, enum err outcome);
/* The policy and the parts as one (a new reference), and in each part whether it is in force. `alone` is the policy compiled by
 * itself, of the text `main`. NULL: no memory. */
struct policy *parts_compose(struct parts *p, const struct root *root, struct policy *alone,
                             struct bytes main);
/* What it was composed of, in order, for whoever puts more on top. `src` and `reach` have room for POLICY_SOURCES_MAX. */
size_t parts_sources(const struct parts *p, const struct root *root, struct bytes main,
                     struct policy_source *src, struct policy_reach *reach);

#endif
