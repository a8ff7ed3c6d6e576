/* `tests`: expectations that travel with the policy; read here, run by policy_test(). */
#include "policy/compile.h"

/* "GET /cart/7?x=1" */
static void compile_request(struct compile *k, struct self_test *t, const struct yaml_node *n)
{
    struct bytes text;
    if (!yaml_string(n, "request", &text, k->c))
        return;
    const uint8_t *blank = memchr(text.at, ' ', text.len);
    if (!blank || blank == text.at) {
        complain_of(k->c, CODE_VALUE, n, "write a request as METHOD /path, such as GET /cart/7");
        return;
    }
    size_t method_len = (size_t)(blank - text.at), target_len = text.len - method_len - 1;
    const uint8_t *question = memchr(blank + 1, '?', target_len);
    t->method = compile_copy(k, bytes_of(text.at, method_len));
    t->path = compile_copy(k, bytes_of(blank + 1, question ? (size_t)(question - blank - 1) : target_len));
    if (question)
        t->query = compile_copy(k, bytes_of(question + 1, (size_t)(text.at + text.len - question - 1)));
    const char *fault = path_fault(t->path);
    if (fault)
        complain_of(k->c, CODE_NEVER, n, "no request has this path: %s", fault);
}

static bool rule_exists(const struct compile *k, const struct policy_service *s, struct bytes name)
{
    (void)k;
    if (bytes_eq_str(name, "unmatched"))
        return true;
    for (size_t i = 0; i < s->anyone.end[RULE_KINDS - 1]; i++)
        if (bytes_eq_str(name, s->anyone.at[i]->name))
            return true;
    for (size_t i = 0; i < s->caller_count; i++)
        for (size_t j = 0; j < s->caller[i].list.end[RULE_KINDS - 1]; j++)
            if (bytes_eq_str(name, s->caller[i].list.at[j]->name))
                return true;
    return false;
}

/* In a part, first a rule of its own. */
static const char *compile_rule_ref(struct compile *k, const struct policy_service *s,
                                    const struct yaml_node *n)
{
    struct bytes t;
    if (!yaml_string(n, "rule", &t, k->c))
        return NULL;
    const char *name = arena_text(&k->p->arena, t.at, t.len), *own = compile_name_in_part(k, n, name);
    if (own && own != name && rule_exists(k, s, bytes_str(own)))
        return own;
    if (!rule_exists(k, s, t))
        complain_of(k->c, CODE_UNKNOWN, n,
                    "no intention `%.60s` to service `%s`, so this could never be the answer", n->text,
                    s->name);
    return name;
}

/* One name or a list of them. */
static void compile_subset_refs(struct compile *k, struct self_test *t, const struct yaml_node *n)
{
    size_t count = n->kind == YAML_LIST ? n->count : 1;
    const char **subset = arena_take(&k->p->arena, count, sizeof *subset);
    if (count == 0)
        complain_of(k->c, CODE_MISSING, n, "`subset` is empty; leave it out if any will do");
    for (size_t i = 0; subset && i < count; i++) {
        const struct policy_subset *s = compile_subset_ref(k, t->to, n->kind == YAML_LIST ? n->child[i] : n);
        if (s)
            subset[t->subset_count++] = s->name;
    }
    t->subset = subset;
}

static void compile_expectations(struct compile *k, struct self_test *t, const struct yaml_node *n)
{
    const struct yaml_node *request = yaml_get(n, "request"), *v;
    uint32_t route;
    if (request && t->to->protocol == POLICY_TCP)
        complain_of(k->c, CODE_PROTOCOL, request,
                    "`%s` is a tcp service and has no requests; remove `request`", t->to->name);
    else if (request)
        compile_request(k, t, request);
    else if (t->to->protocol != POLICY_TCP && !t->to->is_vague)
        complain_of(k->c, CODE_MISSING, n, "`request` is missing; say which, such as GET /");
    if ((v = yaml_get(n, "rule")))
        t->rule = compile_rule_ref(k, t->to, v);
    if ((v = yaml_get(n, "route")) && (route = compile_route_ref(k, t->to, v)) != UINT32_MAX)
        t->route = t->to->route[route].name;
    if ((v = yaml_get(n, "subset")))
        compile_subset_refs(k, t, v);
    if (!t->expect_allow && (t->route || t->subset_count))
        complain_of(k->c, CODE_CONFLICT, n, "a denied request goes nowhere; remove `route` and `subset`");
}

static void compile_test(struct compile *k, struct self_test *t, const struct yaml_node *n)
{
    static const char *const keys[] = {"from", "to", "request", "expect", "rule", "route", "subset", NULL};
    static const char *const expects[] = {"allow", "deny", NULL};
    const struct yaml_node *v;
    size_t i;
    if (!compile_map(k, n, keys))
        return;
    t->place = (struct yaml_node){.kind = n->kind, .line = n->line, .column = n->column, .source = n->source};
    if (!(v = yaml_get(n, "from")))
        complain_of(k->c, CODE_MISSING, n, "`from` is missing; name the caller");
    else
        t->from = compile_service_name(k, v, "from");
    if (!(v = yaml_get(n, "expect")))
        complain_of(k->c, CODE_MISSING, n, "`expect` is missing; say allow or deny");
    else if (yaml_one_of(v, expects, &i, k->c))
        t->expect_allow = i == 0;
    if (!(v = yaml_get(n, "to")))
        complain_of(k->c, CODE_MISSING, n, "`to` is missing; name the service that is called");
    else if ((t->to = compile_service_ref(k, v)) && compile_in_reach(k, v, bytes_str(t->to->name)))
        compile_expectations(k, t, n);
}

void compile_tests(struct compile *k, const struct yaml_node *tests)
{
    if (!yaml_is(tests, YAML_LIST, "tests", k->c))
        return;
    struct self_test *t = arena_take(&k->p->arena, tests->count, sizeof *t);
    for (size_t i = 0; t && i < tests->count; i++)
        compile_test(k, &t[i], tests->child[i]);
    k->p->test = t;
    k->p->test_count = t ? tests->count : 0;
}
