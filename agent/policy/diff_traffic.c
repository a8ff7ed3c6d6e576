/* A service before and after: what is written about it, apart from who may call it. */
#include "policy/differ.h"

/* -- routes ----------------------------------------------------------------------------------------- */

static const struct policy_route *route_named(const struct policy_service *s, const char *name)
{
    for (size_t i = 0; s && i < s->route_count; i++)
        if (strcmp(s->route[i].name, name) == 0)
            return &s->route[i];
    return NULL;
}

static const char *target_name(const struct policy_target *t)
{
    assert(t);
    return t->subset ? t->subset->name : "*";
}

static void write_part(struct buf *out, const char *key, struct buf *value)
{
    if (value->len)
        buf_addf(out, "%s%s: %s", out->len ? ", " : "", key, buf_str(value));
    buf_fini(value);
}

/* Everything a new route says, but for timeouts and retry, which are told as settings. */
static void write_route(struct buf *out, const struct policy_service *s, const struct policy_route *r)
{
    struct buf part = {0}, inner = {0};
    words_matches(&part, s, r);
    write_part(&inner, "match", &part);
    for (size_t i = 0; i < r->target_count; i++)
        buf_addf(&part, "%s%s: %u", i ? ", " : "{", target_name(&r->target[i]), r->target[i].weight);
    buf_add_str(&part, "}");
    write_part(&inner, "to", &part);
    words_key(&part, &r->sticky);
    write_part(&inner, "sticky", &part);
    buf_add_str(&part, r->rewrite_prefix ? *r->rewrite_prefix ? r->rewrite_prefix : "/" : "");
    write_part(&inner, "rewrite", &part);
    words_mirror(&part, &r->mirror);
    write_part(&inner, "mirror", &part);
    words_header_edit(&part, &r->request_headers);
    write_part(&inner, "requestHeaders", &part);
    words_header_edit(&part, &r->response_headers);
    write_part(&inner, "responseHeaders", &part);
    buf_addf(out, "{%s}", buf_str(&inner));
    buf_fini(&inner);
}

static const struct policy_target *target_named(const struct policy_route *r, const char *name)
{
    for (size_t i = 0; i < r->target_count; i++)
        if (strcmp(target_name(&r->target[i]), name) == 0)
            return &r->target[i];
    return NULL;
}

static void compare_weight(struct diff *d, struct diff_one about, const struct policy_target *a,
                           const struct policy_target *b)
{
    struct buf before = {0}, after = {0};
    if (a)
        buf_addf(&before, "%u", a->weight);
    if (b)
        buf_addf(&after, "%u", b->weight);
    about.key = target_name(b ? b : a);
    differ_texts(d, about, &before, &after);
}

static void compare_weights(struct diff *d, struct diff_one about, const struct policy_route *a,
                            const struct policy_route *b)
{
    about.kind = DIFF_WEIGHT;
    for (size_t i = 0; i < a->target_count; i++)
        compare_weight(d, about, &a->target[i], target_named(b, target_name(&a->target[i])));
    for (size_t i = 0; i < b->target_count; i++)
        if (!target_named(a, target_name(&b->target[i])))
            compare_weight(d, about, NULL, &b->target[i]);
}

/* Timeouts and retries of the route's own. What both inherit is told of the service. */
static void compare_route_settings(struct diff *d, struct diff_one about, const struct policy_service *a,
                                   const struct policy_route *ra, const struct policy_service *b,
                                   const struct policy_route *rb)
{
    struct policy_words before = {.count = 0}, after = {.count = 0}, all_a = {.count = 0},
                        all_b = {.count = 0};
    struct policy_settings sa = policy_route_settings(a, ra), sb = policy_route_settings(b, rb);
    words_of_settings(&before, &sa, a->protocol == POLICY_TCP);
    words_of_settings(&after, &sb, b->protocol == POLICY_TCP);
    words_of_settings(&all_a, &a->settings, a->protocol == POLICY_TCP);
    words_of_settings(&all_b, &b->settings, b->protocol == POLICY_TCP);
    differ_words(d, about, &before, &after, &all_a, &all_b);
    words_fini(&before);
    words_fini(&after);
    words_fini(&all_a);
    words_fini(&all_b);
}

