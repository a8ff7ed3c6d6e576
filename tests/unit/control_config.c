/* agent.yaml and the command line: what is taken, what wins, and what is said of mistakes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <unistd.h>

#include "control/config.h"

static struct config config;
static struct complaints complaints;

static enum err load_text(const char *text, struct config_flags flags)
{
    char path[] = "/tmp/starling-config-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
    flags.config = path;
    buf_fini(&complaints.text);
    complaints = (struct complaints){.file = "command line"};
    enum err e = config_load(&config, &flags, &complaints);
    unlink(path);
    return e;
}

static const char *said(void)
{
    return buf_str(&complaints.text);
}

static void the_whole_file_is_taken(void **state)
{
    (void)state;
    struct config_flags none = {.data = NULL};
    assert_int_equal(
        load_text("node: host-a\n"
                  "data: /srv/starling\n"
                  "token: /etc/join.token\n"
                  "listen: [0.0.0.0:7400, \"[::]:7400\"]\n"
                  "advertise: 10.0.0.5:7400\n"
                  "seeds: [10.0.0.1:7400, seeds.shop.internal]\n"
                  "labels: {zone: eu-1a, region: eu-1}\n"
                  "entry: off\n"
                  "admin: 127.0.0.1:9999\n"
                  "log: warn\n"
                  "workers: 3\n"
                  "drain: 1m\n"
                  "services:\n"
                  "  - {name: cart, port: 8080, protocol: http, labels: {version: \"1\"}, health: {http: "
                  "/healthz, interval: 2s}}\n"
                  "  - {name: db, port: 5432, protocol: tcp, address: \"::1\", health: {tcp: true}}\n"
                  "callers:\n"
                  "  - {service: web, uid: root}\n"
                  "  - {service: batch, entry: 127.0.0.1:7481}\n"
                  "upstreams:\n"
                  "  - {service: db, listen: 127.0.0.1:5432}\n",
                  none),
        ERR_OK);
    char text[ADDR_TEXT_MAX];
    assert_string_equal(config.node, "host-a");
    assert_string_equal(config.data, "/srv/starling");
    assert_string_equal(config.token_path, "/etc/join.token");
    assert_int_equal(config.listen_count, 2);
    assert_string_equal(addr_text(&config.listen[1], text), "[::]:7400");
    assert_string_equal(addr_text(&config.advertise[0], text), "10.0.0.5:7400");
    assert_string_equal(config.seed[1], "seeds.shop.internal");
    assert_int_equal(config.label_count, 2);
    assert_int_equal(config.http_entry.port, 0);
    assert_int_equal(config.admin.port, 9999);
    assert_int_equal(config.log_level, LOG_WARN);
    assert_int_equal(config.workers, 3);
    assert_int_equal(config.drain_ms, 60000);
    assert_int_equal(config.service[0].health.kind, HEALTH_HTTP);
    assert_int_equal(config.service[0].health.interval_ms, 2000);
    assert_string_equal(addr_text(&config.service[1].app, text), "[::1]:5432");
    assert_int_equal(config.service[1].protocol, PROTOCOL_TCP);
    assert_true(config.caller[0].by_uid && config.caller[0].uid == 0);
    assert_int_equal(config.caller[1].entry.port, 7481);
    assert_int_equal(config.upstream[0].listen.port, 5432);
}

static void a_flag_wins_over_the_file(void **state)
{
    (void)state;
    const char *const seeds[] = {"10.0.0.9:1,10.0.0.8"};
    const char *const services[] = {"pay=9000,version=2,tier=gold", "raw=[::1]:7000/tcp"};
    const char *const healths[] = {"raw=tcp", "cart=/healthz"};
    struct config_flags f = {.node = "other",
                             .listen = "10.0.0.2:7000",
                             .port_base = "8000",
                             .seeds = {1, seeds},
                             .services = {2, services},
                             .healths = {2, healths}};
    assert_int_equal(load_text("node: host-a\nseeds: [10.0.0.1]\nservices: [{name: cart, port: 1, health: "
                               "{http: /a, interval: 9s}}]\n",
                               f),
                     ERR_OK);
    assert_string_equal(config.node, "other");
    assert_int_equal(config.seed_count, 2);
    assert_string_equal(config.seed[0], "10.0.0.9:1");
    assert_string_equal(config.seed[1], "10.0.0.8");
    assert_int_equal(config.admin.port, 8001);
    assert_int_equal(config.http_entry.port, 8080);
    assert_int_equal(config.service_count, 3);
    assert_string_equal(config.service[1].label[1].value, "gold");
    assert_int_equal(config.service[2].protocol, PROTOCOL_TCP);
    assert_int_equal(config.service[0].health.kind, HEALTH_HTTP);
    assert_string_equal(config.service[0].health.path, "/healthz");
    assert_int_equal(config.service[0].health.interval_ms, 9000);
    assert_int_equal(config.service[1].health.kind, HEALTH_NONE);
    assert_int_equal(config.service[2].health.kind, HEALTH_TCP);
    /* What is listened on is told to others, unless something else is. */
    assert_true(addr_eq(&config.advertise[0], &config.listen[0]));
}

