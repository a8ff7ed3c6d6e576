/* Two data planes carry real traffic between a client and an origin: what must come through, and what must
 * not. */
#include "worker_mesh.h"

static int set_up(void **state)
{
    *state = mesh_start();
    return 0;
}
static int tear_down(void **state)
{
    mesh_stop(*state);
    return 0;
}

static bool has_metric(struct mesh *m, const char *text)
{
    struct metrics *sets[4];
    struct buf out = {0};
    assert_int_equal(workers_metrics(m->near.workers, sets, 2), 2);
    assert_int_equal(workers_metrics(m->far.workers, sets + 2, 2), 2);
    assert_int_equal(metrics_render(&out, sets, 4), ERR_OK);
    bool has = strstr(buf_str(&out), text) != NULL;
    buf_fini(&out);
    return has;
}

/* Of both agents together. What is counted is counted just after the answer. */
static void expect_metric(struct mesh *m, const char *text)
{
    for (int i = 0; i < STUCK_S * 100 && !has_metric(m, text); i++)
        poll(NULL, 0, 10);
    assert_true(has_metric(m, text));
}

static void test_get_crosses_the_mesh_with_the_callers_name(void **state)
{
    struct mesh *m = *state;
    expect_answer(&m->entry_web, "GET /cart/7 HTTP/1.1\r\nHost: cart\r\nConnection: close\r\n\r\n",
                  PARTS("HTTP/1.1 200 OK\r\n", "x-seen-caller: spiffe://test.mesh/web\r\n",
                        "connection: close\r\n", "\r\n\r\n/cart/7"));
}

/* P15: the origin sees exactly the caller the agent set. */
static void test_a_forged_caller_header_never_arrives(void **state)
{
    struct mesh *m = *state;
    expect_answer(&m->entry_web,
                  "GET / HTTP/1.1\r\nHost: cart\r\nX-Starling-Caller: root\r\nx_starling_caller: "
                  "root\r\nConnection: close\r\n\r\n",
                  PARTS("x-seen-caller: spiffe://test.mesh/web\r\n"));
}

static void test_names_of_a_service_and_proxy_form(void **state)
{
    struct mesh *m = *state;
    expect_answer(&m->entry_web, "GET /a HTTP/1.1\r\nHost: cart.test.mesh\r\nConnection: close\r\n\r\n",
                  PARTS("200 OK", "/a"));
    expect_answer(&m->entry_web, "GET /b HTTP/1.1\r\nHost: CART.mesh:7480\r\nConnection: close\r\n\r\n",
                  PARTS("200 OK", "/b"));
    expect_answer(&m->entry_web, "GET http://cart/c HTTP/1.1\r\nHost: cart\r\nConnection: close\r\n\r\n",
                  PARTS("200 OK", "/c"));
    expect_answer(&m->entry_web, "GET / HTTP/1.1\r\nHost: nobody\r\nConnection: close\r\n\r\n",
                  PARTS("404 Not Found", "x-starling-flag: NR", "no service of this mesh is called nobody"));
}

static void test_head_has_a_length_and_no_body(void **state)
{
    struct mesh *m = *state;
    struct buf a = ask_at(&m->entry_web, "HEAD /cart HTTP/1.1\r\nHost: cart\r\nConnection: close\r\n\r\n");
    expect_in(&a, "200 OK\r\n");
    expect_in(&a, "content-length: 5\r\n");
    assert_string_equal(buf_str(&a) + a.len - 4, "\r\n\r\n");
    buf_fini(&a);
}

static void test_chunked_body_and_trailers_both_ways(void **state)
{
    struct mesh *m = *state;
    expect_answer(&m->entry_web,
                  "POST /up HTTP/1.1\r\nHost: cart\r\nTransfer-Encoding: chunked\r\nTrailer: "
                  "x-sum\r\nConnection: close\r\n\r\n"
                  "5\r\nhello\r\n6\r\n world\r\n0\r\nx-sum: 42\r\n\r\n",
                  PARTS("200 OK", "transfer-encoding: chunked", "hello", " world", "0\r\nx-sum: 42\r\n\r\n"));
}

