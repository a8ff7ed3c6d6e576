/* `starling members`: who is there, how far away, and who was cut. */
#include <string.h>

#include "base/clock.h"
#include "cli/ask.h"
#include "cli/cli.h"
#include "cli/members_table.h"
#include "cli/report.h"
#include "cli/tell.h"

static void print_members(const json_t *list)
{
    struct buf out = {0};
    members_table(list, &out);
    fputs(buf_str(&out), stdout);
    buf_fini(&out);
}

/* "1.234"; "-": unknown. */
static const char *milliseconds(const json_t *o, const char *key, char space[16])
{
    long long us = number(o, key);
    if (us > 0)
        snprintf(space, 16, "%lld.%03lld", us / 1000 % 1000000, us % 1000);
    return us > 0 ? space : "-";
}

/* Who was cut by name, then the keys of the policy in force for which nobody was. */
static void print_revoked(const json_t *list)
{
    const json_t *m;
    size_t i;
    char at[WALL_TEXT_MAX];
    if (json_array_size(list) == 0)
        puts("nobody was cut, and the policy in force revokes no key");
    json_array_foreach(list, i, m)
    {
        bool was_cut = json_is_true(json_object_get(m, "cut"));
        printf("%-24s %-20s %s%s%s\n", was_cut ? text(m, "name") : "-", wall_text(number(m, "at"), at),
               was_cut ? "" : text(m, "id"), was_cut ? "" : " is ", text(m, "why"));
    }
}

static void print_round_trips(const json_t *list)
{
    const json_t *m;
    size_t i;
    char estimated[16], measured[16];
    printf("%-24s %-8s %-28s %14s %13s\n", "NAME", "STATE", "ADDRESS", "ESTIMATED ms", "MEASURED ms");
    json_array_foreach(list, i, m)
        printf("%-24s %-8s %-28s %14s %13s\n", text(m, "name"), text(m, "state"), text(m, "address"),
               milliseconds(m, "rtt_us", estimated), milliseconds(m, "rtt_measured_us", measured));
}

static void print_round_trip_line(const json_t *o, const char *what, const char *key)
{
    char ms[16];
    printf("%-10s %s%s\n", what, milliseconds(o, key, ms), number(o, key) > 0 ? " ms" : "");
}

static void print_round_trip(const json_t *o)
{
    printf("from       %s\nto         %s\n", text(o, "from"), text(o, "to"));
    print_round_trip_line(o, "estimated", "rtt_us");
    print_round_trip_line(o, "measured", "rtt_measured_us");
}

int cli_members(int argc, char **argv)
{
    struct ask a = {0};
    bool rtt = false, revoked = false;
    struct args_list names = {0};
    const struct args_option options[] = {
        {"rtt", 0, NULL,
         "show round trips from here, or between two members: estimated by "
         "coordinates, and measured where they are",
         .flag = &rtt},
        {"revoked", 0, NULL,
         "show who was cut because a key of theirs was revoked, and why, and what else the policy in force "
         "revokes",
         .flag = &revoked},
        ASK_OPTIONS(a)};
    const struct args_command cmd = {
        .name = "members",
        .operands = "[[FROM] TO]",
        .operands_max = 2,
        .about = "Lists the members of the mesh as this agent knows them; with --rtt and names, the round "
                 "trip between two of them (FROM: this host).",
        .option = options,
        .option_count = sizeof options / sizeof *options};
    int status = args_parse(&cmd, argc, argv, &names);
    if (status != ARGS_GO)
        return status;
    if (names.count && !rtt)
        return args_usage(&cmd, "names go with --rtt");
    if (revoked)
        return report_of(&cmd, &a, json_pack("{s:s,s:b}", "command", "members", "revoked", 1), print_revoked);
    if (names.count)
        return report_of(&cmd, &a,
                         json_pack("{s:s,s:s,s:s}", "command", "rtt", "from",
                                   names.count == 2 ? names.at[0] : "", "to", names.at[names.count - 1]),
                         print_round_trip);
    return report_with(&cmd, &a, "members", rtt ? print_round_trips : print_members);
}
