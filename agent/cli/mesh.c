/* `mesh init`: makes a mesh, offline. Its keys stay in one folder; root.trust, which is public, is what
 * agents and reviewers check everything against. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>

#include "cli/args.h"
#include "cli/cli.h"
#include "cli/keys.h"
#include "store/file.h"

static const char *name, *dir, *passphrase_file;
static bool want_passphrase, force, json;

static const struct args_option options[] = {
    {"name", 0, "MESH", "the mesh's name, as in spiffe://MESH/service; a DNS name", .text = &name,
     .required = true},
    {"dir", 0, "DIR", "folder for the keys; made if missing", .text = &dir, .required = true},
    {"passphrase", 0, NULL, "seal the keys with a passphrase ($STARLING_PASSPHRASE, or asked for)",
     .flag = &want_passphrase},
    {"passphrase-file", 0, "FILE", "seal the keys with the first line of FILE", .text = &passphrase_file},
    {"force", 0, NULL, "replace the keys that are in DIR: the old mesh is lost", .flag = &force},
    {"json", 0, NULL, "print JSON", .flag = &json},
};
static const struct args_command command = {
    .name = "mesh init",
    .about = "Makes a mesh, offline: a root key, a policy key, an enrol key, and root.trust (public).\n"
             "Do it on a machine that you trust, and keep a copy of DIR offline.",
    .option = options,
    .option_count = sizeof options / sizeof *options,
};

/* What is made, in the order it is written: root.trust comes last, so a folder that has it is complete. */
enum { ROOT, POLICY, ENROL, ROLES };
static const char *const role_name[ROLES] = {"root", "policy", "enrol"};
static const char *const role_use[ROLES] = {
    "says who may sign; move it offline, it is needed again only to change keys",
    "signs policies: starling policy sign", "makes tokens for hosts: starling token create"};

static enum err seal_root(struct buf *out, const struct sign_key key[ROLES])
{
    const struct sign_key *by = &key[ROOT];
    struct root root = {.mesh = bytes_str(name),
                        .epoch = 1,
                        .root = {1, 1, {key[ROOT].pub}},
                        .policy = {1, 1, {key[POLICY].pub}},
                        .enrol = {1, 1, {key[ENROL].pub}}};
    return root_create(out, &root, &by, 1);
}

/* Refuses before anything is written. The folder is ours alone: whoever may write in it may replace the root
 * of trust. */
static enum err prepare_folder(struct buf *why)
{
    struct stat st;
    if (mkdir(dir, 0700) != 0 && errno != EEXIST) {
        buf_addf(why, "cannot make the folder %s: %s; make its parent folder, or choose another", dir,
                 strerror(errno));
        return ERR_IO;
    }
    if (stat(dir, &st) != 0 || !S_ISDIR(st.st_mode)) {
        buf_addf(why, "%s is not a folder; choose another", dir);
        return ERR_INVALID;
    }
    if (st.st_mode & 022) {
        buf_addf(why, "others may write in %s, and so replace the root of trust; run: chmod go-w %s", dir,
                 dir);
        return ERR_DENIED;
    }
    return ERR_OK;
}

static enum err refuse_existing(const char *file, struct buf *why)
{
    char path[KEYS_PATH_MAX];
    enum err err = keys_path(path, dir, file, why);
    if (err || force || access(path, F_OK) != 0)
        return err;
    buf_addf(why, "%s exists: a mesh has been made here; choose another folder, or --force to lose that mesh",
             path);
    return ERR_EXISTS;
}

static enum err check_folder(struct buf *why)
{
    static const char *const file[] = {"root.key", "policy.key", "enrol.key", "root.trust"};
    enum err err = prepare_folder(why);
    for (size_t i = 0; i < sizeof file / sizeof *file && !err; i++)
        err = refuse_existing(file[i], why);
    return err;
}

static enum err write_all(const struct sign_key key[ROLES], struct bytes root, const char *passphrase,
                          struct buf *why)
{
    char path[KEYS_PATH_MAX];
    enum err err = ERR_OK;
    for (size_t i = 0; i < ROLES && !err; i++)
        err = keys_save(dir, role_name[i], &key[i], passphrase, force, why);
    if (!err)
        err = keys_path(path, dir, "root.trust", why);
    return err ? err : file_write(path, root, 0644, force, why);
}

