#include "admin/overlays.h"

#include "admin/why.h"

static json_t *head_of(const struct overlay *o)
{
    json_t *signers = json_array();
    for (size_t i = 0; i < o->signer_count; i++)
        json_array_append_new(signers, json_of_id(&o->signer[i]));
    return json_pack("{s:o, s:o, s:s, s:s, s:I, s:I, s:I, s:o}", "epoch", json_of_number(o->epoch), "version",
                     json_of_number(o->version), "name", o->name, "reason", o->reason, "begins",
                     (json_int_t)o->begins, "ends", (json_int_t)o->ends, "rules", (json_int_t)o->rule_count,
                     "signers", signers);
}

static const char *phase_of(const struct overlaid *v)
{
    return v->over != OVERLAID_NOT ? overlaid_end_text(v->over) : v->was_on ? "on" : "not begun";
}

static const char *why_not(const struct control *c)
{
    const struct overlaid *v = control_overlay(c);
    return control_policy(c)->policy ? v->why_not : "no policy is in force";
}

json_t *overlays_newest(const struct control *c)
{
    const struct overlaid *v = control_overlay(c);
    if (v->bytes.len == 0)
        return json_null();
    json_t *o = head_of(&v->newest);
    json_object_set_new(o, "phase", json_string(phase_of(v)));
    json_object_set_new(o, "in_force", json_boolean(v->was_on && v->in_force));
    if (v->was_on && !v->in_force)
        json_object_set_new(o, "why", json_string(why_not(c)));
    return o;
}

static json_t *history_of(const struct overlaid *v)
{
    json_t *list = json_array();
    for (size_t i = v->count; i > 0; i--) {
        const struct overlaid_entry *e = &v->history[i - 1];
        json_t *o = head_of(&e->o);
        json_object_set_new(o, "since", json_integer(e->since));
        json_object_set_new(o, "over_at", e->over_at ? json_integer(e->over_at) : json_null());
        json_object_set_new(o, "over", e->end ? json_string(overlaid_end_text(e->end)) : json_null());
        json_array_append_new(list, o);
    }
    return list;
}

json_t *overlays_report(const struct control *c)
{
    const struct overlaid *v = control_overlay(c);
    json_t *o = json_object(), *newest = overlays_newest(c);
    if (json_is_object(newest)) {
        json_object_set_new(newest, "text", json_of_text(v->newest.text));
        json_object_set_new(newest, "signed", json_of_hex(buf_bytes(&v->bytes)));
    }
    json_object_set_new(o, "newest", newest);
    json_object_set_new(o, "history", history_of(v));
    return o;
}

void overlays_warn(json_t *list, const struct control *c)
{
    const struct overlaid *v = control_overlay(c);
    char ends[WALL_TEXT_MAX];
    if (v->forked)
        json_array_append_new(list, json_sprintf("two signed overlays carry version %llu; sign a higher one",
                                                 (unsigned long long)v->newest.version));
    if (!v->was_on)
        return;
    wall_text(v->newest.ends, ends);
    json_array_append_new(
        list, v->in_force ? json_sprintf("break-glass: overlay %s stands above the policy until %s: %s",
                                         v->newest.name, ends, v->newest.reason)
                          : json_sprintf("break-glass: overlay %s is NOT in force here: %s", v->newest.name,
                                         why_not(c)));
}

json_t *overlays_of_member(const struct record *r)
{
    if (r->overlay.version == 0)
        return json_null();
    return json_pack("{s:o, s:o, s:I, s:b}", "epoch", json_of_number(r->overlay.epoch), "version",
                     json_of_number(r->overlay.version), "ends", (json_int_t)r->overlay.ends, "in_force",
                     r->overlay.in_force);
}
