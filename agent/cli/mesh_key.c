/* `mesh key new|show|passphrase`: one signer's private key, on the signer's own machine. Only its public half leaves it. */
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "cli/args.h"
#include "cli/cli.h"
#include "cli/keys.h"
#include "cli/verbs.h"
#include "store/file.h"

static void report(const struct sign_key *key, const char *kind, const char *path, bool json)
{
    char id[NODE_ID_TEXT_MAX];
    node_id_text(&key->pub, id);
    if (!json) {
        printf("%s\n", id);
        return;
    }
    json_t *o = json_pack("{s:s, s:s, s:s}", "file", path, "kind", kind, "key", id);
    json_dumpf(o, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(o);
}

/* -- new --------------------------------------------------------------------------------------- */

static enum err make(struct sign_key *key, const char *kind, const char *path, const char *passphrase_file,
                     bool sealed, struct buf *why)
{
    struct buf passphrase = {0};
    enum err err = sealed ? keys_passphrase(&passphrase, passphrase_file, true, why) : ERR_OK;
    sign_key_new(key);
    if (!err)
        err = keys_save_at(path, kind, key, sealed ? (const char *)passphrase.at : NULL, false, why);
    secret_fini(&passphrase);
    return err;
}

static bool is_role(const char *text)
{
    assert(text);
    return strcmp(text, "root") == 0 || strcmp(text, "policy") == 0 || strcmp(text, "enrol") == 0;
}

static int key_new(int argc, char **argv)
{
    const char *kind = NULL, *out = NULL, *passphrase_file = NULL;
    bool sealed = false, json = false;
    const struct args_option options[] = {
        {"role", 0, "ROLE", "root, policy (also for those who sign a part) or enrol", .text = &kind,
         .required = true},
        {"out", 'o', "FILE", "where the private key goes (0600)", .text = &out, .required = true},
        {"passphrase", 0, NULL, "seal it with a passphrase ($STARLING_PASSPHRASE, or asked for)",
         .flag = &sealed},
        {"passphrase-file", 0, "FILE", "seal it with the first line of FILE", .text = &passphrase_file},
        {"json", 0, NULL, "print JSON", .flag = &json},
    };
    const struct args_command command = {.name = "mesh key new",
                                         .about = "Makes a signer's key and prints its public half, which "
                                                  "`mesh rotate --add ROLE=KEY` puts into a root.",
                                         .option = options,
                                         .option_count = sizeof options / sizeof *options};
    struct buf why = {0};
    struct sign_key key = {0};
    int status = args_parse(&command, argc, argv, NULL);
    if (status != ARGS_GO)
        return status;
    if (!is_role(kind))
        return args_usage(&command, "--role: \"%s\" is none of root, policy, enrol", kind);
    sealed = sealed || keys_passphrase_is_at_hand(passphrase_file);
    enum err err = make(&key, kind, out, passphrase_file, sealed, &why);
    if (!err)
        report(&key, kind, out, json);
    sign_key_fini(&key);
    return args_end(&command, err, &why);
}

/* -- show -------------------------------------------------------------------------------------- */

static int key_show(int argc, char **argv)
{
    const char *passphrase_file = NULL, *kind = NULL;
    bool json = false;
    struct args_list files = {0};
    struct buf why = {0};
    struct sign_key key = {0};
    const struct args_option options[] = {
        {"passphrase-file", 0, "FILE", "passphrase of the key (else $STARLING_PASSPHRASE, or asked for)",
         .text = &passphrase_file},
        {"json", 0, NULL, "print JSON", .flag = &json},
    };
    const struct args_command command = {.name = "mesh key show",
                                         .operands = "FILE.key",
                                         .about = "Prints the public half of a private key.",
                                         .option = options,
                                         .option_count = sizeof options / sizeof *options,
                                         .operands_min = 1,
                                         .operands_max = 1};
    int status = args_parse(&command, argc, argv, &files);
    if (status != ARGS_GO)
        return status;
    enum err err = keys_load_any(&key, &kind, files.at[0], passphrase_file, &why);
    if (!err)
        report(&key, kind, files.at[0], json);
    sign_key_fini(&key);
    return args_end(&command, err, &why);
}

/* -- passphrase -------------------------------------------------------------------------------- */

struct resealing {
    const char *path, *passphrase_file, *new_file;
    bool remove;
};

static enum err reseal(const struct resealing *r, struct buf *why)
{
    struct sign_key key = {0};
    struct buf fresh = {0};
    const char *kind = NULL;
    enum err err = keys_load_any(&key, &kind, r->path, r->passphrase_file, why);
    if (!err && !r->remove)
        err = keys_passphrase_new(&fresh, r->new_file, why);
    if (!err)
        err = keys_save_at(r->path, kind, &key, r->remove ? NULL : (const char *)fresh.at, true, why);
    sign_key_fini(&key);
    secret_fini(&fresh);
    return err;
}

static int key_passphrase(int argc, char **argv)
{
    struct resealing r = {0};
    struct args_list files = {0};
    struct buf why = {0};
    const struct args_option options[] = {
        {"passphrase-file", 0, "FILE", "the passphrase of today (else $STARLING_PASSPHRASE, or asked for)",
         .text = &r.passphrase_file},
        {"new-passphrase-file", 0, "FILE", "the new one is the first line of FILE (else it is asked for)",
         .text = &r.new_file},
        {"remove", 0, NULL, "leave the key without a passphrase", .flag = &r.remove},
    };
    const struct args_command command = {.name = "mesh key passphrase",
                                         .operands = "FILE.key",
                                         .about =
                                             "Seals a private key with another passphrase, or with a first "
                                             "one, or opens it for good. The key stays\n"
                                             "the same. Copies elsewhere keep the passphrase that they have.",
                                         .option = options,
                                         .option_count = sizeof options / sizeof *options,
                                         .operands_min = 1,
                                         .operands_max = 1};
    int status = args_parse(&command, argc, argv, &files);
    if (status != ARGS_GO)
        return status;
    r.path = files.at[0];
    enum err err = reseal(&r, &why);
    if (!err)
        printf("%s %s\n", r.path, r.remove ? "has no passphrase now" : "has its new passphrase");
    return args_end(&command, err, &why);
}

int cli_mesh_key(int argc, char **argv)
{
    static const struct verb verbs[] = {
        {"new", "make a signer's key", key_new},
        {"show", "print the public half of a private key", key_show},
        {"passphrase", "seal a private key with another passphrase, or none", key_passphrase},
    };
    static const struct verb_group group = {
        .name = "starling mesh key", .what = "VERB", .verb = verbs, .count = sizeof verbs / sizeof *verbs};
    return verbs_run(&group, argc, argv);
}
