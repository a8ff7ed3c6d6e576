#include "control/identity.h"

#include <errno.h>
#include <sys/stat.h>

#include "observe/log.h"
#include "store/file.h"
#include "trust/enrol.h"
#include "trust/request.h"

enum { PATH_CAP = 256 };

static void path_of(char out[PATH_CAP], const struct config *config, const char *name)
{
    snprintf(out, PATH_CAP, "%s/%s", config->data, name);
}

static bool is_there(const struct config *config, const char *name)
{
    char path[PATH_CAP];
    struct stat st;
    path_of(path, config, name);
    return lstat(path, &st) == 0;
}

/* -- files ------------------------------------------------------------------------------------- */

static enum err save_key(const struct config *config, const char *name, const char *what,
                         const uint8_t secret[32], bool replace, struct buf *why)
{
    char path[PATH_CAP];
    struct buf text = {0};
    path_of(path, config, name);
    enum err e = buf_reserve(&text, KEY_TEXT_MAX) ? key_text_encode(&text, what, secret, NULL) : ERR_NOMEM;
    if (e == ERR_OK)
        e = file_write(path, buf_bytes(&text), 0600, replace, why);
    secret_fini(&text);
    return e;
}

static enum err save_public(const struct config *config, const char *name, struct bytes content,
                            struct buf *why)
{
    char path[PATH_CAP];
    path_of(path, config, name);
    return file_write(path, content, 0644, true, why);
}

static enum err load_key(const struct config *config, const char *name, const char *what, uint8_t secret[32],
                         struct buf *why)
{
    char path[PATH_CAP];
    struct buf text = {0};
    path_of(path, config, name);
    if (!buf_reserve(&text, KEY_TEXT_MAX + 1))
        return ERR_NOMEM;
    enum err e = file_read_secret(&text, path, KEY_TEXT_MAX, why);
    if (e == ERR_OK) {
        e = key_text_decode(buf_bytes(&text), what, NULL, secret);
        if (e != ERR_OK)
            buf_addf(why,
                     "%s is not a key file of this agent (%s); restore it from a backup, or move the whole "
                     "folder away and enrol anew",
                     path, err_text(e));
    }
    secret_fini(&text);
    return e;
}

static enum err load_public(const struct config *config, const char *name, struct buf *out, size_t max,
                            struct buf *why)
{
    char path[PATH_CAP];
    path_of(path, config, name);
    return file_read(out, path, max, why);
}

/* -- the token --------------------------------------------------------------------------------- */

/* What has not begun is refused as expired too, but the cause is a clock. */
static bool is_early(enum err e, const struct refusal *r)
{
    return e == ERR_EXPIRED && r->field && strcmp(r->reason, "in the future") == 0;
}

static void say_refusal(struct buf *why, const char *what, enum err e, const struct refusal *r)
{
    if (is_early(e, r)) {
        buf_addf(why, "%s: it begins in the future (%s); is the clock of this host right?", what, r->field);
        return;
    }
    buf_addf(why, "%s: %s", what, err_text(e));
    if (r->field)
        buf_addf(why, " (%s: %s)", r->field, r->reason);
}

struct opened_token {
    struct buf text, space;
    struct token token;
};

static void close_token(struct opened_token *t)
{
    token_fini(&t->token, &t->space);
    secret_fini(&t->text);
}

static enum err decode_token(struct opened_token *t, struct bytes text, const char *where, wall_s now,
                             struct buf *why)
{
    struct refusal refusal = {0};
    enum err e = token_decode_why(&t->token, &t->space, text, now, &refusal);
    if (e != ERR_OK) {
        char what[600];
        snprintf(what, sizeof what, "the token%s%s is not accepted", *where ? " in " : "", where);
        say_refusal(why, what, e, &refusal);
    }
    return e;
}

static enum err open_token(struct opened_token *t, const struct config *config, wall_s now, struct buf *why)
{
    enum err e = buf_reserve(&t->text, TOKEN_TEXT_MAX + 1)
                     ? file_read_secret(&t->text, config->token_path, TOKEN_TEXT_MAX, why)
                     : ERR_NOMEM;
    return e == ERR_OK ? decode_token(t, buf_bytes(&t->text), config->token_path, now, why) : e;
}

