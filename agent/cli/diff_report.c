#include "cli/diff_report.h"

bool diff_report_differs(const struct diff *d)
{
    for (size_t i = 0; i < diff_count(d); i++)
        if (diff_at(d, i)->kind != DIFF_HEAD || strcmp(diff_at(d, i)->key, "version") != 0)
            return true;
    return false;
}

/* -- for people -------------------------------------------------------------------------------- */

static void write_names(struct buf *out, const struct diff_names *n, const char *all)
{
    if (n->but)
        buf_addf(out, "%s%s", all, n->count ? " except " : "");
    for (size_t i = 0; i < n->count; i++)
        buf_addf(out, "%s%s", i ? ", " : "", n->at[i]);
}

static void write_path(struct buf *out, const struct diff_path *p)
{
    if (p->path)
        buf_addf(out, "%s%s", p->path, p->below ? "/*" : "");
    else
        buf_add_str(out, "any path");
}

/* Sorted by path, an exception follows what it is an exception to; the most specific counts. */
static void write_paths(struct buf *out, const struct diff_access *a)
{
    for (size_t i = 0; i < a->path_count; i++) {
        buf_addf(out, "%s%s", i ? ", " : "", a->path[i].out ? "not " : "");
        write_path(out, &a->path[i]);
    }
}

static void write_verdict(struct buf *out, bool there, const struct policy_verdict *v)
{
    if (!there) {
        buf_add_str(out, "no such service");
        return;
    }
    buf_addf(out, "%s (%s%s)", v->allowed ? "allowed" : "denied",
             strcmp(v->rule, "unmatched") == 0 ? "" : "rule ", v->rule);
    if (v->audited)
        buf_addf(out, ", recorded (%s would %s)", v->audit_rule ? v->audit_rule : "unmatched: deny",
                 v->allowed ? "deny" : "allow");
}

static void write_access(struct buf *out, const struct diff_one *o)
{
    const struct diff_access *a = o->access;
    char mark = a->after.allowed && !a->before.allowed   ? '+'
                : a->before.allowed && !a->after.allowed ? '-'
                : o->kind == DIFF_ACCESS                 ? '~'
                                                         : '=';
    buf_addf(out, "%c ", mark);
    write_names(out, &a->callers, "everybody");
    buf_addf(out, " -> %s  ", o->service);
    write_names(out, &a->methods, "any method");
    buf_add_str(out, " ");
    write_paths(out, a);
    buf_add_str(out, "  ");
    write_verdict(out, a->was_there, &a->before);
    buf_add_str(out, " -> ");
    write_verdict(out, a->is_there, &a->after);
    buf_add_str(out, "\n");
}

static void write_change(struct buf *out, const struct diff_one *o)
{
    if (o->before && o->after)
        buf_addf(out, " %s -> %s\n", o->before, o->after);
    else
        buf_addf(out, " %s %s\n", o->after ? "new" : "gone, was", o->after ? o->after : o->before);
}

static bool is_same_setting(const struct diff_one *a, const struct diff_one *b)
{
    return a->kind == b->kind && strcmp(a->key, b->key) == 0 && (a->before != NULL) == (b->before != NULL) &&
           (a->after != NULL) == (b->after != NULL) && (!a->before || strcmp(a->before, b->before) == 0) &&
           (!a->after || strcmp(a->after, b->after) == 0);
}

/* What `defaults` changes for many services is one line, at the first of them. */
static void write_setting(struct buf *out, const struct diff *d, size_t i)
{
    const struct diff_one *o = diff_at(d, i);
    for (size_t j = 0; j < i; j++)
        if (is_same_setting(diff_at(d, j), o))
            return;
    for (size_t j = i; j < diff_count(d); j++)
        if (is_same_setting(diff_at(d, j), o))
            buf_addf(out, "%s%s", j == i ? "  " : ", ", diff_at(d, j)->service);
    buf_addf(out, ": %s", o->key);
    write_change(out, o);
}

static void write_rest(struct buf *out, const struct diff_one *o)
{
    buf_addf(out, "  %s%s", o->service ? o->service : "", o->service ? ": " : "");
    if (o->kind == DIFF_ROUTE || o->kind == DIFF_WEIGHT || o->kind == DIFF_ORDER)
        buf_add_str(out, "route ");
    buf_addf(out, "%s%s", o->name ? o->name : "", o->name && o->key && o->kind != DIFF_ORDER ? " " : "");
    if (o->kind == DIFF_ORDER)
        buf_addf(out, " is tried before %s now\n", o->key);
    else if (o->kind == DIFF_TOO_LARGE)
        buf_add_str(out, "too many callers, methods and paths; who may call it was not compared\n");
    else {
        buf_addf(out, "%s", o->key ? strcmp(o->key, "*") == 0 ? "(any instance)" : o->key : "");
        write_change(out, o);
    }
}

