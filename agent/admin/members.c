/* Members and services, as JSON (report.h). */
#include <stdlib.h>

#include "admin/overlays.h"
#include "admin/report.h"
#include "admin/why.h"
#include "trust/codec.h"

/* Microseconds; null: unknown. */
static json_t *round_trip(uint32_t us)
{
    return us ? json_integer(us) : json_null();
}

static void add_ages(json_t *o, const struct control *c, const struct member *m)
{
    struct control_member_age age = control_member_age(c, m);
    json_object_set_new(o, "since_ms", json_of_number(age.in_state_ms));
    json_object_set_new(o, "heard_ms", age.silent_ms == NEVER ? json_null() : json_of_number(age.silent_ms));
}

/* What keeps it from being used, or from being known by its name; absent where nothing does. */
static void add_troubles(json_t *o, const struct control *c, const struct member *m,
                         const struct credential *k)
{
    if (m->is_revoked) {
        struct buf why = {0};
        control_say_revoked(c, k, &why);
        json_object_set_new(o, "revoked", json_string(buf_str(&why)));
        buf_fini(&why);
    }
    if (m->is_quarantined)
        json_object_set_new(o, "quarantined",
                            json_string("it signed two records with one number; not routed to until a newer "
                                        "one has stood undisputed for half a minute"));
    if (control_is_doubled(c, m))
        json_object_set_new(
            o, "doubled",
            json_string("it has answered at two addresses in turn: two agents run with its key"));
    if (control_is_nameless(m))
        json_object_set_new(o, "conflict",
                            json_string("another living member holds this name; not routed to"));
    if (control_is_lost_to_traffic(c, m))
        json_object_set_new(o, "unreachable",
                            json_string(m->reach.is_refused ? "TCP connections from here are refused"
                                                            : "TCP connections from here are not answered"));
}

static json_t *member_of(const struct control *c, const struct member *m)
{
    json_t *o = json_object();
    struct gossip_rtt rtt = gossip_rtt(control_gossip(c), &m->id);
    struct record r;
    control_record_of(c, m, &r);
    json_object_set_new(o, "id", json_of_id(&m->id));
    json_object_set_new(o, "name", json_of_text(member_name(m)));
    json_object_set_new(o, "address", json_of_address(&m->addr));
    json_object_set_new(o, "self", json_boolean(node_id_eq(&m->id, &control_identity(c)->sign.pub)));
    json_object_set_new(o, "state", json_string(member_state_text(m)));
    add_ages(o, c, m);
    json_object_set_new(o, "incarnation", json_of_number(r.incarnation));
    json_object_set_new(o, "labels", json_of_labels(m->record->labels));
    json_object_set_new(o, "policy", json_of_number(r.policy_version));
    json_object_set_new(o, "overlay", overlays_of_member(&r));
    json_object_set_new(o, "root", r.root_epoch ? json_of_number(r.root_epoch) : json_null());
    json_object_set_new(o, "rtt_us", round_trip(rtt.estimated_us));
    json_object_set_new(o, "rtt_measured_us", round_trip(rtt.measured_us));
    json_object_set_new(o, "credential_expires", json_integer(member_expires(m)));
    const struct member_clock *clock = control_member_clock(c, m);
    json_object_set_new(o, "clock_off_ms", clock ? json_integer(clock->off_ms) : json_null());
    json_object_set_new(o, "clock_wrong", json_boolean(clock && clock->is_wrong));
    struct node_id token;
    if (credential_token(&r.credential, &token))
        json_object_set_new(o, "token", json_of_id(&token));
    add_troubles(o, c, m, &r.credential);
    return o;
}

/* By name, and two of one name by their keys. */
static int by_name(const void *a, const void *b)
{
    const struct member *x = *(const struct member *const *)a, *y = *(const struct member *const *)b;
    int order = codec_cmp(member_name(x), member_name(y));
    return order ? order : memcmp(x->id.b, y->id.b, sizeof x->id.b);
}

/* All members in their order, to be freed; NULL: no memory. */
static const struct member **sorted_members(const struct control *c, size_t *count)
{
    const struct roster *r = control_roster(c);
    const struct member **all = malloc((HASH_COUNT(r->by_id) + 1) * sizeof *all);
    *count = 0;
    for (const struct member *m = r->by_id; all && m; m = m->hh.next)
        all[(*count)++] = m;
    if (all)
        qsort(all, *count, sizeof *all, by_name);
    return all;
}

json_t *report_members(const struct control *c)
{
    size_t count;
    const struct member **all = sorted_members(c, &count);
    json_t *list = all ? json_array() : NULL;
    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, member_of(c, all[i]));
    free(all);
    return list;
}

