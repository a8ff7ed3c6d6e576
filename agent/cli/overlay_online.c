/* `overlay show` and `overlay history`: what a running agent knows of break-glass. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/id.h"
#include "cli/ask.h"
#include "cli/tell.h"
#include "store/file.h"

static json_t *overlays(const struct args_command *cmd, const struct ask *a)
{
    return ask_agent(cmd, a, json_pack("{s:s}", "command", "overlay"), 0);
}

/* -- show -------------------------------------------------------------------------------------- */

static void print_newest(const json_t *o)
{
    const json_t *s;
    size_t i;
    char begins[WALL_TEXT_MAX], ends[WALL_TEXT_MAX];
    if (!json_is_object(o)) {
        puts("# there never was an overlay");
        return;
    }
    printf("# overlay %s, version %lld, epoch %lld: %s%s%s\n", text(o, "name"), number(o, "version"),
           number(o, "epoch"), text(o, "phase"), json_object_get(o, "why") ? ", NOT in force: " : "",
           text(o, "why"));
    printf("# signed from %s, ends %s\n", wall_text(number(o, "begins"), begins),
           wall_text(number(o, "ends"), ends));
    json_array_foreach(json_object_get(o, "signers"), i, s) printf("# signed by %s\n", json_string_value(s));
    fputs(text(o, "text"), stdout);
}

/* As it was signed, for `overlay end`. */
static int write_signed(const struct args_command *cmd, const json_t *o, const char *path, bool force)
{
    const char *hex = text(o, "signed");
    struct buf why = {0}, bytes = {0};
    size_t len = strlen(hex) / 2;
    uint8_t *to = len ? buf_reserve(&bytes, len) : NULL;
    if (!to || !hex_decode(hex, strlen(hex), to, len))
        return args_refused(cmd, "this agent has never held an overlay");
    bytes.len = len;
    enum err e = file_write(path, buf_bytes(&bytes), 0644, force, &why);
    int status = e == ERR_OK ? EXIT_GOOD
                             : args_refused(cmd, "%s%s", buf_str(&why),
                                            e == ERR_EXISTS ? "; --force replaces it" : "");
    buf_fini(&bytes);
    buf_fini(&why);
    return status;
}

int cli_overlay_show(int argc, char **argv)
{
    struct ask a = {0};
    const char *out = NULL;
    bool force = false;
    const struct args_option options[] = {
        {"out", 'o', "FILE", "write it there as it was signed, for `overlay end`", .text = &out},
        {"force", 0, NULL, "replace FILE if it exists", .flag = &force},
        ASK_OPTIONS(a)};
    const struct args_command cmd = {
        .name = "overlay show",
        .about =
            "Prints the newest overlay that this agent holds, on or over, as its reviewers read it, and who "
            "signed it.",
        .option = options,
        .option_count = sizeof options / sizeof *options};
    int status = args_parse(&cmd, argc, argv, NULL);
    if (status != ARGS_GO)
        return status;
    json_t *all = overlays(&cmd, &a), *o = json_object_get(all, "newest");
    if (!all)
        return EXIT_REFUSED;
    if (out)
        status = write_signed(&cmd, o, out, force);
    else if (a.json)
        status = print_json(json_incref(o));
    else
        print_newest(o);
    json_decref(all);
    return status == ARGS_GO ? EXIT_GOOD : status;
}

/* -- history ----------------------------------------------------------------------------------- */

static const char *when(const json_t *o, const char *key, char out[WALL_TEXT_MAX])
{
    return json_is_integer(json_object_get(o, key)) ? wall_text(number(o, key), out) : "-";
}

static void print_history(const json_t *list)
{
    const json_t *e, *s;
    size_t i, k;
    char since[WALL_TEXT_MAX], over[WALL_TEXT_MAX];
    printf("%-8s %-20s %-21s %-21s %-9s %s\n", "VERSION", "NAME", "SINCE", "OVER", "HOW", "REASON, SIGNERS");
    json_array_foreach(list, i, e)
    {
        const char *how = text(e, "over");
        printf("%-8lld %-20s %-21s %-21s %-9s %s;", number(e, "version"), text(e, "name"),
               when(e, "since", since), when(e, "over_at", over), *how ? how : "on", text(e, "reason"));
        json_array_foreach(json_object_get(e, "signers"), k, s)
            printf("%s %.24s", k ? "," : "", json_string_value(s));
        putchar('\n');
    }
}

int cli_overlay_history(int argc, char **argv)
{
    struct ask a = {0};
    const struct args_option options[] = {ASK_OPTIONS(a)};
    const struct args_command cmd = {
        .name = "overlay history",
        .about =
            "Lists the last 50 overlays that this agent took up, newest first: why, by whom, since when, and "
            "how each ended.",
        .option = options,
        .option_count = sizeof options / sizeof *options};
    int status = args_parse(&cmd, argc, argv, NULL);
    if (status != ARGS_GO)
        return status;
    json_t *all = overlays(&cmd, &a);
    if (!all)
        return EXIT_REFUSED;
    if (a.json)
        (void)print_json(json_incref(json_object_get(all, "history")));
    else
        print_history(json_object_get(all, "history"));
    json_decref(all);
    return EXIT_GOOD;
}
