/* Clocks that were wrong, are, or were set: what initiations say of time, who believes it, and what both ends learn of the
 * other's clock (ADVERSARY N29, N30, G26, G27, G33). */
#include "link_udp_world.h"

static void N29_a_clock_far_ahead_is_not_believed(void **state)
{
    (void)state;
    uint64_t right = w.wall;
    w.wall = right + UINT64_C(10) * 365 * 86400 * 1000;
    struct held h;
    say(0, 1, "from the future");
    assert_true(take(0, &h));
    w.wall = right;
    give(&h, 1);
    expect_silence(1);
    reboot(0, CREDENTIAL, 0);
    say(0, 1, "right again");
    pump();
    assert_string_equal(w.node[1].last, "1:right again");
}

/* Attempts of node 0, whose clock says `wall`, until node 1 has heard it. */
static void try_until_heard(const char *text, const char *heard, uint64_t wall)
{
    struct node *n = &w.node[0], *d = &w.node[1];
    struct link_to there = way(0, 1);
    assert_int_equal(udp_send(n->u, &there, bytes_str(text), w.now, wall), ERR_OK);
    pump();
    for (int i = 0; i < 2 && strcmp(d->last, heard) != 0; i++) {
        w.now += 2 * UDP_RETRY_FIRST_MS;
        udp_tick(n->u, w.now, wall);
        pump();
    }
    assert_string_equal(d->last, heard);
}

/* What it remembers of the day when its clock was fast is ahead of everybody's. */
static void N29_a_clock_that_was_fast_once_and_is_right_again_connects(void **state)
{
    (void)state;
    uint64_t floor = w.wall + UINT64_C(86400) * 1000;
    reboot(0, CREDENTIAL, floor);
    try_until_heard("right again", "1:right again", w.wall);
    assert_int_equal(udp_timestamp(w.node[0].u), w.wall); /* what nobody believes is forgotten */
}

/* G26: a day fast since it was started again. */
static void N29_a_clock_that_is_fast_now_connects(void **state)
{
    (void)state;
    uint64_t day = UINT64_C(86400) * 1000;
    say(0, 1, "x");
    pump();
    reboot(0, CREDENTIAL, udp_timestamp(w.node[0].u));
    w.now += 1000;
    w.wall += day;
    say(0, 1, "at once"); /* nobody waits a second for its second try, and takes it for silent meanwhile */
    w.wall -= day;
    pump();
    assert_string_equal(w.node[1].last, "1:at once");
    reboot(0, CREDENTIAL, udp_timestamp(w.node[0].u));
    w.now += 1000;
    try_until_heard("fast", "1:fast", w.wall + day);
    assert_true(udp_timestamp(w.node[0].u) < w.wall + UDP_CLOCK_AHEAD_MS);
    reboot(0, CREDENTIAL, udp_timestamp(w.node[0].u));
    w.now += 1000;
    try_until_heard("fast still", "1:fast still", w.wall + day);
}

/* Two hosts that have called each other while their clocks were a day fast, and that are set right two hours later. */
static void clocks_were_fast_and_are_set_right(void)
{
    uint64_t day = UINT64_C(86400) * 1000;
    w.wall += day;
    say(0, 1, "fast");
    pump();
    pass(UDP_SESSION_MS);
    say(1, 0, "fast");
    pump();
    assert_string_equal(w.node[1].last, "1:fast");
    assert_string_equal(w.node[0].last, "2:fast");
    pass(UDP_SESSION_MS);
    w.wall -= day;
}

/* One was started since, and refuses what is that far ahead, as the other's next timestamps would be. */
static void what_was_told_by_a_fast_clock_is_forgotten(void **state)
{
    (void)state;
    clocks_were_fast_and_are_set_right();
    reboot(1, CREDENTIAL, 0);
    try_until_heard("right again", "1:right again", w.wall);
    assert_in_range(udp_timestamp(w.node[0].u), w.wall, w.wall + UDP_CLOCK_NEAR_MS);
}