static void test_expect_continue_is_passed_on(void **state)
{
    struct mesh *m = *state;
    struct buf in = {0};
    int fd = connect_to(&m->entry_web);
    send_text(fd, "POST /up HTTP/1.1\r\nHost: cart\r\nExpect: 100-continue\r\nContent-Length: "
                  "4\r\nConnection: close\r\n\r\n");
    assert_true(recv_until(fd, &in, "100 Continue\r\n\r\n"));
    send_text(fd, "body");
    assert_true(recv_until(fd, &in, "\r\n\r\nbody"));
    close(fd);
    buf_fini(&in);
}

static void test_refusal_names_rule_and_policy(void **state)
{
    struct mesh *m = *state;
    expect_answer(&m->entry_web, "GET /admin/x HTTP/1.1\r\nHost: cart\r\nConnection: close\r\n\r\n",
                  PARTS("403 Forbidden", "x-starling-rule: no-admin\r\n", "x-starling-policy: 7\r\n",
                        "denied by rule no-admin"));
    expect_answer(&m->entry_anonymous, "GET / HTTP/1.1\r\nHost: cart\r\nConnection: close\r\n\r\n",
                  PARTS("403 Forbidden", "x-starling-rule: unmatched\r\n", "an unknown caller"));
    assert_int_equal(m->cart.requests, 0);
}

/* P34: near's credential does not speak for evil, whatever near's configuration says. The far agent refuses.
 */
static void test_far_agent_refuses_a_caller_nobody_vouches_for(void **state)
{
    struct mesh *m = *state;
    expect_answer(&m->entry_evil, "GET / HTTP/1.1\r\nHost: cart\r\nConnection: close\r\n\r\n",
                  PARTS("403 Forbidden", "x-starling-rule: identity\r\n", "does not speak for evil"));
    assert_int_equal(m->cart.requests, 0);
}

static void test_no_endpoint_is_503_with_a_reason(void **state)
{
    struct mesh *m = *state;
    expect_answer(&m->entry_web, "GET / HTTP/1.1\r\nHost: ghost\r\nConnection: close\r\n\r\n",
                  PARTS("503 Service Unavailable", "x-starling-flag: UH", "endpoint of ghost"));
    expect_answer(&m->entry_web, "GET /v2/x HTTP/1.1\r\nHost: cart\r\nConnection: close\r\n\r\n",
                  PARTS("503 Service Unavailable", "x-starling-flag: NR", "endpoint of cart (subset v2)"));
}

static void test_application_that_is_down_is_503_urx(void **state)
{
    struct mesh *m = *state;
    expect_answer(&m->entry_web, "GET / HTTP/1.1\r\nHost: downed\r\nConnection: close\r\n\r\n",
                  PARTS("503 Service Unavailable", "x-starling-flag: URX",
                        "the application downed could not be reached: refused (on far)"));
}

static void test_silent_application_is_504_in_time(void **state)
{
    struct mesh *m = *state;
    expect_answer(&m->entry_web, "GET /silent HTTP/1.1\r\nHost: cart\r\nConnection: close\r\n\r\n",
                  PARTS("504 Gateway Timeout", "x-starling-flag: UT"));
}

/* P19 */
static void test_ambiguous_answer_is_502(void **state)
{
    struct mesh *m = *state;
    expect_answer(&m->entry_web, "GET /garbage HTTP/1.1\r\nHost: cart\r\nConnection: close\r\n\r\n",
                  PARTS("502 Bad Gateway", "x-starling-flag: URX"));
}

static void test_half_an_answer_is_cut_and_never_looks_whole(void **state)
{
    struct mesh *m = *state;
    struct buf a = ask_at(&m->entry_web, "GET /half HTTP/1.1\r\nHost: cart\r\nConnection: close\r\n\r\n");
    if (strstr(buf_str(&a), "content-length: 100\r\n")) /* its head was passed on before the cut */
        assert_true(a.len < 100 + strlen("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n"));
    else
        expect_in(&a, "502 Bad Gateway");
    buf_fini(&a);
}

