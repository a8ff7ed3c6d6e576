/* `renew`: a new credential for a running agent. */
#include <stdio.h>

#include "cli/args.h"
#include "cli/ask.h"
#include "cli/cli.h"
#include "store/file.h"
#include "trust/request.h"

/* The file's text goes to the agent, which need not be able to read it itself. */
static bool add_text(json_t *request, const char *key, const char *path, size_t max, struct buf *why)
{
    struct buf text = {0};
    enum err e = buf_reserve(&text, max + 1) ? file_read(&text, path, max, why) : ERR_NOMEM;
    bool ok =
        e == ERR_OK && json_object_set_new(request, key, json_stringn((const char *)text.at, text.len)) == 0;
    if (!ok && why->len == 0)
        buf_addf(why, "%s is no text", path);
    secret_fini(&text);
    return ok;
}

int cli_renew(int argc, char **argv)
{
    struct ask a = {0};
    const char *token = NULL, *credential = NULL;
    bool roll = false;
    const struct args_option options[] = {
        ASK_OPTIONS(a),
        {"token", 0, "FILE", "a fresh token (the file that the agent was started with)", .text = &token},
        {"credential", 0, "FILE", "or a credential of `starling enrol sign`", .text = &credential},
        {"roll-key", 0, NULL, "make a new Noise key, too; the old one is answered until its credential ends",
         .flag = &roll},
    };
    const struct args_command cmd = {
        .name = "renew",
        .about = "Renews this host's credential without a restart: links and sessions go on, and what was "
                 "signed is\n"
                 "stored before it is used. An agent started with --token does so by itself, in the last "
                 "third of its\n"
                 "credential's life, as long as that file holds a token that is good.",
        .option = options,
        .option_count = sizeof options / sizeof *options};
    struct buf why = {0};
    int status = args_parse(&cmd, argc, argv, NULL);
    if (status != ARGS_GO)
        return status;
    if (credential && (token || roll))
        return args_usage(
            &cmd, "--credential is signed for the keys there are: no --token and no --roll-key with it");
    json_t *request = json_pack("{s:s,s:b}", "command", "renew", "roll", roll), *result = NULL;
    if ((!token || add_text(request, "token", token, TOKEN_TEXT_MAX, &why)) &&
        (!credential || add_text(request, "credential", credential, CREDENTIAL_TEXT_MAX, &why)))
        result = ask_agent(&cmd, &a, json_incref(request), 0);
    else
        args_refused(&cmd, "%s", buf_str(&why));
    json_decref(request);
    buf_fini(&why);
    if (!result)
        return EXIT_REFUSED;
    if (a.json) {
        json_t *o = json_pack("{s:o}", "renewed", result);
        json_dumpf(o, stdout, JSON_INDENT(2));
        putchar('\n');
        json_decref(o);
        return EXIT_GOOD;
    }
    puts(json_string_value(result));
    json_decref(result);
    return EXIT_GOOD;
}
