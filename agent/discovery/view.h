/* The view: what the workers know of the mesh, immutable, reference-counted, published whole by the control
 * loop. An exchange pins the view it began with. Built from verified records, the compiled policy and the
 * agent's own configuration. */
#ifndef DISCOVERY_VIEW_H
#define DISCOVERY_VIEW_H

#include <stdatomic.h>
#include <sys/types.h>

#include "policy/policy.h"
#include "trust/proof.h"

/* What views say of another host, of one record of it: one block, immutable, counted by reference, shared by all views that are made
 * while that record is its newest. There are as many of these as members, so it has room for what is said and no more. */
struct view_offer {
    const char *service;
    struct label_list labels;
    uint16_t port; /* as the record says, for information */
    uint8_t protocol;
    bool healthy;
};
struct view_record {
    atomic_uint refs;
    uint32_t features;
    uint8_t link_newest; /* version of links that it speaks */
    bool has_policy;     /* without one it denies everything */
    bool left, draining;
    struct node_id id;
    uint8_t noise_key[32];
    const char *name;
    struct vouched *vouched;  /* its credential; NULL: not given */
    struct label_list labels; /* of its credential */
    size_t offer_count;
    const struct view_offer *offer;
};
/* Copies what it keeps of the record and takes a reference to its credential (may be NULL). ERR_NOMEM. */
must_check enum err view_record_new(struct view_record **out, const struct record *r,
                                    struct vouched *vouched);
struct view_record *view_record_ref(struct view_record *r);
void view_record_unref(struct view_record *r);    /* NULL is fine */
size_t view_record_bytes(const struct record *r); /* that one takes, beside its credential */

struct view_node { /* another agent */
    struct node_id id;
    struct view_record *record; /* what follows to `labels` lies there */
    const char *name;
    const uint8_t *noise_key;
    struct vouched *vouched; /* NULL: not given */
    struct label_list labels;
    struct addr addr;
    uint32_t features;
    uint8_t link_newest;
    bool has_policy;
    bool alive;   /* alive or suspect: still routed to when suspect or degraded, unless others are well */
    bool suspect; /* or degraded */
};
struct view_endpoint {            /* one instance of a service */
    const struct view_node *node; /* NULL: on this very host */
    const char *service;          /* its text is the view's, as are the labels */
    struct label_list labels;
    struct addr local; /* where the application listens, when on this host */
    bool healthy, draining;
    uint32_t
        rtt_us; /* estimated round trip to its host when the view was built; 0: unknown, or on this host */
    uint32_t index; /* dense, for per-endpoint state of a worker */
};
struct view_service {
    char name[SERVICE_NAME_MAX + 1];
    size_t count;
    const struct view_endpoint **endpoint;
};
struct view_local { /* a service of this host, as the far side serves it */
    char name[SERVICE_NAME_MAX + 1];
    struct addr app;
    uint8_t protocol; /* enum service_protocol */
    bool healthy;
};
struct view {
    atomic_uint refs;
    uint64_t serial; /* rises with every publication */
    char mesh[MESH_NAME_MAX + 1];
    struct node_id self;
    struct label_list own; /* labels of this host's credential */
    struct policy *policy; /* NULL: none yet, everything is denied */
    uint64_t policy_epoch, policy_version;
    struct hash policy_hash; /* of the bundle; zeros: not given */
    size_t node_count;
    struct view_node *node; /* sorted by id */
    size_t service_count;
    struct view_service *service; /* sorted by name */
    size_t local_count;
    struct view_local *local;
    struct trust *trust; /* for peers' credentials */
    struct proof *proof; /* what this host shows to peers; NULL: nothing, it can make no link */
    wall_s time_least;   /* expiry is judged by the clock, but by no time before this one */
    void *blocks;        /* what the slices point into */
};
/* The time by which ends are judged, of the host's clock and time_least. */
static inline wall_s view_wall(const struct view *v, wall_s clock)
{
    return clock > v->time_least ? clock : v->time_least;
}
struct view *view_ref(struct view *v);
void view_unref(struct view *v);
const struct view_service *view_service(const struct view *v, struct bytes name);
const struct view_local *view_local(const struct view *v, struct bytes name);
const struct view_node *view_node(const struct view *v, const struct node_id *id);

/* Building, on the control loop. Slices and texts are copied; records are referred to. A builder that gives ERR_NOMEM is still
 * good: the call had no effect. */
struct view_builder;
/* Takes a reference to the trust. NULL: no memory. */
struct view_builder *view_builder_new(const char *mesh, const struct node_id *self, struct trust *trust);
/* A service of this host: it becomes a view_local and an endpoint with node NULL. ERR_EXISTS: named before.
 * ERR_NOMEM. */
must_check enum err view_builder_local(struct view_builder *b, struct bytes name, const struct addr *app,
                                       uint8_t protocol, const struct labels *labels_or_null, bool healthy);
/* Once per member, with what its verified record says (a reference is taken) and the address chosen for it. This host's own record is
 * skipped (its services come from view_builder_local); who has left is listed as a node that is not alive and offers
 * nothing. ERR_NOMEM. */
must_check enum err view_builder_member(struct view_builder *b, struct view_record *r,
                                        const struct addr *addr, bool alive, bool suspect);
/* Takes a reference. */
void view_builder_proof(struct view_builder *b, struct proof *p);
/* For `own`. ERR_NOMEM. */
must_check enum err view_builder_own(struct view_builder *b, const struct labels *labels);
/* For time_least. */
void view_builder_time(struct view_builder *b, wall_s least);
/* For policy_hash. */
void view_builder_policy_hash(struct view_builder *b, const struct hash *hash);
/* The estimated round trip to the member that was added last, us; 0, also for this host's own record: changes nothing. */
void view_builder_rtt(struct view_builder *b, uint32_t us);
/* Takes a reference to the policy (may be NULL). Frees the builder. NULL: no memory. The same members in any
 * order give the same view: services by name, within one this host first, then by node id. */
struct view *view_builder_finish(struct view_builder *b, struct policy *policy, uint64_t epoch,
                                 uint64_t serial);

#endif
