#include "admin/request.h"

#include <string.h>

#include "base/id.h"
#include "policy/bundle.h"

static const char *const names[ADMIN_COMMANDS] = {
    [ADMIN_STATUS] = "status",
    [ADMIN_MEMBERS] = "members",
    [ADMIN_SERVICES] = "services",
    [ADMIN_POLICY] = "policy",
    [ADMIN_WHY] = "why",
    [ADMIN_PUBLISH] = "publish",
    [ADMIN_ROOT] = "root",
    [ADMIN_RELOAD] = "reload",
    [ADMIN_LEAVE] = "leave",
    [ADMIN_RENEW] = "renew",
    [ADMIN_RTT] = "rtt",
    [ADMIN_POLICY_STATUS] = "policy-status",
    [ADMIN_POLICY_HISTORY] = "policy-history",
    [ADMIN_OVERLAY] = "overlay",
};

static bool command_of(enum admin_command *out, const json_t *json)
{
    const char *name = json_string_value(json_object_get(json, "command"));
    for (size_t i = 0; name && i < ADMIN_COMMANDS; i++)
        if (strcmp(names[i], name) == 0) {
            *out = (enum admin_command)i;
            return true;
        }
    return false;
}

enum err admin_request_read(struct admin_request *out, struct bytes line)
{
    *out = (struct admin_request){
        .json = json_loadb((const char *)line.at, line.len, JSON_REJECT_DUPLICATES, NULL)};
    if (!json_is_object(out->json))
        out->fault = "the request is not a JSON object";
    else if (!command_of(&out->command, out->json))
        out->fault = "this agent does not know that command; is the `starling` that sent it newer?";
    return out->fault ? ERR_INVALID : ERR_OK;
}

void admin_request_fini(struct admin_request *r)
{
    json_decref(r->json);
    r->json = NULL;
}

enum err admin_request_bundle(const struct admin_request *r, struct buf *out)
{
    const json_t *text = json_object_get(r->json, "bundle");
    size_t len = json_string_length(text) / 2;
    if (len == 0 || len > BUNDLE_BYTES_MAX)
        return ERR_INVALID;
    uint8_t *to = buf_reserve(out, len);
    if (!to)
        return ERR_NOMEM;
    if (!hex_decode(json_string_value(text), json_string_length(text), to, len))
        return ERR_INVALID;
    out->len += len;
    return ERR_OK;
}
