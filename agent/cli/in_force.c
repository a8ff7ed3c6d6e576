#include "cli/in_force.h"

#include "trust/trust.h"

struct sources {
    struct policy_source src[1 + ROOT_DELEGATIONS_MAX];
    struct policy_reach reach[1 + ROOT_DELEGATIONS_MAX];
    struct bytes pattern[1 + ROOT_DELEGATIONS_MAX][DELEGATION_SERVICES_MAX];
    size_t count;
};

static struct bytes text_of(const json_t *o, const char *key)
{
    const json_t *t = json_object_get(o, key);
    return json_is_string(t) ? bytes_of(json_string_value(t), json_string_length(t)) : bytes_of(NULL, 0);
}

/* Borrows from `part`. */
static void add_part(struct sources *k, const json_t *part)
{
    size_t at = k->count, i;
    struct policy_reach *reach = &k->reach[at];
    const json_t *service;
    const char *name = json_string_value(json_object_get(part, "name"));
    if (at == sizeof k->src / sizeof *k->src || !name)
        return; /* no agent of this version has more, or one without */
    *reach = (struct policy_reach){.name = name, .pattern = k->pattern[at]};
    json_array_foreach(json_object_get(part, "services"), i, service)
    {
        if (reach->pattern_count < DELEGATION_SERVICES_MAX && json_is_string(service))
            k->pattern[at][reach->pattern_count++] =
                bytes_of(json_string_value(service), json_string_length(service));
    }
    k->src[at] = (struct policy_source){.file = name, .text = text_of(part, "text"), .reach_or_null = reach};
    k->count++;
}

static struct policy *compile(const json_t *o)
{
    struct sources k = {.src = {{.file = "policy", .text = text_of(o, "text")}}, .count = 1};
    struct policy *p = NULL;
    const json_t *part;
    size_t i;
    if (k.src[0].text.len == 0)
        return NULL;
    json_array_foreach(json_object_get(o, "parts"), i, part) add_part(&k, part);
    return policy_compile_sources(&p, k.src, k.count, NULL) == ERR_OK ? p : NULL;
}

static bool ask_for(const struct args_command *cmd, const struct ask *a, json_t *request_take,
                    struct policy **p)
{
    json_t *o = ask_agent(cmd, a, request_take, 0);
    *p = o ? compile(o) : NULL;
    json_decref(o);
    return o != NULL;
}

bool in_force_ask(const struct args_command *cmd, const struct ask *a, struct policy **p)
{
    return ask_for(cmd, a, json_pack("{s:s}", "command", "policy"), p);
}

bool in_force_ask_staged(const struct args_command *cmd, const struct ask *a, struct policy **p)
{
    return ask_for(cmd, a, json_pack("{s:s,s:b}", "command", "policy", "rollout", 1), p);
}
