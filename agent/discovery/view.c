/* Building a view and looking into it. All of it lives in one arena; the builder fills lists, finish() sorts
 * them and turns the indices it kept into pointers, because lists move while they grow. */
#include "discovery/view.h"

#include "policy/arena.h"
#include "trust/codec.h"

enum { NO_NODE = UINT32_MAX };

struct offer { /* an endpoint while the view is built */
    struct view_endpoint endpoint;
    uint32_t node; /* index into builder.node, or NO_NODE: on this host */
};
struct view_builder {
    struct view *view;
    struct view_node *node;
    struct offer *offer;
    struct view_local *local;
    size_t node_count, node_cap, offer_count, offer_cap, local_count, local_cap;
};

/* One more element of a growing list; NULL: no memory, the list is as before. */
static void *push(void **at, size_t *count, size_t *cap, size_t size)
{
    if (*count == *cap) {
        size_t more = *cap ? 2 * *cap : 16;
        void *grown = realloc(*at, more * size);
        if (!grown)
            return NULL;
        *at = grown;
        *cap = more;
    }
    void *slot = (uint8_t *)*at + (*count)++ * size;
    memset(slot, 0, size);
    return slot;
}

/* Names come from verified records and a checked configuration, so they fit. */
static void copy_name(char *out, size_t cap, struct bytes name)
{
    assert(name.len < cap);
    memcpy(out, name.at, name.len);
    out[name.len] = 0;
}

static int label_by_key(const void *a, const void *b)
{
    return codec_cmp(((const struct label *)a)->key, ((const struct label *)b)->key);
}

static bool copy_labels(struct arena *a, struct label_list *out, const struct labels *in)
{
    struct label *to = arena_take(a, in ? in->count : 0, sizeof *to);
    for (size_t i = 0; to && in && i < in->count; i++) {
        struct label l = in->at[i];
        const char *key = arena_text(a, l.key.at, l.key.len), *value = arena_text(a, l.value.at, l.value.len);
        if (!key || !value)
            return false;
        to[i] = (struct label){bytes_of(key, l.key.len), bytes_of(value, l.value.len)};
    }
    if (!to)
        return false;
    *out = (struct label_list){in ? in->count : 0, to};
    qsort(to, out->count, sizeof *to, label_by_key); /* a configuration's labels stand as they were written */
    return true;
}

/* --- what a record says -------------------------------------------------------------------- */

/* A block is laid out twice: to see how long it gets, and to fill it in. What needs alignment comes first. */
struct packing {
    uint8_t *at; /* NULL: only counted */
    size_t used;
};

static void *pack(struct packing *p, const void *from, size_t size)
{
    void *to = p->at ? p->at + p->used : NULL;
    if (to && from && size)
        memcpy(to, from, size);
    p->used += size;
    return to;
}

static const char *pack_text(struct packing *p, struct bytes text)
{
    const char *to = pack(p, text.at, text.len);
    pack(p, "", 1);
    return to;
}

static struct label_list pack_labels(struct packing *p, const struct labels *l)
{
    return (struct label_list){l->count, pack(p, l->at, l->count * sizeof l->at[0])};
}

static void pack_label_texts(struct packing *p, struct label_list list, const struct labels *l)
{
    for (size_t i = 0; i < l->count; i++) {
        const char *key = pack_text(p, l->at[i].key), *value = pack_text(p, l->at[i].value);
        if (list.at)
            ((struct label *)list.at)[i] =
                (struct label){bytes_of(key, l->at[i].key.len), bytes_of(value, l->at[i].value.len)};
    }
}