/* Labels of the host are asked for; services are all that the token allows. */
static enum err make_wish(struct enrol_wish *w, const struct config *config, wall_s now, struct buf *why)
{
    *w = (struct enrol_wish){.node = bytes_str(config->node), .now = now};
    for (size_t i = 0; i < config->label_count; i++) {
        const struct config_label *l = &config->label[i];
        enum err e = labels_add(&w->labels, bytes_str(l->key), bytes_str(l->value));
        if (e != ERR_OK) {
            buf_addf(why, "label %s: %s cannot be used: %s", l->key, l->value, err_text(e));
            return e;
        }
    }
    return ERR_OK;
}

/* -- newer roots -------------------------------------------------------------------------------- */

/* The roots that lead on from ours, as a chain with ours in it; nothing: there are none, or they do not follow. */
static enum err roots_beyond(struct buf *chain, const struct identity *id, const struct token *t)
{
    struct chain led;
    struct root next;
    struct hash ours = root_hash(buf_bytes(&id->root));
    const struct bytes both[] = {buf_bytes(&id->root), t->root};
    if (t->chain.len == 0)
        return root_follow(&next, trust_root(id->trust), t->root, NULL) == ERR_OK ? chain_of(chain, both, 2)
                                                                                  : ERR_OK;
    if (chain_open(&led, t->chain, &ours, NULL) == ERR_OK && led.newest.epoch > trust_root(id->trust)->epoch)
        buf_add_bytes(chain, t->chain);
    return buf_ok(chain) ? ERR_OK : ERR_NOMEM;
}

/* Takes the newest of them over, in the folder first. */
static enum err follow_roots(struct identity *id, struct bytes chain, const struct config *config,
                             struct buf *why)
{
    struct chain c;
    struct trust *fresh = NULL;
    struct buf newest = {0};
    unsigned long long before = trust_root(id->trust)->epoch;
    enum err e = chain_open(&c, chain, NULL, NULL);
    if (e == ERR_OK)
        e = trust_new(&fresh, c.envelope[c.count - 1], NULL);
    if (e == ERR_OK)
        e = save_public(config, "root.trust", c.envelope[c.count - 1], why);
    if (e == ERR_OK)
        buf_add_bytes(&newest, c.envelope[c.count - 1]);
    if (e != ERR_OK || !buf_ok(&newest)) {
        trust_unref(fresh);
        buf_fini(&newest);
        return e == ERR_OK ? ERR_NOMEM : e;
    }
    log_info(
        "trust",
        "the token leads from the root of epoch %llu to that of epoch %llu, each signed by the one before: "
        "it is trusted from now on",
        before, (unsigned long long)c.newest.epoch);
    trust_unref(id->trust);
    buf_fini(&id->root);
    id->trust = fresh;
    id->root = newest;
    return ERR_OK;
}

/* At a start, whatever else the token is good for. One that cannot be read is complained of when it is needed. */
static enum err follow_token(struct identity *id, const struct config *config, wall_s now, struct buf *why)
{
    struct opened_token t = {.text = {0}};
    struct buf unread = {0};
    enum err e = ERR_OK;
    if (config->token_path[0] && open_token(&t, config, now, &unread) == ERR_OK) {
        e = roots_beyond(&id->roots, id, &t.token);
        if (e == ERR_OK && id->roots.len > 0)
            e = follow_roots(id, buf_bytes(&id->roots), config, why);
    }
    close_token(&t);
    buf_fini(&unread);
    return e;
}

/* While the agent runs: does what was brought (its root, or chain of roots) stand on a newer root than we do? Then that is
 * to be trusted first, if it follows ours; that is judged by who keeps our chain. */
static enum err ask_to_follow(const struct renewal *r, struct bytes root, struct bytes chain, uint64_t *epoch)
{
    struct root theirs;
    uint64_t ours = trust_root(r->of->trust)->epoch;
    if (root_open(&theirs, root) != ERR_OK)
        return ERR_OK; /* nothing good can stand on it */
    *epoch = theirs.epoch;
    if (!r->roots || theirs.epoch <= ours || (chain.len == 0 && theirs.epoch != ours + 1))
        return ERR_OK;
    if (chain.len > 0)
        buf_add_bytes(r->roots, chain);
    else if (chain_begin(r->roots, root) != ERR_OK)
        return ERR_NOMEM;
    return buf_ok(r->roots) ? ERR_AGAIN : ERR_NOMEM;
}

