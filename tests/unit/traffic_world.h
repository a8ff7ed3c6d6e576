/* A view of instances with labels, by a policy, for tests of who is chosen. */
#ifndef TESTS_TRAFFIC_WORLD_H
#define TESTS_TRAFFIC_WORLD_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "base/rng.h"
#include "traffic/pick.h"
#include "view_world.h"

enum { WORLD_MAX = 2048 };

struct instance {
    const char *service, *zone, *region; /* of its host; NULL: it has no such label */
    const char *own_zone;                /* of the service itself */
    bool unwell, draining, suspect, unready;
    uint8_t id;      /* 0: its place in the list, and 1 */
    uint32_t rtt_us; /* to its host, foretold; 0: unknown */
};
struct world {
    struct policy *policy;
    struct view *view;
    struct traffic *traffic;
    struct instance at[WORLD_MAX];
    size_t count;
    const char *zone, *region; /* of this host */
    mono_ms now;
    uint64_t serial;
};

static inline void add_label(struct labels *l, const char *key, const char *value)
{
    if (value)
        assert_int_equal(labels_add(l, bytes_str(key), bytes_str(value)), ERR_OK);
}

static inline void add_instance(struct view_builder *b, const struct instance *i, uint16_t id)
{
    char name[16];
    struct addr at;
    snprintf(name, sizeof name, "host-%u", id);
    struct record r = {.credential = {.node = bytes_str(name)}, .service_count = 1, .draining = i->draining};
    r.credential.id.b[0] = (uint8_t)(id * 37); /* ids are uniform: not in the order of the list */
    r.credential.id.b[1] = (uint8_t)id;
    r.credential.id.b[2] = (uint8_t)(id >> 8);
    r.policy_version = i->unready ? 0 : 1;
    r.service[0] = (struct record_service){.name = bytes_str(i->service),
                                           .port = 80,
                                           .protocol = PROTOCOL_HTTP,
                                           .healthy = !i->unwell && !i->unready};
    add_label(&r.credential.labels, "zone", i->zone);
    add_label(&r.credential.labels, "region", i->region);
    add_label(&r.service[0].labels, "zone", i->own_zone);
    assert_true(addr_of_ip(&at, "10.0.0.1", 7400));
    add_member(b, &r, &at, !i->suspect, i->suspect);
    view_builder_rtt(b, i->rtt_us);
}

/* Another view, of the instances as they are now. */
static inline void publish(struct world *w)
{
    struct node_id self = {{250}};
    struct labels own = {0};
    struct view_builder *b = view_builder_new("m.example", &self, NULL);
    add_label(&own, "zone", w->zone);
    add_label(&own, "region", w->region);
    assert_int_equal(view_builder_own(b, &own), ERR_OK);
    for (size_t i = 0; i < w->count; i++)
        add_instance(b, &w->at[i], w->at[i].id ? w->at[i].id : (uint16_t)(i + 1));
    view_unref(w->view);
    assert_non_null(w->view = view_builder_finish(b, w->policy, 1, ++w->serial));
}

/* `said` is put into the service cart. */
static inline void set_up_world(struct world *w, struct traffic_shared *shared, const char *said)
{
    char text[1024];
    struct complaints c = {.file = "p.yaml"};
    snprintf(
        text, sizeof text,
        "policy: v1\nmesh: m.example\nversion: 1\nservices:\n"
        "  cart: {protocol: http, unmatched: audit, %s}\n"
        "  cart-dr: {protocol: http, unmatched: audit}\n  cart-far: {protocol: http, unmatched: audit}\n",
        said);
    *w = (struct world){.now = 1000};
    if (policy_compile(&w->policy, bytes_str(text), &c) != ERR_OK)
        fail_msg("%s", buf_str(&c.text));
    buf_fini(&c.text);
    assert_non_null(w->traffic = traffic_new(shared, 7));
}

static inline void tear_down_world(struct world *w)
{
    traffic_free(w->traffic);
    view_unref(w->view);
    policy_unref(w->policy);
}

/* So many more instances of a service in a zone. */
static inline void add_some(struct world *w, size_t count, const char *service, const char *zone,
                            const char *region)
{
    for (size_t i = 0; i < count; i++)
        w->at[w->count++] = (struct instance){.service = service, .zone = zone, .region = region};
}

static inline struct traffic_ask ask_for(const struct world *w, const char *service)
{
    const struct policy_service *s = policy_service(w->policy, bytes_str(service));
    struct traffic_ask ask = {.view = w->view,
                              .service = view_service(w->view, bytes_str(service)),
                              .settings = policy_service_settings(s),
                              .now = w->now};
    ask.failover_count = policy_failover(s, &ask.failover);
    return ask;
}

/* Its place in the list. */
static inline size_t place_of(const struct world *w, const struct view_endpoint *e)
{
    size_t id = e->node->id.b[1] | (size_t)e->node->id.b[2] << 8;
    for (size_t i = 0; i < w->count; i++)
        if ((w->at[i].id ? w->at[i].id : i + 1) == id)
            return i;
    fail_msg("unknown instance %zu", id);
    return 0;
}

static inline size_t choose(struct world *w)
{
    struct traffic_ask ask = ask_for(w, "cart");
    struct traffic_choice c = traffic_pick(w->traffic, &ask);
    if (!c.endpoint)
        fail_msg("nobody: %s", traffic_why_text(c.why));
    return place_of(w, c.endpoint);
}

/* How often each is chosen in so many picks, of which none is begun. */
static inline void count_choices(struct world *w, unsigned picks, unsigned seen[WORLD_MAX])
{
    memset(seen, 0, WORLD_MAX * sizeof *seen);
    for (unsigned i = 0; i < picks; i++)
        seen[choose(w)]++;
}

#endif