/* By name: who holds it, if anybody lives under it. */
static const struct member *member_named(const struct control *c, struct bytes name)
{
    const struct member *found = NULL;
    for (const struct member *m = control_roster(c)->by_id; m; m = m->hh.next)
        if (bytes_eq(member_name(m), name) && (!found || (member_is_live(m) && !roster_name_is_taken(m))))
            found = m;
    return found;
}

/* Where an end of ours is asked for, what we measured ourselves is known too. */
static struct gossip_rtt rtt_between(const struct control *c, const struct node_id *a,
                                     const struct node_id *b)
{
    const struct node_id *self = &control_identity(c)->sign.pub;
    if (node_id_eq(a, self))
        return gossip_rtt(control_gossip(c), b);
    if (node_id_eq(b, self))
        return gossip_rtt(control_gossip(c), a);
    return (struct gossip_rtt){.estimated_us = gossip_rtt_between_us(control_gossip(c), a, b)};
}

json_t *report_rtt(const struct control *c, struct bytes from, struct bytes to, struct buf *told)
{
    const struct bytes asked[2] = {from, to};
    const struct member *end[2];
    for (int i = 0; i < 2; i++) {
        end[i] = member_named(c, asked[i].len ? asked[i] : bytes_str(control_config(c)->node));
        if (!end[i]) {
            buf_addf(told, "no member is named %.*s; see: starling members", (int)asked[i].len,
                     (const char *)asked[i].at);
            return NULL;
        }
    }
    struct gossip_rtt rtt = rtt_between(c, &end[0]->id, &end[1]->id);
    json_t *o = json_object();
    json_object_set_new(o, "from", json_of_text(member_name(end[0])));
    json_object_set_new(o, "to", json_of_text(member_name(end[1])));
    json_object_set_new(o, "rtt_us", round_trip(rtt.estimated_us));
    json_object_set_new(o, "rtt_measured_us", round_trip(rtt.measured_us));
    return o;
}

static const char *service_state(const struct member *m, const struct view_offer *s)
{
    if (m->is_quarantined)
        return "quarantined";
    if (control_is_nameless(m))
        return "name taken";
    if (m->state != GOSSIP_ALIVE || m->is_degraded)
        return member_state_text(m);
    if (m->record->draining)
        return "draining";
    if (!m->record->has_policy) /* it denies everything; as `why` calls it */
        return "without a policy";
    return s->healthy ? "healthy" : "unhealthy";
}

static json_t *service_of(const struct member *m, const struct view_offer *s)
{
    json_t *o = json_object();
    char ip[ADDR_TEXT_MAX];
    json_object_set_new(o, "service", json_string(s->service));
    json_object_set_new(o, "node", json_of_text(member_name(m)));
    json_object_set_new(o, "address", json_string(addr_ip_text(&m->addr, ip)));
    json_object_set_new(o, "port", json_of_number(s->port));
    json_object_set_new(o, "protocol", json_string(s->protocol == PROTOCOL_HTTP ? "http" : "tcp"));
    json_object_set_new(o, "state", json_string(service_state(m, s)));
    json_object_set_new(o, "labels", json_of_labels(s->labels));
    return o;
}

struct instance {
    const struct member *member;
    const struct view_offer *service;
};

/* By service, then by member. */
static int by_service(const void *a, const void *b)
{
    const struct instance *x = a, *y = b;
    int order = strcmp(x->service->service, y->service->service);
    return order ? order : by_name(&x->member, &y->member);
}

/* Dead and left members offer nothing: their services are gone. To be freed; NULL: no memory. */
static struct instance *sorted_instances(const struct control *c, size_t *count)
{
    size_t most = 0;
    *count = 0;
    for (const struct member *m = control_roster(c)->by_id; m; m = m->hh.next)
        most += m->record->offer_count;
    struct instance *all = malloc((most + 1) * sizeof *all);
    for (const struct member *m = control_roster(c)->by_id; all && m; m = m->hh.next)
        for (size_t i = 0; member_is_live(m) && i < m->record->offer_count; i++)
            all[(*count)++] = (struct instance){m, &m->record->offer[i]};
    if (all)
        qsort(all, *count, sizeof *all, by_service);
    return all;
}

json_t *report_services(const struct control *c)
{
    size_t count;
    struct instance *all = sorted_instances(c, &count);
    json_t *list = all ? json_array() : NULL;
    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, service_of(all[i].member, all[i].service));
    free(all);
    return list;
}
