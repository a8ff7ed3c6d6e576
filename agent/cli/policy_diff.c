/* `policy diff`: what changes for whom when one policy replaces another. Offline. */
#include <stdio.h>

#include "cli/args.h"
#include "cli/cli.h"
#include "cli/diff_report.h"
#include "cli/difference.h"
#include "cli/policy_load.h"

struct diff_options {
    const char *ca, *root_file;
    bool json, text;
};

/* As diff(1) has it: a difference is no failure, but a script wants to know. */
enum { EXIT_SAME = 0, EXIT_DIFFERENT = 1, EXIT_TROUBLE = 2 };

static json_t *side_json(const char *file, const struct loaded *l)
{
    char hash[HASH_TEXT_MAX] = "";
    if (l->is_bundle)
        hex_encode(l->bundle.hash.b, HASH_BYTES, hash);
    return json_pack("{s:s, s:s, s:I, s:o}", "file", file, "mesh", policy_mesh(l->policy), "version",
                     (json_int_t)policy_version(l->policy), "hash",
                     l->is_bundle ? json_string(hash) : json_null());
}

static void print(const struct diff_options *o, const char *const *files, const struct loaded *before,
                  const struct loaded *after, const struct diff *d)
{
    struct buf out = {0};
    if (o->json) {
        json_t *all = json_pack("{s:o, s:o, s:b, s:o}", "before", side_json(files[0], before), "after",
                                side_json(files[1], after), "different", diff_report_differs(d),
                                "differences", diff_report_json(d));
        json_dumpf(all, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
        putchar('\n');
        json_decref(all);
        return;
    }
    diff_report_text(&out, d);
    if (o->text) {
        buf_add_str(&out, "\n");
        difference_write(&out, before->src[0].text, after->src[0].text);
    }
    fputs(buf_str(&out), stdout);
    buf_fini(&out);
}

static int compare(const struct diff_options *o, const char *const *files, struct loaded *before,
                   struct loaded *after, struct buf *why)
{
    if (loaded_open(before, files, 1, o->ca, o->root_file, why) != ERR_OK ||
        loaded_open(after, files + 1, 1, o->ca, o->root_file, why) != ERR_OK)
        return EXIT_TROUBLE;
    struct diff *d = diff_new(before->policy, after->policy);
    int status = !d ? EXIT_TROUBLE : diff_report_differs(d) ? EXIT_DIFFERENT : EXIT_SAME;
    if (d)
        print(o, files, before, after, d);
    else
        buf_add_str(why, "out of memory");
    diff_free(d);
    return status;
}

int cli_policy_diff(int argc, char **argv)
{
    struct diff_options o = {.ca = NULL};
    struct args_list files = {0};
    struct buf why = {0};
    const struct args_option options[] = {
        {"root", 0, "FILE", "root of trust, for bundles", .text = &o.root_file},
        {"ca", 0, "DIR", "folder of a mesh, instead of --root DIR/root.trust", .text = &o.ca},
        {"text", 0, NULL, "and the lines that changed", .flag = &o.text},
        {"json", 0, NULL, "print JSON", .flag = &o.json},
    };
    const struct args_command command = {.name = "policy diff",
                                         .operands = "OLD NEW",
                                         .about = "Tells what changes for whom when policy NEW replaces "
                                                  "policy OLD: by meaning, not by text. Each is a "
                                                  "file or a\nsigned bundle. Exit status 0: no difference "
                                                  "but the version; 1: differences; 2: trouble.",
                                         .option = options,
                                         .option_count = sizeof options / sizeof *options,
                                         .operands_min = 2,
                                         .operands_max = 2};
    int status = args_parse(&command, argc, argv, &files);
    if (status != ARGS_GO)
        return status;
    struct loaded *side = calloc(2, sizeof *side);
    status = side ? compare(&o, files.at, &side[0], &side[1], &why) : EXIT_TROUBLE;
    if (status == EXIT_TROUBLE)
        (void)args_refused(&command, "%s", why.len ? buf_str(&why) : "out of memory");
    for (size_t i = 0; side && i < 2; i++)
        loaded_fini(&side[i]);
    free(side);
    buf_fini(&why);
    return status;
}
