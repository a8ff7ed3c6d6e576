/* The inverse of the compile_*.c files: the same tables (struct key), walked the other way. */
#include "policy/words.h"

#include "policy/compile.h"

/* -- values ----------------------------------------------------------------------------------------- */

void words_duration(struct buf *out, uint64_t ms)
{
    static const struct {
        const char *unit;
        uint64_t ms;
    } units[] = {{"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}};
    if (ms == 0)
        buf_add_str(out, "0s");
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (ms >= units[i].ms)
            buf_addf(out, "%llu%s", (unsigned long long)(ms / units[i].ms), units[i].unit);
        ms %= units[i].ms;
    }
}

/* TYPE_DAYS: what a duration's five digits cannot hold is written in days. */
static void write_days(struct buf *out, uint64_t ms)
{
    const uint64_t day = 86400000;
    if (ms && ms % day == 0)
        buf_addf(out, "%llud", (unsigned long long)(ms / day));
    else
        words_duration(out, ms);
}

void words_share(struct buf *out, uint32_t ppm)
{
    char fraction[8];
    size_t n = (size_t)snprintf(fraction, sizeof fraction, "%04u", ppm % 10000);
    while (n && fraction[n - 1] == '0')
        fraction[--n] = 0;
    buf_addf(out, "%u%s%s%%", ppm / 10000, n ? "." : "", fraction);
}

static void write_size(struct buf *out, uint64_t bytes)
{
    const uint64_t kib = 1024, mib = 1024 * kib;
    bool mega = bytes && bytes % mib == 0, kilo = bytes && bytes % kib == 0;
    buf_addf(out, "%llu%s",
             (unsigned long long)(bytes / (mega   ? mib
                                           : kilo ? kib
                                                  : 1)),
             mega   ? "MiB"
             : kilo ? "KiB"
                    : "B");
}

void words_step(struct buf *out, const struct policy_step *s)
{
    if (s->label.len)
        buf_addf(out, "%.*s=%.*s", (int)s->label.len, (const char *)s->label.at, (int)s->value.len,
                 (const char *)s->value.at);
    else
        words_share(out, s->share_ppm);
}

/* Days to year, month and day: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms" (civil_from_days). */
void words_time(struct buf *out, wall_s t)
{
    if (t <= 0)
        return;
    int64_t days = t / 86400, second = t % 86400, z = days + 719468, era = z / 146097, doe = z - era * 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100), mp = (5 * doy + 2) / 153;
    int64_t day = doy - (153 * mp + 2) / 5 + 1, month = mp < 10 ? mp + 3 : mp - 9;
    buf_addf(out, "%04d-%02d-%02dT%02d:%02d:%02dZ", (int)(yoe + era * 400 + (month <= 2)), (int)month,
             (int)day, (int)(second / 3600), (int)(second / 60 % 60), (int)(second % 60));
}

static void write_quoted(struct buf *out, struct bytes t)
{
    buf_add_u8(out, '"');
    for (size_t i = 0; i < t.len; i++) {
        if (t.at[i] == '"' || t.at[i] == '\\')
            buf_add_u8(out, '\\');
        if (t.at[i] < 0x20 || t.at[i] == 0x7f)
            buf_addf(out, "\\x%02X", t.at[i]);
        else
            buf_add_u8(out, t.at[i]);
    }
    buf_add_u8(out, '"');
}

void words_labels(struct buf *out, const struct labels *l)
{
    buf_add_str(out, "{");
    for (size_t i = 0; l && i < l->count; i++) {
        buf_add_str(out, i ? ", " : "");
        buf_add_bytes(out, l->at[i].key);
        buf_add_str(out, ": ");
        write_quoted(out, l->at[i].value);
    }
    buf_add_str(out, "}");
}

void words_key(struct buf *out, const struct policy_key *k)
{
    if (k->kind == KEY_SOURCE)
        buf_add_str(out, "source");
    else if (k->kind != KEY_NONE)
        buf_addf(out, "{%s: %.*s}", k->kind == KEY_HEADER ? "header" : "cookie", (int)k->name.len,
                 (const char *)k->name.at);
}

