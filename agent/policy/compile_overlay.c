/* An overlay: the text of a break-glass, which is no policy but a few rules above whatever policy is in force.
 *
 *   overlay: v1
 *   mesh, name, version, reason, ends        all of them said
 *   intentions: [...]                        none: it ends the one before
 *
 * It is narrow by what it cannot say: nothing but intentions, no "*" among the callers, no `except`, no `mode`. */
#include "base/utf8.h"
#include "policy/compile.h"

static void compile_schema(struct compile *k, const struct yaml_node *root)
{
    static const char *const versions[] = {"v1", NULL};
    const struct yaml_node *n = yaml_get(root, "overlay");
    size_t i;
    if (n)
        (void)yaml_one_of(n, versions, &i, k->c);
    else
        complain_of(k->c, CODE_MISSING, root, "`overlay` is missing; begin with `overlay: v1`");
}

static void compile_mesh(struct compile *k, const struct yaml_node *root)
{
    const struct yaml_node *n = yaml_get(root, "mesh");
    struct bytes t;
    if (!n)
        complain_of(k->c, CODE_MISSING, root, "`mesh` is missing; name the mesh this overlay is for");
    if (!n || !yaml_string(n, "mesh", &t, k->c))
        return;
    if (!name_is_sound(t, MESH_NAME_MAX))
        complain_of(k->c, CODE_NAME, n,
                    "`%.60s` cannot be a mesh's name; use up to %d lower-case letters, digits and - . inside",
                    n->text, MESH_NAME_MAX);
    else if (k->p->mesh && strcmp(n->text, k->p->mesh) != 0)
        complain_of(k->c, CODE_CONFLICT, n, "`mesh` is `%.60s` here, and `%s` in %s; say one", n->text,
                    k->p->mesh, k->src[0].file);
    else if (!k->p->mesh)
        k->p->mesh = arena_text(&k->p->arena, t.at, t.len);
}

/* The prefix under which its rules are known. */
static void compile_name(struct compile *k, const struct yaml_node *root)
{
    const struct yaml_node *n = yaml_get(root, "name");
    if (!n) {
        complain_of(k->c, CODE_MISSING, root,
                    "`name` is missing; a short one, such as the incident's: logs and refusals show it");
        return;
    }
    const char *name = compile_word(k, n, "break-glass overlay");
    if (name && strlen(name) > OVERLAY_NAME_MAX)
        complain_of(k->c, CODE_LIMIT, n, "an overlay's name has at most %d characters; this one has %zu",
                    OVERLAY_NAME_MAX, strlen(name));
    char *prefix = name ? arena_take(&k->p->arena, strlen(name) + sizeof "overlay:", 1) : NULL;
    if (!prefix)
        return;
    sprintf(prefix, "overlay:%s", name);
    k->part[root->source] = prefix;
    k->p->overlay.name = prefix + sizeof "overlay:" - 1;
}

/* Controls (C1 too: U+009B begins a terminal's commands), ends of lines, and what turns the direction of writing: with these a text
 * would show a signer something else than it says. */