/* Neither was: both still hold what the other said then. What is said now cannot be said twice. */
static void what_was_heard_by_a_fast_clock_is_forgotten(void **state)
{
    (void)state;
    struct held old;
    clocks_were_fast_and_are_set_right();
    say(0, 1, "right again");
    assert_true(take(0, &old));
    give(&old, 1);
    pump();
    assert_string_equal(w.node[1].last, "1:right again");
    pass(UDP_SESSION_MS);
    give(&old, 1);
    assert_int_equal(stats(1)->drop_replay, 1);
    expect_silence(1);
}

static void N30_a_clock_at_1970_still_connects(void **state)
{
    (void)state;
    say(0, 1, "x");
    pump();
    reboot(0, CREDENTIAL, udp_timestamp(w.node[0].u));
    w.now += 1000;
    try_until_heard("rebooted", "1:rebooted", 5);
}

/* G33: a copy of a folder begins with what the folder had reserved; who was copied goes on by its clock, and is heard all the same. */
static void a_copy_does_not_outrun_who_was_copied(void **state)
{
    (void)state;
    say(0, 1, "x");
    pump();
    uint64_t used = udp_timestamp(w.node[0].u), reserved = w.wall + 60000;
    reboot(0, CREDENTIAL, reserved);
    w.now += 1000;
    w.wall += 1000;
    say(0, 1, "the copy");
    pump();
    assert_string_equal(w.node[1].last, "1:the copy");
    reboot(0, CREDENTIAL, used);
    w.now += 1000;
    w.wall += 1000;
    say(0, 1, "the copied");
    pump();
    assert_string_equal(w.node[1].last, "1:the copied");
}

/* Both begin with what was reserved, and on a busy machine: what the copy says in its first twenty seconds is lost. */
static void a_copy_that_nobody_answered_at_first_does_not_either(void **state)
{
    (void)state;
    struct held lost;
    uint64_t reserved = w.wall + 120000;
    reboot(0, CREDENTIAL, reserved);
    say(0, 1, "the copy");
    for (int ms = 0; ms < 20000; ms += 100, pass(100))
        while (take(0, &lost))
            continue;
    for (int ms = 0; ms < 10000 && w.node[1].received == 0; ms += 100, pass(100))
        pump();
    assert_string_equal(w.node[1].last, "1:the copy");
    reboot(0, CREDENTIAL, reserved);
    pass(1000);
    say(0, 1, "the copied");
    pump();
    assert_string_equal(w.node[1].last, "1:the copied");
}

/* Whose clock was set back a little while it was off is older by it than what the others have had: its reserve is for that. */
static void a_clock_that_was_set_back_a_little_connects(void **state)
{
    (void)state;
    uint64_t reserved = w.wall + 120000;
    say(0, 1, "x");
    pump();
    reboot(0, CREDENTIAL, reserved);
    pass(1000);
    w.wall -= 200000;
    say(0, 1, "set back");
    for (int ms = 0; ms < 40000; ms += 100, pass(100))
        pump();
    assert_string_equal(w.node[1].last, "1:set back");
}

/* ---- what the others' clocks say ---- */

struct heard {
    int count;
    struct node_id peer;
    uint64_t clock_ms;
    mono_ms at;
};

static void hear(void *arg, const struct node_id *peer, uint64_t clock_ms, mono_ms at)
{
    *(struct heard *)arg = (struct heard){((struct heard *)arg)->count + 1, *peer, clock_ms, at};
}

static struct heard heard_at(int i)
{
    struct heard h = {0};
    udp_clocks_each(w.node[i].u, hear, &h);
    return h;
}

/* Delivers as pump() does, while the clock of node 1 is so far ahead of that of node 0. */
static void pump_with_clocks(uint64_t ahead)
{
    struct held h;
    for (bool moved = true; moved;) {
        moved = false;
        for (int i = 0; i < 2; i++)
            while (take(i, &h)) {
                moved = true;
                w.wall += i == 0 ? ahead : 0;
                give(&h, !i);
                w.wall -= i == 0 ? ahead : 0;
            }
    }
}

