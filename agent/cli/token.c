/* `token create`: a grant for hosts of one kind, and with its private half a token that enrols them; offline.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <jansson.h>

#include "cli/args.h"
#include "cli/cli.h"
#include "cli/keys.h"
#include "cli/limits.h"
#include "cli/verbs.h"
#include "store/file.h"

static const char *ca, *key_file, *root_file, *passphrase_file, *node, *out_file;
static struct args_list services, labels, roots;
static int64_t ttl = 24 * 3600, credential_life = 720 * 3600;
static bool force, json;

static const struct args_option options[] = {
    {"ca", 0, "DIR", "folder that `mesh init` made", .text = &ca, .required = true},
    {"service", 0, "NAME,...", "services these hosts may offer and speak for; '*' for any", .list = &services,
     .required = true},
    {"node", 0, "PATTERN", "node names these hosts may take: web-1, or 'web-*'", .text = &node,
     .required = true},
    {"out", 'o', "FILE", "where the token goes (0600); - prints it", .text = &out_file, .required = true},
    {"label", 0, "KEY=VALUE,...", "labels these hosts carry, with these values and no others",
     .list = &labels},
    {"ttl", 0, "TIME", "how long the token enrols hosts (24h)", .seconds = &ttl},
    {"credential-life", 0, "TIME", "how long a host enrolled with it stays a member (720h)",
     .seconds = &credential_life},
    {"key", 0, "FILE", "enrol key, instead of DIR/enrol.key", .text = &key_file},
    {"root", 0, "FILE", "root of trust, instead of DIR/root.trust", .text = &root_file},
    {"roots", 0, "FILE",
     "a root before that one, oldest first: for hosts that trust it and missed what came after",
     .list = &roots},
    {"passphrase-file", 0, "FILE", "passphrase of the enrol key (else $STARLING_PASSPHRASE, or asked for)",
     .text = &passphrase_file},
    {"force", 0, NULL, "replace FILE if it exists", .flag = &force},
    {"json", 0, NULL, "print JSON", .flag = &json},
};
static const struct args_command command = {
    .name = "token create",
    .about = "Makes a token, offline. A host that starts with it makes its own keys, signs its own "
             "credential within\n"
             "these limits, and joins. Whoever holds the token can enrol such hosts while it lasts: keep it "
             "secret.",
    .option = options,
    .option_count = sizeof options / sizeof *options,
};

/* The limits that were asked for; the mesh, key and times come later. */
static int read_limits(struct grant *g)
{
    struct limits l = {0};
    int status = limits_read(&command, &services, &labels, &l);
    if (status != ARGS_GO)
        return status;
    g->service_count = l.service_count;
    memcpy(g->service, l.service, sizeof l.service);
    g->labels = l.labels;
    g->node_pattern = bytes_str(node);
    if (!pattern_is_sound(g->node_pattern))
        return args_usage(
            &command, "--node: \"%s\" is not a node name, nor the beginning of one and '*', as in 'web-*'",
            node);
    if (ttl > GRANT_LIFE_MAX_S)
        return args_usage(&command, "--ttl: no token enrols hosts for more than 400 days");
    if (credential_life > CREDENTIAL_LIFE_MAX_S)
        return args_usage(&command, "--credential-life: no credential lives for more than 400 days");
    return ARGS_GO;
}

/* A fresh key, a grant for it, and both with the root as the token's text. */
static enum err seal_token(struct buf *text, struct grant *g, struct bytes root, struct bytes chain,
                           const struct sign_key *enrol, struct buf *why)
{
    struct sign_key fresh;
    struct buf grant = {0};
    sign_key_new(&fresh);
    g->key = fresh.pub;
    enum err err = grant_create(&grant, g, enrol);
    if (err == ERR_LIMIT)
        buf_addf(why, "so many services and labels do not fit in one grant; make two tokens, or use '*'");
    else if (err)
        buf_addf(why, "the grant could not be signed: %s", err_text(err));
    else if (chain.len == 0)
        err = token_encode(text, root, buf_bytes(&grant), &fresh);
    else if ((err = token_encode_chain(text, chain, buf_bytes(&grant), &fresh)) == ERR_LIMIT)
        buf_addf(why, "so many roots do not fit in one token (%d bytes); leave out the oldest",
                 TOKEN_TEXT_MAX);
    sign_key_fini(&fresh);
    buf_fini(&grant);
    return err;
}

static enum err write_token(struct buf *text, struct buf *why)
{
    buf_add_u8(text, '\n');
    if (!buf_ok(text))
        return ERR_NOMEM;
    if (strcmp(out_file, "-") != 0) {
        enum err err = file_write(out_file, buf_bytes(text), 0600, force, why);
        if (err == ERR_EXISTS)
            buf_addf(why, "; --force replaces it");
        return err;
    }
    if (fwrite(text->at, 1, text->len, stdout) == text->len && fflush(stdout) == 0)
        return ERR_OK;
    buf_addf(why, "the token could not be written to standard output");
    return ERR_IO;
}

