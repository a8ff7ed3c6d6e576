/* The commands that ask a running agent. */
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/id.h"
#include "cli/ask.h"
#include "base/clock.h"
#include "cli/cli.h"
#include "cli/tell.h"
#include "cli/diff_report.h"
#include "cli/in_force.h"
#include "cli/members_table.h"
#include "cli/report.h"
#include "policy/bundle.h"
#include "store/file.h"

enum { LEAVE_WAIT_S = 3600 };

/* -- printing ------------------------------------------------------------------------------ */

static void print_overlay(const json_t *o)
{
    char ends[WALL_TEXT_MAX];
    if (strcmp(text(o, "phase"), "on") != 0)
        return;
    printf("overlay   %s, version %lld, %s until %s: %s\n", text(o, "name"), number(o, "version"),
           json_is_true(json_object_get(o, "in_force")) ? "in force" : "NOT in force",
           wall_text(number(o, "ends"), ends), text(o, "reason"));
}

static void print_counts(const json_t *m)
{
    printf("members   %lld alive", number(m, "alive"));
    if (number(m, "degraded") > 0)
        printf(" (%lld degraded)", number(m, "degraded"));
    printf(", %lld suspect, %lld dead, %lld left\n", number(m, "suspect"), number(m, "dead"),
           number(m, "left"));
}

static void print_status(const json_t *o)
{
    const json_t *p = json_object_get(o, "policy"), *w;
    size_t i;
    printf("mesh      %s\nnode      %s (%s)\nid        %s\nversion   %s\n", text(o, "mesh"), text(o, "node"),
           text(o, "state"), text(o, "id"), text(o, "version"));
    print_counts(json_object_get(o, "members"));
    printf("root      epoch %lld, %.16s\n", number(json_object_get(o, "root"), "epoch"),
           text(json_object_get(o, "root"), "hash"));
    if (number(p, "version") == 0)
        puts("policy    none in force");
    else
        printf("policy    version %lld, epoch %lld, %.16s\n", number(p, "version"), number(p, "epoch"),
               text(p, "hash"));
    print_overlay(json_object_get(o, "overlay"));
    print_rollout("rollout  ", json_object_get(o, "rollout"));
    char when[WALL_TEXT_MAX];
    printf("enrolled  until %s\n", wall_text(number(o, "credential_expires"), when));
    if (number(o, "revoked_keys") > 0)
        printf("revoked   %lld key%s\n", number(o, "revoked_keys"),
               number(o, "revoked_keys") == 1 ? "" : "s");
    json_array_foreach(json_object_get(o, "warnings"), i, w) printf("warning   %s\n", json_string_value(w));
}

static void print_services(const json_t *list)
{
    struct buf l = {0};
    const json_t *s;
    size_t i;
    printf("%-20s %-20s %-24s %-6s %-16s %s\n", "SERVICE", "NODE", "ADDRESS", "PORT", "STATE", "LABELS");
    json_array_foreach(list, i, s)
        printf("%-20s %-20s %-24s %-6lld %-16s %s\n", text(s, "service"), text(s, "node"), text(s, "address"),
               number(s, "port"), text(s, "state"), labels_text(s, &l));
    buf_fini(&l);
}

/* -- the commands -------------------------------------------------------------------------- */

int report_of(const struct args_command *cmd, const struct ask *a, json_t *question_take,
              void (*print)(const json_t *))
{
    json_t *result = ask_agent(cmd, a, question_take, 0);
    if (!result)
        return EXIT_REFUSED;
    if (a->json)
        return print_json(result);
    print(result);
    json_decref(result);
    return EXIT_GOOD;
}

int report_with(const struct args_command *cmd, const struct ask *a, const char *name,
                void (*print)(const json_t *))
{
    return report_of(cmd, a, json_pack("{s:s}", "command", name), print);
}

static int report(int argc, char **argv, const char *name, const char *about, void (*print)(const json_t *))
{
    struct ask a = {0};
    const struct args_option options[] = {ASK_OPTIONS(a)};
    const struct args_command cmd = {
        .name = name, .about = about, .option = options, .option_count = sizeof options / sizeof *options};
    int status = args_parse(&cmd, argc, argv, NULL);
    return status == ARGS_GO ? report_with(&cmd, &a, name, print) : status;
}

/* A result that is a text, as an object, which can grow. */
static int print_json_text(const char *key, json_t *text_take)
{
    return print_json(json_pack("{s:o}", key, text_take));
}

int cli_status(int argc, char **argv)
{
    return report(argc, argv, "status",
                  "Shows the agent of this host: its mesh, members and policy, and what needs attention.",
                  print_status);
}

int cli_services(int argc, char **argv)
{
    return report(argc, argv, "services", "Lists the instances of all services in the mesh.", print_services);
}

/* A command without operands whose answer is a text. NULL: *status is how it ended. */
static json_t *order(int argc, char **argv, const char *name, const char *about, unsigned until_gone_s,
                     struct ask *a, int *status)
{
    const struct args_option options[] = {ASK_OPTIONS(*a)};
    const struct args_command cmd = {
        .name = name, .about = about, .option = options, .option_count = sizeof options / sizeof *options};
    *status = args_parse(&cmd, argc, argv, NULL);
    if (*status != ARGS_GO)
        return NULL;
    json_t *result = ask_agent(&cmd, a, json_pack("{s:s}", "command", name), until_gone_s);
    *status = result ? EXIT_GOOD : EXIT_REFUSED;
    return result;
}

