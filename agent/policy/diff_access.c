/* Access: one request of each class is asked of both policies (diff.h says why that is enough), and what changes alike is put
 * together.
 *
 *   callers x methods x paths  ->  which change (0: none)         a row for each caller
 *   callers with equal rows    ->  one group
 *   in a group, methods whose paths change alike  ->  one difference, with its paths as a list of exceptions */
#include "policy/differ.h"

struct atom { /* a class of paths */
    struct bytes path;
    bool exact, any; /* `any`: no prefix at all, the class of all classes */
    size_t parent;   /* the class it would belong to, were it not written */
    struct bytes asked;
};
struct change { /* one way in which a verdict changes */
    struct policy_verdict before, after;
};
enum {
    CHANGES_MAX = 4096, /* ways of one service; a service with more is too large */
    SLOTS = 2 * CHANGES_MAX,
};
struct row {
    size_t caller, bytes;
    const uint16_t *cell; /* [method * paths + path]: which change; 0: none */
};
struct access {
    struct diff *d;
    struct arena scratch;
    const struct policy_service *a, *b;
    size_t caller_count, method_count, atom_count, change_count; /* the last caller and method: all others */
    struct bytes *caller, *method;
    struct atom *atom;
    struct change *change; /* from 1 on */
    uint16_t *slot;        /* hash table of their numbers; 0: free */
};

/* -- the classes ------------------------------------------------------------------------------------ */

struct texts { /* a list that grows, of slices */
    struct buf at;
};
static void texts_add(struct texts *t, struct bytes one)
{
    buf_add(&t->at, &one, sizeof one);
}
static int by_bytes(const void *l, const void *r)
{
    const struct bytes *a = l, *b = r;
    size_t n = a->len < b->len ? a->len : b->len;
    int d = n ? memcmp(a->at, b->at, n) : 0;
    return d ? d : (a->len > b->len) - (a->len < b->len);
}
/* Sorted, each once, in the arena, with room for one more. */
static struct bytes *texts_take(struct texts *t, struct arena *a, size_t *count)
{
    size_t n = t->at.len / sizeof(struct bytes), out = 0;
    struct bytes *list = arena_take(a, n + 1, sizeof *list);
    a->failed |= !buf_ok(&t->at);
    if (list && n) {
        memcpy(list, t->at.at, n * sizeof *list);
        qsort(list, n, sizeof *list, by_bytes);
        for (size_t i = 0; i < n; i++)
            if (out == 0 || !bytes_eq(list[out - 1], list[i]))
                list[out++] = list[i];
    }
    buf_fini(&t->at);
    *count = list ? out : 0;
    return list;
}

struct gathered {
    struct texts callers, methods, exact, prefixes;
};

static void gather_clauses(struct gathered *g, const struct policy *p, const struct clause *c, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        for (size_t m = 0; m < p->method_count; m++)
            if (c[i].methods >> m & 1)
                texts_add(&g->methods, p->method[m]);
        for (size_t j = 0; j < c[i].paths.exact_count; j++)
            texts_add(&g->exact, c[i].paths.exact[j]);
        for (size_t j = 0; j < c[i].paths.prefix_count; j++)
            texts_add(&g->prefixes, c[i].paths.prefix[j]);
    }
}

/* A rule that names many callers is in the list of each: it is looked at once, where its first caller is. */
static void gather_rules(struct gathered *g, const struct policy *p, const struct rule_list *l,
                         const struct intention **seen, size_t *seen_count)
{
    for (uint32_t i = 0; i < l->end[RULE_KINDS - 1]; i++) {
        const struct intention *r = l->at[i];
        size_t lo = 0, hi = *seen_count;
        while (lo < hi) {
            size_t mid = lo + (hi - lo) / 2;
            if (seen[mid]->order < r->order)
                lo = mid + 1;
            else
                hi = mid;
        }
        if (lo < *seen_count && seen[lo] == r)
            continue;
        memmove(&seen[lo + 1], &seen[lo], (*seen_count - lo) * sizeof *seen);
        seen[lo] = r;
        (*seen_count)++;
        gather_clauses(g, p, r->allow, r->allow_count);
        gather_clauses(g, p, r->deny, r->deny_count);
        for (size_t j = 0; j < r->except_count; j++)
            texts_add(&g->callers, bytes_str(p->caller[r->except[j]]));
    }
}