static void test_close_delimited_answer_gets_a_real_end(void **state)
{
    struct mesh *m = *state;
    expect_answer(&m->entry_web, "GET /close HTTP/1.1\r\nHost: cart\r\nConnection: close\r\n\r\n",
                  PARTS("transfer-encoding: chunked", "until the end\r\n0\r\n\r\n"));
}

static void test_loop_is_508(void **state)
{
    struct mesh *m = *state;
    expect_answer(&m->entry_web,
                  "GET / HTTP/1.1\r\nHost: cart\r\nx-starling-hops: 9\r\nConnection: close\r\n\r\n",
                  PARTS("508 ", "a loop: this request has passed 9 agents"));
}

static void test_bad_request_is_400_and_closes(void **state)
{
    struct mesh *m = *state;
    expect_answer(
        &m->entry_web,
        "GET / HTTP/1.1\r\nHost: cart\r\nHost: admin\r\n\r\nGET /second HTTP/1.1\r\nHost: cart\r\n\r\n",
        PARTS("HTTP/1.1 400 Bad Request", "connection: close"));
    assert_int_equal(m->cart.requests, 0);
}

/* A refusal as any other, though no exchange has begun. */
static void test_bad_request_says_why_in_headers(void **state)
{
    struct mesh *m = *state;
    expect_answer(&m->entry_web, "GET /a%2fb HTTP/1.1\r\nHost: cart\r\n\r\n",
                  PARTS("HTTP/1.1 400 Bad Request",
                        "x-starling-reason: path is not one that every program reads alike\r\n",
                        "x-starling-flag: DPE\r\n", "connection: close\r\n",
                        "\r\n\r\npath is not one that every program reads alike\n"));
    expect_answer(&m->entry_web, "BREW / HTTP/1.1\r\nHost: cart\r\n\r\n",
                  PARTS("HTTP/1.1 501 ", "x-starling-reason: method is not known here\r\n"));
}

/* Where Host says which service is asked for it must be there; where the port says it, HTTP/1.0 does without. */
static void test_http_1_0_without_host(void **state)
{
    struct mesh *m = *state;
    expect_answer(&m->entry_web, "GET /x HTTP/1.0\r\n\r\n",
                  PARTS("HTTP/1.1 400 Bad Request", "x-starling-reason: Host is missing\r\n"));
    expect_answer(&m->entry_web, "GET http://cart/x HTTP/1.0\r\n\r\n", PARTS("200 OK", "\r\n\r\n/x"));
    expect_answer(&m->port_cart, "GET /x HTTP/1.0\r\n\r\n", PARTS("403 Forbidden", "an unknown caller"));
    expect_metric(m, "\nstarling_bad_requests_total 1\n");
}

static void test_keep_alive_and_the_pool_reuse_connections(void **state)
{
    struct mesh *m = *state;
    struct buf in = {0};
    int fd = connect_to(&m->entry_web);
    for (int i = 0; i < 50; i++) {
        send_text(fd, "GET /again HTTP/1.1\r\nHost: cart\r\n\r\n");
        assert_true(recv_until(fd, &in, "\r\n\r\n/again"));
        in.len = 0;
    }
    close(fd);
    assert_int_equal(m->cart.requests, 50);
    assert_int_equal(m->cart.connections, 1);
    buf_fini(&in);
}

/* P24: a thousand requests in one write are answered in order, and memory is bounded by the stash. */
static void test_pipelined_requests_are_answered_in_order(void **state)
{
    struct mesh *m = *state;
    struct buf out = {0}, in = {0};
    for (int i = 0; i < 1000; i++)
        buf_addf(&out, "GET /n%d HTTP/1.1\r\nHost: cart\r\n%s\r\n", i,
                 i == 999 ? "Connection: close\r\n" : "");
    int fd = connect_to(&m->entry_web);
    send_all(fd, out.at, out.len);
    recv_until(fd, &in, "\r\n\r\n/n999");
    const char *at = buf_str(&in);
    for (int i = 0; i < 1000; i++) {
        char want[32];
        snprintf(want, sizeof want, "\r\n\r\n/n%d", i);
        at = strstr(at, want);
        assert_non_null(at);
    }
    close(fd);
    buf_fini(&in);
    buf_fini(&out);
}

