/* `renew`: a new credential for a running agent. `enrol request` and `enrol sign`: for a host without a token. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cli/args.h"
#include "cli/ask.h"
#include "cli/cli.h"
#include "cli/keys.h"
#include "cli/limits.h"
#include "cli/verbs.h"
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

/* -- enrol request: a host makes its keys, and says what it would be ----------------------------- */

struct host_keys {
    struct sign_key identity;
    struct dh_key noise;
};

enum { PATH_CAP = 512 };

static bool path_in(char out[PATH_CAP], const char *data, const char *name, const char *suffix)
{
    int n = snprintf(out, PATH_CAP, "%s/%s%s", data, name, suffix);
    return n > 0 && n < PATH_CAP;
}

static bool is_there(const char *data, const char *name)
{
    char path[PATH_CAP];
    struct stat st;
    return path_in(path, data, name, "") && lstat(path, &st) == 0;
}

static enum err load_secret(uint8_t secret[32], const char *path, const char *what, struct buf *why)
{
    struct buf text = {0};
    enum err e =
        buf_reserve(&text, KEY_TEXT_MAX + 1) ? file_read_secret(&text, path, KEY_TEXT_MAX, why) : ERR_NOMEM;
    if (e == ERR_OK && (e = key_text_decode(buf_bytes(&text), what, NULL, secret)) != ERR_OK)
        buf_addf(why, "%s is not a key file of an agent: %s", path, err_text(e));
    secret_fini(&text);
    return e;
}

static enum err save_secret(const char *path, const char *what, const uint8_t secret[32], struct buf *why)
{
    struct buf text = {0};
    enum err e = buf_reserve(&text, KEY_TEXT_MAX) ? key_text_encode(&text, what, secret, NULL) : ERR_NOMEM;
    if (e == ERR_OK)
        e = file_write(path, buf_bytes(&text), 0600, true, why);
    secret_fini(&text);
    return e;
}

static enum err load_keys(struct host_keys *k, const char *identity, const char *noise, struct buf *why)
{
    uint8_t secret[32];
    enum err e = load_secret(secret, identity, "identity", why);
    if (e == ERR_OK)
        e = sign_key_of_seed(&k->identity, secret);
    if (e == ERR_OK)
        e = load_secret(secret, noise, "noise", why);
    if (e == ERR_OK)
        e = dh_key_of_secret(&k->noise, secret);
    secret_wipe(secret, sizeof secret);
    return e;
}

/* The identity last: with both there the request can be made again for the same keys. */
static enum err make_keys(struct host_keys *k, const char *data, const char *identity, const char *noise,
                          struct buf *why)
{
    if (mkdir(data, 0700) != 0 && errno != EEXIST) {
        buf_addf(why, "the folder %s cannot be made: %s", data, strerror(errno));
        return ERR_IO;
    }
    sign_key_new(&k->identity);
    dh_key_new(&k->noise);
    enum err e = save_secret(noise, "noise", k->noise.sec, why);
    return e == ERR_OK ? save_secret(identity, "identity", k->identity.sec, why) : e;
}

/* Those of the host if it has been enrolled, else those of its last request, else new ones. */
static enum err find_keys(struct host_keys *k, const char *data, struct buf *why)
{
    char identity[PATH_CAP], noise[PATH_CAP];
    const char *suffix = is_there(data, "identity.key") ? "" : ".asked";
    if (!path_in(identity, data, "identity.key", suffix) || !path_in(noise, data, "noise.key", suffix)) {
        buf_addf(why, "the path of %s is too long", data);
        return ERR_LIMIT;
    }
    bool has_asked = *suffix == 0 || is_there(data, "identity.key.asked");
    return has_asked ? load_keys(k, identity, noise, why) : make_keys(k, data, identity, noise, why);
}

static enum err write_text(struct buf *text, const char *path, bool force, struct buf *why)
{
    buf_add_u8(text, '\n');
    if (!buf_ok(text))
        return ERR_NOMEM;
    if (strcmp(path, "-") != 0) {
        enum err e = file_write(path, buf_bytes(text), 0644, force, why);
        if (e == ERR_EXISTS)
            buf_addf(why, "; --force replaces it");
        return e;
    }
    if (fwrite(text->at, 1, text->len, stdout) == text->len && fflush(stdout) == 0)
        return ERR_OK;
    buf_addf(why, "it could not be written to standard output");
    return ERR_IO;
}

