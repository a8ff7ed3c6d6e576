/* Two policies, service by service, and then what is said for the mesh as a whole. */
#include "policy/differ.h"

#define DIFF_KIND(name, text) [DIFF_##name] = text,
static const char *const kinds[] = {DIFF_KINDS(DIFF_KIND)};
#undef DIFF_KIND

const char *diff_kind_text(enum diff_kind k)
{
    assert(k < DIFF_KIND_COUNT);
    return kinds[k];
}

void differ_add(struct diff *d, struct diff_one one)
{
    buf_add(&d->list, &one, sizeof one);
}

void differ_texts(struct diff *d, struct diff_one about, struct buf *before, struct buf *after)
{
    d->arena.failed |= !buf_ok(before) || !buf_ok(after);
    if (!bytes_eq(buf_bytes(before), buf_bytes(after))) {
        about.before = before->len ? arena_text(&d->arena, before->at, before->len) : NULL;
        about.after = after->len ? arena_text(&d->arena, after->at, after->len) : NULL;
        differ_add(d, about);
    }
    buf_fini(before);
    buf_fini(after);
}

static bool same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

static void differ_word(struct diff *d, struct diff_one about, const char *key, const char *before,
                        const char *after)
{
    if (same_text(before, after))
        return;
    about.key = arena_text(&d->arena, key, strlen(key));
    about.before = before ? arena_text(&d->arena, before, strlen(before)) : NULL;
    about.after = after ? arena_text(&d->arena, after, strlen(after)) : NULL;
    differ_add(d, about);
}

void differ_words(struct diff *d, struct diff_one about, const struct policy_words *before,
                  const struct policy_words *after, const struct policy_words *but_a,
                  const struct policy_words *but_b)
{
    d->arena.failed |= before->arena.failed || after->arena.failed;
    for (size_t i = 0; i < before->count; i++) {
        const char *key = before->at[i].key, *was = before->at[i].value, *is = words_value(after, key);
        bool inherited = but_a && but_b && same_text(was, words_value(but_a, key)) &&
                         same_text(is, words_value(but_b, key));
        if (!inherited)
            differ_word(d, about, key, was, is);
    }
    for (size_t i = 0; i < after->count; i++) {
        const char *key = after->at[i].key, *is = after->at[i].value;
        bool inherited = but_a && but_b && same_text(is, words_value(but_b, key)) && !words_value(but_a, key);
        if (!words_value(before, key) && !inherited)
            differ_word(d, about, key, NULL, is);
    }
}

/* -- services --------------------------------------------------------------------------------------- */

static void compare_services(struct diff *d)
{
    size_t i = 0, j = 0, n = d->a ? d->a->service_count : 0, m = d->b ? d->b->service_count : 0;
    while (i < n || j < m) {
        const struct policy_service *a = i < n ? &d->a->service[i] : NULL,
                                    *b = j < m ? &d->b->service[j] : NULL;
        int order = !a ? 1 : !b ? -1 : strcmp(a->name, b->name);
        a = order <= 0 ? a : NULL;
        b = order >= 0 ? b : NULL;
        differ_access(d, a, b);
        differ_traffic(d, a, b);
        i += a != NULL;
        j += b != NULL;
    }
}

/* -- lists of names --------------------------------------------------------------------------------- */

static const struct fault *fault_named(const struct policy *p, const char *name)
{
    for (size_t i = 0; p && i < p->fault_count; i++)
        if (strcmp(p->fault[i].said.name, name) == 0)
            return &p->fault[i];
    return NULL;
}

/* The fault of the same service that is tried before this one, if the other policy has it too. */
static const char *fault_above(const struct policy *p, const struct fault *f, const struct policy *other)
{
    const struct fault *o;
    for (size_t i = p ? (size_t)(f - p->fault) : 0; i-- > 0 && p->fault[i].said.to == f->said.to;)
        if ((o = fault_named(other, p->fault[i].said.name)) &&
            strcmp(o->said.to->name, f->said.to->name) == 0)
            return p->fault[i].said.name;
    return "";
}

static void write_fault(struct buf *out, const struct policy *p, const struct fault *f,
                        const struct policy *other)
{
    if (!f)
        return;
    buf_addf(out, "{to: %s, ", f->said.to->name);
    if (f->match_count) {
        buf_add_str(out, "match: ");
        words_fault_matches(out, p, &f->said);
        buf_add_str(out, ", ");
    }
    words_fault(out, &f->said);
    buf_add_str(out, "}");
    const char *above = fault_above(p, f, other);
    if (fault_named(other, f->said.name) && *above)
        buf_addf(out, ", after %s", above);
}

static void compare_fault(struct diff *d, const struct fault *a, const struct fault *b)
{
    struct buf before = {0}, after = {0};
    const struct fault *said = b ? b : a;
    assert(said);
    write_fault(&before, d->a, a, d->b);
    write_fault(&after, d->b, b, d->a);
    differ_texts(
        d, (struct diff_one){.kind = DIFF_FAULT, .service = said->said.to->name, .name = said->said.name},
        &before, &after);
}

static void compare_faults(struct diff *d)
{
    for (size_t i = 0; d->a && i < d->a->fault_count; i++)
        compare_fault(d, &d->a->fault[i], fault_named(d->b, d->a->fault[i].said.name));
    for (size_t i = 0; d->b && i < d->b->fault_count; i++)
        if (!fault_named(d->a, d->b->fault[i].said.name))
            compare_fault(d, NULL, &d->b->fault[i]);
}

static const struct policy_egress *egress_named(const struct policy *p, const char *name)
{
    for (size_t i = 0; p && i < p->egress_count; i++)
        if (strcmp(p->egress[i].name, name) == 0)
            return &p->egress[i];
    return NULL;
}

