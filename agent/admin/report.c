#include "admin/report.h"

#include <unistd.h>

#include "http/h1.h"
#include "traffic/pick.h"

static json_t *text_of(struct bytes b)
{
    return json_stringn((const char *)b.at, b.len);
}

static json_t *id_of(const struct node_id *id)
{
    char text[NODE_ID_TEXT_MAX];
    return json_string(node_id_text(id, text));
}

static json_t *address_of(const struct addr *a)
{
    char text[ADDR_TEXT_MAX];
    return json_string(addr_text(a, text));
}

static json_t *labels_of(const struct labels *l)
{
    json_t *o = json_object();
    for (size_t i = 0; i < l->count; i++) {
        char key[LABEL_MAX + 1];
        memcpy(key, l->at[i].key.at, l->at[i].key.len);
        key[l->at[i].key.len] = 0;
        json_object_set_new(o, key, text_of(l->at[i].value));
    }
    return o;
}

static json_t *number(uint64_t v)
{
    return json_integer((json_int_t)v);
}

/* -- status ------------------------------------------------------------------------------------ */

static json_t *policy_of(const struct enforced *f)
{
    char hex[HASH_TEXT_MAX] = "";
    json_t *o = json_object();
    if (f->policy)
        hex_encode(f->hash.b, HASH_BYTES, hex);
    json_object_set_new(o, "epoch", number(f->epoch));
    json_object_set_new(o, "version", number(f->version));
    json_object_set_new(o, "hash", json_string(hex));
    return o;
}

static json_t *warnings_of(const struct control *c)
{
    const struct enforced *f = control_policy(c);
    wall_s now = (wall_s)(net_wall_ms() / 1000);
    json_t *list = json_array();
    if (!f->policy)
        json_array_append_new(
            list,
            json_string(f->damaged
                            ? "the stored policy is damaged; everything is denied until a good one arrives"
                            : "no policy is in force; everything is denied"));
    if (f->policy && policy_expires(f->policy) && policy_expires(f->policy) < now)
        json_array_append_new(list, json_string("the policy has expired; it stays enforced"));
    if (f->forked)
        json_array_append_new(list, json_string("two signed policies carry this version; sign a higher one"));
    wall_s left = control_identity(c)->credential_open.expires - now;
    if (left <= 0)
        json_array_append_new(list, json_string("this agent's credential has expired; give it a new token"));
    else if (identity_expires_soon(control_identity(c), now))
        json_array_append_new(list,
                              json_sprintf("this agent's credential expires in %lld %s; give it a new token",
                                           (long long)(left >= 7200 ? left / 3600 : left),
                                           left >= 7200 ? "hours" : "seconds"));
    if (control_store_health(c) != ERR_OK)
        json_array_append_new(list,
                              json_sprintf("state cannot be written: %s", err_text(control_store_health(c))));
    return list;
}

json_t *report_status(const struct control *c)
{
    static const char *const phase[] = {"running", "leaving", "draining", "stopped"};
    struct gossip_counts n = gossip_counts(control_gossip(c));
    json_t *o = json_object();
    json_object_set_new(o, "mesh", text_of(trust_root(control_identity(c)->trust)->mesh));
    json_object_set_new(o, "node", json_string(control_config(c)->node));
    json_object_set_new(o, "id", id_of(&control_identity(c)->sign.pub));
    json_object_set_new(o, "version", json_string(STARLING_VERSION));
    json_object_set_new(o, "state", json_string(phase[control_phase(c)]));
    json_object_set_new(o, "joined", json_boolean(control_is_joined(c)));
    json_object_set_new(o, "policy", policy_of(control_policy(c)));
    json_object_set_new(o, "members",
                        json_pack("{s:i,s:i,s:i,s:i}", "alive", (int)n.alive, "suspect", (int)n.suspect,
                                  "dead", (int)n.dead, "left", (int)n.left));
    json_object_set_new(o, "credential_expires", json_integer(control_identity(c)->credential_open.expires));
    json_object_set_new(o, "warnings", warnings_of(c));
    return o;
}

/* -- members and services ---------------------------------------------------------------------- */

static json_t *member_of(const struct member *m)
{
    json_t *o = json_object();
    json_object_set_new(o, "id", id_of(&m->id));
    json_object_set_new(o, "name", text_of(m->record.credential.node));
    json_object_set_new(o, "address", address_of(&m->addr));
    json_object_set_new(o, "state", json_string(gossip_state_text(m->state)));
    json_object_set_new(o, "incarnation", number(m->record.incarnation));
    json_object_set_new(o, "labels", labels_of(&m->record.credential.labels));
    json_object_set_new(o, "policy", number(m->record.policy_version));
    if (member_is_live(m) && roster_name_is_taken(m))
        json_object_set_new(o, "conflict",
                            json_string("another living member holds this name; not routed to"));
    return o;
}

