/* `services`: protocol, port, subsets; their routes are read in compile_route.c. */
#include "policy/compile.h"

int compile_service_by_name(const void *a, const void *b)
{
    const struct policy_service *x = a, *y = b;
    return strcmp(x->name, y->name);
}

static void compile_protocol(struct compile *k, struct policy_service *s, const struct yaml_node *at,
                             const struct yaml_node *n)
{
    static const char *const words[] = {"http", "tcp", "http2", "grpc", NULL};
    static const struct {
        enum policy_protocol protocol;
        enum policy_feature need;
    } means[] = {{POLICY_HTTP, FEATURE_NONE},
                 {POLICY_TCP, FEATURE_NONE},
                 {POLICY_HTTP2, FEATURE_HTTP2},
                 {POLICY_GRPC, FEATURE_GRPC}};
    size_t i = 0;
    s->is_vague = true;
    if (!n)
        complain_of(k->c, CODE_MISSING, at,
                    "`protocol` is missing; say http, http2, grpc or tcp, it is never guessed");
    else
        s->is_vague = !yaml_one_of(n, words, &i, k->c);
    s->protocol = means[i].protocol;
    if (n)
        compile_need(k, means[i].need, n);
}

static int label_by_key(const void *a, const void *b)
{
    const struct label *x = a, *y = b;
    return codec_cmp(x->key, y->key);
}

static bool compile_label(struct compile *k, struct label *l, const struct yaml_node *key,
                          const struct yaml_node *value)
{
    struct bytes v;
    if (!yaml_string(value, key->text, &v, k->c))
        return false;
    if (!label_is_sound(bytes_of(key->text, key->text_len)) || !label_is_sound(v)) {
        complain_of(k->c, CODE_NAME, key,
                    "no instance has this label: key and value are 1 to %d letters, digits or -_./:+@",
                    LABEL_MAX);
        return false;
    }
    const char *kt = arena_text(&k->p->arena, key->text, key->text_len),
               *vt = arena_text(&k->p->arena, v.at, v.len);
    if (kt && vt)
        *l = (struct label){bytes_of(kt, key->text_len), bytes_of(vt, v.len)};
    return kt && vt;
}

static const struct labels *compile_labels(struct compile *k, const struct yaml_node *n)
{
    struct labels *ls = arena_take(&k->p->arena, 1, sizeof *ls);
    if (!ls || !yaml_is(n, YAML_MAP, "subset", k->c))
        return ls;
    if (n->count == 0 || n->count > LABELS_MAX) {
        complain_of(k->c, CODE_LIMIT, n,
                    "a subset names 1 to %d labels; to reach any instance leave `subset` out of `to`",
                    LABELS_MAX);
        return ls;
    }
    for (size_t i = 0; i < n->count; i++)
        ls->count += compile_label(k, &ls->at[ls->count], n->key[i], n->child[i]);
    qsort(ls->at, ls->count, sizeof *ls->at, label_by_key);
    return ls;
}

static void compile_subsets(struct compile *k, struct policy_service *s, const struct yaml_node *n)
{
    if (!n || !yaml_is(n, YAML_MAP, "subsets", k->c))
        return;
    if (n->count > POLICY_SUBSETS_MAX) {
        complain_of(k->c, CODE_LIMIT, n, "more than %d subsets", POLICY_SUBSETS_MAX);
        return;
    }
    struct policy_subset *subset = arena_take(&k->p->arena, n->count, sizeof *subset);
    for (size_t i = 0; subset && i < n->count; i++) {
        subset[s->subset_count].name = compile_word(k, n->key[i], "subset");
        subset[s->subset_count].labels = compile_labels(k, n->child[i]);
        s->subset_count += subset[s->subset_count].name && subset[s->subset_count].labels;
    }
    s->subset = subset;
}

const struct policy_subset *compile_subset_ref(struct compile *k, const struct policy_service *s,
                                               const struct yaml_node *n)
{
    const char *words[POLICY_SUBSETS_MAX + 1] = {NULL};
    struct bytes t;
    if (!yaml_string(n, "subset", &t, k->c))
        return NULL;
    for (size_t i = 0; i < s->subset_count; i++) {
        if (bytes_eq_str(t, s->subset[i].name))
            return &s->subset[i];
        words[i] = s->subset[i].name;
    }
    const char *near = yaml_nearest(n->text, words);
    if (near)
        complain_of(k->c, CODE_UNKNOWN, n, "service `%s` has no subset `%.60s`; did you mean `%s`?", s->name,
                    n->text, near);
    else
        complain_of(k->c, CODE_UNKNOWN, n, "service `%s` has no subset `%.60s`; define it under `subsets`",
                    s->name, n->text);
    return NULL;
}

static void compile_service(struct compile *k, struct policy_service *s, const struct yaml_node *at,
                            const struct yaml_node *n)
{
    static const char *const keys[] = {
        "protocol", "port",         "encryption", "unmatched",      "timeouts",         "subsets", "routes",
        "retry",    "loadBalancer", "locality",   "circuitBreaker", "outlierDetection", "limits",  "drain",
        "failover", "rateLimits",   NULL};
    const struct yaml_node *port;
    uint64_t port_number = 0;
    if (!compile_map(k, n, keys))
        return;
    compile_protocol(k, s, at, yaml_get(n, "protocol"));
    if ((port = yaml_get(n, "port")) && yaml_u64(port, &port_number, 1, 65535, k->c))
        s->port = (uint16_t)port_number;
    compile_settings(k, n, s->protocol == POLICY_TCP, &s->settings);
    compile_subsets(k, s, yaml_get(n, "subsets"));
    compile_routes(k, s, yaml_get(n, "routes"));
}

/* Names first, so that whatever refers to a service finds it. */
static void name_services(struct compile *k, const struct yaml_node *services)
{
    struct policy *p = k->p;
    p->service = arena_take(&p->arena, services->count, sizeof *p->service);
    for (size_t i = 0; p->service && i < services->count; i++) {
        struct bytes name = compile_service_name(k, services->key[i], "service");
        if (name.len && compile_in_reach(k, services->key[i], name))
            p->service[p->service_count++] =
                (struct policy_service){.policy = p, .name = (const char *)name.at, .settings = k->defaults};
    }
    if (k->src_count > 1) /* within one text a repeated key is refused already */
        compile_once(k, services->key, services->count, "service");
    if (p->service_count)
        qsort(p->service, p->service_count, sizeof *p->service, compile_service_by_name);
}

static struct policy_service *service_of(struct compile *k, const struct yaml_node *key)
{
    const struct policy_service *s = policy_service(k->p, bytes_of(key->text, key->text_len));
    return s ? &k->p->service[s - k->p->service] : NULL;
}

/* Each in the order of the file; then what one says of another, when all protocols and routes are known. */
void compile_services(struct compile *k, const struct yaml_node *services)
{
    struct policy_service *s;
    if (!yaml_is(services, YAML_MAP, "services", k->c))
        return;
    name_services(k, services);
    for (size_t i = 0; i < services->count; i++)
        if ((s = service_of(k, services->key[i])) && s->route_count == 0)
            compile_service(k, s, services->key[i], services->child[i]);
    for (size_t i = 0; i < services->count; i++)
        if ((s = service_of(k, services->key[i])) && services->child[i]->kind == YAML_MAP)
            compile_service_links(k, s, services->child[i]);
}