/* G26: both ends of a session know what the other's clock said, once the other has proved itself; an older one does not say. */
static void a_session_tells_both_what_the_others_clock_says(void **state)
{
    enum { AHEAD = 86400000 };
    struct held h;
    (void)state;
    say(0, 1, "x");
    assert_true(take(0, &h));
    w.wall += AHEAD;
    give(&h, 1);
    w.wall -= AHEAD;
    assert_int_equal(heard_at(1).count, 0); /* it may be a replay */
    pump_with_clocks(AHEAD);
    struct heard at0 = heard_at(0), at1 = heard_at(1);
    assert_int_equal(at0.count, 1);
    assert_true(node_id_eq(&at0.peer, &w.node[1].id) && at0.at == w.now);
    assert_int_equal(at0.clock_ms, w.wall + AHEAD);
    assert_int_equal(at1.count, 1);
    assert_int_equal(at1.clock_ms, w.wall);

    versions_are(LINK_VERSION_NEWEST, 1);
    say(0, 1, "x");
    pump();
    assert_int_equal(heard_at(0).count + heard_at(1).count, 0);
}

/* G27: who stood still for a minute reads then what was said to it before, and calls nobody's clock a minute slow for it. */
static void what_lay_in_a_socket_tells_nothing_of_clocks(void **state)
{
    enum { PAUSE = 60000 };
    struct held response, first;
    (void)state;
    say(0, 1, "x");
    assert_true(take(0, &first));
    give(&first, 1);
    assert_true(take(1, &response));
    w.now += PAUSE;
    w.wall += PAUSE;
    give(&response, 0); /* the initiator was stopped, */
    pump();
    assert_string_equal(w.node[1].last, "1:x");
    assert_int_equal(heard_at(0).count, 0);
    assert_int_equal(heard_at(1).count, 0); /* and so what the responder has heard is old, too */
    say(1, 2, "y");
    pump();
    assert_int_equal(heard_at(2).count, 1);
}

/* Who has set its clock makes its sessions anew, so that the others hear of it; what is said meanwhile goes under the old ones. */
static void a_clock_that_was_set_is_told(void **state)
{
    (void)state;
    say(0, 1, "x");
    pump();
    w.now += 60000;
    w.wall += 60000;
    say(0, 1, "y");
    pump();
    assert_int_equal(stats(0)->handshakes_started, 1);
    udp_renew_all(w.node[0].u, w.now);
    w.wall += 5000;
    say(0, 1, "z");
    pump();
    assert_string_equal(w.node[1].last, "1:z");
    assert_int_equal(stats(0)->handshakes_started, 2);
    assert_int_equal(heard_at(1).clock_ms, w.wall);
    say(0, 1, "and once only");
    pump();
    assert_int_equal(stats(0)->handshakes_started, 2);
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, world_new, world_free)
    const struct CMUnitTest tests[] = {
        CASE(N29_a_clock_far_ahead_is_not_believed),
        CASE(N29_a_clock_that_was_fast_once_and_is_right_again_connects),
        CASE(N29_a_clock_that_is_fast_now_connects),
        CASE(what_was_told_by_a_fast_clock_is_forgotten),
        CASE(what_was_heard_by_a_fast_clock_is_forgotten),
        CASE(N30_a_clock_at_1970_still_connects),
        CASE(a_copy_does_not_outrun_who_was_copied),
        CASE(a_copy_that_nobody_answered_at_first_does_not_either),
        CASE(a_clock_that_was_set_back_a_little_connects),
        CASE(a_session_tells_both_what_the_others_clock_says),
        CASE(what_lay_in_a_socket_tells_nothing_of_clocks),
        CASE(a_clock_that_was_set_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
