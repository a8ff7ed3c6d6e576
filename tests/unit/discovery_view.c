/* The view: what is built from records in any order is sorted, indexed, owns its text and lives as long as
 * somebody holds it. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/rng.h"
#include "discovery/view.h"
#include "view_world.h"

static const struct node_id self = {{200}};

static struct addr at(uint16_t port)
{
    struct addr a;
    assert_true(addr_of_ip(&a, "10.0.0.1", port));
    return a;
}

static struct record record_of(uint8_t id, const char *name)
{
    struct record r = {.credential = {.node = bytes_str(name), .id = {{id}}, .noise_key = {id}},
                       .features = FEATURE_AESGCM};
    return r;
}

static void offer(struct record *r, const char *service, const char *version, bool healthy)
{
    struct record_service *s = &r->service[r->service_count++];
    *s = (struct record_service){
        .name = bytes_str(service), .port = 80, .protocol = PROTOCOL_HTTP, .healthy = healthy};
    if (version)
        s->labels = (struct labels){.count = 1, .at = {{bytes_str("version"), bytes_str(version)}}};
}

static void add(struct view_builder *b, const struct record *r, bool alive, bool suspect)
{
    struct addr a = at(7400);
    add_member(b, r, &a, alive, suspect);
}

/* There are as many as members, and most offer one or two services: 19 KB of each went with a decoded record's room for 32. */
static void of_a_record_no_more_is_kept_than_it_says(void **state)
{
    (void)state;
    struct record r = record_of(9, "host-9");
    size_t none = view_record_bytes(&r);
    assert_true(none <= 160);
    offer(&r, "web", NULL, true);
    offer(&r, "cart", "2", false);
    assert_true(view_record_bytes(&r) <= none + 2 * 48 + 48);
    struct view_record *kept;
    assert_int_equal(view_record_new(&kept, &r, NULL), ERR_OK);
    assert_string_equal(kept->name, "host-9");
    assert_int_equal(kept->offer_count, 2);
    assert_string_equal(kept->offer[1].service, "cart");
    assert_int_equal(kept->offer[1].port, 80);
    assert_true(bytes_eq_str(*label_list_get(kept->offer[1].labels, bytes_str("version")), "2"));
    view_record_unref(view_record_ref(kept));
    view_record_unref(kept);
}

static void an_empty_view_knows_nobody(void **state)
{
    (void)state;
    struct view_builder *b = view_builder_new("shop.example", &self, NULL);
    struct view *v = view_builder_finish(b, NULL, 9, 1);
    assert_string_equal(v->mesh, "shop.example");
    assert_int_equal(v->serial, 1);
    assert_int_equal(v->policy_epoch, 0);
    assert_null(view_service(v, bytes_str("cart")));
    assert_null(view_service(v, bytes_str("")));
    assert_null(view_local(v, bytes_str("cart")));
    assert_null(view_node(v, &self));
    view_unref(v);
    view_unref(NULL);
}

static void endpoints_carry_the_round_trip_to_their_host(void **state)
{
    (void)state;
    struct view_builder *b = view_builder_new("m", &self, NULL);
    struct record r9 = record_of(9, "host-9"), r3 = record_of(3, "host-3");
    offer(&r9, "cart", NULL, true);
    offer(&r9, "web", NULL, true);
    offer(&r3, "cart", NULL, true);
    add(b, &r9, true, false);
    view_builder_rtt(b, 30000);
    add(b, &r3, true, false);
    view_builder_rtt(b, 0);
    struct view *v = view_builder_finish(b, NULL, 0, 1);
    const struct view_service *cart = view_service(v, bytes_str("cart")),
                              *web = view_service(v, bytes_str("web"));
    assert_int_equal(cart->endpoint[0]->rtt_us, 0); /* of host 3: unknown */
    assert_int_equal(cart->endpoint[1]->rtt_us, 30000);
    assert_int_equal(web->endpoint[0]->rtt_us, 30000);
    view_unref(v);
}

static void members_and_local_services_become_sorted_services(void **state)
{
    (void)state;
    struct view_builder *b = view_builder_new("m", &self, NULL);
    struct record r9 = record_of(9, "host-9"), r3 = record_of(3, "host-3");
    offer(&r9, "web", NULL, true);
    offer(&r9, "cart", "2", true);
    offer(&r3, "cart", "1", false);
    r3.draining = true;
    add(b, &r9, true, true);
    add(b, &r3, true, false);
    struct labels unsorted = {
        .count = 2, .at = {{bytes_str("zone"), bytes_str("a")}, {bytes_str("version"), bytes_str("3")}}};
    struct addr app = at(8080);
    assert_int_equal(view_builder_local(b, bytes_str("cart"), &app, PROTOCOL_HTTP, &unsorted, true), ERR_OK);
    assert_int_equal(view_builder_local(b, bytes_str("cart"), &app, PROTOCOL_HTTP, NULL, true), ERR_EXISTS);
    struct view *v = view_builder_finish(b, NULL, 0, 5);

    assert_int_equal(v->node_count, 2);
    assert_int_equal(v->node[0].id.b[0], 3);
    assert_string_equal(view_node(v, &r9.credential.id)->name, "host-9");
    assert_true(view_node(v, &r9.credential.id)->suspect);
    assert_int_equal(view_node(v, &r9.credential.id)->noise_key[0], 9);
    assert_int_equal(v->service_count, 2);
    const struct view_service *cart = view_service(v, bytes_str("cart"));
    assert_int_equal(cart->count, 3);
    assert_null(cart->endpoint[0]->node); /* this host first, then by id */
    assert_true(addr_eq(&cart->endpoint[0]->local, &app));
    assert_true(bytes_eq_str(cart->endpoint[0]->labels.at[0].key, "version"));
    assert_string_equal(cart->endpoint[1]->node->name, "host-3");
    assert_true(cart->endpoint[1]->draining && !cart->endpoint[1]->healthy);
    assert_string_equal(cart->endpoint[2]->node->name, "host-9");
    assert_int_equal(view_service(v, bytes_str("web"))->count, 1);
    assert_null(view_service(v, bytes_str("car")));
    assert_null(view_service(v, bytes_str("carts")));
    assert_int_equal(view_local(v, bytes_str("cart"))->protocol, PROTOCOL_HTTP);
    view_unref(v);
}