static enum err request_text(struct buf *text, const char *data, const char *node, const struct limits *l,
                             struct node_id *id, struct buf *why)
{
    struct host_keys k = {0};
    struct refusal refusal = {0};
    enum err e = find_keys(&k, data, why);
    struct request r = {.node = bytes_str(node),
                        .id = k.identity.pub,
                        .service_count = l->service_count,
                        .labels = l->labels,
                        .at = (wall_s)time(NULL)};
    memcpy(r.noise_key, k.noise.pub, sizeof r.noise_key);
    memcpy(r.service, l->service, sizeof r.service);
    if (e == ERR_OK && (e = request_create(text, &r, &k.identity, &refusal)) != ERR_OK)
        buf_addf(why, "the request cannot be made: %s%s%s", err_text(e), refusal.field ? ", " : "",
                 refusal.field ? refusal.field : "");
    *id = k.identity.pub;
    sign_key_fini(&k.identity);
    dh_key_fini(&k.noise);
    return e;
}

static int enrol_request(int argc, char **argv)
{
    const char *data = "/var/lib/starling", *node = NULL, *out = NULL;
    struct args_list services = {0}, labels = {0};
    bool force = false;
    char host[NODE_NAME_MAX + 1] = "", key[NODE_ID_TEXT_MAX];
    const struct args_option options[] = {
        {"data", 0, "DIR", "the agent's data folder (/var/lib/starling); the keys stay in it", .text = &data},
        {"node", 0, "NAME", "node name (the host's name)", .text = &node},
        {"service", 0, "NAME,...", "services this host would offer and speak for; '*' for any",
         .list = &services, .required = true},
        {"label", 0, "KEY=VALUE,...", "labels it would carry", .list = &labels},
        {"out", 'o', "FILE", "where the request goes; - prints it", .text = &out, .required = true},
        {"force", 0, NULL, "replace FILE if it exists", .flag = &force},
    };
    const struct args_command cmd = {
        .name = "enrol request",
        .about =
            "For a host without a token: makes its keys, and a request that somebody with the enrol key "
            "signs\n"
            "elsewhere (`starling enrol sign`). The request is not secret; the keys never leave the host.",
        .option = options,
        .option_count = sizeof options / sizeof *options};
    struct limits l = {0};
    struct buf text = {0}, why = {0};
    struct node_id id;
    int status = args_parse(&cmd, argc, argv, NULL);
    if (status == ARGS_GO)
        status = limits_read(&cmd, &services, &labels, &l);
    if (status != ARGS_GO)
        return status;
    if (!node && gethostname(host, sizeof host - 1) == 0)
        node = host;
    if (!node || !name_is_sound(bytes_str(node), NODE_NAME_MAX))
        return args_usage(&cmd, "--node: \"%s\" is not a name: lower-case letters, digits, '-' and '.'",
                          node ? node : "");
    enum err e = request_text(&text, data, node, &l, &id, &why);
    if (e == ERR_OK)
        e = write_text(&text, out, force, &why);
    if (e == ERR_OK && strcmp(out, "-") != 0) {
        printf("Wrote %s: node %s asks with the key %s.\nHave it signed (starling enrol sign), tell its key "
               "to who signs "
               "it, and start with what comes back:\n  starling agent --data %s --node %s --credential FILE "
               "--seed HOST:PORT",
               out, node, node_id_text(&id, key), data, node);
        limits_print_start(l.service, l.service_count);
    }
    buf_fini(&text);
    return args_end(&cmd, e, &why);
}

/* -- enrol sign: offline, with the enrol key ------------------------------------------------------ */

struct sign_options {
    const char *ca, *key_file, *root_file, *passphrase_file, *expect, *node, *out;
    struct args_list services, labels;
    int64_t life;
    bool force, show, json;
};

static void print_names(const char *head, const struct bytes *name, size_t count)
{
    printf("%s", head);
    for (size_t i = 0; i < count; i++)
        printf(" %.*s", (int)name[i].len, (const char *)name[i].at);
    putchar('\n');
}

static void show(const struct request *r, const struct credential *c)
{
    char key[NODE_ID_TEXT_MAX], at[WALL_TEXT_MAX];
    printf("  node      %.*s\n  key       %s\n", (int)c->node.len, (const char *)c->node.at,
           node_id_text(&c->id, key));
    print_names("  services ", c->service, c->service_count);
    for (size_t i = 0; i < c->labels.count; i++)
        printf("%s%.*s=%.*s%s", i ? " " : "  labels    ", (int)c->labels.at[i].key.len,
               (const char *)c->labels.at[i].key.at, (int)c->labels.at[i].value.len,
               (const char *)c->labels.at[i].value.at, i + 1 == c->labels.count ? "\n" : "");
    printf("  asked     %s, by the host's clock\n", wall_text(r->at, at));
    printf("  member    until %s\n", wall_text(c->expires, at));
}

