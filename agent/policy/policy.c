/* The compiled policy as an object: references, look-ups, weights, subsets. */
#include "policy/compiled.h"

struct policy *policy_ref(struct policy *p)
{
    if (p)
        atomic_fetch_add_explicit(&p->refs, 1, memory_order_relaxed);
    return p;
}

void policy_unref(struct policy *p)
{
    if (!p || atomic_fetch_sub_explicit(&p->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t i = 0; p->doc && i < p->source_count; i++)
        yaml_doc_free(p->doc[i]);
    arena_fini(&p->arena);
    free(p);
}

const char *policy_mesh(const struct policy *p)
{
    return p->mesh;
}

uint64_t policy_version(const struct policy *p)
{
    return p->version;
}

wall_s policy_expires(const struct policy *p)
{
    return p->expires;
}

const char *policy_part(const struct policy *p)
{
    return p->part;
}

size_t policy_source_count(const struct policy *p)
{
    return p->source_count;
}

uint64_t policy_source_version(const struct policy *p, size_t i)
{
    assert(i < p->source_count);
    return p->source[i].version;
}

wall_s policy_source_expires(const struct policy *p, size_t i)
{
    assert(i < p->source_count);
    return p->source[i].expires;
}

uint64_t policy_features(const struct policy *p)
{
    return p->features;
}

void policy_warn_of_features(const struct policy *p, uint64_t set, struct complaints *c)
{
    for (int f = 0; f < POLICY_FEATURES; f++)
        if (p->features & set & feature_bit((enum policy_feature)f))
            complain_warning(
                c, CODE_FEATURE, &p->need[f],
                "this needs feature `%s`, which agents of this version do not have; they keep the "
                "policy before",
                feature_name((enum policy_feature)f));
}

/* strcmp of a slice with a text. */
static int compare_text(struct bytes a, const char *b)
{
    int d = strncmp((const char *)a.at, b, a.len);
    return d ? d : b[a.len] ? -1 : 0;
}

const struct policy_service *policy_service(const struct policy *p, struct bytes name)
{
    size_t lo = 0, hi = p->service_count;
    while (name.len && lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        int d = compare_text(name, p->service[mid].name);
        if (d == 0)
            return &p->service[mid];
        if (d < 0)
            hi = mid;
        else
            lo = mid + 1;
    }
    return NULL;
}

uint32_t policy_caller_id(const struct policy *p, struct bytes name)
{
    size_t lo = 0, hi = p->caller_count;
    while (name.len && lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        int d = compare_text(name, p->caller[mid]);
        if (d == 0)
            return (uint32_t)mid;
        if (d < 0)
            hi = mid;
        else
            lo = mid + 1;
    }
    return UINT32_MAX;
}

uint64_t policy_method_bit(const struct policy *p, struct bytes method)
{
    for (size_t i = 0; i < p->method_count; i++)
        if (bytes_eq(p->method[i], method))
            return UINT64_C(1) << i;
    return 0;
}

const struct policy_service *policy_service_next(const struct policy *p, size_t *cursor)
{
    return *cursor < p->service_count ? &p->service[(*cursor)++] : NULL;
}

const char *policy_service_name(const struct policy_service *s)
{
    return s->name;
}

enum policy_protocol policy_service_protocol(const struct policy_service *s)
{
    return s->protocol;
}

bool policy_service_has_requests(const struct policy_service *s)
{
    return s->protocol != POLICY_TCP;
}

const struct policy_settings *policy_service_settings(const struct policy_service *s)
{
    return &s->settings;
}

size_t policy_failover(const struct policy_service *s, const struct policy_service *const **list)
{
    *list = s->failover;
    return s->failover_count;
}

const struct policy_route *policy_route_next(const struct policy_service *s, size_t *cursor)
{
    return *cursor < s->route_count ? &s->route[(*cursor)++] : NULL;
}

bool policy_far_wants_route(const struct policy_service *s)
{
    return s->is_edited || s->limit_count > 0;
}

bool policy_fails_over_to(const struct policy_service *s, const struct policy_service *other)
{
    for (size_t i = 0; i < s->failover_count; i++)
        if (s->failover[i] == other)
            return true;
    return false;
}

bool policy_has_rate_limits(const struct policy_service *s)
{
    return s->limit_count > 0;
}

const struct policy_rate_limit *policy_rate_limit_next(const struct policy_service *s,
                                                       const struct policy_route *r, size_t *cursor)
{
    while (*cursor < s->limit_count) {
        const struct rate_limit *l = &s->limit[(*cursor)++];
        if (l->route == UINT32_MAX || &s->route[l->route] == r)
            return &l->said;
    }
    return NULL;
}

const struct policy_fault *policy_fault_next(const struct policy *p, size_t *cursor)
{
    return *cursor < p->fault_count ? &p->fault[(*cursor)++].said : NULL;
}

const struct policy_egress *policy_egress_next(const struct policy *p, size_t *cursor)
{
    return *cursor < p->egress_count ? &p->egress[(*cursor)++] : NULL;
}

bool policy_has_faults(const struct policy *p)
{
    return p->fault_count > 0;
}

bool policy_service_has_faults(const struct policy_service *s)
{
    return s->fault_count > 0;
}

static bool egress_is_from(const struct policy_egress *e, struct bytes caller)
{
    for (size_t i = 0; i < e->from_count; i++)
        if (bytes_eq_str(e->from[i], "*") || bytes_eq(e->from[i], caller))
            return true;
    return false;
}

/* "*.example" is every name below it, and not itself. */
static bool egress_is_to(const struct policy_egress *e, struct bytes host, uint16_t port)
{
    struct bytes tail = e->host;
    bool below = tail.at[0] == '*', open = false;
    if (below)
        tail = bytes_of(tail.at + 1, tail.len - 1);
    for (size_t i = 0; i < e->port_count; i++)
        open |= e->port[i] == port;
    if (!open || host.len < tail.len + below)
        return false;
    return below ? bytes_eq(bytes_of(host.at + host.len - tail.len, tail.len), tail) : bytes_eq(host, tail);
}

const struct policy_egress *policy_egress_of(const struct policy *p, struct bytes caller, struct bytes host,
                                             uint16_t port)
{
    for (size_t i = 0; i < p->egress_count; i++)
        if (egress_is_from(&p->egress[i], caller) && egress_is_to(&p->egress[i], host, port))
            return &p->egress[i];
    return NULL;
}

const struct policy_observability *policy_observability(const struct policy *p)
{
    return &p->observability;
}

const struct policy_audit *policy_audit(const struct policy *p)
{
    return &p->audit;
}

const struct policy_rollout *policy_rollout(const struct policy *p)
{
    return &p->rollout;
}

uint16_t policy_service_port(const struct policy_service *s)
{
    return s->port;
}

const struct policy_target *policy_route_pick(const struct policy_route *r, uint64_t dice)
{
    /* Multiply-shift: dice / 2^64 * weight_sum, without a division and with a bias below 2^-32. */
    uint64_t at = (uint64_t)((unsigned __int128)dice * r->weight_sum >> 64);
    for (size_t i = 0; i < r->target_count; i++) {
        if (at < r->target[i].weight)
            return &r->target[i];
        at -= r->target[i].weight;
    }
    assert(!"weights do not add up");
    return NULL;
}

bool policy_subset_matches(const struct policy_subset *subset_or_null, struct label_list instance)
{
    const struct labels *want = subset_or_null ? subset_or_null->labels : NULL;
    for (size_t i = 0, j = 0; want && i < want->count; i++, j++) {
        while (j < instance.count && !bytes_eq(instance.at[j].key, want->at[i].key))
            j++;
        if (j == instance.count || !bytes_eq(instance.at[j].value, want->at[i].value))
            return false;
    }
    return true;
}