void words_header_edit(struct buf *out, const struct policy_header_edit *e)
{
    if (e->set_count + e->remove_count == 0)
        return;
    buf_add_str(out, "{");
    for (size_t i = 0; i < e->set_count; i++) {
        buf_add_str(out, i ? ", " : "set: {");
        buf_add_bytes(out, e->set[i].name);
        buf_add_str(out, ": ");
        write_quoted(out, e->set[i].value);
    }
    buf_add_str(out, !e->set_count ? "" : e->remove_count ? "}, " : "}");
    for (size_t i = 0; i < e->remove_count; i++) {
        buf_add_str(out, i ? ", " : "remove: [");
        buf_add_bytes(out, e->remove[i]);
    }
    buf_add_str(out, e->remove_count ? "]}" : "}");
}

void words_mirror(struct buf *out, const struct policy_mirror *m)
{
    if (m->to)
        buf_addf(out, "{to: %s, percent: %u}", policy_service_name(m->to), m->share_ppm / 10000);
}

void words_rate_limit(struct buf *out, const struct policy_rate_limit *l)
{
    buf_addf(out, "{scope: %s", l->scope == SCOPE_MESH ? "mesh" : "instance");
    if (l->per.kind != KEY_NONE) {
        buf_add_str(out, ", per: ");
        words_key(out, &l->per);
    }
    if (l->route)
        buf_addf(out, ", route: %s", l->route);
    buf_addf(out, ", rate: %llu/%s, burst: %llu", (unsigned long long)l->count,
             l->per_ms == 1000    ? "s"
             : l->per_ms == 60000 ? "m"
                                  : "h",
             (unsigned long long)l->burst);
    if (l->scope == SCOPE_MESH)
        buf_addf(out, ", ifPartitioned: %s", l->if_partitioned == PARTITIONED_FULL ? "full" : "share");
    buf_add_str(out, "}");
}

void words_fault(struct buf *out, const struct policy_fault *f)
{
    buf_add_str(out, "{");
    if (f->abort_ppm) {
        buf_add_str(out, "abort: {");
        if (f->abort_status)
            buf_addf(out, "status: %u, ", f->abort_status);
        buf_addf(out, "percent: %u}, ", f->abort_ppm / 10000);
    }
    if (f->delay_ppm) {
        buf_add_str(out, "delay: {fixed: ");
        words_duration(out, f->delay_ms);
        buf_addf(out, ", percent: %u}, ", f->delay_ppm / 10000);
    }
    buf_add_str(out, "until: ");
    words_time(out, f->until);
    buf_add_str(out, "}");
}

void words_egress(struct buf *out, const struct policy_egress *e)
{
    for (size_t i = 0; i < e->from_count; i++) {
        buf_add_str(out, i ? ", " : "{from: [");
        buf_add_bytes(out, e->from[i]);
    }
    buf_addf(out, "], to: %.*s, ports: [", (int)e->host.len, (const char *)e->host.at);
    for (size_t i = 0; i < e->port_count; i++)
        buf_addf(out, "%s%u", i ? ", " : "", e->port[i]);
    buf_add_str(out, "]}");
}

const char *words_protocol(enum policy_protocol p)
{
    static const char *const words[] = {
        [POLICY_TCP] = "tcp", [POLICY_HTTP] = "http", [POLICY_HTTP2] = "http2", [POLICY_GRPC] = "grpc"};
    return words[p];
}

/* -- matches ---------------------------------------------------------------------------------------- */

static void write_fields(struct buf *out, const char *what, const struct field_match *f, size_t count)
{
    static const char *const tests[] = {
        [FIELD_EXACT] = "exact", [FIELD_PREFIX] = "prefix", [FIELD_REGEX] = "regex"};
    if (count)
        buf_addf(out, "%s%s: {", out->at[out->len - 1] == '{' ? "" : ", ", what);
    for (size_t i = 0; i < count; i++) {
        buf_addf(out, "%s%.*s: {", i ? ", " : "", (int)f[i].name.len, (const char *)f[i].name.at);
        if (f[i].test != FIELD_PRESENT && f[i].test != FIELD_ABSENT) {
            buf_addf(out, "%s: ", tests[f[i].test]);
            write_quoted(out, f[i].regex ? f[i].regex->pattern : f[i].value);
        } else {
            buf_addf(out, "present: %s", f[i].test == FIELD_PRESENT ? "true" : "false");
        }
        buf_add_str(out, "}");
    }
    buf_add_str(out, count ? "}" : "");
}

