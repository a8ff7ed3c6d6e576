/* Metrics as Prometheus will read them: literal text, bounded series, and a reader beside the writer. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>

#include "observe/metrics.h"

#define HELP_OVERFLOW                                                                                        \
    "# HELP starling_metrics_overflow_total Look-ups of series beyond the limit of a set\n"                  \
    "# TYPE starling_metrics_overflow_total counter\n"

static struct metric_label label(const char *key, const char *value)
{
    return (struct metric_label){key, bytes_str(value)};
}

static void expect_text(struct metrics *const *sets, size_t count, const char *text)
{
    struct buf out = {0};
    assert_int_equal(metrics_render(&out, sets, count), ERR_OK);
    assert_string_equal(buf_str(&out), text);
    buf_fini(&out);
}

static void counters_and_gauges_are_rendered_sorted(void **state)
{
    (void)state;
    struct metrics *m = metrics_new();
    struct metric_label web[] = {label("service", "web"), label("code", "200")},
                        cart[] = {label("service", "cart"), label("code", "200")};
    metric_add(metric_counter(m, "starling_requests_total", "Requests", web, 2), 3);
    metric_set(metric_gauge(m, "starling_members", "Members known", NULL, 0), 7);
    metric_add(metric_counter(m, "starling_requests_total", "Requests", cart, 2), 1);
    metric_add(metric_counter(m, "starling_requests_total", "Requests", web, 2), 2);
    expect_text(&m, 1,
                "# HELP starling_members Members known\n# TYPE starling_members gauge\n"
                "starling_members 7\n" HELP_OVERFLOW "starling_metrics_overflow_total 0\n"
                "# HELP starling_requests_total Requests\n# TYPE starling_requests_total counter\n"
                "starling_requests_total{service=\"cart\",code=\"200\"} 1\n"
                "starling_requests_total{service=\"web\",code=\"200\"} 5\n");
    metrics_free(m);
}

static void sets_are_added_up(void **state)
{
    (void)state;
    struct metrics *sets[2] = {metrics_new(), metrics_new()};
    struct metric_label l[] = {label("flag", "UH")};
    metric_add(metric_counter(sets[0], "starling_refused_total", "Refused", l, 1), 3);
    metric_add(metric_counter(sets[1], "starling_refused_total", "Refused", l, 1), 4);
    expect_text(sets, 2,
                HELP_OVERFLOW "starling_metrics_overflow_total 0\n"
                              "# HELP starling_refused_total Refused\n# TYPE starling_refused_total counter\n"
                              "starling_refused_total{flag=\"UH\"} 7\n");
    metrics_free(sets[0]);
    metrics_free(sets[1]);
}

static void histograms_cumulate_and_count_in_seconds(void **state)
{
    (void)state;
    struct metrics *m = metrics_new();
    struct metric_histogram *h = metric_histogram(m, "starling_seconds", "Latency", NULL, 0);
    metric_observe_us(h, 100);
    metric_observe_us(h, 101);
    metric_observe_us(h, 1500000);
    metric_observe_us(h, 61000000);
    struct buf out = {0};
    assert_int_equal(metrics_render(&out, &m, 1), ERR_OK);
    const char *text = buf_str(&out);
    assert_non_null(strstr(text, "starling_seconds_bucket{le=\"0.0001\"} 1\n"));
    assert_non_null(strstr(text, "starling_seconds_bucket{le=\"0.00025\"} 2\n"));
    assert_non_null(strstr(text, "starling_seconds_bucket{le=\"1\"} 2\n"));
    assert_non_null(strstr(text, "starling_seconds_bucket{le=\"2.5\"} 3\n"));
    assert_non_null(strstr(text, "starling_seconds_bucket{le=\"60\"} 3\n"));
    assert_non_null(strstr(text, "starling_seconds_bucket{le=\"+Inf\"} 4\n"));
    assert_non_null(strstr(text, "starling_seconds_sum 62.500201\nstarling_seconds_count 4\n"));
    buf_fini(&out);
    metrics_free(m);
}

static void label_values_cannot_leave_their_quotes(void **state)
{
    (void)state;
    struct metrics *m = metrics_new(); /* P37 */
    struct metric_label l[] = {label("path", "a\"} 1\nforged{x=\"\\\x1b\xff")};
    metric_add(metric_counter(m, "starling_x_total", "X", l, 1), 1);
    expect_text(&m, 1,
                HELP_OVERFLOW
                "starling_metrics_overflow_total 0\n"
                "# HELP starling_x_total X\n# TYPE starling_x_total counter\n"
                "starling_x_total{path=\"a\\\"} 1\\\\x0aforged{x=\\\"\\\\\\\\x1b\\\\xff\"} 1\n");
    metrics_free(m);
}

