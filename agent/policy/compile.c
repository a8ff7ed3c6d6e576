/* The head of a policy and its defaults; the order in which the sections are read. */
#include "policy/compile.h"

const char *compile_word(struct compile *k, const struct yaml_node *n, const char *what)
{
    struct bytes t;
    if (!yaml_string(n, what, &t, k->c))
        return NULL;
    bool good = t.len <= POLICY_WORD_MAX;
    for (size_t i = 0; good && i < t.len; i++) {
        uint8_t c = t.at[i], low = c | 0x20;
        bool inner = c == '-' || c == '.' || c == '_';
        good = (low >= 'a' && low <= 'z') || (c >= '0' && c <= '9') || (inner && i > 0 && i + 1 < t.len);
    }
    if (!good) {
        complain(k->c, n, "`%.60s` cannot be the name of a %s; use up to %d letters, digits and . _ - inside",
                 n->text, what, POLICY_WORD_MAX);
        return NULL;
    }
    return arena_text(&k->p->arena, t.at, t.len);
}

struct bytes compile_service_name(struct compile *k, const struct yaml_node *n, const char *what)
{
    struct bytes t, none = {NULL, 0};
    if (!yaml_string(n, what, &t, k->c))
        return none;
    if (!name_is_sound(t, SERVICE_NAME_MAX)) {
        complain(k->c, n,
                 "`%.60s` cannot be a service name; use up to %d lower-case letters, digits and - . inside",
                 n->text, SERVICE_NAME_MAX);
        return none;
    }
    const char *copy = arena_text(&k->p->arena, t.at, t.len);
    return copy ? bytes_of(copy, t.len) : none;
}

/* Not once more has gone wrong than is shown: a file of nothing but errors would cost its square. */
static const char *nearest_service(const struct compile *k, const char *text)
{
    const char *best = NULL;
    for (size_t i = 0; i < k->p->service_count && k->c->count < COMPLAINTS_SHOWN_MAX; i++) {
        const char *name = k->p->service[i].name, *one[] = {name, NULL};
        if (yaml_nearest(text, one) && (!best || yaml_distance(text, name) < yaml_distance(text, best)))
            best = name;
    }
    return best;
}

const struct policy_service *compile_service_ref(struct compile *k, const struct yaml_node *n)
{
    struct bytes t;
    if (!yaml_string(n, "to", &t, k->c))
        return NULL;
    const struct policy_service *s = policy_service(k->p, t);
    if (s)
        return s;
    const char *near = nearest_service(k, n->text);
    if (near)
        complain(k->c, n, "no service `%.60s` in this policy; did you mean `%s`?", n->text, near);
    else
        complain(k->c, n, "no service `%.60s` in this policy; add it to `services`", n->text);
    return NULL;
}

void compile_unmatched(struct compile *k, const struct yaml_node *n, enum unmatched *out)
{
    static const char *const words[] = {[UNMATCHED_DENY] = "deny", [UNMATCHED_AUDIT] = "audit", NULL};
    size_t i;
    if (n && yaml_one_of(n, words, &i, k->c))
        *out = (enum unmatched)i;
}

void compile_encryption(struct compile *k, const struct yaml_node *n)
{
    static const char *const words[] = {"strict", NULL}, *const later[] = {"permissive", "off", NULL};
    size_t i;
    if (n)
        (void)schema_word(n, words, later, &i, k->c);
}

void compile_timeouts(struct compile *k, const struct yaml_node *n, bool is_tcp, struct policy_timeouts *out)
{
    static const char *const in_force[] = {"connect", "request", NULL}, *const later[] = {"perTry", "idle",
                                                                                          "stream", NULL};
    if (!n || !schema_keys(n, in_force, later, k->c))
        return;
    const struct yaml_node *connect = yaml_get(n, "connect"), *request = yaml_get(n, "request");
    if (connect)
        (void)yaml_duration_ms(connect, &out->connect_ms, k->c);
    if (request && is_tcp)
        complain(k->c, request, "a tcp service has no requests; remove `request`");
    else if (request)
        (void)yaml_duration_ms(request, &out->request_ms, k->c);
}