typedef void write_one(struct buf *out, const struct policy_service *s, const struct policy_route *r);
static void write_sticky(struct buf *out, const struct policy_service *s, const struct policy_route *r)
{
    (void)s;
    words_key(out, &r->sticky);
}
static void write_rewrite(struct buf *out, const struct policy_service *s, const struct policy_route *r)
{
    (void)s;
    if (r->rewrite_prefix)
        buf_add_str(out, *r->rewrite_prefix ? r->rewrite_prefix : "/");
}
static void write_mirror(struct buf *out, const struct policy_service *s, const struct policy_route *r)
{
    (void)s;
    words_mirror(out, &r->mirror);
}
static void write_request_headers(struct buf *out, const struct policy_service *s,
                                  const struct policy_route *r)
{
    (void)s;
    words_header_edit(out, &r->request_headers);
}
static void write_response_headers(struct buf *out, const struct policy_service *s,
                                   const struct policy_route *r)
{
    (void)s;
    words_header_edit(out, &r->response_headers);
}
static const struct {
    const char *key;
    write_one *write;
} route_parts[] = {
    {"match", words_matches},
    {"rewrite", write_rewrite},
    {"sticky", write_sticky},
    {"mirror", write_mirror},
    {"requestHeaders", write_request_headers},
    {"responseHeaders", write_response_headers},
};

static void compare_route(struct diff *d, const struct policy_service *a, const struct policy_route *ra,
                          const struct policy_service *b, const struct policy_route *rb)
{
    struct diff_one about = {.kind = DIFF_ROUTE, .service = b->name, .name = rb->name};
    for (size_t i = 0; i < sizeof route_parts / sizeof *route_parts; i++) {
        struct buf before = {0}, after = {0};
        route_parts[i].write(&before, a, ra);
        route_parts[i].write(&after, b, rb);
        about.key = route_parts[i].key;
        differ_texts(d, about, &before, &after);
    }
    compare_weights(d, about, ra, rb);
    compare_route_settings(d, about, a, ra, b, rb);
}

static void tell_route(struct diff *d, const struct policy_service *s, const struct policy_route *r,
                       bool is_new)
{
    struct buf text = {0}, none = {0};
    write_route(&text, s, r);
    differ_texts(d, (struct diff_one){.kind = DIFF_ROUTE, .service = s->name, .name = r->name},
                 is_new ? &none : &text, is_new ? &text : &none);
}

/* -- the order of routes ---------------------------------------------------------------------------- */

/* Could one request take either, were it alone? */
static bool routes_meet(const struct policy_service *s, size_t one, size_t other, struct regex_budget *budget)
{
    const struct regex *form = s->policy->path_form;
    for (size_t i = 0; i < s->match_count; i++)
        for (size_t j = 0; s->match[i].route == one && j < s->match_count; j++)
            if (s->match[j].route == other && route_match_meets(&s->match[i], &s->match[j], form, budget))
                return true;
    return false;
}

/* Of the routes behind `i` that stood before it, the first with which it has requests in common. */
static void compare_place(struct diff *d, const struct policy_service *a, const struct policy_service *b,
                          size_t i, const size_t *was)
{
    for (size_t j = i + 1; j < b->route_count; j++) {
        if (was[j] == SIZE_MAX || was[j] > was[i])
            continue;
        if (!routes_meet(b, i, j, &d->regex_budget) && !routes_meet(a, was[i], was[j], &d->regex_budget))
            continue;
        differ_add(d, (struct diff_one){.kind = DIFF_ORDER,
                                        .service = b->name,
                                        .name = b->route[i].name,
                                        .key = b->route[j].name,
                                        .before = "after",
                                        .after = "before"});
        return;
    }
}

static void compare_order(struct diff *d, const struct policy_service *a, const struct policy_service *b)
{
    size_t *was = arena_take(&d->arena, b->route_count, sizeof *was);
    for (size_t i = 0; was && i < b->route_count; i++) {
        const struct policy_route *r = route_named(a, b->route[i].name);
        was[i] = r ? (size_t)(r - a->route) : SIZE_MAX;
    }
    for (size_t i = 0; was && i < b->route_count; i++)
        if (was[i] != SIZE_MAX)
            compare_place(d, a, b, i, was);
}

static void compare_routes(struct diff *d, const struct policy_service *a, const struct policy_service *b)
{
    for (size_t i = 0; a && i < a->route_count; i++)
        if (!route_named(b, a->route[i].name))
            tell_route(d, a, &a->route[i], false);
    for (size_t i = 0; b && i < b->route_count; i++) {
        const struct policy_route *was = route_named(a, b->route[i].name);
        if (was)
            compare_route(d, a, was, b, &b->route[i]);
        else
            tell_route(d, b, &b->route[i], true);
    }
    if (a && b)
        compare_order(d, a, b);
}

/* -- the service ------------------------------------------------------------------------------------ */

static const struct policy_subset *subset_named(const struct policy_service *s, const char *name)
{
    for (size_t i = 0; s && i < s->subset_count; i++)
        if (strcmp(s->subset[i].name, name) == 0)
            return &s->subset[i];
    return NULL;
}

