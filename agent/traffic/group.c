#include "traffic/group.h"

#include <stdio.h>

/* --- who an instance is, and where --------------------------------------------------------- */

static enum traffic_standing standing_by_view(const struct view_endpoint *e)
{
    const struct view_node *n = e->node;
    if (n && !n->alive && !n->suspect)
        return TRAFFIC_DEAD;
    if (e->draining)
        return TRAFFIC_DRAINING;
    if (!e->healthy)
        return n && !n->has_policy ? TRAFFIC_UNREADY : TRAFFIC_UNHEALTHY;
    return n && n->suspect ? TRAFFIC_SPARE : TRAFFIC_CANDIDATE;
}

enum traffic_standing group_standing(const struct traffic_shared *shared, const struct view_endpoint *e,
                                     const struct policy_subset *subset, mono_ms now, mono_ms *ejected_until)
{
    enum traffic_standing s = standing_by_view(e);
    *ejected_until = 0;
    if (!policy_subset_matches(subset, e->labels))
        return TRAFFIC_OTHER_SUBSET;
    if (shared && (s == TRAFFIC_CANDIDATE || s == TRAFFIC_SPARE))
        *ejected_until = traffic_ejected_until(shared, e, now);
    return *ejected_until > now ? TRAFFIC_EJECTED : s;
}

static struct label_list node_labels(const struct view *v, const struct view_endpoint *e)
{
    return e->node ? e->node->labels : v->own;
}

/* The instance's own label, else that of its host. */
static const struct bytes *label_of(const struct view *v, const struct view_endpoint *e, struct bytes key)
{
    const struct bytes *value = label_list_get(e->labels, key);
    return value ? value : label_list_get(node_labels(v, e), key);
}

uint8_t group_rank(const struct policy_locality *l, const struct view *v, const struct view_endpoint *e)
{
    uint8_t rank = (uint8_t)l->prefer_count;
    for (size_t i = l->prefer_count;
         i-- > 0;) { /* the farthest first: who is in another region is not near by the name of its zone */
        const struct bytes *here = label_list_get(v->own, l->prefer[i]);
        const struct bytes *there = here ? label_of(v, e, l->prefer[i]) : NULL;
        if (there && !bytes_eq(*here, *there))
            return rank;
        if (there)
            rank = (uint8_t)i;
    }
    return rank;
}

/* --- counting ------------------------------------------------------------------------------ */

static void forget_tables(struct groups *all, struct group *g)
{
    for (size_t r = 0; r < GROUP_LEVELS_MAX; r++) {
        if (g->table[r])
            all->keytable_bytes -= keytable_bytes(g->table[r]);
        keytable_free(g->table[r]);
        g->table[r] = NULL;
    }
}

static void forget_members(struct groups *all, struct group *g)
{
    for (uint32_t i = 0; i < g->count; i++)
        load_unref(&all->loads, g->member[i].load);
    free(g->member);
    free(g->order);
    g->member = NULL;
    g->order = NULL;
    g->count = 0;
}

static uint64_t lasting_id(const struct node_id *self, const struct view_endpoint *e)
{
    return load_be64(e->node ? e->node->id.b : self->b);
}

static uint64_t *ids_of(const struct group *g, const struct level *l, const struct node_id *self)
{
    uint64_t *id = malloc(l->count * sizeof *id);
    for (uint32_t i = 0; id && i < l->count; i++)
        id[i] = lasting_id(self, g->member[l->begin + i].endpoint);
    return id;
}

static bool is_table_good(const struct group *g, const struct level *l, enum keytable_kind kind,
                          const struct node_id *self)
{
    uint64_t *id = ids_of(g, l, self);
    bool good = id && keytable_is_of(g->table[l->rank], kind, id, l->count);
    free(id);
    return good;
}

