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

static bool is_star(const struct yaml_node *n)
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
        struct bytes name = is_star(n) ? (struct bytes){NULL, 0} : compile_service_name(k, n, what);
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
        complain(k->c, n, "`methods` is empty; leave it out for any method");
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
        complain(k->c, n, "`%.60s` can never match: %s", n->text, fault);
        return false;
    }
    const char *copy = arena_text(&k->p->arena, t.at, t.len);
    *out = bytes_of(copy, copy ? t.len : 0);
    return true;
}

static void compile_paths(struct compile *k, struct path_set *set, const struct yaml_node *n)
{
    if (!n || !yaml_is(n, YAML_LIST, "paths", k->c))
        return;
    if (n->count == 0)
        complain(k->c, n, "`paths` is empty; leave it out for any path");
    struct bytes *exact = calloc(n->count + 1, sizeof *exact), *prefix = calloc(n->count + 1, sizeof *prefix);
    size_t exact_count = 0, prefix_count = 0;
    for (size_t i = 0; exact && prefix && i < n->count; i++) {
        struct bytes path;
        bool is_prefix;
        if (compile_path(k, n->child[i], &path, &is_prefix))
            *(is_prefix ? &prefix[prefix_count++] : &exact[exact_count++]) = path;
    }
    if (!exact || !prefix || !path_set_build(set, &k->p->arena, exact, exact_count, prefix, prefix_count))
        k->p->arena.failed = true;
    free(exact);
    free(prefix);
}

static void compile_clause(struct compile *k, struct clause *cl, const struct yaml_node *n, bool is_tcp)
{
    static const char *const in_force[] = {"methods", "paths", NULL}, *const later[] = {"grpc", NULL};
    if (!schema_keys(n, in_force, later, k->c))
        return;
    const struct yaml_node *methods = yaml_get(n, "methods"), *paths = yaml_get(n, "paths");
    if (is_tcp && (methods || paths))
        complain(k->c, n,
                 "an HTTP rule on a tcp service, where only the caller's identity is known; remove methods "
                 "and paths");
    cl->methods = compile_methods(k, methods);
    compile_paths(k, &cl->paths, paths);
}

static const struct clause *compile_clauses(struct compile *k, const struct yaml_node *n, const char *what,
                                            bool is_tcp, size_t *count)
{
    if (!n || !yaml_is(n, YAML_LIST, what, k->c))
        return NULL;
    if (n->count == 0)
        complain(k->c, n, "`%s` is empty, so it does nothing; write [{}] for every request", what);
    struct clause *cl = arena_take(&k->p->arena, n->count, sizeof *cl);
    for (size_t i = 0; cl && i < n->count; i++)
        compile_clause(k, &cl[i], n->child[i], is_tcp);
    *count = cl ? n->count : 0;
    return cl;
}

static void compile_effect(struct compile *k, struct intention *r, const struct yaml_node *n,
                           const struct policy_service *to)
{
    static const char *const modes[] = {"audit", NULL};
    const struct yaml_node *allow = yaml_get(n, "allow"), *deny = yaml_get(n, "deny"),
                           *mode = yaml_get(n, "mode");
    bool is_tcp = to && to->protocol == POLICY_TCP;
    size_t i;
    r->allow = compile_clauses(k, allow, "allow", is_tcp, &r->allow_count);
    r->deny = compile_clauses(k, deny, "deny", is_tcp, &r->deny_count);
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
        if (is_star(name))
            complain(k->c, name, "`except` names services; with a star the rule would concern nobody");
        else if (name->kind == YAML_SCALAR && !list_names(from, "*") && !list_names(from, name->text))
            complain(k->c, name, "`%.60s` is not in `from`, so there is nothing to except; remove it",
                     name->text);
        else if (name->kind == YAML_SCALAR)
            id[r->except_count++] = policy_caller_id(k->p, bytes_of(name->text, name->text_len));
    }
    if (id)
        qsort(id, r->except_count, sizeof *id, id_by_value);
    r->except = id;
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
            (struct placed){service, caller, r->audit ? RULE_DENY_AUDIT : RULE_DENY, r};
    if (r->allow_count)
        b->placed[b->placed_count++] =
            (struct placed){service, caller, r->audit ? RULE_ALLOW_AUDIT : RULE_ALLOW, r};
}

