/* `policy show`, `history`, `status`: what policies a running agent has, and which member has what. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/id.h"
#include "cli/ask.h"
#include "cli/cli.h"
#include "cli/difference.h"
#include "cli/tell.h"

enum {
    POLL_MS = 200,   /* between two questions of --wait */
    REASONS_MAX = 4, /* different ones in the summary; the lines above it have all */
};

/* Why its signers signed it all the same. */
static void print_forced(const json_t *o, const char *lead)
{
    if (*text(o, "forced"))
        printf("%ssigned though its tests fail: %s\n", lead, text(o, "forced"));
    if (*text(o, "dropped"))
        printf("%ssigned, revocations dropped: %s\n", lead, text(o, "dropped"));
}

/* -- show -------------------------------------------------------------------------------------- */

static void print_policy(const json_t *o)
{
    const json_t *s;
    size_t i;
    if (number(o, "version") == 0) {
        puts("# no policy is in force: everything is denied");
        return;
    }
    printf("# version %lld, epoch %lld, hash %s\n", number(o, "version"), number(o, "epoch"),
           text(o, "hash"));
    json_array_foreach(json_object_get(o, "signers"), i, s) printf("# signed by %s\n", json_string_value(s));
    print_forced(o, "# ");
    fputs(text(o, "text"), stdout);
}

json_t *cli_policy_of(const struct args_command *cmd, const struct ask *a, int64_t version, int64_t epoch)
{
    json_t *request = json_pack("{s:s}", "command", "policy");
    if (version > 0)
        json_object_set_new(request, "version", json_integer(version));
    if (epoch > 0)
        json_object_set_new(request, "epoch", json_integer(epoch));
    return ask_agent(cmd, a, request, 0);
}

int cli_policy_show(int argc, char **argv)
{
    struct ask a = {0};
    int64_t version = 0, epoch = 0;
    const char *version_text = NULL, *epoch_text = NULL;
    const struct args_option options[] = {
        {"version", 0, "N", "this version of the agent's history, instead of the one in force",
         .text = &version_text},
        {"epoch", 0, "N", "of this epoch (the highest that has the version)", .text = &epoch_text},
        ASK_OPTIONS(a)};
    const struct args_command cmd = {
        .name = "policy show",
        .about = "Prints the policy in force at this agent, or one of its last 50, as its reviewers read it, "
                 "and who signed it.",
        .option = options,
        .option_count = sizeof options / sizeof *options};
    int status = args_parse(&cmd, argc, argv, NULL);
    if (status != ARGS_GO)
        return status;
    if ((version_text && !cli_whole_number(version_text, &version)) ||
        (epoch_text && !cli_whole_number(epoch_text, &epoch)))
        return args_usage(&cmd, "--version and --epoch are whole numbers from 1 on");
    json_t *result = cli_policy_of(&cmd, &a, version, epoch);
    if (!result)
        return EXIT_REFUSED;
    if (a.json)
        return print_json(result);
    print_policy(result);
    json_decref(result);
    return EXIT_GOOD;
}

/* -- history ----------------------------------------------------------------------------------- */

/* How many lines of each sign, by which this text came out of the one before. */
static void count_lines(json_t *entry, const char *before, const char *after)
{
    struct buf d = {0};
    int64_t added = 0, removed = 0;
    difference_write(&d, bytes_str(before), bytes_str(after));
    for (const char *line = buf_str(&d); *line; line = strchr(line, '\n') + 1) {
        added += *line == '+';
        removed += *line == '-';
        if (!strchr(line, '\n'))
            break;
    }
    json_object_set_new(entry, "added", json_integer(added));
    json_object_set_new(entry, "removed", json_integer(removed));
    buf_fini(&d);
}

/* `list` is newest first. False: complained. */
static bool add_counts(const struct args_command *cmd, const struct ask *a, json_t *list)
{
    json_t *after = NULL;
    for (size_t i = 0; i < json_array_size(list); i++) {
        json_t *e = json_array_get(list, i);
        json_t *one = cli_policy_of(cmd, a, number(e, "version"), number(e, "epoch"));
        if (one && after)
            count_lines(json_array_get(list, i - 1), text(one, "text"), text(after, "text"));
        json_decref(after);
        after = one;
        if (!one)
            return false;
    }
    json_decref(after);
    return true;
}

static void print_history(const json_t *list)
{
    const json_t *e, *s;
    size_t i, k;
    printf("%-8s %-6s %-17s %-21s %-13s %s\n", "VERSION", "EPOCH", "HASH", "IN FORCE SINCE", "LINES",
           "SIGNED BY");
    json_array_foreach(list, i, e)
    {
        char when[WALL_TEXT_MAX] = "(not known)", lines[32] = "-";
        if (number(e, "since"))
            wall_text(number(e, "since"), when);
        if (json_object_get(e, "added"))
            snprintf(lines, sizeof lines, "+%lld -%lld", number(e, "added"), number(e, "removed"));
        printf("%-8lld %-6lld %.16s%s %-21s %-13s", number(e, "version"), number(e, "epoch"), text(e, "hash"),
               json_is_true(json_object_get(e, "in_force")) ? "*" : " ", when, lines);
        json_array_foreach(json_object_get(e, "signers"), k, s)
            printf("%s%.20s", k ? ", " : " ", json_string_value(s));
        putchar('\n');
        print_forced(e, "         ");
    }
}

