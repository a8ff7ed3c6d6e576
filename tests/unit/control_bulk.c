/* The bulk lane over real sockets on loopback: what arrives, and what strangers and members cannot hold. */
#include "control_world.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

#include "control/bulk.h"
#include "observe/log.h"

/* Two agents on one loop; both listen. */
struct end {
    struct host host;
    struct bulk *bulk;
    struct net_listener *listener;
    struct addr at;
    size_t messages, bytes, undelivered, accepted, broken, refused;
    struct hash last;
    struct node_id last_from, lost;
};

static struct turning turning;
static struct end a, b;
static mono_ms ahead; /* how far the lanes' time is ahead of the loop's: no test waits for 30 s */

static mono_ms lane_now(void)
{
    return net_now(turning.loop) + ahead;
}

static void on_message(void *arg, const struct node_id *from, const struct addr *via, struct bytes msg)
{
    struct end *e = arg;
    (void)via;
    e->messages++;
    e->bytes += msg.len;
    e->last = hash_of(msg);
    e->last_from = *from;
}

static void on_undelivered(void *arg, const struct node_id *to, const struct addr *addr)
{
    struct end *e = arg;
    (void)to;
    (void)addr;
    e->undelivered++;
}

static void on_lost(void *arg, const struct node_id *peer, bool is_refused)
{
    struct end *e = arg;
    e->lost = *peer;
    *(is_refused ? &e->refused : &e->broken) += 1;
}

static enum err is_member(void *arg, struct bytes credential, const uint8_t noise_key[32],
                          struct node_id *who)
{
    struct credential c;
    (void)arg;
    enum err e = trust_credential(world.trust, credential, NOW, &c);
    if (e == ERR_OK && memcmp(c.noise_key, noise_key, 32) != 0)
        e = ERR_AUTH;
    if (e == ERR_OK)
        *who = c.id;
    return e;
}

/* A worker hands a link over by its descriptor. */
static void on_accept(void *arg, struct net_conn *c_take)
{
    struct end *e = arg;
    struct buf nothing = {0};
    int fd = net_conn_detach(c_take);
    assert_true(fd >= 0);
    e->accepted++;
    bulk_accept(e->bulk, fd, &nothing, lane_now());
}

static struct link_setup setup_of(const struct host *h)
{
    return (struct link_setup){.kind = LINK_BULK,
                               .mesh = STR("shop.example"),
                               .credential = buf_bytes(&h->credential),
                               .noise_secret = h->noise.sec,
                               .verify = {is_member, NULL, NULL}};
}

static void end_make(struct end *e, uint8_t seed, const char *name)
{
    static const struct bulk_events events = {on_message, on_undelivered, on_lost, NULL, NULL};
    struct addr any;
    *e = (struct end){.host = host_from(seed, name, NOW)};
    struct link_setup setup = setup_of(&e->host);
    e->bulk = bulk_new(turning.loop, &setup, &events, e);
    assert_non_null(e->bulk);
    assert_true(addr_of_ip(&any, "127.0.0.1", 0));
    assert_int_equal(net_listen(&e->listener, turning.loop, &any, false, &e->at, on_accept, e), ERR_OK);
}

static void end_free(struct end *e)
{
    net_listener_free(e->listener);
    bulk_free(e->bulk);
    host_end(&e->host);
}

static void step(mono_ms now)
{
    bulk_step(a.bulk, now + ahead);
    bulk_step(b.bulk, now + ahead);
    /* A deadline in the past would make the real loop spin. */
    assert_true(bulk_deadline(a.bulk) > now + ahead && bulk_deadline(b.bulk) > now + ahead);
}

static int begin(void **state)
{
    world_make(state);
    log_level_set(LOG_ERROR);
    ahead = 0;
    turning_make(&turning, step);
    end_make(&a, 1, "a");
    end_make(&b, 2, "b");
    return 0;
}

static int end(void **state)
{
    end_free(&a);
    end_free(&b);
    net_loop_free(turning.loop);
    return world_end(state);
}

static void send_to(struct end *from, struct end *to, struct bytes msg)
{
    bulk_send(from->bulk,
              &(struct link_to){&to->host.sign.pub, to->host.noise.pub, &to->at, NOISE_CHACHAPOLY,
                                LINK_VERSION_NEWEST},
              msg, lane_now());
}

static struct buf large_message(size_t len)
{
    struct buf m = {0};
    uint8_t *at = buf_reserve(&m, len);
    assert_non_null(at);
    for (size_t i = 0; i < len; i++)
        at[i] = (uint8_t)(i ^ i >> 8);
    m.len = len;
    return m;
}

