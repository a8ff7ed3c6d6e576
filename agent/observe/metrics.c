#include "observe/metrics.h"

#include <assert.h>

enum { TABLE_SLOTS = 32768 }; /* power of two, above twice METRICS_SERIES_MAX and the overflow series */
enum { NAMES_MAX = 1000 }; /* names a set may hold, and so overflow series; they are literals in the code */
static_assert(TABLE_SLOTS > METRICS_SERIES_MAX + 2 * NAMES_MAX, "the table always has a free slot");

enum kind { COUNTER, GAUGE, HISTOGRAM };
static const char *const kind_name[] = {[COUNTER] = "counter", [GAUGE] = "gauge", [HISTOGRAM] = "histogram"};

/* Upper bounds, and how Prometheus spells them in seconds. */
static const struct {
    uint64_t us;
    const char *le;
} bucket[] = {
    {100, "0.0001"}, {250, "0.00025"}, {500, "0.0005"}, {1000, "0.001"},  {2500, "0.0025"}, {5000, "0.005"},
    {10000, "0.01"}, {25000, "0.025"}, {50000, "0.05"}, {100000, "0.1"},  {250000, "0.25"}, {500000, "0.5"},
    {1000000, "1"},  {2500000, "2.5"}, {5000000, "5"},  {10000000, "10"}, {30000000, "30"}, {60000000, "60"},
};
enum { BUCKETS = sizeof bucket / sizeof *bucket };

struct metric_histogram {
    metric_value in[BUCKETS + 1]; /* not cumulated; the last is beyond all bounds */
    metric_value sum_us;
};

/* One series. All but the values is fixed before it is published. */
struct series {
    struct series *_Atomic next;
    const char *name, *help;
    enum kind kind;
    char *labels; /* `key="value",...` as rendered; "" for none */
    uint32_t hash;
    metric_value value;
    struct metric_histogram histogram[]; /* one, if kind is HISTOGRAM */
};

struct metrics {
    struct series *_Atomic first; /* in order of creation */
    struct series *last;          /* the writer's */
    size_t count;                 /* without overflow series */
    metric_value *overflowed;
    metric_value spare_value;
    struct metric_histogram spare_histogram;
    struct series *table[TABLE_SLOTS]; /* the writer's; open addressing, nothing is ever removed */
};

/* ---- labels ---- */

static void put_label_value(struct buf *out, struct bytes v)
{
    size_t n = v.len < METRIC_LABEL_BYTES_MAX ? v.len : METRIC_LABEL_BYTES_MAX;
    for (size_t i = 0; i < n; i++) {
        uint8_t c = v.at[i];
        if (c == '"' || c == '\\') {
            buf_add_u8(out, '\\');
            buf_add_u8(out, c);
        } else if (c >= 0x20 && c < 0x7f) {
            buf_add_u8(out, c);
        } else {
            buf_addf(out, "\\\\x%02x", c);
        }
    }
}

static void put_labels(struct buf *out, const struct metric_label *labels, size_t count)
{
    assert(count <= METRIC_LABELS_MAX);
    for (size_t i = 0; i < count; i++) {
        buf_addf(out, "%s%s=\"", i ? "," : "", labels[i].key);
        put_label_value(out, labels[i].value);
        buf_add_u8(out, '"');
    }
}

/* ---- series ---- */

/* FNV-1a. The table is bounded and its keys are cut and escaped: a flood of collisions costs a look-up, never
 * memory. */
static uint32_t hash_of(const char *name, const char *labels)
{
    uint32_t h = 2166136261u;
    for (; *name; name++)
        h = (h ^ (uint8_t)*name) * 16777619u;
    for (; *labels; labels++)
        h = (h ^ (uint8_t)*labels) * 16777619u;
    return h;
}

static struct series **slot_of(struct metrics *m, const char *name, const char *labels, uint32_t hash)
{
    for (uint32_t i = hash;; i++) {
        struct series **s = &m->table[i % TABLE_SLOTS];
        if (!*s || ((*s)->hash == hash && strcmp((*s)->name, name) == 0 && strcmp((*s)->labels, labels) == 0))
            return s;
    }
}

static void publish(struct metrics *m, struct series *s)
{
    atomic_store_explicit(m->last ? &m->last->next : &m->first, s, memory_order_release);
    m->last = s;
}

static struct series *series_add(struct metrics *m, struct series **slot, enum kind kind, const char *name,
                                 const char *help, const char *labels, uint32_t hash)
{
    struct series *s = calloc(1, sizeof *s + (kind == HISTOGRAM ? sizeof *s->histogram : 0));
    if (!s)
        return NULL;
    s->labels = strdup(labels);
    if (!s->labels) {
        free(s);
        return NULL;
    }
    s->name = name;
    s->help = help;
    s->kind = kind;
    s->hash = hash;
    *slot = s;
    publish(m, s);
    return s;
}

/* NULL: out of memory. */
static struct series *series_get(struct metrics *m, enum kind kind, const char *name, const char *help,
                                 const char *labels)
{
    static const char overflow[] = "overflow=\"true\"";
    uint32_t hash = hash_of(name, labels);
    struct series **slot = slot_of(m, name, labels, hash);
    if (!*slot && m->count >= METRICS_SERIES_MAX) {
        metric_add(m->overflowed, 1);
        hash = hash_of(name, overflow);
        slot = slot_of(m, name, overflow, hash);
        return *slot ? *slot : series_add(m, slot, kind, name, help, overflow, hash);
    }
    if (*slot) {
        assert((*slot)->kind == kind);
        return *slot;
    }
    m->count++;
    return series_add(m, slot, kind, name, help, labels, hash);
}

