/* `policy sign` and `policy verify`: offline, never the network. What fails its own tests, or is not newer
 * than what it is to replace, is not signed. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <jansson.h>

#include "admin/explain.h"
#include "cli/args.h"
#include "cli/cli.h"
#include "cli/diff_report.h"
#include "cli/difference.h"
#include "cli/keys.h"
#include "cli/signed.h"
#include "cli/verify.h"
#include "policy/bundle.h"
#include "store/file.h"

struct sign_options {
    const char *ca, *root_file, *passphrase_file, *epoch, *previous, *drop, *out, *part, *forced;
    struct args_list keys;
    bool force, json, lower, text;
};
struct signing { /* all that signing opens and has to close again */
    const struct sign_options *o;
    const char *file;
    struct root root;
    struct buf root_bytes, in, previous_bytes, bundle, why;
    struct keys_ring ring;
    struct bundle previous;
    struct policy *previous_policy;
    bool has_previous, is_draft;
    uint64_t epoch;
};

static void signing_fini(struct signing *s)
{
    keys_ring_fini(&s->ring);
    policy_unref(s->previous_policy);
    buf_fini(&s->root_bytes);
    buf_fini(&s->in);
    buf_fini(&s->previous_bytes);
    buf_fini(&s->bundle);
    buf_fini(&s->why);
}

static enum err load_previous(struct signing *s, const char *file)
{
    struct complaints c = {.file = file};
    enum err e = file_read(&s->previous_bytes, file, BUNDLE_BYTES_MAX, &s->why);
    if (e != ERR_OK)
        return e;
    e = bundle_open(&s->previous, &s->previous_policy, &s->root, buf_bytes(&s->previous_bytes), &c);
    if (e != ERR_OK)
        buf_addf(&s->why, "what is given as the one before is not a bundle of this mesh: %s",
                 buf_str(&c.text));
    s->has_previous = e == ERR_OK;
    buf_fini(&c.text);
    return e;
}

/* A text to begin with, or a bundle that others have signed before. */
static enum err load(struct signing *s)
{
    const struct sign_options *o = s->o;
    struct envelope e;
    enum err err = keys_root(&s->root, &s->root_bytes, o->ca, o->root_file, &s->why);
    if (err == ERR_OK && s->in.len == 0)
        err = file_read(&s->in, s->file, BUNDLE_BYTES_MAX, &s->why);
    s->is_draft = err == ERR_OK && envelope_parse(&e, buf_bytes(&s->in)) == ERR_OK;
    if (err == ERR_OK && o->previous)
        err = load_previous(s, o->previous);
    s->epoch = o->epoch ? s->epoch : s->root.epoch;
    return err ? err : keys_ring_load(&s->ring, "policy", &o->keys, o->ca, o->passphrase_file, &s->why);
}

