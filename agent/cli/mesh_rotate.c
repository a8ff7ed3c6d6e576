/* `mesh rotate` and `mesh sign`: the next root, drafted on one machine and carried from signer to signer. Offline. Each
 * signer is shown what changes against the root that they hold, and adds one signature. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cli/args.h"
#include "cli/cli.h"
#include "cli/difference.h"
#include "cli/keys.h"
#include "cli/root_text.h"
#include "store/file.h"

enum { KEY_LINE_MAX = 128 }; /* bytes of a file with a public key in it */

struct options {
    const char *ca, *root_file, *passphrase_file, *out, *expires;
    struct args_list add, drop, threshold, delegate, undelegate, keys;
    bool force, json;
};

struct ceremony { /* all that is opened, and closed again */
    const struct options *o;
    struct root before, next;
    struct buf before_bytes, draft, why;
    struct keys_ring ring;
};

static void ceremony_fini(struct ceremony *c)
{
    keys_ring_fini(&c->ring);
    buf_fini(&c->before_bytes);
    buf_fini(&c->draft);
    buf_fini(&c->why);
}

static enum err refuse(struct ceremony *c, enum err err, const char *text, const char *what)
{
    buf_addf(&c->why, text, what);
    return err;
}

/* -- what is to change ------------------------------------------------------------------------- */

static struct delegation *find_part(struct root *r, struct bytes name)
{
    for (size_t i = 0; i < r->delegation_count; i++)
        if (bytes_eq(r->delegation[i].name, name))
            return &r->delegation[i];
    return NULL;
}

static struct role *find_role(struct root *r, struct bytes name)
{
    if (bytes_eq_str(name, "root"))
        return &r->root;
    if (bytes_eq_str(name, "policy"))
        return &r->policy;
    if (bytes_eq_str(name, "enrol"))
        return &r->enrol;
    struct delegation *d = find_part(r, name);
    return d ? &d->role : NULL;
}

/* "NAME=VALUE" cut in two. */
static bool cut(const char *text, struct bytes *name, const char **value)
{
    const char *at = strchr(text, '=');
    if (!at || at == text || !at[1])
        return false;
    *name = bytes_of(text, (size_t)(at - text));
    *value = at + 1;
    return true;
}

/* "ed25519:...", or a file that holds such a line. */
static enum err read_key(struct ceremony *c, const char *text, struct node_id *out)
{
    struct buf file = {0};
    if (strncmp(text, "ed25519:", 8) == 0)
        return node_id_parse(out, text) == ERR_OK
                   ? ERR_OK
                   : refuse(c, ERR_INVALID,
                            "\"%s\" is not a public key: ed25519: and 64 hex digits, as `mesh key show` "
                            "prints, or a file with that",
                            text);
    enum err err = file_read(&file, text, KEY_LINE_MAX, &c->why);
    while (!err && file.len && (file.at[file.len - 1] == '\n' || file.at[file.len - 1] == ' '))
        file.len--;
    if (!err && node_id_parse(out, buf_str(&file)) != ERR_OK)
        err = refuse(c, ERR_INVALID, "%s does not hold a public key, ed25519:...", text);
    buf_fini(&file);
    return err;
}

/* ROLE=KEY; the role of today's draft. */
static enum err read_role_key(struct ceremony *c, const char *text, struct role **role, struct node_id *key)
{
    struct bytes name;
    const char *value;
    if (!cut(text, &name, &value))
        return refuse(c, ERR_INVALID, "\"%s\" is not ROLE=KEY", text);
    *role = find_role(&c->next, name);
    if (!*role)
        return refuse(
            c, ERR_NOT_FOUND,
            "\"%s\": a role is root, policy, enrol or the name of a part (--delegate NAME=SERVICE,...)",
            text);
    return read_key(c, value, key);
}

static enum err add_key(struct ceremony *c, const char *text)
{
    struct role *role;
    struct node_id key;
    enum err err = read_role_key(c, text, &role, &key);
    if (err)
        return err;
    if (role_has(role, &key))
        return refuse(c, ERR_EXISTS, "--add %s: the role has that key already", text);
    if (role->count == ROLE_KEYS_MAX)
        return refuse(c, ERR_LIMIT, "--add %s: a role has at most 8 keys", text);
    role->key[role->count++] = key;
    return ERR_OK;
}