static bool b_has_three(void)
{
    return b.messages == 3;
}
static bool a_has_one(void)
{
    return a.messages == 1;
}
static bool b_has_one(void)
{
    return b.messages == 1;
}
static bool a_failed(void)
{
    return a.undelivered > 0;
}

static void the_largest_message_and_its_neighbours_arrive_in_order_and_both_ways(void **state)
{
    (void)state;
    struct buf large = large_message(GOSSIP_BULK_MAX);
    struct hash last = hash_of(STR("after"));
    send_to(&a, &b, STR("before"));
    send_to(&a, &b, buf_bytes(&large));
    send_to(&a, &b, STR("after"));
    turn_until(&turning, b_has_three);
    assert_int_equal(b.bytes, GOSSIP_BULK_MAX + 11);
    assert_true(hash_eq(&b.last, &last));
    assert_true(node_id_eq(&b.last_from, &a.host.sign.pub));
    send_to(&b, &a, buf_bytes(&large)); /* back over the same link */
    turn_until(&turning, a_has_one);
    assert_int_equal(bulk_stats(a.bulk)->links_opened + bulk_stats(b.bulk)->links_opened, 2);
    buf_fini(&large);
}

static void a_seed_is_known_by_its_address_only(void **state)
{
    (void)state;
    static const struct node_id nobody;
    bulk_send(a.bulk, &(struct link_to){&nobody, NULL, &b.at, NOISE_CHACHAPOLY, LINK_VERSION_NEWEST},
              STR("who are you"), lane_now());
    turn_until(&turning, b_has_one);
    assert_true(node_id_eq(&b.last_from, &a.host.sign.pub));
}

static void where_nobody_listens_the_message_is_reported(void **state)
{
    (void)state;
    net_listener_free(b.listener);
    send_to(&a, &b, STR("hello"));
    turn_until(&turning, a_failed);
    assert_int_equal(a.undelivered, 1);
    assert_int_equal(a.refused, 1); /* evidence for the failure detector */
    struct addr any;
    assert_true(addr_of_ip(&any, "127.0.0.1", 0));
    assert_int_equal(net_listen(&b.listener, turning.loop, &any, false, &b.at, on_accept, &b), ERR_OK);
}

static bool a_was_refused(void)
{
    return a.refused > 0;
}
static bool b_has_accepted(void)
{
    return b.accepted == 2;
}
static bool b_knows_it_was_a_knock(void)
{
    return bulk_stats(b.bulk)->handshakes_failed == 1;
}

/* A knock asks whether anybody listens, and says nothing: only a refusal is told. */
static void a_knock_tells_of_refusals_only(void **state)
{
    (void)state;
    struct addr closed = b.at;
    bulk_knock(a.bulk, &b.host.sign.pub, &b.at);
    turn_until(&turning, b_knows_it_was_a_knock);
    assert_int_equal(a.refused + a.broken + a.undelivered, 0);
    send_to(&a, &b, STR("hello"));
    turn_until(&turning, b_has_accepted);
    net_listener_free(b.listener);
    bulk_knock(a.bulk, &b.host.sign.pub, &closed);
    turn_until(&turning, a_was_refused);
    assert_int_equal(a.refused, 1);
    assert_true(node_id_eq(&a.lost, &b.host.sign.pub));
    assert_int_equal(a.broken + a.undelivered, 0);
    assert_true(addr_of_ip(&closed, "127.0.0.1", 0));
    assert_int_equal(net_listen(&b.listener, turning.loop, &closed, false, &b.at, on_accept, &b), ERR_OK);
}

static void another_than_the_one_addressed_gets_nothing(void **state)
{
    (void)state;
    struct host c = host_from(3, "c", NOW);
    bulk_send(a.bulk,
              &(struct link_to){&c.sign.pub, c.noise.pub, &b.at, NOISE_CHACHAPOLY, LINK_VERSION_NEWEST},
              STR("for c"), lane_now());
    turn_until(&turning, a_failed);
    assert_int_equal(b.messages, 0);
    host_end(&c);
}

static bool both_idle(void)
{
    return bulk_deadline(a.bulk) == NEVER && bulk_deadline(b.bulk) == NEVER;
}

static void a_silent_link_is_closed_and_the_next_message_makes_a_new_one(void **state)
{
    (void)state;
    send_to(&a, &b, STR("one"));
    turn_until(&turning, b_has_one);
    ahead = BULK_IDLE_MS;
    turn_until(&turning, both_idle);
    assert_int_equal(a.undelivered + b.undelivered, 0);
    send_to(&a, &b, STR("two"));
    send_to(&a, &b, STR("three"));
    turn_until(&turning, b_has_three);
    assert_int_equal(bulk_stats(b.bulk)->links_opened, 2);
}