static void gather(struct access *x, struct gathered *g, const struct policy_service *s)
{
    if (!s)
        return;
    size_t most = s->anyone.end[RULE_KINDS - 1], count = 0;
    for (size_t i = 0; i < s->caller_count; i++)
        most += s->caller[i].list.end[RULE_KINDS - 1];
    const struct intention **seen = arena_take(&x->scratch, most + 1, sizeof(const struct intention *));
    if (!seen)
        return;
    gather_rules(g, s->policy, &s->anyone, seen, &count);
    for (size_t i = 0; i < s->caller_count; i++) {
        texts_add(&g->callers, bytes_str(s->policy->caller[s->caller[i].caller]));
        gather_rules(g, s->policy, &s->caller[i].list, seen, &count);
    }
}

/* The longest prefix above (or, for an exact path, at) this one; atom 0 if there is none. Prefixes are atoms 1 to
 * `prefixes`, sorted by their bytes. */
static size_t parent_of(const struct access *x, const struct atom *of, size_t prefixes)
{
    for (size_t len = of->path.len + (of->exact ? 1 : 0); len-- > 0;) {
        struct bytes above = bytes_of(of->path.at, len);
        if (len < of->path.len && of->path.at[len] != '/')
            continue;
        size_t lo = 1, hi = prefixes + 1;
        while (lo < hi) {
            size_t mid = lo + (hi - lo) / 2;
            int d = by_bytes(&x->atom[mid].path, &above);
            if (d == 0)
                return mid;
            if (d < 0)
                lo = mid + 1;
            else
                hi = mid;
        }
    }
    return 0;
}

/* No path that is written holds this byte, so what is asked below a prefix is below no longer one. "*", what OPTIONS
 * asks of no path at all, is below none. */
static struct bytes path_to_ask(struct access *x, const struct atom *a)
{
    if (a->exact)
        return a->path;
    if (a->any)
        return bytes_str("*");
    uint8_t *at = arena_take(&x->scratch, a->path.len + 2, 1);
    if (!at)
        return a->path;
    if (a->path.len)
        memcpy(at, a->path.at, a->path.len);
    at[a->path.len] = '/';
    at[a->path.len + 1] = 1;
    return bytes_of(at, a->path.len + 2);
}

static bool make_atoms(struct access *x, const struct bytes *prefix, size_t prefixes,
                       const struct bytes *exact, size_t exacts)
{
    x->atom_count = 1 + prefixes + exacts;
    x->atom = arena_take(&x->scratch, x->atom_count, sizeof *x->atom);
    if (!x->atom)
        return false;
    x->atom[0].any = true;
    for (size_t i = 0; i < prefixes; i++)
        x->atom[1 + i].path = prefix[i];
    for (size_t i = 0; i < exacts; i++)
        x->atom[1 + prefixes + i] = (struct atom){.path = exact[i], .exact = true};
    for (size_t i = 0; i < x->atom_count; i++) {
        x->atom[i].parent = i ? parent_of(x, &x->atom[i], prefixes) : 0;
        x->atom[i].asked = path_to_ask(x, &x->atom[i]);
    }
    return true;
}

/* False: no memory. */
static bool make_classes(struct access *x)
{
    struct gathered g = {.callers = {{0}}};
    size_t prefixes, exacts;
    gather(x, &g, x->a);
    gather(x, &g, x->b);
    x->caller = texts_take(&g.callers, &x->scratch, &x->caller_count);
    x->method = texts_take(&g.methods, &x->scratch, &x->method_count);
    struct bytes *prefix = texts_take(&g.prefixes, &x->scratch, &prefixes),
                 *exact = texts_take(&g.exact, &x->scratch, &exacts);
    if (x->scratch.failed || !make_atoms(x, prefix, prefixes, exact, exacts))
        return false;
    x->caller[x->caller_count++] = bytes_of("", 0);   /* unknown, as all whom no rule names */
    x->method[x->method_count++] = bytes_str("\x01"); /* no method has this byte */
    return !x->scratch.failed;
}

/* -- asking ----------------------------------------------------------------------------------------- */

static bool same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

static bool same_verdict(const struct policy_verdict *a, const struct policy_verdict *b)
{
    return a->allowed == b->allowed && a->audited == b->audited && same_text(a->rule, b->rule) &&
           same_text(a->audit_rule, b->audit_rule);
}

static bool same_outcome(const struct policy_verdict *a, const struct policy_verdict *b)
{
    return a->allowed == b->allowed && a->audited == b->audited;
}

static struct policy_verdict ask(const struct policy_service *s, const struct policy_request *rq)
{
    return s ? policy_decide(s->policy, s, rq) : (struct policy_verdict){.allowed = false};
}