int cli_policy_history(int argc, char **argv)
{
    struct ask a = {0};
    const struct args_option options[] = {ASK_OPTIONS(a)};
    const struct args_command cmd = {
        .name = "policy history",
        .about = "Lists the last 50 policies that were in force at this agent, newest first: since when, who "
                 "signed them,\nand how many lines each added and removed. * is in force.",
        .option = options,
        .option_count = sizeof options / sizeof *options};
    int status = args_parse(&cmd, argc, argv, NULL);
    if (status != ARGS_GO)
        return status;
    json_t *list = ask_agent(&cmd, &a, json_pack("{s:s}", "command", "policy-history"), 0);
    if (!list || !add_counts(&cmd, &a, list)) {
        json_decref(list);
        return EXIT_REFUSED;
    }
    if (a.json)
        return print_json(list);
    print_history(list);
    json_decref(list);
    return EXIT_GOOD;
}

/* -- status ------------------------------------------------------------------------------------ */

/* "needs rate-limit-mesh" */
static void say_failed(struct buf *out, const json_t *failed)
{
    static const struct {
        const char *reason, *words;
    } known[] = {{"feature", "needs "},
                 {"text", "does not compile: "},
                 {"store", "cannot be stored: "},
                 {"fork", "two bundles of this version; the other is "}};
    const char *reason = text(failed, "reason"), *words = NULL;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(known[i].reason, reason) == 0)
            words = known[i].words;
    if (words)
        buf_addf(out, "%s%s", words, text(failed, "words"));
    else /* a later version's */
        buf_addf(out, "%s: %s", reason, text(failed, "words"));
}

static bool is_fork(const json_t *failed)
{
    return strcmp(text(failed, "reason"), "fork") == 0;
}

static void print_member(const json_t *m)
{
    const json_t *failed = json_object_get(m, "failed");
    struct buf why = {0};
    if (failed && !is_fork(failed))
        buf_addf(&why, "version %lld ", number(failed, "version"));
    else if (failed && number(failed, "version") != number(m, "version")) /* it is being rolled out */
        buf_addf(&why, "version %lld: ", number(failed, "version"));
    if (failed)
        say_failed(&why, failed);
    printf("%-24s %-12s %-9s %-8lld %-6lld %-16.16s %s\n", text(m, "name"), text(m, "state"),
           text(m, "member"), number(m, "version"), number(m, "epoch"), text(m, "hash"), buf_str(&why));
    buf_fini(&why);
}

/* Adds `reason` to a list of different ones, " (a; b)" in the end. */
static void add_reason(json_t *seen, const json_t *failed)
{
    struct buf why = {0};
    say_failed(&why, failed);
    if (!json_object_get(seen, buf_str(&why)))
        json_object_set_new(seen, buf_str(&why), json_true());
    buf_fini(&why);
}

static void print_reasons(const json_t *members, const char *state)
{
    json_t *seen = json_object(), *value;
    const json_t *m;
    const char *reason;
    size_t i, n = 0;
    json_array_foreach(members, i,
                       m) if (json_object_get(m, "failed") && strcmp(text(m, "state"), state) == 0)
        add_reason(seen, json_object_get(m, "failed"));
    json_object_foreach(seen, reason, value) if (n++ < REASONS_MAX)
        printf("%s%s", n == 1 ? " (" : "; ", reason);
    if (n > 0)
        puts(n > REASONS_MAX ? "; ...)" : ")");
    if (n == 0)
        putchar('\n');
    json_decref(seen);
}

static size_t count_forks(const json_t *members)
{
    const json_t *m;
    size_t i, n = 0;
    json_array_foreach(members, i, m) n += is_fork(json_object_get(m, "failed"));
    return n;
}

/* "version 42: 997 of 1000 members, 2 stale, 1 failed (needs rate-limit-mesh)" */
static void print_summary(const json_t *o)
{
    static const char *const states[] = {"stale", "forked", "ahead", "unreachable", "failed"};
    const json_t *counts = json_object_get(o, "counts"), *members = json_object_get(o, "members");
    bool none = number(o, "version") == 0;
    if (none)
        printf("no policy is in force here: %zu members", json_array_size(members));
    else
        printf("version %lld: %lld of %zu members", number(o, "version"), number(counts, "current"),
               json_array_size(members));
    for (size_t i = 0; !none && i < sizeof states / sizeof *states; i++)
        if (number(counts, states[i]) > 0)
            printf(", %lld %s", number(counts, states[i]), states[i]);
    print_reasons(members, "failed");
    if (count_forks(members) > 0)
        printf("ALARM: %zu of them have seen two signed policies of one version; sign a higher one\n",
               count_forks(members));
}

