/* `mesh show`: what a root says and who has signed it, of a file or of the root that a running agent trusts. */
#include <stdio.h>
#include <string.h>

#include "cli/args.h"
#include "cli/ask.h"
#include "cli/cli.h"
#include "cli/keys.h"
#include "cli/root_text.h"
#include "store/file.h"

struct shown {
    const char *before_file, *out;
    struct ask ask;
    struct buf bytes, before_bytes, why;
    struct root root, before;
    bool has_before;
};

static enum err from_file(struct shown *s, const char *path)
{
    struct refusal why = {0};
    enum err err = file_read(&s->bytes, path, ROOT_BYTES_MAX, &s->why);
    if (!err && (err = root_read(&s->root, buf_bytes(&s->bytes), &why)) != ERR_OK)
        buf_addf(&s->why, "%s: not a root (root.trust, or what `mesh rotate` wrote): %s: %s", path, why.field,
                 why.reason);
    if (!err && s->before_file)
        err = keys_root(&s->before, &s->before_bytes, NULL, s->before_file, &s->why);
    s->has_before = !err && s->before_file;
    return err;
}

static enum err unhex(struct buf *out, const json_t *text)
{
    size_t len = json_string_length(text) / 2;
    uint8_t *to = buf_reserve(out, len + 1);
    if (!to || len == 0 || !hex_decode(json_string_value(text), json_string_length(text), to, len))
        return ERR_MALFORMED;
    out->len += len;
    return ERR_OK;
}

/* The newest root of the chain that the agent has walked, and the one before it. */
static enum err from_agent(struct shown *s, const struct args_command *cmd)
{
    json_t *o = ask_agent(cmd, &s->ask, json_pack("{s:s}", "command", "root"), 0);
    if (!o)
        return ERR_CLOSED;
    enum err err = unhex(&s->bytes, json_object_get(o, "root"));
    if (!err)
        err = root_read(&s->root, buf_bytes(&s->bytes), NULL);
    if (!err && json_object_get(o, "before")) {
        err = unhex(&s->before_bytes, json_object_get(o, "before"));
        if (!err)
            err = root_read(&s->before, buf_bytes(&s->before_bytes), NULL);
        s->has_before = !err;
    }
    if (err)
        buf_addf(&s->why, "the agent's answer cannot be read: %s", err_text(err));
    json_decref(o);
    return err;
}

static void print(const struct shown *s)
{
    const struct root *before = s->has_before ? &s->before : NULL;
    struct buf out = {0};
    if (s->ask.json) {
        json_t *o = root_json(buf_bytes(&s->bytes), before, &s->root);
        json_dumpf(o, stdout, JSON_INDENT(2));
        putchar('\n');
        json_decref(o);
        return;
    }
    struct hash h = root_hash(buf_bytes(&s->bytes));
    char hex[HASH_TEXT_MAX];
    hex_encode(h.b, HASH_BYTES, hex);
    root_text(&out, &s->root);
    buf_addf(&out, "hash: %s\n\n", hex);
    root_text_signatures(&out, buf_bytes(&s->bytes), before, &s->root);
    if (!before && s->root.epoch > 1)
        buf_addf(&out, "whether the root before it has agreed is seen with --before FILE\n");
    root_text_warnings(&out, before, &s->root);
    fputs(buf_str(&out), stdout);
    buf_fini(&out);
}

int cli_mesh_show(int argc, char **argv)
{
    struct shown s = {0};
    struct args_list files = {0};
    const struct args_option options[] = {
        {"before", 0, "FILE", "the root before it: who of its keys has signed", .text = &s.before_file},
        {"out", 'o', "FILE", "write the running agent's root there, as a root.trust", .text = &s.out},
        ASK_OPTIONS(s.ask),
    };
    const struct args_command command = {.name = "mesh show",
                                         .operands = "[FILE]",
                                         .about =
                                             "Prints what a root or a draft of one says (keys, thresholds, "
                                             "parts, expiry), and which signatures it has\n"
                                             "and lacks. Without FILE: the root that a running agent trusts.",
                                         .option = options,
                                         .option_count = sizeof options / sizeof *options,
                                         .operands_max = 1};
    int status = args_parse(&command, argc, argv, &files);
    if (status != ARGS_GO)
        return status;
    enum err err = files.count ? from_file(&s, files.at[0]) : from_agent(&s, &command);
    if (!err && s.out)
        err = file_write(s.out, buf_bytes(&s.bytes), 0644, false, &s.why);
    if (!err)
        print(&s);
    else if (err != ERR_CLOSED) /* that was said already */
        args_refused(&command, "%s", s.why.len ? buf_str(&s.why) : err_text(err));
    buf_fini(&s.bytes);
    buf_fini(&s.before_bytes);
    buf_fini(&s.why);
    return err ? EXIT_REFUSED : EXIT_GOOD;
}
