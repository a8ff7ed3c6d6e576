#include "admin/instances.h"

enum { SHOWN_MAX = 256 };

/* The label that instances of a level share with this host; "": none. */
static json_t *label_of_rank(const struct policy_locality *l, uint8_t rank)
{
    return rank < l->prefer_count ? json_of_text(l->prefer[rank]) : json_string("");
}

static const char *standing_of(const struct traffic_candidate *c)
{
    bool waits = c->standing == TRAFFIC_CANDIDATE && !c->is_used;
    return waits ? "farther away" : traffic_standing_text(c->standing);
}

/* What this agent's outlier detector holds of it; null: it may get requests. */
static json_t *ejected_of(const struct why_at *at, const struct view_endpoint *e)
{
    static const char *const phase[] = {
        [OUTLIER_OUT] = "out", [OUTLIER_DUE] = "due for a probe", [OUTLIER_PROBING] = "being probed"};
    if (!at->shared)
        return json_null();
    struct outlier_look look = outlier_look(at->shared->outliers, e, at->mono);
    if (look.standing == OUTLIER_IN)
        return json_null();
    return json_pack("{s:s,s:I,s:I}", "phase", phase[look.standing], "left_ms", (json_int_t)look.left_ms,
                     "times", (json_int_t)look.times);
}

static json_t *endpoint_of(const struct why_at *at, const struct traffic_candidate *c,
                           const struct policy_locality *l)
{
    const struct view_endpoint *e = c->endpoint;
    json_t *o = json_object();
    json_object_set_new(o, "service", json_string(e->service));
    json_object_set_new(o, "node", json_string(e->node ? e->node->name : at->node));
    json_object_set_new(o, "address", json_of_address(e->node ? &e->node->addr : &e->local));
    json_object_set_new(o, "labels", json_of_labels(e->labels));
    json_object_set_new(o, "locality", label_of_rank(l, c->rank));
    json_object_set_new(o, "standing", json_string(standing_of(c)));
    json_object_set_new(o, "ejected", ejected_of(at, e));
    return o;
}

static json_t *place_of(const struct traffic_place *p)
{
    return json_pack("{s:i,s:i,s:f,s:b}", "healthy", (int)p->healthy, "instances", (int)p->total, "percent",
                     p->share_ppm / 10000.0, "panic", p->panic);
}

/* With those of `failover` that the caller may call. */
static void add_places(json_t *target, const struct traffic_ask *ask, const struct traffic_places *places)
{
    json_t *levels = json_array(), *stand_ins = json_array();
    for (size_t i = 0; i < places->level_count; i++) {
        json_t *o = place_of(&places->level[i]);
        json_object_set_new(o, "locality", label_of_rank(&ask->settings->locality, places->level[i].rank));
        json_array_append_new(levels, o);
    }
    for (size_t i = 0; i < places->failover_count; i++) {
        if (ask->failover_barred >> i & 1)
            continue;
        json_t *o = place_of(&places->failover[i]);
        json_object_set_new(o, "service", json_string(policy_service_name(ask->failover[i])));
        json_array_append_new(stand_ins, o);
    }
    json_object_set_new(target, "levels", levels);
    json_object_set_new(target, "standins", stand_ins);
}

/* Who of a service may be chosen into `in`, who may not into `out`, if that is asked. */
static void sort_out(struct traffic *t, const struct why_at *at, const struct traffic_ask *ask,
                     struct traffic_places *places, json_t *in, json_t *out_or_null)
{
    struct traffic_candidate found[SHOWN_MAX];
    size_t n = traffic_candidates(t, ask, places, found, SHOWN_MAX);
    for (size_t i = 0; i < n && i < SHOWN_MAX; i++)
        if (found[i].is_used || out_or_null)
            json_array_append_new(found[i].is_used ? in : out_or_null,
                                  endpoint_of(at, &found[i], &ask->settings->locality));
}

void instances_add(json_t *target, const struct why_at *at, const struct aim_ask *of)
{
    struct traffic_places places = {0}, theirs;
    struct traffic_ask ask = aim_ask_own(of);
    json_t *in = json_array(), *out = json_array();
    /* Nothing is in flight: only who may be chosen matters. Offline nobody is known. */
    struct traffic *fresh = at->offline ? NULL : traffic_new(at->shared, 1);
    if (fresh)
        sort_out(fresh, at, &ask, &places, in, out);
    for (size_t i = 0; fresh && i < places.failover_count; i++) {
        struct traffic_ask instead = aim_ask_instead(of, ask.failover[i]);
        if (places.failover[i].share_ppm > 0)
            sort_out(fresh, at, &instead, &theirs, in, NULL);
    }
    json_object_set_new(target, "endpoints", in);
    json_object_set_new(target, "excluded", out);
    add_places(target, &ask, &places);
    traffic_free(fresh);
}