/* What was brought is refused, and stands on a root that we cannot follow. */
static void say_gap(struct buf *why, const struct renewal *r, uint64_t epoch)
{
    unsigned long long ours = trust_root(r->of->trust)->epoch;
    if (epoch > ours)
        buf_addf(why,
                 "; it was made under the root of epoch %llu, and this host trusts that of epoch %llu: it "
                 "needs the "
                 "roots between (starling token create --roots FILE), or the new root.trust put into its "
                 "data folder "
                 "while it is stopped",
                 (unsigned long long)epoch, ours);
}

/* -- what a credential must say ------------------------------------------------------------------ */

static bool labels_differ(const struct config *config, const struct credential *c)
{
    for (size_t i = 0; i < config->label_count; i++) {
        const struct bytes *v = labels_get(&c->labels, bytes_str(config->label[i].key));
        if (!v || !bytes_eq_str(*v, config->label[i].value))
            return true;
    }
    return false;
}

/* The first service of this host that the credential does not allow; NULL: it allows all. */
static const char *service_missing(const struct config *config, const struct credential *c)
{
    for (size_t i = 0; i < config->service_count; i++)
        if (!credential_allows(c, bytes_str(config->service[i].name)))
            return config->service[i].name;
    for (size_t i = 0; i < config->caller_count; i++)
        if (!credential_allows(c, bytes_str(config->caller[i].service)))
            return config->caller[i].service;
    return NULL;
}

/* This host's own credential is out of its time, by a clock that may be the one at fault. */
static void say_out_of_time(struct buf *why, const struct refusal *r, wall_s now)
{
    char clock[WALL_TEXT_MAX];
    wall_text(now, clock);
    if (is_early(ERR_EXPIRED, r))
        buf_addf(why,
                 "this host's credential begins in the future: the clock of this host, at %s, is slow; set "
                 "it right",
                 clock);
    else
        buf_addf(
            why,
            "this host's credential has expired, by the clock of this host, at %s: set it right if it is "
            "wrong, else start with --token FILE of a token that allows it",
            clock);
}

/* What keeps this host from using its credential, or NULL. (Which services it may not offer is said by name,
 * later.) */
static const char *is_unusable(const struct credential *c, const struct config *config, enum err opened)
{
    if (opened != ERR_OK)
        return "this host's credential is not accepted";
    if (!bytes_eq_str(c->node, config->node))
        return "the node's name differs from the one in its credential";
    return labels_differ(config, c) ? "the labels differ from those in the credential" : NULL;
}

/* Whatever came, and from whom: is it for this very host? */
static enum err check_names(const struct credential *c, const struct sign_key *sign,
                            const struct dh_key *noise, const struct config *config, struct buf *why)
{
    const char *missing = service_missing(config, c), *wrong = is_unusable(c, config, ERR_OK);
    if (!node_id_eq(&c->id, &sign->pub) || memcmp(c->noise_key, noise->pub, sizeof noise->pub) != 0) {
        buf_add_str(why, "the credential is for other keys than those of this host");
        return ERR_DENIED;
    }
    if (wrong || missing) {
        buf_addf(why, "the new credential cannot be used: %s%s",
                 wrong ? wrong : "it does not allow the service ", wrong ? "" : missing);
        return ERR_DENIED;
    }
    return ERR_OK;
}

static enum err load_noise(struct dh_key *out, const struct config *config, const char *name, struct buf *why)
{
    uint8_t secret[32];
    enum err e = load_key(config, name, "noise", secret, why);
    if (e == ERR_OK)
        e = dh_key_of_secret(out, secret);
    secret_wipe(secret, sizeof secret);
    return e;
}

static enum err load_sign(struct sign_key *out, const struct config *config, const char *name,
                          struct buf *why)
{
    uint8_t secret[32];
    enum err e = load_key(config, name, "identity", secret, why);
    if (e == ERR_OK)
        e = sign_key_of_seed(out, secret);
    secret_wipe(secret, sizeof secret);
    return e;
}

/* -- first start ------------------------------------------------------------------------------- */

static enum err save_all(const struct config *config, const struct enrolment *en, struct bytes root,
                         struct buf *why)
{
    enum err e = save_public(config, "root.trust", root, why);
    if (e == ERR_OK)
        e = save_public(config, "credential", buf_bytes(&en->credential), why);
    if (e == ERR_OK)
        e = save_key(config, "noise.key", "noise", en->noise.sec, false, why);
    /* The identity last: its being there says that the enrolment is whole. */
    return e == ERR_OK ? save_key(config, "identity.key", "identity", en->identity.sec, false, why) : e;
}

