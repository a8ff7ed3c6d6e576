#include "cli/verify.h"

#include "cli/cli.h"
#include "cli/keys.h"
#include "store/file.h"

const char *verify_sentence(struct buf *why)
{
    while (why->len && why->at[why->len - 1] == '\n')
        why->len--;
    return buf_str(why);
}

/* ERR_DENIED, with nothing in `why`: a draft, of which all was said. */
static enum err verify(const struct verify_kind *kind, const struct verify_options *o, const char *file,
                       struct buf *why)
{
    struct root root;
    struct buf root_bytes = {0}, in = {0};
    struct complaints c = {.file = file};
    bool is_complete = true;
    enum err e = keys_root(&root, &root_bytes, o->ca, o->root_file, why);
    if (e == ERR_OK)
        e = file_read(&in, file, kind->bytes_max, why);
    if (e == ERR_OK && (e = kind->look(o, &root, buf_bytes(&in), file, &c, &is_complete)) != ERR_OK) {
        if (e == ERR_MALFORMED)
            buf_addf(why, "no signed %s, or a damaged one: ", kind->what);
        buf_add_str(why, c.text.len ? buf_str(&c.text) : err_text(e));
    }
    if (e == ERR_OK && !is_complete)
        e = ERR_DENIED;
    buf_fini(&c.text);
    buf_fini(&in);
    buf_fini(&root_bytes);
    return e;
}

int verify_command(const struct verify_kind *kind, int argc, char **argv)
{
    struct verify_options o = {0};
    struct args_list files = {0};
    struct buf why = {0};
    const struct args_option options[] = {
        {"root", 0, "FILE", "root of trust", .text = &o.root_file},
        {"ca", 0, "DIR", "folder of a mesh, instead of --root DIR/root.trust", .text = &o.ca},
        {"text", 0, NULL, kind->text_about, .flag = &o.text},
        {"json", 0, NULL, "print JSON", .flag = &o.json},
    };
    const struct args_command cmd = {.name = kind->name,
                                     .operands = kind->operand,
                                     .about = kind->about,
                                     .option = options,
                                     .option_count = sizeof options / sizeof *options,
                                     .operands_min = 1,
                                     .operands_max = 1};
    int status = args_parse(&cmd, argc, argv, &files);
    if (status != ARGS_GO)
        return status;
    if (!o.ca && !o.root_file)
        return args_usage(&cmd, "give --root FILE, the root of trust of the mesh");
    status = verify(kind, &o, files.at[0], &why) == ERR_OK ? EXIT_GOOD : EXIT_REFUSED;
    if (status != EXIT_GOOD)
        (void)args_refused(&cmd, "%s", why.len ? verify_sentence(&why) : "signatures are missing");
    buf_fini(&why);
    return status;
}