/* Tables outlive views that have the same instances; health does not matter to them. */
static void judge_tables(struct groups *all, struct group *g, const struct traffic_ask *ask)
{
    enum policy_balance by = ask->settings->load_balancer.policy;
    bool good = by == BALANCE_RING_HASH || by == BALANCE_MAGLEV;
    uint32_t seen = 0;
    for (size_t i = 0; good && i < g->level_count; i++) {
        const struct level *l = &g->level[i];
        seen |= UINT32_C(1) << l->rank;
        good =
            !g->table[l->rank] ||
            is_table_good(g, l, by == BALANCE_RING_HASH ? KEYTABLE_RING : KEYTABLE_MAGLEV, &ask->view->self);
    }
    for (size_t r = 0; good && r < GROUP_LEVELS_MAX; r++)
        good = !g->table[r] || (seen >> r & 1);
    if (!good)
        forget_tables(all, g);
}

/* Levels that have members, one behind the other; `place` says where the next member of each rank goes. */
static uint32_t lay_out(struct group *g, const struct traffic_ask *ask, uint32_t place[GROUP_LEVELS_MAX])
{
    uint32_t of_rank[GROUP_LEVELS_MAX] = {0}, total = 0;
    const struct policy_locality *prefer = &ask->settings->locality;
    for (size_t i = 0; i < ask->service->count; i++)
        if (policy_subset_matches(ask->subset, ask->service->endpoint[i]->labels))
            of_rank[group_rank(prefer, ask->view, ask->service->endpoint[i])]++;
    g->level_count = 0;
    for (uint8_t r = 0; r < GROUP_LEVELS_MAX; r++) {
        place[r] = total;
        if (of_rank[r])
            g->level[g->level_count++] = (struct level){.rank = r, .begin = total, .count = of_rank[r]};
        total += of_rank[r];
    }
    return total;
}

/* The members of another view. Those it had are referred to until those it has are: what is known of them stays. */
static bool gather(struct groups *all, struct group *g, const struct traffic_ask *ask)
{
    uint32_t place[GROUP_LEVELS_MAX], count = lay_out(g, ask, place);
    struct member *member = calloc(count + 1, sizeof *member);
    uint32_t *order = calloc(count + 1, sizeof *order);
    bool good = member && order;
    for (size_t i = 0; good && i < ask->service->count; i++) {
        const struct view_endpoint *e = ask->service->endpoint[i];
        if (!policy_subset_matches(ask->subset, e->labels))
            continue;
        struct member *m = &member[place[group_rank(&ask->settings->locality, ask->view, e)]++];
        *m = (struct member){.endpoint = e, .load = load_ref(&all->loads, e)};
        good = m->load != NULL;
    }
    for (uint32_t i = 0; !good && member && i < count; i++)
        if (member[i].load)
            load_unref(&all->loads, member[i].load);
    if (!good) {
        free(member);
        free(order);
        return false;
    }
    forget_members(all, g);
    g->member = member;
    g->order = order;
    g->count = count;
    return true;
}

static void judge_members(struct group *g, const struct traffic_ask *ask)
{
    const struct policy_load_balancer *lb = &ask->settings->load_balancer;
    for (uint32_t i = 0; i < g->count; i++) {
        struct load *l = g->member[i].load;
        enum traffic_standing s = standing_by_view(g->member[i].endpoint);
        l->decay_ms = lb->decay_ms;
        l->rtt_us = g->member[i].endpoint->rtt_us;
        if (!g->is_elder) /* who was well then has not become so now */
            load_judge(l, s == TRAFFIC_CANDIDATE || s == TRAFFIC_SPARE, !g->is_counted, ask->now);
        if (l->well_since && l->well_since + lb->slow_start_ms > g->cold_until)
            g->cold_until = l->well_since + lb->slow_start_ms;
    }
}

static uint32_t *next_of(uint32_t part[4], enum traffic_standing s)
{
    return &part[s == TRAFFIC_CANDIDATE ? 0 : s == TRAFFIC_SPARE ? 1 : s <= TRAFFIC_UNHEALTHY ? 2 : 3];
}

