/* Random policies as plain lists: written out as YAML, and read by a reference that walks the lists with nothing but
 * strcmp. For the tests that hold the engine to what the lists say. */
#ifndef POLICY_MODEL_H
#define POLICY_MODEL_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <regex.h>

#include "base/buf.h"
#include "base/rng.h"

enum { RULES_MAX = 12, ROUTES_MAX = 8, CLAUSES_MAX = 3, WORDS_MAX = 4, FAULTS_MAX = 2 };

static const char *const services[] = {"a", "b", "t"}; /* t is tcp */
static const char *const callers[] = {"c0", "c1", "c2", "c3",
                                      "a",  "zz", ""}; /* the last two are in no rule */
static const char *const methods[] = {"GET", "POST", "PUT",
                                      "GE",  "get",  "PURGE"}; /* no rule names the last three */
static const char *const values[] = {"1", "12", "2"};
static const char *const path_patterns[] = {"/a(/.*)?", "/(a|ab)/b", "(/[ab]+)*/?", ".*/b", "/"};
static const char *const value_patterns[] = {"1.*", "[12]", "12?"};

struct words {
    size_t count;
    const char *at[WORDS_MAX];
};
struct clause { /* of allow or deny */
    struct words methods;
    size_t path_count;
    char path[WORDS_MAX][24]; /* as written: a prefix ends in a slash and a star */
};
struct rule {
    bool everybody, audit;
    struct words from, except;
    size_t to, allow_count, deny_count;
    struct clause allow[CLAUSES_MAX], deny[CLAUSES_MAX];
};
struct condition {    /* on header x-h or query parameter q */
    const char *test; /* NULL: none */
    const char *value;
};
struct route {
    size_t id; /* it is called "r" and this */
    bool has_match;
    const char *method;
    const char *path_test; /* NULL: none */
    const char *pattern;   /* with regex; else `path` */
    char path[24];
    struct condition header, query;
    uint32_t split;     /* bits: to subset v1, to subset v2; 0: to any instance */
    bool sticky;        /* by x-h */
    bool rewrites;      /* its prefix, to /n */
    bool sets;          /* header x-r, to its own name */
    bool mirrors;       /* all to service b */
    uint32_t request_s; /* its own time limit; 0: none */
};
struct fault { /* of service a: disturbs all that it fits */
    const char *method;
    bool aborts; /* with 599; else it delays, by a second */
};
struct model {
    bool audit_unmatched[3];
    size_t rule_count, route_count;
    struct rule rule[RULES_MAX];
    struct route route[ROUTES_MAX]; /* of service a */
    size_t fault_count;             /* called "f" and its place */
    struct fault fault[FAULTS_MAX];
};
struct question {
    size_t to;
    const char *caller, *method, *header, *query_value; /* NULL: absent */
    char path[24], query[24];
};

static inline bool chance(struct rng *r, uint32_t percent)
{
    return rng_below(r, 100) < percent;
}

/* libc's reading of a pattern of the two lists above, for a whole text. */
static inline bool pattern_fits(const char *pattern, const char *text)
{
    static struct {
        const char *pattern;
        regex_t posix;
    } known[8];
    size_t i = 0;
    for (; known[i].pattern && known[i].pattern != pattern; i++)
        ;
    if (!known[i].pattern) {
        char anchored[32];
        snprintf(anchored, sizeof anchored, "^(%s)$", pattern);
        known[i].pattern = pattern;
        assert_int_equal(regcomp(&known[i].posix, anchored, REG_EXTENDED | REG_NOSUB), 0);
    }
    return regexec(&known[i].posix, text, 0, NULL, 0) == 0;
}

static inline size_t random_path(struct rng *r, char *out)
{
    static const char *const segments[] = {"a", "ab", "b"};
    size_t len = 0;
    for (uint32_t n = rng_below(r, 4); n > 0; n--)
        len += (size_t)sprintf(out + len, "/%s", segments[rng_below(r, 3)]);
    out[len] = 0;
    return len;
}

static inline void random_words(struct rng *r, struct words *w, const char *const *pool, uint32_t pool_count,
                                size_t at_least)
{
    w->count = 0;
    for (uint32_t i = 0; i < pool_count && w->count < WORDS_MAX; i++)
        if (chance(r, 35) || (w->count < at_least && i + 1 == pool_count))
            w->at[w->count++] = pool[i];
}