static enum err drop_key(struct ceremony *c, const char *text)
{
    struct role *role;
    struct node_id key;
    enum err err = read_role_key(c, text, &role, &key);
    for (size_t i = 0; !err && i < role->count; i++)
        if (node_id_eq(&role->key[i], &key)) {
            role->key[i] = role->key[--role->count];
            return ERR_OK;
        }
    return err ? err : refuse(c, ERR_NOT_FOUND, "--remove %s: the role has no such key", text);
}

static enum err set_threshold(struct ceremony *c, const char *text)
{
    struct bytes name;
    const char *value;
    if (!cut(text, &name, &value) || value[0] < '1' || value[0] > '8' || value[1])
        return refuse(c, ERR_INVALID, "--threshold: \"%s\" is not ROLE=NUMBER, of 1 to 8", text);
    struct role *role = find_role(&c->next, name);
    if (!role)
        return refuse(c, ERR_NOT_FOUND, "--threshold %s: there is no such role", text);
    role->threshold = (size_t)(value[0] - '0');
    return ERR_OK;
}

static enum err read_services(struct ceremony *c, struct delegation *d, const char *list)
{
    for (const char *at = list;; at++) {
        size_t n = strcspn(at, ",");
        if (!pattern_is_sound(bytes_of(at, n)))
            return refuse(c, ERR_INVALID,
                          "--delegate: in \"%s\" there is something else than names, or beginnings with *",
                          list);
        if (d->service_count == DELEGATION_SERVICES_MAX)
            return refuse(c, ERR_LIMIT, "--delegate %s: a part has at most 16 services and patterns", list);
        d->service[d->service_count++] = bytes_of(at, n);
        at += n;
        if (!*at)
            return ERR_OK;
    }
}

/* A new part, or other services of one there is. */
static enum err delegate(struct ceremony *c, const char *text)
{
    struct bytes name;
    const char *value;
    if (!cut(text, &name, &value) || !name_is_sound(name, SERVICE_NAME_MAX))
        return refuse(c, ERR_INVALID, "--delegate: \"%s\" is not NAME=SERVICE,...", text);
    struct delegation *d = find_part(&c->next, name);
    if (!d && find_role(&c->next, name))
        return refuse(c, ERR_INVALID, "--delegate %s: that is the name of a role", text);
    if (!d && c->next.delegation_count == ROOT_DELEGATIONS_MAX)
        return refuse(c, ERR_LIMIT, "--delegate %s: a root has at most 16 parts", text);
    if (!d) {
        d = &c->next.delegation[c->next.delegation_count++];
        *d = (struct delegation){.name = name, .role.threshold = 1};
    }
    d->service_count = 0;
    return read_services(c, d, value);
}

static enum err undelegate(struct ceremony *c, const char *name)
{
    struct delegation *d = find_part(&c->next, bytes_str(name));
    if (!d)
        return refuse(c, ERR_NOT_FOUND, "--undelegate %s: there is no such part", name);
    *d = c->next.delegation[--c->next.delegation_count];
    return ERR_OK;
}

static enum err set_expiry(struct ceremony *c, const char *text)
{
    int64_t seconds;
    if (!text && c->next.expires)
        return refuse(c, ERR_INVALID, "the root of today expires: say until when the next one is good%s",
                      ", as --expires 365d or --expires never");
    if (!text || strcmp(text, "never") == 0) {
        c->next.expires = 0;
        return ERR_OK;
    }
    if (!args_seconds(text, &seconds))
        return refuse(c, ERR_INVALID, "--expires: \"%s\" is not a time like 365d, nor never", text);
    c->next.expires = (wall_s)time(NULL) + seconds;
    return ERR_OK;
}

