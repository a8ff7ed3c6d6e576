/* `routes` of a service: matches, targets, timeouts, and the check that each can be reached. */
#include "policy/compile.h"

struct route_build { /* one service's routes while they are read */
    struct compile *k;
    struct policy_service *s;
    struct policy_route *route;
    struct route_match *match;
};

/* Fields that the mesh does not carry as headers (they are the request's typed parts, or end at each hop): a
 * condition on one of them would never hold. */
static bool is_invisible(const char *name)
{
    static const char *const names[] = {
        "host",    "content-length", "transfer-encoding", "connection", "keep-alive", "te",
        "trailer", "upgrade",        "proxy-connection",  "expect",     NULL};
    for (size_t i = 0; names[i]; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

static bool is_token(struct bytes t) /* RFC 9110 section 5.6.2 */
{
    for (size_t i = 0; i < t.len; i++) {
        uint8_t c = t.at[i];
        bool alnum = (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
        if (!alnum && !(c && strchr("!#$%&'*+-.^_`|~", c)))
            return false;
    }
    return t.len > 0;
}

static void complain_of_method(struct compile *k, const struct yaml_node *n, struct bytes t)
{
    static const char *const known[] = {"GET",     "HEAD",  "POST",  "PUT", "DELETE",
                                        "OPTIONS", "PATCH", "TRACE", NULL};
    const char *near = yaml_nearest(n->text, known);
    if (near && yaml_distance(n->text, near) == 0)
        complain(k->c, n, "methods are case-sensitive; write %s", near);
    else
        complain(k->c, n, "`%.60s` is not an HTTP method (%zu bytes); use a token such as GET", n->text,
                 t.len);
}

static bool is_miscased(const char *text)
{
    static const char *const known[] = {"GET",     "HEAD",  "POST",  "PUT", "DELETE",
                                        "OPTIONS", "PATCH", "TRACE", NULL};
    for (size_t i = 0; known[i]; i++)
        if (strcmp(text, known[i]) != 0 && yaml_distance(text, known[i]) == 0)
            return true;
    return false;
}

uint64_t compile_method(struct compile *k, const struct yaml_node *n)
{
    struct policy *p = k->p;
    struct bytes t;
    if (!yaml_string(n, "method", &t, k->c))
        return 0;
    if (!is_token(t) || t.len > POLICY_WORD_MAX || is_miscased(n->text)) {
        complain_of_method(k, n, t);
        return 0;
    }
    uint64_t bit = policy_method_bit(p, t);
    if (bit)
        return bit;
    if (p->method_count == POLICY_METHODS_MAX) {
        complain(k->c, n, "more than %d different methods in one policy", POLICY_METHODS_MAX);
        return 0;
    }
    const char *copy = arena_text(&p->arena, t.at, t.len);
    if (!copy)
        return 0;
    p->method[p->method_count++] = bytes_of(copy, t.len);
    return UINT64_C(1) << (p->method_count - 1);
}

static struct bytes copied(struct compile *k, struct bytes t)
{
    const char *copy = arena_text(&k->p->arena, t.at, t.len);
    return copy ? bytes_of(copy, t.len) : (struct bytes){NULL, 0};
}

static void compile_path(struct compile *k, struct route_match *m, const struct yaml_node *n)
{
    static const char *const in_force[] = {"exact", "prefix", NULL}, *const later[] = {"regex", NULL};
    struct bytes t;
    if (!schema_keys(n, in_force, later, k->c))
        return;
    const struct yaml_node *exact = yaml_get(n, "exact"), *prefix = yaml_get(n, "prefix"),
                           *value = exact ? exact : prefix;
    if (!value && n->count > 0)
        return; /* what is there instead has been named already */
    if (!value || (exact && prefix)) {
        complain(k->c, n, "`path` takes one of exact and prefix");
        return;
    }
    if (!yaml_string(value, exact ? "exact" : "prefix", &t, k->c))
        return;
    const char *fault = path_fault(t);
    if (fault) {
        complain(k->c, value, "`%.60s` can never match: %s", value->text, fault);
        return;
    }
    m->path_test = exact ? PATH_EXACT : PATH_PREFIX;
    m->path = copied(k, t);
    if (prefix && t.at[t.len - 1] == '/')
        m->path.len--; /* Gateway API, PathMatchPathPrefix: a trailing slash is ignored */
}

/* {exact: V} | {prefix: V} | {present: true|false} */
static bool compile_field_test(struct compile *k, struct field_match *f, const struct yaml_node *n)
{
    static const char *const in_force[] = {"exact", "prefix", "present", NULL}, *const later[] = {"regex",
                                                                                                  NULL};
    struct bytes t;
    bool present;
    if (!schema_keys(n, in_force, later, k->c))
        return false;
    if (n->count != 1) {
        complain(k->c, n, "give one of exact, prefix and present");
        return false;
    }
    const char *key = n->key[0]->text;
    const struct yaml_node *value = n->child[0];
    if (strcmp(key, "present") == 0) {
        if (!yaml_bool(value, &present, k->c))
            return false;
        f->test = present ? FIELD_PRESENT : FIELD_ABSENT;
        return true;
    }
    f->test = strcmp(key, "exact") == 0 ? FIELD_EXACT : FIELD_PREFIX;
    if (!yaml_is(value, YAML_SCALAR, key, k->c))
        return false;
    t = bytes_of(value->text, value->text_len);
    if (t.len == 0 && f->test == FIELD_PREFIX) {
        complain(k->c, value, "an empty prefix fits every value; write {present: true}");
        return false;
    }
    f->value = copied(k, t);
    return true;
}

static bool compile_field(struct compile *k, struct field_match *f, bool is_header,
                          const struct yaml_node *key, const struct yaml_node *value)
{
    char lower[POLICY_WORD_MAX * 2 + 1];
    struct bytes name = bytes_of(key->text, key->text_len);
    if (name.len == 0 || name.len >= sizeof lower) {
        complain(k->c, key, "a name has 1 to %zu bytes", sizeof lower - 1);
        return false;
    }
    if (is_header) { /* names of headers have no case: RFC 9110 section 5.1 */
        for (size_t i = 0; i <= name.len; i++)
            lower[i] = (char)(name.at[i] >= 'A' && name.at[i] <= 'Z' ? name.at[i] | 0x20 : name.at[i]);
        name.at = (const uint8_t *)lower;
        if (!is_token(name)) {
            complain(k->c, key, "`%.60s` cannot be the name of a header", key->text);
            return false;
        }
        if (is_invisible(lower)) {
            complain(k->c, key, "`%s` is not forwarded as a header, so it can never match; remove it", lower);
            return false;
        }
    }
    f->name = copied(k, name);
    return compile_field_test(k, f, value);
}

static int field_by_name(const void *a, const void *b)
{
    const struct field_match *x = a, *y = b;
    return codec_cmp(x->name, y->name);
}

static const struct field_match *compile_fields(struct compile *k, const struct yaml_node *n, bool is_header,
                                                size_t *count)
{
    const char *what = is_header ? "headers" : "query";
    if (!n || !yaml_is(n, YAML_MAP, what, k->c))
        return NULL;
    if (n->count == 0 || n->count > POLICY_FIELDS_MAX) {
        complain(k->c, n, "`%s` takes 1 to %d conditions", what, POLICY_FIELDS_MAX);
        return NULL;
    }
    struct field_match *f = arena_take(&k->p->arena, n->count, sizeof *f);
    for (size_t i = 0; f && i < n->count; i++)
        *count += compile_field(k, &f[*count], is_header, n->key[i], n->child[i]);
    if (f)
        qsort(f, *count, sizeof *f, field_by_name);
    for (size_t i = 1; f && i < *count; i++)
        if (bytes_eq(f[i - 1].name, f[i].name))
            complain(k->c, n, "`%.*s` is given twice in different case", (int)f[i].name.len,
                     (const char *)f[i].name.at);
    return f;
}

static void compile_match(struct route_build *b, const struct yaml_node *n, uint32_t route)
{
    static const char *const in_force[] = {"method", "path", "headers", "query", NULL}, *const later[] = {
                                                                                            NULL};
    struct compile *k = b->k;
    struct route_match m = {.route = route};
    const struct yaml_node *v;
    if (!schema_keys(n, in_force, later, k->c))
        return;
    if ((v = yaml_get(n, "method")))
        m.method = compile_method(k, v);
    if ((v = yaml_get(n, "path")))
        compile_path(k, &m, v);
    m.header = compile_fields(k, yaml_get(n, "headers"), true, &m.header_count);
    m.query = compile_fields(k, yaml_get(n, "query"), false, &m.query_count);
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
        complain(k->c, n, "an HTTP match on tcp service `%s`; on tcp only the caller's identity is known",
                 b->s->name);
    if (n->count == 0)
        complain(k->c, n, "an empty `match` matches nothing; leave it out to match everything");
    for (size_t i = 0; i < n->count; i++)
        compile_match(b, n->child[i], route);
}

static bool compile_target(struct route_build *b, struct policy_target *t, const struct yaml_node *n)
{
    static const char *const in_force[] = {"subset", "weight", NULL}, *const later[] = {NULL};
    const struct yaml_node *v;
    uint64_t weight = 1;
    if (!schema_keys(n, in_force, later, b->k->c))
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
            complain(b->k->c, n, "`to` names the same instances twice; add up their weights");
}

static void compile_targets(struct route_build *b, struct policy_route *r, const struct yaml_node *n)
{
    struct compile *k = b->k;
    if (n && !yaml_is(n, YAML_LIST, "to", k->c))
        return;
    if (n && (n->count == 0 || n->count > POLICY_TARGETS_MAX)) {
        complain(k->c, n, "`to` has 1 to %d targets", POLICY_TARGETS_MAX);
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
        complain(k->c, n, "all weights are zero, so nothing could be chosen; give one target a weight");
}

static void compile_route(struct route_build *b, const struct yaml_node *n)
{
    static const char *const in_force[] = {"name", "match", "to", "timeouts", NULL};
    static const char *const later[] = {"rewrite", "sticky", "retry", "mirror", "requestHeaders", NULL};
    struct compile *k = b->k;
    struct policy_route *r = &b->route[b->s->route_count];
    if (!schema_keys(n, in_force, later, k->c))
        return;
    const struct yaml_node *name = yaml_get(n, "name");
    *r = (struct policy_route){.name = name ? compile_word(k, name, "route") : NULL,
                               .timeouts = b->s->timeouts};
    if (!name)
        complain(k->c, n, "a route needs a `name`; answers, logs and metrics show it");
    for (size_t i = 0; r->name && i < b->s->route_count; i++)
        if (b->route[i].name && strcmp(b->route[i].name, r->name) == 0)
            complain(k->c, name, "service `%s` has a route `%s` already; rename one", b->s->name, r->name);
    compile_targets(b, r, yaml_get(n, "to"));
    compile_timeouts(k, yaml_get(n, "timeouts"), b->s->protocol == POLICY_TCP, &r->timeouts);
    compile_matches(b, yaml_get(n, "match"), (uint32_t)b->s->route_count);
    b->s->route_count++;
}

static const struct route_match *covering(const struct route_build *b, size_t later)
{
    for (size_t i = 0; i < later; i++)
        if (b->match[i].route < b->match[later].route && route_match_covers(&b->match[i], &b->match[later]))
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
            complain(b->k->c, routes->child[b->match[i].route],
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
    b->route[0] = (struct policy_route){
        .name = "default", .target_count = 1, .target = t, .weight_sum = 1, .timeouts = b->s->timeouts};
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
        complain(
            k->c, routes,
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