static void write_path(struct buf *out, const struct route_match *m)
{
    if (m->path_test == PATH_ANY)
        return;
    buf_addf(out, "%spath: {%s: ", m->method ? ", " : "",
             m->path_test == PATH_EXACT    ? "exact"
             : m->path_test == PATH_PREFIX ? "prefix"
                                           : "regex");
    if (m->path_test == PATH_REGEX)
        write_quoted(out, m->path_regex->pattern);
    else
        buf_add_bytes(out, m->path.len ? m->path : bytes_str("/"));
    buf_add_str(out, "}");
}

static void write_match(struct buf *out, const struct policy *p, const struct route_match *m)
{
    buf_add_str(out, "{");
    for (size_t i = 0; i < p->method_count; i++)
        if (m->method >> i & 1)
            buf_addf(out, "method: %.*s", (int)p->method[i].len, (const char *)p->method[i].at);
    write_path(out, m);
    if (buf_ok(out)) {
        write_fields(out, "headers", m->header, m->header_count);
        write_fields(out, "query", m->query, m->query_count);
    }
    buf_add_str(out, "}");
}

static bool is_everything(const struct route_match *m)
{
    return m->method == 0 && m->path_test == PATH_ANY && m->header_count + m->query_count == 0;
}

void words_matches(struct buf *out, const struct policy_service *s, const struct policy_route *r)
{
    const char *between = "[";
    for (size_t i = 0; i < s->match_count; i++) {
        const struct route_match *m = &s->match[i];
        if (&s->route[m->route] != r || is_everything(m))
            continue;
        buf_add_str(out, between);
        write_match(out, s->policy, m);
        between = ", ";
    }
    if (*between == ',')
        buf_add_str(out, "]");
}

void words_match_held(struct buf *out, const struct policy_service *s, const struct policy_route *r,
                      const struct policy_request *rq)
{
    uint64_t method = policy_method_bit(s->policy, rq->method);
    for (size_t i = 0; i < s->match_count; i++)
        if (&s->route[s->match[i].route] == r && route_match_holds(&s->match[i], rq, method)) {
            write_match(out, s->policy, &s->match[i]);
            return;
        }
}

void words_fault_matches(struct buf *out, const struct policy *p, const struct policy_fault *f)
{
    const struct fault *whole = (const struct fault *)f; /* `said` is its first member */
    static_assert(offsetof(struct fault, said) == 0, "a fault is found by what it said");
    for (size_t i = 0; i < whole->match_count; i++) {
        buf_add_str(out, i ? ", " : "[");
        write_match(out, p, &whole->match[i]);
    }
    buf_add_str(out, whole->match_count ? "]" : "");
}

/* -- tables ----------------------------------------------------------------------------------------- */

static uint64_t number_at(const void *field, size_t width)
{
    uint64_t wide;
    uint32_t narrow;
    assert(width == sizeof wide || width == sizeof narrow);
    if (width == sizeof wide)
        return memcpy(&wide, field, sizeof wide), wide;
    return memcpy(&narrow, field, sizeof narrow), narrow;
}

static void write_bits(struct buf *out, const char *const *words, uint64_t bits)
{
    bool first = true;
    buf_add_str(out, "[");
    for (size_t i = 0; words[i]; i++)
        if (bits >> i & 1) {
            buf_addf(out, "%s%s", first ? "" : ", ", words[i]);
            first = false;
        }
    buf_add_str(out, "]");
}

