/* Routes: the first match in the file wins. No allocation: this is on the path of every request. */
#include "policy/compiled.h"

static bool value_fits(const struct field_match *f, struct bytes v)
{
    if (f->test == FIELD_EXACT)
        return bytes_eq(v, f->value);
    if (f->test == FIELD_REGEX)
        return regex_fits(f->regex, v);
    return f->test != FIELD_PREFIX || (v.len >= f->value.len && memcmp(v.at, f->value.at, f->value.len) == 0);
}

/* Of several lines of one name any may fit. */
static bool header_holds(const struct field_match *f, const struct policy_request *rq)
{
    bool found = false;
    for (size_t i = 0; i < rq->header_count && !found; i++)
        found = bytes_eq(rq->header[i].name, f->name) && value_fits(f, rq->header[i].value);
    return found != (f->test == FIELD_ABSENT);
}

static int hex_value(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The next byte of a query, decoded as forms are (application/x-www-form-urlencoded, WHATWG URL section 5.1):
 * + is a blank, %XX a byte, a % that begins no escape stands for itself. */
static uint8_t next_byte(struct bytes *q)
{
    uint8_t c = q->at[0];
    size_t used = 1;
    if (c == '+')
        c = ' ';
    if (c == '%' && q->len >= 3 && hex_value(q->at[1]) >= 0 && hex_value(q->at[2]) >= 0) {
        c = (uint8_t)(hex_value(q->at[1]) * 16 + hex_value(q->at[2]));
        used = 3;
    }
    *q = bytes_of(q->at + used, q->len - used);
    return c;
}

/* Does `encoded` begin with `plain`, once decoded? With `whole`, is it all there is? */
static bool decodes_to(struct bytes encoded, struct bytes plain, bool whole)
{
    for (size_t i = 0; i < plain.len; i++)
        if (encoded.len == 0 || next_byte(&encoded) != plain.at[i])
            return false;
    return !whole || encoded.len == 0;
}

static bool decodes_to_fitting(struct bytes encoded, const struct regex *r)
{
    struct regex_run run = regex_begin(r);
    while (encoded.len)
        if (!regex_feed(&run, next_byte(&encoded)))
            return false;
    return regex_end(&run);
}

static bool query_value_fits(const struct field_match *f, struct bytes encoded)
{
    switch (f->test) {
    case FIELD_PRESENT:
    case FIELD_ABSENT:
        return true;
    case FIELD_REGEX:
        return decodes_to_fitting(encoded, f->regex);
    case FIELD_EXACT:
    case FIELD_PREFIX:
        return decodes_to(encoded, f->value, f->test == FIELD_EXACT);
    }
    return false;
}

static struct bytes until(struct bytes *rest, uint8_t stop)
{
    const uint8_t *end = rest->len ? memchr(rest->at, stop, rest->len) : NULL;
    struct bytes head = bytes_of(rest->at, end ? (size_t)(end - rest->at) : rest->len);
    size_t used = head.len + (end ? 1 : 0);
    *rest = used ? bytes_of(rest->at + used, rest->len - used) : *rest;
    return head;
}

/* Of several parameters of one name any may fit, as with headers. */
static bool query_holds(const struct field_match *f, const struct policy_request *rq)
{
    struct bytes rest = rq->query;
    bool found = false;
    while (rest.len && !found) {
        struct bytes value = until(&rest, '&'), name = until(&value, '=');
        if (!decodes_to(name, f->name, true) || (name.len == 0 && value.len == 0))
            continue;
        found = query_value_fits(f, value);
    }
    return found != (f->test == FIELD_ABSENT);
}

static bool path_holds(const struct route_match *m, struct bytes path)
{
    if (m->path_test == PATH_ANY)
        return true;
    if (m->path_test == PATH_REGEX)
        return regex_fits(m->path_regex, path);
    return m->path_test == PATH_EXACT ? bytes_eq(path, m->path) : path_is_under(path, m->path);
}

bool route_match_holds(const struct route_match *m, const struct policy_request *rq, uint64_t method)
{
    if ((m->method && !(m->method & method)) || !path_holds(m, rq->path))
        return false;
    for (size_t i = 0; i < m->header_count; i++)
        if (!header_holds(&m->header[i], rq))
            return false;
    for (size_t i = 0; i < m->query_count; i++)
        if (!query_holds(&m->query[i], rq))
            return false;
    return true;
}

const struct policy_route *policy_route(const struct policy_service *s, const struct policy_request *rq)
{
    uint64_t method = policy_method_bit(s->policy, rq->method);
    for (size_t i = 0; i < s->match_count; i++)
        if (route_match_holds(&s->match[i], rq, method))
            return &s->route[s->match[i].route];
    return NULL;
}

/* -- what a request has ------------------------------------------------------------------------------ */

static struct bytes trimmed(struct bytes t)
{
    while (t.len && (t.at[0] == ' ' || t.at[0] == '\t'))
        t = bytes_of(t.at + 1, t.len - 1);
    while (t.len && (t.at[t.len - 1] == ' ' || t.at[t.len - 1] == '\t'))
        t.len--;
    return t;
}

/* "a=1; b=2": RFC 6265 section 4.2.1. The first of a name counts. */
static bool cookie_in(struct bytes line, struct bytes name, struct bytes *value)
{
    while (line.len) {
        struct bytes rest = until(&line, ';'), got = trimmed(until(&rest, '='));
        if (!bytes_eq(got, name))
            continue;
        *value = trimmed(rest);
        return true;
    }
    return false;
}

bool policy_key_value(const struct policy_key *k, const struct policy_request *rq, struct bytes *value)
{
    if (k->kind == KEY_SOURCE)
        *value = rq->caller;
    if (k->kind == KEY_SOURCE || k->kind == KEY_NONE)
        return k->kind == KEY_SOURCE;
    for (size_t i = 0; i < rq->header_count; i++) {
        const struct policy_header *h = &rq->header[i];
        if (k->kind == KEY_COOKIE && bytes_eq_str(h->name, "cookie") && cookie_in(h->value, k->name, value))
            return true;
        if (k->kind == KEY_HEADER && bytes_eq(h->name, k->name)) {
            *value = h->value;
            return true;
        }
    }
    return false;
}

/* FNV-1a (Fowler, Noll, Vo), then the finaliser of MurmurHash3 (Appleby): FNV alone leaves short keys that
 * differ in the last byte close together, and the split looks at the high bits. Not a secret: who chooses the
 * header chooses the side anyhow. */
uint64_t policy_key_hash(struct bytes value)
{
    uint64_t h = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < value.len; i++)
        h = (h ^ value.at[i]) * UINT64_C(0x100000001b3);
    h = (h ^ h >> 33) * UINT64_C(0xff51afd7ed558ccd);
    h = (h ^ h >> 33) * UINT64_C(0xc4ceb9fe1a85ec53);
    return h ^ h >> 33;
}

