/* net/ on loopback: connections, back-pressure, hand-over, datagrams, names, who is at the other end. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#include "net/net.h"

enum { STUCK_MS = 10000 }; /* a test that has not stopped by then has failed */

struct peer {
    struct world *w;
    struct net_conn *conn;
    struct buf got;
    size_t discarded;
    bool eof, closed, connected, drained, count_only, echo;
    enum err why;
};

struct world {
    struct net_loop *loop;
    mono_ms give_up;
    unsigned turns;
    bool (*is_done)(struct world *w);
    struct peer near, far;
    struct net_listener *listener;
    struct addr at;
    unsigned posted, resolved;
    struct addr found;
    size_t datagrams;
    struct addr from;
    struct buf datagram;
    int fd;
};

static void turn(void *arg, mono_ms now)
{
    struct world *w = arg;
    w->turns++;
    assert_true(now < w->give_up);
    net_loop_deadline(w->loop, w->give_up);
    if (w->is_done(w))
        net_loop_stop(w->loop);
}

static void on_data(void *arg, struct bytes in)
{
    struct peer *p = arg;
    assert_false(p->closed);
    p->discarded += in.len;
    if (!p->count_only)
        buf_add_bytes(&p->got, in);
    if (p->echo) {
        struct buf out = {0};
        buf_add_bytes(&out, in);
        net_conn_write_take(p->conn, &out);
        buf_fini(&out);
    }
}
static void on_eof(void *arg)
{
    ((struct peer *)arg)->eof = true;
}
static void on_closed(void *arg, enum err why)
{
    struct peer *p = arg;
    p->closed = true;
    p->why = why;
}
static void on_connected(void *arg)
{
    ((struct peer *)arg)->connected = true;
}
static void on_drained(void *arg)
{
    ((struct peer *)arg)->drained = true;
}
static const struct net_conn_events events = {on_data, on_eof, on_closed, on_connected, on_drained};

static void on_accept(void *arg, struct net_conn *c_take)
{
    struct world *w = arg;
    assert_null(w->far.conn);
    w->far.conn = c_take;
    net_conn_events_set(c_take, &events, &w->far);
}

static void say(struct peer *p, const char *text)
{
    struct buf b = {0};
    buf_add_str(&b, text);
    net_conn_write_take(p->conn, &b);
    assert_int_equal(b.len, 0);
    buf_fini(&b);
}

static void run_until(struct world *w, bool (*is_done)(struct world *w))
{
    w->is_done = is_done;
    w->give_up = net_now(w->loop) + STUCK_MS;
    net_loop_deadline(w->loop, 0);
    net_loop_run(w->loop);
}

static int set_up(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    assert_int_equal(net_loop_new(&w->loop, turn, w), ERR_OK);
    w->near.w = w->far.w = w;
    w->fd = -1;
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;
    net_conn_free(w->near.conn);
    net_conn_free(w->far.conn);
    net_listener_free(w->listener);
    net_loop_free(w->loop);
    buf_fini(&w->near.got);
    buf_fini(&w->far.got);
    buf_fini(&w->datagram);
    free(w);
    return 0;
}

static void listen_on(struct world *w, const char *text)
{
    struct addr at;
    assert_true(addr_parse(&at, text, 0));
    assert_int_equal(net_listen(&w->listener, w->loop, &at, true, &w->at, on_accept, w), ERR_OK);
    assert_int_not_equal(w->at.port, 0);
}

static void dial(struct world *w, const char *ip)
{
    struct addr to;
    assert_true(addr_of_ip(&to, ip, w->at.port));
    assert_int_equal(net_dial(&w->near.conn, w->loop, &to, 5000, &events, &w->near), ERR_OK);
}

static bool both_connected(struct world *w)
{
    return w->near.connected && w->far.conn;
}

static bool echoed(struct world *w)
{
    return w->near.got.len == 5;
}

static void echo_over(struct world *w, const char *listen, const char *ip)
{
    struct addr peer;
    listen_on(w, listen);
    w->far.echo = true;
    dial(w, ip);
    say(&w->near, "hello"); /* before the connection stands: queued */
    run_until(w, echoed);
    assert_memory_equal(w->near.got.at, "hello", 5);
    assert_true(net_conn_peer(w->far.conn, &peer));
    assert_true(addr_is_loopback(&peer));
}

static void test_echo_v4(void **state)
{
    echo_over(*state, "127.0.0.1:0", "127.0.0.1");
}
static void test_echo_v6(void **state)
{
    echo_over(*state, "[::1]:0", "::1");
}
static void test_dual_stack_listener_takes_v4_and_calls_it_v4(void **state)
{
    struct world *w = *state;
    struct addr peer;
    echo_over(w, "[::]:0", "127.0.0.1");
    assert_true(net_conn_peer(w->far.conn, &peer));
    assert_true(addr_is_v4(&peer));
}