static void compare_egress_rule(struct diff *d, const struct policy_egress *a, const struct policy_egress *b)
{
    struct buf before = {0}, after = {0};
    if (a)
        words_egress(&before, a);
    if (b)
        words_egress(&after, b);
    const struct policy_egress *said = b ? b : a;
    assert(said);
    differ_texts(d, (struct diff_one){.kind = DIFF_EGRESS, .name = said->name}, &before, &after);
}

static void compare_egress(struct diff *d)
{
    for (size_t i = 0; d->a && i < d->a->egress_count; i++)
        compare_egress_rule(d, &d->a->egress[i], egress_named(d->b, d->a->egress[i].name));
    for (size_t i = 0; d->b && i < d->b->egress_count; i++)
        if (!egress_named(d->a, d->b->egress[i].name))
            compare_egress_rule(d, NULL, &d->b->egress[i]);
}

static void compare_revocation(struct diff *d, const struct policy_revocation *a,
                               const struct policy_revocation *b)
{
    char key[NODE_ID_TEXT_MAX];
    struct buf before = {0}, after = {0};
    const char *name = node_id_text(&(b ? b : a)->key, key);
    if (a)
        buf_add_str(&before, a->reason);
    if (b)
        buf_add_str(&after, b->reason);
    if (a && b && strcmp(a->reason, b->reason) == 0) {
        words_time(&before, a->at);
        words_time(&after, b->at);
    }
    differ_texts(
        d, (struct diff_one){.kind = DIFF_REVOCATION, .name = arena_text(&d->arena, name, strlen(name))},
        &before, &after);
}

static void compare_revocations(struct diff *d)
{
    for (size_t i = 0; d->a && i < d->a->revoked_count; i++)
        compare_revocation(d, &d->a->revoked[i],
                           d->b ? policy_revocation(d->b, &d->a->revoked[i].key) : NULL);
    for (size_t i = 0; d->b && i < d->b->revoked_count; i++)
        if (!d->a || !policy_revocation(d->a, &d->b->revoked[i].key))
            compare_revocation(d, NULL, &d->b->revoked[i]);
}

/* -- the mesh --------------------------------------------------------------------------------------- */

static void write_head(struct buf *out, const struct policy *p, size_t part)
{
    if (p && part == 0)
        buf_add_str(out, p->mesh);
    if (p && part == 1)
        buf_addf(out, "%llu", (unsigned long long)p->version);
    if (p && part == 2)
        words_time(out, p->expires);
}

static void compare_head(struct diff *d)
{
    static const char *const keys[] = {"mesh", "version", "expires"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        struct buf before = {0}, after = {0};
        write_head(&before, d->a, i);
        write_head(&after, d->b, i);
        differ_texts(d, (struct diff_one){.kind = DIFF_HEAD, .key = keys[i]}, &before, &after);
    }
}

static void mesh_words(struct policy_words *w, const struct policy *p)
{
    if (!p)
        return;
    words_of_observability(w, &p->observability);
    words_of_audit(w, &p->audit);
    words_of_rollout(w, &p->rollout);
}

static void compare_mesh(struct diff *d)
{
    struct policy_words before = {.count = 0}, after = {.count = 0};
    mesh_words(&before, d->a);
    mesh_words(&after, d->b);
    differ_words(d, (struct diff_one){.kind = DIFF_MESH}, &before, &after, NULL, NULL);
    words_fini(&before);
    words_fini(&after);
}

static void compare_features(struct diff *d)
{
    uint64_t was = d->a ? d->a->features : 0, is = d->b ? d->b->features : 0;
    for (int f = 0; f < POLICY_FEATURES; f++) {
        uint64_t bit = feature_bit((enum policy_feature)f);
        if ((was ^ is) & bit)
            differ_add(d, (struct diff_one){.kind = DIFF_FEATURE,
                                            .name = feature_name((enum policy_feature)f),
                                            .before = was & bit ? "needed" : NULL,
                                            .after = is & bit ? "needed" : NULL});
    }
}

/* -- the list --------------------------------------------------------------------------------------- */

/* By kind; within one in the order in which they were found, which is that of the services. */
static void sort(struct diff *d)
{
    size_t n = diff_count(d), out = 0;
    struct diff_one *sorted = arena_take(&d->arena, n, sizeof *sorted);
    for (int k = 0; sorted && k < DIFF_KIND_COUNT; k++)
        for (size_t i = 0; i < n; i++)
            if (diff_at(d, i)->kind == (enum diff_kind)k)
                sorted[out++] = *diff_at(d, i);
    if (sorted && n)
        memcpy(d->list.at, sorted, n * sizeof *sorted);
}

struct diff *diff_new(const struct policy *before, const struct policy *after)
{
    struct diff *d = calloc(1, sizeof *d);
    if (!d)
        return NULL;
    *d = (struct diff){
        .a = before, .b = after, .classes_left = DIFF_CLASSES_MAX, .regex_budget = regex_budget_full()};
    compare_head(d);
    compare_services(d);
    compare_faults(d);
    compare_egress(d);
    compare_revocations(d);
    compare_mesh(d);
    compare_features(d);
    if (buf_ok(&d->list))
        sort(d);
    if (buf_ok(&d->list) && !d->arena.failed)
        return d;
    diff_free(d);
    return NULL;
}

void diff_free(struct diff *d)
{
    if (!d)
        return;
    arena_fini(&d->arena);
    buf_fini(&d->list);
    free(d);
}

size_t diff_count(const struct diff *d)
{
    return d->list.len / sizeof(struct diff_one);
}

const struct diff_one *diff_at(const struct diff *d, size_t i)
{
    assert(i < diff_count(d));
    return (const struct diff_one *)(const void *)(d->list.at + i * sizeof(struct diff_one));
}
