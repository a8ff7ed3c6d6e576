/* `mesh`, and `mesh init`: makes a mesh, offline. Its keys stay in one folder; root.trust, which is public, is what
 * agents and reviewers check everything against. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <jansson.h>

#include "cli/args.h"
#include "cli/cli.h"
#include "cli/keys.h"
#include "cli/verbs.h"
#include "store/file.h"

enum { ROOT, POLICY, ENROL, ROLES };

static const char *name, *dir, *passphrase_file, *keys_text[ROLES], *threshold_text[ROLES], *expires_text;
static bool want_passphrase, force, json;

static const struct args_option options[] = {
    {"name", 0, "MESH", "the mesh's name, as in spiffe://MESH/service; a DNS name", .text = &name,
     .required = true},
    {"dir", 0, "DIR", "folder for the keys; made if missing", .text = &dir, .required = true},
    {"root-keys", 0, "N", "how many root keys to make (1)", .text = &keys_text[ROOT]},
    {"threshold", 0, "K", "how many of them a new root needs (all but one; 1 of 1)",
     .text = &threshold_text[ROOT]},
    {"policy-keys", 0, "N", "how many policy keys to make (1)", .text = &keys_text[POLICY]},
    {"policy-threshold", 0, "K", "how many of them a policy needs (1)", .text = &threshold_text[POLICY]},
    {"enrol-keys", 0, "N", "how many enrol keys to make (1); any one of them makes tokens",
     .text = &keys_text[ENROL]},
    {"expires", 0, "TIME", "for how long this root is good: 365d (for ever)", .text = &expires_text},
    {"passphrase", 0, NULL, "seal the keys with a passphrase ($STARLING_PASSPHRASE, or asked for)",
     .flag = &want_passphrase},
    {"passphrase-file", 0, "FILE", "seal the keys with the first line of FILE", .text = &passphrase_file},
    {"force", 0, NULL, "replace the keys that are in DIR: the old mesh is lost", .flag = &force},
    {"json", 0, NULL, "print JSON", .flag = &json},
};
static const struct args_command command = {
    .name = "mesh init",
    .about = "Makes a mesh, offline: root keys, policy keys, enrol keys, and root.trust (public).\n"
             "Do it on a machine that you trust, and keep a copy of DIR offline.",
    .option = options,
    .option_count = sizeof options / sizeof *options,
};

static const char *const role_name[ROLES] = {"root", "policy", "enrol"};
static const char *const role_use[ROLES] = {
    "says who may sign; move it offline, it is needed again only to change keys",
    "signs policies: starling policy sign", "makes tokens for hosts: starling token create"};

/* What is made, in the order it is written: root.trust comes last, so a folder that has it is complete. */
struct made {
    size_t count[ROLES], threshold[ROLES];
    struct sign_key key[ROLES][ROLE_KEYS_MAX];
    wall_s expires;
    char file_hash[HASH_TEXT_MAX], root_hash[HASH_TEXT_MAX]; /* of the root of trust */
};

/* "root" when it is the only one, else "root-1", "root-2" ... */
static const char *key_name(const struct made *m, size_t role, size_t i, char out[32])
{
    if (m->count[role] == 1)
        snprintf(out, 32, "%s", role_name[role]);
    else
        snprintf(out, 32, "%s-%zu", role_name[role], i + 1);
    return out;
}

static struct role role_of(const struct made *m, size_t role)
{
    struct role r = {.count = m->count[role], .threshold = m->threshold[role]};
    for (size_t i = 0; i < r.count; i++)
        r.key[i] = m->key[role][i].pub;
    return r;
}

static enum err seal_root(struct buf *out, const struct made *m)
{
    const struct sign_key *by[ROLE_KEYS_MAX];
    struct root root = {.mesh = bytes_str(name), .epoch = 1, .expires = m->expires};
    root.root = role_of(m, ROOT);
    root.policy = role_of(m, POLICY);
    root.enrol = role_of(m, ENROL);
    for (size_t i = 0; i < m->count[ROOT]; i++)
        by[i] = &m->key[ROOT][i];
    return root_create(out, &root, by, m->count[ROOT]);
}