/* "overlay incident-7, version 3: in force at 9 of 10 members, until 2026-..." */
static void print_overlay(const json_t *o, const json_t *members)
{
    const json_t *m;
    size_t i, n = 0;
    char ends[WALL_TEXT_MAX];
    if (strcmp(text(o, "phase"), "on") != 0)
        return;
    json_array_foreach(members, i, m)
    {
        const json_t *has = json_object_get(m, "overlay");
        n += json_is_true(json_object_get(has, "in_force")) && number(has, "version") == number(o, "version");
    }
    printf("overlay %s, version %lld: in force at %zu of %zu members, until %s\n", text(o, "name"),
           number(o, "version"), n, json_array_size(members), wall_text(number(o, "ends"), ends));
}

void print_rollout(const char *label, const json_t *r)
{
    const json_t *step;
    size_t i;
    if (!json_is_object(r))
        return;
    printf("%s version %lld, step %lld of %lld, enforced by %lld of %lld members; %s here", label,
           number(r, "version"), number(r, "step"), number(r, "steps"), number(r, "enforced_by"),
           number(r, "members"),
           json_is_true(json_object_get(r, "in_force_here")) ? "in force" : "not in force");
    if (json_object_get(r, "halted"))
        printf("; halted by %s", text(r, "halted"));
    else if (!json_is_true(json_object_get(r, "compared")))
        printf("; not compared yet: too few requests or reports");
    json_array_foreach(json_object_get(r, "empty_steps"), i, step)
        printf("%s %lld", i ? "," : "; nobody in step", (long long)json_integer_value(step));
    puts("");
}

static void print_status(const json_t *o, bool summary_only)
{
    const json_t *m, *members = json_object_get(o, "members");
    size_t i;
    if (!summary_only) {
        printf("%-24s %-12s %-9s %-8s %-6s %-16s %s\n", "NAME", "STATE", "MEMBER", "VERSION", "EPOCH", "HASH",
               "REASON");
        json_array_foreach(members, i, m) print_member(m);
    }
    print_summary(o);
    print_forced(o, "");
    if (json_is_true(json_object_get(o, "unvouched")))
        puts("ALARM: the root in force does not vouch for it; it stays enforced; sign and publish the next "
             "version");
    if (json_is_true(json_object_get(o, "expired")))
        puts("ALARM: it has expired; it stays enforced; sign and publish the next version");
    print_rollout("rollout:", json_object_get(o, "rollout"));
    print_overlay(json_object_get(o, "overlay"), members);
}

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static bool is_complete(const json_t *o, int64_t version)
{
    return json_is_true(json_object_get(o, "complete")) && number(o, "version") >= version;
}

/* Asks again until all have it or time is up. The last answer; NULL: complained. */
static json_t *ask_until(const struct args_command *cmd, const struct ask *a, int64_t wait_s, int64_t version)
{
    int64_t until = now_ms() + wait_s * 1000;
    for (;;) {
        json_t *o = ask_agent(cmd, a, json_pack("{s:s}", "command", "policy-status"), 0);
        if (!o || is_complete(o, version) || now_ms() >= until)
            return o;
        json_decref(o);
        nanosleep(&(struct timespec){0, POLL_MS * 1000000L}, NULL);
    }
}

int cli_policy_status(int argc, char **argv)
{
    struct ask a = {0};
    int64_t wait_s = 0, version = 0;
    const char *version_text = NULL;
    bool summary = false;
    const struct args_option options[] = {
        {"wait", 0, "TIME",
         "until every living member has it, at most so long; exit status 1 if they have not",
         .seconds = &wait_s},
        {"version", 0, "N", "with --wait: and it is this version or a later one", .text = &version_text},
        {"summary", 0, NULL, "without the members' lines", .flag = &summary},
        ASK_OPTIONS(a)};
    const struct args_command cmd = {
        .name = "policy status",
        .about =
            "Shows which policy is in force at every member, and why not the newest: held against the newest "
            "one whose\nsignatures this agent has seen.",
        .option = options,
        .option_count = sizeof options / sizeof *options};
    int status = args_parse(&cmd, argc, argv, NULL);
    if (status != ARGS_GO)
        return status;
    if (version_text && !cli_whole_number(version_text, &version))
        return args_usage(&cmd, "--version is a whole number from 1 on");
    json_t *o = ask_until(&cmd, &a, wait_s, version);
    if (!o)
        return EXIT_REFUSED;
    status = wait_s && !is_complete(o, version) ? EXIT_REFUSED : EXIT_GOOD;
    if (a.json)
        print_json(json_incref(o));
    else
        print_status(o, summary);
    json_decref(o);
    return status;
}
