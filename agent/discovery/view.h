/* The view: what the workers know of the mesh, immutable, reference-counted, published whole by the control
 * loop. An exchange pins the view it began with. Built from verified records, the compiled policy and the
 * agent's own configuration. */
#ifndef DISCOVERY_VIEW_H
#define DISCOVERY_VIEW_H

#include <stdatomic.h>
#include <sys/types.h>

#include "policy/policy.h"
#include "trust/proof.h"

struct view_node { /* another agent */
    struct node_id id;
    char name[NODE_NAME_MAX + 1];
    uint8_t noise_key[32];
    struct vouched *vouched; /* its newest credential; NULL: not given */
    struct addr addr;
    uint32_t features;
    uint8_t link_newest;  /* version of links that it speaks */
    struct labels labels; /* of its credential; slices owned by the view */
    bool has_policy;      /* without one it denies everything */
    bool alive;   /* alive or suspect: still routed to when suspect or degraded, unless others are well */
    bool suspect; /* or degraded */
};
struct view_endpoint {            /* one instance of a service */
    const struct view_node *node; /* NULL: on this very host */
    char service[SERVICE_NAME_MAX + 1];
    struct addr local;    /* where the application listens, when on this host */
    struct labels labels; /* slices owned by the view */
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
    struct labels own;     /* of this host's credential, as view_node.labels */
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

/* Building, on the control loop. All slices and texts are copied. A builder that gives ERR_NOMEM is still
 * good: the call had no effect. */
struct view_builder;
/* Takes a reference to the trust. NULL: no memory. */
struct view_builder *view_builder_new(const char *mesh, const struct node_id *self, struct trust *trust);
/* A service of this host: it becomes a view_local and an endpoint with node NULL. ERR_EXISTS: named before.
 * ERR_NOMEM. */
must_check enum err view_builder_local(struct view_builder *b, struct bytes name, const struct addr *app,
                                       uint8_t protocol, const struct labels *labels_or_null, bool healthy);
/* Once per member, with its verified record and the address chosen for it. This host's own record is skipped
 * (its services come from view_builder_local); who has left is listed as a node that is not alive and offers
 * nothing. ERR_NOMEM. */
must_check enum err view_builder_member(struct view_builder *b, const struct record *r,
                                        const struct addr *addr, bool alive, bool suspect);
/* Take references. The credential is that of the member added last. */
void view_builder_vouched(struct view_builder *b, struct vouched *v);
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