int cli_reload(int argc, char **argv)
{
    struct ask a = {0};
    int status;
    json_t *result =
        order(argc, argv, "reload",
              "Has the agent read agent.yaml again, as SIGHUP does, and tells the outcome.", 0, &a, &status);
    if (!result)
        return status;
    if (a.json)
        return print_json_text("reloaded", result);
    puts(json_string_value(result));
    json_decref(result);
    return EXIT_GOOD;
}

int cli_leave(int argc, char **argv)
{
    static const char done[] = "the agent has left the mesh and stopped";
    struct ask a = {0};
    int status;
    json_t *result =
        order(argc, argv, "leave",
              "Has the agent leave the mesh, finish what is in flight and stop. Returns when it has.",
              LEAVE_WAIT_S, &a, &status);
    if (!result)
        return status;
    json_decref(result);
    if (a.json)
        return print_json_text("left", json_string(done));
    puts(done);
    return EXIT_GOOD;
}

/* -- publishing -------------------------------------------------------------------------------- */

static json_t *publish_request(const struct args_command *cmd, const char *path)
{
    struct buf bytes = {0}, why = {0};
    char *hex = NULL;
    json_t *o = NULL;
    if (file_read(&bytes, path, BUNDLE_BYTES_MAX, &why) != ERR_OK)
        args_refused(cmd, "%s", buf_str(&why));
    else if ((hex = malloc(2 * bytes.len + 1))) {
        hex_encode(bytes.at, bytes.len, hex);
        o = json_pack("{s:s,s:s}", "command", "publish", "bundle", hex);
    }
    free(hex);
    buf_fini(&bytes);
    buf_fini(&why);
    return o;
}

/* What publishing has changed at the agent that was asked, in the policy or in a delegate's part of it. False: nothing. */
static bool add_changes(json_t *o, struct buf *out, const struct policy *before, const struct policy *after)
{
    struct diff *d = diff_new(before, after);
    bool is_news =
        d && (!before || policy_version(before) != policy_version(after) || diff_report_differs(d));
    if (is_news && o)
        json_object_set_new(o, "differences", diff_report_json(d));
    else if (is_news)
        diff_report_text(out, d);
    diff_free(d);
    return is_news;
}

/* Of a version in steps, before its step has begun here: what it is going to change. */
static void tell_changes(const struct args_command *cmd, const struct ask *a, json_t *o, struct buf *out,
                         const struct policy *before)
{
    struct policy *after = NULL, *staged = NULL;
    if (!in_force_ask(cmd, a, &after))
        return;
    if ((!after || !add_changes(o, out, before, after)) && in_force_ask_staged(cmd, a, &staged) && staged)
        (void)add_changes(o, out, before, staged);
    policy_unref(after);
    policy_unref(staged);
}

/* A bundle or a root: the agent sees which. */
static int publish(const struct args_command *cmd, const struct ask *a, const char *file, bool is_policy)
{
    struct buf out = {0};
    struct policy *before = NULL;
    json_t *result = NULL, *request = publish_request(cmd, file);
    if (request && is_policy && !in_force_ask(cmd, a, &before))
        json_decref(request);
    else if (request)
        result = ask_agent(cmd, a, request, 0);
    if (result) {
        json_t *o = a->json ? json_pack("{s:O}", "published", result) : NULL;
        if (is_policy)
            tell_changes(cmd, a, o, &out, before);
        if (!o)
            printf("%s%s\n", buf_str(&out), json_string_value(result));
        else
            (void)print_json(o);
    }
    policy_unref(before);
    buf_fini(&out);
    json_decref(result);
    return result ? EXIT_GOOD : EXIT_REFUSED;
}

static int publish_command(int argc, char **argv, const char *name, const char *operand, const char *about,
                           bool is_policy)
{
    struct ask a = {0};
    struct args_list operands = {0};
    const struct args_option options[] = {ASK_OPTIONS(a)};
    const struct args_command cmd = {.name = name,
                                     .operands = operand,
                                     .about = about,
                                     .option = options,
                                     .option_count = sizeof options / sizeof *options,
                                     .operands_min = 1,
                                     .operands_max = 1};
    int status = args_parse(&cmd, argc, argv, &operands);
    return status == ARGS_GO ? publish(&cmd, &a, operands.at[0], is_policy) : status;
}

int cli_policy_publish(int argc, char **argv)
{
    return publish_command(
        argc, argv, "policy publish", "FILE.bundle",
        "Hands a signed bundle to this agent, which checks, stores and enforces it; gossip takes it to all "
        "others.\nTells what that has changed here; of a version in steps, what it changes when its step "
        "begins.",
        true);
}

int cli_overlay_publish(int argc, char **argv)
{
    return publish_command(argc, argv, "overlay publish", "FILE",
                           "Hands a signed overlay, or what ends one, to this agent, which checks, stores "
                           "and enforces it; gossip "
                           "takes it\nto all others.",
                           false);
}

int cli_mesh_publish(int argc, char **argv)
{
    return publish_command(
        argc, argv, "mesh publish", "ROOT",
        "Hands the next root of trust to this agent, which checks it, stores it and judges everything by it; "
        "gossip\ntakes it to all others. One step at a time: each root follows the one before it.",
        false);
}
