/* Health checks of this host's services against real sockets: what counts as healthy, and how soon that changes. */
#include "control_world.h"

#include "control/health.h"
#include "observe/log.h"

static struct turning turning;
static struct health *health;
static struct config config;
static bool healthy[CONFIG_SERVICES_MAX];
static size_t changes;

/* An application that answers every connection with `answer`, or takes it and says nothing. */
static struct {
    struct net_listener *listener;
    struct addr at;
    const char *answer;
    size_t asked;
    struct net_conn *conn[64];
    size_t conns;
} app;

static void app_data(void *arg, struct bytes in)
{
    struct buf out = {0};
    (void)in;
    app.asked++;
    if (app.answer)
        buf_add_str(&out, app.answer);
    net_conn_write_take(arg, &out);
    buf_fini(&out);
}
static void app_nothing(void *arg)
{
    (void)arg;
}
static void app_closed(void *arg, enum err why)
{
    (void)arg;
    (void)why;
}

static void app_accept(void *arg, struct net_conn *c)
{
    static const struct net_conn_events ev = {app_data, app_nothing, app_closed, app_nothing, app_nothing};
    (void)arg;
    if (app.conns == sizeof app.conn / sizeof *app.conn) {
        net_conn_free(c);
        return;
    }
    app.conn[app.conns++] = c;
    net_conn_events_set(c, &ev, c);
}

static void app_listen(void)
{
    struct addr at = app.at;
    if (at.port == 0)
        assert_true(addr_of_ip(&at, "127.0.0.1", 0));
    assert_int_equal(net_listen(&app.listener, turning.loop, &at, false, &app.at, app_accept, NULL), ERR_OK);
}

static void on_changed(void *arg, size_t index, bool is_healthy)
{
    (void)arg;
    healthy[index] = is_healthy;
    changes++;
}

static void step(mono_ms now)
{
    health_step(health, now);
}

static void check_service(const char *name, const char *path, uint32_t timeout_ms)
{
    struct config_service *s = &config.service[config.service_count++];
    *s = (struct config_service){.app = app.at, .protocol = PROTOCOL_HTTP};
    strcpy(s->name, name);
    s->health.kind = path ? HEALTH_HTTP : HEALTH_TCP;
    strcpy(s->health.path, path ? path : "");
    s->health.interval_ms = 10;
    s->health.timeout_ms = timeout_ms;
}

static void set(void)
{
    health_set(health, &config, healthy, net_now(turning.loop));
}

static int begin(void **state)
{
    (void)state;
    log_level_set(LOG_ERROR);
    memset(&app, 0, sizeof app);
    config = (struct config){.service_count = 0};
    memset(healthy, 0, sizeof healthy);
    changes = 0;
    turning_make(&turning, step);
    health = health_new(turning.loop, on_changed, NULL);
    assert_non_null(health);
    app_listen();
    return 0;
}

static int end(void **state)
{
    (void)state;
    health_free(health);
    for (size_t i = 0; i < app.conns; i++)
        net_conn_free(app.conn[i]);
    net_listener_free(app.listener);
    net_loop_free(turning.loop);
    return 0;
}

static bool first_is_healthy(void)
{
    return healthy[0];
}
static bool first_is_unhealthy(void)
{
    return !healthy[0];
}
static bool asked_thrice(void)
{
    return app.asked >= 3;
}

static void a_service_without_a_check_is_healthy(void **state)
{
    (void)state;
    check_service("plain", NULL, 1000);
    config.service[0].health.kind = HEALTH_NONE;
    set();
    assert_true(healthy[0]);
    assert_true(health_deadline(health) == NEVER);
}

static void a_port_that_opens_is_healthy_and_two_failures_end_that(void **state)
{
    (void)state;
    check_service("db", NULL, 1000);
    set();
    assert_false(healthy[0]); /* until its first success */
    turn_until(&turning, first_is_healthy);
    net_listener_free(app.listener);
    assert_string_equal(health_why(health, 0), "");
    turn_until(&turning, first_is_unhealthy);
    assert_string_equal(health_why(health, 0), "refused");
    app_listen();
    turn_until(&turning, first_is_healthy);
    assert_int_equal(changes, 3);
}

static void an_answer_of_200_is_healthy_and_500_is_not(void **state)
{
    (void)state;
    app.answer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    check_service("cart", "/healthz", 1000);
    set();
    turn_until(&turning, first_is_healthy);
    app.answer = "HTTP/1.1 500 Broken\r\nContent-Length: 0\r\n\r\n";
    turn_until(&turning, first_is_unhealthy);
    assert_string_equal(health_why(health, 0), "answered 500");
}

static void what_is_not_http_or_never_comes_is_unhealthy(void **state)
{
    (void)state;
    app.answer = "SSH-2.0-OpenSSH_9.2\r\n";
    check_service("cart", "/healthz", 1000);
    set();
    turn_until(&turning, asked_thrice);
    assert_false(healthy[0]);
    assert_string_equal(health_why(health, 0), "answered what is not HTTP");
    app.answer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    turn_until(&turning, first_is_healthy);
    app.answer = NULL; /* it hangs; the time-out is the failure */
    config.service[0].health.timeout_ms = 20;
    set();
    turn_until(&turning, first_is_unhealthy);
    assert_string_equal(health_why(health, 0), "timed out");
}

static void after_a_reload_what_is_unchanged_keeps_its_state(void **state)
{
    (void)state;
    check_service("db", NULL, 1000);
    set();
    turn_until(&turning, first_is_healthy);
    struct config_service kept = config.service[0];
    config.service_count = 0;
    check_service("other", NULL, 1000);
    config.service[config.service_count++] = kept;
    config.service[1].health.interval_ms = 3600000;
    set();
    assert_false(healthy[0]);
    assert_true(healthy[1]); /* at its new place */
    turn_until(&turning, first_is_healthy);
    config.service_count = 0;
    set();
    assert_true(health_deadline(health) == NEVER);
}

int main(void)
{
#define STORY(f) cmocka_unit_test_setup_teardown(f, begin, end)
    const struct CMUnitTest tests[] = {
        STORY(a_service_without_a_check_is_healthy),
        STORY(a_port_that_opens_is_healthy_and_two_failures_end_that),
        STORY(an_answer_of_200_is_healthy_and_500_is_not),
        STORY(what_is_not_http_or_never_comes_is_unhealthy),
        STORY(after_a_reload_what_is_unchanged_keeps_its_state),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