static enum err each(struct ceremony *c, const struct args_list *list,
                     enum err (*change)(struct ceremony *c, const char *text))
{
    enum err err = ERR_OK;
    for (size_t i = 0; i < list->count && !err; i++)
        err = change(c, list->at[i]);
    return err;
}

static enum err check_role(struct ceremony *c, const char *name, const struct role *r)
{
    if (r->count >= 1 && r->threshold <= r->count)
        return ERR_OK;
    buf_addf(
        &c->why,
        "%s would have %zu key%s and need %zu signatures; --add keys, or lower that by --threshold %s=NUMBER",
        name, r->count, r->count == 1 ? "" : "s", r->threshold, name);
    return ERR_INVALID;
}

static enum err check_roles(struct ceremony *c)
{
    enum err err = check_role(c, "root", &c->next.root);
    if (!err)
        err = check_role(c, "policy", &c->next.policy);
    if (!err)
        err = check_role(c, "enrol", &c->next.enrol);
    if (!err && c->next.enrol.threshold != 1)
        err =
            refuse(c, ERR_INVALID, "enrol: tokens are signed by %s; its threshold has to stay 1", "one key");
    for (size_t i = 0; i < c->next.delegation_count && !err; i++) {
        char name[SERVICE_NAME_MAX + 1] = "";
        memcpy(name, c->next.delegation[i].name.at, c->next.delegation[i].name.len);
        err = check_role(c, name, &c->next.delegation[i].role);
    }
    return err;
}

/* What falls away first: a key may go from one place to another. */
static enum err change(struct ceremony *c)
{
    c->next = c->before;
    c->next.epoch++;
    enum err err = each(c, &c->o->undelegate, undelegate);
    if (!err)
        err = each(c, &c->o->delegate, delegate);
    if (!err)
        err = each(c, &c->o->drop, drop_key);
    if (!err)
        err = each(c, &c->o->add, add_key);
    if (!err)
        err = each(c, &c->o->threshold, set_threshold);
    if (!err)
        err = set_expiry(c, c->o->expires);
    return err ? err : check_roles(c);
}

/* -- signing ----------------------------------------------------------------------------------- */

static enum err check_signers(struct ceremony *c)
{
    for (size_t i = 0; i < c->ring.count; i++) {
        const struct node_id *key = &c->ring.key[i].pub;
        if (!role_has(&c->before.root, key) && !role_has(&c->next.root, key))
            return refuse(c, ERR_DENIED, "%s is a root key neither of the root of today nor of the next one",
                          c->ring.path[i]);
    }
    return ERR_OK;
}

static enum err load_keys(struct ceremony *c)
{
    enum err err = keys_ring_load(&c->ring, "root", &c->o->keys, c->o->ca, c->o->passphrase_file, &c->why);
    return err ? err : check_signers(c);
}

/* What a signer of a draft has to know of it: it is the next root of this mesh, and nobody has altered it. */
static enum err check_draft(struct ceremony *c)
{
    struct envelope e;
    if (!bytes_eq(c->next.mesh, c->before.mesh))
        return refuse(c, ERR_FOREIGN, "the draft is for another mesh than %s",
                      c->o->root_file ? c->o->root_file : c->o->ca);
    if (c->next.epoch != c->before.epoch + 1) {
        buf_addf(&c->why,
                 "the draft is of epoch %llu, and the root of today of %llu: only the next one can follow",
                 (unsigned long long)c->next.epoch, (unsigned long long)c->before.epoch);
        return ERR_STALE;
    }
    enum err err = envelope_parse(&e, buf_bytes(&c->draft));
    for (size_t i = 0; i < e.sig_count && !err; i++) {
        struct node_id key;
        memcpy(key.b, e.sig[i].key, ID_BYTES);
        if (envelope_verify(&e, ENVELOPE_ROOT, &key, 1, 1) != ERR_OK)
            err = refuse(c, ERR_AUTH, "%s", "a signature does not fit the draft: altered since");
        else if (!role_has(&c->before.root, &key) && !role_has(&c->next.root, &key))
            err = refuse(c, ERR_AUTH, "%s", "it carries a signature of a stranger");
    }
    return err;
}