static void report_json(const struct grant *g)
{
    char until[WALL_TEXT_MAX], key[NODE_ID_TEXT_MAX];
    json_t *names = json_array(), *values = json_object();
    for (size_t i = 0; i < g->service_count; i++)
        json_array_append_new(names, json_stringn((const char *)g->service[i].at, g->service[i].len));
    for (size_t i = 0; i < g->labels.count; i++) {
        struct bytes k = g->labels.at[i].key, v = g->labels.at[i].value;
        json_object_setn_new(values, (const char *)k.at, k.len, json_stringn((const char *)v.at, v.len));
    }
    json_t *all = json_pack("{s:s, s:s%, s:s, s:s, s:o, s:o, s:s, s:I}", "file", out_file, "mesh", g->mesh.at,
                            g->mesh.len, "key", node_id_text(&g->key, key), "node", node, "services", names,
                            "labels", values, "expires", wall_text(g->expires, until), "credential_seconds",
                            (json_int_t)g->credential_life);
    json_dumpf(all, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(all);
}

static void report_text(const struct grant *g)
{
    char until[WALL_TEXT_MAX], key[NODE_ID_TEXT_MAX];
    printf("Wrote %s for the mesh %.*s:\n  key       %s\n  nodes     %s\n  services ", out_file,
           (int)g->mesh.len, (const char *)g->mesh.at, node_id_text(&g->key, key), node);
    for (size_t i = 0; i < g->service_count; i++)
        printf(" %.*s", (int)g->service[i].len, (const char *)g->service[i].at);
    for (size_t i = 0; i < g->labels.count; i++)
        printf("%s%.*s=%.*s", i ? " " : "\n  labels    ", (int)g->labels.at[i].key.len,
               (const char *)g->labels.at[i].key.at, (int)g->labels.at[i].value.len,
               (const char *)g->labels.at[i].value.at);
    printf("\n  enrols    until %s; each host is then a member for %lld h\n\n"
           "Whoever holds it can enrol such hosts until then: keep it secret. Next, on each of them:\n"
           "  starling agent --data DIR --token %s --seed HOST:PORT",
           wall_text(g->expires, until), (long long)(g->credential_life / 3600), out_file);
    limits_print_start(g->service, g->service_count);
}

static enum err read_roots(struct buf file[], struct buf *why)
{
    enum err err = ERR_OK;
    for (size_t i = 0; !err && i < roots.count; i++)
        err = file_read(&file[i], roots.at[i], ROOT_BYTES_MAX, why);
    return err;
}

/* Of --roots and the root itself, verified step by step; empty without --roots. */
static enum err make_chain(struct buf *chain, struct bytes root, struct buf *why)
{
    struct buf file[ARGS_LIST_MAX] = {{0}};
    struct bytes all[ARGS_LIST_MAX + 1];
    struct chain opened;
    struct refusal refusal = {0};
    if (roots.count == 0)
        return ERR_OK;
    enum err err = read_roots(file, why);
    for (size_t i = 0; i < roots.count; i++)
        all[i] = buf_bytes(&file[i]);
    all[roots.count] = root;
    if (!err)
        err = chain_of(chain, all, roots.count + 1);
    if (!err && (err = chain_open(&opened, buf_bytes(chain), NULL, &refusal)) != ERR_OK)
        buf_addf(
            why,
            "--roots: these do not lead to root.trust one by one (%s: %s); give each root once, the oldest "
            "first, and not root.trust itself",
            refusal.field ? refusal.field : "chain", refusal.reason ? refusal.reason : err_text(err));
    for (size_t i = 0; i < roots.count; i++)
        buf_fini(&file[i]);
    return err;
}

static enum err create(struct grant *g, struct bytes root_bytes, const struct root *root, struct buf *why)
{
    struct sign_key enrol = {0};
    struct buf text = {0}, chain = {0};
    const struct keys_place place = {.ca = ca, .key_file = key_file, .passphrase_file = passphrase_file};
    wall_s now = (wall_s)time(NULL);
    g->mesh = root->mesh;
    g->not_before = now;
    g->expires = now + ttl;
    g->credential_life = credential_life;
    enum err err = make_chain(&chain, root_bytes, why);
    if (!err)
        err = keys_load(&enrol, "enrol", &place, why);
    if (!err)
        err = limits_check_key(root, &enrol, now, why);
    if (!err)
        err = seal_token(&text, g, root_bytes, buf_bytes(&chain), &enrol, why);
    if (!err)
        err = write_token(&text, why);
    sign_key_fini(&enrol);
    secret_fini(&text);
    buf_fini(&chain);
    return err;
}

static int token_create(int argc, char **argv)
{
    struct grant g = {0};
    struct root root;
    struct buf root_bytes = {0}, why = {0};
    int status = args_parse(&command, argc, argv, NULL);
    if (status == ARGS_GO)
        status = read_limits(&g);
    if (status != ARGS_GO)
        return status;
    enum err err = keys_root(&root, &root_bytes, ca, root_file, &why);
    if (!err)
        err = create(&g, buf_bytes(&root_bytes), &root, &why);
    if (!err && strcmp(out_file, "-") != 0)
        (json ? report_json : report_text)(&g);
    buf_fini(&root_bytes);
    return args_end(&command, err, &why);
}

int cli_token(int argc, char **argv)
{
    static const struct verb verbs[] = {
        {"create", "make a token with which hosts enrol themselves", token_create}};
    static const struct verb_group group = {
        .name = "starling token", .what = "VERB", .verb = verbs, .count = 1};
    return verbs_run(&group, argc, argv);
}