static bool near_closed(struct world *w)
{
    return w->near.closed;
}

static void test_dial_to_nobody_is_refused(void **state)
{
    struct world *w = *state;
    listen_on(w, "127.0.0.1:0"); /* a port that was free a moment ago */
    net_listener_free(w->listener);
    w->listener = NULL;
    dial(w, "127.0.0.1");
    assert_false(w->near.closed); /* never from inside the call */
    run_until(w, near_closed);
    assert_int_equal(w->near.why, ERR_REFUSED);
}

static void test_unreachable_family_is_told_later_not_from_the_call(void **state)
{
    struct world *w = *state;
    struct addr to;
    assert_true(addr_parse(&to, "255.255.255.255:9", 0));
    assert_int_equal(net_dial(&w->near.conn, w->loop, &to, 5000, &events, &w->near), ERR_OK);
    assert_false(w->near.closed);
    run_until(w, near_closed);
    assert_int_not_equal(w->near.why, ERR_OK);
}

static void test_address_in_use_is_an_error(void **state)
{
    struct world *w = *state;
    struct net_listener *second = NULL;
    struct addr at;
    assert_true(addr_parse(&at, "127.0.0.1:0", 0));
    assert_int_equal(net_listen(&w->listener, w->loop, &at, false, &w->at, on_accept, w), ERR_OK);
    assert_int_equal(net_listen(&second, w->loop, &w->at, false, NULL, on_accept, w), ERR_EXISTS);
}

static void write_big(struct peer *p, size_t n)
{
    struct buf b = {0};
    assert_non_null(buf_reserve(&b, n));
    memset(b.at, 'x', n);
    b.len = n;
    net_conn_write_take(p->conn, &b);
    buf_fini(&b);
}

static bool near_drained(struct world *w)
{
    return w->near.drained;
}

enum { BIG = 16 * 1024 * 1024 };

static bool ticks_passed(struct world *w)
{
    return w->posted > 0;
}
static void on_posted(void *arg)
{
    ((struct world *)arg)->posted++;
}

/* P23, M6: who does not read is not read for. */
static void test_paused_reader_holds_the_writer_back(void **state)
{
    struct world *w = *state;
    listen_on(w, "127.0.0.1:0");
    dial(w, "127.0.0.1");
    run_until(w, both_connected);
    net_conn_read_pause(w->far.conn, true);
    w->far.count_only = true;
    write_big(&w->near, BIG);
    assert_int_equal(net_post(w->loop, on_posted, w), ERR_OK);
    run_until(w, ticks_passed);
    assert_int_equal(w->far.discarded, 0);
    assert_true(net_conn_queued(w->near.conn) > 0);
    assert_false(w->near.drained);
    net_conn_read_pause(w->far.conn, false);
    run_until(w, near_drained);
    assert_true(w->far.discarded > 0);
}

static bool far_eof(struct world *w)
{
    return w->far.eof;
}

static void test_free_flush_delivers_everything_and_then_the_end(void **state)
{
    struct world *w = *state;
    listen_on(w, "127.0.0.1:0");
    dial(w, "127.0.0.1");
    run_until(w, both_connected);
    w->far.count_only = true;
    write_big(&w->near, BIG);
    net_conn_free_flush(w->near.conn, 5000);
    w->near.conn = NULL;
    run_until(w, far_eof);
    assert_int_equal(w->far.discarded, BIG);
    assert_false(w->far.closed);
}

static bool far_closed(struct world *w)
{
    return w->far.closed || w->far.eof;
}

static void test_free_drops_and_nothing_comes_after(void **state)
{
    struct world *w = *state;
    listen_on(w, "127.0.0.1:0");
    dial(w, "127.0.0.1");
    run_until(w, both_connected);
    say(&w->far, "too late");
    net_conn_free(w->near.conn);
    w->near.conn = NULL;
    run_until(w, far_closed);
    assert_int_equal(w->near.got.len, 0);
}

static void test_half_close_lets_the_answer_through(void **state)
{
    struct world *w = *state;
    listen_on(w, "127.0.0.1:0");
    dial(w, "127.0.0.1");
    run_until(w, both_connected);
    net_conn_shutdown(w->near.conn);
    run_until(w, far_eof);
    say(&w->far, "reply");
    run_until(w, echoed);
}

