/* Members as the agent keeps them, and to whom a name belongs (ADVERSARY R6, G14). */
#include "control_world.h"

#include "control/roster.h"

static struct roster roster;
static const struct addr somewhere = {.ip = {[10] = 0xff, [11] = 0xff, [12] = 10, [15] = 5}, .port = 7400};

static int end(void **state)
{
    roster_fini(&roster);
    return world_end(state);
}

static enum err event_at(struct host *h, enum gossip_state after, bool record_changed, wall_s now)
{
    struct gossip_event ev = {.type = GOSSIP_EV_MEMBER,
                              .id = h->sign.pub,
                              .after = after,
                              .record_changed = record_changed,
                              .record = buf_bytes(&h->record)};
    return roster_apply(&roster, world.verified, &ev, &somewhere, now);
}

static void becomes(struct host *h, enum gossip_state after)
{
    assert_int_equal(event_at(h, after, false, NOW), ERR_OK);
}

static bool is_taken(const struct host *h)
{
    return roster_name_is_taken(roster_find(&roster, &h->sign.pub));
}

static void a_name_belongs_to_the_first_key_while_it_lives_G14(void **state)
{
    (void)state;
    struct host first = host_from(1, "web-1", NOW - 1), second = host_from(2, "web-1", NOW);
    host_says(&first, 1, 1);
    host_says(&second, 1, 1);
    becomes(&first, GOSSIP_ALIVE);
    becomes(&second, GOSSIP_ALIVE);
    assert_false(is_taken(&first));
    assert_true(is_taken(&second));
    becomes(&first, GOSSIP_SUSPECT); /* an accusation takes no name away */
    assert_true(is_taken(&second));
    host_says(&second, 9, 9); /* nor do high numbers */
    assert_int_equal(event_at(&second, GOSSIP_ALIVE, true, NOW), ERR_OK);
    assert_true(is_taken(&second));
    host_end(&first);
    host_end(&second);
}

/* Who joins hears of both within moments, in any order: it takes the one with the older credential, and so all joiners agree. One
 * that was there before keeps its name whatever the other's credential says: dating one back takes no name away. */
static void of_two_seen_together_the_older_credential_holds_the_name(void **state)
{
    (void)state;
    struct host old = host_from(1, "web-1", NOW - 3600), new = host_from(2, "web-1", NOW),
                dated = host_from(3, "web-1", NOW - 7200);
    host_says(&old, 1, 1);
    host_says(&new, 1, 1);
    host_says(&dated, 1, 1);
    becomes(&new, GOSSIP_ALIVE);
    becomes(&old, GOSSIP_ALIVE);
    assert_true(is_taken(&new));
    assert_false(is_taken(&old));
    assert_ptr_equal(roster_name_holder(roster_find(&roster, &new.sign.pub)),
                     roster_find(&roster, &old.sign.pub));
    assert_int_equal(event_at(&dated, GOSSIP_ALIVE, false, NOW + ROSTER_TOGETHER_S + 1), ERR_OK);
    assert_true(is_taken(&dated));
    assert_false(is_taken(&old));
    becomes(&old, GOSSIP_LEFT); /* in the order of their claims */
    assert_false(is_taken(&new));
    assert_true(is_taken(&dated));
    becomes(&new, GOSSIP_DEAD);
    assert_false(is_taken(&dated));
    host_end(&old);
    host_end(&new);
    host_end(&dated);
}

/* G34: a host that has left was rebuilt with another key; then somebody comes with the old one. */
static void who_comes_back_waits_behind_who_came_meanwhile_G34(void **state)
{
    (void)state;
    struct host old = host_from(1, "web-1", NOW - 3600), rebuilt = host_from(2, "web-1", NOW);
    host_says(&old, 1, 1);
    host_says(&rebuilt, 1, 1);
    becomes(&old, GOSSIP_ALIVE);
    becomes(&old, GOSSIP_LEFT);
    becomes(&rebuilt, GOSSIP_ALIVE);
    becomes(&old, GOSSIP_ALIVE);
    assert_false(is_taken(&rebuilt));
    assert_true(is_taken(&old));
    host_end(&old);
    host_end(&rebuilt);
}

static void who_dies_gives_its_name_up_and_queues_anew(void **state)
{
    (void)state;
    struct host first = host_from(1, "web-1", NOW - 1), second = host_from(2, "web-1", NOW);
    host_says(&first, 1, 1);
    host_says(&second, 1, 1);
    becomes(&first, GOSSIP_ALIVE);
    becomes(&second, GOSSIP_ALIVE);
    becomes(&first, GOSSIP_DEAD);
    assert_false(is_taken(&second));
    becomes(&first, GOSSIP_ALIVE);
    assert_false(is_taken(&second)); /* the living holder stays */
    assert_true(is_taken(&first));
    roster_forget(&roster, &second.sign.pub);
    assert_false(is_taken(&first));
    host_end(&first);
    host_end(&second);
}

