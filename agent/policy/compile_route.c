/* `routes` of a service: matches, targets, and the check that each can be reached. */
#include "policy/compile.h"

struct route_build { /* one service's routes while they are read */
    struct compile *k;
    struct policy_service *s;
    struct policy_route *route;
    struct route_match *match;
};

static void compile_one_match(struct route_build *b, const struct yaml_node *n, uint32_t route)
{
    struct route_match m = {.route = route};
    if (compile_match(b->k, &m, n))
        b->match[b->s->match_count++] = m;
}

static void compile_matches(struct route_build *b, const struct yaml_node *n, uint32_t route)
{
    struct compile *k = b->k;
    if (!n) {
        b->match[b->s->match_count++] = (struct route_match){.route = route};
        return;
    }
    if (!yaml_is(n, YAML_LIST, "match", k->c))
        return;
    if (b->s->protocol == POLICY_TCP)
        complain_of(k->c, CODE_PROTOCOL, n,
                    "an HTTP match on tcp service `%s`; on tcp only the caller's identity is known",
                    b->s->name);
    if (n->count == 0)
        complain_of(k->c, CODE_MISSING, n,
                    "an empty `match` matches nothing; leave it out to match everything");
    for (size_t i = 0; i < n->count; i++)
        compile_one_match(b, n->child[i], route);
}

static bool compile_target(struct route_build *b, struct policy_target *t, const struct yaml_node *n)
{
    static const char *const keys[] = {"subset", "weight", NULL};
    const struct yaml_node *v;
    uint64_t weight = 1;
    if (!compile_map(b->k, n, keys))
        return false;
    if ((v = yaml_get(n, "weight")))
        (void)yaml_u64(v, &weight, 0, POLICY_WEIGHT_MAX, b->k->c);
    *t = (struct policy_target){.service = b->s, .weight = (uint32_t)weight};
    if ((v = yaml_get(n, "subset")))
        t->subset = compile_subset_ref(b->k, b->s, v);
    return !v || t->subset;
}

static void refuse_repeated_target(struct route_build *b, const struct policy_route *r,
                                   const struct yaml_node *n)
{
    for (size_t i = 0; i + 1 < r->target_count; i++)
        if (r->target[i].subset == r->target[r->target_count - 1].subset)
            complain_of(b->k->c, CODE_REPEATED, n,
                        "`to` names the same instances twice; add up their weights");
}

static void compile_targets(struct route_build *b, struct policy_route *r, const struct yaml_node *n)
{
    struct compile *k = b->k;
    if (n && !yaml_is(n, YAML_LIST, "to", k->c))
        return;
    if (n && (n->count == 0 || n->count > POLICY_TARGETS_MAX)) {
        complain_of(k->c, CODE_LIMIT, n, "`to` has 1 to %d targets", POLICY_TARGETS_MAX);
        return;
    }
    struct policy_target *t = arena_take(&k->p->arena, n ? n->count : 1, sizeof *t);
    if (!t)
        return;
    r->target = t;
    if (!n) {
        t[0] = (struct policy_target){.service = b->s, .weight = 1};
        r->target_count = 1;
    }
    bool good = true;
    for (size_t i = 0; n && i < n->count; i++) {
        if (!compile_target(b, &t[r->target_count], n->child[i])) {
            good = false;
            continue;
        }
        r->target_count++;
        refuse_repeated_target(b, r, n->child[i]);
    }
    for (size_t i = 0; i < r->target_count; i++)
        r->weight_sum += t[i].weight;
    if (good && r->weight_sum == 0)
        complain_of(k->c, CODE_WEIGHTS, n,
                    "all weights are zero, so nothing could be chosen; give one target a weight");
}

