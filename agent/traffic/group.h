/* The instances of one service, or of one subset of it, as one worker chooses among them: by how near they are, and which may be
 * used now. Counted once per view and once per ejection, when the next request asks, so that a choice walks over nobody. A request that
 * asks again under the view it began with, when there is a newer one, has a group of its own: what all others ask by is not counted back
 * and forth for it.
 *
 * Levels are the labels of `locality.prefer`: an instance is in the level of the first one that it shares with the caller's host, if
 * no later one tells them apart; who shares none is in the last. spread.h says how much goes to which. A group that has not
 * been asked for longest gives way at GROUPS_MAX, and with it what it had learned of turns; tables of hashes at GROUP_TABLE_BYTES_MAX. */
#ifndef TRAFFIC_GROUP_H
#define TRAFFIC_GROUP_H

#include "traffic/load.h"
#include "traffic/pick.h"
#include "traffic/spread.h"
#include "traffic/keytable.h"

enum {
    GROUPS_MAX = 1024, /* of a worker: (service, subset) pairs */
    GROUP_BUCKETS = 256,
    GROUP_LEVELS_MAX = POLICY_PREFER_MAX + 1,
    GROUP_TABLE_BYTES_MAX = 16 * 1024 * 1024, /* of all groups of a worker */
    GROUP_RECENT = 64,                        /* found without comparing names; a power of two */
};
static_assert(GROUP_LEVELS_MAX + TRAFFIC_FAILOVER_MAX <= SPREAD_LEVELS_MAX, "each level has its share");

struct member {
    const struct view_endpoint *endpoint;
    struct load *load;
    uint8_t standing; /* enum traffic_standing */
};
struct level {
    uint8_t rank;          /* index into locality.prefer; prefer_count: it shares none of them */
    uint32_t begin, count; /* its members, and its part of group.order */
    struct spread_level health;
    uint32_t
        turn_at; /* whose turn it is, in the list that is chosen from; UINT32_MAX: look for him who follows `turn` */
};
struct group {
    struct group *next; /* in its bucket */
    uint64_t hash, used_at;
    char service[SERVICE_NAME_MAX + 1];
    char subset[SERVICE_NAME_MAX + 1]; /* "": any instance */
    bool is_elder;                     /* for those who began with an older view than the newest */
    /* By what it was counted; by another view or other ejections, or later, it is counted again. */
    bool is_counted, is_spread;
    uint64_t serial;
    unsigned ejections;
    mono_ms until;
    uint32_t count;
    struct member *member; /* by level, and in it as in the view: by node */
    uint32_t
        *order; /* in each level: the healthy, the spares, the others that would take a request, the rest */
    size_t level_count;
    struct level level[GROUP_LEVELS_MAX];
    /* How requests spread over the levels, and then over the services of `failover`. */
    struct spread_level health[GROUP_LEVELS_MAX + TRAFFIC_FAILOVER_MAX];
    size_t place_count;
    struct spread spread;
    int only;                                 /* the place that everything goes to; -1: a throw decides */
    mono_ms cold_until;                       /* until then somebody is in his slow start */
    bool panics, was_told;                    /* as it was told last */
    size_t panic_place;                       /* where all workers count it, once it was told (panics.h) */
    struct node_id turn[GROUP_LEVELS_MAX];    /* by rank: whose the last turn of round robin was */
    struct keytable *table[GROUP_LEVELS_MAX]; /* by rank; NULL: not made yet */
};
struct group_recent {
    uint64_t serial;
    const struct view_service *service;
    const struct policy_subset *subset;
    struct group *group;
};
struct groups {
    struct traffic_shared *shared; /* NULL: nobody is ejected */
    uint64_t salt;                 /* where turns begin: not at one instance for all workers */
    struct loads loads;
    struct group *bucket[GROUP_BUCKETS];
    struct group_recent recent[GROUP_RECENT];
    size_t count, keytable_bytes, untold;
    uint64_t tick;
    uint64_t newest; /* serial of a view that was asked by */
};

/* Counted for this ask, whose service is not NULL. NULL: no memory. Lives until the next call. */
struct group *group_of(struct groups *all, const struct traffic_ask *ask);
/* The health of the services of `failover` that are not barred, behind that of levels that are `count` already; returns how many
 * there are then. */
size_t group_stand_ins(struct groups *all, const struct traffic_ask *ask, struct spread_level *health,
                       size_t count, mono_ms *until);
/* The table of a level, made when it is first wanted. NULL: no memory. */
const struct keytable *group_table(struct groups *all, struct group *g, size_t level, enum keytable_kind kind,
                                   const struct node_id *self);
/* Groups that panic are counted by a new view, though nobody may ask for them again. */
void groups_judge(struct groups *all, const struct view *view, mono_ms now);
/* The next group whose panic began or ended since it was told; NULL: none. */
struct group *groups_untold(struct groups *all);
void groups_fini(struct groups *all);

/* What an instance is to a request: by the view, and by what the agent has learned. */
enum traffic_standing group_standing(const struct traffic_shared *shared_or_null,
                                     const struct view_endpoint *e, const struct policy_subset *subset,
                                     mono_ms now, mono_ms *ejected_until);
/* How near it is: index into prefer, or prefer_count. */
uint8_t group_rank(const struct policy_locality *l, const struct view *view, const struct view_endpoint *e);

#endif