static enum err cosign(struct ceremony *c)
{
    enum err err = ERR_OK;
    for (size_t i = 0; i < c->ring.count && !err; i++) {
        struct buf more = {0};
        err = envelope_cosign(&more, buf_bytes(&c->draft), c->ring.by[i]);
        if (err == ERR_EXISTS)
            refuse(c, err, "the key %s has signed it already; a key counts once", c->ring.path[i]);
        if (err) {
            buf_fini(&more);
        } else {
            buf_fini(&c->draft);
            c->draft = more;
        }
    }
    return err;
}

/* -- what is said of it ------------------------------------------------------------------------ */

static void report_text(const struct ceremony *c, const char *path)
{
    struct buf was = {0}, is = {0}, out = {0};
    root_text(&was, &c->before);
    root_text(&is, &c->next);
    difference_write(&out, buf_bytes(&was), buf_bytes(&is));
    root_text_warnings(&out, &c->before, &c->next);
    buf_add_str(&out, "\n");
    bool whole = root_text_signatures(&out, buf_bytes(&c->draft), &c->before, &c->next);
    if (whole)
        buf_addf(&out,
                 "\nWrote %s. It is complete: starling mesh publish %s (at any one agent), and take it as "
                 "root.trust "
                 "from now on.\n",
                 path, path);
    else
        buf_addf(
            &out,
            "\nWrote %s. It is a draft: carry it to the next signer: starling mesh sign %s --root root.trust "
            "--key FILE.key\n",
            path, path);
    fputs(buf_str(&out), stdout);
    buf_fini(&was);
    buf_fini(&is);
    buf_fini(&out);
}