static size_t pack_record(struct packing *p, const struct record *r)
{
    struct view_record head = {.features = r->features,
                               .link_newest = r->link_max,
                               .has_policy = r->policy_version > 0,
                               .left = r->left,
                               .draining = r->draining,
                               .id = r->credential.id,
                               .offer_count = r->service_count};
    struct view_offer offer[RECORD_SERVICES_MAX];
    memcpy(head.noise_key, r->credential.noise_key, sizeof head.noise_key);
    struct view_record *to = pack(p, NULL, sizeof *to);
    struct view_offer *offers = pack(p, NULL, r->service_count * sizeof *offers);
    head.offer = offers;
    head.labels = pack_labels(p, &r->credential.labels);
    for (size_t i = 0; i < r->service_count; i++)
        offer[i] = (struct view_offer){.labels = pack_labels(p, &r->service[i].labels),
                                       .port = r->service[i].port,
                                       .protocol = r->service[i].protocol,
                                       .healthy = r->service[i].healthy};
    head.name = pack_text(p, r->credential.node);
    pack_label_texts(p, head.labels, &r->credential.labels);
    for (size_t i = 0; i < r->service_count; i++) {
        offer[i].service = pack_text(p, r->service[i].name);
        pack_label_texts(p, offer[i].labels, &r->service[i].labels);
    }
    if (to) {
        *to = head;
        atomic_init(&to->refs, 1);
        if (r->service_count)
            memcpy(offers, offer, r->service_count * sizeof *offers);
    }
    return p->used;
}

size_t view_record_bytes(const struct record *r)
{
    struct packing count = {0};
    return pack_record(&count, r);
}

enum err view_record_new(struct view_record **out, const struct record *r, struct vouched *vouched)
{
    struct view_record *made = malloc(view_record_bytes(r));
    if (!made)
        return ERR_NOMEM;
    struct packing fill = {(uint8_t *)made, 0};
    pack_record(&fill, r);
    made->vouched = vouched_ref(vouched);
    *out = made;
    return ERR_OK;
}

struct view_record *view_record_ref(struct view_record *r)
{
    atomic_fetch_add_explicit(&r->refs, 1, memory_order_relaxed);
    return r;
}

void view_record_unref(struct view_record *r)
{
    if (!r || atomic_fetch_sub_explicit(&r->refs, 1, memory_order_acq_rel) != 1)
        return;
    vouched_unref(r->vouched);
    free(r);
}

/* --- building ------------------------------------------------------------------------------ */

struct view_builder *view_builder_new(const char *mesh, const struct node_id *self, struct trust *trust)
{
    struct view_builder *b = calloc(1, sizeof *b);
    struct view *v = calloc(1, sizeof *v);
    struct arena *blocks = calloc(1, sizeof *blocks);
    if (!b || !v || !blocks) {
        free(b);
        free(v);
        free(blocks);
        return NULL;
    }
    atomic_init(&v->refs, 1);
    copy_name(v->mesh, sizeof v->mesh, bytes_str(mesh));
    v->self = *self;
    v->trust = trust_ref(trust);
    v->blocks = blocks;
    b->view = v;
    return b;
}

static struct offer *add_offer(struct view_builder *b, const char *service, struct label_list labels)
{
    struct offer *o = push((void **)&b->offer, &b->offer_count, &b->offer_cap, sizeof *o);
    if (!o)
        return NULL;
    o->node = NO_NODE;
    o->endpoint.service = service;
    o->endpoint.labels = labels;
    return o;
}

must_check enum err view_builder_local(struct view_builder *b, struct bytes name, const struct addr *app,
                                       uint8_t protocol, const struct labels *labels_or_null, bool healthy)
{
    for (size_t i = 0; i < b->local_count; i++)
        if (bytes_eq_str(name, b->local[i].name))
            return ERR_EXISTS;
    struct label_list labels;
    const char *service = arena_text(b->view->blocks, name.at, name.len);
    if (!service || !copy_labels(b->view->blocks, &labels, labels_or_null))
        return ERR_NOMEM;
    struct offer *o = add_offer(b, service, labels);
    if (!o)
        return ERR_NOMEM;
    struct view_local *l = push((void **)&b->local, &b->local_count, &b->local_cap, sizeof *l);
    if (!l) {
        b->offer_count--;
        return ERR_NOMEM;
    }
    *l = (struct view_local){.app = *app, .protocol = protocol, .healthy = healthy};
    copy_name(l->name, sizeof l->name, name);
    o->endpoint.local = *app;
    o->endpoint.healthy = healthy;
    return ERR_OK;
}