static void a_member_cut_off_is_cut_off(void **state)
{
    (void)state;
    send_to(&a, &b, STR("one"));
    turn_until(&turning, b_has_one);
    bulk_cut(b.bulk, &a.host.sign.pub);
    turn_until(&turning, both_idle);
}

/* -- strangers and members who mean no good, on plain sockets ------------------------------------- */

static int dial_plain(const struct addr *to)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(to->port)};
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof at), 0);
    return fd;
}

static uint64_t wanted_failures;
static bool enough_have_failed(void)
{
    return bulk_stats(b.bulk)->handshakes_failed >= wanted_failures;
}

static void garbage_ends_a_handshake_and_nothing_else(void **state)
{
    (void)state;
    int fd = dial_plain(&b.at);
    assert_int_equal(send(fd, "GET / HTTP/1.1\r\n\r\n", 18, MSG_NOSIGNAL), 18);
    wanted_failures = 1;
    turn_until(&turning, enough_have_failed);
    assert_int_equal(bulk_stats(b.bulk)->malformed, 1);
    send_to(&a, &b, STR("still here"));
    turn_until(&turning, b_has_one);
    close(fd);
}

static bool all_were_accepted(void)
{
    return b.accepted == wanted_failures;
}

/* G20: a thousand handshakes a second are begun and no more, a fifth of the loop's time. Then others get their turn again. */
static void a_flood_of_dials_takes_a_bounded_part_of_the_loop(void **state)
{
    enum { PER_S = BULK_ACCEPTS_PER_S + BULK_SHARED_PER_S, DIALS = PER_S + 100 };
    mono_ms now = lane_now();
    (void)state;
    for (unsigned i = 0; i < DIALS; i++) {
        int fd = dial_plain(&b.at);
        wanted_failures = i + 1;
        turn_until(&turning, all_were_accepted);
        close(fd);
    }
    uint64_t refused = bulk_stats(b.bulk)->links_refused,
             earned = (uint64_t)(lane_now() - now) * PER_S / 1000;
    assert_true(refused + earned + 1 >= DIALS - PER_S);
    ahead = 1000;
    send_to(&a, &b, STR("later"));
    turn_until(&turning, b_has_one);
}

static void strangers_who_say_nothing_do_not_keep_members_out(void **state)
{
    (void)state;
    int fd[BULK_HANDSHAKES_MAX + 8];
    for (size_t i = 0; i < sizeof fd / sizeof *fd; i++)
        fd[i] = dial_plain(&b.at);
    wanted_failures = 8;
    turn_until(&turning, enough_have_failed); /* the oldest eight gave way */
    send_to(&a, &b, STR("through"));
    turn_until(&turning, b_has_one);
    ahead = LINK_HANDSHAKE_TIMEOUT_MS;
    wanted_failures = sizeof fd / sizeof *fd;
    turn_until(&turning, enough_have_failed); /* and the rest had their five seconds */
    for (size_t i = 0; i < sizeof fd / sizeof *fd; i++)
        close(fd[i]);
}

/* A member with a socket of its own: connects to b, completes the handshake in the loop's turns, then does as told. */
struct member_link {
    int fd;
    struct link *link;
};
static struct member_link mine[BULK_PEER_LINKS_MAX + 1];
static size_t mine_count;

static void member_pump(struct member_link *m)
{
    uint8_t in[4096];
    struct buf out = {0};
    ssize_t n = recv(m->fd, in, sizeof in, MSG_DONTWAIT);
    size_t used = 0;
    if (n > 0)
        assert_int_equal(link_feed(m->link, bytes_of(in, (size_t)n), &used, lane_now()), ERR_OK);
    assert_int_equal(link_poll_send(m->link, &out), ERR_OK);
    if (out.len > 0)
        assert_int_equal(send(m->fd, out.at, out.len, MSG_NOSIGNAL), (ssize_t)out.len);
    buf_fini(&out);
}

static bool members_are_up(void)
{
    size_t up = 0;
    for (size_t i = 0; i < mine_count; i++) {
        if (!link_is_up(mine[i].link))
            member_pump(&mine[i]);
        up += link_is_up(mine[i].link);
    }
    return up == mine_count && bulk_stats(b.bulk)->links_opened >= mine_count;
}

static void members_dial(const struct host *who, size_t count)
{
    struct link_setup s = setup_of(who);
    s.remote_key = b.host.noise.pub;
    mine_count = count;
    for (size_t i = 0; i < count; i++) {
        mine[i] = (struct member_link){dial_plain(&b.at), link_connect(&s, lane_now())};
        assert_non_null(mine[i].link);
        member_pump(&mine[i]);
    }
    turn_until(&turning, members_are_up);
}