const struct policy_target *policy_route_choose(const struct policy_route *r, const struct policy_request *rq,
                                                uint64_t dice)
{
    struct bytes value;
    return policy_route_pick(r, policy_key_value(&r->sticky, rq, &value) ? policy_key_hash(value) : dice);
}

static const struct route_match *match_of(const struct policy_service *s, const struct policy_route *r,
                                          const struct policy_request *rq)
{
    uint64_t method = policy_method_bit(s->policy, rq->method);
    for (size_t i = 0; i < s->match_count; i++)
        if (&s->route[s->match[i].route] == r && route_match_holds(&s->match[i], rq, method))
            return &s->match[i];
    return NULL;
}

void policy_route_rewrite(const struct policy_service *s, const struct policy_route *r,
                          const struct policy_request *rq, struct buf *out)
{
    const struct route_match *m = r->rewrite_prefix ? match_of(s, r, rq) : NULL;
    struct bytes rest = m ? bytes_of(rq->path.at + m->path.len, rq->path.len - m->path.len) : rq->path;
    if (m)
        buf_add_str(out, r->rewrite_prefix);
    if (m && rest.len == 0 && r->rewrite_prefix[0] == 0)
        rest = bytes_str("/");
    buf_add_bytes(out, rest);
}

const struct policy_fault *policy_fault_of(const struct policy_service *s, const struct policy_request *rq,
                                           wall_s now)
{
    uint64_t method = s->fault_count ? policy_method_bit(s->policy, rq->method) : 0;
    for (size_t i = 0; i < s->fault_count; i++) {
        const struct fault *f = &s->fault[i];
        bool fits = f->match_count == 0;
        for (size_t j = 0; j < f->match_count && !fits; j++)
            fits = route_match_holds(&f->match[j], rq, method);
        if (fits && now < f->said.until)
            return &f->said;
    }
    return NULL;
}