/* Refuses before anything is written. The folder is ours alone: whoever may write in it may replace the root
 * of trust. */
static enum err prepare_folder(bool *made, struct buf *why)
{
    struct stat st;
    *made = mkdir(dir, 0700) == 0;
    if (!*made && errno != EEXIST) {
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

static enum err check_folder(const struct made *m, bool *is_new, struct buf *why)
{
    char base[32], file[48];
    enum err err = prepare_folder(is_new, why);
    for (size_t role = 0; role < ROLES; role++)
        for (size_t i = 0; i < m->count[role] && !err; i++) {
            snprintf(file, sizeof file, "%s.key", key_name(m, role, i, base));
            err = refuse_existing(file, why);
        }
    return err ? err : refuse_existing("root.trust", why);
}

static enum err write_all(const struct made *m, struct bytes root, const char *passphrase, struct buf *why)
{
    char path[KEYS_PATH_MAX], base[32];
    enum err err = ERR_OK;
    for (size_t role = 0; role < ROLES; role++)
        for (size_t i = 0; i < m->count[role] && !err; i++)
            err = keys_save(dir, key_name(m, role, i, base), role_name[role], &m->key[role][i], passphrase,
                            force, why);
    if (!err)
        err = keys_path(path, dir, "root.trust", why);
    return err ? err : file_write(path, root, 0644, force, why);
}

/* One key as a text, several as a list. */
static json_t *json_of_keys(const struct made *m, size_t role)
{
    char id[NODE_ID_TEXT_MAX];
    if (m->count[role] == 1)
        return json_string(node_id_text(&m->key[role][0].pub, id));
    json_t *list = json_array();
    for (size_t i = 0; i < m->count[role]; i++)
        json_array_append_new(list, json_string(node_id_text(&m->key[role][i].pub, id)));
    return list;
}

static void report_json(const struct made *m, bool sealed)
{
    json_t *keys = json_object(), *thresholds = json_object();
    for (size_t role = 0; role < ROLES; role++) {
        json_object_set_new(keys, role_name[role], json_of_keys(m, role));
        json_object_set_new(thresholds, role_name[role], json_integer((json_int_t)m->threshold[role]));
    }
    json_t *all =
        json_pack("{s:s, s:s, s:o, s:o, s:s, s:s, s:b}", "mesh", name, "dir", dir, "keys", keys, "thresholds",
                  thresholds, "root_hash", m->root_hash, "root_sha256", m->file_hash, "sealed", sealed);
    json_dumpf(all, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(all);
}

static void report_role(const struct made *m, const char *folder, size_t role)
{
    char base[32];
    for (size_t i = 0; i < m->count[role]; i++) {
        key_name(m, role, i, base);
        printf("  %s/%s.key", folder, base);
        if (i == 0)
            printf("%*s%s", (int)(10 - strlen(base)), "", role_use[role]);
        putchar('\n');
    }
    if (m->count[role] > 1)
        printf("  %*s%zu of these %zu are needed\n", (int)strlen(folder) + 15, "", m->threshold[role],
               m->count[role]);
}

static void report_text(const struct made *m, bool sealed)
{
    char folder[KEYS_PATH_MAX];
    snprintf(folder, sizeof folder, "%s", dir);
    for (size_t n = strlen(folder); n > 1 && folder[n - 1] == '/'; n--)
        folder[n - 1] = 0;
    printf("Made the mesh %s in %s.\n\n", name, folder);
    for (size_t role = 0; role < ROLES; role++)
        report_role(m, folder, role);
    printf("  %s/root.trust    public; sha256 of the file %s\n", folder, m->file_hash);
    printf("  %*sthe root in it, as `starling status` shows it: %s\n\n", (int)strlen(folder) + 15, "",
           m->root_hash);
    if (!sealed)
        printf("The keys are not sealed: who can read these files can sign. --passphrase seals them.\n\n");
    if (m->count[ROOT] > 1 || m->count[POLICY] > 1)
        printf("Give each signer one key, on a machine of their own, with a copy of root.trust "
               "(docs/operations.md).\n\n");
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
static enum err make(struct made *m, const char *passphrase, struct buf *why)
{
    struct buf root = {0};
    for (size_t role = 0; role < ROLES; role++)
        for (size_t i = 0; i < m->count[role]; i++)
            sign_key_new(&m->key[role][i]);
    enum err err = seal_root(&root, m);
    if (err)
        buf_addf(why, "the root of trust could not be signed: %s", err_text(err));
    else
        err = write_all(m, buf_bytes(&root), passphrase, why);
    hex_encode(hash_of(buf_bytes(&root)).b, HASH_BYTES, m->file_hash);
    hex_encode(root_hash(buf_bytes(&root)).b, HASH_BYTES, m->root_hash);
    buf_fini(&root);
    return err;
}

static int init(struct made *m)
{
    struct buf passphrase = {0}, why = {0};
    bool sealed = false, is_new;
    enum err err = check_folder(m, &is_new, &why);
    if (!err)
        err = passphrase_wanted(&passphrase, &sealed, &why);
    if (!err)
        err = make(m, sealed ? (const char *)passphrase.at : NULL, &why);
    if (err && is_new)
        (void)rmdir(dir); /* which fails where something is in it: then it says what was made */
    if (!err)
        (json ? report_json : report_text)(m, sealed);
    secret_wipe(m->key, sizeof m->key);
    secret_fini(&passphrase);
    return args_end(&command, err, &why);
}

/* A number of keys: one digit. */
static bool read_number(const char *text, size_t max, size_t *out)
{
    if (!text)
        return true;
    if (text[0] < '1' || text[0] > '9' || text[1])
        return false;
    *out = (size_t)(text[0] - '0');
    return *out <= max;
}

static int read_counts(struct made *m)
{
    for (size_t role = 0; role < ROLES; role++) {
        m->count[role] = 1;
        if (!read_number(keys_text[role], ROLE_KEYS_MAX, &m->count[role]))
            return args_usage(&command, "--%s-keys: \"%s\" is not a number from 1 to %d", role_name[role],
                              keys_text[role], ROLE_KEYS_MAX);
        m->threshold[role] = role == ROOT && m->count[ROOT] > 1 ? m->count[ROOT] - 1 : 1;
        if (!read_number(threshold_text[role], m->count[role], &m->threshold[role]))
            return args_usage(
                &command, "--%sthreshold: \"%s\" is not a number from 1 to %zu, the number of %s keys",
                role == POLICY ? "policy-" : "", threshold_text[role], m->count[role], role_name[role]);
    }
    int64_t seconds = 0;
    if (expires_text && !args_seconds(expires_text, &seconds))
        return args_usage(&command, "--expires: \"%s\" is not a time like 365d", expires_text);
    m->expires = seconds ? (wall_s)time(NULL) + seconds : 0;
    return ARGS_GO;
}

static int mesh_init(int argc, char **argv)
{
    static struct made m;
    int status = args_parse(&command, argc, argv, NULL);
    if (status != ARGS_GO)
        return status;
    if (!name_is_sound(bytes_str(name), MESH_NAME_MAX))
        return args_usage(
            &command,
            "--name: \"%s\" is not a name; use at most %d of a-z, 0-9, '-' and '.', as in shop.example", name,
            MESH_NAME_MAX);
    status = read_counts(&m);
    return status == ARGS_GO ? init(&m) : status;
}

static const struct verb verbs[] = {
    {"init", "make a mesh: keys and root of trust", mesh_init},
    {"key", "new, show, passphrase: make a signer's key, look at one, seal it anew", cli_mesh_key},
    {"rotate", "draft the next root: other keys, thresholds, delegations", cli_mesh_rotate},
    {"sign", "add a signature to the draft of a root", cli_mesh_sign},
    {"show", "what a root says, and who has signed it", cli_mesh_show},
    {"publish", "hand a new root to a running agent; gossip takes it to all", cli_mesh_publish},
};

int cli_mesh(int argc, char **argv)
{
    static const struct verb_group group = {.name = "starling mesh",
                                            .what = "VERB",
                                            .end = "All but publish are offline.",
                                            .verb = verbs,
                                            .count = sizeof verbs / sizeof *verbs};
    return verbs_run(&group, argc, argv);
}
