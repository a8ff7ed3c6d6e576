/* What is said for the mesh as a whole: observability, audit, rollout. */
#include "policy/compile.h"
#include "policy/words.h"

/* -- observability ---------------------------------------------------------------------------------- */

#define AT(field) KEY_AT(struct policy_observability, field)

static const char *const level_words[] = {[POLICY_LOG_DEBUG] = "debug",
                                          [POLICY_LOG_INFO] = "info",
                                          [POLICY_LOG_WARN] = "warn",
                                          [POLICY_LOG_ERROR] = "error",
                                          NULL};
static const char *const format_words[] = {[LOG_FORMAT_JSON] = "json", [LOG_FORMAT_TEXT] = "text", NULL};
static const char *const always_words[] = {"errors", "denied", "audited", NULL};        /* ACCESS_x */
static const char *const propagate_words[] = {"w3c", "b3", NULL};                       /* PROPAGATE_x */
static const char *const label_words[] = {"route", "method", "subset", "caller", NULL}; /* METRIC_x */

static void read_modules(struct compile *k, const struct yaml_node *n, void *field)
{
    struct policy_observability *o = field;
    size_t level;
    if (!yaml_is(n, YAML_MAP, "modules", k->c))
        return;
    if (n->count > POLICY_MODULES_MAX) {
        complain_of(k->c, CODE_LIMIT, n, "at most %d modules have a level of their own", POLICY_MODULES_MAX);
        return;
    }
    struct policy_log_module *m = arena_take(&k->p->arena, n->count, sizeof *m);
    for (size_t i = 0; m && i < n->count; i++) {
        const char *name = compile_word(k, n->key[i], "module");
        if (name && yaml_one_of(n->child[i], level_words, &level, k->c))
            m[o->log_module_count++] = (struct policy_log_module){name, (enum policy_log_level)level};
    }
    o->log_module = m;
}

static void write_modules(struct buf *out, const void *field)
{
    const struct policy_observability *o = field;
    for (size_t i = 0; i < o->log_module_count; i++)
        buf_addf(out, "%s%s: %s", i ? ", " : "{", o->log_module[i].name, level_words[o->log_module[i].level]);
    buf_add_str(out, o->log_module_count ? "}" : "");
}

static void read_redact(struct compile *k, const struct yaml_node *n, void *field)
{
    struct policy_observability *o = field;
    if (!yaml_is(n, YAML_LIST, "redact", k->c))
        return;
    if (n->count > POLICY_EDITS_MAX) {
        complain_of(k->c, CODE_LIMIT, n, "`redact` names at most %d headers", POLICY_EDITS_MAX);
        return;
    }
    struct bytes *list = arena_take(&k->p->arena, n->count, sizeof *list);
    o->access_redact_count = 0;
    for (size_t i = 0; list && i < n->count; i++)
        if ((list[o->access_redact_count] = compile_header_name(k, n->child[i])).len)
            o->access_redact_count++;
    o->access_redact = list;
}

static void write_redact(struct buf *out, const void *field)
{
    const struct policy_observability *o = field;
    buf_add_str(out, "[");
    for (size_t i = 0; i < o->access_redact_count; i++)
        buf_addf(out, "%s%.*s", i ? ", " : "", (int)o->access_redact[i].len,
                 (const char *)o->access_redact[i].at);
    buf_add_str(out, "]");
}

/* http://HOST:PORT/PATH, as OTLP over HTTP has it; nothing in it that would need quoting. */
static void read_otlp(struct compile *k, const struct yaml_node *n, void *field)
{
    static const char scheme[] = "http://", secure[] = "https://";
    struct bytes t;
    if (!yaml_string(n, "otlp", &t, k->c))
        return;
    size_t skip = strncmp(n->text, scheme, strlen(scheme)) == 0   ? strlen(scheme)
                  : strncmp(n->text, secure, strlen(secure)) == 0 ? strlen(secure)
                                                                  : t.len;
    bool good = skip < t.len && t.at[skip] != '/' && t.len <= 2048;
    for (size_t i = 0; good && i < t.len; i++)
        good = t.at[i] > 0x20 && t.at[i] < 0x7f;
    if (!good)
        complain_of(k->c, CODE_VALUE, n, "expected a URL such as http://127.0.0.1:4318; found `%.60s`",
                    n->text);
    else
        *(const char **)field = arena_text(&k->p->arena, t.at, t.len);
}

static void write_otlp(struct buf *out, const void *field)
{
    const char *url = *(const char *const *)field;
    buf_add_str(out, url ? url : "");
}