static struct series *series_of(struct metrics *m, enum kind kind, const char *name, const char *help,
                                const struct metric_label *labels, size_t count)
{
    struct buf text = {0};
    put_labels(&text, labels, count);
    buf_add_u8(&text, 0);
    struct series *s = buf_ok(&text) ? series_get(m, kind, name, help, (const char *)text.at) : NULL;
    buf_fini(&text);
    return s;
}

struct metrics *metrics_new(void)
{
    struct metrics *m = calloc(1, sizeof *m);
    if (!m)
        return NULL;
    m->overflowed = metric_counter(m, "starling_metrics_overflow_total",
                                   "Look-ups of series beyond the limit of a set", NULL, 0);
    return m;
}

void metrics_free(struct metrics *m)
{
    if (!m)
        return;
    for (struct series *s = m->first, *next; s; s = next) {
        next = s->next;
        free(s->labels);
        free(s);
    }
    free(m);
}

metric_value *metric_counter(struct metrics *m, const char *name, const char *help,
                             const struct metric_label *labels, size_t count)
{
    struct series *s = series_of(m, COUNTER, name, help, labels, count);
    return s ? &s->value : &m->spare_value;
}

metric_value *metric_gauge(struct metrics *m, const char *name, const char *help,
                           const struct metric_label *labels, size_t count)
{
    struct series *s = series_of(m, GAUGE, name, help, labels, count);
    return s ? &s->value : &m->spare_value;
}

struct metric_histogram *metric_histogram(struct metrics *m, const char *name, const char *help,
                                          const struct metric_label *labels, size_t count)
{
    struct series *s = series_of(m, HISTOGRAM, name, help, labels, count);
    return s ? s->histogram : &m->spare_histogram;
}

void metric_observe_us(struct metric_histogram *h, uint64_t us)
{
    size_t i = 0;
    while (i < BUCKETS && us > bucket[i].us)
        i++;
    metric_add(&h->in[i], 1);
    metric_add(&h->sum_us, us);
}

/* ---- rendering ---- */

/* Series of one name and labels, added up. */
struct sum {
    uint64_t value, in[BUCKETS + 1], sum_us;
};

static uint64_t read_value(metric_value *v)
{
    return atomic_load_explicit(v, memory_order_relaxed);
}

static void sum_add(struct sum *sum, struct series *s)
{
    sum->value += read_value(&s->value);
    if (s->kind != HISTOGRAM)
        return;
    for (size_t i = 0; i <= BUCKETS; i++)
        sum->in[i] += read_value(&s->histogram->in[i]);
    sum->sum_us += read_value(&s->histogram->sum_us);
}

/* The total is the sum of what was read from the buckets, so that a line read while another was written still
 * agrees. */
static void put_histogram(struct buf *out, const struct series *s, const struct sum *sum)
{
    const char *comma = s->labels[0] ? "," : "", *open = s->labels[0] ? "{" : "",
               *close = s->labels[0] ? "}" : "";
    uint64_t total = 0;
    for (size_t i = 0; i <= BUCKETS; i++) {
        total += sum->in[i];
        buf_addf(out, "%s_bucket{%s%sle=\"%s\"} %llu\n", s->name, s->labels, comma,
                 i < BUCKETS ? bucket[i].le : "+Inf", (unsigned long long)total);
    }
    buf_addf(out, "%s_sum%s%s%s %llu.%06llu\n", s->name, open, s->labels, close,
             (unsigned long long)(sum->sum_us / 1000000), (unsigned long long)(sum->sum_us % 1000000));
    buf_addf(out, "%s_count%s%s%s %llu\n", s->name, open, s->labels, close, (unsigned long long)total);
}

static void put_series(struct buf *out, const struct series *s, const struct sum *sum)
{
    if (s->kind == HISTOGRAM)
        put_histogram(out, s, sum);
    else if (s->labels[0])
        buf_addf(out, "%s{%s} %llu\n", s->name, s->labels, (unsigned long long)sum->value);
    else
        buf_addf(out, "%s %llu\n", s->name, (unsigned long long)sum->value);
}

static int series_cmp(const void *a, const void *b)
{
    const struct series *x = *(struct series *const *)a, *y = *(struct series *const *)b;
    int c = strcmp(x->name, y->name);
    return c ? c : strcmp(x->labels, y->labels);
}

/* All series that are published now, as pointers in `list`. */
static size_t series_gather(struct buf *list, struct metrics *const *sets, size_t count)
{
    for (size_t i = 0; i < count; i++)
        for (struct series *s = atomic_load_explicit(&sets[i]->first, memory_order_acquire); s;
             s = atomic_load_explicit(&s->next, memory_order_acquire))
            buf_add(list, &s, sizeof s);
    return list->len / sizeof(struct series *);
}

enum err metrics_render(struct buf *out, struct metrics *const *sets, size_t count)
{
    struct buf list = {0};
    size_t n = series_gather(&list, sets, count);
    struct series **s = (struct series **)(void *)list.at;
    if (n > 0)
        qsort(s, n, sizeof *s, series_cmp);
    for (size_t i = 0, same; i < n; i += same) {
        struct sum sum = {0};
        for (same = 0; i + same < n && series_cmp(&s[i], &s[i + same]) == 0; same++)
            sum_add(&sum, s[i + same]);
        if (i == 0 || strcmp(s[i - 1]->name, s[i]->name) != 0)
            buf_addf(out, "# HELP %s %s\n# TYPE %s %s\n", s[i]->name, s[i]->help, s[i]->name,
                     kind_name[s[i]->kind]);
        put_series(out, s[i], &sum);
    }
    bool ok = buf_ok(&list) && buf_ok(out);
    buf_fini(&list);
    return ok ? ERR_OK : ERR_NOMEM;
}