static void report(const struct ceremony *c, const char *path)
{
    if (!c->o->json) {
        report_text(c, path);
        return;
    }
    json_t *o = root_json(buf_bytes(&c->draft), &c->before, &c->next);
    json_object_set_new(o, "file", json_string(path));
    json_dumpf(o, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(o);
}

static int finish(const struct args_command *cmd, struct ceremony *c, enum err err, const char *path)
{
    if (!err)
        report(c, path);
    int status = args_end(cmd, err, &c->why);
    ceremony_fini(c);
    return status;
}

/* -- the commands ------------------------------------------------------------------------------ */

static enum err rotate(struct ceremony *c)
{
    const struct options *o = c->o;
    struct root opened = {0};
    enum err err = keys_root(&c->before, &c->before_bytes, o->ca, o->root_file, &c->why);
    if (!err)
        err = change(c);
    if (!err)
        err = load_keys(c);
    if (!err && (err = root_create(&c->draft, &c->next, c->ring.by, c->ring.count)) != ERR_OK)
        buf_addf(&c->why, "that is no sound root: %s", err_text(err));
    if (!err)
        err = root_read(&opened, buf_bytes(&c->draft), NULL);
    if (!err)
        c->next = opened;
    if (!err && (err = file_write(o->out, buf_bytes(&c->draft), 0644, o->force, &c->why)) == ERR_EXISTS)
        buf_addf(&c->why, "; --force replaces it");
    return err;
}

int cli_mesh_rotate(int argc, char **argv)
{
    struct options o = {0};
    struct ceremony c = {.o = &o};
    const struct args_option options[] = {
        {"ca", 0, "DIR", "folder that `mesh init` made: root.trust and root.key", .text = &o.ca},
        {"root", 0, "FILE", "the root of today, instead of DIR/root.trust", .text = &o.root_file},
        {"key", 0, "FILE", "root key to sign the draft with, instead of DIR/root.key; may be repeated",
         .list = &o.keys},
        {"add", 0, "ROLE=KEY",
         "a key that is to sign for root, policy, enrol or a part: ed25519:..., or a file with it",
         .list = &o.add},
        {"remove", 0, "ROLE=KEY", "a key that is to sign no more", .list = &o.drop},
        {"threshold", 0, "ROLE=K", "how many of its keys must sign", .list = &o.threshold},
        {"delegate", 0, "NAME=SERVICE,...",
         "a part of the policy for these services ('*' at the end of a name for any "
         "rest), signed by keys of its own: --add NAME=KEY",
         .list = &o.delegate},
        {"undelegate", 0, "NAME", "that part is over", .list = &o.undelegate},
        {"expires", 0, "TIME", "for how long the next root is good: 365d, never", .text = &o.expires},
        {"passphrase-file", 0, "FILE", "passphrase of the keys (else $STARLING_PASSPHRASE, or asked for)",
         .text = &o.passphrase_file},
        {"out", 'o', "FILE", "where the draft goes", .text = &o.out, .required = true},
        {"force", 0, NULL, "replace FILE if it exists", .flag = &o.force},
        {"json", 0, NULL, "print JSON", .flag = &o.json},
    };
    const struct args_command command = {.name = "mesh rotate",
                                         .about = "Drafts the root that comes after the root of today, and "
                                                  "signs it with the first key. It needs the\n"
                                                  "threshold of the root keys of both: carry it from signer "
                                                  "to signer (mesh sign). What is not named stays.",
                                         .option = options,
                                         .option_count = sizeof options / sizeof *options};
    int status = args_parse(&command, argc, argv, NULL);
    if (status != ARGS_GO)
        return status;
    if (!o.ca && (!o.root_file || o.keys.count == 0))
        return args_usage(&command, "give --ca DIR, or --root FILE and --key FILE");
    return finish(&command, &c, rotate(&c), o.out);
}

static enum err sign(struct ceremony *c, const char *path)
{
    const struct options *o = c->o;
    struct refusal why = {0};
    enum err err = keys_root(&c->before, &c->before_bytes, o->ca, o->root_file, &c->why);
    if (!err)
        err = file_read(&c->draft, path, ROOT_BYTES_MAX, &c->why);
    if (!err && (err = root_read(&c->next, buf_bytes(&c->draft), &why)) != ERR_OK)
        buf_addf(&c->why, "%s: not the draft of a root: %s: %s", path, why.field, why.reason);
    if (!err)
        err = check_draft(c);
    if (!err)
        err = load_keys(c);
    if (!err)
        err = cosign(c);
    if (!err)
        err = root_read(&c->next, buf_bytes(&c->draft), NULL); /* what it borrows has moved */
    const char *out = o->out ? o->out : path;
    if (!err &&
        (err = file_write(out, buf_bytes(&c->draft), 0644, o->force || !o->out, &c->why)) == ERR_EXISTS)
        buf_addf(&c->why, "; --force replaces it");
    return err;
}

int cli_mesh_sign(int argc, char **argv)
{
    struct options o = {0};
    struct ceremony c = {.o = &o};
    struct args_list files = {0};
    const struct args_option options[] = {
        {"root", 0, "FILE", "the root of today, as you hold it", .text = &o.root_file},
        {"ca", 0, "DIR", "folder of a mesh: DIR/root.trust, and DIR/root.key unless --key is given",
         .text = &o.ca},
        {"key", 0, "FILE", "root key; may be repeated", .list = &o.keys},
        {"passphrase-file", 0, "FILE", "passphrase of the keys (else $STARLING_PASSPHRASE, or asked for)",
         .text = &o.passphrase_file},
        {"out", 'o', "FILE", "where it goes, instead of into the same file", .text = &o.out},
        {"force", 0, NULL, "replace FILE if it exists", .flag = &o.force},
        {"json", 0, NULL, "print JSON", .flag = &o.json},
    };
    const struct args_command command = {
        .name = "mesh sign",
        .operands = "DRAFT",
        .about = "Shows what the draft of a root changes, and adds a signature to it.",
        .option = options,
        .option_count = sizeof options / sizeof *options,
        .operands_min = 1,
        .operands_max = 1};
    int status = args_parse(&command, argc, argv, &files);
    if (status != ARGS_GO)
        return status;
    if (!o.ca && (!o.root_file || o.keys.count == 0))
        return args_usage(&command, "give --root FILE and --key FILE, or --ca DIR");
    return finish(&command, &c, sign(&c, files.at[0]), o.out ? o.out : files.at[0]);
}