static inline void random_clause(struct rng *r, struct clause *c, bool is_tcp)
{
    *c = (struct clause){0};
    if (is_tcp)
        return;
    if (chance(r, 50))
        random_words(r, &c->methods, methods, 3, 1);
    c->path_count = rng_below(r, 4);
    for (size_t i = 0; i < c->path_count; i++) {
        size_t len = random_path(r, c->path[i]);
        if (len == 0 || chance(r, 50))
            strcpy(c->path[i] + len, "/*");
    }
}

static inline void random_rule(struct rng *r, struct rule *u)
{
    *u = (struct rule){.everybody = chance(r, 30), .audit = chance(r, 25), .to = rng_below(r, 3)};
    random_words(r, &u->from, callers, 5, 1);
    if (u->everybody && chance(r, 60))
        random_words(r, &u->except, callers, 5, 1);
    if (!u->everybody && u->from.count > 1 && chance(r, 30)) {
        u->except.count = 1;
        u->except.at[0] = u->from.at[0];
    }
    u->allow_count = rng_below(r, CLAUSES_MAX + 1);
    u->deny_count = chance(r, 50) ? rng_below(r, CLAUSES_MAX + 1) : 0;
    for (size_t i = 0; i < CLAUSES_MAX; i++) {
        random_clause(r, &u->allow[i], u->to == 2);
        random_clause(r, &u->deny[i], u->to == 2);
    }
}

static inline void random_condition(struct rng *r, struct condition *c)
{
    static const char *const tests[] = {"exact", "prefix", "present", "absent", "regex"};
    *c = (struct condition){0};
    if (chance(r, 40)) {
        c->test = tests[rng_below(r, 5)];
        c->value = (*c->test == 'r' ? value_patterns : values)[rng_below(r, 3)];
    }
}

static inline void random_route(struct rng *r, struct route *t)
{
    *t = (struct route){.has_match = chance(r, 95)};
    t->method = chance(r, 40) ? methods[rng_below(r, 3)] : NULL;
    t->path_test = chance(r, 20) ? NULL : chance(r, 50) ? "exact" : "prefix";
    if (random_path(r, t->path) == 0)
        strcpy(t->path, "/");
    if (t->path_test && chance(r, 25)) {
        t->path_test = "regex";
        t->pattern = path_patterns[rng_below(r, 5)];
    }
    random_condition(r, &t->header);
    random_condition(r, &t->query);
    t->split = chance(r, 50) ? 3 : rng_below(r, 3);
    t->sticky = t->split == 3 && chance(r, 80);
    t->rewrites = t->has_match && t->path_test && strcmp(t->path_test, "prefix") == 0 && chance(r, 50);
    t->sets = chance(r, 30);
    t->mirrors = chance(r, 30);
    t->request_s = chance(r, 30) ? 6 + rng_below(r, 5) : 0;
}

static inline void random_model(struct rng *r, struct model *m)
{
    *m = (struct model){.rule_count = rng_below(r, RULES_MAX + 1),
                        .route_count = 1 + rng_below(r, ROUTES_MAX)};
    for (int i = 0; i < 3; i++)
        m->audit_unmatched[i] = chance(r, 20);
    for (size_t i = 0; i < m->rule_count; i++)
        random_rule(r, &m->rule[i]);
    for (size_t i = 0; i < m->route_count; i++) {
        random_route(r, &m->route[i]);
        m->route[i].id = i;
    }
}

/* For those who look at more than routes and rules; random_model() has none. */
static inline void random_faults(struct rng *r, struct model *m)
{
    m->fault_count = chance(r, 80) ? 1 + rng_below(r, FAULTS_MAX) : 0;
    for (size_t i = 0; i < m->fault_count; i++)
        m->fault[i] = (struct fault){methods[rng_below(r, 3)], chance(r, 50)};
}

static inline void random_question(struct rng *r, struct question *q)
{
    *q = (struct question){
        .to = rng_below(r, 3), .caller = callers[rng_below(r, 7)], .method = methods[rng_below(r, 6)]};
    if (random_path(r, q->path) == 0)
        strcpy(q->path, "/");
    q->header = chance(r, 60) ? values[rng_below(r, 3)] : NULL;
    q->query_value = chance(r, 60) ? values[rng_below(r, 3)] : NULL;
    if (q->query_value)
        sprintf(q->query, "z=9&q=%s", q->query_value);
}

/* Writing the model out. */
static inline void write_words(struct buf *b, const char *key, const struct words *w)
{
    buf_addf(b, ", %s: [", key);
    for (size_t i = 0; i < w->count; i++)
        buf_addf(b, "%s%s", i ? ", " : "", w->at[i]);
    buf_add_str(b, "]");
}