static void compare_subset(struct diff *d, const struct policy_service *s, const struct policy_subset *a,
                           const struct policy_subset *b)
{
    struct buf before = {0}, after = {0};
    if (a)
        words_labels(&before, a->labels);
    if (b)
        words_labels(&after, b->labels);
    const struct policy_subset *said = b ? b : a;
    assert(said);
    differ_texts(d, (struct diff_one){.kind = DIFF_SUBSET, .service = s->name, .name = said->name}, &before,
                 &after);
}

static void compare_subsets(struct diff *d, const struct policy_service *a, const struct policy_service *b)
{
    for (size_t i = 0; a && i < a->subset_count; i++)
        compare_subset(d, a, &a->subset[i], subset_named(b, a->subset[i].name));
    for (size_t i = 0; b && i < b->subset_count; i++)
        if (!subset_named(a, b->subset[i].name))
            compare_subset(d, b, NULL, &b->subset[i]);
}

static bool has_limit(const struct policy_service *s, const char *text)
{
    bool found = false;
    for (size_t i = 0; s && i < s->limit_count && !found; i++) {
        struct buf t = {0};
        words_rate_limit(&t, &s->limit[i].said);
        found = strcmp(buf_str(&t), text) == 0;
        buf_fini(&t);
    }
    return found;
}

/* Those of `s` that `other` has not. All limits that apply must grant, so neither their order nor a second of the same
 * matters. */
static void tell_limits(struct diff *d, const struct policy_service *s, const struct policy_service *other,
                        bool are_new)
{
    for (size_t i = 0; s && i < s->limit_count; i++) {
        struct buf text = {0}, none = {0};
        words_rate_limit(&text, &s->limit[i].said);
        if (has_limit(other, buf_str(&text)))
            buf_fini(&text);
        differ_texts(
            d, (struct diff_one){.kind = DIFF_RATE_LIMIT, .service = s->name, .name = s->limit[i].said.route},
            are_new ? &none : &text, are_new ? &text : &none);
    }
}

static void write_failover(struct buf *out, const struct policy_service *s)
{
    for (size_t i = 0; i < s->failover_count; i++)
        buf_addf(out, "%s%s", i ? ", " : "[", s->failover[i]->name);
    buf_add_str(out, s->failover_count ? "]" : "");
}

static void write_port(struct buf *out, const struct policy_service *s)
{
    if (s->port)
        buf_addf(out, "%u", s->port);
}

static void write_protocol(struct buf *out, const struct policy_service *s)
{
    buf_add_str(out, words_protocol(s->protocol));
}

static void compare_settings(struct diff *d, const struct policy_service *a, const struct policy_service *b)
{
    struct policy_words before = {.count = 0}, after = {.count = 0};
    words_of_settings(&before, &a->settings, a->protocol == POLICY_TCP);
    words_of_settings(&after, &b->settings, b->protocol == POLICY_TCP);
    differ_words(d, (struct diff_one){.kind = DIFF_SETTING, .service = b->name}, &before, &after, NULL, NULL);
    words_fini(&before);
    words_fini(&after);
}

static void compare_service(struct diff *d, const struct policy_service *a, const struct policy_service *b)
{
    static const struct {
        const char *key;
        void (*write)(struct buf *out, const struct policy_service *s);
    } parts[] = {{"protocol", write_protocol}, {"port", write_port}, {"failover", write_failover}};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        struct buf before = {0}, after = {0};
        parts[i].write(&before, a);
        parts[i].write(&after, b);
        differ_texts(d, (struct diff_one){.kind = DIFF_SERVICE, .service = b->name, .key = parts[i].key},
                     &before, &after);
    }
    compare_settings(d, a, b);
}

static void tell_service(struct diff *d, const struct policy_service *s, bool is_new)
{
    struct buf text = {0}, none = {0};
    buf_addf(&text, "{protocol: %s", words_protocol(s->protocol));
    if (s->port)
        buf_addf(&text, ", port: %u", s->port);
    buf_add_str(&text, "}");
    differ_texts(d, (struct diff_one){.kind = DIFF_SERVICE, .service = s->name}, is_new ? &none : &text,
                 is_new ? &text : &none);
}

void differ_traffic(struct diff *d, const struct policy_service *before, const struct policy_service *after)
{
    if (before && after)
        compare_service(d, before, after);
    else
        tell_service(d, after ? after : before, after);
    compare_subsets(d, before, after);
    compare_routes(d, before, after);
    tell_limits(d, before, after, false);
    tell_limits(d, after, before, true);
}
