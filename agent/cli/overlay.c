/* `overlay` offline: check, sign, verify, end. Never the network: at an agent, overlay_online.c. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <jansson.h>

#include "cli/args.h"
#include "cli/cli.h"
#include "cli/keys.h"
#include "cli/policy_load.h"
#include "cli/signed.h"
#include "cli/verify.h"
#include "policy/overlay.h"
#include "store/file.h"

static wall_s now_wall(void)
{
    return (wall_s)time(NULL);
}

/* -- reports ----------------------------------------------------------------------------------- */

static const char *phase_text(const struct overlay *o)
{
    static const char *const words[] = {"not begun", "on", "over"};
    return o->rule_count == 0 ? "ends the one before" : words[overlay_phase(o, now_wall())];
}

static void report_json(const struct overlay *o, const char *file)
{
    char hash[HASH_TEXT_MAX], key[NODE_ID_TEXT_MAX];
    json_t *signers = json_array();
    hex_encode(o->hash.b, HASH_BYTES, hash);
    for (size_t i = 0; i < o->signer_count; i++)
        json_array_append_new(signers, json_string(node_id_text(&o->signer[i], key)));
    json_t *all =
        json_pack("{s:s, s:o, s:s, s:I, s:I, s:s, s:I, s:I, s:I, s:s, s:s, s:o, s:I, s:b}", "file", file,
                  "mesh", json_stringn((const char *)o->mesh.at, o->mesh.len), "name", o->name, "epoch",
                  (json_int_t)o->epoch, "version", (json_int_t)o->version, "reason", o->reason, "begins",
                  (json_int_t)o->begins, "ends", (json_int_t)o->ends, "rules", (json_int_t)o->rule_count,
                  "phase", phase_text(o), "hash", hash, "signers", signers, "signers_wanted",
                  (json_int_t)o->signers_wanted, "complete", o->signer_count >= o->signers_wanted);
    json_dumpf(all, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(all);
}

static void report(const struct overlay *o, const char *file)
{
    char hash[HASH_TEXT_MAX], key[NODE_ID_TEXT_MAX], begins[WALL_TEXT_MAX], ends[WALL_TEXT_MAX];
    hex_encode(o->hash.b, HASH_BYTES, hash);
    printf("%s: overlay %s of mesh %.*s, epoch %llu, version %llu\n", file, o->name, (int)o->mesh.len,
           (const char *)o->mesh.at, (unsigned long long)o->epoch, (unsigned long long)o->version);
    printf("  reason  %s\n  from    %s\n  ends    %s (%s)\n  rules   %zu\n  hash    %s\n", o->reason,
           wall_text(o->begins, begins), wall_text(o->ends, ends), phase_text(o), o->rule_count, hash);
    for (size_t i = 0; i < o->signer_count; i++)
        printf("  signed  %s\n", node_id_text(&o->signer[i], key));
    if (o->signer_count < o->signers_wanted)
        printf("  a draft: %zu of the %zu signatures that it needs\n", o->signer_count, o->signers_wanted);
}

/* -- check ------------------------------------------------------------------------------------- */

/* Does it compile together with the policy that it will meet? `why`. */
static enum err check_beside(const char *policy, const char *overlay, const char *ca, const char *root_file,
                             struct buf *why)
{
    struct loaded *l = calloc(1, sizeof *l);
    if (!l)
        return ERR_NOMEM;
    enum err e = loaded_open(l, &policy, 1, ca, root_file, why);
    if (e == ERR_OK)
        e = loaded_overlay(l, overlay, why);
    loaded_fini(l);
    free(l);
    return e;
}

/* As if it were signed now. Complaints go to stderr. */
static bool check_alone(const char *file, struct bytes text)
{
    struct complaints c = {.file = file, .source = text};
    struct policy_source source = {.file = file, .text = text, .is_overlay = true};
    struct policy *p = NULL;
    char ends[WALL_TEXT_MAX];
    const struct yaml_source list = {file, text};
    bool good = policy_compile_sources(&p, &source, 1, &c) == ERR_OK;
    c.source_list = &list;
    c.source_count = 1;
    good = good && policy_overlay_check_ends(p, now_wall(), &c);
    fputs(buf_str(&c.text), stderr);
    if (good)
        printf("%s: overlay %s of mesh %s, version %llu, ends %s, %zu rule%s: good\n", file,
               policy_overlay(p)->name, policy_mesh(p), (unsigned long long)policy_overlay(p)->version,
               wall_text(policy_overlay(p)->ends, ends), policy_overlay(p)->rule_count,
               policy_overlay(p)->rule_count == 1 ? "" : "s");
    policy_unref(p);
    buf_fini(&c.text);
    return good;
}

static int overlay_check(int argc, char **argv)
{
    const char *policy = NULL, *ca = NULL, *root_file = NULL;
    struct args_list files = {0};
    struct buf text = {0}, why = {0};
    const struct args_option options[] = {
        {"policy", 0, "FILE", "also together with this policy: its text, or a bundle with --root",
         .text = &policy},
        {"root", 0, "FILE", "root of trust, for a bundle", .text = &root_file},
        {"ca", 0, "DIR", "folder of a mesh, instead of --root DIR/root.trust", .text = &ca},
    };
    const struct args_command cmd = {
        .name = "overlay check",
        .operands = "FILE",
        .about = "Compiles an overlay as if it were signed now, and shows every error with its place.",
        .option = options,
        .option_count = sizeof options / sizeof *options,
        .operands_min = 1,
        .operands_max = 1};
    int status = args_parse(&cmd, argc, argv, &files);
    if (status != ARGS_GO)
        return status;
    enum err e = file_read(&text, files.at[0], OVERLAY_TEXT_MAX, &why);
    if (e == ERR_OK && policy)
        e = check_beside(policy, files.at[0], ca, root_file, &why);
    if (e != ERR_OK)
        status = args_refused(&cmd, "%s", why.len ? verify_sentence(&why) : err_text(e));
    else
        status = check_alone(files.at[0], buf_bytes(&text)) ? EXIT_GOOD : EXIT_REFUSED;
    buf_fini(&text);
    buf_fini(&why);
    return status;
}

/* -- sign -------------------------------------------------------------------------------------- */

struct sign_options {
    const char *ca, *root_file, *passphrase_file, *policy, *out, *reason;
    struct args_list keys;
    bool force, json, lower;
};
struct signing { /* all that signing opens and has to close again */
    const struct sign_options *o;
    const char *file;
    struct root root;
    struct buf root_bytes, in, made, why;
    struct keys_ring ring;
};

static void signing_fini(struct signing *s)
{
    keys_ring_fini(&s->ring);
    buf_fini(&s->root_bytes);
    buf_fini(&s->in);
    buf_fini(&s->made);
    buf_fini(&s->why);
}

static enum err load(struct signing *s)
{
    const struct sign_options *o = s->o;
    enum err e = keys_root(&s->root, &s->root_bytes, o->ca, o->root_file, &s->why);
    if (e == ERR_OK)
        e = file_read(&s->in, s->file, OVERLAY_BYTES_MAX, &s->why);
    if (e == ERR_OK && o->policy)
        e = check_beside(o->policy, s->file, o->ca, o->root_file, &s->why);
    return e ? e : keys_ring_load(&s->ring, "policy", &o->keys, o->ca, o->passphrase_file, &s->why);
}

static enum err add_signatures(struct signing *s, struct complaints *c)
{
    enum err e = ERR_OK;
    buf_add_bytes(&s->made, buf_bytes(&s->in));
    for (size_t i = 0; i < s->ring.count && e == ERR_OK; i++) {
        struct buf more = {0};
        e = overlay_cosign(&more, &s->root, buf_bytes(&s->made), now_wall(), s->ring.by[i], c);
        if (e == ERR_OK) {
            buf_fini(&s->made);
            s->made = more;
        } else {
            buf_fini(&more);
        }
    }
    return e;
}

/* Opened again as the next signer or an agent will, noted, written and shown. */
static enum err finish(struct signing *s)
{
    struct overlay o;
    const char *out = s->o->out ? s->o->out : s->file;
    enum err e = overlay_read(&o, &s->root, buf_bytes(&s->made), NULL);
    if (e != ERR_OK) {
        buf_addf(&s->why, "the overlay does not verify against its own root: %s", err_text(e));
        return e;
    }
    e = signed_remember(&s->ring, SIGNED_OVERLAY, &(struct signed_as){o.epoch, o.version, o.hash},
                        s->o->lower, &s->why);
    if (e == ERR_OK)
        e = file_write(out, buf_bytes(&s->made), 0644, s->o->force || !s->o->out, &s->why);
    if (e == ERR_EXISTS)
        buf_addf(&s->why, "; --force replaces it");
    if (e == ERR_OK)
        (s->o->json ? report_json : report)(&o, out);
    return e;
}

static enum err sign_text(struct signing *s, struct bytes text, struct complaints *c)
{
    const struct yaml_source list = {c->file, text};
    if (!s->o->out) {
        buf_add_str(&s->why, "say by -o FILE where the signed overlay is to go");
        return ERR_INVALID;
    }
    c->source_list = &list;
    c->source_count = 1;
    enum err e = overlay_sign(&s->made, &s->root, text, now_wall(), s->ring.by, s->ring.count, c);
    c->source_list = NULL;
    return e;
}

static enum err make_signatures(struct signing *s, struct complaints *c)
{
    struct envelope e;
    if (envelope_parse(&e, buf_bytes(&s->in)) == ERR_OK)
        return add_signatures(s, c);
    return sign_text(s, buf_bytes(&s->in), c);
}

/* The next version of it, without rules. */
static enum err make_end(struct signing *s, struct complaints *c)
{
    struct overlay o;
    struct buf text = {0};
    enum err e = overlay_read(&o, &s->root, buf_bytes(&s->in), c);
    if (e == ERR_OK && overlay_phase(&o, now_wall()) == OVERLAY_OVER) {
        buf_addf(&s->why, "overlay %s has ended by itself; there is nothing to end", o.name);
        e = ERR_EXPIRED;
    }
    if (e == ERR_OK)
        e = overlay_end_text(&text, &o, s->o->reason);
    if (e == ERR_OK)
        e = sign_text(s, buf_bytes(&text), c);
    buf_fini(&text);
    return e;
}

static int run(const struct args_command *cmd, const struct sign_options *o, const char *file,
               enum err (*make)(struct signing *s, struct complaints *c))
{
    struct signing s = {.o = o, .file = file};
    struct complaints c = {.file = file};
    enum err e = load(&s);
    bool told = false;
    if (e == ERR_OK) {
        e = make(&s, &c);
        told = c.count > 0;
        fputs(buf_str(&c.text), stderr);
    }
    if (e == ERR_OK)
        e = finish(&s);
    if (e != ERR_OK)
        (void)args_refused(cmd, "%s",
                           s.why.len ? verify_sentence(&s.why)
                           : told    ? "not signed; mend what is said above"
                                     : err_text(e));
    buf_fini(&c.text);
    signing_fini(&s);
    return e == ERR_OK ? EXIT_GOOD : EXIT_REFUSED;
}

#define SIGN_OPTIONS(o)                                                                                      \
    {"ca", 0, "DIR", "folder with root.trust and the signer's policy.key", .text = &(o).ca},                 \
        {"root", 0, "FILE", "root of trust, instead of DIR/root.trust", .text = &(o).root_file},             \
        {"key", 0, "FILE", "key, instead of DIR/policy.key; may be repeated", .list = &(o).keys},            \
        {"passphrase-file", 0, "FILE", "passphrase of the keys (else $STARLING_PASSPHRASE, or asked for)",   \
         .text = &(o).passphrase_file},                                                                      \
        {"out", 'o', "FILE", "where it goes (a draft: into the same file)", .text = &(o).out},               \
        {"force", 0, NULL, "replace FILE if it exists", .flag = &(o).force},                                 \
        {"lower", 0, NULL, "sign although this key has signed a higher version", .flag = &(o).lower},        \
    {                                                                                                        \
        "json", 0, NULL, "print JSON", .flag = &(o).json                                                     \
    }

static int parse(const struct args_command *cmd, int argc, char **argv, const struct sign_options *o,
                 struct args_list *files)
{
    int status = args_parse(cmd, argc, argv, files);
    if (status == ARGS_GO && !o->ca && (!o->root_file || o->keys.count == 0))
        return args_usage(cmd, "give --ca DIR, or --root FILE and --key FILE");
    return status;
}

static int overlay_sign_command(int argc, char **argv)
{
    struct sign_options o = {0};
    struct args_list files = {0};
    const struct args_option options[] = {
        SIGN_OPTIONS(o),
        {"policy", 0, "FILE", "refuse it unless it compiles together with this policy", .text = &o.policy}};
    const struct args_command cmd = {
        .name = "overlay sign",
        .operands = "FILE",
        .about =
            "Compiles an overlay and signs it. FILE is its text, or a draft that others have signed: then "
            "another\nsignature is added. Two sign at least, where the root names two. Offline: never the "
            "network.",
        .option = options,
        .option_count = sizeof options / sizeof *options,
        .operands_min = 1,
        .operands_max = 1};
    int status = parse(&cmd, argc, argv, &o, &files);
    return status == ARGS_GO ? run(&cmd, &o, files.at[0], make_signatures) : status;
}

static int overlay_end(int argc, char **argv)
{
    struct sign_options o = {0};
    struct args_list files = {0};
    const struct args_option options[] = {
        SIGN_OPTIONS(o),
        {"reason", 0, "TEXT", "why it ends; shown wherever the end is", .text = &o.reason, .required = true}};
    const struct args_command cmd = {
        .name = "overlay end",
        .operands = "FILE",
        .about =
            "Makes and signs what ends the signed overlay FILE before its time: its next version, without "
            "rules.\nOther signers add theirs with `overlay sign`; then it is published. Offline.",
        .option = options,
        .option_count = sizeof options / sizeof *options,
        .operands_min = 1,
        .operands_max = 1};
    int status = parse(&cmd, argc, argv, &o, &files);
    return status == ARGS_GO ? run(&cmd, &o, files.at[0], make_end) : status;
}

/* -- verify ------------------------------------------------------------------------------------ */

static enum err look(const struct verify_options *w, const struct root *root, struct bytes in,
                     const char *file, struct complaints *c, bool *is_complete)
{
    struct overlay o;
    enum err e = overlay_read(&o, root, in, c);
    if (e != ERR_OK)
        return e;
    if (w->text)
        fwrite(o.text.at, 1, o.text.len, stdout);
    else
        (w->json ? report_json : report)(&o, file);
    *is_complete = o.signer_count >= o.signers_wanted;
    return ERR_OK;
}

static int overlay_verify(int argc, char **argv)
{
    static const struct verify_kind kind = {
        .name = "overlay verify",
        .operand = "FILE",
        .about = "Checks a signed overlay as an agent of that mesh does, and says who signed it.",
        .text_about = "print the text inside, if it is good",
        .what = "overlay",
        .bytes_max = OVERLAY_BYTES_MAX,
        .look = look};
    return verify_command(&kind, argc, argv);
}

static const struct verb {
    const char *name, *about;
    int (*run)(int argc, char **argv);
} verbs[] = {
    {"check", "compile an overlay and show every error with its place", overlay_check},
    {"sign", "sign an overlay, or add a signature to a draft (offline)", overlay_sign_command},
    {"verify", "check a signed overlay against a root of trust", overlay_verify},
    {"end", "make and sign what ends an overlay before its time (offline)", overlay_end},
    {"publish", "hand a signed overlay to a running agent; gossip takes it to all", cli_overlay_publish},
    {"show", "print the newest overlay of a running agent, or write it to a file", cli_overlay_show},
    {"history", "list the last 50 overlays of a running agent, and what became of them", cli_overlay_history},
};
enum { VERBS = sizeof verbs / sizeof *verbs };

static int help(FILE *to, int status)
{
    fprintf(to, "usage: starling overlay VERB [options]\n\n");
    for (size_t i = 0; i < VERBS; i++)
        fprintf(to, "  %-8s %s\n", verbs[i].name, verbs[i].about);
    fprintf(to, "\nstarling overlay VERB --help tells more.\n");
    return status;
}

int cli_overlay(int argc, char **argv)
{
    const char *names[VERBS];
    if (argc < 2)
        return help(stderr, EXIT_USAGE);
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
        return help(stdout, EXIT_GOOD);
    for (size_t i = 0; i < VERBS; i++) {
        if (strcmp(argv[1], verbs[i].name) == 0)
            return verbs[i].run(argc - 1, argv + 1);
        names[i] = verbs[i].name;
    }
    const char *nearest = args_nearest(argv[1], names, VERBS);
    fprintf(stderr, "starling overlay: there is no \"%s\"%s%s%s\ntry: starling overlay --help\n", argv[1],
            nearest ? "; did you mean " : "", nearest ? nearest : "", nearest ? "?" : "");
    return EXIT_USAGE;
}
