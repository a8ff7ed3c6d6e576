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

bool policy_subset_matches(const struct policy_subset *subset_or_null, const struct labels *instance)
{
    const struct labels *want = subset_or_null ? subset_or_null->labels : NULL;
    for (size_t i = 0, j = 0; want && i < want->count; i++, j++) {
        while (j < instance->count && !bytes_eq(instance->at[j].key, want->at[i].key))
            j++;
        if (j == instance->count || !bytes_eq(instance->at[j].value, want->at[i].value))
            return false;
    }
    return true;
}