enum { EIGHT_MIB = 8 * 1024 * 1024 };

static void *send_big(void *arg)
{
    struct buf b = {0};
    int fd = *(int *)arg;
    assert_non_null(buf_reserve(&b, EIGHT_MIB));
    for (size_t i = 0; i < EIGHT_MIB; i++)
        b.at[i] = (uint8_t)(i * 7 + i / 251);
    send_all(fd, b.at, EIGHT_MIB);
    buf_fini(&b);
    return NULL;
}

static void test_eight_mebibytes_both_ways(void **state)
{
    struct mesh *m = *state;
    struct buf in = {0};
    pthread_t t;
    int fd = connect_to(&m->entry_web);
    send_text(fd, "PUT /big HTTP/1.1\r\nHost: cart\r\nContent-Length: 8388608\r\nConnection: close\r\n\r\n");
    pthread_create(&t, NULL, send_big, &fd);
    assert_true(recv_until(fd, &in, "\r\n\r\n"));
    size_t head = (size_t)((uint8_t *)memmem(in.at, in.len, "\r\n\r\n", 4) + 4 - in.at);
    recv_at_least(fd, &in, head + EIGHT_MIB);
    pthread_join(t, NULL);
    assert_int_equal(in.len, head + EIGHT_MIB);
    for (size_t i = 0; i < EIGHT_MIB; i++)
        if (in.at[head + i] != (uint8_t)(i * 7 + i / 251))
            fail_msg("byte %zu differs", i);
    close(fd);
    buf_fini(&in);
}

static void test_websocket_upgrade_becomes_a_tunnel(void **state)
{
    struct mesh *m = *state;
    struct buf in = {0};
    int fd = connect_to(&m->entry_web);
    send_text(fd, "GET /ws HTTP/1.1\r\nHost: cart\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n");
    assert_true(recv_until(fd, &in, "\r\n\r\n"));
    expect_in(&in, "HTTP/1.1 101 ");
    in.len = 0;
    send_text(fd, "any bytes \r\n\r\n GET / HTTP/1.1");
    assert_true(recv_until(fd, &in, "GET / HTTP/1.1"));
    assert_int_equal(in.len, 29);
    shutdown(fd, SHUT_WR);
    assert_false(recv_until(fd, &in, "never"));
    assert_int_equal(in.len, 29);
    close(fd);
    buf_fini(&in);
}

static void test_tcp_service_by_a_named_port(void **state)
{
    struct mesh *m = *state;
    struct buf in = {0};
    int fd = connect_to(&m->port_echo);
    send_text(fd, "hello");
    assert_true(recv_at_least(fd, &in, 5));
    assert_memory_equal(in.at, "hello", 5);
    send_text(fd, " again");
    shutdown(fd, SHUT_WR); /* half closed: what was said comes back all the same */
    assert_true(recv_at_least(fd, &in, 11));
    assert_false(recv_at_least(fd, &in, 12));
    assert_memory_equal(in.at, "hello again", 11);
    close(fd);
    buf_fini(&in);
}

/* Whoever is told "this much and no more" must also hear when there is more: no size of a read may divide the windows evenly. */
static void test_tcp_that_fills_every_window_goes_on(void **state)
{
    struct mesh *m = *state;
    struct buf in = {0};
    pthread_t t;
    int fd = connect_to(&m->port_echo);
    send_text(fd, "odd");
    assert_true(recv_at_least(fd, &in, 3));
    pthread_create(&t, NULL, send_big, &fd);
    assert_true(recv_at_least(fd, &in, 3 + EIGHT_MIB));
    pthread_join(t, NULL);
    for (size_t i = 0; i < EIGHT_MIB; i++)
        if (in.at[3 + i] != (uint8_t)(i * 7 + i / 251))
            fail_msg("byte %zu differs", i);
    close(fd);
    buf_fini(&in);
}

static void test_http_service_by_a_named_port_needs_no_host_of_its_own(void **state)
{
    struct mesh *m = *state;
    expect_answer(
        &m->port_cart, "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n",
        PARTS("403 Forbidden", "x-starling-rule: unmatched")); /* nobody on this port says who calls */
}