must_check enum err view_builder_member(struct view_builder *b, struct view_record *r,
                                        const struct addr *addr, bool alive, bool suspect)
{
    size_t offers_before = b->offer_count;
    uint32_t index = (uint32_t)b->node_count;
    if (node_id_eq(&r->id, &b->view->self))
        return ERR_OK; /* what this host offers comes from view_builder_local() */
    for (size_t i = 0; i < r->offer_count && !r->left; i++) {
        struct offer *o = add_offer(b, r->offer[i].service, r->offer[i].labels);
        if (!o) {
            b->offer_count = offers_before;
            return ERR_NOMEM;
        }
        o->node = index;
        o->endpoint.healthy = r->offer[i].healthy;
        o->endpoint.draining = r->draining;
    }
    struct view_node *n = push((void **)&b->node, &b->node_count, &b->node_cap, sizeof *n);
    if (!n) {
        b->offer_count = offers_before;
        return ERR_NOMEM;
    }
    *n = (struct view_node){.id = r->id,
                            .record = view_record_ref(r),
                            .name = r->name,
                            .noise_key = r->noise_key,
                            .vouched = r->vouched,
                            .labels = r->labels,
                            .addr = *addr,
                            .features = r->features,
                            .link_newest = r->link_newest,
                            .has_policy = r->has_policy,
                            .alive = alive && !r->left,
                            .suspect = suspect};
    return ERR_OK;
}

void view_builder_proof(struct view_builder *b, struct proof *p)
{
    assert(!b->view->proof);
    b->view->proof = proof_ref(p);
}

void view_builder_policy_hash(struct view_builder *b, const struct hash *hash)
{
    b->view->policy_hash = *hash;
}

must_check enum err view_builder_own(struct view_builder *b, const struct labels *labels)
{
    return copy_labels(b->view->blocks, &b->view->own, labels) ? ERR_OK : ERR_NOMEM;
}

void view_builder_time(struct view_builder *b, wall_s least)
{
    b->view->time_least = least;
}

void view_builder_rtt(struct view_builder *b, uint32_t us)
{
    for (size_t i = b->offer_count;
         us > 0 && i > 0 && b->node_count > 0 && b->offer[i - 1].node == b->node_count - 1; i--)
        b->offer[i - 1].endpoint.rtt_us = us;
}

static int node_by_id(const void *a, const void *b)
{
    return node_id_cmp(&((const struct view_node *)a)->id, &((const struct view_node *)b)->id);
}

static int local_by_name(const void *a, const void *b)
{
    return strcmp(((const struct view_local *)a)->name, ((const struct view_local *)b)->name);
}

/* By service, the local one first, then by node: the order of a view does not depend on the order in which
 * members were met. */
static int endpoint_by_service(const void *a, const void *b)
{
    const struct view_endpoint *x = a, *y = b;
    int d = strcmp(x->service, y->service);
    if (d != 0 || x->node == y->node)
        return d;
    if (!x->node || !y->node)
        return x->node ? 1 : -1;
    return node_id_cmp(&x->node->id, &y->node->id);
}

static void *settle(struct arena *a, const void *list, size_t count, size_t size)
{
    void *to = arena_take(a, count, size);
    if (to && count)
        memcpy(to, list, count * size);
    return to;
}

/* Records refer to nodes by the order of arrival: find each again after sorting. */
static struct view_endpoint *settle_endpoints(struct view_builder *b)
{
    struct view *v = b->view;
    struct view_endpoint *e = arena_take(v->blocks, b->offer_count, sizeof *e);
    for (size_t i = 0; e && i < b->offer_count; i++) {
        const struct offer *o = &b->offer[i];
        e[i] = o->endpoint;
        e[i].node = o->node == NO_NODE ? NULL : view_node(v, &b->node[o->node].id);
    }
    if (e && b->offer_count)
        qsort(e, b->offer_count, sizeof *e, endpoint_by_service);
    return e;
}

