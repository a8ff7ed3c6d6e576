/* What is done to a request on its way: rewrite, sticky, mirror, headers; and what a service says about other
 * services and its own routes: failover, rateLimits. */
#include "policy/compile.h"

void compile_sender(struct compile *k, const struct yaml_node *n, bool with_source, bool is_tcp,
                    struct policy_key *out)
{
    static const char *const keys[] = {"header", "cookie", NULL};
    if (with_source && n->kind == YAML_SCALAR && strcmp(n->text, "source") == 0) {
        *out = (struct policy_key){.kind = KEY_SOURCE};
        return;
    }
    if (is_tcp) {
        complain_of(k->c, CODE_PROTOCOL, n, "a tcp service has no headers; only `source` is known");
        return;
    }
    if (n->kind != YAML_MAP || n->count != 1) {
        complain_of(k->c, CODE_VALUE, n, "expected %s{header: x-name} or {cookie: name}",
                    with_source ? "source, " : "");
        return;
    }
    if (!yaml_keys_only(n, keys, k->c))
        return;
    bool is_header = strcmp(n->key[0]->text, "header") == 0;
    struct bytes t, name = {NULL, 0};
    if (is_header)
        name = compile_header_name(k, n->child[0]);
    else if (yaml_string(n->child[0], "cookie", &t, k->c))
        name = compile_copy(k, t);
    if (name.len)
        *out = (struct policy_key){.kind = is_header ? KEY_HEADER : KEY_COOKIE, .name = name};
}

/* RFC 3986 section 3.3, without the ';' that no path of the mesh has. What a match may name and no client may send raw is no
 * matter; what is sent to an application must be sound. */