static void compile_schema(struct compile *k, const struct yaml_node *root)
{
    static const char *const versions[] = {"v1", NULL};
    const struct yaml_node *n = yaml_get(root, "policy");
    size_t i;
    if (!n)
        complain(k->c, root, "`policy` is missing; begin with `policy: v1`");
    else
        (void)yaml_one_of(n, versions, &i, k->c);
}

static void compile_mesh(struct compile *k, const struct yaml_node *root)
{
    const struct yaml_node *n = yaml_get(root, "mesh");
    struct bytes t;
    if (!n)
        complain(k->c, root, "`mesh` is missing; name the mesh this policy is for");
    else if (yaml_string(n, "mesh", &t, k->c)) {
        if (!name_is_sound(t, MESH_NAME_MAX))
            complain(
                k->c, n,
                "`%.60s` cannot be a mesh's name; use up to %d lower-case letters, digits and - . inside",
                n->text, MESH_NAME_MAX);
        k->p->mesh = arena_text(&k->p->arena, t.at, t.len);
    }
}

static void compile_head(struct compile *k, const struct yaml_node *root)
{
    const struct yaml_node *version = yaml_get(root, "version"), *expires = yaml_get(root, "expires");
    compile_schema(k, root);
    compile_mesh(k, root);
    if (!version)
        complain(k->c, root, "`version` is missing; it must be higher than that of the policy in force");
    else
        (void)yaml_u64(version, &k->p->version, 1, NUMBER_MAX, k->c);
    if (expires)
        (void)yaml_time(expires, &k->p->expires, k->c);
}

static void compile_defaults(struct compile *k, const struct yaml_node *n)
{
    static const char *const in_force[] = {"encryption", "unmatched", "timeouts", NULL};
    static const char *const later[] = {"loadBalancer",     "locality", "retry", "circuitBreaker",
                                        "outlierDetection", "limits",   "drain", NULL};
    k->unmatched = UNMATCHED_DENY;
    k->timeouts = (struct policy_timeouts){.connect_ms = 1000, .request_ms = 15000};
    if (!n || !schema_keys(n, in_force, later, k->c))
        return;
    compile_encryption(k, yaml_get(n, "encryption"));
    compile_unmatched(k, yaml_get(n, "unmatched"), &k->unmatched);
    compile_timeouts(k, yaml_get(n, "timeouts"), false, &k->timeouts);
}

static void compile_root(struct compile *k, const struct yaml_node *root)
{
    static const char *const in_force[] = {"policy",   "mesh",       "version", "expires", "defaults",
                                           "services", "intentions", "tests",   "revoke",  NULL};
    static const char *const later[] = {"rollout", "egress", "faults", "observability",
                                        "audit",   NULL};
    const struct yaml_node *n;
    if (!schema_keys(root, in_force, later, k->c))
        return;
    compile_head(k, root);
    compile_defaults(k, yaml_get(root, "defaults"));
    if ((n = yaml_get(root, "services")))
        compile_services(k, n);
    if ((n = yaml_get(root, "intentions")))
        compile_intentions(k, n);
    if ((n = yaml_get(root, "tests")))
        compile_tests(k, n);
    if ((n = yaml_get(root, "revoke")))
        compile_revoke(k, n);
}

must_check enum err policy_compile(struct policy **out, struct bytes text, struct complaints *c)
{
    struct complaints scratch = {0};
    struct yaml_doc *doc = NULL;
    struct compile k = {.c = c ? c : &scratch};
    size_t before = k.c->count;
    enum err e = yaml_parse(&doc, text, k.c);
    if (e == ERR_OK && !(k.p = calloc(1, sizeof *k.p)))
        e = ERR_NOMEM;
    if (e == ERR_OK) {
        atomic_init(&k.p->refs, 1);
        compile_root(&k, yaml_root(doc));
        e = k.p->arena.failed ? ERR_NOMEM : k.c->count != before ? ERR_INVALID : ERR_OK;
    } else if (e != ERR_NOMEM) {
        e = ERR_INVALID;
    }
    yaml_doc_free(doc);
    buf_fini(&scratch.text);
    if (e == ERR_OK)
        *out = k.p;
    else
        policy_unref(k.p);
    return e;
}