static const struct key log_keys[] = {
    {"level", TYPE_WORD, AT(log_level), .words = level_words, .feature = FEATURE_NONE},
    {"modules", TYPE_OWN, .read = read_modules, .write = write_modules, .feature = FEATURE_NONE},
    {.name = NULL}};
static const struct key access_keys[] = {
    {"format", TYPE_WORD, AT(access_format), .words = format_words, .feature = FEATURE_NONE},
    {"sample", TYPE_SHARE, AT(access_sample_ppm), .max = 100, .feature = FEATURE_NONE},
    {"always", TYPE_BITS, AT(access_always), .words = always_words, .feature = FEATURE_NONE},
    {"redact", TYPE_OWN, .read = read_redact, .write = write_redact, .feature = FEATURE_NONE},
    {.name = NULL}};
static const struct key tracing_keys[] = {
    {"sample", TYPE_SHARE, AT(tracing_sample_ppm), .max = 100, .feature = FEATURE_NONE},
    {"propagate", TYPE_BITS, AT(tracing_propagate), .words = propagate_words, .feature = FEATURE_NONE},
    {"otlp", TYPE_OWN, AT(tracing_otlp), .read = read_otlp, .write = write_otlp, .feature = FEATURE_NONE},
    {.name = NULL}};
static const struct key metrics_keys[] = {
    {"labels", TYPE_BITS, AT(metric_labels), .words = label_words, .feature = FEATURE_NONE},
    {"maxSeries", TYPE_NUMBER, AT(metric_series_max), 100, 1000000, .feature = FEATURE_NONE},
    {.name = NULL}};
const struct key compile_observability_keys[] = {
    {"log", TYPE_MAP, .keys = log_keys, .feature = FEATURE_LOG},
    {"accessLog", TYPE_MAP, .keys = access_keys, .feature = FEATURE_ACCESS_LOG},
    {"tracing", TYPE_MAP, .keys = tracing_keys, .feature = FEATURE_TRACING},
    {"metrics", TYPE_MAP, .keys = metrics_keys, .feature = FEATURE_METRICS},
    {.name = NULL}};
#undef AT

static void observability_defaults(struct policy_observability *o)
{
    static const struct bytes redact[] = {{(const uint8_t *)"authorization", 13},
                                          {(const uint8_t *)"cookie", 6}};
    *o = (struct policy_observability){.log_level = POLICY_LOG_INFO,
                                       .access_format = LOG_FORMAT_JSON,
                                       .access_sample_ppm = 10000,
                                       .access_always = ACCESS_ERRORS | ACCESS_DENIED,
                                       .access_redact_count = sizeof redact / sizeof *redact,
                                       .access_redact = redact,
                                       .tracing_sample_ppm = 10000,
                                       .tracing_propagate = PROPAGATE_W3C,
                                       .metric_labels = METRIC_ROUTE | METRIC_METHOD,
                                       .metric_series_max = 10000};
}

void compile_observability(struct compile *k, const struct yaml_node *n)
{
    struct policy_observability *o = &k->p->observability;
    compile_keys(k, compile_observability_keys, n, false, o);
    o->is_log_given = yaml_get(n, "log");
    o->is_access_log_given = yaml_get(n, "accessLog");
    o->is_tracing_given = yaml_get(n, "tracing");
    o->is_metrics_given = yaml_get(n, "metrics");
}

/* -- audit ------------------------------------------------------------------------------------------ */

#define AT(field) KEY_AT(struct policy_audit, field)
static const char *const record_words[] = {"policy", "identity", "membership", "denied", "admin", NULL};
const struct key compile_audit_keys[] = {
    {"record", TYPE_BITS, AT(record), .words = record_words, .feature = FEATURE_NONE}, /* AUDIT_x */
    {"keep", TYPE_DAYS, AT(keep_ms), .feature = FEATURE_NONE},
    {"witnesses", TYPE_NUMBER, AT(witnesses), .max = 16, .feature = FEATURE_NONE},
    {"every", TYPE_DURATION, AT(every_ms), .feature = FEATURE_NONE},
    {.name = NULL}};
#undef AT

void compile_audit(struct compile *k, const struct yaml_node *n)
{
    compile_need(k, FEATURE_AUDIT, n);
    compile_keys(k, compile_audit_keys, n, false, &k->p->audit);
    k->p->audit.is_given = true;
    if (k->p->audit.every_ms == 0)
        complain_of(k->c, CODE_VALUE, n, "`every` must be above 0s");
}

/* -- rollout ---------------------------------------------------------------------------------------- */