static int set_up_by_uid(void **state)
{
    *state = mesh_start_for(true);
    return 0;
}

static void test_callers_are_known_by_the_user_id_of_their_socket(void **state)
{
    struct mesh *m = *state;
    expect_answer(&m->entry_anonymous, "GET / HTTP/1.1\r\nHost: cart\r\nConnection: close\r\n\r\n",
                  PARTS("200 OK", "x-seen-caller: spiffe://test.mesh/web\r\n"));
    expect_answer(&m->port_cart, "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n",
                  PARTS("200 OK", "x-seen-caller: spiffe://test.mesh/web\r\n"));
    expect_answer(&m->port_cart, "GET /x HTTP/1.0\r\n\r\n", PARTS("200 OK", "\r\n\r\n/x"));
}

static void test_revoked_node_is_cut_and_refused(void **state)
{
    struct mesh *m = *state;
    struct buf in = {0};
    int fd = connect_to(&m->port_echo);
    send_text(fd, "hello");
    assert_true(recv_at_least(fd, &in, 5));
    struct view *v = view_of(m, &m->far, &m->near, false); /* near is not a member any more */
    workers_publish(m->far.workers, v);
    view_unref(v);
    assert_false(recv_at_least(fd, &in, 6)); /* the connection ends, nobody said so at either end */
    close(fd);
    buf_fini(&in);
}

static void test_dead_agent_is_evidence_and_503(void **state)
{
    struct mesh *m = *state;
    expect_answer(&m->entry_web, "GET /a HTTP/1.1\r\nHost: cart\r\nConnection: close\r\n\r\n",
                  PARTS("200 OK"));
    agent_stop(&m->far);
    expect_answer(&m->entry_web, "GET /b HTTP/1.1\r\nHost: cart\r\nConnection: close\r\n\r\n",
                  PARTS("503 Service Unavailable", "x-starling-flag: URX",
                        "the agent far of cart could not be reached"));
    for (int n = 0; n < STUCK_S * 100 && !m->news[WORKER_LINK_REFUSED]; n++)
        poll(NULL, 0, 10);
    /* What the links showed is evidence for the failure detector: that they worked, then that nobody listens. */
    assert_true(m->news[WORKER_LINK_WORKS] > 0);
    assert_true(m->news[WORKER_LINK_REFUSED] > 0);
}

/* Each refusal doubles the pause, at last beyond a second. That it is not over is no reason to refuse the only
 * agent that there is, once it is back. */
static void test_the_only_agent_is_dialled_though_it_failed_a_moment_ago(void **state)
{
    struct mesh *m = *state;
    agent_stop(&m->far);
    for (int i = 0; i < 6; i++)
        expect_answer(&m->entry_web, "GET /a HTTP/1.1\r\nHost: cart\r\nConnection: close\r\n\r\n",
                      PARTS("503 Service Unavailable", "x-starling-flag: URX", "reached: refused"));
    start(&m->far);
    expect_answer(&m->entry_web, "GET /b HTTP/1.1\r\nHost: cart\r\nConnection: close\r\n\r\n",
                  PARTS("200 OK", "/b"));
}

static void test_an_address_that_is_taken_is_named(void **state)
{
    struct mesh *m = *state;
    struct workers *second = NULL;
    struct worker_config config = m->far.config;
    struct buf why = {0};
    char text[ADDR_TEXT_MAX];
    config.http_entry = m->entry_anonymous; /* near's */
    config.mesh_addr[0] = free_port();
    assert_int_equal(workers_start(&second, &config, m->far.view, &why), ERR_EXISTS);
    assert_non_null(strstr(buf_str(&why), addr_text(&m->entry_anonymous, text)));
    assert_non_null(strstr(buf_str(&why), "in use"));
    buf_fini(&why);
}

static void on_drained(void *arg)
{
    ((struct mesh *)arg)->drained = 1;
}