static void members_hang_up(void)
{
    for (size_t i = 0; i < mine_count; i++) {
        link_free(mine[i].link);
        close(mine[i].fd);
    }
}

static void member_sends(struct bytes plain)
{
    struct buf out = {0};
    size_t cap;
    uint8_t *at = link_seal_begin(mine[0].link, &out, plain.len, &cap);
    assert_true(at && cap >= plain.len);
    memcpy(at, plain.at, plain.len);
    assert_int_equal(link_seal_end(mine[0].link, &out, plain.len), ERR_OK);
    assert_int_equal(send(mine[0].fd, out.at, out.len, MSG_NOSIGNAL), (ssize_t)out.len);
    buf_fini(&out);
}

static bool b_found_a_fault(void)
{
    return bulk_stats(b.bulk)->malformed > 0;
}
static bool b_is_idle(void)
{
    return bulk_deadline(b.bulk) == NEVER;
}

static void a_length_beyond_the_largest_message_ends_the_link(void **state)
{
    (void)state;
    uint8_t length[4];
    struct host c = host_from(3, "c", NOW);
    members_dial(&c, 1);
    store_be32(length, GOSSIP_BULK_MAX + 1);
    member_sends(bytes_of(length, sizeof length));
    turn_until(&turning, b_found_a_fault);
    assert_true(b_is_idle());
    assert_int_equal(b.messages, 0);
    members_hang_up();
    host_end(&c);
}

static void what_came_before_the_end_is_read_and_half_a_message_is_not_delivered(void **state)
{
    (void)state;
    struct host c = host_from(3, "c", NOW);
    members_dial(&c, 1);
    member_sends(bytes_of("\0\0\0\5whole\0\0\0\5ha", 15));
    members_hang_up(); /* in one batch with the data */
    turn_until(&turning, b_is_idle);
    assert_int_equal(b.messages, 1);
    assert_int_equal(b.bytes, 5);
    host_end(&c);
}

static void one_member_holds_only_a_few_links(void **state)
{
    (void)state;
    struct host c = host_from(3, "c", NOW);
    members_dial(&c, BULK_PEER_LINKS_MAX + 1);
    assert_int_equal(bulk_stats(b.bulk)->links_refused, 1);
    members_hang_up();
    turn_until(&turning, b_is_idle);
    host_end(&c);
}

/* A second goes by per turn. */
static bool b_failed_in_time(void)
{
    ahead += 1000;
    return b.undelivered > 0;
}

static void a_member_that_never_reads_loses_its_link_and_the_loop_does_not_spin(void **state)
{
    (void)state;
    struct host c = host_from(3, "c", NOW);
    struct buf large = large_message(GOSSIP_BULK_MAX);
    members_dial(&c, 1);
    size_t refused = 0;
    for (int i = 0; i < 12; i++) {
        bulk_send(b.bulk,
                  &(struct link_to){&c.sign.pub, c.noise.pub, &a.at, NOISE_CHACHAPOLY, LINK_VERSION_NEWEST},
                  buf_bytes(&large), lane_now());
        refused = b.undelivered;
    }
    assert_true(refused > 0); /* the queue has a cap */
    b.undelivered = 0;
    turn_until(&turning, b_failed_in_time); /* step() checks that no deadline lies in the past */
    assert_true(b_is_idle());
    members_hang_up();
    buf_fini(&large);
    host_end(&c);
}

int main(void)
{
#define STORY(f) cmocka_unit_test_setup_teardown(f, begin, end)
    const struct CMUnitTest tests[] = {
        STORY(the_largest_message_and_its_neighbours_arrive_in_order_and_both_ways),
        STORY(a_seed_is_known_by_its_address_only),
        STORY(where_nobody_listens_the_message_is_reported),
        STORY(a_knock_tells_of_refusals_only),
        STORY(another_than_the_one_addressed_gets_nothing),
        STORY(a_silent_link_is_closed_and_the_next_message_makes_a_new_one),
        STORY(a_member_cut_off_is_cut_off),
        STORY(garbage_ends_a_handshake_and_nothing_else),
        STORY(a_flood_of_dials_takes_a_bounded_part_of_the_loop),
        STORY(strangers_who_say_nothing_do_not_keep_members_out),
        STORY(a_length_beyond_the_largest_message_ends_the_link),
        STORY(what_came_before_the_end_is_read_and_half_a_message_is_not_delivered),
        STORY(one_member_holds_only_a_few_links),
        STORY(a_member_that_never_reads_loses_its_link_and_the_loop_does_not_spin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