static void test_socket_moves_to_another_loop_with_its_connection(void **state)
{
    struct world *w = *state, other = {0};
    listen_on(w, "127.0.0.1:0");
    dial(w, "127.0.0.1");
    run_until(w, both_connected);
    int fd = net_conn_detach(w->far.conn);
    w->far.conn = NULL;
    assert_true(fd >= 0);
    assert_int_equal(net_loop_new(&other.loop, turn, &other), ERR_OK);
    assert_int_equal(net_conn_adopt(&other.far.conn, other.loop, fd), ERR_OK);
    net_conn_events_set(other.far.conn, &events, &other.far);
    say(&other.far, "moved");
    run_until(w, echoed);
    assert_memory_equal(w->near.got.at, "moved", 5);
    net_conn_free(other.far.conn);
    net_loop_free(other.loop);
}

static void test_uid_of_a_local_tcp_peer(void **state)
{
    struct world *w = *state;
    uid_t uid = (uid_t)-1;
    listen_on(w, "[::]:0");
    dial(w, "127.0.0.1"); /* a v4 socket talking to a dual-stack one: two families, one connection */
    run_until(w, both_connected);
    assert_int_equal(net_conn_uid(w->far.conn, &uid), ERR_OK);
    assert_int_equal(uid, getuid());
    net_conn_free(w->near.conn);
    w->near.conn = NULL;
    w->near.connected = false;
    run_until(w, far_closed);
    assert_int_equal(net_conn_uid(w->far.conn, &uid),
                     ERR_NOT_FOUND); /* never root's: an orphan has no owner */
}

static void test_uid_of_a_v6_peer(void **state)
{
    struct world *w = *state;
    uid_t uid = (uid_t)-1;
    listen_on(w, "[::1]:0");
    dial(w, "::1");
    run_until(w, both_connected);
    assert_int_equal(net_conn_uid(w->far.conn, &uid), ERR_OK);
    assert_int_equal(uid, getuid());
}

static void test_unix_socket_is_private_and_knows_its_peer(void **state)
{
    struct world *w = *state;
    char path[64];
    uid_t uid = (uid_t)-1;
    snprintf(path, sizeof path, "/tmp/net-test-%d.sock", (int)getpid());
    assert_int_equal(net_listen_unix(&w->listener, w->loop, path, on_accept, w), ERR_OK);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(net_dial_unix(&w->near.conn, w->loop, path, &events, &w->near), ERR_OK);
    run_until(w, both_connected);
    assert_int_equal(net_conn_uid(w->far.conn, &uid), ERR_OK);
    assert_int_equal(uid, getuid());
    unlink(path);
}

static void test_unix_socket_nobody_listens_on_is_refused(void **state)
{
    struct world *w = *state;
    assert_int_equal(net_dial_unix(&w->near.conn, w->loop, "/nonexistent/agent.sock", &events, &w->near),
                     ERR_OK);
    run_until(w, near_closed);
    assert_int_equal(w->near.why, ERR_REFUSED);
}

static void *post_many(void *arg)
{
    struct world *w = arg;
    for (int i = 0; i < 1000; i++)
        assert_int_equal(net_post(w->loop, on_posted, w), ERR_OK);
    return NULL;
}
static bool thousand_posted(struct world *w)
{
    return w->posted == 1000;
}

static void test_posts_from_another_thread_all_run_here(void **state)
{
    struct world *w = *state;
    pthread_t t;
    assert_int_equal(pthread_create(&t, NULL, post_many, w), 0);
    run_until(w, thousand_posted);
    pthread_join(t, NULL);
}

static bool third_turn(struct world *w)
{
    net_loop_deadline(w->loop, net_now(w->loop) + 1);
    return w->turns >= 3;
}
static void test_deadline_runs_a_turn_with_nothing_else_to_do(void **state)
{
    struct world *w = *state;
    w->give_up = net_now(w->loop) + STUCK_MS;
    run_until(w, third_turn);
    assert_int_equal(w->turns, 3);
}

static void on_datagram(void *arg, const struct addr *from, uint8_t *at, size_t len)
{
    struct world *w = arg;
    w->datagrams++;
    w->from = *from;
    buf_add(&w->datagram, at, len);
    at[0] = 0; /* the bytes are ours to modify */
}
static bool forty_datagrams(struct world *w)
{
    return w->datagrams == 40;
}