static bool build_services(struct view *v, struct view_endpoint *e, size_t count)
{
    const struct view_endpoint **at = arena_take(v->blocks, count, sizeof(struct view_endpoint *));
    v->service = arena_take(v->blocks, count, sizeof *v->service);
    if (!at || !v->service)
        return false;
    for (size_t i = 0; i < count; i++) {
        struct view_service *s = v->service_count ? &v->service[v->service_count - 1] : NULL;
        if (!s || strcmp(s->name, e[i].service) != 0) {
            s = &v->service[v->service_count++];
            copy_name(s->name, sizeof s->name, bytes_str(e[i].service));
            s->endpoint = &at[i];
        }
        e[i].index = (uint32_t)i;
        at[i] = &e[i];
        s->count++;
    }
    return true;
}

static bool finish_lists(struct view_builder *b)
{
    struct view *v = b->view;
    v->node = settle(v->blocks, b->node, b->node_count, sizeof *v->node);
    v->local = settle(v->blocks, b->local, b->local_count, sizeof *v->local);
    if (!v->node || !v->local)
        return false;
    v->node_count = b->node_count;
    v->local_count = b->local_count;
    if (v->node_count)
        qsort(v->node, v->node_count, sizeof *v->node, node_by_id);
    if (v->local_count)
        qsort(v->local, v->local_count, sizeof *v->local, local_by_name);
    for (size_t i = 1; i < v->node_count; i++)
        assert(!node_id_eq(&v->node[i - 1].id,
                           &v->node[i].id)); /* one record per member: gossip's table is keyed by id */
    struct view_endpoint *e = settle_endpoints(b);
    return e && build_services(v, e, b->offer_count);
}

struct view *view_builder_finish(struct view_builder *b, struct policy *policy, uint64_t epoch,
                                 uint64_t serial)
{
    struct view *v = b->view;
    bool good = finish_lists(b);
    v->policy = policy_ref(policy);
    v->policy_epoch = policy ? epoch : 0;
    v->policy_version = policy ? policy_version(policy) : 0;
    v->serial = serial;
    for (size_t i = 0; v->node_count == 0 && i < b->node_count; i++) /* the view has not taken them over */
        view_record_unref(b->node[i].record);
    free(b->node);
    free(b->offer);
    free(b->local);
    free(b);
    if (good)
        return v;
    view_unref(v);
    return NULL;
}

struct view *view_ref(struct view *v)
{
    if (v)
        atomic_fetch_add_explicit(&v->refs, 1, memory_order_relaxed);
    return v;
}

void view_unref(struct view *v)
{
    if (!v || atomic_fetch_sub_explicit(&v->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t i = 0; i < v->node_count; i++)
        view_record_unref(v->node[i].record);
    policy_unref(v->policy);
    trust_unref(v->trust);
    proof_unref(v->proof);
    arena_fini(v->blocks);
    free(v->blocks);
    free(v);
}

/* strcmp of a slice with a text. */
static int compare_name(struct bytes name, const char *text)
{
    int d = strncmp((const char *)name.at, text, name.len);
    return d ? d : text[name.len] ? -1 : 0;
}

const struct view_service *view_service(const struct view *v, struct bytes name)
{
    size_t lo = 0, hi = v->service_count;
    while (name.len && name.len <= SERVICE_NAME_MAX && lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        int d = compare_name(name, v->service[mid].name);
        if (d == 0)
            return &v->service[mid];
        if (d < 0)
            hi = mid;
        else
            lo = mid + 1;
    }
    return NULL;
}

const struct view_local *view_local(const struct view *v, struct bytes name)
{
    size_t lo = 0, hi = v->local_count;
    while (name.len && name.len <= SERVICE_NAME_MAX && lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        int d = compare_name(name, v->local[mid].name);
        if (d == 0)
            return &v->local[mid];
        if (d < 0)
            hi = mid;
        else
            lo = mid + 1;
    }
    return NULL;
}

const struct view_node *view_node(const struct view *v, const struct node_id *id)
{
    size_t lo = 0, hi = v->node_count;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        int d = node_id_cmp(id, &v->node[mid].id);
        if (d == 0)
            return &v->node[mid];
        if (d < 0)
            hi = mid;
        else
            lo = mid + 1;
    }
    return NULL;
}