static void a_mistake_is_named_with_its_place(void **state)
{
    (void)state;
    static const struct {
        const char *text, *place, *words;
    } cases[] = {
        {"node: Host_A\n", ":1:7:", "Host_A"},
        {"seeds: [\"10.0.0.1:port\"]\n", ":1:9:", "10.0.0.1:port"},
        {"\nsevices: []\n", ":2:1:", "services"},
        {"services: [{name: cart}]\n", ":1:12:", "port"},
        {"services: [{name: cart, port: 70000}]\n", ":1:31:", "70000"},
        {"services: [{name: cart, port: 1, protocol: udp}]\n", ":1:44:", "http or tcp"},
        {"services: [{name: cart, port: 1, health: {http: /x, tcp: true}}]\n", ":1:42:", "exactly one"},
        {"services: [{name: cart, port: 1, health: {http: x}}]\n", ":1:49:", "begins with '/'"},
        {"callers: [{service: web}]\n", ":1:11:", "uid"},
        {"callers: [{service: web, uid: no-such-user-here}]\n", ":1:31:", "no-such-user-here"},
        {"upstreams: [{service: db}]\n", ":1:13:", "listen"},
        {"listen: [1.2.3.4:1, 1.2.3.4:2, 1.2.3.4:3]\n", ":1:9:", "two"},
        {"log: loud\n", ":1:6:", "loud"},
        {"workers: many\n", ":1:10:", "many"},
        {"drain: 2h\n", ":1:8:", "1h"},
        {"- a\n", ":1:1:", "map"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct config_flags f = {.node = strstr(cases[i].text, "node") ? NULL : "n",
                                 .listen = strstr(cases[i].text, "listen: [") ? NULL : "127.0.0.1:1"};
        assert_int_equal(load_text(cases[i].text, f), ERR_INVALID);
        if (!strstr(said(), cases[i].place) || !strstr(said(), cases[i].words))
            fail_msg("%s -> %s (wanted %s and %s)", cases[i].text, said(), cases[i].place, cases[i].words);
    }
}

static void several_mistakes_are_told_at_once(void **state)
{
    (void)state;
    struct config_flags f = {.node = "n", .listen = "127.0.0.1:1"};
    assert_int_equal(load_text("log: loud\nworkers: 0\nnonsense: 1\n", f), ERR_INVALID);
    assert_int_equal(complaints.count, 3);
}

static void a_wrong_flag_is_named(void **state)
{
    (void)state;
    const char *const bad_service[] = {"cart"}, *const bad_caller[] = {"web=uid:no-such-user-here"},
                      *const bad_upstream[] = {"Db=1"};
    const char *const bad_health[] = {"web=/nobody-has-it"};
    struct config_flags f = {.node = "n",
                             .listen = "nowhere",
                             .healths = {1, bad_health},
                             .log_level = "loud",
                             .port_base = "70000",
                             .services = {1, bad_service},
                             .callers = {1, bad_caller},
                             .upstreams = {1, bad_upstream}};
    assert_int_equal(load_text("# nothing is set here\n", f), ERR_INVALID);
    for (size_t i = 0; i < 7; i++) {
        static const char *const flag[] = {"--listen", "--log",      "--port-base", "--service",
                                           "--caller", "--upstream", "--health"};
        if (!strstr(said(), flag[i]))
            fail_msg("%s is not named in: %s", flag[i], said());
    }
}

static void a_service_may_be_listed_once(void **state)
{
    (void)state;
    struct config_flags f = {.node = "n", .listen = "127.0.0.1:1"};
    assert_int_equal(load_text("services: [{name: a, port: 1}, {name: a, port: 2}]\n", f), ERR_INVALID);
    assert_non_null(strstr(said(), "twice"));
}

static void what_needs_a_restart_is_named_and_nothing_else(void **state)
{
    (void)state;
    struct config_flags f = {.node = "n", .listen = "127.0.0.1:1"};
    static struct config old;
    struct buf names = {0};
    assert_int_equal(load_text("seeds: [10.0.0.1]\nworkers: 1\n", f), ERR_OK);
    old = config;
    assert_int_equal(
        load_text("seeds: [10.0.0.2]\nworkers: 1\nlog: debug\nservices: [{name: a, port: 1}]\n", f), ERR_OK);
    config_restart_needed(&old, &config, &names);
    assert_int_equal(names.len, 0);
    assert_int_equal(
        load_text("workers: 2\nentry: off\ncallers: [{service: web, uid: root}]\nlabels: {zone: a}\n", f),
        ERR_OK);
    config_restart_needed(&old, &config, &names);
    assert_string_equal(buf_str(&names), "labels, entry, workers, callers");
    buf_fini(&names);
}

static int end(void **state)
{
    (void)state;
    buf_fini(&complaints.text);
    return 0;
}

/* A directory service may take its time, and the loop that reads again is also the failure detector. */
static void read_again_it_asks_for_no_user(void **state)
{
    (void)state;
    static struct config again;
    const char *const callers[] = {"web=uid:root"}, *const changed[] = {"web=uid:root",
                                                                        "cart=uid:no-such-user"};
    struct config_flags f = {.node = "n", .listen = "127.0.0.1:1", .callers = {1, callers}};
    struct buf names = {0};
    assert_int_equal(load_text("", f), ERR_OK);
    assert_int_equal(config_load_again(&again, &config, &f, &complaints), ERR_OK);
    config_restart_needed(&config, &again, &names);
    assert_int_equal(names.len, 0);
    f.callers = (struct config_list){2, changed};
    assert_int_equal(config_load_again(&again, &config, &f, &complaints), ERR_OK);
    assert_int_equal(again.caller[0].uid, 0);
    config_restart_needed(&config, &again, &names);
    assert_string_equal(buf_str(&names), "callers"); /* and the next start says that there is no such user */
    assert_int_equal(config_load(&again, &f, &complaints), ERR_INVALID);
    buf_fini(&names);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_whole_file_is_taken),
        cmocka_unit_test(a_flag_wins_over_the_file),
        cmocka_unit_test(a_mistake_is_named_with_its_place),
        cmocka_unit_test(several_mistakes_are_told_at_once),
        cmocka_unit_test(a_wrong_flag_is_named),
        cmocka_unit_test(a_service_may_be_listed_once),
        cmocka_unit_test(what_needs_a_restart_is_named_and_nothing_else),
        cmocka_unit_test(read_again_it_asks_for_no_user),
    };
    return cmocka_run_group_tests(tests, NULL, end);
}