static inline void write_clauses(struct buf *b, const char *key, const struct clause *c, size_t count)
{
    if (count == 0)
        return;
    buf_addf(b, ", %s: [", key);
    for (size_t i = 0; i < count; i++) {
        buf_add_str(b, i ? ", {" : "{");
        for (size_t j = 0; j < c[i].methods.count; j++)
            buf_addf(b, "%s%s", j ? ", " : "methods: [", c[i].methods.at[j]);
        buf_add_str(b, c[i].methods.count ? "]" : "");
        for (size_t j = 0; j < c[i].path_count; j++)
            buf_addf(b, "%s\"%s\"", j ? ", " : c[i].methods.count ? ", paths: [" : "paths: [", c[i].path[j]);
        buf_add_str(b, c[i].path_count ? "]}" : "}");
    }
    buf_add_str(b, "]");
}

static inline void write_condition(struct buf *b, const char *key, const struct condition *c)
{
    if (!c->test)
        return;
    if (strcmp(c->test, "present") == 0 || strcmp(c->test, "absent") == 0)
        buf_addf(b, ", %s: {present: %s}}", key, c->test[0] == 'p' ? "true" : "false");
    else
        buf_addf(b, ", %s: {%s: \"%s\"}}", key, c->test, c->value);
}

static inline void write_route(struct buf *b, const struct route *t)
{
    buf_addf(b, "      - {name: r%zu", t->id);
    if (t->has_match) {
        buf_add_str(b, ", match: [{");
        const char *comma = "";
        if (t->method) {
            buf_addf(b, "method: %s", t->method);
            comma = ", ";
        }
        if (t->path_test) {
            buf_addf(b, "%spath: {%s: '%s'}", comma, t->path_test, t->pattern ? t->pattern : t->path);
            comma = ", ";
        }
        struct buf fields = {0};
        write_condition(&fields, "headers: {x-h", &t->header);
        write_condition(&fields, "query: {q", &t->query);
        buf_add_str(b, buf_str(&fields) + (fields.len && !*comma ? 2 : 0));
        buf_fini(&fields);
        buf_add_str(b, "}]");
    }
    if (t->split)
        buf_addf(b, ", to: [%s%s%s]", t->split & 1 ? "{subset: v1, weight: 3}" : "",
                 t->split == 3 ? ", " : "", t->split & 2 ? "{subset: v2}" : "");
    if (t->sticky)
        buf_add_str(b, ", sticky: {header: x-h}");
    if (t->rewrites)
        buf_add_str(b, ", rewrite: {prefix: /n}");
    if (t->mirrors)
        buf_add_str(b, ", mirror: {to: b}");
    if (t->sets)
        buf_addf(b, ", requestHeaders: {set: {x-r: r%zu}}", t->id);
    if (t->request_s)
        buf_addf(b, ", timeouts: {request: %us}", t->request_s);
    buf_add_str(b, "}\n");
}

static inline void write_model(struct buf *b, const struct model *m)
{
    buf_add_str(b, "policy: v1\nmesh: m\nversion: 1\nservices:\n");
    for (int i = 0; i < 3; i++) {
        buf_addf(b, "  %s:\n    protocol: %s\n    unmatched: %s\n", services[i], i == 2 ? "tcp" : "http",
                 m->audit_unmatched[i] ? "audit" : "deny");
        buf_add_str(b, i == 0 ? "    subsets: {v1: {version: \"1\"}, v2: {version: \"2\"}}\n" : "");
        for (size_t j = 0; i == 0 && j < m->route_count; j++) {
            buf_add_str(b, j ? "" : "    routes:\n");
            write_route(b, &m->route[j]);
        }
    }
    buf_add_str(b, m->rule_count ? "intentions:\n" : "");
    for (size_t i = 0; i < m->rule_count; i++) {
        const struct rule *u = &m->rule[i];
        const struct words star = {1, {"\"*\""}};
        buf_addf(b, "  - {name: i%zu, to: %s", i, services[u->to]);
        write_words(b, "from", u->everybody ? &star : &u->from);
        if (u->except.count)
            write_words(b, "except", &u->except);
        write_clauses(b, "allow", u->allow, u->allow_count);
        write_clauses(b, "deny", u->deny, u->deny_count);
        buf_add_str(b, u->audit ? ", mode: audit}\n" : "}\n");
    }
    buf_add_str(b, m->fault_count ? "faults:\n" : "");
    for (size_t i = 0; i < m->fault_count; i++)
        buf_addf(b, "  - {name: f%zu, to: a, match: [{method: %s}], %s, until: 2026-01-01T00:00:00Z}\n", i,
                 m->fault[i].method, m->fault[i].aborts ? "abort: {status: 599}" : "delay: {fixed: 1s}");
}

