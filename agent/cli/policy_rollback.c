/* `policy rollback`: an old text as the next version. It reads that text from an agent's history or from a bundle, sets the number, and
 * leaves it to be signed as every other, or signs at once where the keys are. There is no way back by number: what is rolled
 * back is the text. */
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "cli/args.h"
#include "cli/ask.h"
#include "cli/cli.h"
#include "policy/bundle.h"
#include "store/file.h"

struct rollback {
    const char *to_text, *from, *current, *out;
    int64_t to;
    bool force;
    struct ask ask;
    struct cli_signing sign;
    struct buf old_bytes, now_bytes; /* bundles, or texts that an agent told */
    struct bytes old_text, now_text;
    uint64_t now_version;
    struct buf text; /* the outcome */
};

bool cli_whole_number(const char *text, int64_t *out)
{
    uint64_t v = 0;
    struct yaml_node n = {.kind = YAML_SCALAR, .text = text, .text_len = strlen(text)};
    if (!yaml_u64(&n, &v, 1, INT64_MAX, NULL))
        return false;
    *out = (int64_t)v;
    return true;
}

/* The byte at which the node stands. */
static size_t place_of(struct bytes text, const struct yaml_node *n)
{
    size_t at = 0;
    for (uint32_t line = 1; line < n->line && at < text.len; at++)
        line += text.at[at] == '\n';
    for (uint32_t column = 1; column < n->column && at < text.len; column++) {
        at++;
        while (at < text.len && (text.at[at] & 0xc0) == 0x80) /* columns count characters */
            at++;
    }
    return at;
}

enum err cli_policy_renumber(struct buf *out, struct bytes text, uint64_t version)
{
    struct yaml_doc *d = NULL;
    enum err e = yaml_parse(&d, text, NULL);
    const struct yaml_node *n = e == ERR_OK ? yaml_get(yaml_root(d), "version") : NULL;
    size_t at = n ? place_of(text, n) : 0;
    if (e == ERR_OK && (!n || n->kind != YAML_SCALAR || at + n->text_len > text.len ||
                        memcmp(text.at + at, n->text, n->text_len) != 0))
        e = ERR_INVALID;
    if (e == ERR_OK) {
        buf_add(out, text.at, at);
        buf_addf(out, "%llu", (unsigned long long)version);
        at += n->text_len;
        buf_add(out, text.at + at, text.len - at);
        e = buf_ok(out) ? ERR_OK : ERR_NOMEM;
    }
    yaml_doc_free(d);
    return e;
}

/* -- where the texts come from ----------------------------------------------------------------- */

static bool read_bundle(const struct args_command *cmd, const char *file, struct buf *bytes, struct bundle *b)
{
    struct buf why = {0};
    enum err e = file_read(bytes, file, BUNDLE_BYTES_MAX, &why);
    if (e != ERR_OK)
        args_refused(cmd, "%s", buf_str(&why));
    else if ((e = bundle_peek(b, buf_bytes(bytes))) != ERR_OK)
        args_refused(cmd, "%s is no policy bundle: %s", file, err_text(e));
    buf_fini(&why);
    return e == ERR_OK;
}

static bool from_files(const struct args_command *cmd, struct rollback *r)
{
    struct bundle old, now;
    if (!read_bundle(cmd, r->from, &r->old_bytes, &old) || !read_bundle(cmd, r->current, &r->now_bytes, &now))
        return false;
    r->old_text = old.text;
    r->now_text = now.text;
    r->now_version = now.version;
    return true;
}

static bool keep_text(struct buf *to, struct bytes *text, const json_t *policy)
{
    buf_add_str(to, json_string_value(json_object_get(policy, "text")));
    *text = buf_bytes(to);
    return buf_ok(to);
}

static bool from_agent(const struct args_command *cmd, struct rollback *r)
{
    json_t *old = cli_policy_of(cmd, &r->ask, r->to, 0),
           *now = old ? cli_policy_of(cmd, &r->ask, 0, 0) : NULL;
    bool good = old && now && json_object_get(old, "text") && json_object_get(now, "text") &&
                keep_text(&r->old_bytes, &r->old_text, old) && keep_text(&r->now_bytes, &r->now_text, now);
    if (old && now && !good)
        args_refused(cmd, "no policy is in force there");
    r->now_version = (uint64_t)json_integer_value(json_object_get(now, "version"));
    json_decref(old);
    json_decref(now);
    return good;
}