static void report_json(const struct sign_key key[ROLES], const char *fingerprint, bool sealed)
{
    json_t *keys = json_object();
    for (size_t i = 0; i < ROLES; i++) {
        char id[NODE_ID_TEXT_MAX];
        json_object_set_new(keys, role_name[i], json_string(node_id_text(&key[i].pub, id)));
    }
    json_t *all = json_pack("{s:s, s:s, s:o, s:s, s:b}", "mesh", name, "dir", dir, "keys", keys,
                            "root_sha256", fingerprint, "sealed", sealed);
    json_dumpf(all, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(all);
}

static void report_text(const char *fingerprint, bool sealed)
{
    char folder[KEYS_PATH_MAX];
    snprintf(folder, sizeof folder, "%s", dir);
    for (size_t n = strlen(folder); n > 1 && folder[n - 1] == '/'; n--)
        folder[n - 1] = 0;
    printf("Made the mesh %s in %s.\n\n", name, folder);
    for (size_t i = 0; i < ROLES; i++)
        printf("  %s/%s.key%*s%s\n", folder, role_name[i], (int)(10 - strlen(role_name[i])), "", role_use[i]);
    printf("  %s/root.trust    public; sha256 %s\n\n", folder, fingerprint);
    if (!sealed)
        printf("The keys are not sealed: who can read these files can sign. --passphrase seals them.\n\n");
    printf("Next, for each kind of host:\n"
           "  starling token create --ca %s --service NAME --node 'NAME-*' -o NAME.token\n"
           "and once for the mesh:\n"
           "  starling policy sign policy.yaml --ca %s -o policy.bundle\n",
           folder, folder);
}

static enum err passphrase_wanted(struct buf *out, bool *sealed, struct buf *why)
{
    *sealed = want_passphrase || keys_passphrase_is_at_hand(passphrase_file);
    return *sealed ? keys_passphrase(out, passphrase_file, true, why) : ERR_OK;
}

/* Makes everything in memory, then writes it. */
static enum err make(struct sign_key key[ROLES], const char *passphrase, char fingerprint[HASH_TEXT_MAX],
                     struct buf *why)
{
    struct buf root = {0};
    for (size_t i = 0; i < ROLES; i++)
        sign_key_new(&key[i]);
    enum err err = seal_root(&root, key);
    if (err)
        buf_addf(why, "the root of trust could not be signed: %s", err_text(err));
    else
        err = write_all(key, buf_bytes(&root), passphrase, why);
    hex_encode(hash_of(buf_bytes(&root)).b, HASH_BYTES, fingerprint);
    buf_fini(&root);
    return err;
}

static int init(void)
{
    struct sign_key key[ROLES];
    struct buf passphrase = {0}, why = {0};
    char fingerprint[HASH_TEXT_MAX];
    bool sealed = false;
    enum err err = check_folder(&why);
    if (!err)
        err = passphrase_wanted(&passphrase, &sealed, &why);
    if (!err)
        err = make(key, sealed ? (const char *)passphrase.at : NULL, fingerprint, &why);
    if (err)
        args_refused(&command, "%s", why.len ? buf_str(&why) : err_text(err));
    else if (json)
        report_json(key, fingerprint, sealed);
    else
        report_text(fingerprint, sealed);
    secret_wipe(key, sizeof key);
    secret_fini(&passphrase);
    buf_fini(&why);
    return err ? EXIT_REFUSED : EXIT_GOOD;
}

int cli_mesh(int argc, char **argv)
{
    if (argc < 2 || strcmp(argv[1], "init") != 0) {
        bool help = argc >= 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0);
        fprintf(help ? stdout : stderr, "usage: starling mesh init --name MESH --dir DIR [options]\n");
        return help ? EXIT_GOOD : EXIT_USAGE;
    }
    int status = args_parse(&command, argc - 1, argv + 1, NULL);
    if (status != ARGS_GO)
        return status;
    if (!name_is_sound(bytes_str(name), MESH_NAME_MAX))
        return args_usage(
            &command,
            "--name: \"%s\" is not a name; use at most %d of a-z, 0-9, '-' and '.', as in shop.example", name,
            MESH_NAME_MAX);
    return init();
}
