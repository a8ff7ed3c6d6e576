/* `faults` and `egress`. */
#include "policy/compile.h"

struct fault_part { /* abort or delay */
    uint32_t ppm;
    uint64_t value; /* status, or ms */
};

static uint32_t compile_percent(struct compile *k, const struct yaml_node *map)
{
    const struct yaml_node *n = yaml_get(map, "percent");
    uint64_t percent = 100;
    if (n)
        (void)yaml_u64(n, &percent, 1, 100, k->c);
    return (uint32_t)percent * 10000;
}

static void compile_abort(struct compile *k, struct policy_fault *f, const struct yaml_node *n)
{
    static const char *const keys[] = {"status", "percent", NULL};
    const struct yaml_node *status;
    uint64_t v = 0;
    if (!compile_map(k, n, keys))
        return;
    bool is_tcp = f->to && f->to->protocol == POLICY_TCP;
    f->abort_ppm = compile_percent(k, n);
    if ((status = yaml_get(n, "status")) && is_tcp)
        complain_of(k->c, CODE_PROTOCOL, status,
                    "a tcp connection is closed, without a status; remove `status`");
    else if (status)
        (void)yaml_u64(status, &v, 400, 599, k->c);
    else if (f->to && !is_tcp)
        complain_of(k->c, CODE_MISSING, n, "`status` is missing; say which the request is answered with");
    f->abort_status = (uint32_t)v;
}

/* The longest that a request to the service may take, whichever its route; UINT64_MAX: one has no such limit. */
static uint64_t longest_request(const struct policy_service *s)
{
    uint64_t longest = 0;
    for (size_t i = 0; i < s->route_count; i++) {
        uint64_t ms = s->route[i].timeouts.request_ms;
        longest = !ms || ms > longest ? (ms ? ms : UINT64_MAX) : longest;
    }
    return longest;
}

static void compile_delay(struct compile *k, struct policy_fault *f, const struct yaml_node *n)
{
    static const char *const keys[] = {"fixed", "percent", NULL};
    const struct yaml_node *fixed;
    if (!compile_map(k, n, keys))
        return;
    f->delay_ppm = compile_percent(k, n);
    if (!(fixed = yaml_get(n, "fixed")))
        complain_of(k->c, CODE_MISSING, n, "`fixed` is missing; say how long, such as 200ms");
    else
        (void)yaml_duration_ms(fixed, &f->delay_ms, k->c);
    if (fixed && f->to && f->to->route_count && f->delay_ms >= longest_request(f->to))
        complain_warning(
            k->c, CODE_NO_EFFECT, fixed,
            "as long as `timeouts.request` of `%s` or longer, so every request that it delays is "
            "answered 504; shorten it",
            f->to->name);
}

static void compile_fault_matches(struct compile *k, struct fault *f, const struct yaml_node *n)
{
    if (!yaml_is(n, YAML_LIST, "match", k->c))
        return;
    if (f->said.to && f->said.to->protocol == POLICY_TCP)
        complain_of(k->c, CODE_PROTOCOL, n,
                    "an HTTP match on tcp service `%s`; on tcp only the caller's identity is known",
                    f->said.to->name);
    if (n->count == 0)
        complain_of(k->c, CODE_MISSING, n,
                    "an empty `match` matches nothing; leave it out to match everything");
    struct route_match *m = arena_take(&k->p->arena, n->count, sizeof *m);
    for (size_t i = 0; m && i < n->count; i++)
        f->match_count += compile_match(k, &m[f->match_count], n->child[i]);
    f->match = m;
}

static void compile_fault_to(struct compile *k, struct fault *f, const struct yaml_node *n)
{
    const struct yaml_node *to = yaml_get(n, "to");
    if (!to)
        complain_of(k->c, CODE_MISSING, n, "`to` is missing; name the service whose requests are disturbed");
    else if ((f->said.to = compile_service_ref(k, to)))
        (void)compile_in_reach(k, to, bytes_str(f->said.to->name));
}

static void compile_fault(struct compile *k, struct fault *f, const struct yaml_node *n)
{
    static const char *const keys[] = {"name", "to", "match", "abort", "delay", "until", NULL};
    const struct yaml_node *v;
    if (!compile_map(k, n, keys))
        return;
    if (!(v = yaml_get(n, "name")))
        complain_of(k->c, CODE_MISSING, n, "a fault needs a `name`; answers, logs and metrics show it");
    else
        f->said.name = compile_name_in_part(k, v, compile_word(k, v, "fault"));
    compile_fault_to(k, f, n);
    const struct yaml_node *abort = yaml_get(n, "abort"), *delay = yaml_get(n, "delay");
    if (abort)
        compile_abort(k, &f->said, abort);
    if (delay)
        compile_delay(k, &f->said, delay);
    if (!abort && !delay)
        complain_of(k->c, CODE_MISSING, n, "a fault that does nothing; give it `abort` or `delay`");
    if ((v = yaml_get(n, "match")))
        compile_fault_matches(k, f, v);
    if (!(v = yaml_get(n, "until")))
        complain_of(k->c, CODE_UNTIL, n,
                    "a fault without an end; say `until` when, such as 2027-01-31T00:00:00Z");
    else
        (void)yaml_time(v, &f->said.until, k->c);
}