#define AT(field) KEY_AT(struct policy_rollout, field)
static void read_steps(struct compile *k, const struct yaml_node *n, void *field);
static void write_steps(struct buf *out, const void *field);

static const struct key halt_keys[] = {
    {"errorRate", TYPE_RISE, AT(halt_error_ppm), .max = 100, .feature = FEATURE_NONE},
    {"p99", TYPE_RISE, AT(halt_p99_ppm), .max = 1000, .feature = FEATURE_NONE},
    {"denied", TYPE_RISE, AT(halt_denied_ppm), .max = 100, .feature = FEATURE_NONE},
    {"minRequests", TYPE_NUMBER, AT(halt_min_requests), 1, 1000000000, .feature = FEATURE_NONE},
    {.name = NULL}};
const struct key compile_rollout_keys[] = {
    {"steps", TYPE_OWN, .read = read_steps, .write = write_steps, .feature = FEATURE_NONE},
    {"pause", TYPE_DURATION, AT(pause_ms), .feature = FEATURE_NONE},
    {"haltIf", TYPE_MAP, .keys = halt_keys, .feature = FEATURE_NONE},
    {.name = NULL}};
#undef AT

/* "10%", or "ring=canary". */
static bool read_step(struct compile *k, struct policy_step *s, const struct yaml_node *n)
{
    struct bytes t;
    if (!yaml_string(n, "steps", &t, k->c))
        return false;
    const uint8_t *equals = memchr(t.at, '=', t.len);
    if (!equals)
        return yaml_percent_ppm(n, &s->share_ppm, 100, k->c);
    s->label = compile_copy(k, bytes_of(t.at, (size_t)(equals - t.at)));
    s->value = compile_copy(k, bytes_of(equals + 1, (size_t)(t.at + t.len - equals - 1)));
    if (label_is_sound(s->label) && label_is_sound(s->value))
        return true;
    complain_of(k->c, CODE_NAME, n, "no host has this label: 1 to %d letters, digits or -_./:+@", LABEL_MAX);
    return false;
}

static void check_steps(struct compile *k, const struct policy_rollout *r, const struct yaml_node *n)
{
    uint32_t reached = 0;
    for (size_t i = 0; i < r->step_count; i++) {
        if (r->step[i].label.len)
            continue;
        if (r->step[i].share_ppm <= reached)
            complain_of(k->c, CODE_VALUE, n->child[i], "shares must rise from step to step");
        reached = r->step[i].share_ppm;
    }
    if (reached != POLICY_PPM || r->step[r->step_count - 1].label.len)
        complain_of(k->c, CODE_MISSING, n,
                    "the last step must be 100%%, or some would never get this version");
}

static void read_steps(struct compile *k, const struct yaml_node *n, void *field)
{
    struct policy_rollout *r = field;
    if (!compile_list(k, n, "steps", POLICY_STEPS_MAX))
        return;
    struct policy_step *s = arena_take(&k->p->arena, n->count, sizeof *s);
    for (size_t i = 0; s && i < n->count; i++)
        r->step_count += read_step(k, &s[r->step_count], n->child[i]);
    r->step = s;
    if (s && r->step_count == n->count)
        check_steps(k, r, n);
}

static void write_steps(struct buf *out, const void *field)
{
    const struct policy_rollout *r = field;
    for (size_t i = 0; i < r->step_count; i++) {
        buf_add_str(out, i ? ", " : "[");
        words_step(out, &r->step[i]);
    }
    buf_add_str(out, "]");
}

void compile_rollout(struct compile *k, const struct yaml_node *n)
{
    compile_need(k, FEATURE_ROLLOUT, n);
    compile_keys(k, compile_rollout_keys, n, false, &k->p->rollout);
    if (n->kind == YAML_MAP && !yaml_get(n, "steps"))
        complain_of(k->c, CODE_MISSING, n, "`steps` is missing; without `rollout` all agents follow at once");
}

void compile_mesh_defaults(struct policy *p)
{
    observability_defaults(&p->observability);
    p->audit = (struct policy_audit){.record = AUDIT_POLICY | AUDIT_IDENTITY | AUDIT_MEMBERSHIP |
                                               AUDIT_DENIED | AUDIT_ADMIN,
                                     .keep_ms = UINT64_C(90) * 86400000,
                                     .every_ms = 60000,
                                     .witnesses = 3};
    p->rollout = (struct policy_rollout){.pause_ms = 300000,
                                         .halt_error_ppm = UINT32_MAX,
                                         .halt_p99_ppm = UINT32_MAX,
                                         .halt_denied_ppm = UINT32_MAX,
                                         .halt_min_requests = 200};
}