static bool is_hidden(uint32_t c)
{
    return c < ' ' || (c >= 0x7f && c < 0xa0) || (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
}

static bool is_one_line(struct bytes t)
{
    struct utf8 u = {0};
    for (size_t i = 0; i < t.len; i++)
        if (!utf8_take(&u, t.at[i]) || (u.more == 0 && is_hidden(u.point)))
            return false;
    return u.more == 0;
}

/* It is shown in logs, lists and terminals. */
static void compile_reason(struct compile *k, const struct yaml_node *root)
{
    const struct yaml_node *n = yaml_get(root, "reason");
    struct bytes t;
    if (!n)
        complain_of(k->c, CODE_MISSING, root, "`reason` is missing; say why: it is shown wherever this is");
    if (!n || !yaml_string(n, "reason", &t, k->c))
        return;
    if (t.len > POLICY_REASON_MAX)
        complain_of(k->c, CODE_LIMIT, n, "a reason has at most %d bytes; this one has %zu", POLICY_REASON_MAX,
                    t.len);
    if (!is_one_line(t)) {
        complain_of(k->c, CODE_VALUE, n, "a reason is one line of text; remove what is no character");
        return;
    }
    k->p->overlay.reason = arena_text(&k->p->arena, t.at, t.len);
}

static void compile_numbers(struct compile *k, const struct yaml_node *root)
{
    const struct yaml_node *version = yaml_get(root, "version"), *ends = yaml_get(root, "ends");
    if (!version)
        complain_of(k->c, CODE_MISSING, root,
                    "`version` is missing; it must be higher than that of the overlay before (`starling "
                    "overlay show`), 1 if there was none");
    else
        (void)yaml_u64(version, &k->p->overlay.version, 1, NUMBER_MAX, k->c);
    if (!ends)
        complain_of(k->c, CODE_MISSING, root,
                    "`ends` is missing; say when it ends by itself, at most 24 hours after it is signed");
    else if (yaml_time(ends, &k->p->overlay.ends, k->c))
        k->p->overlay_ends = (struct yaml_node){.line = ends->line, .column = ends->column};
    k->p->overlay_ends.source = root->source;
}

static void compile_extent(struct compile *k, const struct yaml_node *root)
{
    const struct yaml_node *n = yaml_get(root, "intentions");
    if (!n)
        complain_of(k->c, CODE_MISSING, root,
                    "`intentions` is missing; say who may call whom, or [] to end the overlay before");
    if (!n || !yaml_is(n, YAML_LIST, "intentions", k->c))
        return;
    if (n->count > OVERLAY_RULES_MAX)
        complain_of(k->c, CODE_LIMIT, n, "an overlay has at most %d intentions; this one has %zu",
                    OVERLAY_RULES_MAX, n->count);
    k->p->overlay.rule_count = n->count;
    for (size_t i = 0; i < n->count; i++)
        k->p->overlay.denies |= yaml_get(n->child[i], "deny") != NULL;
}

void compile_overlay_head(struct compile *k, const struct yaml_node *root)
{
    static const char *const keys[] = {"overlay", "mesh", "name",       "version",
                                       "reason",  "ends", "intentions", NULL};
    k->p->overlay = (struct policy_overlay){.reason = ""};
    k->part[root->source] = "overlay:";
    if (!compile_map(k, root, keys))
        return;
    compile_schema(k, root);
    compile_mesh(k, root);
    compile_name(k, root);
    compile_reason(k, root);
    compile_numbers(k, root);
    compile_extent(k, root);
}

void compile_overlay_services(struct compile *k, const struct yaml_node *root)
{
    struct policy *p = k->p;
    const struct yaml_node *list = yaml_get(root, "intentions");
    size_t most = list && list->kind == YAML_LIST ? list->count : 0, kept = 0;
    p->service = arena_take(&p->arena, most, sizeof *p->service);
    for (size_t i = 0; p->service && i < most; i++) {
        const struct yaml_node *to = yaml_get(list->child[i], "to");
        struct bytes name =
            to && !compile_is_star(to) ? compile_service_name(k, to, "to") : bytes_of(NULL, 0);
        if (name.len)
            p->service[p->service_count++] = (struct policy_service){.policy = p,
                                                                     .name = (const char *)name.at,
                                                                     .protocol = POLICY_HTTP,
                                                                     .is_vague = true,
                                                                     .settings = k->defaults};
    }
    if (p->service_count)
        qsort(p->service, p->service_count, sizeof *p->service, compile_service_by_name);
    for (size_t i = 0; i < p->service_count; i++)
        if (kept == 0 || strcmp(p->service[i].name, p->service[kept - 1].name) != 0)
            p->service[kept++] = p->service[i];
    p->service_count = kept;
}

void compile_overlay_rule(struct compile *k, const struct yaml_node *n)
{
    const struct yaml_node *from = yaml_get(n, "from"), *except = yaml_get(n, "except"),
                           *mode = yaml_get(n, "mode"), *to = yaml_get(n, "to");
    size_t count = from && from->kind == YAML_LIST ? from->count : 0;
    for (size_t i = 0; i < count; i++)
        if (compile_is_star(from->child[i]))
            complain_of(k->c, CODE_REACH, from->child[i],
                        "an overlay is narrow: it does not speak of everybody; name the callers");
    if (count > OVERLAY_CALLERS_MAX)
        complain_of(k->c, CODE_LIMIT, from, "a rule of an overlay names at most %d callers; this one %zu",
                    OVERLAY_CALLERS_MAX, count);
    if (to && compile_is_star(to))
        complain_of(k->c, CODE_REACH, to,
                    "an overlay is narrow: it does not open everything; name a service");
    if (except)
        complain_of(k->c, CODE_REACH, except, "an overlay names its callers, so there is nobody to except");
    if (mode)
        complain_of(k->c, CODE_REACH, mode,
                    "a rule of an overlay is in force, or it is not written; remove `mode`");
}

const struct policy_overlay *policy_overlay(const struct policy *p)
{
    return &p->overlay;
}

bool policy_overlay_check_ends(const struct policy *p, wall_s begins, struct complaints *c)
{
    wall_s ends = p->overlay.ends;
    if (ends <= begins)
        complain_of(c, CODE_VALUE, &p->overlay_ends,
                    "it would have ended before it was signed; say a later time, at most 24 hours from now");
    else if (ends - begins > OVERLAY_LIFE_MAX_S)
        complain_of(c, CODE_LIMIT, &p->overlay_ends,
                    "an overlay ends at most 24 hours after it is signed; this one would last for %lld hours",
                    (long long)((ends - begins + 3599) / 3600));
    return ends > begins && ends - begins <= OVERLAY_LIFE_MAX_S;
}