/* An enrolment that was cut off left no identity.key, so nobody has seen its keys: they are made anew. */
static void clear_leftovers(const struct config *config)
{
    char path[PATH_CAP];
    path_of(path, config, "noise.key");
    (void)remove(path);
}

static void remove_asked(const struct config *config)
{
    char path[PATH_CAP];
    path_of(path, config, "noise.key.asked");
    (void)remove(path);
    path_of(path, config, "identity.key.asked");
    (void)remove(path);
}

static enum err judge_asked(const struct enrolment *en, struct bytes root, const struct config *config,
                            wall_s now, struct buf *why)
{
    struct trust *t;
    struct credential c;
    struct refusal refusal = {0};
    enum err e = trust_new(&t, root, NULL);
    if (e != ERR_OK) {
        buf_addf(why, "the root of trust in %s is not sound: %s", config->credential_path, err_text(e));
        return e;
    }
    e = trust_credential_why(t, buf_bytes(&en->credential), now, &c, &refusal);
    if (e != ERR_OK)
        say_refusal(why, "the credential is not accepted", e, &refusal);
    else
        e = check_names(&c, &en->identity, &en->noise, config, why);
    trust_unref(t);
    return e;
}

/* With the keys of `starling enrol request`, and the credential that was signed for them elsewhere. */
static enum err first_start_asked(const struct config *config, wall_s now, struct buf *why)
{
    struct enrolment en = {0};
    struct buf text = {0}, root = {0};
    enum err e = file_read(&text, config->credential_path, CREDENTIAL_TEXT_MAX, why);
    if (e == ERR_OK && (e = credential_text_decode(&en.credential, &root, buf_bytes(&text))) != ERR_OK)
        buf_addf(why, "%s is no credential of `starling enrol sign`, or it was cut", config->credential_path);
    if (e == ERR_OK)
        e = load_sign(&en.identity, config, "identity.key.asked", why);
    if (e == ERR_OK)
        e = load_noise(&en.noise, config, "noise.key.asked", why);
    if (e == ERR_OK)
        e = judge_asked(&en, buf_bytes(&root), config, now, why);
    if (e == ERR_OK) {
        clear_leftovers(config);
        e = save_all(config, &en, buf_bytes(&root), why);
    }
    if (e == ERR_OK) {
        remove_asked(config);
        log_info("trust", "enrolled as node %s, with a credential that was signed elsewhere", config->node);
    }
    enrolment_fini(&en);
    buf_fini(&text);
    buf_fini(&root);
    return e;
}

static bool token_allows(const struct config *config, const struct grant *g, const char *service,
                         const char *does, struct buf *why)
{
    if (grant_allows(g, bytes_str(service)))
        return true;
    buf_addf(why,
             "this host %s \"%s\", which the token in %s does not allow; give it one that does (starling "
             "token create "
             "--service %s,...). Nothing was written",
             does, service, config->token_path, service);
    return false;
}

/* Before anything is made: a host that cannot do what it is configured for is not enrolled by halves. */
static bool token_allows_all(const struct config *config, const struct token *t, struct buf *why)
{
    struct root root;
    struct grant g;
    if (root_open(&root, t->root) != ERR_OK || grant_open_why(&g, &root, t->grant, NULL) != ERR_OK)
        return true; /* enrol() says what is wrong with it */
    for (size_t i = 0; i < config->service_count; i++)
        if (!token_allows(config, &g, config->service[i].name, "is to offer service", why))
            return false;
    for (size_t i = 0; i < config->caller_count; i++)
        if (!token_allows(config, &g, config->caller[i].service, "is to speak for service", why))
            return false;
    return true;
}

static enum err first_start(const struct config *config, wall_s now, struct buf *why)
{
    struct opened_token t = {.text = {0}};
    struct enrolment en = {0};
    struct enrol_wish wish;
    struct refusal refusal = {0};
    if (!config->token_path[0] && config->credential_path[0])
        return first_start_asked(config, now, why);
    if (!config->token_path[0]) {
        buf_addf(why,
                 "%s holds no identity yet: start once with --token FILE (made by `starling token create`), "
                 "or with "
                 "--credential FILE (signed for the request of `starling enrol request`)",
                 config->data);
        return ERR_NOT_FOUND;
    }
    enum err e = open_token(&t, config, now, why);
    if (e == ERR_OK && !token_allows_all(config, &t.token, why))
        e = ERR_DENIED;
    if (e == ERR_OK)
        e = make_wish(&wish, config, now, why);
    if (e == ERR_OK) {
        e = enrol(&en, &t.token, &wish, &refusal);
        if (e != ERR_OK)
            say_refusal(why, "the token does not allow this host", e, &refusal);
    }
    if (e == ERR_OK) {
        clear_leftovers(config);
        e = save_all(config, &en, t.token.root, why);
    }
    if (e == ERR_OK)
        log_info("trust", "enrolled as node %s", config->node);
    enrolment_fini(&en);
    close_token(&t);
    return e;
}