static void write_value(struct buf *out, const struct key *key, const void *base)
{
    const void *field = (const char *)base + key->at;
    uint64_t v = key->type == TYPE_OWN ? 0 : number_at(field, key->width);
    switch (key->type) {
    case TYPE_DURATION:
        words_duration(out, v);
        break;
    case TYPE_DAYS:
        write_days(out, v);
        break;
    case TYPE_NUMBER:
        buf_addf(out, "%llu", (unsigned long long)v);
        break;
    case TYPE_RISE:
        buf_add_str(out, v == UINT32_MAX ? "" : "+");
        if (v == UINT32_MAX)
            break; /* not looked at */
        words_share(out, (uint32_t)v);
        break;
    case TYPE_SHARE:
        words_share(out, (uint32_t)v);
        break;
    case TYPE_SIZE:
        write_size(out, v);
        break;
    case TYPE_WORD:
        buf_add_str(out, key->words[v]);
        break;
    case TYPE_BITS:
        write_bits(out, key->words, v);
        break;
    case TYPE_OWN:
        key->write(out, field);
        break;
    case TYPE_MAP:
        assert(!"a map has no value of its own");
        break;
    }
}

static void add_word(struct policy_words *w, const char *name, struct buf *value, enum policy_feature feature)
{
    assert(w->count < POLICY_WORDS_MAX);
    struct policy_word *one = &w->at[w->count];
    one->key = arena_text(&w->arena, name, strlen(name));
    one->value = arena_text(&w->arena, value->at, value->len);
    one->feature = feature;
    w->arena.failed |= !buf_ok(value);
    w->count += value->len > 0 && one->key && one->value;
}

enum { WORDS_KEY_MAX = 96 };

/* `feature`: of the map that `table` is of, which its keys need as well. */
static void walk(struct policy_words *w, const struct key *table, const char *above,
                 enum policy_feature feature, bool is_tcp, const void *base)
{
    for (const struct key *key = table; key->name; key++) {
        enum policy_feature own = key->feature == FEATURE_NONE ? feature : key->feature;
        char name[WORDS_KEY_MAX];
        struct buf value = {0};
        if (is_tcp && key->wants_requests)
            continue;
        (void)snprintf(name, sizeof name, "%s%s%s", above, *above ? "." : "", key->name);
        if (key->type == TYPE_MAP) {
            walk(w, key->keys, name, own, is_tcp, base);
            continue;
        }
        write_value(&value, key, base);
        add_word(w, name, &value, own);
        buf_fini(&value);
    }
}

void words_of_settings(struct policy_words *w, const struct policy_settings *s, bool is_tcp)
{
    walk(w, compile_settings_keys, "", FEATURE_NONE, is_tcp, s);
}

void words_of_observability(struct policy_words *w, const struct policy_observability *o)
{
    const bool given[] = {o->is_log_given, o->is_access_log_given, o->is_tracing_given, o->is_metrics_given};
    for (size_t i = 0; compile_observability_keys[i].name; i++) {
        const struct key one[] = {compile_observability_keys[i], {.name = NULL}};
        assert(i < sizeof given / sizeof *given);
        if (given[i])
            walk(w, one, "observability", FEATURE_NONE, false, o);
    }
}

void words_of_audit(struct policy_words *w, const struct policy_audit *a)
{
    if (a->is_given)
        walk(w, compile_audit_keys, "audit", FEATURE_AUDIT, false, a);
}

void words_of_rollout(struct policy_words *w, const struct policy_rollout *r)
{
    if (r->step_count)
        walk(w, compile_rollout_keys, "rollout", FEATURE_ROLLOUT, false, r);
}

void words_fini(struct policy_words *w)
{
    arena_fini(&w->arena);
    *w = (struct policy_words){.count = 0};
}

const char *words_value(const struct policy_words *w, const char *key)
{
    for (size_t i = 0; i < w->count; i++)
        if (strcmp(w->at[i].key, key) == 0)
            return w->at[i].value;
    return NULL;
}

struct policy_settings policy_route_settings(const struct policy_service *s, const struct policy_route *r)
{
    struct policy_settings all = s->settings;
    all.timeouts = r->timeouts;
    all.retry = r->retry;
    return all;
}
