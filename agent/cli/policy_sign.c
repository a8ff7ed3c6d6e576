/* `policy sign` and `policy verify`: offline, never the network. What fails its own tests, or is not newer
 * than what it is to replace, is not signed. */
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "cli/args.h"
#include "cli/cli.h"
#include "cli/difference.h"
#include "cli/keys.h"
#include "policy/bundle.h"
#include "store/file.h"

struct sign_options {
    const char *ca, *root_file, *passphrase_file, *epoch, *previous, *out;
    struct args_list keys;
    bool force, json;
};
struct signing { /* all that signing opens and has to close again */
    struct root root;
    struct buf root_bytes, text, previous_bytes, bundle, why;
    struct sign_key key[ROLE_KEYS_MAX];
    size_t key_count;
    struct bundle previous;
    bool has_previous;
    uint64_t epoch;
};

static void signing_fini(struct signing *s)
{
    for (size_t i = 0; i < s->key_count; i++)
        sign_key_fini(&s->key[i]);
    buf_fini(&s->root_bytes);
    buf_fini(&s->text);
    buf_fini(&s->previous_bytes);
    buf_fini(&s->bundle);
    buf_fini(&s->why);
}

/* Every --key, or else policy.key of the folder. */
static enum err load_keys(struct signing *s, const struct sign_options *o)
{
    struct keys_place place = {.ca = o->ca, .passphrase_file = o->passphrase_file};
    size_t count = o->keys.count ? o->keys.count : 1;
    if (count > ROLE_KEYS_MAX) {
        buf_addf(&s->why, "more than %d keys; a root lists no more for a role", ROLE_KEYS_MAX);
        return ERR_LIMIT;
    }
    for (size_t i = 0; i < count; i++) {
        place.key_file = o->keys.count ? o->keys.at[i] : NULL;
        enum err e = keys_load(&s->key[i], "policy", &place, &s->why);
        if (e != ERR_OK)
            return e;
        s->key_count++;
    }
    return ERR_OK;
}

static enum err load_previous(struct signing *s, const char *file)
{
    struct complaints c = {.file = file};
    enum err e = file_read(&s->previous_bytes, file, BUNDLE_BYTES_MAX, &s->why);
    if (e != ERR_OK)
        return e;
    e = bundle_open(&s->previous, NULL, &s->root, buf_bytes(&s->previous_bytes), &c);
    if (e != ERR_OK)
        buf_addf(&s->why, "--previous is not a bundle of this mesh: %s", buf_str(&c.text));
    s->has_previous = e == ERR_OK;
    buf_fini(&c.text);
    return e;
}

static enum err load(struct signing *s, const struct sign_options *o, const char *file)
{
    enum err e = keys_root(&s->root, &s->root_bytes, o->ca, o->root_file, &s->why);
    if (e == ERR_OK)
        e = file_read(&s->text, file, YAML_BYTES_MAX, &s->why);
    if (e == ERR_OK && o->previous)
        e = load_previous(s, o->previous);
    s->epoch = o->epoch ? s->epoch : s->root.epoch;
    return e == ERR_OK ? load_keys(s, o) : e;
}

json_t *cli_features_json(uint64_t set)
{
    json_t *list = json_array();
    for (int f = 0; f < POLICY_FEATURES; f++)
        if (set & feature_bit((enum policy_feature)f))
            json_array_append_new(list, json_string(feature_name((enum policy_feature)f)));
    return list;
}

static void print_features(const char *what, uint64_t set)
{
    if (!set)
        return;
    printf("  %s", what);
    for (int f = 0; f < POLICY_FEATURES; f++)
        if (set & feature_bit((enum policy_feature)f))
            printf(" %s", feature_name((enum policy_feature)f));
    putchar('\n');
}