/* -- later starts ------------------------------------------------------------------------------ */

/* What the folder holds, before it is judged. */
struct stored {
    struct dh_key noise;
    struct buf credential;        /* envelope */
    char node[NODE_NAME_MAX + 1]; /* its node's name, if that is not the one of this host; else "" */
};

static void stored_fini(struct stored *s)
{
    dh_key_fini(&s->noise);
    buf_fini(&s->credential);
}

static enum err load(struct identity *id, struct stored *st, const struct config *config, struct buf *why)
{
    enum err e = load_sign(&id->sign, config, "identity.key", why);
    if (e == ERR_OK)
        e = load_noise(&st->noise, config, "noise.key", why);
    if (e == ERR_OK)
        e = load_public(config, "root.trust", &id->root, ROOT_BYTES_MAX, why);
    if (e == ERR_OK)
        e = load_public(config, "credential", &st->credential, CREDENTIAL_BYTES_MAX, why);
    if (e == ERR_OK && (e = trust_new(&id->trust, buf_bytes(&id->root), NULL)) != ERR_OK)
        buf_addf(why, "%s/root.trust is not a sound root (%s); restore it", config->data, err_text(e));
    return e;
}

/* -- renewal ----------------------------------------------------------------------------------- */

/* The token's own answer, with the Noise key that it is to name. */
static enum err ask_token(struct buf *out, struct dh_key *noise, const struct renewal *r, uint64_t *epoch,
                          wall_s now, struct buf *why)
{
    struct opened_token t = {.text = {0}};
    struct enrolment en = {.identity = r->of->sign, .noise = *noise};
    struct enrol_wish wish;
    struct refusal refusal = {0};
    enum err e =
        r->token.len ? decode_token(&t, r->token, "", now, why) : open_token(&t, r->config, now, why);
    if (e == ERR_OK)
        e = ask_to_follow(r, t.token.root, t.token.chain, epoch);
    if (e == ERR_OK)
        e = make_wish(&wish, r->config, now, why);
    if (e == ERR_OK && r->roll_noise_key)
        dh_key_new(&en.noise);
    if (e == ERR_OK && (e = enrol_renew(&en, &t.token, &wish, &refusal)) != ERR_OK)
        say_refusal(why, "the token does not allow this host", e, &refusal);
    if (e == ERR_OK) {
        *out = en.credential;
        en.credential = (struct buf){0};
        *noise = en.noise;
    }
    enrolment_fini(&en);
    close_token(&t);
    return e;
}

static enum err check_fresh(const struct credential *c, const struct dh_key *noise, const struct renewal *r,
                            struct buf *why)
{
    if (r->must_extend && c->expires <= r->of->credential_open.expires) {
        buf_add_str(why, "the new credential would not last longer than the one there is");
        return ERR_STALE;
    }
    return check_names(c, &r->of->sign, noise, r->config, why);
}

/* At any moment the credential in the folder goes with noise.key or with noise.key.next. */
static enum err save_fresh(struct bytes credential, const struct dh_key *noise, bool is_rolled,
                           const struct config *config, struct buf *why)
{
    char next[PATH_CAP];
    enum err e = ERR_OK;
    path_of(next, config, "noise.key.next");
    if (is_rolled)
        e = save_key(config, "noise.key.next", "noise", noise->sec, true, why);
    if (e == ERR_OK)
        e = save_public(config, "credential", credential, why);
    if (e == ERR_OK && is_rolled) {
        e = save_key(config, "noise.key", "noise", noise->sec, true, why);
        if (e == ERR_OK)
            (void)remove(next);
    }
    return e;
}

static enum err judge_fresh(struct credential *out, struct bytes envelope, const struct renewal *r,
                            wall_s now, struct buf *why)
{
    struct refusal refusal = {0};
    enum err e = trust_credential_why(r->of->trust, envelope, now, out, &refusal);
    if (e != ERR_OK)
        say_refusal(why, "the new credential would be accepted by nobody", e, &refusal);
    return e;
}