/* P22: every byte comes in time, the head does not. */
static void test_a_head_that_trickles_is_cut_at_its_deadline(void **state)
{
    struct mesh *m = *state;
    /* The worker's clock is in whole milliseconds, and may stand at the moment in which it took the connection. */
    mono_us began = net_clock_us();
    int fd = connect_to(&m->entry_web);
    struct pollfd closed = {.fd = fd, .events = POLLIN};
    send_text(fd, "GET / HTTP/1.1\r\nHost: cart\r\n");
    while (poll(&closed, 1, 50) == 0 && net_clock_us() - began < STUCK_S * 1000000ull)
        send_text(fd, "x");
    uint8_t byte;
    mono_us took = net_clock_us() - began;
    assert_true(recv(fd, &byte, 1, 0) <= 0); /* cut, without an answer */
    assert_true(took >= (HEAD_DEADLINE_MS - 1) * 1000ull);
    assert_true(took < STUCK_S * 1000000ull);
    close(fd);
    /* Between requests the clock is another: an idle client stays. */
    fd = connect_to(&m->entry_web);
    closed.fd = fd;
    assert_int_equal(poll(&closed, 1, HEAD_DEADLINE_MS + 500), 0);
    struct buf in = {0};
    send_text(fd, "GET /later HTTP/1.1\r\nHost: cart\r\n\r\n");
    assert_true(recv_until(fd, &in, "/later"));
    close(fd);
    buf_fini(&in);
}

static void test_drain_finishes_what_is_in_flight(void **state)
{
    struct mesh *m = *state;
    struct buf in = {0};
    int fd = connect_to(&m->entry_web);
    send_text(fd, "POST /up HTTP/1.1\r\nHost: cart\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n");
    assert_true(
        recv_until(fd, &in, "100 Continue\r\n\r\n")); /* the request is at the origin, and unfinished */
    workers_drain(m->near.workers, on_drained, m);
    workers_drain(m->far.workers, NULL, NULL);
    send_text(fd, "rest");
    assert_true(recv_until(fd, &in, "\r\n\r\nrest"));
    expect_in(&in, "connection: close\r\n");
    assert_false(recv_until(fd, &in, "never")); /* and closed */
    close(fd);
    for (int i = 0; i < STUCK_S * 100 && !m->drained; i++)
        poll(NULL, 0, 10);
    assert_true(m->drained);
    buf_fini(&in);
}

/* What is tried again, or waits for a link, is in flight too. */
static void test_drain_lets_a_request_try_again(void **state)
{
    struct mesh *m = *state;
    struct buf in = {0};
    int fd = connect_to(&m->entry_web);
    struct pollfd answered = {.fd = fd, .events = POLLIN};
    send_text(fd, "GET /unready HTTP/1.1\r\nHost: cart\r\n\r\n");
    for (int i = 0; i < STUCK_S * 1000 && m->cart.requests == 0; i++)
        poll(NULL, 0, 1);
    workers_drain(m->near.workers, on_drained, m);
    for (int i = 0; i < STUCK_S * 1000 && m->cart.requests < 4 && poll(&answered, 1, 1) == 0; i++)
        continue;
    m->cart.is_ready = true;
    assert_true(recv_until(fd, &in, "/unready"));
    expect_in(&in, "200 OK");
    close(fd);
    buf_fini(&in);
}

static void test_bulk_connection_is_handed_to_control(void **state)
{
    struct mesh *m = *state;
    int fd = connect_to(&m->far.config.mesh_addr[0]);
    send_all(fd, "strl\x01\x02\x01\x01 more", 13);
    for (int i = 0; i < STUCK_S * 100 && !m->bulk; i++)
        poll(NULL, 0, 10);
    assert_int_equal(m->bulk, 13);
    close(fd);
}

static void test_strangers_on_the_mesh_port_are_closed_unanswered(void **state)
{
    struct mesh *m = *state;
    struct buf a = ask_at(&m->far.config.mesh_addr[0], "GET / HTTP/1.1\r\nHost: cart\r\n\r\n");
    assert_int_equal(a.len, 0);
    buf_fini(&a);
}

static void reset_after(const struct addr *at, const char *request, size_t bytes, bool wait_a_little)
{
    struct linger now = {.l_onoff = 1};
    int fd = connect_to(at);
    send_all(fd, request, bytes);
    if (wait_a_little) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        poll(&p, 1, 5);
    }
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now); /* close() sends a reset */
    close(fd);
}