/* The reference. */
static inline bool says(const struct words *w, const char *word)
{
    for (size_t i = 0; i < w->count; i++)
        if (strcmp(w->at[i], word) == 0)
            return true;
    return false;
}

static inline bool under(const char *path, const char *prefix)
{
    size_t n = strlen(prefix);
    while (n && prefix[n - 1] == '/')
        n--;
    return strncmp(path, prefix, n) == 0 && (path[n] == 0 || path[n] == '/');
}

static inline bool clause_fits(const struct clause *c, const struct question *q)
{
    bool path_fits = c->path_count == 0;
    for (size_t i = 0; i < c->path_count; i++) {
        char written[24];
        strcpy(written, c->path[i]);
        size_t n = strlen(written);
        bool star = written[n - 1] == '*';
        written[star ? n - 1 : n] = 0;
        path_fits |= star ? under(q->path, written) : strcmp(q->path, written) == 0;
    }
    return q->to == 2 || (path_fits && (c->methods.count == 0 || says(&c->methods, q->method)));
}

/* The first rule of the file that allows (or denies) in this mode; -1: none. */
static inline int first_rule(const struct model *m, const struct question *q, bool denies, bool audit)
{
    for (size_t i = 0; i < m->rule_count; i++) {
        const struct rule *u = &m->rule[i];
        bool concerned = u->to == q->to && u->audit == audit && (u->everybody || says(&u->from, q->caller)) &&
                         !says(&u->except, q->caller);
        bool plain = u->allow_count == 0 && u->deny_count == 0;
        if (!concerned)
            continue;
        if (!denies && plain)
            return (int)i;
        for (size_t j = 0; j < (denies ? u->deny_count : u->allow_count); j++)
            if (clause_fits(denies ? &u->deny[j] : &u->allow[j], q))
                return (int)i;
    }
    return -1;
}

/* What the rules say when those in audit mode count too: 1 allow, 0 deny; -1 nothing said. */
static inline int said(int deny, int allow)
{
    return deny >= 0 ? 0 : allow >= 0 ? 1 : -1;
}

static inline void reference_verdict(const struct model *m, const struct question *q, char *out)
{
    int deny = first_rule(m, q, true, false), allow = first_rule(m, q, false, false);
    int deny_audit = first_rule(m, q, true, true), allow_audit = first_rule(m, q, false, true);
    bool open = m->audit_unmatched[q->to];
    int now = said(deny, allow), then = said(deny >= 0 ? deny : deny_audit, allow >= 0 ? allow : allow_audit);
    bool allowed = now < 0 ? open : now, would = then < 0 ? open : then;
    int rule = deny >= 0 ? deny : allow, otherwise = then == 0 ? deny_audit : allow_audit;
    out += sprintf(out, "%s ", allowed ? "allow" : "deny");
    out += rule >= 0 ? sprintf(out, "i%d", rule) : sprintf(out, "unmatched");
    if (allowed != would)
        sprintf(out, " audit i%d", otherwise);
    else if (now < 0 && open)
        sprintf(out, " audit -");
}

static inline bool condition_fits(const struct condition *c, const char *value)
{
    if (!c->test)
        return true;
    if (c->test[0] == 'a' || !value)
        return (c->test[0] == 'a') == !value;
    if (strcmp(c->test, "exact") == 0)
        return strcmp(value, c->value) == 0;
    if (strcmp(c->test, "regex") == 0)
        return pattern_fits(c->value, value);
    return strcmp(c->test, "present") == 0 || strncmp(value, c->value, strlen(c->value)) == 0;
}

static inline bool route_fits(const struct route *t, const struct question *q)
{
    if (!t->has_match)
        return true;
    if (t->method && strcmp(t->method, q->method) != 0)
        return false;
    if (t->pattern && !pattern_fits(t->pattern, q->path))
        return false;
    if (t->path_test && !t->pattern &&
        !(t->path_test[0] == 'e' ? strcmp(t->path, q->path) == 0 : under(q->path, t->path)))
        return false;
    return condition_fits(&t->header, q->header) && condition_fits(&t->query, q->query_value);
}

static inline int reference_route(const struct model *m, const struct question *q)
{
    for (size_t i = 0; i < m->route_count; i++)
        if (route_fits(&m->route[i], q))
            return (int)m->route[i].id;
    return -1;
}

#endif
