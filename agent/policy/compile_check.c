/* What only the whole shows: rules that never decide anything, because others always have before; services
 * that nobody may call. Warnings: the policy means what it says, but hardly what its author thinks.
 *
 * A rule is called shadowed only if that is certain: each of its clauses is inside one clause of one other
 * rule, for every caller it names. What several others cover only together is not found. */
#include "policy/compile.h"

enum { CHECKS_MAX = 2000000 }; /* comparisons of clauses; beyond them nothing more is looked for */

struct check {
    struct compile *k;
    const struct policy_service *s;
    const struct yaml_node *intentions;
    const struct intention **by; /* per intention: who shadows it */
    uint32_t *placed, *shadowed; /* per intention: in how many places it stands, and is shadowed there */
    size_t left;                 /* of CHECKS_MAX */
};

static bool clause_covers(const struct clause *a, const struct clause *b, bool is_tcp)
{
    if (is_tcp)
        return true;
    bool methods = a->methods == 0 || (b->methods && (b->methods & ~a->methods) == 0);
    return methods && path_set_covers(&a->paths, &b->paths);
}

struct clauses {
    const struct clause *at;
    size_t count;
};

static struct clauses clauses_of(const struct intention *r, enum rule_kind kind)
{
    return kind == RULE_DENY ? (struct clauses){r->deny, r->deny_count}
                             : (struct clauses){r->allow, r->allow_count};
}

static bool clauses_cover(struct check *ch, struct clauses a, struct clauses b)
{
    bool is_tcp = ch->s->protocol == POLICY_TCP;
    for (size_t i = 0; i < b.count; i++) {
        bool covered = false;
        for (size_t j = 0; j < a.count && !covered && ch->left; j++, ch->left--)
            covered = clause_covers(&a.at[j], &b.at[i], is_tcp);
        if (!covered)
            return false;
    }
    return true;
}

/* Does `a` concern this caller (UINT32_MAX: all that `b` concerns)? Both lists of exceptions are sorted. */
static bool concerns(struct check *ch, const struct intention *a, const struct intention *b, uint32_t caller)
{
    size_t j = 0;
    for (size_t i = 0; i < a->except_count; i++) {
        if (caller != UINT32_MAX && a->except[i] == caller)
            return false;
        while (caller == UINT32_MAX && j < b->except_count && b->except[j] < a->except[i])
            j++;
        if (caller == UINT32_MAX && (j == b->except_count || b->except[j] != a->except[i]))
            return false;
    }
    ch->left -= ch->left < a->except_count ? ch->left : a->except_count;
    return true;
}

/* The first rule of `kind` in the list that leaves nothing of r's clauses; of r's own kind only those before
 * it in the file. */
static const struct intention *coverer(struct check *ch, const struct rule_list *l, enum rule_kind kind,
                                       const struct intention *r, enum rule_kind own, uint32_t caller)
{
    for (uint32_t i = rule_list_begin(l, kind); i < l->end[kind] && ch->left; i++) {
        const struct intention *a = l->at[i];
        if (a == r || (kind == own && a->order > r->order))
            continue;
        ch->left--;
        if (concerns(ch, a, r, caller) && clauses_cover(ch, clauses_of(a, kind), clauses_of(r, own)))
            return a;
    }
    return NULL;
}

static void check_placement(struct check *ch, const struct rule_list *l, const struct intention *r,
                            enum rule_kind own, uint32_t caller)
{
    static const enum rule_kind kinds[] = {RULE_DENY, RULE_ALLOW};
    const struct intention *by = NULL;
    for (size_t i = 0; i < 2 && !by; i++) {
        if (kinds[i] == RULE_ALLOW && own == RULE_DENY)
            break;
        by = coverer(ch, l, kinds[i], r, own, caller);
        if (!by && l != &ch->s->anyone)
            by = coverer(ch, &ch->s->anyone, kinds[i], r, own, caller);
    }
    ch->placed[r->order]++;
    ch->shadowed[r->order] += by != NULL;
    ch->by[r->order] = by;
}

static void check_list(struct check *ch, const struct rule_list *l, uint32_t caller)
{
    static const enum rule_kind kinds[] = {RULE_DENY, RULE_ALLOW};
    for (size_t k = 0; k < 2; k++)
        for (uint32_t i = rule_list_begin(l, kinds[k]); i < l->end[kinds[k]]; i++)
            check_placement(ch, l, l->at[i], kinds[k], caller);
}

static void tell_shadowed(const struct check *ch)
{
    for (size_t i = 0; i < ch->intentions->count; i++)
        if (ch->placed[i] && ch->placed[i] == ch->shadowed[i]) {
            const struct yaml_node *n = ch->intentions->child[i], *name = yaml_get(n, "name");
            complain_warning(ch->k->c, CODE_SHADOWED, name ? name : n,
                             "rule `%.60s` never decides anything: `%s` has decided all its requests; "
                             "remove one, or narrow the other",
                             name ? name->text : "", ch->by[i]->name);
        }
}

static void check_shadows(struct compile *k, const struct yaml_node *intentions)
{
    struct check ch = {.k = k, .intentions = intentions, .left = CHECKS_MAX};
    ch.by = calloc(intentions->count + 1, sizeof(struct intention *));
    ch.placed = calloc(intentions->count + 1, sizeof *ch.placed);
    ch.shadowed = calloc(intentions->count + 1, sizeof *ch.shadowed);
    if (ch.by && ch.placed && ch.shadowed) {
        for (size_t i = 0; i < k->p->service_count; i++) {
            ch.s = &k->p->service[i];
            check_list(&ch, &ch.s->anyone, UINT32_MAX);
            for (size_t j = 0; j < ch.s->caller_count; j++)
                check_list(&ch, &ch.s->caller[j].list, ch.s->caller[j].caller);
        }
        tell_shadowed(&ch);
    } else {
        k->p->arena.failed = true;
    }
    free(ch.by);
    free(ch.placed);
    free(ch.shadowed);
}

static bool has_allow(const struct rule_list *l)
{
    return l->end[RULE_ALLOW] > rule_list_begin(l, RULE_ALLOW);
}

static bool is_callable(const struct policy_service *s)
{
    bool callable = s->settings.unmatched == UNMATCHED_AUDIT || has_allow(&s->anyone);
    for (size_t i = 0; i < s->caller_count && !callable; i++)
        callable = has_allow(&s->caller[i].list);
    return callable;
}

void compile_warnings(struct compile *k, const struct yaml_node *services, const struct yaml_node *intentions)
{
    if (k->c->count != k->before || k->p->arena.failed)
        return; /* what is missing because of an error would look like a mistake of its own */
    if (intentions)
        check_shadows(k, intentions);
    for (size_t i = 0; services && i < services->count; i++) {
        const struct yaml_node *key = services->key[i];
        const struct policy_service *s = policy_service(k->p, bytes_of(key->text, key->text_len));
        if (s && !is_callable(s))
            complain_warning(
                k->c, CODE_UNCALLED, key,
                "nobody may call `%s`: no intention allows anything to it, and `unmatched` denies", s->name);
    }
}