static const char *const titles[DIFF_KIND_COUNT] = {
    [DIFF_HEAD] = NULL,
    [DIFF_ACCESS] = "who may call whom (+ newly allowed, - newly denied, ~ recorded otherwise)",
    [DIFF_RULE] = "decided by another rule, to the same effect",
    [DIFF_TOO_LARGE] = "not compared",
    [DIFF_SERVICE] = "services",
    [DIFF_SUBSET] = "subsets",
    [DIFF_ROUTE] = "routes",
    [DIFF_ORDER] = "order of routes",
    [DIFF_WEIGHT] = "weights",
    [DIFF_SETTING] = "settings",
    [DIFF_RATE_LIMIT] = "rate limits",
    [DIFF_FAULT] = "faults",
    [DIFF_EGRESS] = "egress",
    [DIFF_REVOCATION] = "revocations",
    [DIFF_MESH] = "mesh",
    [DIFF_FEATURE] = "features that agents need",
};

/* What signers wrote goes to a terminal. */
static void drop_controls(struct buf *out, size_t from)
{
    for (size_t i = from; i < out->len; i++)
        if ((out->at[i] < 0x20 && out->at[i] != '\n') || out->at[i] == 0x7f)
            out->at[i] = '?';
}

void diff_report_text(struct buf *out, const struct diff *d)
{
    size_t from = out->len;
    for (size_t i = 0; i < diff_count(d); i++) {
        const struct diff_one *o = diff_at(d, i);
        if (titles[o->kind] && (i == 0 || diff_at(d, i - 1)->kind != o->kind))
            buf_addf(out, "%s\n", titles[o->kind]);
        if (o->kind == DIFF_HEAD) {
            buf_add_str(out, o->key);
            write_change(out, o);
        } else if (o->access) {
            write_access(out, o);
        } else if (o->kind == DIFF_SETTING) {
            write_setting(out, d, i);
        } else {
            write_rest(out, o);
        }
    }
    if (!diff_report_differs(d))
        buf_add_str(out, "no difference\n");
    drop_controls(out, from);
}

/* -- as JSON ----------------------------------------------------------------------------------- */

static json_t *text_or_null(const char *text)
{
    return text ? json_string(text) : json_null();
}

static json_t *names_json(const struct diff_names *n)
{
    json_t *list = json_array();
    for (size_t i = 0; i < n->count; i++)
        json_array_append_new(list, json_string(n->at[i]));
    return json_pack("{s:b, s:o}", "all_but", n->but, "names", list);
}

static json_t *paths_json(const struct diff_access *a)
{
    json_t *list = json_array();
    for (size_t i = 0; i < a->path_count; i++) {
        struct buf text = {0};
        if (a->path[i].path)
            buf_addf(&text, "%s%s", a->path[i].path, a->path[i].below ? "/*" : "");
        json_array_append_new(list, json_pack("{s:s, s:b}", "path", a->path[i].path ? buf_str(&text) : "*",
                                              "except", a->path[i].out));
        buf_fini(&text);
    }
    return list;
}

static json_t *verdict_json(bool there, const struct policy_verdict *v)
{
    return json_pack("{s:s, s:o, s:b, s:o}", "decision", v->allowed ? "allow" : "deny", "rule",
                     text_or_null(there ? v->rule : NULL), "audited", v->audited, "audit_rule",
                     text_or_null(v->audit_rule));
}

static json_t *one_json(const struct diff_one *o)
{
    json_t *j =
        json_pack("{s:s, s:o, s:o, s:o}", "kind", diff_kind_text(o->kind), "service",
                  text_or_null(o->service), "name", text_or_null(o->name), "key", text_or_null(o->key));
    const struct diff_access *a = o->access;
    if (!a) {
        json_object_set_new(j, "before", text_or_null(o->before));
        json_object_set_new(j, "after", text_or_null(o->after));
        return j;
    }
    json_object_set_new(j, "callers", names_json(&a->callers));
    json_object_set_new(j, "methods", names_json(&a->methods));
    json_object_set_new(j, "paths", paths_json(a));
    json_object_set_new(j, "before", verdict_json(a->was_there, &a->before));
    json_object_set_new(j, "after", verdict_json(a->is_there, &a->after));
    return j;
}

json_t *diff_report_json(const struct diff *d)
{
    json_t *list = json_array();
    for (size_t i = 0; i < diff_count(d); i++)
        json_array_append_new(list, one_json(diff_at(d, i)));
    return list;
}