/* A key stays revoked on every agent that has heard of it, but a host that joins later learns it from the policy only. */
static void warn_of_revocations(const struct args_command *cmd, const struct rollback *r)
{
    struct policy *old = NULL, *now = NULL;
    size_t n = 0, lost = 0;
    if (policy_compile(&old, buf_bytes(&r->text), NULL) == ERR_OK &&
        policy_compile(&now, r->now_text, NULL) == ERR_OK) {
        const struct policy_revocation *list = policy_revocations(now, &n);
        for (size_t i = 0; i < n; i++)
            lost += !policy_revocation(old, &list[i].key);
    }
    if (lost > 0)
        fprintf(
            stderr,
            "starling %s: warning: version %llu revokes %zu key%s that this text does not; copy its `revoke` "
            "lines, or hosts that join later will not know of them\n",
            cmd->name, (unsigned long long)r->now_version, lost, lost == 1 ? "" : "s");
    policy_unref(old);
    policy_unref(now);
}

/* -- the command ------------------------------------------------------------------------------- */

static int write_text(const struct args_command *cmd, const struct rollback *r)
{
    struct buf why = {0};
    enum err e = file_write(r->out, buf_bytes(&r->text), 0644, r->force, &why);
    if (e != ERR_OK)
        args_refused(cmd, "%s%s", buf_str(&why), e == ERR_EXISTS ? "; --force replaces it" : "");
    else
        printf("%s: version %llu, to be signed: starling policy sign %s --ca DIR -o FILE.bundle\n", r->out,
               (unsigned long long)r->now_version + 1, r->out);
    buf_fini(&why);
    return e == ERR_OK ? EXIT_GOOD : EXIT_REFUSED;
}

static int roll_back(const struct args_command *cmd, struct rollback *r)
{
    if (!(r->from ? from_files(cmd, r) : from_agent(cmd, r)))
        return EXIT_REFUSED;
    if (r->now_version >= NUMBER_MAX)
        return args_refused(
            cmd, "no version is higher than %llu; a new root with the next epoch starts them afresh",
            (unsigned long long)r->now_version);
    enum err e = cli_policy_renumber(&r->text, r->old_text, r->now_version + 1);
    if (e != ERR_OK)
        return args_refused(cmd,
                            "the number cannot be set in that text: %s; take it with `policy show --version` "
                            "and write it by hand",
                            err_text(e));
    warn_of_revocations(cmd, r);
    r->sign.out = r->out;
    r->sign.previous = r->current;
    r->sign.force = r->force;
    r->sign.json = r->ask.json;
    return r->sign.ca || r->sign.keys.count > 0 ? cli_policy_sign_text(cmd, &r->sign, buf_bytes(&r->text))
                                                : write_text(cmd, r);
}

/* What is asked for makes sense? NULL: it does. */
static const char *fault_of(struct rollback *r)
{
    if (!r->to_text == !r->from)
        return "give --to N (from an agent's history) or --from OLD.bundle";
    if (r->to_text && !cli_whole_number(r->to_text, &r->to))
        return "--to is a whole number from 1 on";
    if (!r->from != !r->current)
        return "--from OLD.bundle and --current NOW.bundle go together";
    if (r->sign.keys.count > 0 && !r->sign.ca && !r->sign.root_file)
        return "with --key, give --root FILE or --ca DIR too";
    return NULL;
}

int cli_policy_rollback(int argc, char **argv)
{
    struct rollback r = {.to = 0};
    const struct args_option options[] = {
        {"to", 0, "N",
         "the version whose text is to be in force again, from the history of this host's agent",
         .text = &r.to_text},
        {"from", 0, "BUNDLE", "offline: the bundle that has that text", .text = &r.from},
        {"current", 0, "BUNDLE", "offline: the bundle that is in force", .text = &r.current},
        {"ca", 0, "DIR", "sign at once, with the keys of this folder", .text = &r.sign.ca},
        {"root", 0, "FILE", "root of trust, instead of DIR/root.trust", .text = &r.sign.root_file},
        {"key", 0, "FILE", "policy key to sign with; may be repeated", .list = &r.sign.keys},
        {"passphrase-file", 0, "FILE", "passphrase of the keys (else $STARLING_PASSPHRASE, or asked for)",
         .text = &r.sign.passphrase_file},
        {"out", 'o', "FILE", "where the text goes, or the bundle if it is signed at once", .text = &r.out,
         .required = true},
        {"force", 0, NULL, "replace FILE if it exists", .flag = &r.force},
        ASK_OPTIONS(r.ask)};
    const struct args_command cmd = {
        .name = "policy rollback",
        .about = "Makes an old text the next version: writes it with the next number, for `policy sign`, or "
                 "signs it "
                 "at once.\nA version never falls; what is published is new, and says what the old one said.",
        .option = options,
        .option_count = sizeof options / sizeof *options};
    int status = args_parse(&cmd, argc, argv, NULL);
    if (status != ARGS_GO)
        return status;
    if (fault_of(&r))
        return args_usage(&cmd, "%s", fault_of(&r));
    status = roll_back(&cmd, &r);
    buf_fini(&r.old_bytes);
    buf_fini(&r.now_bytes);
    buf_fini(&r.text);
    return status;
}