static bool is_sendable(struct bytes path)
{
    for (size_t i = 0; i < path.len; i++) {
        uint8_t c = path.at[i];
        bool alnum = (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
        if (!alnum && !(c && strchr("-._~!$&'()*+,=:@/%", c)))
            return false;
    }
    return true;
}

/* The Gateway API's rule for ReplacePrefixMatch: what is replaced must have been matched. */
static void compile_rewrite(struct compile *k, const struct policy_service *s, struct policy_route *r,
                            const struct yaml_node *n)
{
    static const char *const keys[] = {"prefix", NULL};
    const struct yaml_node *prefix;
    struct bytes t;
    if (!compile_map(k, n, keys) || !(prefix = yaml_get(n, "prefix"))) {
        if (n->kind == YAML_MAP && n->count == 0)
            complain_of(k->c, CODE_MISSING, n, "`rewrite` is empty; give it a `prefix`");
        return;
    }
    if (!yaml_string(prefix, "prefix", &t, k->c))
        return;
    const char *fault = path_fault(t);
    if (!fault && !is_sendable(t))
        fault = "escape all but letters, digits and -._~!$&'()*+,=:@";
    if (fault) {
        complain_of(k->c, CODE_VALUE, prefix, "`%.60s` cannot be forwarded: %s", prefix->text, fault);
        return;
    }
    for (size_t i = 0; i < s->match_count; i++)
        if (&s->route[s->match[i].route] == r && s->match[i].path_test != PATH_PREFIX) {
            complain_of(k->c, CODE_CONFLICT, n,
                        "`rewrite` replaces the prefix that matched; give each match of the route a `path: "
                        "{prefix: ...}`");
            return;
        }
    t.len -= t.at[t.len - 1] == '/'; /* as in a match: a trailing slash says nothing */
    r->rewrite_prefix = arena_text(&k->p->arena, t.at, t.len);
}

static void compile_mirror(struct compile *k, const struct policy_service *s, struct policy_route *r,
                           const struct yaml_node *n)
{
    static const char *const keys[] = {"to", "percent", NULL};
    uint64_t percent = 100;
    if (!compile_map(k, n, keys))
        return;
    const struct yaml_node *to = yaml_get(n, "to"), *share = yaml_get(n, "percent");
    if (share)
        (void)yaml_u64(share, &percent, 1, 100, k->c);
    if (!to) {
        complain_of(k->c, CODE_MISSING, n, "`to` is missing; name the service that gets the copies");
        return;
    }
    const struct policy_service *target = compile_service_ref(k, to);
    if (target == s)
        complain_of(k->c, CODE_CONFLICT, to, "a service cannot mirror to itself; name another");
    r->mirror = (struct policy_mirror){target, (uint32_t)percent * 10000};
}

/* RFC 9110 section 5.5: what a field's value may hold. */
static bool is_field_value(struct bytes t)
{
    for (size_t i = 0; i < t.len; i++)
        if ((t.at[i] < 0x20 && t.at[i] != '\t') || t.at[i] == 0x7f)
            return false;
    return t.len == 0 || (t.at[0] > 0x20 && t.at[t.len - 1] > 0x20);
}

/* The name of a header that may be edited: not one that only the connection's ends or the mesh itself may say. A '_' or '.' counts as
 * '-': applications fold them (CGI). */
static struct bytes compile_edited_name(struct compile *k, const struct yaml_node *n)
{
    static const char ours[] = "x-starling";
    struct bytes name = compile_header_name(k, n);
    size_t same = 0;
    while (same < name.len && same < sizeof ours - 1 &&
           (name.at[same] == '_' || name.at[same] == '.' ? '-' : name.at[same]) == ours[same])
        same++;
    if (same < sizeof ours - 1)
        return name;
    complain_of(k->c, CODE_VALUE, n,
                "headers that begin with x-starling are the mesh's own; choose another name");
    return (struct bytes){NULL, 0};
}

static void compile_set(struct compile *k, struct policy_header_edit *e, const struct yaml_node *n)
{
    if (!yaml_is(n, YAML_MAP, "set", k->c))
        return;
    struct policy_name_value *set = arena_take(&k->p->arena, n->count, sizeof *set);
    for (size_t i = 0; set && i < n->count; i++) {
        const struct yaml_node *value = n->child[i];
        struct bytes name = compile_edited_name(k, n->key[i]);
        if (!name.len || !yaml_is(value, YAML_SCALAR, n->key[i]->text, k->c))
            continue;
        struct bytes v = bytes_of(value->text, value->text_len);
        if (v.len > POLICY_VALUE_MAX || !is_field_value(v))
            complain_of(k->c, CODE_VALUE, value,
                        "no header has this value: up to %d bytes, without control characters and without "
                        "blanks at its ends",
                        POLICY_VALUE_MAX);
        else
            set[e->set_count++] = (struct policy_name_value){name, compile_copy(k, v)};
    }
    e->set = set;
}

static void compile_remove(struct compile *k, struct policy_header_edit *e, const struct yaml_node *n)
{
    if (!yaml_is(n, YAML_LIST, "remove", k->c))
        return;
    struct bytes *remove = arena_take(&k->p->arena, n->count, sizeof *remove);
    for (size_t i = 0; remove && i < n->count; i++)
        if ((remove[e->remove_count] = compile_edited_name(k, n->child[i])).len)
            e->remove_count++;
    e->remove = remove;
}

static void refuse_repeated_edits(struct compile *k, const struct policy_header_edit *e,
                                  const struct yaml_node *at)
{
    for (size_t i = 0; i < e->set_count; i++) {
        size_t again = 0;
        for (size_t j = 0; j < i; j++)
            again += bytes_eq(e->set[i].name, e->set[j].name);
        for (size_t j = 0; j < e->remove_count; j++)
            again += bytes_eq(e->set[i].name, e->remove[j]);
        if (again)
            complain_of(k->c, CODE_REPEATED, at, "`%.*s` is edited twice; `set` replaces what is there",
                        (int)e->set[i].name.len, (const char *)e->set[i].name.at);
    }
}

static void compile_edit(struct compile *k, struct policy_header_edit *e, const struct yaml_node *n)
{
    static const char *const keys[] = {"set", "remove", NULL};
    if (!compile_map(k, n, keys))
        return;
    const struct yaml_node *set = yaml_get(n, "set"), *remove = yaml_get(n, "remove");
    if (n->count == 0)
        complain_of(k->c, CODE_MISSING, n, "nothing to do; give it `set` or `remove`");
    if ((set && set->count > POLICY_EDITS_MAX) || (remove && remove->count > POLICY_EDITS_MAX)) {
        complain_of(k->c, CODE_LIMIT, n, "at most %d headers are set, and removed, by one route",
                    POLICY_EDITS_MAX);
        return;
    }
    if (set)
        compile_set(k, e, set);
    if (remove)
        compile_remove(k, e, remove);
    refuse_repeated_edits(k, e, n);
}

static void compile_sticky(struct compile *k, struct policy_route *r, const struct yaml_node *n)
{
    compile_sender(k, n, false, false, &r->sticky);
    size_t chosen = 0;
    for (size_t i = 0; i < r->target_count; i++)
        chosen += r->target[i].weight > 0;
    if (chosen == 1 && r->sticky.kind != KEY_NONE)
        complain_warning(
            k->c, CODE_NO_EFFECT, n,
            "`sticky` keeps users on one side of a split, and this route has only one; remove it");
}

void compile_route_actions(struct compile *k, struct policy_service *s, struct policy_route *r,
                           const struct yaml_node *n)
{
    static const struct {
        const char *name;
        enum policy_feature need;
    } actions[] = {{"rewrite", FEATURE_REWRITE},
                   {"sticky", FEATURE_STICKY},
                   {"mirror", FEATURE_MIRROR},
                   {"requestHeaders", FEATURE_REQUEST_HEADERS},
                   {"responseHeaders", FEATURE_RESPONSE_HEADERS}};
    for (size_t i = 0; i < sizeof actions / sizeof *actions; i++) {
        const struct yaml_node *v = yaml_get(n, actions[i].name);
        if (!v)
            continue;
        compile_need(k, actions[i].need, v);
        if (s->protocol == POLICY_TCP)
            complain_of(k->c, CODE_PROTOCOL, v, "a tcp service has no requests; remove `%s`",
                        actions[i].name);
        else if (actions[i].need == FEATURE_REWRITE)
            compile_rewrite(k, s, r, v);
        else if (actions[i].need == FEATURE_STICKY)
            compile_sticky(k, r, v);
        else if (actions[i].need == FEATURE_REQUEST_HEADERS)
            compile_edit(k, &r->request_headers, v);
        else if (actions[i].need == FEATURE_RESPONSE_HEADERS)
            compile_edit(k, &r->response_headers, v);
        /* mirror: in compile_service_links(), when every service's protocol is known */
    }
}

/* -- links ------------------------------------------------------------------------------------------ */

static bool speaks_alike(struct compile *k, const struct policy_service *s,
                         const struct policy_service *other, const struct yaml_node *at)
{
    if (s->is_vague || other->is_vague || (s->protocol == POLICY_TCP) == (other->protocol == POLICY_TCP))
        return true;
    complain_of(k->c, CODE_PROTOCOL, at, "`%s` and `%s` are not of one kind: one has requests, one is tcp",
                s->name, other->name);
    return false;
}

static void compile_failover(struct compile *k, struct policy_service *s, const struct yaml_node *n)
{
    static const char *const keys[] = {"service", NULL};
    if (!compile_list(k, n, "failover", POLICY_FAILOVER_MAX))
        return;
    const struct policy_service **list = arena_take(&k->p->arena, n->count, sizeof(struct policy_service *));
    for (size_t i = 0; list && i < n->count; i++) {
        if (n->child[i]->kind == YAML_SCALAR && n->child[i]->text_len) {
            complain_of(k->c, CODE_TYPE, n->child[i],
                        "expected a map such as {service: %.60s}; found a single value", n->child[i]->text);
            continue;
        }
        const struct yaml_node *name =
            compile_map(k, n->child[i], keys) ? yaml_get(n->child[i], "service") : NULL;
        const struct policy_service *to = name ? compile_service_ref(k, name) : NULL;
        if (!name && n->child[i]->kind == YAML_MAP)
            complain_of(k->c, CODE_MISSING, n->child[i], "`service` is missing; name where to go instead");
        if (!to || !speaks_alike(k, s, to, name))
            continue;
        if (to == s)
            complain_of(k->c, CODE_CONFLICT, name, "a service cannot fail over to itself; name another");
        for (size_t j = 0; j < s->failover_count; j++)
            if (list[j] == to)
                complain_of(k->c, CODE_REPEATED, name, "`%s` is named twice", to->name);
        list[s->failover_count++] = to;
    }
    s->failover = list;
}

static void compile_rate(struct compile *k, const struct yaml_node *n, struct policy_rate_limit *l)
{
    const struct yaml_node *rate = yaml_get(n, "rate"), *burst = yaml_get(n, "burst");
    if (!rate)
        complain_of(k->c, CODE_MISSING, n, "`rate` is missing; say how many, such as 100/s");
    else if (yaml_rate(rate, &l->count, &l->per_ms, k->c))
        l->burst = (l->count * 1000 + l->per_ms - 1) / l->per_ms; /* what a second brings, at least one */
    if (burst)
        (void)yaml_u64(burst, &l->burst, 1, 1000000, k->c);
}

static void compile_rate_limit(struct compile *k, const struct policy_service *s, struct rate_limit *l,
                               const struct yaml_node *n)
{
    static const char *const keys[] = {"scope", "per", "rate", "burst", "route", "ifPartitioned", NULL};
    static const char *const scopes[] = {[SCOPE_INSTANCE] = "instance", [SCOPE_MESH] = "mesh", NULL};
    static const char *const partitioned[] = {
        [PARTITIONED_SHARE] = "share", [PARTITIONED_FULL] = "full", NULL};
    const struct yaml_node *v;
    size_t i;
    l->route = UINT32_MAX;
    if (!compile_map(k, n, keys))
        return;
    if (!(v = yaml_get(n, "scope")))
        complain_of(k->c, CODE_MISSING, n, "`scope` is missing; say instance or mesh");
    else if (yaml_one_of(v, scopes, &i, k->c)) {
        l->said.scope = (enum policy_scope)i;
        compile_need(k, i == SCOPE_MESH ? FEATURE_RATE_LIMIT_MESH : FEATURE_RATE_LIMIT, v);
    }
    compile_rate(k, n, &l->said);
    if ((v = yaml_get(n, "per")))
        compile_sender(k, v, true, s->protocol == POLICY_TCP, &l->said.per);
    if ((v = yaml_get(n, "route")) && (l->route = compile_route_ref(k, s, v)) != UINT32_MAX)
        l->said.route = s->route[l->route].name;
    if ((v = yaml_get(n, "ifPartitioned"))) {
        if (l->said.scope != SCOPE_MESH)
            complain_of(k->c, CODE_CONFLICT, v,
                        "`ifPartitioned` is for `scope: mesh`; an instance counts alone anyhow");
        if (yaml_one_of(v, partitioned, &i, k->c))
            l->said.if_partitioned = (enum policy_partitioned)i;
    }
}

static void compile_rate_limits(struct compile *k, struct policy_service *s, const struct yaml_node *n)
{
    if (!compile_list(k, n, "rateLimits", POLICY_RATE_LIMITS_MAX))
        return;
    struct rate_limit *l = arena_take(&k->p->arena, n->count, sizeof *l);
    for (size_t i = 0; l && i < n->count; i++)
        compile_rate_limit(k, s, &l[i], n->child[i]);
    s->limit = l;
    s->limit_count = l ? n->count : 0;
}

static void compile_mirrors(struct compile *k, struct policy_service *s, const struct yaml_node *routes)
{
    for (size_t i = 0; routes && routes->kind == YAML_LIST && i < routes->count && i < s->route_count; i++) {
        const struct yaml_node *mirror = yaml_get(routes->child[i], "mirror"),
                               *to = mirror ? yaml_get(mirror, "to") : NULL;
        struct policy_route *r = (struct policy_route *)&s->route[i];
        if (!mirror || s->protocol == POLICY_TCP)
            continue;
        compile_mirror(k, s, r, mirror);
        if (to && r->mirror.to)
            (void)speaks_alike(k, s, r->mirror.to, to);
    }
}

void compile_service_links(struct compile *k, struct policy_service *s, const struct yaml_node *n)
{
    const struct yaml_node *failover = yaml_get(n, "failover"), *limits = yaml_get(n, "rateLimits");
    if (failover) {
        compile_need(k, FEATURE_FAILOVER, failover);
        compile_failover(k, s, failover);
    }
    if (limits) {
        compile_need(k, FEATURE_RATE_LIMIT, limits);
        compile_rate_limits(k, s, limits);
    }
    compile_mirrors(k, s, yaml_get(n, "routes"));
}
