/* What commands that print an answer share. */
#ifndef CLI_TELL_H
#define CLI_TELL_H

#include <stdio.h>

#include <jansson.h>

#include "cli/cli.h"

/* Takes the reference. Returns EXIT_GOOD. */
static inline int print_json(json_t *result_take)
{
    json_dumpf(result_take, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER | JSON_ENCODE_ANY);
    putchar('\n');
    json_decref(result_take);
    return EXIT_GOOD;
}

/* A member that is a text; "" if it is not. */
static inline const char *text(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));
    return s ? s : "";
}

static inline long long number(const json_t *o, const char *key)
{
    return (long long)json_integer_value(json_object_get(o, key));
}

/* One line about the `rollout` of `status` and `policy status`, behind `label`; nothing where there is none (null).
 * In policy_online.c. */
void print_rollout(const char *label, const json_t *rollout);

#endif