/* Within one policy, names are equal if their pointers are. */
static bool is_change(const struct change *a, const struct change *b)
{
    return same_outcome(&a->before, &b->before) && same_outcome(&a->after, &b->after) &&
           a->before.rule == b->before.rule && a->after.rule == b->after.rule &&
           a->before.audit_rule == b->before.audit_rule && a->after.audit_rule == b->after.audit_rule;
}

static size_t slot_of(const struct change *c)
{
    const void *const part[] = {c->before.rule, c->before.audit_rule, c->after.rule, c->after.audit_rule};
    uint64_t h = 0;
    for (size_t i = 0; i < sizeof part / sizeof *part; i++)
        h = (h ^ (uintptr_t)part[i]) * UINT64_C(0x9e3779b97f4a7c15);
    return (size_t)(h >> 32) % SLOTS;
}

/* The number of this change; CHANGES_MAX: there are too many. Who is denied everything by a service that is not there is
 * denied by one that is: nothing changed. */
static size_t change_of(struct access *x, const struct policy_request *rq)
{
    struct change c = {ask(x->a, rq), ask(x->b, rq)};
    bool both = x->a && x->b;
    if (both ? same_verdict(&c.before, &c.after) : same_outcome(&c.before, &c.after))
        return 0;
    size_t at = slot_of(&c);
    for (; x->slot[at]; at = (at + 1) % SLOTS)
        if (is_change(&x->change[x->slot[at]], &c))
            return x->slot[at];
    if (x->change_count == CHANGES_MAX)
        return CHANGES_MAX;
    x->change[x->change_count] = c;
    x->slot[at] = (uint16_t)x->change_count;
    return x->change_count++;
}

/* Fills one caller's row. False: too many changes. */
static bool ask_all(struct access *x, size_t caller, uint16_t *cell)
{
    size_t change;
    for (size_t m = 0; m < x->method_count; m++)
        for (size_t i = 0; i < x->atom_count; i++) {
            struct policy_request rq = {
                .caller = x->caller[caller], .method = x->method[m], .path = x->atom[i].asked};
            if ((change = change_of(x, &rq)) == CHANGES_MAX)
                return false;
            *cell++ = (uint16_t)change;
        }
    return true;
}

/* -- telling ---------------------------------------------------------------------------------------- */

/* The shorter of "these" and "all but these", where `all` holds one that stands for the rest in its last place. */
static struct diff_names names_of(struct access *x, const struct bytes *all, size_t count, const bool *in)
{
    struct diff_names n = {.but = in[count - 1]};
    const char **list = arena_take(&x->d->arena, count, sizeof(const char *));
    for (size_t i = 0; list && i + 1 < count; i++)
        if (in[i] != n.but)
            list[n.count++] = arena_text(&x->d->arena, all[i].at, all[i].len);
    n.at = list;
    return n;
}

static int by_path(const void *l, const void *r)
{
    const struct diff_path *a = l, *b = r;
    int d = strcmp(a->path ? a->path : "", b->path ? b->path : "");
    return d                                    ? d
           : a->path == NULL || b->path == NULL ? (a->path != NULL) - (b->path != NULL)
                                                : b->below - a->below;
}

/* The paths of this change and method. Only where a class goes another way than the one that it lies in is it told. */
static void paths_of(struct access *x, struct diff_access *one, const uint16_t *cell, size_t change)
{
    struct diff_path *list = arena_take(&x->d->arena, x->atom_count, sizeof *list);
    for (size_t i = 0; list && i < x->atom_count; i++) {
        const struct atom *a = &x->atom[i];
        bool in = cell[i] == change, above = i ? cell[a->parent] == change : false;
        if (in == above)
            continue;
        list[one->path_count++] =
            (struct diff_path){.out = !in,
                               .below = !a->exact,
                               .path = a->any ? NULL : arena_text(&x->d->arena, a->path.at, a->path.len)};
    }
    if (one->path_count)
        qsort(list, one->path_count, sizeof *list, by_path);
    one->path = list;
}

static bool same_paths(const struct access *x, const uint16_t *a, const uint16_t *b, size_t change)
{
    for (size_t i = 0; i < x->atom_count; i++)
        if ((a[i] == change) != (b[i] == change))
            return false;
    return true;
}

static bool holds_change(const struct access *x, const uint16_t *cell, size_t change)
{
    for (size_t i = 0; i < x->atom_count; i++)
        if (cell[i] == change)
            return true;
    return false;
}