/* Standings of a level's members, and their order by it. */
static void sort_level(struct groups *all, struct group *g, struct level *l, const struct traffic_ask *ask)
{
    uint32_t part[4] = {0};
    for (uint32_t i = l->begin; i < l->begin + l->count; i++) {
        mono_ms until;
        struct member *m = &g->member[i];
        m->standing = (uint8_t)group_standing(all->shared, m->endpoint, ask->subset, ask->now, &until);
        if (until > ask->now)
            g->until = mono_min(g->until, until);
        ++*next_of(part, (enum traffic_standing)m->standing);
    }
    l->health = (struct spread_level){
        .total = part[0] + part[1] + part[2], .healthy = part[0], .spare = part[1], .may_panic = true};
    l->turn_at = UINT32_MAX;
    uint32_t at[4] = {l->begin, l->begin + part[0], l->begin + part[0] + part[1], l->begin + l->health.total};
    for (uint32_t i = l->begin; i < l->begin + l->count; i++)
        g->order[(*next_of(at, (enum traffic_standing)g->member[i].standing))++] = i;
}

static unsigned ejections_of(const struct groups *all)
{
    return all->shared ? atomic_load_explicit(&all->shared->ejections, memory_order_acquire) : 0;
}

static bool is_fresh(const struct groups *all, const struct group *g, const struct traffic_ask *ask)
{
    return g->is_counted && g->serial == ask->view->serial && g->ejections == ejections_of(all) &&
           ask->now < g->until;
}

static bool count_members(struct groups *all, struct group *g, const struct traffic_ask *ask)
{
    unsigned ejections =
        ejections_of(all); /* before looking: who is ejected meanwhile is counted the next time */
    bool is_other_view = !g->is_counted || g->serial != ask->view->serial;
    if (is_other_view && !gather(all, g, ask))
        return false;
    g->until = NEVER;
    if (is_other_view) {
        g->cold_until = 0;
        judge_members(g, ask);
        judge_tables(all, g, ask);
    }
    for (size_t i = 0; i < g->level_count; i++)
        sort_level(all, g, &g->level[i], ask);
    g->serial = ask->view->serial;
    g->ejections = ejections;
    g->is_counted = true;
    g->is_spread = false;
    return true;
}

/* --- spreading ----------------------------------------------------------------------------- */

static struct group *find_or_make(struct groups *all, const struct traffic_ask *ask);

static struct group *counted(struct groups *all, const struct traffic_ask *ask)
{
    struct group *g = find_or_make(all, ask);
    return g && (is_fresh(all, g, ask) || count_members(all, g, ask)) ? g : NULL;
}

size_t group_stand_ins(struct groups *all, const struct traffic_ask *ask, struct spread_level *health,
                       size_t count_before, mono_ms *until)
{
    size_t n = count_before;
    for (size_t i = 0; i < ask->failover_count && i < TRAFFIC_FAILOVER_MAX; i++, n++) {
        struct traffic_ask other = {.view = ask->view, .now = ask->now};
        health[n] = (struct spread_level){0};
        other.service = view_service(ask->view, bytes_str(policy_service_name(ask->failover[i])));
        other.settings = policy_service_settings(ask->failover[i]);
        struct group *g = other.service && !(ask->failover_barred >> i & 1) ? counted(all, &other) : NULL;
        for (size_t k = 0; g && k < g->level_count; k++) {
            health[n].total += g->level[k].health.total;
            health[n].healthy += g->level[k].health.healthy;
            health[n].spare += g->level[k].health.spare;
        }
        if (g)
            *until = mono_min(*until, g->until);
    }
    return n;
}

static void note_panic(struct groups *all, struct group *g)
{
    bool panics = g->spread.panics != 0;
    if (panics == g->panics || g->is_elder)
        return;
    g->panics = panics;
    all->untold += panics != g->was_told ? 1 : (size_t)-1;
}

static int only_place(const struct spread *s, size_t places)
{
    for (size_t i = 0; i < places; i++)
        if (s->upto_ppm[i] == SPREAD_ALL_PPM)
            return i == 0 || s->upto_ppm[i - 1] == 0 ? (int)i : -1;
    return -1;
}

