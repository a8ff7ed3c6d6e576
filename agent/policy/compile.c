/* The head of a policy, and its sections: in which order they are read, what may stand in which of several
 * texts, and how these become one. */
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
        complain_of(k->c, CODE_NAME, n,
                    "`%.60s` cannot be the name of a %s; use up to %d letters, digits and . _ - inside",
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
        complain_of(
            k->c, CODE_NAME, n,
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
        complain_of(k->c, CODE_UNKNOWN, n, "no service `%.60s` in this policy; did you mean `%s`?", n->text,
                    near);
    else
        complain_of(k->c, CODE_UNKNOWN, n, "no service `%.60s` in this policy; add it to `services`",
                    n->text);
    return NULL;
}

uint32_t compile_route_ref(struct compile *k, const struct policy_service *s, const struct yaml_node *n)
{
    struct bytes t;
    const char *near = NULL;
    if (!yaml_string(n, "route", &t, k->c))
        return UINT32_MAX;
    for (size_t i = 0; i < s->route_count; i++) {
        const char *name = s->route[i].name, *one[] = {name, NULL};
        if (name && bytes_eq_str(t, name))
            return (uint32_t)i;
        if (name && !near && k->c->count < COMPLAINTS_SHOWN_MAX)
            near = yaml_nearest(n->text, one);
    }
    if (near)
        complain_of(k->c, CODE_UNKNOWN, n, "service `%s` has no route `%.60s`; did you mean `%s`?", s->name,
                    n->text, near);
    else
        complain_of(k->c, CODE_UNKNOWN, n, "service `%s` has no route `%.60s`; define it under `routes`",
                    s->name, n->text);
    return UINT32_MAX;
}

struct bytes compile_copy(struct compile *k, struct bytes t)
{
    const char *copy = arena_text(&k->p->arena, t.at, t.len);
    return copy ? bytes_of(copy, t.len) : (struct bytes){NULL, 0};
}

bool compile_in_reach(struct compile *k, const struct yaml_node *n, struct bytes service)
{
    const struct policy_reach *reach = k->src[n->source].reach_or_null;
    for (size_t i = 0; reach && i < reach->pattern_count; i++)
        if (pattern_matches(reach->pattern[i], service))
            return true;
    if (reach)
        complain_of(k->c, CODE_REACH, n, "service `%.*s` is out of reach of delegation `%s`; remove it",
                    (int)service.len, (const char *)service.at, reach->name);
    return !reach;
}

const char *compile_part(const struct compile *k, const struct yaml_node *n)
{
    return k->part[n->source];
}

const char *compile_name_in_part(struct compile *k, const struct yaml_node *n, const char *name)
{
    const char *part = compile_part(k, n);
    if (!part || !name)
        return name;
    size_t len = strlen(part) + 1 + strlen(name);
    char *whole = arena_take(&k->p->arena, len + 1, 1);
    if (whole)
        snprintf(whole, len + 1, "%s/%s", part, name);
    return whole;
}

/* A text that says its head for itself: the first, and each part. */
static bool is_head(const struct compile *k, const struct yaml_node *root)
{
    return root->source == 0 || k->src[root->source].reach_or_null;
}

static void compile_schema(struct compile *k, const struct yaml_node *root)
{
    static const char *const versions[] = {"v1", NULL};
    const struct yaml_node *n = yaml_get(root, "policy");
    size_t i;
    if (n)
        (void)yaml_one_of(n, versions, &i, k->c);
    else if (is_head(k, root))
        complain_of(k->c, CODE_MISSING, root, "`policy` is missing; begin with `policy: v1`");
}

static void compile_mesh(struct compile *k, const struct yaml_node *root)
{
    const struct yaml_node *n = yaml_get(root, "mesh");
    struct bytes t;
    if (!n && is_head(k, root))
        complain_of(k->c, CODE_MISSING, root, "`mesh` is missing; name the mesh this policy is for");
    if (!n || !yaml_string(n, "mesh", &t, k->c))
        return;
    if (root->source == 0)
        k->p->mesh = arena_text(&k->p->arena, t.at, t.len);
    if (!name_is_sound(t, MESH_NAME_MAX))
        complain_of(k->c, CODE_NAME, n,
                    "`%.60s` cannot be a mesh's name; use up to %d lower-case letters, digits and - . inside",
                    n->text, MESH_NAME_MAX);
    else if (k->p->mesh && strcmp(n->text, k->p->mesh) != 0)
        complain_of(k->c, CODE_CONFLICT, n, "`mesh` is `%.60s` here, and `%s` in %s; say one", n->text,
                    k->p->mesh, k->src[0].file);
}

/* A text with a reach is the part of that delegation; one that says `part` without is a part whose reach is
 * not known here. */
static void compile_part_name(struct compile *k, const struct yaml_node *root)
{
    const struct policy_reach *reach = k->src[root->source].reach_or_null;
    const struct yaml_node *n = yaml_get(root, "part");
    struct bytes t;
    if (!n && reach)
        complain_of(k->c, CODE_MISSING, root, "`part` is missing; say `part: %s`, the delegation's name",
                    reach->name);
    if (!n || !yaml_string(n, "part", &t, k->c))
        return;
    if (!name_is_sound(t, SERVICE_NAME_MAX))
        complain_of(k->c, CODE_NAME, n,
                    "`%.60s` cannot be the name of a part; use up to %d lower-case letters, digits and - . "
                    "inside",
                    n->text, SERVICE_NAME_MAX);
    else if (reach && !bytes_eq_str(t, reach->name))
        complain_of(k->c, CODE_REACH, n, "`part` is `%.60s`, but signed for delegation `%s`", n->text,
                    reach->name);
    else if (!reach && k->src_count > 1)
        complain_of(k->c, CODE_CONFLICT, n,
                    "a part cannot be compiled together with others without its root");
    k->part[root->source] = arena_text(&k->p->arena, t.at, t.len);
    if (root->source == 0)
        k->p->part = k->part[0];
}

/* A further text may say the version and the expiry of the first again; a part has its own. */
static void compile_head_again(struct compile *k, const struct yaml_node *version,
                               const struct yaml_node *expires, const struct source_said *said)
{
    const struct policy *p = k->p;
    if (version && said->version != p->version)
        complain_of(k->c, CODE_CONFLICT, version, "`version` is %llu in %s; say the same or leave it out",
                    (unsigned long long)p->version, k->src[0].file);
    if (expires && said->expires != p->expires)
        complain_of(k->c, CODE_CONFLICT, expires, "`expires` differs from that in %s; say it once",
                    k->src[0].file);
}

static void compile_head(struct compile *k, const struct yaml_node *root, struct source_said *said)
{
    const struct yaml_node *version = yaml_get(root, "version"), *expires = yaml_get(root, "expires");
    bool good = true;
    compile_schema(k, root);
    compile_mesh(k, root);
    compile_part_name(k, root);
    if (version)
        good = yaml_u64(version, &said->version, 1, NUMBER_MAX, k->c);
    else if (is_head(k, root))
        complain_of(k->c, CODE_MISSING, root,
                    "`version` is missing; it must be higher than that of the policy in force");
    if (expires)
        good = yaml_time(expires, &said->expires, k->c) && good;
    if (root->source == 0) {
        k->p->version = said->version;
        k->p->expires = said->expires;
    } else if (good && !is_head(k, root)) {
        compile_head_again(k, version, expires, said);
    }
}

/* In the order in which they are read: what is named by others comes before them. */
static const struct section {
    const char *name;
    enum {
        SECTION_HEAD,
        SECTION_ONE,
        SECTION_JOINED
    } sort; /* JOINED: of several texts, one after the other */
    bool delegable;
    void (*read)(struct compile *k, const struct yaml_node *n);
} sections[] = {
    {"policy", SECTION_HEAD, true, NULL},
    {"part", SECTION_HEAD, true, NULL},
    {"mesh", SECTION_HEAD, true, NULL},
    {"version", SECTION_HEAD, true, NULL},
    {"expires", SECTION_HEAD, true, NULL},
    {"rollout", SECTION_ONE, false, compile_rollout},
    {"defaults", SECTION_ONE, false, compile_defaults},
    {"services", SECTION_JOINED, true, compile_services},
    {"intentions", SECTION_JOINED, true, compile_intentions},
    {"egress", SECTION_JOINED, false, compile_egress},
    {"faults", SECTION_JOINED, true, compile_faults},
    {"observability", SECTION_ONE, false, compile_observability},
    {"audit", SECTION_ONE, false, compile_audit},
    {"revoke", SECTION_JOINED, false, compile_revoke},
    {"tests", SECTION_JOINED, true, compile_tests},
};
enum { SECTIONS = sizeof sections / sizeof *sections };

static void refuse_out_of_reach(struct compile *k, const struct yaml_node *root)
{
    const char *part = compile_part(k, root);
    for (size_t i = 0; part && i < root->count; i++)
        for (size_t j = 0; j < SECTIONS; j++)
            if (!sections[j].delegable && strcmp(root->key[i]->text, sections[j].name) == 0)
                complain_of(k->c, CODE_REACH, root->key[i],
                            "`%s` is out of reach of delegation `%s`; it speaks for its services only",
                            sections[j].name, part);
}

/* Tests kept in a file of their own must not be able to make themselves pass. */
static void refuse_all_but_tests(struct compile *k, const struct yaml_node *root)
{
    for (size_t i = 0; k->src[root->source].tests_only && i < root->count; i++)
        if (strcmp(root->key[i]->text, "tests") != 0)
            complain_of(k->c, CODE_REACH, root->key[i],
                        "`%.60s` in a file of tests, which holds nothing but `tests`; remove it",
                        root->key[i]->text);
}

static bool compile_sections_known(struct compile *k, const struct yaml_node *root)
{
    const char *names[SECTIONS + 1] = {NULL};
    for (size_t i = 0; i < SECTIONS; i++)
        names[i] = sections[i].name;
    return compile_map(k, root, names);
}

static const struct yaml_node *section_key(const struct yaml_node *root, const char *name)
{
    for (size_t i = 0; root->kind == YAML_MAP && i < root->count; i++)
        if (strcmp(root->key[i]->text, name) == 0)
            return root->key[i];
    return NULL;
}

/* A section that is empty has no list of children. */
static void put_nodes(struct yaml_node **to, struct yaml_node *const *from, size_t count)
{
    if (count > 0)
        memcpy(to, from, count * sizeof *to);
}

/* A list or map that holds the children of both. */
static const struct yaml_node *joined(struct compile *k, const struct yaml_node *a, const struct yaml_node *b,
                                      const char *name)
{
    struct arena *arena = &k->p->arena;
    if (!yaml_is(b, a->kind, name, k->c))
        return a;
    struct yaml_node *n = arena_take(arena, 1, sizeof *n),
                     **child = arena_take(arena, a->count + b->count, sizeof(struct yaml_node *)),
                     **key = arena_take(arena, a->count + b->count, sizeof(struct yaml_node *));
    if (!n || !child || !key)
        return a;
    *n = *a;
    n->count = a->count + b->count;
    n->child = child;
    n->key = key;
    put_nodes(child, a->child, a->count);
    put_nodes(child + a->count, b->child, b->count);
    if (a->kind == YAML_MAP) {
        put_nodes(key, a->key, a->count);
        put_nodes(key + a->count, b->key, b->count);
    }
    return n;
}

/* One section of all texts; NULL: none has it. */
static const struct yaml_node *gather(struct compile *k, const struct section *s, struct yaml_doc *const *doc)
{
    const struct yaml_node *all = NULL, *first = NULL;
    for (size_t i = 0; i < k->src_count; i++) {
        const struct yaml_node *key = section_key(yaml_root(doc[i]), s->name),
                               *n = key ? yaml_get(yaml_root(doc[i]), s->name) : NULL;
        bool is_silent = k->src[i].is_overlay && s->read != compile_intentions;
        if (!n || is_silent || (k->part[i] && !s->delegable))
            continue;
        if (all && s->sort == SECTION_ONE)
            complain_of(k->c, CODE_REPEATED, key, "`%s` is given already, in %s:%u; put them together",
                        s->name, k->src[first->source].file, first->line);
        else
            all = all ? joined(k, all, n, s->name) : n;
        first = first ? first : key;
    }
    return all;
}

static void compile_roots(struct compile *k, struct yaml_doc *const *doc)
{
    const struct yaml_node *services = NULL, *intentions = NULL;
    for (size_t i = 0; i < k->src_count; i++)
        if (k->src[i].is_overlay) {
            compile_overlay_head(k, yaml_root(doc[i]));
        } else if (compile_sections_known(k, yaml_root(doc[i]))) {
            compile_head(k, yaml_root(doc[i]), &k->p->source[i]);
            refuse_out_of_reach(k, yaml_root(doc[i]));
            refuse_all_but_tests(k, yaml_root(doc[i]));
        }
    compile_defaults(k, NULL);
    compile_mesh_defaults(k->p);
    if (k->src[0].is_overlay)
        compile_overlay_services(k, yaml_root(doc[0]));
    for (size_t i = 0; i < SECTIONS; i++) {
        const struct yaml_node *n = sections[i].read ? gather(k, &sections[i], doc) : NULL;
        if (n)
            sections[i].read(k, n);
        services = sections[i].read == compile_services ? n : services;
        intentions = sections[i].read == compile_intentions ? n : intentions;
    }
    compile_warnings(k, services, intentions);
}

/* Another kind of file, which would be misread key by key: what to do with it, or NULL. */
static const char *misplaced(const struct policy_source *src, size_t i, const struct yaml_node *root)
{
    if (root->kind != YAML_MAP)
        return NULL;
    bool says_policy = yaml_get(root, "policy"), says_overlay = yaml_get(root, "overlay");
    if (src[i].is_overlay && says_policy && !says_overlay)
        return "this is a policy, where an overlay belongs: `starling policy` has its commands";
    if (!src[i].is_overlay && says_overlay && !says_policy)
        return "this is a break-glass overlay, where a policy belongs: `starling overlay` has its commands";
    if (i == 0 && !src[i].tests_only && root->count == 1 && yaml_get(root, "tests"))
        return "these are tests alone, where a policy belongs: `starling policy test POLICY --tests` takes "
               "them";
    return NULL;
}

static enum err check_kind(struct compile *k, size_t i, const struct yaml_node *root)
{
    const char *what = misplaced(k->src, i, root);
    if (what)
        complain_of(k->c, CODE_UNKNOWN_KEY, root, "%s", what);
    return what ? ERR_INVALID : ERR_OK;
}

static enum err parse_all(struct compile *k, struct yaml_doc **doc)
{
    enum err e = ERR_OK;
    for (size_t i = 0; i < k->src_count && e != ERR_NOMEM; i++) {
        enum err one = yaml_parse_source(&doc[i], k->src[i].text, (uint32_t)i, k->c);
        if (one == ERR_OK)
            one = check_kind(k, i, yaml_root(doc[i]));
        e = one == ERR_OK ? e : one == ERR_NOMEM ? ERR_NOMEM : ERR_INVALID;
    }
    return e;
}

static enum err name_sources(struct compile *k)
{
    struct policy *p = k->p;
    struct yaml_source *names = arena_take(&p->arena, k->src_count, sizeof *names);
    p->source = arena_take(&p->arena, k->src_count, sizeof *p->source);
    p->doc = arena_take(&p->arena, k->src_count, sizeof(struct yaml_doc *));
    p->source_count = k->src_count;
    p->source_names = names;
    for (size_t i = 0; names && i < k->src_count; i++)
        names[i].file = k->src[i].file ? arena_text(&p->arena, k->src[i].file, strlen(k->src[i].file)) : NULL;
    return p->arena.failed ? ERR_NOMEM : ERR_OK;
}

static enum err compile_all(struct compile *k)
{
    struct yaml_doc *doc[POLICY_SOURCES_MAX] = {NULL};
    enum err e = (k->p = calloc(1, sizeof *k->p)) ? ERR_OK : ERR_NOMEM;
    if (e == ERR_OK) {
        atomic_init(&k->p->refs, 1);
        e = name_sources(k);
    }
    if (e == ERR_OK)
        e = parse_all(k, doc);
    if (e == ERR_OK) {
        compile_roots(k, doc);
        e = k->p->arena.failed ? ERR_NOMEM : k->c->count != k->before ? ERR_INVALID : ERR_OK;
    }
    if (e == ERR_OK)
        memcpy(k->p->doc, doc, k->src_count * sizeof *doc);
    for (size_t i = 0; e != ERR_OK && i < k->src_count; i++)
        yaml_doc_free(doc[i]);
    return e;
}

static enum err compile_listed(struct policy **out, const struct policy_source *src, size_t count,
                               struct complaints *c)
{
    struct complaints scratch = {0};
    struct compile k = {
        .c = c ? c : &scratch, .src = src, .src_count = count, .regex_budget = regex_budget_full()};
    k.before = k.c->count;
    enum err e = compile_all(&k);
    buf_fini(&scratch.text);
    if (e == ERR_OK)
        *out = k.p;
    else
        policy_unref(k.p);
    return e;
}

must_check enum err policy_compile(struct policy **out, struct bytes text, struct complaints *c)
{
    const struct policy_source one = {.file = c ? c->file : NULL, .text = text};
    return compile_listed(out, &one, 1, c);
}

must_check enum err policy_compile_sources(struct policy **out, const struct policy_source *src, size_t count,
                                           struct complaints *c)
{
    struct yaml_source list[POLICY_SOURCES_MAX];
    if (count == 0 || count > POLICY_SOURCES_MAX) {
        complain_of(c, CODE_LIMIT, NULL, "a policy is 1 to %d texts; join some", POLICY_SOURCES_MAX);
        return ERR_LIMIT;
    }
    for (size_t i = 0; i < count; i++)
        list[i] = (struct yaml_source){src[i].file ? src[i].file : "input", src[i].text};
    struct complaints own = {0}, *to = c ? c : &own;
    const struct yaml_source *list_before = to->source_list;
    size_t count_before = to->source_count;
    to->source_list = list;
    to->source_count = count;
    enum err e = compile_listed(out, src, count, to);
    to->source_list = list_before;
    to->source_count = count_before;
    buf_fini(&own.text);
    return e;
}