static void tell(struct access *x, const struct diff_names *callers, const bool *methods,
                 const uint16_t *cell, size_t change)
{
    struct diff_access *one = arena_take(&x->d->arena, 1, sizeof *one);
    if (!one)
        return;
    const struct change *c = &x->change[change];
    *one = (struct diff_access){.callers = *callers,
                                .methods = names_of(x, x->method, x->method_count, methods),
                                .was_there = x->a,
                                .is_there = x->b,
                                .before = c->before,
                                .after = c->after};
    paths_of(x, one, cell, change);
    differ_add(x->d, (struct diff_one){.kind = same_outcome(&c->before, &c->after) ? DIFF_RULE : DIFF_ACCESS,
                                       .service = (x->b ? x->b : x->a)->name,
                                       .access = one});
}

/* One change of a group of callers: a difference for each set of methods that it meets on the same paths. */
static void tell_change(struct access *x, const struct diff_names *callers, const uint16_t *row,
                        size_t change)
{
    bool *done = arena_take(&x->scratch, x->method_count, sizeof *done);
    for (size_t m = 0; done && m < x->method_count; m++) {
        const uint16_t *cell = row + m * x->atom_count;
        bool *with = !done[m] && holds_change(x, cell, change)
                         ? arena_take(&x->scratch, x->method_count, sizeof *with)
                         : NULL;
        for (size_t n = m; with && n < x->method_count; n++)
            if (!done[n] && same_paths(x, cell, row + n * x->atom_count, change))
                done[n] = with[n] = true;
        if (with)
            tell(x, callers, with, cell, change);
    }
}

static void tell_group(struct access *x, const bool *callers, const uint16_t *row)
{
    struct diff_names names = names_of(x, x->caller, x->caller_count, callers);
    bool *has = arena_take(&x->scratch, x->change_count, sizeof *has);
    for (size_t i = 0; has && i < x->method_count * x->atom_count; i++)
        has[row[i]] = true;
    for (size_t c = 1; has && c < x->change_count; c++)
        if (has[c])
            tell_change(x, &names, row, c);
}

static int by_cells(const struct row *a, const struct row *b)
{
    return memcmp(a->cell, b->cell, a->bytes);
}

static int by_row(const void *l, const void *r)
{
    const struct row *a = l, *b = r;
    int d = by_cells(a, b);
    return d ? d : (a->caller > b->caller) - (a->caller < b->caller);
}

/* Groups in the order of their first callers: by the names, not by how a row's bytes sort. */
static void tell_all(struct access *x, struct row *rows)
{
    size_t n = x->caller_count, *begin = arena_take(&x->scratch, n, sizeof *begin);
    qsort(rows, n, sizeof *rows, by_row);
    for (size_t i = 0; begin && i < n; i++)
        begin[rows[i].caller] = i && by_cells(&rows[i - 1], &rows[i]) == 0 ? SIZE_MAX : i;
    for (size_t c = 0; begin && c < n; c++) {
        size_t first = begin[c];
        bool *in = first == SIZE_MAX ? NULL : arena_take(&x->scratch, n, sizeof *in);
        for (size_t i = first; in && i < n && by_cells(&rows[first], &rows[i]) == 0; i++)
            in[rows[i].caller] = true;
        if (in)
            tell_group(x, in, rows[first].cell);
    }
}

static bool fits(struct access *x)
{
    size_t left = x->d->classes_left;
    if (x->method_count > left / x->atom_count || x->caller_count > left / x->atom_count / x->method_count)
        return false;
    x->d->classes_left -= x->caller_count * x->atom_count * x->method_count;
    return true;
}

/* False: too large. */
static bool compare(struct access *x)
{
    size_t width = x->method_count * x->atom_count;
    if (!fits(x))
        return false;
    struct row *rows = arena_take(&x->scratch, x->caller_count, sizeof *rows);
    uint16_t *cell = arena_take(&x->scratch, x->caller_count * width, sizeof *cell);
    x->change = arena_take(&x->scratch, CHANGES_MAX, sizeof *x->change);
    x->slot = arena_take(&x->scratch, SLOTS, sizeof *x->slot);
    if (!rows || !cell || !x->change || !x->slot)
        return true;
    x->change_count = 1;
    for (size_t i = 0; i < x->caller_count; i++, cell += width) {
        rows[i] = (struct row){i, width * sizeof *cell, cell};
        if (!ask_all(x, i, cell))
            return false;
    }
    tell_all(x, rows);
    return true;
}

void differ_access(struct diff *d, const struct policy_service *before, const struct policy_service *after)
{
    struct access x = {.d = d, .a = before, .b = after};
    if (make_classes(&x) && !compare(&x))
        differ_add(d, (struct diff_one){.kind = DIFF_TOO_LARGE, .service = (after ? after : before)->name});
    d->arena.failed |= x.scratch.failed;
    arena_fini(&x.scratch);
}