json_t *report_members(const struct control *c)
{
    json_t *list = json_array();
    for (const struct member *m = control_roster(c)->by_id; m; m = m->hh.next)
        json_array_append_new(list, member_of(m));
    return list;
}

static const char *service_state(const struct member *m, const struct record_service *s)
{
    if (m->state != GOSSIP_ALIVE)
        return gossip_state_text(m->state);
    if (m->record.draining)
        return "draining";
    return s->healthy ? "healthy" : "unhealthy";
}

static json_t *service_of(const struct member *m, const struct record_service *s)
{
    json_t *o = json_object();
    char ip[ADDR_TEXT_MAX];
    json_object_set_new(o, "service", text_of(s->name));
    json_object_set_new(o, "node", text_of(m->record.credential.node));
    json_object_set_new(o, "address", json_string(addr_ip_text(&m->addr, ip)));
    json_object_set_new(o, "port", number(s->port));
    json_object_set_new(o, "protocol", json_string(s->protocol == PROTOCOL_HTTP ? "http" : "tcp"));
    json_object_set_new(o, "state", json_string(service_state(m, s)));
    json_object_set_new(o, "labels", labels_of(&s->labels));
    return o;
}

/* Dead and left members offer nothing: their services are gone. */
json_t *report_services(const struct control *c)
{
    json_t *list = json_array();
    for (const struct member *m = control_roster(c)->by_id; m; m = m->hh.next)
        for (size_t i = 0; member_is_live(m) && i < m->record.service_count; i++)
            json_array_append_new(list, service_of(m, &m->record.service[i]));
    return list;
}

/* -- policy ------------------------------------------------------------------------------------ */

json_t *report_policy(const struct control *c)
{
    const struct enforced *f = control_policy(c);
    struct complaints complaints = {.file = "policy in force"};
    struct bundle b;
    json_t *o = policy_of(f);
    if (f->policy && bundle_open(&b, NULL, trust_root(control_identity(c)->trust), buf_bytes(&f->bundle),
                                 &complaints) == ERR_OK) {
        json_t *signers = json_array();
        for (size_t i = 0; i < b.signer_count; i++)
            json_array_append_new(signers, id_of(&b.signer[i]));
        json_object_set_new(o, "signers", signers);
        json_object_set_new(o, "text", text_of(b.text));
    }
    buf_fini(&complaints.text);
    return o;
}

/* -- why --------------------------------------------------------------------------------------- */

enum { WHY_HEADERS_MAX = 64, WHY_PATH_MAX = 8192 };

struct question {
    struct policy_request rq;
    const char *from, *to;
    struct policy_header header[WHY_HEADERS_MAX];
    uint8_t path[WHY_PATH_MAX];
};

static const char *member_text(const json_t *o, const char *key, const char *otherwise)
{
    const char *text = json_string_value(json_object_get(o, key));
    return text ? text : otherwise;
}

static enum err read_headers(struct question *q, json_t *headers, struct buf *why)
{
    const char *name;
    json_t *value;
    json_object_foreach(headers, name, value)
    {
        if (q->rq.header_count == WHY_HEADERS_MAX || !json_is_string(value)) {
            buf_add_str(why, "headers must be at most 64 texts");
            return ERR_INVALID;
        }
        q->header[q->rq.header_count++] =
            (struct policy_header){bytes_str(name), bytes_str(json_string_value(value))};
    }
    q->rq.header = q->header;
    return ERR_OK;
}

static enum err read_question(struct question *q, const json_t *request, struct buf *why)
{
    struct bytes raw = bytes_str(member_text(request, "path", "/"));
    size_t path_len = 0;
    q->from = member_text(request, "from", "");
    q->to = member_text(request, "to", "");
    if (!*q->to) {
        buf_add_str(why, "a service is needed: why --from CALLER --to SERVICE");
        return ERR_INVALID;
    }
    if (raw.len > sizeof q->path || http_path_normalise(raw, q->path, &path_len) != ERR_OK) {
        buf_add_str(why,
                    "that path is not canonical: such a request is answered 400 before any rule is asked");
        return ERR_INVALID;
    }
    q->rq = (struct policy_request){
        .caller = bytes_str(q->from),
        .method = bytes_str(member_text(request, "method", "GET")),
        .path = bytes_of(q->path, path_len),
        .query = bytes_str(member_text(request, "query", "")),
    };
    return read_headers(q, json_object_get(request, "headers"), why);
}