static void the_view_owns_its_text(void **state)
{
    (void)state;
    char version[] = "2", name[] = "cart";
    struct view_builder *b = view_builder_new("m", &self, NULL);
    struct record r = record_of(1, "h");
    offer(&r, name, version, true);
    add(b, &r, true, false);
    version[0] = name[0] = 'x';
    struct view *v = view_builder_finish(b, NULL, 0, 1);
    const struct view_service *cart = view_service(v, bytes_str("cart"));
    assert_non_null(cart);
    assert_true(bytes_eq_str(cart->endpoint[0]->labels.at[0].value, "2"));
    view_unref(v);
}

static void who_left_is_known_but_offers_nothing(void **state)
{
    (void)state;
    struct view_builder *b = view_builder_new("m", &self, NULL);
    struct record r = record_of(1, "h");
    offer(&r, "cart", NULL, true);
    r.left = true;
    add(b, &r, true, false);
    struct view *v = view_builder_finish(b, NULL, 0, 1);
    assert_null(view_service(v, bytes_str("cart")));
    assert_false(view_node(v, &r.credential.id)->alive);
    view_unref(v);
}

static void ones_own_record_is_skipped(void **state)
{
    (void)state;
    struct view_builder *b = view_builder_new("m", &self, NULL);
    struct record r = record_of(200, "me");
    offer(&r, "cart", NULL, true);
    add(b, &r, true, false);
    struct view *v = view_builder_finish(b, NULL, 0, 1);
    assert_int_equal(v->node_count + v->service_count, 0);
    view_unref(v);
}

static void a_view_holds_its_policy(void **state)
{
    (void)state;
    struct policy *p = NULL;
    assert_int_equal(policy_compile(&p, bytes_str("policy: v1\nmesh: m\nversion: 4\n"), NULL), ERR_OK);
    struct view *v = view_builder_finish(view_builder_new("m", &self, NULL), p, 2, 1);
    policy_unref(p);
    struct view *pinned = view_ref(v);
    view_unref(v);
    assert_int_equal(policy_version(pinned->policy), 4);
    assert_int_equal(pinned->policy_version, 4);
    assert_int_equal(pinned->policy_epoch, 2);
    view_unref(pinned);
}

static void any_order_of_arrival_gives_one_view(void **state)
{
    (void)state;
    enum { M = 100 };
    struct record r[M];
    struct rng rng = rng_seeded(5);
    uint8_t order[M];
    for (int i = 0; i < M; i++) {
        r[i] = record_of((uint8_t)(i + 1), "host");
        offer(&r[i], i % 3 ? "cart" : "web", i % 2 ? "1" : "2", true);
        order[i] = (uint8_t)i;
    }
    for (int round = 0; round < 20; round++) {
        struct view_builder *b = view_builder_new("m", &self, NULL);
        for (uint32_t i = M - 1; i > 0; i--) {
            uint32_t j = rng_below(&rng, i + 1);
            uint8_t keep = order[i];
            order[i] = order[j];
            order[j] = keep;
        }
        for (int i = 0; i < M; i++)
            add(b, &r[order[i]], true, false);
        struct view *v = view_builder_finish(b, NULL, 0, 1);
        uint32_t index = 0;
        for (size_t s = 0; s < v->service_count; s++)
            for (size_t i = 0; i < v->service[s].count; i++) {
                const struct view_endpoint *e = v->service[s].endpoint[i];
                assert_string_equal(e->service, v->service[s].name);
                assert_int_equal(e->index, index++);
                assert_true(i == 0 ||
                            node_id_cmp(&v->service[s].endpoint[i - 1]->node->id, &e->node->id) < 0);
                assert_true(bytes_eq_str(e->labels.at[0].value, (e->node->id.b[0] - 1) % 2 ? "1" : "2"));
            }
        assert_int_equal(index, M);
        assert_string_equal(v->service[0].name, "cart");
        view_unref(v);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(of_a_record_no_more_is_kept_than_it_says),
        cmocka_unit_test(an_empty_view_knows_nobody),
        cmocka_unit_test(endpoints_carry_the_round_trip_to_their_host),
        cmocka_unit_test(members_and_local_services_become_sorted_services),
        cmocka_unit_test(the_view_owns_its_text),
        cmocka_unit_test(who_left_is_known_but_offers_nothing),
        cmocka_unit_test(ones_own_record_is_skipped),
        cmocka_unit_test(a_view_holds_its_policy),
        cmocka_unit_test(any_order_of_arrival_gives_one_view),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