static void spread_out(struct groups *all, struct group *g, const struct traffic_ask *ask)
{
    const struct policy_locality *l = &ask->settings->locality;
    g->place_count = g->level_count;
    for (size_t i = 0; i < g->level_count; i++)
        g->health[i] = g->level[i].health;
    spread_compute(&g->spread, g->health, g->place_count, l->failover_below_ppm, l->panic_below_ppm);
    if (g->spread.is_short && ask->failover_count > 0) {
        struct traffic_ask open = *ask;
        open.failover_barred = 0; /* who may not go there is told so at each request */
        g->place_count = group_stand_ins(all, &open, g->health, g->level_count, &g->until);
        spread_compute(&g->spread, g->health, g->place_count, l->failover_below_ppm, l->panic_below_ppm);
    }
    g->only = only_place(&g->spread, g->place_count);
    g->is_spread = true;
    note_panic(all, g);
}

/* --- finding ------------------------------------------------------------------------------- */

static void unlink_group(struct groups *all, struct group *g)
{
    struct group **at = &all->bucket[g->hash % GROUP_BUCKETS];
    while (*at != g)
        at = &(*at)->next;
    *at = g->next;
    all->count--;
    memset(all->recent, 0, sizeof all->recent);
}

static void group_free(struct groups *all, struct group *g)
{
    if (g->panics != g->was_told)
        all->untold--;
    forget_tables(all, g);
    forget_members(all, g);
    free(g);
}

static bool has_table(const struct group *g)
{
    for (size_t r = 0; r < GROUP_LEVELS_MAX; r++)
        if (g->table[r])
            return true;
    return false;
}

static bool is_calm(const struct group *g)
{
    return !g->panics && !g->was_told;
}

/* The one that was asked for longest ago, of those that `fits`; NULL: none does. */
static struct group *oldest(struct groups *all, bool (*fits)(const struct group *g))
{
    struct group *old = NULL;
    for (size_t i = 0; i < GROUP_BUCKETS; i++)
        for (struct group *g = all->bucket[i]; g; g = g->next)
            if (fits(g) && (!old || g->used_at < old->used_at))
                old = g;
    return old;
}

static uint64_t hash_of_names(const char *service, const char *subset)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (; *service; service++)
        h = (h ^ (uint8_t)*service) * 0x100000001b3u;
    h = (h ^ '/') * 0x100000001b3u;
    for (; *subset; subset++)
        h = (h ^ (uint8_t)*subset) * 0x100000001b3u;
    return h ^ h >> 29;
}

static struct group *make(struct groups *all, uint64_t hash, const char *service, const char *subset,
                          bool is_elder)
{
    struct group *g = all->count >= GROUPS_MAX ? oldest(all, is_calm) : NULL;
    if (all->count >= GROUPS_MAX && !g)
        return NULL; /* so many services panic that one more without a choice is no news */
    if (g) {
        unlink_group(all, g);
        group_free(all, g);
    }
    g = calloc(1, sizeof *g);
    if (!g)
        return NULL;
    g->hash = hash;
    g->is_elder = is_elder;
    g->only = -1;
    snprintf(g->service, sizeof g->service, "%s", service);
    snprintf(g->subset, sizeof g->subset, "%s", subset);
    for (size_t r = 0; r < GROUP_LEVELS_MAX; r++)
        store_be64(g->turn[r].b, keytable_mix(all->salt ^ hash ^ r));
    g->next = all->bucket[hash % GROUP_BUCKETS];
    all->bucket[hash % GROUP_BUCKETS] = g;
    all->count++;
    return g;
}

/* Names of services and subsets are both short enough for a group's own copies: the language bounds them. */
static struct group *find_or_make(struct groups *all, const struct traffic_ask *ask)
{
    const char *subset = ask->subset ? ask->subset->name : "";
    bool is_elder = ask->view->serial < all->newest;
    uint64_t hash = hash_of_names(ask->service->name, subset) ^ is_elder;
    struct group *g = all->bucket[hash % GROUP_BUCKETS];
    while (g && !(g->hash == hash && g->is_elder == is_elder && strcmp(g->service, ask->service->name) == 0 &&
                  strcmp(g->subset, subset) == 0))
        g = g->next;
    if (!g)
        g = make(all, hash, ask->service->name, subset, is_elder);
    if (g)
        g->used_at = ++all->tick;
    return g;
}

