/* `policy fmt`: policies in the one way to write them (policy/format.h). Offline. */
#include <stdio.h>
#include <string.h>

#include "cli/args.h"
#include "cli/cli.h"
#include "policy/format.h"
#include "store/file.h"

enum { FILE_MODE = 0644 };

struct fmt_options {
    bool check, write;
};

/* Says what is to be said of one file that was formatted; false: it is not as it should be, or cannot be written. */
static bool deliver(const struct fmt_options *o, const char *file, struct bytes before, struct bytes after,
                    struct buf *why)
{
    bool same = bytes_eq(before, after);
    if (o->check || o->write) {
        if (!same)
            puts(file);
        return same || (o->write && file_write(file, after, FILE_MODE, true, why) == ERR_OK);
    }
    return fwrite(after.at, 1, after.len, stdout) == after.len;
}

static bool format_file(const struct fmt_options *o, const char *file)
{
    struct buf text = {0}, out = {0}, why = {0};
    struct complaints c = {.file = file};
    bool good = file_read(&text, file, YAML_BYTES_MAX, &why) == ERR_OK;
    if (good) {
        c.source = buf_bytes(&text);
        enum err e = policy_format(&out, buf_bytes(&text), &c);
        if (e == ERR_NOMEM)
            complain(&c, NULL, "out of memory");
        good = e == ERR_OK && deliver(o, file, buf_bytes(&text), buf_bytes(&out), &why);
    }
    fputs(buf_str(&c.text), stderr);
    if (why.len)
        fprintf(stderr, "starling policy fmt: %s\n", buf_str(&why));
    buf_fini(&text);
    buf_fini(&out);
    buf_fini(&why);
    buf_fini(&c.text);
    return good;
}

int cli_policy_fmt(int argc, char **argv)
{
    struct fmt_options o = {0};
    struct args_list files = {0};
    const struct args_option options[] = {
        {"check", 0, NULL, "change nothing; name the files that are written otherwise, and fail",
         .flag = &o.check},
        {"write", 'w', NULL, "write back what changes, and name it", .flag = &o.write},
    };
    const struct args_command command = {
        .name = "policy fmt",
        .operands = "FILE...",
        .about = "Writes policies in the one way to write them: meaning, order and "
                 "comments stay.\nPrints to the terminal unless told otherwise.",
        .option = options,
        .option_count = sizeof options / sizeof *options,
        .operands_min = 1,
        .operands_max = ARGS_LIST_MAX};
    int status = args_parse(&command, argc, argv, &files);
    bool good = true;
    if (status != ARGS_GO)
        return status;
    if (o.check && o.write)
        return args_usage(&command, "give --check or --write, not both");
    for (size_t i = 0; i < files.count; i++)
        good = format_file(&o, files.at[i]) && good;
    return good ? EXIT_GOOD : EXIT_REFUSED;
}