/* P27 */
static void test_clients_that_reset_at_every_byte_leave_nothing_behind(void **state)
{
    static const char post[] = "POST /up HTTP/1.1\r\nHost: cart\r\nTransfer-Encoding: chunked\r\n\r\n"
                               "5\r\nhello\r\n6\r\n world\r\n0\r\nx-sum: 42\r\n\r\n";
    static const char ws[] =
        "GET /ws HTTP/1.1\r\nHost: cart\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";
    struct mesh *m = *state;
    for (size_t i = 0; i < sizeof post; i++)
        reset_after(&m->entry_web, post, i, i % 3 == 0);
    for (size_t i = 0; i < 40; i++) {
        reset_after(&m->entry_web, ws, sizeof ws - 1, i % 2 == 0);
        reset_after(&m->port_echo, post, i, i % 2 == 0);
    }
    expect_metric(m, "\nstarling_requests_active 0\n");
    expect_answer(&m->entry_web, "GET /a HTTP/1.1\r\nHost: cart\r\nConnection: close\r\n\r\n",
                  PARTS("200 OK"));
}

static void test_requests_are_counted_once_at_each_end(void **state)
{
    struct mesh *m = *state;
    expect_answer(&m->entry_web, "GET /a HTTP/1.1\r\nHost: cart\r\nConnection: close\r\n\r\n",
                  PARTS("200 OK"));
    expect_answer(&m->entry_web, "GET /admin HTTP/1.1\r\nHost: cart\r\nConnection: close\r\n\r\n",
                  PARTS("403"));
    expect_metric(m,
                  "starling_requests_total{service=\"cart\",role=\"near\",status=\"4xx\",flag=\"UAEX\"} 1\n");
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(test_get_crosses_the_mesh_with_the_callers_name),
        T(test_a_forged_caller_header_never_arrives),
        T(test_names_of_a_service_and_proxy_form),
        T(test_head_has_a_length_and_no_body),
        T(test_chunked_body_and_trailers_both_ways),
        T(test_expect_continue_is_passed_on),
        T(test_refusal_names_rule_and_policy),
        T(test_far_agent_refuses_a_caller_nobody_vouches_for),
        T(test_no_endpoint_is_503_with_a_reason),
        T(test_application_that_is_down_is_503_urx),
        T(test_silent_application_is_504_in_time),
        T(test_ambiguous_answer_is_502),
        T(test_half_an_answer_is_cut_and_never_looks_whole),
        T(test_close_delimited_answer_gets_a_real_end),
        T(test_loop_is_508),
        T(test_bad_request_is_400_and_closes),
        T(test_bad_request_says_why_in_headers),
        T(test_http_1_0_without_host),
        T(test_keep_alive_and_the_pool_reuse_connections),
        T(test_pipelined_requests_are_answered_in_order),
        T(test_eight_mebibytes_both_ways),
        T(test_websocket_upgrade_becomes_a_tunnel),
        T(test_tcp_service_by_a_named_port),
        T(test_tcp_that_fills_every_window_goes_on),
        T(test_http_service_by_a_named_port_needs_no_host_of_its_own),
        cmocka_unit_test_setup_teardown(test_callers_are_known_by_the_user_id_of_their_socket, set_up_by_uid,
                                        tear_down),
        T(test_revoked_node_is_cut_and_refused),
        T(test_dead_agent_is_evidence_and_503),
        T(test_the_only_agent_is_dialled_though_it_failed_a_moment_ago),
        T(test_an_address_that_is_taken_is_named),
        T(test_a_head_that_trickles_is_cut_at_its_deadline),
        T(test_drain_finishes_what_is_in_flight),
        T(test_drain_lets_a_request_try_again),
        T(test_bulk_connection_is_handed_to_control),
        T(test_strangers_on_the_mesh_port_are_closed_unanswered),
        T(test_clients_that_reset_at_every_byte_leave_nothing_behind),
        T(test_requests_are_counted_once_at_each_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