/* Pointers of one view are enough to know a group again while that view is asked by. */
static struct group_recent *recent_of(struct groups *all, const struct traffic_ask *ask)
{
    uintptr_t h =
        (uintptr_t)ask->service / sizeof *ask->service + (uintptr_t)ask->subset / sizeof *ask->subset;
    return &all->recent[h % GROUP_RECENT];
}

struct group *group_of(struct groups *all, const struct traffic_ask *ask)
{
    struct group_recent *r = recent_of(all, ask);
    if (ask->view->serial > all->newest) {
        all->newest = ask->view->serial;
        memset(all->recent, 0,
               sizeof all->recent); /* who goes on under an older one has another group from now on */
    }
    struct group *g = r->group;
    if (!g || r->serial != ask->view->serial || r->service != ask->service || r->subset != ask->subset)
        g = find_or_make(all, ask);
    if (!g)
        return NULL;
    g->used_at = ++all->tick;
    if (!is_fresh(all, g, ask) && !count_members(all, g, ask))
        return NULL;
    if (!g->is_spread)
        spread_out(all, g, ask);
    *r = (struct group_recent){ask->view->serial, ask->service, ask->subset, g};
    return g;
}

const struct keytable *group_table(struct groups *all, struct group *g, size_t level, enum keytable_kind kind,
                                   const struct node_id *self)
{
    const struct level *l = &g->level[level];
    if (g->table[l->rank])
        return g->table[l->rank];
    uint64_t *id = ids_of(g, l, self);
    struct keytable *made = id ? keytable_new(kind, id, l->count) : NULL;
    free(id);
    while (made && all->keytable_bytes + keytable_bytes(made) > GROUP_TABLE_BYTES_MAX &&
           all->keytable_bytes > 0)
        forget_tables(all, oldest(all, has_table));
    if (made)
        all->keytable_bytes += keytable_bytes(made);
    g->table[l->rank] = made;
    return made;
}

/* --- panic --------------------------------------------------------------------------------- */

static const struct policy_subset *subset_named(const struct policy_service *s, const char *name)
{
    const struct policy_route *r;
    size_t cursor = 0;
    while ((r = policy_route_next(s, &cursor)))
        for (size_t i = 0; i < r->target_count; i++)
            if (r->target[i].subset && strcmp(r->target[i].subset->name, name) == 0)
                return r->target[i].subset;
    return NULL;
}

/* False: this view has no such service or subset. */
static bool ask_again(struct traffic_ask *ask, const struct group *g, const struct view *v, mono_ms now)
{
    const struct policy_service *s = v->policy ? policy_service(v->policy, bytes_str(g->service)) : NULL;
    *ask = (struct traffic_ask){.view = v, .service = view_service(v, bytes_str(g->service)), .now = now};
    if (!s || !ask->service)
        return false;
    ask->subset = g->subset[0] ? subset_named(s, g->subset) : NULL;
    ask->settings = policy_service_settings(s);
    ask->failover_count = policy_failover(s, &ask->failover);
    return ask->subset || !g->subset[0];
}

void groups_judge(struct groups *all, const struct view *view, mono_ms now)
{
    struct traffic_ask ask;
    for (size_t i = 0; i < GROUP_BUCKETS; i++)
        for (struct group *g = all->bucket[i]; g; g = g->next) {
            if (!g->panics)
                continue;
            g->used_at = ++all->tick; /* it must not give way to those that stand in for it */
            if (!ask_again(&ask, g, view, now)) {
                g->spread.panics = 0;
                g->is_counted = false;
                note_panic(all, g);
            } else if (count_members(all, g, &ask)) {
                spread_out(all, g, &ask);
            }
        }
}

struct group *groups_untold(struct groups *all)
{
    for (size_t i = 0; all->untold > 0 && i < GROUP_BUCKETS; i++)
        for (struct group *g = all->bucket[i]; g; g = g->next)
            if (g->panics != g->was_told) {
                g->was_told = g->panics;
                all->untold--;
                return g;
            }
    return NULL;
}

void groups_fini(struct groups *all)
{
    for (size_t i = 0; i < GROUP_BUCKETS; i++)
        for (struct group *g = all->bucket[i], *next; g; g = next) {
            next = g->next;
            group_free(all, g);
        }
    loads_fini(&all->loads);
}