static void compile_route(struct route_build *b, const struct yaml_node *n)
{
    static const char *const keys[] = {"name",           "match",           "to",      "timeouts",
                                       "retry",          "sticky",          "rewrite", "mirror",
                                       "requestHeaders", "responseHeaders", NULL};
    struct compile *k = b->k;
    struct policy_route *r = &b->route[b->s->route_count];
    if (!compile_map(k, n, keys))
        return;
    const struct yaml_node *name = yaml_get(n, "name");
    *r = (struct policy_route){.name = name ? compile_word(k, name, "route") : NULL};
    if (!name)
        complain_of(k->c, CODE_MISSING, n, "a route needs a `name`; answers, logs and metrics show it");
    for (size_t i = 0; r->name && i < b->s->route_count; i++)
        if (b->route[i].name && strcmp(b->route[i].name, r->name) == 0)
            complain_of(k->c, CODE_REPEATED, name, "service `%s` has a route `%s` already; rename one",
                        b->s->name, r->name);
    compile_targets(b, r, yaml_get(n, "to"));
    compile_route_settings(k, b->s, r, n);
    compile_matches(b, yaml_get(n, "match"), (uint32_t)b->s->route_count);
    compile_route_actions(k, b->s, r, n);
    b->s->is_edited |= policy_route_edits(r);
    b->s->route_count++;
}

static const struct route_match *covering(const struct route_build *b, size_t later)
{
    for (size_t i = 0; i < later; i++)
        if (b->match[i].route < b->match[later].route &&
            route_match_covers(&b->match[i], &b->match[later], b->k->p->path_form, &b->k->regex_budget))
            return &b->match[i];
    return NULL;
}

/* A route is dead if each of its matches is taken, whole, by some earlier route. */
static void refuse_unreachable(struct route_build *b, const struct yaml_node *routes)
{
    const struct route_match *by = NULL;
    bool reachable = false;
    for (size_t i = 0; i < b->s->match_count; i++) {
        const struct route_match *cover = covering(b, i);
        reachable |= !cover;
        by = cover ? cover : by;
        bool last = i + 1 == b->s->match_count || b->match[i + 1].route != b->match[i].route;
        const char *name = b->route[b->match[i].route].name, *first = by ? b->route[by->route].name : NULL;
        if (last && !reachable && name && first)
            complain_of(b->k->c, CODE_UNREACHABLE, routes->child[b->match[i].route],
                        "route `%s` can never be reached: `%s` before it takes all its requests; "
                        "move it up or remove it",
                        name, first);
        if (last) {
            reachable = false;
            by = NULL;
        }
    }
}

static size_t count_matches(const struct yaml_node *routes)
{
    size_t sum = 0;
    for (size_t i = 0; i < routes->count; i++) {
        const struct yaml_node *m = yaml_get(routes->child[i], "match");
        sum += m && m->kind == YAML_LIST ? m->count : 1;
    }
    return sum;
}

/* A service without routes: one that takes everything to any instance. */
static void default_route(struct route_build *b)
{
    struct policy_target *t = arena_take(&b->k->p->arena, 1, sizeof *t);
    if (t)
        *t = (struct policy_target){.service = b->s, .weight = 1};
    b->route[0] = (struct policy_route){.name = "default",
                                        .target_count = 1,
                                        .target = t,
                                        .weight_sum = 1,
                                        .timeouts = b->s->settings.timeouts,
                                        .retry = b->s->settings.retry};
    b->match[0] = (struct route_match){0};
    b->s->route_count = b->s->match_count = 1;
}

void compile_routes(struct compile *k, struct policy_service *s, const struct yaml_node *routes)
{
    struct route_build b = {.k = k, .s = s};
    if (routes && !yaml_is(routes, YAML_LIST, "routes", k->c))
        return;
    size_t routes_max = routes ? routes->count : 1, matches_max = routes ? count_matches(routes) : 1;
    if (routes_max == 0 || routes_max > POLICY_ROUTES_MAX || matches_max > POLICY_MATCHES_MAX) {
        complain_of(
            k->c, CODE_LIMIT, routes,
            "a service has 1 to %d routes and at most %d matches; without `routes` all goes to any instance",
            POLICY_ROUTES_MAX, POLICY_MATCHES_MAX);
        return;
    }
    s->route = b.route = arena_take(&k->p->arena, routes_max, sizeof *b.route);
    s->match = b.match = arena_take(&k->p->arena, matches_max, sizeof *b.match);
    if (!b.route || !b.match)
        return;
    if (!routes) {
        default_route(&b);
        return;
    }
    size_t before = k->c->count;
    for (size_t i = 0; i < routes->count; i++)
        compile_route(&b, routes->child[i]);
    if (k->c->count ==
        before) /* else route numbers and list places may differ, and one error would look like two */
        refuse_unreachable(&b, routes);
}
