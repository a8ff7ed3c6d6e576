#include "control/identity.h"

#include <errno.h>
#include <sys/stat.h>

#include "observe/log.h"
#include "store/file.h"
#include "trust/enrol.h"

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
                         const uint8_t secret[32], struct buf *why)
{
    char path[PATH_CAP];
    struct buf text = {0};
    path_of(path, config, name);
    enum err e = buf_reserve(&text, KEY_TEXT_MAX) ? key_text_encode(&text, what, secret, NULL) : ERR_NOMEM;
    if (e == ERR_OK)
        e = file_write(path, buf_bytes(&text), 0600, false, why);
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

static enum err open_token(struct opened_token *t, const struct config *config, wall_s now, struct buf *why)
{
    struct refusal refusal = {0};
    enum err e = buf_reserve(&t->text, TOKEN_TEXT_MAX + 1)
                     ? file_read_secret(&t->text, config->token_path, TOKEN_TEXT_MAX, why)
                     : ERR_NOMEM;
    if (e != ERR_OK)
        return e;
    e = token_decode_why(&t->token, &t->space, buf_bytes(&t->text), now, &refusal);
    if (e != ERR_OK) {
        char what[600];
        snprintf(what, sizeof what, "the token in %s is not accepted", config->token_path);
        say_refusal(why, what, e, &refusal);
    }
    return e;
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

/* -- first start ------------------------------------------------------------------------------- */

static enum err save_all(const struct config *config, const struct enrolment *en, struct bytes root,
                         struct buf *why)
{
    enum err e = save_public(config, "root.trust", root, why);
    if (e == ERR_OK)
        e = save_public(config, "credential", buf_bytes(&en->credential), why);
    if (e == ERR_OK)
        e = save_key(config, "noise.key", "noise", en->noise.sec, why);
    /* The identity last: its being there says that the enrolment is whole. */
    return e == ERR_OK ? save_key(config, "identity.key", "identity", en->identity.sec, why) : e;
}

/* An enrolment that was cut off left no identity.key, so nobody has seen its keys: they are made anew. */
static void clear_leftovers(const struct config *config)
{
    char path[PATH_CAP];
    path_of(path, config, "noise.key");
    (void)remove(path);
}

static enum err first_start(const struct config *config, wall_s now, struct buf *why)
{
    struct opened_token t = {.text = {0}};
    struct enrolment en = {0};
    struct enrol_wish wish;
    struct refusal refusal = {0};
    if (!config->token_path[0]) {
        buf_addf(why,
                 "%s holds no identity yet: start once with --token FILE (made by `starling token create`)",
                 config->data);
        return ERR_NOT_FOUND;
    }
    enum err e = open_token(&t, config, now, why);
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

static enum err load(struct identity *id, const struct config *config, struct buf *why)
{
    uint8_t secret[32];
    enum err e = load_key(config, "identity.key", "identity", secret, why);
    if (e == ERR_OK)
        e = sign_key_of_seed(&id->sign, secret);
    if (e == ERR_OK)
        e = load_key(config, "noise.key", "noise", secret, why);
    if (e == ERR_OK)
        e = dh_key_of_secret(&id->noise, secret);
    secret_wipe(secret, sizeof secret);
    if (e == ERR_OK)
        e = load_public(config, "root.trust", &id->root, ROOT_BYTES_MAX, why);
    if (e == ERR_OK)
        e = load_public(config, "credential", &id->credential, CREDENTIAL_BYTES_MAX, why);
    if (e == ERR_OK && (e = trust_new(&id->trust, buf_bytes(&id->root), NULL)) != ERR_OK)
        buf_addf(why, "%s/root.trust is not a sound root (%s); restore it", config->data, err_text(e));
    return e;
}

static bool labels_differ(const struct config *config, const struct credential *c)
{
    for (size_t i = 0; i < config->label_count; i++) {
        const struct bytes *v = labels_get(&c->labels, bytes_str(config->label[i].key));
        if (!v || !bytes_eq_str(*v, config->label[i].value))
            return true;
    }
    return false;
}

static bool services_differ(const struct config *config, const struct credential *c)
{
    for (size_t i = 0; i < config->service_count; i++)
        if (!credential_allows(c, bytes_str(config->service[i].name)))
            return true;
    for (size_t i = 0; i < config->caller_count; i++)
        if (!credential_allows(c, bytes_str(config->caller[i].service)))
            return true;
    return false;
}

/* In its last third. */
bool identity_expires_soon(const struct identity *id, wall_s now)
{
    const struct credential *c = &id->credential_open;
    return c->expires - now < (c->expires - c->not_before) / 3;
}

/* What keeps this host from using its credential, or NULL. (Which services it may not offer is said by name,
 * later.) */
static const char *is_unusable(const struct identity *id, const struct config *config, enum err opened)
{
    if (opened == ERR_EXPIRED)
        return "this host's credential has expired, or its clock is wrong";
    if (opened != ERR_OK)
        return "this host's credential is not accepted";
    if (!bytes_eq_str(id->credential_open.node, config->node))
        return "the node's name differs from the one in its credential";
    return labels_differ(config, &id->credential_open) ? "the labels differ from those in the credential"
                                                       : NULL;
}

static bool wants_renewal(const struct identity *id, const struct config *config, enum err opened, wall_s now)
{
    return is_unusable(id, config, opened) || services_differ(config, &id->credential_open) ||
           identity_expires_soon(id, now);
}

static enum err renew(struct identity *id, const struct config *config, wall_s now, struct buf *why)
{
    struct opened_token t = {.text = {0}};
    struct enrolment en = {.identity = id->sign, .noise = id->noise};
    struct enrol_wish wish;
    struct refusal refusal = {0};
    enum err e = open_token(&t, config, now, why);
    if (e == ERR_OK)
        e = make_wish(&wish, config, now, why);
    if (e == ERR_OK && (e = enrol_renew(&en, &t.token, &wish, &refusal)) != ERR_OK)
        say_refusal(why, "the token does not allow this host", e, &refusal);
    if (e == ERR_OK)
        e = save_public(config, "credential", buf_bytes(&en.credential), why);
    if (e == ERR_OK) {
        buf_fini(&id->credential);
        id->credential = en.credential;
        en.credential = (struct buf){0};
        log_info("trust", "the credential was renewed with the token");
    }
    enrolment_fini(&en);
    close_token(&t);
    return e;
}

static enum err open_credential(struct identity *id, wall_s now)
{
    return trust_credential(id->trust, buf_bytes(&id->credential), now, &id->credential_open);
}

static bool keys_match(const struct identity *id)
{
    return node_id_eq(&id->credential_open.id, &id->sign.pub) &&
           memcmp(id->credential_open.noise_key, id->noise.pub, sizeof id->noise.pub) == 0;
}

/* A token stays in the configuration for longer than it is good for: that it renews nothing any more stops only a
 * host that cannot do without. */
static enum err renew_if_wanted(struct identity *id, const struct config *config, enum err opened, wall_s now,
                                struct buf *why)
{
    struct buf refused = {0};
    if (!config->token_path[0] || !wants_renewal(id, config, opened, now))
        return opened;
    bool needed = is_unusable(id, config, opened) != NULL;
    enum err e = renew(id, config, now, &refused);
    if (e == ERR_OK) {
        e = open_credential(id, now);
    } else if (needed) {
        buf_add_bytes(why, buf_bytes(&refused));
    } else {
        log_warn("trust", "the credential is not renewed, the one there is goes on: %s", buf_str(&refused));
        e = opened;
    }
    buf_fini(&refused);
    return e;
}

static enum err check(struct identity *id, const struct config *config, wall_s now, struct buf *why)
{
    enum err e = renew_if_wanted(id, config, open_credential(id, now), now, why);
    const char *wrong = is_unusable(id, config, e);
    if (wrong && why->len == 0)
        buf_addf(why, "%s: start with --token FILE of a token that allows it", wrong);
    if (wrong)
        return e == ERR_OK ? ERR_DENIED : e;
    if (keys_match(id))
        return ERR_OK;
    buf_addf(why, "%s/credential is for other keys than those beside it; restore them together",
             config->data);
    return ERR_CONFLICT;
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
    enum err e = ERR_OK;
    *out = (struct identity){.trust = NULL};
    if (!is_there(config, "identity.key"))
        e = first_start(config, now, why);
    if (e == ERR_OK)
        e = load(out, config, why);
    return e == ERR_OK ? check(out, config, now, why) : e;
}

void identity_fini(struct identity *id)
{
    sign_key_fini(&id->sign);
    dh_key_fini(&id->noise);
    trust_unref(id->trust);
    buf_fini(&id->credential);
    buf_fini(&id->root);
}
