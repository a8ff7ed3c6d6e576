#include "cli/limits.h"

#include <stdio.h>

#include <string.h>

/* Calls `each` for every piece between commas of every value. ARGS_GO, or the exit status of the first
 * refusal. */
static int each_piece(const struct args_list *list,
                      int (*each)(const struct args_command *cmd, struct limits *l, struct bytes piece),
                      const struct args_command *cmd, struct limits *l)
{
    for (size_t i = 0; i < list->count; i++) {
        const char *at = list->at[i];
        for (;;) {
            size_t n = strcspn(at, ",");
            int status = each(cmd, l, bytes_of(at, n));
            if (status != ARGS_GO)
                return status;
            if (!at[n])
                break;
            at += n + 1;
        }
    }
    return ARGS_GO;
}

static int add_service(const struct args_command *cmd, struct limits *l, struct bytes s)
{
    if (!bytes_eq_str(s, "*") && !name_is_sound(s, SERVICE_NAME_MAX))
        return args_usage(
            cmd, "--service: \"%.*s\" is not a service name; use at most %d of a-z, 0-9, '-' and '.'",
            (int)s.len, (const char *)s.at, SERVICE_NAME_MAX);
    for (size_t i = 0; i < l->service_count; i++)
        if (bytes_eq(l->service[i], s))
            return args_usage(cmd, "--service: %.*s is named twice", (int)s.len, (const char *)s.at);
    if (l->service_count == CREDENTIAL_SERVICES_MAX)
        return args_usage(cmd, "--service: more than %d services; make two tokens, or use '*'",
                          CREDENTIAL_SERVICES_MAX);
    l->service[l->service_count++] = s;
    return ARGS_GO;
}

static int add_label(const struct args_command *cmd, struct limits *l, struct bytes s)
{
    const uint8_t *equals = s.len ? memchr(s.at, '=', s.len) : NULL;
    if (!equals)
        return args_usage(cmd, "--label: \"%.*s\" is not of the form key=value", (int)s.len,
                          (const char *)s.at);
    struct bytes key = bytes_of(s.at, (size_t)(equals - s.at)),
                 value = bytes_of(equals + 1, s.len - key.len - 1);
    switch (labels_add(&l->labels, key, value)) {
    case ERR_OK:
        return ARGS_GO;
    case ERR_EXISTS:
        return args_usage(cmd, "--label: %.*s has two values", (int)key.len, (const char *)key.at);
    case ERR_LIMIT:
        return args_usage(cmd, "--label: more than %d labels", LABELS_MAX);
    default:
        return args_usage(cmd, "--label: \"%.*s\": key and value are 1 to %d letters, digits and -_./:+@",
                          (int)s.len, (const char *)s.at, LABEL_MAX);
    }
}

int limits_read(const struct args_command *cmd, const struct args_list *services,
                const struct args_list *labels, struct limits *out)
{
    int status = each_piece(services, add_service, cmd, out);
    if (status == ARGS_GO)
        status = each_piece(labels, add_label, cmd, out);
    for (size_t i = 0; status == ARGS_GO && out->service_count > 1 && i < out->service_count; i++)
        if (bytes_eq_str(out->service[i], "*"))
            status = args_usage(cmd, "--service: '*' is any service; name no others with it");
    return status;
}

static bool is_listed(const struct role *role, const struct node_id *key)
{
    for (size_t i = 0; i < role->count; i++)
        if (node_id_eq(&role->key[i], key))
            return true;
    return false;
}

enum err limits_check_key(const struct root *root, const struct sign_key *enrol, wall_s now, struct buf *why)
{
    if (!is_listed(&root->enrol, &enrol->pub)) {
        buf_addf(why,
                 "the enrol key is not one of the mesh %.*s; use the key that was made with its root.trust",
                 (int)root->mesh.len, (const char *)root->mesh.at);
        return ERR_DENIED;
    }
    if (root->enrol.threshold > 1) {
        buf_addf(why, "the mesh asks for %zu enrol keys on every grant, and this command signs with one",
                 root->enrol.threshold);
        return ERR_UNSUPPORTED;
    }
    if (root->expires && now >= root->expires) {
        buf_addf(why, "the mesh's root has expired; sign a new one first");
        return ERR_EXPIRED;
    }
    return ERR_OK;
}

void limits_print_start(const struct bytes *service, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct bytes name = bytes_eq_str(service[i], "*") ? bytes_str("NAME") : service[i];
        printf(" --service %.*s=PORT", (int)name.len, (const char *)name.at);
    }
    puts("\n(--caller NAME=uid:USER instead, for a service that runs there only to call others)");
}