static void long_label_values_are_cut(void **state)
{
    (void)state;
    struct metrics *m = metrics_new();
    char a[400], b[400];
    memset(a, 'a', sizeof a);
    memset(b, 'a', sizeof b);
    b[METRIC_LABEL_BYTES_MAX] = 'b';
    struct metric_label la[] = {{"x", bytes_of(a, sizeof a)}}, lb[] = {{"x", bytes_of(b, sizeof b)}};
    assert_ptr_equal(metric_counter(m, "n_total", "N", la, 1), metric_counter(m, "n_total", "N", lb, 1));
    metrics_free(m);
}

static void series_are_bounded_and_the_rest_is_counted(void **state)
{
    (void)state;
    struct metrics *m = metrics_new(); /* P37: many distinct paths as labels */
    char path[32];
    for (int i = 0; i < METRICS_SERIES_MAX + 500; i++) {
        snprintf(path, sizeof path, "/p/%d", i);
        struct metric_label l[] = {label("path", path)};
        metric_add(metric_counter(m, "starling_paths_total", "Paths", l, 1), 1);
    }
    struct buf out = {0};
    assert_int_equal(metrics_render(&out, &m, 1), ERR_OK);
    /* One series of the set counts the overflow itself. */
    assert_non_null(strstr(buf_str(&out), "starling_metrics_overflow_total 501\n"));
    assert_non_null(strstr(buf_str(&out), "starling_paths_total{overflow=\"true\"} 501\n"));
    size_t lines = 0;
    for (size_t i = 0; i < out.len; i++)
        lines += out.at[i] == '\n';
    assert_int_equal(lines, METRICS_SERIES_MAX + 1 + 4);
    /* A series from before the limit is still itself. */
    struct metric_label first[] = {label("path", "/p/0")};
    metric_value *v = metric_counter(m, "starling_paths_total", "Paths", first, 1);
    assert_int_equal(*v, 1);
    buf_fini(&out);
    metrics_free(m);
}

struct reader {
    struct metrics *m;
    atomic_bool stop;
    size_t rounds;
    bool wrong;
};

/* Until told to stop: totals never fall, and every text is whole. */
static void *read_along(void *arg)
{
    struct reader *r = arg;
    unsigned long long before = 0;
    do {
        struct buf out = {0};
        enum err e = metrics_render(&out, &r->m, 1);
        const char *at = strstr(buf_str(&out), "\nstarling_ticks_total ");
        unsigned long long now = at ? strtoull(at + strlen("\nstarling_ticks_total "), NULL, 10) : 0;
        r->wrong |= e != ERR_OK || now < before || (out.len > 0 && out.at[out.len - 1] != '\n');
        before = now;
        buf_fini(&out);
        r->rounds++;
    } while (!atomic_load(&r->stop));
    return NULL;
}

static void a_reader_beside_the_writer_sees_whole_series(void **state)
{
    (void)state;
    struct reader r = {.m = metrics_new()};
    metric_value *ticks = metric_counter(r.m, "starling_ticks_total", "Ticks", NULL, 0);
    struct metric_histogram *h = metric_histogram(r.m, "starling_seconds", "Latency", NULL, 0);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, read_along, &r), 0);
    for (unsigned i = 0; i < 2000; i++) {
        char name[32];
        snprintf(name, sizeof name, "s%u", i);
        struct metric_label l[] = {label("service", name)};
        metric_add(metric_counter(r.m, "starling_requests_total", "Requests", l, 1), 1);
        metric_add(ticks, 1);
        metric_observe_us(h, i);
    }
    atomic_store(&r.stop, true);
    pthread_join(thread, NULL);
    assert_false(r.wrong);
    assert_true(r.rounds > 0);
    assert_int_equal(*ticks, 2000);
    metrics_free(r.m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counters_and_gauges_are_rendered_sorted),
        cmocka_unit_test(sets_are_added_up),
        cmocka_unit_test(histograms_cumulate_and_count_in_seconds),
        cmocka_unit_test(label_values_cannot_leave_their_quotes),
        cmocka_unit_test(long_label_values_are_cut),
        cmocka_unit_test(series_are_bounded_and_the_rest_is_counted),
        cmocka_unit_test(a_reader_beside_the_writer_sees_whole_series),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