static enum err renew_with(struct proof **out, struct bytes envelope, const struct dh_key *noise,
                           bool is_rolled, const struct renewal *r, wall_s now, struct buf *why)
{
    struct credential c;
    struct vouched *v = NULL;
    struct proof *p = NULL;
    enum err e = judge_fresh(&c, envelope, r, now, why);
    if (e == ERR_OK)
        e = check_fresh(&c, noise, r, why);
    if (e == ERR_OK)
        e = vouched_new(&v, &c);
    if (e == ERR_OK)
        e = proof_new(&p, v, noise, r->of->proof);
    if (e == ERR_OK)
        e = save_fresh(envelope, noise, is_rolled, r->config, why);
    vouched_unref(v);
    if (e == ERR_OK)
        *out = p;
    else
        proof_unref(p);
    return e;
}

/* With the Noise key there is. */
static enum err renew(struct proof **out, const struct dh_key *now_noise, const struct renewal *r, wall_s now,
                      struct buf *why)
{
    struct buf envelope = {0}, root = {0};
    struct dh_key noise = *now_noise;
    uint64_t epoch = 0; /* of the root that it was made under */
    enum err e = r->credential.len ? credential_text_decode(&envelope, &root, r->credential)
                                   : ask_token(&envelope, &noise, r, &epoch, now, why);
    if (e != ERR_OK && r->credential.len)
        buf_add_str(why, "that is no credential of `starling enrol sign`, or it was cut");
    if (e == ERR_OK && r->credential.len)
        e = ask_to_follow(r, buf_bytes(&root), bytes_of(NULL, 0), &epoch);
    if (e == ERR_OK) {
        e = renew_with(out, buf_bytes(&envelope), &noise, r->roll_noise_key, r, now, why);
        if (e == ERR_AUTH)
            say_gap(why, r, epoch);
    }
    dh_key_fini(&noise);
    buf_fini(&envelope);
    buf_fini(&root);
    return e;
}

enum err identity_renew(struct proof **out, const struct renewal *r, wall_s now, struct buf *why)
{
    enum err e = renew(out, &proof_now(r->of->proof)->noise, r, now, why);
    if (e != ERR_OK && why->len == 0)
        buf_add_str(why, err_text(e));
    return e;
}

void identity_take_proof(struct identity *id, struct proof *p)
{
    struct proof *before = id->proof;
    id->proof = proof_ref(p);
    id->credential_open = proof_now(p)->opened;
    proof_unref(before);
}

/* In its last third. */
bool identity_expires_soon(const struct identity *id, wall_s now)
{
    const struct credential *c = &id->credential_open;
    return c->expires - now < (c->expires - c->not_before) / 3;
}

/* -- at the start ------------------------------------------------------------------------------ */

static bool names_key(const struct credential *c, const struct dh_key *noise)
{
    return memcmp(c->noise_key, noise->pub, sizeof noise->pub) == 0;
}

/* A roll of the Noise key that was cut off between its files is brought to its end. */
static enum err settle_noise(struct stored *st, const struct credential *c, const struct config *config,
                             struct buf *why)
{
    struct dh_key next;
    if (names_key(c, &st->noise))
        return ERR_OK;
    enum err e =
        is_there(config, "noise.key.next") ? load_noise(&next, config, "noise.key.next", why) : ERR_CONFLICT;
    if (e == ERR_OK && names_key(c, &next)) {
        st->noise = next;
        e = save_fresh(buf_bytes(&st->credential), &next, true, config, why);
    } else if (e == ERR_OK) {
        e = ERR_CONFLICT;
    }
    return e;
}

/* This host was renamed, or the folder came from another: then it must not run here. Nobody but the operator knows which. */
static void say_other_node(struct stored *st, const struct credential *c, const struct config *config,
                           struct buf *why)
{
    snprintf(st->node, sizeof st->node, "%.*s", (int)c->node.len, (const char *)c->node.at);
    buf_addf(
        why,
        "%s is the data folder of the node %s, and this is %s (the node's name differs). If the folder was "
        "copied from %s (a cloned machine, a disk image): do not start it here, for two agents with one key "
        "are both shut out; give this host an empty --data folder and a token of its own. If %s is this very "
        "host, under its old name: start once with --token FILE of a token for %s, or keep the name by "
        "--node %s",
        config->data, st->node, config->node, st->node, st->node, config->node, st->node);
}