/* Sorted by service, each service's in the order of the file. Insertion: there are few. */
static void place_faults(struct compile *k, struct fault *f, size_t count)
{
    for (size_t i = 1; i < count; i++)
        for (size_t j = i; j > 0 && f[j - 1].said.to > f[j].said.to; j--) {
            struct fault other = f[j];
            f[j] = f[j - 1];
            f[j - 1] = other;
        }
    for (size_t i = 0; i < count; i++) {
        struct policy_service *s = f[i].said.to ? &k->p->service[f[i].said.to - k->p->service] : NULL;
        if (!s)
            continue;
        s->fault = s->fault_count ? s->fault : &f[i];
        s->fault_count++;
    }
    k->p->fault = f;
    k->p->fault_count = count;
}

void compile_faults(struct compile *k, const struct yaml_node *faults)
{
    if (!compile_list(k, faults, "faults", POLICY_FAULTS_MAX))
        return;
    struct fault *f = arena_take(&k->p->arena, faults->count, sizeof *f);
    compile_need(k, FEATURE_FAULT, faults);
    for (size_t i = 0; f && i < faults->count; i++)
        compile_fault(k, &f[i], faults->child[i]);
    compile_names_once(k, faults, "a fault");
    if (f)
        place_faults(k, f, faults->count);
}

/* -- egress ----------------------------------------------------------------------------------------- */

static int slice_by_bytes(const void *a, const void *b)
{
    return codec_cmp(*(const struct bytes *)a, *(const struct bytes *)b);
}

static void compile_egress_from(struct compile *k, struct policy_egress *e, const struct yaml_node *n)
{
    if (!compile_list(k, n, "from", POLICY_CALLERS_MAX))
        return;
    struct bytes *from = arena_take(&k->p->arena, n->count, sizeof *from);
    for (size_t i = 0; from && i < n->count; i++) {
        bool star = n->child[i]->kind == YAML_SCALAR && strcmp(n->child[i]->text, "*") == 0;
        if (star && n->count > 1)
            complain_of(k->c, CODE_CONFLICT, n,
                        "`from` has a star, which is everybody; remove the other names");
        struct bytes name =
            star ? compile_copy(k, bytes_str("*")) : compile_service_name(k, n->child[i], "from");
        if (name.len)
            from[e->from_count++] = name;
    }
    if (from)
        qsort(from, e->from_count, sizeof *from, slice_by_bytes);
    for (size_t i = 1; from && i < e->from_count; i++)
        if (bytes_eq(from[i - 1], from[i]))
            complain_of(k->c, CODE_REPEATED, n, "`%.*s` is named twice", (int)from[i].len,
                        (const char *)from[i].at);
    e->from = from;
}

static int port_by_value(const void *a, const void *b)
{
    return (int)*(const uint16_t *)a - (int)*(const uint16_t *)b;
}

static void compile_ports(struct compile *k, struct policy_egress *e, const struct yaml_node *n)
{
    uint64_t v;
    if (!compile_list(k, n, "ports", POLICY_PORTS_MAX))
        return;
    uint16_t *port = arena_take(&k->p->arena, n->count, sizeof *port);
    for (size_t i = 0; port && i < n->count; i++)
        if (yaml_u64(n->child[i], &v, 1, 65535, k->c))
            port[e->port_count++] = (uint16_t)v;
    if (port)
        qsort(port, e->port_count, sizeof *port, port_by_value);
    e->port = port;
}

static void compile_host(struct compile *k, struct policy_egress *e, const struct yaml_node *n)
{
    struct bytes t, name;
    if (!yaml_string(n, "to", &t, k->c))
        return;
    name = t.len > 2 && t.at[0] == '*' && t.at[1] == '.' ? bytes_of(t.at + 2, t.len - 2) : t;
    if (!name_is_sound(name, 253))
        complain_of(k->c, CODE_NAME, n,
                    "`%.60s` cannot be a host; write a name in lower case, or *.name for all below", n->text);
    else
        e->host = compile_copy(k, t);
}

static void compile_egress_rule(struct compile *k, struct policy_egress *e, const struct yaml_node *n)
{
    static const char *const keys[] = {"name", "from", "to", "ports", NULL};
    if (!compile_map(k, n, keys))
        return;
    const struct yaml_node *name = yaml_get(n, "name"), *from = yaml_get(n, "from"), *to = yaml_get(n, "to"),
                           *ports = yaml_get(n, "ports");
    if (!name || !from || !to || !ports)
        complain_of(k->c, CODE_MISSING, n, "`%s` is missing; egress is {name, from, to, ports}",
                    !name   ? "name"
                    : !from ? "from"
                    : !to   ? "to"
                            : "ports");
    if (name)
        e->name = compile_word(k, name, "rule");
    if (from)
        compile_egress_from(k, e, from);
    if (to)
        compile_host(k, e, to);
    if (ports)
        compile_ports(k, e, ports);
}

void compile_egress(struct compile *k, const struct yaml_node *egress)
{
    if (!yaml_is(egress, YAML_LIST, "egress", k->c))
        return;
    struct policy_egress *e = arena_take(&k->p->arena, egress->count, sizeof *e);
    compile_need(k, FEATURE_EGRESS, egress);
    for (size_t i = 0; e && i < egress->count; i++)
        compile_egress_rule(k, &e[i], egress->child[i]);
    compile_names_once(k, egress, "an egress rule");
    k->p->egress = e;
    k->p->egress_count = e ? egress->count : 0;
}