static void a_host_renamed_by_a_new_credential_queues_for_its_new_name(void **state)
{
    (void)state;
    struct host web = host_from(1, "web-1", NOW - 1), cart = host_from(2, "cart-1", NOW);
    host_says(&web, 1, 1);
    host_says(&cart, 1, 1);
    becomes(&web, GOSSIP_ALIVE);
    becomes(&cart, GOSSIP_ALIVE);
    struct host renamed = host_from(2, "web-1", NOW);
    host_says(&renamed, 1, 2);
    assert_int_equal(event_at(&renamed, GOSSIP_ALIVE, true, NOW), ERR_OK);
    assert_true(is_taken(&renamed));
    assert_false(is_taken(&web));
    host_end(&web);
    host_end(&cart);
    host_end(&renamed);
}

static void a_mark_of_gossip_is_shown_while_it_is_alive(void **state)
{
    (void)state;
    struct host h = host_from(1, "web-1", NOW);
    host_says(&h, 1, 1);
    becomes(&h, GOSSIP_ALIVE);
    struct member *m = roster_find(&roster, &h.sign.pub);
    struct gossip_event ev = {.type = GOSSIP_EV_MEMBER, .id = h.sign.pub, .is_degraded = true};
    assert_string_equal(member_state_text(m), "alive");
    assert_int_equal(roster_apply(&roster, NULL, &ev, &m->addr, NOW), ERR_OK);
    assert_string_equal(member_state_text(m), "degraded");
    ev.after = GOSSIP_SUSPECT;
    assert_int_equal(roster_apply(&roster, NULL, &ev, &m->addr, NOW), ERR_OK);
    assert_string_equal(member_state_text(m), "suspect");
    ev = (struct gossip_event){.type = GOSSIP_EV_MEMBER, .id = h.sign.pub};
    assert_int_equal(roster_apply(&roster, NULL, &ev, &m->addr, NOW), ERR_OK);
    assert_string_equal(member_state_text(m), "alive");
    host_end(&h);
}

static void a_record_that_has_expired_meanwhile_leaves_the_one_before(void **state)
{
    (void)state;
    struct host h = host_from(1, "web-1", NOW);
    host_says(&h, 1, 1);
    becomes(&h, GOSSIP_ALIVE);
    host_says(&h, 1, 2);
    struct member *m = roster_find(&roster, &h.sign.pub);
    const struct view_record *before = m->record;
    assert_int_equal(event_at(&h, GOSSIP_SUSPECT, true, NOW + DAY), ERR_EXPIRED);
    assert_ptr_equal(m->record, before);
    assert_int_equal(m->state, GOSSIP_SUSPECT); /* the state is gossip's word, not the record's */
    struct host late = host_from(2, "web-2", NOW);
    host_says(&late, 1, 1);
    assert_int_equal(event_at(&late, GOSSIP_ALIVE, true, NOW + DAY), ERR_EXPIRED);
    assert_null(roster_find(&roster, &late.sign.pub));
    host_end(&h);
    host_end(&late);
}

static void gossip_learns_from_a_record_what_membership_needs(void **state)
{
    (void)state;
    struct host h = host_from(1, "web-1", NOW);
    struct gossip_claim claim;
    struct bytes record = host_says(&h, 7, 3);
    struct hash hash = hash_of(record);
    assert_int_equal(claim_of_record(world.verified, record, NOW, &claim), ERR_OK);
    assert_true(node_id_eq(&claim.id, &h.sign.pub) && hash_eq(&claim.hash, &hash));
    assert_int_equal(claim.incarnation, 7);
    assert_int_equal(claim.version, 3);
    assert_int_equal(claim.addr_count, 1);
    h.record.at[h.record.len - 1] ^= 1;
    assert_int_equal(claim_of_record(world.verified, buf_bytes(&h.record), NOW, &claim), ERR_AUTH);
    host_end(&h);
}

int main(void)
{
#define STORY(f) cmocka_unit_test_setup_teardown(f, world_make, end)
    const struct CMUnitTest tests[] = {
        STORY(a_name_belongs_to_the_first_key_while_it_lives_G14),
        STORY(of_two_seen_together_the_older_credential_holds_the_name),
        STORY(who_comes_back_waits_behind_who_came_meanwhile_G34),
        STORY(who_dies_gives_its_name_up_and_queues_anew),
        STORY(a_host_renamed_by_a_new_credential_queues_for_its_new_name),
        STORY(a_mark_of_gossip_is_shown_while_it_is_alive),
        STORY(a_record_that_has_expired_meanwhile_leaves_the_one_before),
        STORY(gossip_learns_from_a_record_what_membership_needs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