/* The credential in the folder, if it is good as it is: the proof is made of it. */
static enum err use_stored(struct identity *id, struct stored *st, const struct config *config, wall_s now,
                           struct buf *why)
{
    struct credential c;
    struct vouched *v = NULL;
    struct refusal refusal = {0};
    enum err e = trust_credential_why(id->trust, buf_bytes(&st->credential), now, &c, &refusal);
    if (e == ERR_EXPIRED) {
        say_out_of_time(why, &refusal, now);
        return e;
    }
    if (e == ERR_OK && !bytes_eq_str(c.node, config->node)) {
        say_other_node(st, &c, config, why);
        return ERR_DENIED;
    }
    const char *wrong = is_unusable(&c, config, e);
    if (wrong) {
        buf_addf(why, "%s: start with --token FILE of a token that allows it", wrong);
        return e == ERR_OK ? ERR_DENIED : e;
    }
    if (!node_id_eq(&c.id, &id->sign.pub) || settle_noise(st, &c, config, why) != ERR_OK) {
        buf_fini(why);
        buf_addf(why, "%s/credential is for other keys than those beside it; restore them together",
                 config->data);
        return ERR_CONFLICT;
    }
    e = vouched_new(&v, &c);
    if (e == ERR_OK)
        e = proof_new(&id->proof, v, &st->noise, NULL);
    if (e == ERR_OK)
        id->credential_open = proof_now(id->proof)->opened;
    vouched_unref(v);
    return e;
}

/* A token stays in the configuration for longer than it is good for: that it renews nothing any more stops only a
 * host that cannot do without. */
static enum err renew_at_start(struct identity *id, struct stored *st, const struct config *config,
                               wall_s now, bool is_needed, struct buf *why)
{
    struct renewal r = {.config = config, .of = id};
    struct buf refused = {0};
    struct proof *p = NULL;
    enum err e = renew(&p, &st->noise, &r, now, &refused);
    if (e == ERR_OK) {
        identity_take_proof(id, p);
        proof_unref(p);
        log_info("trust", "the credential was renewed with the token");
        if (st->node[0])
            log_warn(
                "trust",
                "the node %s is the node %s from now on, with the same key. If this folder is a copy and %s "
                "still runs: stop this agent, and give it an empty --data folder",
                st->node, config->node, st->node);
        buf_fini(why);
    } else if (is_needed) {
        buf_fini(why);
        buf_add_bytes(why, buf_bytes(&refused));
    } else {
        log_warn("trust", "the credential is not renewed, the one there is goes on: %s", buf_str(&refused));
    }
    buf_fini(&refused);
    return e == ERR_OK || !is_needed ? ERR_OK : e;
}

static enum err check(struct identity *id, struct stored *st, const struct config *config, wall_s now,
                      struct buf *why)
{
    enum err e = use_stored(id, st, config, now, why);
    if (!config->token_path[0] || e == ERR_NOMEM)
        return e;
    bool is_wanted =
        e != ERR_OK || service_missing(config, &id->credential_open) || identity_expires_soon(id, now);
    return is_wanted ? renew_at_start(id, st, config, now, e != ERR_OK, why) : e;
}

enum err identity_is_there(const struct config *config, struct buf *why)
{
    if (is_there(config, "identity.key"))
        return ERR_OK;
    buf_addf(why,
             "%s/identity.key is missing, and the state beside it belongs to a host that had one; restore it "
             "from a "
             "backup, or move the whole folder away and enrol anew",
             config->data);
    return ERR_NOT_FOUND;
}

enum err identity_open(struct identity *out, const struct config *config, wall_s now, struct buf *why)
{
    struct stored st = {.credential = {0}};
    enum err e = ERR_OK;
    *out = (struct identity){.trust = NULL};
    if (!is_there(config, "identity.key"))
        e = first_start(config, now, why);
    if (e == ERR_OK)
        e = load(out, &st, config, why);
    if (e == ERR_OK)
        e = follow_token(out, config, now, why);
    if (e == ERR_OK)
        e = check(out, &st, config, now, why);
    stored_fini(&st);
    return e;
}

void identity_fini(struct identity *id)
{
    sign_key_fini(&id->sign);
    proof_unref(id->proof);
    trust_unref(id->trust);
    buf_fini(&id->root);
    buf_fini(&id->roots);
}