static void report_json(const struct bundle *b, const struct policy *p, const char *file,
                        struct buf *difference_or_null)
{
    char hash[HASH_TEXT_MAX], key[NODE_ID_TEXT_MAX];
    json_t *signers = json_array();
    hex_encode(b->hash.b, HASH_BYTES, hash);
    for (size_t i = 0; i < b->signer_count; i++)
        json_array_append_new(signers, json_string(node_id_text(&b->signer[i], key)));
    json_t *all = json_pack("{s:s, s:s, s:I, s:I, s:I, s:s, s:o}", "file", file, "mesh", policy_mesh(p),
                            "epoch", (json_int_t)b->epoch, "version", (json_int_t)b->version, "expires",
                            (json_int_t)policy_expires(p), "hash", hash, "signers", signers);
    json_object_set_new(all, "features", cli_features_json(b->features));
    if (difference_or_null)
        json_object_set_new(all, "difference", json_string(buf_str(difference_or_null)));
    json_dumpf(all, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(all);
}

static void report(const struct bundle *b, const struct policy *p, const char *file,
                   struct buf *difference_or_null)
{
    char hash[HASH_TEXT_MAX], key[NODE_ID_TEXT_MAX];
    hex_encode(b->hash.b, HASH_BYTES, hash);
    if (difference_or_null)
        fputs(buf_str(difference_or_null), stdout);
    printf("%s: mesh %s, epoch %llu, version %llu\n  hash    %s\n", file, policy_mesh(p),
           (unsigned long long)b->epoch, (unsigned long long)b->version, hash);
    for (size_t i = 0; i < b->signer_count; i++)
        printf("  signed  %s\n", node_id_text(&b->signer[i], key));
    print_features("needs  ", b->features);
    print_features("lacking", features_lacking(b->features));
    if (features_lacking(b->features))
        puts("  agents of this version lack what stands above, and keep the policy before");
}

/* Opened again as an agent will: nothing leaves that an agent would refuse. */
static enum err finish(struct signing *s, const struct sign_options *o)
{
    struct bundle b;
    struct policy *p = NULL;
    struct buf difference = {0};
    enum err e = bundle_open(&b, &p, &s->root, buf_bytes(&s->bundle), NULL);
    if (e != ERR_OK) {
        buf_addf(&s->why, "the bundle does not verify against its own root: %s", err_text(e));
        return e;
    }
    if (s->has_previous &&
        bundle_succeeds(&b, s->previous.epoch, s->previous.version, &s->previous.hash) != ERR_OK) {
        buf_addf(&s->why, "version %llu does not follow version %llu of --previous; raise `version`",
                 (unsigned long long)b.version, (unsigned long long)s->previous.version);
        e = ERR_STALE;
    }
    if (e == ERR_OK)
        e = file_write(o->out, buf_bytes(&s->bundle), 0644, o->force, &s->why);
    if (e == ERR_EXISTS)
        buf_addf(&s->why, "; --force replaces it");
    if (s->has_previous)
        difference_write(&difference, s->previous.text, b.text);
    if (e == ERR_OK)
        (o->json ? report_json : report)(&b, p, o->out, s->has_previous ? &difference : NULL);
    buf_fini(&difference);
    policy_unref(p);
    return e;
}

static int sign(const struct args_command *cmd, const struct sign_options *o, const char *file,
                uint64_t epoch)
{
    struct signing s = {.epoch = epoch};
    struct complaints c = {.file = file};
    const struct sign_key *keys[ROLE_KEYS_MAX];
    enum err e = load(&s, o, file);
    bool told = false;
    if (e == ERR_OK) {
        for (size_t i = 0; i < s.key_count; i++)
            keys[i] = &s.key[i];
        c.source = buf_bytes(&s.text);
        e = bundle_sign(&s.bundle, &s.root, s.epoch, buf_bytes(&s.text),
                        s.has_previous ? &s.previous.hash : NULL, keys, s.key_count, &c);
        told = c.count > 0;
        fputs(buf_str(&c.text), stderr);
        if (e == ERR_OK)
            e = finish(&s, o);
    }
    if (e != ERR_OK)
        (void)args_refused(cmd, "%s",
                           s.why.len ? buf_str(&s.why)
                           : told    ? "not signed; mend what is said above"
                                     : err_text(e));
    buf_fini(&c.text);
    signing_fini(&s);
    return e == ERR_OK ? EXIT_GOOD : EXIT_REFUSED;
}

static bool parse_epoch(const char *text, uint64_t *out)
{
    struct yaml_node n = {.kind = YAML_SCALAR, .text = text, .text_len = strlen(text)};
    return yaml_u64(&n, out, 0, NUMBER_MAX, NULL);
}

int cli_policy_sign(int argc, char **argv)
{
    struct sign_options o = {0};
    struct args_list files = {0};
    uint64_t epoch = 0;
    const struct args_option options[] = {
        {"ca", 0, "DIR", "folder that `mesh init` made", .text = &o.ca},
        {"root", 0, "FILE", "root of trust, instead of DIR/root.trust", .text = &o.root_file},
        {"key", 0, "FILE",
         "policy key, instead of DIR/policy.key; repeat it as often as the root wants signatures",
         .list = &o.keys},
        {"passphrase-file", 0, "FILE", "passphrase of the keys (else $STARLING_PASSPHRASE, or asked for)",
         .text = &o.passphrase_file},
        {"epoch", 0, "N", "epoch of the policy (that of the root)", .text = &o.epoch},
        {"previous", 0, "BUNDLE", "what this one replaces: must be older, and the difference is shown",
         .text = &o.previous},
        {"out", 'o', "FILE", "where the bundle goes", .text = &o.out, .required = true},
        {"force", 0, NULL, "replace FILE if it exists", .flag = &o.force},
        {"json", 0, NULL, "print JSON", .flag = &o.json},
    };
    const struct args_command command = {
        .name = "policy sign",
        .operands = "FILE",
        .about = "Compiles a policy, runs the tests inside it, and signs it. Offline: never the network.",
        .option = options,
        .option_count = sizeof options / sizeof *options,
        .operands_min = 1,
        .operands_max = 1};
    int status = args_parse(&command, argc, argv, &files);
    if (status != ARGS_GO)
        return status;
    if (!o.ca && (!o.root_file || o.keys.count == 0))
        return args_usage(&command, "give --ca DIR, or --root FILE and --key FILE");
    if (o.epoch && !parse_epoch(o.epoch, &epoch))
        return args_usage(&command, "--epoch: \"%s\" is not a whole number up to 2^63-1", o.epoch);
    return sign(&command, &o, files.at[0], epoch);
}

struct verify_options {
    const char *ca, *root_file;
    bool json, text;
};

static enum err verify(const struct verify_options *o, const char *file, struct buf *why)
{
    struct root root;
    struct buf root_bytes = {0}, in = {0};
    struct bundle b;
    struct policy *p = NULL;
    struct complaints c = {.file = file};
    enum err e = keys_root(&root, &root_bytes, o->ca, o->root_file, why);
    if (e == ERR_OK)
        e = file_read(&in, file, BUNDLE_BYTES_MAX, why);
    if (e == ERR_OK && (e = bundle_open(&b, &p, &root, buf_bytes(&in), &c)) != ERR_OK)
        buf_addf(why, "%s", c.text.len ? buf_str(&c.text) : err_text(e));
    if (e == ERR_OK && o->text)
        fwrite(b.text.at, 1, b.text.len, stdout);
    else if (e == ERR_OK)
        (o->json ? report_json : report)(&b, p, file, NULL);
    policy_unref(p);
    buf_fini(&c.text);
    buf_fini(&in);
    buf_fini(&root_bytes);
    return e;
}

/* A sentence without the line's end that complaints carry. */
static const char *without_newline(struct buf *why)
{
    while (why->len && why->at[why->len - 1] == '\n')
        why->len--;
    return buf_str(why);
}

int cli_policy_verify(int argc, char **argv)
{
    struct verify_options o = {0};
    struct args_list files = {0};
    struct buf why = {0};
    const struct args_option options[] = {
        {"root", 0, "FILE", "root of trust", .text = &o.root_file},
        {"ca", 0, "DIR", "folder of a mesh, instead of --root DIR/root.trust", .text = &o.ca},
        {"text", 0, NULL, "print the policy inside, if it is good", .flag = &o.text},
        {"json", 0, NULL, "print JSON", .flag = &o.json},
    };
    const struct args_command command = {
        .name = "policy verify",
        .operands = "FILE.bundle",
        .about = "Checks a bundle as an agent of that mesh does, and says who signed it.",
        .option = options,
        .option_count = sizeof options / sizeof *options,
        .operands_min = 1,
        .operands_max = 1};
    int status = args_parse(&command, argc, argv, &files);
    if (status != ARGS_GO)
        return status;
    if (!o.ca && !o.root_file)
        return args_usage(&command, "give --root FILE, the root of trust of the mesh");
    if (verify(&o, files.at[0], &why) != ERR_OK)
        status = args_refused(&command, "%s", without_newline(&why));
    else
        status = EXIT_GOOD;
    buf_fini(&why);
    return status;
}