static void datagrams_over(struct world *w, const char *bind_a, const char *bind_b, const char *ip_b)
{
    struct net_udp *a, *b;
    struct addr at, bound_a;
    assert_true(addr_parse(&at, bind_a, 0));
    assert_int_equal(net_udp_open(&a, w->loop, &at, false, on_datagram, w), ERR_OK);
    assert_true(addr_parse(&at, bind_b, 0));
    assert_int_equal(net_udp_open(&b, w->loop, &at, false, on_datagram, w), ERR_OK);
    assert_true(net_udp_bound(b, &at) && net_udp_bound(a, &bound_a));
    assert_true(addr_of_ip(&at, ip_b, at.port));
    for (int i = 0; i < 40; i++) /* more than one recvmmsg batch */
        net_udp_send(a, &at, bytes_str("ping"));
    run_until(w, forty_datagrams);
    assert_int_equal(w->datagram.len, 160);
    assert_int_equal(w->from.port, bound_a.port);
    assert_true(addr_is_loopback(&w->from));
    assert_int_equal(net_udp_dropped(a) + net_udp_dropped(b), 0);
    net_udp_free(a);
    net_udp_free(b);
}

static void test_datagrams_v4(void **state)
{
    datagrams_over(*state, "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1");
}
static void test_datagrams_v6(void **state)
{
    datagrams_over(*state, "[::1]:0", "[::1]:0", "::1");
}
static void test_dual_stack_socket_sends_and_receives_v4(void **state)
{
    datagrams_over(*state, "[::]:0", "[::]:0", "127.0.0.1");
    assert_true(addr_is_v4(&((struct world *)*state)->from));
}
static void test_v4_socket_drops_what_it_cannot_send(void **state)
{
    struct world *w = *state;
    struct net_udp *u;
    struct addr at;
    assert_true(addr_parse(&at, "127.0.0.1:0", 0));
    assert_int_equal(net_udp_open(&u, w->loop, &at, false, on_datagram, w), ERR_OK);
    assert_true(addr_parse(&at, "[::1]:9", 0));
    net_udp_send(u, &at, bytes_str("x"));
    assert_int_equal(net_udp_dropped(u), 1);
    net_udp_free(u);
}

static void on_found(void *arg, const struct addr *found, size_t count)
{
    struct world *w = arg;
    w->resolved++;
    if (count > 0)
        w->found = found[0];
}
static bool one_resolved(struct world *w)
{
    return w->resolved == 1;
}
static bool two_resolved(struct world *w)
{
    return w->resolved == 2;
}

static void test_names_and_literals_resolve(void **state)
{
    struct world *w = *state;
    assert_int_equal(net_resolve(w->loop, "::1", 7400, on_found, w), ERR_OK);
    assert_int_equal(w->resolved, 0);
    run_until(w, one_resolved);
    assert_false(addr_is_v4(&w->found));
    assert_int_equal(w->found.port, 7400);
    assert_int_equal(net_resolve(w->loop, "localhost", 7401, on_found, w), ERR_OK);
    run_until(w, two_resolved);
    assert_true(addr_is_loopback(&w->found));
    assert_int_equal(w->found.port, 7401);
}

static void test_loop_freed_with_work_left_frees_it_all(void **state)
{
    struct world *w = *state;
    struct world left = {0};
    struct net_conn *c;
    struct addr to;
    (void)w;
    assert_int_equal(net_loop_new(&left.loop, turn, &left), ERR_OK);
    listen_on(&left, "127.0.0.1:0");
    to = left.at;
    assert_int_equal(net_dial(&c, left.loop, &to, 5000, &events, &left.near), ERR_OK);
    assert_int_equal(net_post(left.loop, on_posted, &left), ERR_OK);
    assert_int_equal(net_resolve(left.loop, "127.0.0.1", 1, on_found, &left), ERR_OK);
    net_loop_free(left.loop);
    assert_int_equal(left.posted + left.resolved, 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(test_echo_v4),
        T(test_echo_v6),
        T(test_dual_stack_listener_takes_v4_and_calls_it_v4),
        T(test_dial_to_nobody_is_refused),
        T(test_unreachable_family_is_told_later_not_from_the_call),
        T(test_address_in_use_is_an_error),
        T(test_paused_reader_holds_the_writer_back),
        T(test_free_flush_delivers_everything_and_then_the_end),
        T(test_free_drops_and_nothing_comes_after),
        T(test_half_close_lets_the_answer_through),
        T(test_socket_moves_to_another_loop_with_its_connection),
        T(test_uid_of_a_local_tcp_peer),
        T(test_uid_of_a_v6_peer),
        T(test_unix_socket_is_private_and_knows_its_peer),
        T(test_unix_socket_nobody_listens_on_is_refused),
        T(test_posts_from_another_thread_all_run_here),
        T(test_deadline_runs_a_turn_with_nothing_else_to_do),
        T(test_datagrams_v4),
        T(test_datagrams_v6),
        T(test_dual_stack_socket_sends_and_receives_v4),
        T(test_v4_socket_drops_what_it_cannot_send),
        T(test_names_and_literals_resolve),
        T(test_loop_freed_with_work_left_frees_it_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
