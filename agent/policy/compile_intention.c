/* `intentions`: who may call whom, and the index by which a decision finds the few rules that concern it
 * (compiled.h). */
#include "policy/compile.h"

enum { CALLER_ANYONE = UINT32_MAX };

struct placed { /* one rule under one caller of one service, before sorting */
    uint32_t service, caller, kind;
    const struct intention *rule;
};
struct intention_build {
    struct compile *k;
    struct intention *rule;
    size_t rule_count;
    struct placed *placed;
    size_t placed_count, placed_cap;
};

bool compile_is_star(const struct yaml_node *n)
{
    return n->kind == YAML_SCALAR && strcmp(n->text, "*") == 0;
}

static int text_by_bytes(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static size_t count_names(const struct yaml_node *list)
{
    return list && list->kind == YAML_LIST ? list->count : 0;
}

static void collect_names(struct compile *k, const struct yaml_node *list, const char *what)
{
    for (size_t i = 0; i < count_names(list); i++) {
        const struct yaml_node *n = list->child[i];
        struct bytes name = compile_is_star(n) ? (struct bytes){NULL, 0} : compile_service_name(k, n, what);
        if (name.len)
            k->p->caller[k->p->caller_count++] = (const char *)name.at;
    }
}

/* All names in `from` and `except`, sorted, each once. */
static bool build_callers(struct compile *k, const struct yaml_node *intentions)
{
    struct policy *p = k->p;
    size_t most = 0, kept = 0;
    for (size_t i = 0; i < intentions->count; i++)
        most += count_names(yaml_get(intentions->child[i], "from")) +
                count_names(yaml_get(intentions->child[i], "except"));
    p->caller = arena_take(&p->arena, most, sizeof *p->caller);
    if (!p->caller)
        return false;
    for (size_t i = 0; i < intentions->count; i++) {
        collect_names(k, yaml_get(intentions->child[i], "from"), "from");
        collect_names(k, yaml_get(intentions->child[i], "except"), "except");
    }
    if (p->caller_count)
        qsort(p->caller, p->caller_count, sizeof *p->caller, text_by_bytes);
    for (size_t i = 0; i < p->caller_count; i++)
        if (kept == 0 || strcmp(p->caller[i], p->caller[kept - 1]) != 0)
            p->caller[kept++] = p->caller[i];
    p->caller_count = kept;
    return true;
}

static uint64_t compile_methods(struct compile *k, const struct yaml_node *n)
{
    uint64_t bits = 0;
    if (!n || !yaml_is(n, YAML_LIST, "methods", k->c))
        return 0;
    if (n->count == 0)
        complain_of(k->c, CODE_MISSING, n, "`methods` is empty; leave it out for any method");
    for (size_t i = 0; i < n->count; i++)
        bits |= compile_method(k, n->child[i]);
    return bits;
}

/* "/cart/7" is that path; "/cart" with "/" and a star behind is the path /cart and all below it. False:
 * complained. */
static bool compile_path(struct compile *k, const struct yaml_node *n, struct bytes *out, bool *is_prefix)
{
    struct bytes t;
    if (!yaml_string(n, "paths", &t, k->c))
        return false;
    *is_prefix = t.len >= 2 && t.at[t.len - 1] == '*' && t.at[t.len - 2] == '/';
    if (*is_prefix)
        t.len -= 2;
    const char *fault = t.len == 0 && *is_prefix ? NULL : path_fault(t);
    if (!fault && t.len && memchr(t.at, '*', t.len))
        fault = "a star is only possible at the end, after a slash (/cart/*)";
    if (!fault && *is_prefix && t.len && t.at[t.len - 1] == '/')
        fault = "`//` is forwarded as `/`; write a single slash";
    if (fault) {
        complain_of(k->c, CODE_NEVER, n, "`%.60s` can never match: %s", n->text, fault);
        return false;
    }
    const char *copy = arena_text(&k->p->arena, t.at, t.len);
    *out = bytes_of(copy, copy ? t.len : 0);
    return true;
}

/* The paths of one clause while they are gathered, from `paths` and from `grpc`. */
struct path_lists {
    struct bytes *exact, *prefix;
    size_t exact_count, prefix_count;
};

static void add_path(struct path_lists *l, struct bytes path, bool is_prefix)
{
    *(is_prefix ? &l->prefix[l->prefix_count++] : &l->exact[l->exact_count++]) = path;
}

static void compile_paths(struct compile *k, struct path_lists *l, const struct yaml_node *n)
{
    struct bytes path;
    bool is_prefix;
    if (!n || !yaml_is(n, YAML_LIST, "paths", k->c))
        return;
    if (n->count == 0)
        complain_of(k->c, CODE_MISSING, n, "`paths` is empty; leave it out for any path");
    for (size_t i = 0; i < n->count; i++)
        if (compile_path(k, n->child[i], &path, &is_prefix))
            add_path(l, path, is_prefix);
}

/* "shop.Orders/Place" is the path /shop.Orders/Place; with a star for the method, the service and all of it
 * (gRPC over HTTP/2, "Path"). */
static void compile_grpc(struct compile *k, struct path_lists *l, const struct yaml_node *n)
{
    char path[2 * POLICY_WORD_MAX + 4];
    struct bytes t;
    if (!yaml_string(n, "grpc", &t, k->c))
        return;
    const uint8_t *slash = memchr(t.at, '/', t.len);
    bool all = slash && strcmp((const char *)slash, "/*") == 0, good = slash && slash[1] && slash != t.at;
    for (size_t i = 0; good && i < t.len - all; i++) {
        uint8_t c = t.at[i], low = c | 0x20;
        good = (low >= 'a' && low <= 'z') || (c >= '0' && c <= '9') || c == '_' || &t.at[i] == slash ||
               (c == '.' && &t.at[i] < slash);
    }
    if (!good || t.len > sizeof path - 2) {
        complain_of(
            k->c, CODE_VALUE, n,
            "expected a method such as shop.Orders/Place, or shop.Orders/* for all of a service; found "
            "`%.60s`",
            n->text);
        return;
    }
    snprintf(path, sizeof path, "/%.*s", (int)(t.len - 2 * all), n->text);
    add_path(l, compile_copy(k, bytes_str(path)), all);
}

static void compile_clause_paths(struct compile *k, struct path_set *set, const struct yaml_node *paths,
                                 const struct yaml_node *grpc)
{
    size_t most = 2 + (paths && paths->kind == YAML_LIST ? paths->count : 0);
    struct path_lists l = {.exact = calloc(most, sizeof(struct bytes)),
                           .prefix = calloc(most, sizeof(struct bytes))};
    if (l.exact && l.prefix) {
        compile_paths(k, &l, paths);
        if (grpc)
            compile_grpc(k, &l, grpc);
    }
    if (!l.exact || !l.prefix ||
        !path_set_build(set, &k->p->arena, l.exact, l.exact_count, l.prefix, l.prefix_count))
        k->p->arena.failed = true;
    free(l.exact);
    free(l.prefix);
}

static void compile_clause(struct compile *k, struct clause *cl, const struct yaml_node *n,
                           const struct policy_service *to)
{
    static const char *const keys[] = {"methods", "paths", "grpc", NULL};
    if (!compile_map(k, n, keys))
        return;
    const struct yaml_node *methods = yaml_get(n, "methods"), *paths = yaml_get(n, "paths"),
                           *grpc = yaml_get(n, "grpc");
    if (to && to->protocol == POLICY_TCP && (methods || paths || grpc))
        complain_of(
            k->c, CODE_PROTOCOL, n,
            "an HTTP rule on a tcp service, where only the caller's identity is known; remove methods "
            "and paths");
    else if (to && grpc && to->protocol != POLICY_GRPC && !to->is_vague)
        complain_of(k->c, CODE_PROTOCOL, grpc, "`%s` is no grpc service; use methods and paths", to->name);
    if (grpc && (methods || paths))
        complain_of(k->c, CODE_CONFLICT, n, "`grpc` is method and path in one; remove the other keys");
    cl->methods = compile_methods(k, methods);
    compile_clause_paths(k, &cl->paths, paths, grpc);
}

static const struct clause *compile_clauses(struct compile *k, const struct yaml_node *n, const char *what,
                                            const struct policy_service *to, size_t *count)
{
    if (!n || !yaml_is(n, YAML_LIST, what, k->c))
        return NULL;
    if (n->count == 0)
        complain_of(k->c, CODE_MISSING, n, "`%s` is empty, so it does nothing; write [{}] for every request",
                    what);
    struct clause *cl = arena_take(&k->p->arena, n->count, sizeof *cl);
    for (size_t i = 0; cl && i < n->count; i++)
        compile_clause(k, &cl[i], n->child[i], to);
    *count = cl ? n->count : 0;
    return cl;
}

static void compile_effect(struct compile *k, struct intention *r, const struct yaml_node *n,
                           const struct policy_service *to)
{
    static const char *const modes[] = {"audit", NULL};
    const struct yaml_node *allow = yaml_get(n, "allow"), *deny = yaml_get(n, "deny"),
                           *mode = yaml_get(n, "mode");
    size_t i;
    r->allow = compile_clauses(k, allow, "allow", to, &r->allow_count);
    r->deny = compile_clauses(k, deny, "deny", to, &r->deny_count);
    if (!allow && !deny) { /* {from, to} alone allows everything */
        r->allow = arena_take(&k->p->arena, 1, sizeof *r->allow);
        r->allow_count = 1;
    }
    if (mode)
        r->audit = yaml_one_of(mode, modes, &i, k->c);
}

static bool list_names(const struct yaml_node *list, const char *name)
{
    for (size_t i = 0; i < count_names(list); i++)
        if (list->child[i]->kind == YAML_SCALAR && strcmp(list->child[i]->text, name) == 0)
            return true;
    return false;
}

static int id_by_value(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static void compile_except(struct compile *k, struct intention *r, const struct yaml_node *n,
                           const struct yaml_node *from)
{
    if (!n || !yaml_is(n, YAML_LIST, "except", k->c))
        return;
    uint32_t *id = arena_take(&k->p->arena, n->count, sizeof *id);
    for (size_t i = 0; id && i < n->count; i++) {
        const struct yaml_node *name = n->child[i];
        if (compile_is_star(name))
            complain_of(k->c, CODE_CONFLICT, name,
                        "`except` names services; with a star the rule would concern nobody");
        else if (name->kind == YAML_SCALAR && !list_names(from, "*") && !list_names(from, name->text))
            complain_of(k->c, CODE_CONFLICT, name,
                        "`%.60s` is not in `from`, so there is nothing to except; remove it", name->text);
        else if (name->kind == YAML_SCALAR)
            id[r->except_count++] = policy_caller_id(k->p, bytes_of(name->text, name->text_len));
    }
    if (id)
        qsort(id, r->except_count, sizeof *id, id_by_value);
    r->except = id;
}

static uint32_t kind_of(const struct intention *r, enum rule_kind overlay, enum rule_kind plain,
                        enum rule_kind audit)
{
    return r->overlay ? overlay : r->audit ? audit : plain;
}

static void place(struct intention_build *b, const struct policy_service *to, uint32_t caller,
                  const struct intention *r)
{
    uint32_t service = (uint32_t)(to - b->k->p->service);
    if (b->placed_count + 2 > b->placed_cap) {
        size_t cap = b->placed_cap ? 2 * b->placed_cap : 64;
        struct placed *at = realloc(b->placed, cap * sizeof *at);
        if (!at) {
            b->k->p->arena.failed = true;
            return;
        }
        b->placed = at;
        b->placed_cap = cap;
    }
    if (r->deny_count)
        b->placed[b->placed_count++] =
            (struct placed){service, caller, kind_of(r, RULE_OVERLAY_DENY, RULE_DENY, RULE_DENY_AUDIT), r};
    if (r->allow_count)
        b->placed[b->placed_count++] =
            (struct placed){service, caller, kind_of(r, RULE_OVERLAY_ALLOW, RULE_ALLOW, RULE_ALLOW_AUDIT), r};
}

static void place_all(struct intention_build *b, const struct policy_service *to, const struct intention *r,
                      const struct yaml_node *from, const struct yaml_node *except)
{
    struct complaints *c = b->k->c;
    size_t concerned = 0;
    if (list_names(from, "*")) {
        if (from->count > 1)
            complain_of(c, CODE_CONFLICT, from,
                        "`from` has a star, which is everybody; remove the other names");
        place(b, to, CALLER_ANYONE, r);
        return;
    }
    for (size_t i = 0; i < from->count; i++) {
        const struct yaml_node *n = from->child[i];
        if (n->kind != YAML_SCALAR || n->text_len == 0 || list_names(except, n->text))
            continue;
        concerned++;
        for (size_t j = 0; j < i; j++)
            if (from->child[j]->kind == YAML_SCALAR && strcmp(from->child[j]->text, n->text) == 0)
                complain_of(c, CODE_REPEATED, n, "`%.60s` is named twice", n->text);
        place(b, to, policy_caller_id(b->k->p, bytes_of(n->text, n->text_len)), r);
    }
    if (concerned == 0 && except)
        complain_of(c, CODE_NEVER, from, "all of `from` is excepted, so the rule concerns nobody");
}

static const char *compile_rule_name(struct compile *k, const struct yaml_node *n, const struct yaml_node *at)
{
    if (!n) {
        complain_of(k->c, CODE_MISSING, at, "an intention needs a `name`; refusals, logs and tests show it");
        return NULL;
    }
    const char *name = compile_word(k, n, "rule");
    if (name && strcmp(name, "unmatched") == 0) {
        complain_of(k->c, CODE_NAME, n,
                    "`unmatched` is what is said when no rule matches; choose another name");
        return NULL;
    }
    return compile_name_in_part(k, n, name);
}

/* Each name is looked for in the other list and among those before it, so the lists are short. */
static bool lists_are_short(struct compile *k, const struct yaml_node *from, const struct yaml_node *except)
{
    const struct yaml_node *too_long = count_names(from) > POLICY_CALLERS_MAX     ? from
                                       : count_names(except) > POLICY_CALLERS_MAX ? except
                                                                                  : NULL;
    if (too_long)
        complain_of(k->c, CODE_LIMIT, too_long, "more than %d names in one list; split the rule",
                    POLICY_CALLERS_MAX);
    return !too_long;
}

static void compile_intention(struct intention_build *b, const struct yaml_node *n, uint32_t order)
{
    static const char *const keys[] = {"name", "from", "except", "to", "allow", "deny", "mode", NULL};
    struct compile *k = b->k;
    if (!compile_map(k, n, keys))
        return;
    const struct yaml_node *from = yaml_get(n, "from"), *to_name = yaml_get(n, "to");
    bool is_overlay = k->src[n->source].is_overlay;
    if (is_overlay)
        compile_overlay_rule(k, n);
    const struct policy_service *to =
        to_name && !(is_overlay && compile_is_star(to_name)) ? compile_service_ref(k, to_name) : NULL;
    if (to && !compile_in_reach(k, to_name, bytes_str(to->name)))
        return;
    struct intention *r = &b->rule[b->rule_count];
    *r = (struct intention){
        .order = order, .name = compile_rule_name(k, yaml_get(n, "name"), n), .overlay = is_overlay};
    compile_effect(k, r, n, to);
    if (!from)
        complain_of(k->c, CODE_MISSING, n,
                    "`from` is missing; list the calling services, or [\"*\"] for all");
    else if (yaml_is(from, YAML_LIST, "from", k->c) && from->count == 0)
        complain_of(k->c, CODE_MISSING, from,
                    "`from` is empty; list the calling services, or [\"*\"] for all");
    if (!to_name)
        complain_of(k->c, CODE_MISSING, n, "`to` is missing; name the service that is called");
    const struct yaml_node *except = yaml_get(n, "except");
    if (from && from->kind == YAML_LIST && lists_are_short(k, from, except)) {
        compile_except(k, r, except, from);
        if (to && r->name)
            place_all(b, to, r, from, except);
    }
    b->rule_count += r->name != NULL;
}

static int placed_by_index(const void *a, const void *b)
{
    const struct placed *x = a, *y = b;
    if (x->service != y->service)
        return x->service < y->service ? -1 : 1;
    if (x->caller != y->caller)
        return x->caller < y->caller ? -1 : 1;
    if (x->kind != y->kind)
        return x->kind < y->kind ? -1 : 1;
    return x->rule->order < y->rule->order ? -1 : x->rule->order > y->rule->order;
}

/* One run of equal service and caller becomes one list. */
static struct rule_list list_of(const struct intention **at, const struct placed *placed, size_t count)
{
    struct rule_list l = {.at = at};
    for (size_t i = 0; i < count; i++) {
        at[i] = placed[i].rule;
        for (uint32_t kind = placed[i].kind; kind < RULE_KINDS; kind++)
            l.end[kind] = (uint32_t)i + 1;
    }
    return l;
}

static size_t run_length(const struct placed *at, const struct placed *end)
{
    const struct placed *p = at;
    while (p < end && p->service == at->service && p->caller == at->caller)
        p++;
    return (size_t)(p - at);
}

static void build_index(struct intention_build *b)
{
    struct policy *p = b->k->p;
    const struct intention **at = arena_take(&p->arena, b->placed_count, sizeof(struct intention *));
    struct caller_rules *caller = arena_take(&p->arena, b->placed_count, sizeof *caller);
    if (!at || !caller || b->placed_count == 0)
        return;
    qsort(b->placed, b->placed_count, sizeof *b->placed, placed_by_index);
    for (size_t i = 0, n; i < b->placed_count; i += n) {
        const struct placed *first = &b->placed[i];
        struct policy_service *s = &p->service[first->service];
        n = run_length(first, b->placed + b->placed_count);
        struct rule_list list = list_of(at + i, first, n);
        if (first->caller == CALLER_ANYONE) {
            s->anyone = list;
            continue;
        }
        if (s->caller_count == 0)
            s->caller = caller;
        *caller++ = (struct caller_rules){first->caller, list};
        s->caller_count++;
    }
}

void compile_intentions(struct compile *k, const struct yaml_node *intentions)
{
    struct intention_build b = {.k = k};
    if (!yaml_is(intentions, YAML_LIST, "intentions", k->c))
        return;
    b.rule = arena_take(&k->p->arena, intentions->count, sizeof *b.rule);
    if (!b.rule || !build_callers(k, intentions))
        return;
    for (size_t i = 0; i < intentions->count; i++)
        compile_intention(&b, intentions->child[i], (uint32_t)i);
    compile_names_once(k, intentions, "an intention");
    if (!k->p->arena.failed)
        build_index(&b);
    free(b.placed);
}