static void show_json(const struct credential *c, const char *file)
{
    char key[NODE_ID_TEXT_MAX], until[WALL_TEXT_MAX];
    json_t *names = json_array();
    for (size_t i = 0; i < c->service_count; i++)
        json_array_append_new(names, json_stringn((const char *)c->service[i].at, c->service[i].len));
    json_t *o = json_pack("{s:s, s:s%, s:s%, s:s, s:o, s:s}", "file", file, "mesh", c->mesh.at, c->mesh.len,
                          "node", c->node.at, c->node.len, "key", node_id_text(&c->id, key), "services",
                          names, "expires", wall_text(c->expires, until));
    json_dumpf(o, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(o);
}

/* Is what is asked for within what the signer was told to allow? What he did not say is as asked, but "any service" must
 * be said by both. */
static enum err check_wish(const struct request *r, const struct sign_options *o, const struct limits *l,
                           struct buf *why)
{
    char key[NODE_ID_TEXT_MAX];
    struct grant g = {.service_count = l->service_count};
    memcpy(g.service, l->service, sizeof g.service);
    if (o->expect && strcmp(o->expect, node_id_text(&r->id, key)) != 0) {
        buf_addf(why, "the request is of the key %s, not of the one expected", key);
        return ERR_DENIED;
    }
    if (o->node && !pattern_matches(bytes_str(o->node), r->node)) {
        buf_addf(why, "the request is for node %.*s, which --node does not allow", (int)r->node.len,
                 (const char *)r->node.at);
        return ERR_DENIED;
    }
    for (size_t i = 0; i < r->service_count; i++) {
        bool any = bytes_eq_str(r->service[i], "*");
        if (g.service_count ? grant_allows(&g, r->service[i]) && (!any || bytes_eq_str(g.service[0], "*"))
                            : !any)
            continue;
        buf_addf(why, "the host asks for the service %.*s; allow it by --service %.*s",
                 (int)r->service[i].len, (const char *)r->service[i].at, (int)r->service[i].len,
                 (const char *)r->service[i].at);
        return ERR_DENIED;
    }
    return ERR_OK;
}

static enum err add_labels(struct credential *c, const struct limits *l, struct buf *why)
{
    for (size_t i = 0; i < l->labels.count; i++) {
        enum err e = labels_add(&c->labels, l->labels.at[i].key, l->labels.at[i].value);
        if (e != ERR_OK) {
            buf_addf(why, "the label %.*s: %s", (int)l->labels.at[i].key.len,
                     (const char *)l->labels.at[i].key.at,
                     e == ERR_EXISTS ? "the host asks for another value" : err_text(e));
            return e;
        }
    }
    return ERR_OK;
}

static struct credential credential_for(const struct request *r, const struct root *root, int64_t life)
{
    wall_s now = (wall_s)time(NULL);
    struct credential c = {.mesh = root->mesh,
                           .node = r->node,
                           .id = r->id,
                           .service_count = r->service_count,
                           .labels = r->labels,
                           .not_before = now,
                           .expires = now + life};
    memcpy(c.noise_key, r->noise_key, sizeof c.noise_key);
    memcpy(c.service, r->service, sizeof c.service);
    return c;
}

static enum err seal(struct buf *text, const struct credential *c, const struct root *root,
                     struct bytes root_bytes, const struct sign_options *o, struct buf *why)
{
    struct sign_key enrol = {0};
    struct buf envelope = {0};
    const struct keys_place place = {
        .ca = o->ca, .key_file = o->key_file, .passphrase_file = o->passphrase_file};
    struct refusal refusal = {0};
    enum err e = keys_load(&enrol, "enrol", &place, why);
    if (e == ERR_OK)
        e = limits_check_key(root, &enrol, c->not_before, why);
    if (e == ERR_OK &&
        (e = credential_create_why(&envelope, c, bytes_of(NULL, 0), &enrol, &refusal)) != ERR_OK)
        buf_addf(why, "the credential cannot be signed: %s%s%s", err_text(e), refusal.field ? ", " : "",
                 refusal.field ? refusal.field : "");
    if (e == ERR_OK)
        e = credential_text_encode(text, root_bytes, buf_bytes(&envelope));
    sign_key_fini(&enrol);
    buf_fini(&envelope);
    return e;
}

static enum err sign_request(const struct sign_options *o, const struct limits *l, const char *file,
                             struct buf *why)
{
    struct buf asked = {0}, space = {0}, root_bytes = {0}, text = {0};
    struct request r;
    struct root root;
    struct refusal refusal = {0};
    struct credential c = {.service_count = 0};
    enum err e = keys_root(&root, &root_bytes, o->ca, o->root_file, why);
    if (e == ERR_OK)
        e = file_read(&asked, file, REQUEST_TEXT_MAX, why);
    if (e == ERR_OK && (e = request_decode(&r, &space, buf_bytes(&asked), &refusal)) != ERR_OK)
        buf_addf(why, "%s is no request of `starling enrol request`: %s, %s", file,
                 refusal.field ? refusal.field : "", refusal.field ? refusal.reason : err_text(e));
    if (e == ERR_OK)
        e = check_wish(&r, o, l, why);
    if (e == ERR_OK) {
        c = credential_for(&r, &root, o->life);
        e = add_labels(&c, l, why);
    }
    if (e == ERR_OK && !o->show)
        e = seal(&text, &c, &root, buf_bytes(&root_bytes), o, why);
    if (e == ERR_OK && !o->show)
        e = write_text(&text, o->out, o->force, why);
    if (e == ERR_OK && o->json) {
        show_json(&c, o->show ? "" : o->out);
    } else if (e == ERR_OK && (o->show || strcmp(o->out, "-") != 0)) {
        printf("%s a credential of the mesh %.*s:\n", o->show ? "This would sign" : "Signed",
               (int)root.mesh.len, (const char *)root.mesh.at);
        show(&r, &c);
    }
    buf_fini(&asked);
    buf_fini(&space);
    buf_fini(&root_bytes);
    buf_fini(&text);
    return e;
}

static int enrol_sign(int argc, char **argv)
{
    struct sign_options o = {.life = 720 * 3600};
    struct args_list operands = {0};
    const struct args_option options[] = {
        {"ca", 0, "DIR", "folder that `mesh init` made", .text = &o.ca, .required = true},
        {"out", 'o', "FILE", "where the credential goes; - prints it", .text = &o.out},
        {"show", 0, NULL, "show what would be signed, and sign nothing", .flag = &o.show},
        {"expect", 0, "KEY", "refuse a request of another key (ed25519:...)", .text = &o.expect},
        {"node", 0, "PATTERN", "refuse a node name outside of this", .text = &o.node},
        {"service", 0, "NAME,...",
         "refuse a request for other services; '*' must be given for one that asks for any",
         .list = &o.services},
        {"label", 0, "KEY=VALUE,...", "labels it gets besides those it asks for", .list = &o.labels},
        {"life", 0, "TIME", "how long the host is a member (720h)", .seconds = &o.life},
        {"key", 0, "FILE", "enrol key, instead of DIR/enrol.key", .text = &o.key_file},
        {"root", 0, "FILE", "root of trust, instead of DIR/root.trust", .text = &o.root_file},
        {"passphrase-file", 0, "FILE",
         "passphrase of the enrol key (else $STARLING_PASSPHRASE, or asked for)", .text = &o.passphrase_file},
        {"force", 0, NULL, "replace FILE if it exists", .flag = &o.force},
        {"json", 0, NULL, "print JSON", .flag = &o.json},
    };
    const struct args_command cmd = {
        .name = "enrol sign",
        .operands = "REQUEST",
        .about = "Signs a host's request, offline, and shows what it signed. Whether the host is who it says "
                 "it is, is\n"
                 "for you to know: compare the key (--expect) with what `enrol request` printed there.",
        .option = options,
        .option_count = sizeof options / sizeof *options,
        .operands_min = 1,
        .operands_max = 1};
    struct limits l = {0};
    struct buf why = {0};
    int status = args_parse(&cmd, argc, argv, &operands);
    if (status == ARGS_GO)
        status = limits_read(&cmd, &o.services, &o.labels, &l);
    if (status != ARGS_GO)
        return status;
    if (!o.out && !o.show)
        return args_usage(&cmd, "--out FILE is missing, or --show to see what would be signed");
    if (o.node && !pattern_is_sound(bytes_str(o.node)))
        return args_usage(&cmd, "--node: \"%s\" is not a node name, nor the beginning of one and '*'",
                          o.node);
    if (o.life > CREDENTIAL_LIFE_MAX_S)
        return args_usage(&cmd, "--life: no credential lives for more than 400 days");
    enum err e = sign_request(&o, &l, operands.at[0], &why);
    return args_end(&cmd, e, &why);
}

int cli_enrol(int argc, char **argv)
{
    static const struct verb verbs[] = {
        {"request", "on a host: make its keys and print what it asks for", enrol_request},
        {"sign", "where the enrol key is: sign what a host asks for", enrol_sign},
    };
    static const struct verb_group group = {
        .name = "starling enrol", .what = "VERB", .verb = verbs, .count = sizeof verbs / sizeof *verbs};
    return verbs_run(&group, argc, argv);
}