json_t *cli_features_json(uint64_t set)
{
    return explain_features(set);
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

/* -- reports ----------------------------------------------------------------------------------- */

struct changed { /* against what is replaced */
    struct diff *diff;
    struct buf lines; /* of the texts */
};

static void report_json(const struct bundle *b, const struct policy *p, const char *file,
                        struct changed *changed_or_null)
{
    char hash[HASH_TEXT_MAX], key[NODE_ID_TEXT_MAX];
    json_t *signers = json_array();
    hex_encode(b->hash.b, HASH_BYTES, hash);
    for (size_t i = 0; i < b->signer_count; i++)
        json_array_append_new(signers, json_string(node_id_text(&b->signer[i], key)));
    json_t *all =
        json_pack("{s:s, s:s, s:I, s:I, s:I, s:s, s:o, s:I, s:b}", "file", file, "mesh", policy_mesh(p),
                  "epoch", (json_int_t)b->epoch, "version", (json_int_t)b->version, "expires",
                  (json_int_t)policy_expires(p), "hash", hash, "signers", signers, "signers_wanted",
                  (json_int_t)b->signers_wanted, "complete", b->signer_count >= b->signers_wanted);
    json_object_set_new(all, "features", cli_features_json(b->features));
    if (b->part.len)
        json_object_set_new(all, "part", json_stringn((const char *)b->part.at, b->part.len));
    if (b->forced.len)
        json_object_set_new(all, "forced", json_stringn((const char *)b->forced.at, b->forced.len));
    if (b->dropped.len)
        json_object_set_new(all, "dropped", json_stringn((const char *)b->dropped.at, b->dropped.len));
    if (changed_or_null) {
        json_object_set_new(all, "differences", diff_report_json(changed_or_null->diff));
        json_object_set_new(all, "difference", json_string(buf_str(&changed_or_null->lines)));
    }
    json_dumpf(all, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(all);
}

static void print_changed(struct changed *c)
{
    struct buf out = {0};
    diff_report_text(&out, c->diff);
    fputs(buf_str(&out), stdout);
    fputs(buf_str(&c->lines), stdout);
    buf_fini(&out);
}

static void report(const struct bundle *b, const struct policy *p, const char *file,
                   struct changed *changed_or_null)
{
    char hash[HASH_TEXT_MAX], key[NODE_ID_TEXT_MAX];
    hex_encode(b->hash.b, HASH_BYTES, hash);
    if (changed_or_null)
        print_changed(changed_or_null);
    printf("%s: mesh %s, epoch %llu, version %llu\n  hash    %s\n", file, policy_mesh(p),
           (unsigned long long)b->epoch, (unsigned long long)b->version, hash);
    if (b->part.len)
        printf("  part    %.*s\n", (int)b->part.len, (const char *)b->part.at);
    if (b->forced.len)
        printf("  signed though its tests fail: %.*s\n", (int)b->forced.len, (const char *)b->forced.at);
    if (b->dropped.len)
        printf("  revocations dropped: %.*s\n", (int)b->dropped.len, (const char *)b->dropped.at);
    for (size_t i = 0; i < b->signer_count; i++)
        printf("  signed  %s\n", node_id_text(&b->signer[i], key));
    print_features("needs  ", b->features);
    print_features("lacking", features_lacking(b->features));
    if (features_lacking(b->features))
        puts("  agents of this version lack what stands above, and keep the policy before");
    if (b->signer_count < b->signers_wanted)
        printf("  a draft: %zu of the %zu signatures that it needs\n", b->signer_count, b->signers_wanted);
}

/* -- signing ----------------------------------------------------------------------------------- */

static enum err add_signatures(struct signing *s, struct complaints *c)
{
    enum err e = ERR_OK;
    buf_add_bytes(&s->bundle, buf_bytes(&s->in));
    for (size_t i = 0; i < s->ring.count && e == ERR_OK; i++) {
        struct buf more = {0};
        e = bundle_cosign(&more, &s->root, buf_bytes(&s->bundle), s->ring.by[i], c);
        if (e == ERR_OK) {
            buf_fini(&s->bundle);
            s->bundle = more;
        } else {
            buf_fini(&more);
        }
    }
    return e;
}

/* A revocation has to outlive what it revokes, also for agents that join later and know only what the policy says: whatever
 * was signed with the key has ended when a token and a credential of the longest life have. */
static bool has_outlived(const struct policy_revocation *line, wall_s now)
{
    return now >= line->at && now - line->at >= GRANT_LIFE_MAX_S + CREDENTIAL_LIFE_MAX_S;
}

/* Does the text leave out a line of --previous before its time, as --drop-revocations permits? */
static bool drops_any(const struct signing *s)
{
    size_t count = 0;
    struct policy *p = NULL;
    const struct policy_revocation *line =
        s->o->drop && s->previous_policy ? policy_revocations(s->previous_policy, &count) : NULL;
    bool any = false;
    if (count > 0 && policy_compile(&p, buf_bytes(&s->in), NULL) == ERR_OK)
        for (size_t i = 0; i < count && !any; i++)
            any = !policy_revocation(p, &line[i].key) && !has_outlived(&line[i], (wall_s)time(NULL));
    policy_unref(p);
    return any;
}

static enum err make_signatures(struct signing *s, struct complaints *c)
{
    if (s->is_draft)
        return add_signatures(s, c);
    c->source = buf_bytes(&s->in);
    struct bundle_wish w = {.epoch = s->epoch,
                            .part = bytes_str(s->o->part ? s->o->part : ""),
                            .forced = bytes_str(s->o->forced ? s->o->forced : ""),
                            .dropped = bytes_str(drops_any(s) ? s->o->drop : ""),
                            .text = buf_bytes(&s->in),
                            .previous_or_null = s->has_previous ? &s->previous.hash : NULL};
    return bundle_sign_as(&s->bundle, &s->root, &w, s->ring.by, s->ring.count, c);
}

static enum err check_previous(struct signing *s, const struct bundle *b)
{
    if (!s->has_previous ||
        bundle_succeeds(b, s->previous.epoch, s->previous.version, &s->previous.hash) == ERR_OK)
        return ERR_OK;
    buf_addf(&s->why, "version %llu does not follow version %llu of --previous; raise `version`",
             (unsigned long long)b->version, (unsigned long long)s->previous.version);
    return ERR_STALE;
}

static enum err check_dropped(struct signing *s, const struct policy *p)
{
    size_t count = 0;
    wall_s now = (wall_s)time(NULL);
    const struct policy_revocation *line =
        s->previous_policy ? policy_revocations(s->previous_policy, &count) : NULL;
    for (size_t i = 0; i < count; i++) {
        char key[NODE_ID_TEXT_MAX];
        if (policy_revocation(p, &line[i].key) || has_outlived(&line[i], now))
            continue;
        node_id_text(&line[i].key, key);
        if (s->o->drop) {
            fprintf(stderr, "%s is revoked no longer (%s): %s\n", key, line[i].reason, s->o->drop);
            continue;
        }
        buf_addf(
            &s->why,
            "the revocation of %s (%s) would be dropped before what it revokes has ended (800 days after "
            "`at`): "
            "agents that join later would believe that key. Keep the line, or say --drop-revocations REASON",
            key, line[i].reason);
        return ERR_DENIED;
    }
    return ERR_OK;
}

/* Such a line would do nothing. */
static enum err check_revoked(struct signing *s, const struct policy *p)
{
    const struct role *role[] = {&s->root.root, &s->root.policy};
    for (size_t r = 0; r < 2; r++)
        for (size_t i = 0; i < role[r]->count; i++) {
            char key[NODE_ID_TEXT_MAX];
            if (!policy_revocation(p, &role[r]->key[i]))
                continue;
            buf_addf(&s->why,
                     "%s is a %s key of the root: it is not revoked by policy but rotated out of the root "
                     "(mesh rotate)",
                     node_id_text(&role[r]->key[i], key), r == 0 ? "root" : "policy");
            return ERR_DENIED;
        }
    return ERR_OK;
}

/* Into the file that was named, or back into the draft. */
static enum err write_bundle(struct signing *s, const char *out)
{
    enum err e = file_write(out, buf_bytes(&s->bundle), 0644, s->o->force || !s->o->out, &s->why);
    if (e == ERR_EXISTS)
        buf_addf(&s->why, "; --force replaces it");
    return e;
}

/* What it changes, for whoever is about to put a name to it. False: no memory. */
static bool compare_with_previous(const struct signing *s, const struct bundle *b, const struct policy *p,
                                  struct changed *c)
{
    if (!s->has_previous)
        return true;
    if (s->o->text || s->o->json)
        difference_write(&c->lines, s->previous.text, b->text);
    c->diff = diff_new(s->previous_policy, p);
    return c->diff != NULL;
}

/* Opened again as the next signer or an agent will: nothing leaves that they would refuse. */
static enum err finish(struct signing *s)
{
    struct bundle b;
    struct policy *p = NULL;
    struct changed changed = {0};
    const char *out = s->o->out ? s->o->out : s->file;
    enum err e = bundle_read(&b, &p, &s->root, buf_bytes(&s->bundle), NULL);
    if (e != ERR_OK) {
        buf_addf(&s->why, "the bundle does not verify against its own root: %s", err_text(e));
        return e;
    }
    e = check_previous(s, &b);
    if (e == ERR_OK)
        e = check_revoked(s, p);
    if (e == ERR_OK)
        e = check_dropped(s, p);
    if (e == ERR_OK && !compare_with_previous(s, &b, p, &changed))
        e = ERR_NOMEM;
    if (e == ERR_OK)
        e = signed_remember(&s->ring, SIGNED_POLICY, &(struct signed_as){b.epoch, b.version, b.hash},
                            s->o->lower, &s->why);
    if (e == ERR_OK)
        e = write_bundle(s, out);
    if (e == ERR_OK)
        (s->o->json ? report_json : report)(&b, p, out, s->has_previous ? &changed : NULL);
    buf_fini(&changed.lines);
    diff_free(changed.diff);
    policy_unref(p);
    return e;
}

/* `text`: instead of what stands in `file`, unless it is empty. */
static int sign(const struct args_command *cmd, const struct sign_options *o, const char *file,
                struct bytes text, uint64_t epoch)
{
    struct signing s = {.o = o, .file = file, .epoch = epoch};
    struct complaints c = {.file = file};
    buf_add_bytes(&s.in, text);
    enum err e = load(&s);
    bool told = false;
    if (e == ERR_OK && !s.is_draft && !o->out) {
        buf_add_str(&s.why, "say by -o FILE where the bundle is to go");
        e = ERR_INVALID;
    }
    if (e == ERR_OK) {
        e = make_signatures(&s, &c);
        told = c.count > 0;
        fputs(buf_str(&c.text), stderr);
        if (e == ERR_OK)
            e = finish(&s);
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
        {"key", 0, "FILE", "policy key, instead of DIR/policy.key; may be repeated", .list = &o.keys},
        {"passphrase-file", 0, "FILE", "passphrase of the keys (else $STARLING_PASSPHRASE, or asked for)",
         .text = &o.passphrase_file},
        {"epoch", 0, "N", "epoch of the policy (that of the root)", .text = &o.epoch},
        {"previous", 0, "BUNDLE", "what this one replaces: must be older, and what changes is shown",
         .text = &o.previous},
        {"text", 0, NULL, "with --previous: also the lines that changed", .flag = &o.text},
        {"out", 'o', "FILE", "where the bundle goes (a draft: into the same file)", .text = &o.out},
        {"force", 0, NULL, "replace FILE if it exists", .flag = &o.force},
        {"drop-revocations", 0, "REASON", "sign although a revocation of --previous goes before its time",
         .text = &o.drop},
        {"part", 0, "NAME", "sign a part of the policy that the root delegates, with a key of its own",
         .text = &o.part},
        {"failing-because", 0, "REASON", "sign though a test inside fails; the reason goes into the bundle",
         .text = &o.forced},
        {"lower", 0, NULL, "sign although this key has signed a higher version", .flag = &o.lower},
        {"json", 0, NULL, "print JSON", .flag = &o.json},
    };
    const struct args_command command = {
        .name = "policy sign",
        .operands = "FILE",
        .about = "Compiles a policy, runs the tests inside it, and signs it. FILE is the policy's text, or a "
                 "bundle that\n"
                 "others have signed: then another signature is added. Offline: never the network.",
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
    return sign(&command, &o, files.at[0], bytes_of(NULL, 0), epoch);
}

int cli_policy_sign_text(const struct args_command *cmd, const struct cli_signing *w, struct bytes text)
{
    struct sign_options o = {.ca = w->ca,
                             .root_file = w->root_file,
                             .passphrase_file = w->passphrase_file,
                             .previous = w->previous,
                             .out = w->out,
                             .keys = w->keys,
                             .force = w->force,
                             .json = w->json};
    return sign(cmd, &o, w->out, text, 0);
}

static enum err look(const struct verify_options *o, const struct root *root, struct bytes in,
                     const char *file, struct complaints *c, bool *is_complete)
{
    struct bundle b;
    struct policy *p = NULL;
    enum err e = bundle_read(&b, &p, root, in, c);
    if (e != ERR_OK)
        return e;
    if (o->text)
        fwrite(b.text.at, 1, b.text.len, stdout);
    else
        (o->json ? report_json : report)(&b, p, file, NULL);
    *is_complete = b.signer_count >= b.signers_wanted;
    policy_unref(p);
    return ERR_OK;
}

int cli_policy_verify(int argc, char **argv)
{
    static const struct verify_kind kind = {
        .name = "policy verify",
        .operand = "FILE.bundle",
        .about = "Checks a bundle as an agent of that mesh does, and says who signed it.",
        .text_about = "print the policy inside, if it is good",
        .what = "bundle",
        .bytes_max = BUNDLE_BYTES_MAX,
        .look = look};
    return verify_command(&kind, argc, argv);
}