static void place_all(struct intention_build *b, const struct policy_service *to, const struct intention *r,
                      const struct yaml_node *from, const struct yaml_node *except)
{
    struct complaints *c = b->k->c;
    size_t concerned = 0;
    if (list_names(from, "*")) {
        if (from->count > 1)
            complain(c, from, "`from` has a star, which is everybody; remove the other names");
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
                complain(c, n, "`%.60s` is named twice", n->text);
        place(b, to, policy_caller_id(b->k->p, bytes_of(n->text, n->text_len)), r);
    }
    if (concerned == 0 && except)
        complain(c, from, "all of `from` is excepted, so the rule concerns nobody");
}

static const char *compile_rule_name(struct compile *k, const struct yaml_node *n, const struct yaml_node *at)
{
    if (!n) {
        complain(k->c, at, "an intention needs a `name`; refusals, logs and tests show it");
        return NULL;
    }
    const char *name = compile_word(k, n, "rule");
    if (name && strcmp(name, "unmatched") == 0) {
        complain(k->c, n, "`unmatched` is what is said when no rule matches; choose another name");
        return NULL;
    }
    return name;
}

/* Each name is looked for in the other list and among those before it, so the lists are short. */
static bool lists_are_short(struct compile *k, const struct yaml_node *from, const struct yaml_node *except)
{
    const struct yaml_node *too_long = count_names(from) > POLICY_CALLERS_MAX     ? from
                                       : count_names(except) > POLICY_CALLERS_MAX ? except
                                                                                  : NULL;
    if (too_long)
        complain(k->c, too_long, "more than %d names in one list; split the rule", POLICY_CALLERS_MAX);
    return !too_long;
}

static void compile_intention(struct intention_build *b, const struct yaml_node *n)
{
    static const char *const in_force[] = {"name", "from", "except", "to", "allow", "deny", "mode", NULL},
                             *const later[] = {NULL};
    struct compile *k = b->k;
    if (!schema_keys(n, in_force, later, k->c))
        return;
    const struct yaml_node *from = yaml_get(n, "from"), *to_name = yaml_get(n, "to");
    const struct policy_service *to = to_name ? compile_service_ref(k, to_name) : NULL;
    struct intention *r = &b->rule[b->rule_count];
    *r = (struct intention){.order = (uint32_t)b->rule_count,
                            .name = compile_rule_name(k, yaml_get(n, "name"), n)};
    compile_effect(k, r, n, to);
    if (!from)
        complain(k->c, n, "`from` is missing; list the calling services, or [\"*\"] for all");
    else if (yaml_is(from, YAML_LIST, "from", k->c) && from->count == 0)
        complain(k->c, from, "`from` is empty; list the calling services, or [\"*\"] for all");
    if (!to_name)
        complain(k->c, n, "`to` is missing; name the service that is called");
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

struct named {
    const char *name;
    const struct yaml_node *at;
};

static int named_by_name(const void *a, const void *b)
{
    const struct named *x = a, *y = b;
    int d = strcmp(x->name, y->name);
    return d ? d : (x->at->line > y->at->line) - (x->at->line < y->at->line);
}

static void refuse_repeated_names(struct compile *k, const struct yaml_node *list)
{
    struct named *all = calloc(list->count + 1, sizeof *all);
    size_t count = 0;
    for (size_t i = 0; all && i < list->count; i++) {
        const struct yaml_node *n = yaml_get(list->child[i], "name");
        if (n && n->kind == YAML_SCALAR)
            all[count++] = (struct named){n->text, n};
    }
    if (all)
        qsort(all, count, sizeof *all, named_by_name);
    else
        k->p->arena.failed = true;
    for (size_t i = 1; i < count; i++)
        if (strcmp(all[i].name, all[i - 1].name) == 0)
            complain(k->c, all[i].at, "an intention `%.60s` exists already, in line %u; rename one",
                     all[i].name, all[i - 1].at->line);
    free(all);
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
        compile_intention(&b, intentions->child[i]);
    refuse_repeated_names(k, intentions);
    if (!k->p->arena.failed)
        build_index(&b);
    free(b.placed);
}