static json_t *endpoint_of(const struct control *c, const struct traffic_candidate *k)
{
    const struct view_endpoint *e = k->endpoint;
    json_t *o = json_object();
    json_object_set_new(o, "node", json_string(e->node ? e->node->name : control_config(c)->node));
    json_object_set_new(o, "address", address_of(e->node ? &e->node->addr : &e->local));
    json_object_set_new(o, "labels", labels_of(&e->labels));
    json_object_set_new(o, "standing", json_string(traffic_standing_text(k->standing)));
    return o;
}

/* Splits the instances into those that would be considered and those that would not. */
static void split_instances(const struct control *c, json_t *o, const char *service,
                            const struct policy_subset *subset)
{
    enum { SHOWN_MAX = 256 };
    struct traffic_candidate found[SHOWN_MAX];
    size_t n =
        traffic_candidates(view_service(control_view(c), bytes_str(service)), subset, found, SHOWN_MAX);
    json_t *in = json_array(), *out = json_array();
    for (size_t i = 0; i < n && i < SHOWN_MAX; i++) {
        bool considered = found[i].standing == TRAFFIC_CANDIDATE || found[i].standing == TRAFFIC_SPARE;
        json_array_append_new(considered ? in : out, endpoint_of(c, &found[i]));
    }
    json_object_set_new(o, "endpoints", in);
    json_object_set_new(o, "excluded", out);
}

static json_t *targets_of(const struct control *c, const struct policy_route *r)
{
    json_t *list = json_array();
    for (size_t i = 0; i < r->target_count; i++) {
        const struct policy_target *t = &r->target[i];
        json_t *o = json_object();
        json_object_set_new(o, "subset", json_string(t->subset ? t->subset->name : ""));
        json_object_set_new(o, "weight", number(t->weight));
        split_instances(c, o, policy_service_name(t->service), t->subset);
        json_array_append_new(list, o);
    }
    return list;
}

static json_t *flatten(json_t *targets, const char *key, bool lists)
{
    json_t *all = json_array(), *t, *v;
    size_t i;
    json_array_foreach(targets, i, t)
    {
        v = json_object_get(t, key);
        if (lists)
            json_array_extend(all, v);
        else if (json_string_length(v) > 0)
            json_array_append(all, v);
    }
    return all;
}

static void explain_route(const struct control *c, json_t *o, const struct policy_service *s,
                          const struct policy_request *rq)
{
    const struct policy_route *r = policy_route(s, rq);
    json_t *targets = r ? targets_of(c, r) : json_array();
    json_object_set_new(o, "route", r ? json_string(r->name) : json_null());
    json_object_set_new(o, "subset", flatten(targets, "subset", false));
    json_object_set_new(o, "endpoints", flatten(targets, "endpoints", true));
    json_object_set_new(o, "targets", targets);
    if (!r)
        return;
    json_object_set_new(o, "timeouts",
                        json_pack("{s:I,s:I}", "connect_ms", (json_int_t)r->timeouts.connect_ms, "request_ms",
                                  (json_int_t)r->timeouts.request_ms));
}

json_t *report_why(const struct control *c, const json_t *request, struct buf *why)
{
    const struct enforced *f = control_policy(c);
    struct question *q = calloc(1, sizeof *q);
    json_t *o = NULL;
    if (q && read_question(q, request, why) == ERR_OK) {
        const struct policy_service *s = f->policy ? policy_service(f->policy, bytes_str(q->to)) : NULL;
        o = json_object();
        json_object_set_new(o, "policy", policy_of(f));
        if (!s) {
            json_object_set_new(o, "decision", json_string("deny"));
            json_object_set_new(o, "rule", json_string(f->policy ? "no such service" : "no policy"));
            json_object_set_new(o, "route", json_null());
            json_object_set_new(o, "subset", json_array());
            json_object_set_new(o, "endpoints", json_array());
        } else {
            struct policy_verdict v = policy_decide(f->policy, s, &q->rq);
            json_object_set_new(o, "decision", json_string(v.allowed ? "allow" : "deny"));
            json_object_set_new(o, "rule", json_string(v.rule));
            json_object_set_new(o, "audited", json_boolean(v.audited));
            explain_route(c, o, s, &q->rq);
        }
    }
    free(q);
    return o;
}
