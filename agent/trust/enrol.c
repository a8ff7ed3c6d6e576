#include "trust/enrol.h"

#include "trust/body.h"

/* Opens the token's grant under the token's own root, and judges the time. */
static enum err open_grant(struct grant *g, const struct token *token, wall_s now, struct refusal *why)
{
    struct root root;
    enum err err = root_open_why(&root, token->root, why);
    if (!err)
        err = grant_open_why(g, &root, token->grant, why);
    if (!err && now >= g->expires)
        err = body_refuse(why, ERR_EXPIRED, "grant.expires", "in the past");
    if (!err && now < g->not_before - CLOCK_SKEW_S)
        err = body_refuse(why, ERR_EXPIRED, "grant.not_before", "in the future");
    return err;
}

static enum err choose_services(struct credential *c, const struct grant *g, const struct enrol_wish *wish,
                                struct refusal *why)
{
    if (wish->service_count > CREDENTIAL_SERVICES_MAX)
        return body_refuse(why, ERR_LIMIT, "credential.services", "too many");
    const struct bytes *from = wish->service_count ? wish->service : g->service;
    c->service_count = wish->service_count ? wish->service_count : g->service_count;
    memcpy(c->service, from, c->service_count * sizeof *from);
    return ERR_OK;
}

static enum err choose_labels(struct credential *c, const struct grant *g, const struct enrol_wish *wish,
                              struct refusal *why)
{
    c->labels = wish->labels;
    for (size_t i = 0; i < g->labels.count; i++) {
        enum err err = labels_add(&c->labels, g->labels.at[i].key, g->labels.at[i].value);
        if (err == ERR_EXISTS)
            return body_refuse(why, ERR_DENIED, "credential.labels", "a value other than its grant's");
        if (err)
            return body_refuse(why, err, "credential.labels", "too many with those of the grant");
    }
    return ERR_OK;
}

static void choose_times(struct credential *c, const struct grant *g, wall_s now)
{
    c->not_before = now > g->not_before ? now : g->not_before;
    wall_s room = WALL_MAX - c->not_before;
    c->expires = c->not_before + (g->credential_life < room ? g->credential_life : room);
}

/* The credential that these keys ask for under this token. */
static enum err sign_wish(struct buf *out, const struct enrolment *e, const struct token *token,
                          const struct enrol_wish *wish, struct refusal *why)
{
    struct grant g;
    enum err err = open_grant(&g, token, wish->now, why);
    if (err)
        return err;
    struct credential c = {.mesh = g.mesh, .node = wish->node, .id = e->identity.pub};
    memcpy(c.noise_key, e->noise.pub, sizeof c.noise_key);
    choose_times(&c, &g, wish->now);
    err = choose_services(&c, &g, wish, why);
    if (!err)
        err = choose_labels(&c, &g, wish, why);
    if (!err && !name_is_sound(wish->node, NODE_NAME_MAX))
        err = body_refuse(why, ERR_INVALID, "credential.node",
                          "not a name: lower-case letters, digits, '-' and '.'");
    if (!err)
        err = credential_within_grant(&c, &g, why);
    return err ? err : credential_create_why(out, &c, token->grant, &token->key, why);
}

enum err enrol_renew(struct enrolment *e, const struct token *token, const struct enrol_wish *wish,
                     struct refusal *why)
{
    struct buf fresh = {0};
    enum err err = sign_wish(&fresh, e, token, wish, why);
    if (err) {
        buf_fini(&fresh);
        return err;
    }
    buf_fini(&e->credential);
    e->credential = fresh;
    return ERR_OK;
}

enum err enrol(struct enrolment *out, const struct token *token, const struct enrol_wish *wish,
               struct refusal *why)
{
    *out = (struct enrolment){0};
    sign_key_new(&out->identity);
    dh_key_new(&out->noise);
    return enrol_renew(out, token, wish, why);
}

void enrolment_fini(struct enrolment *e)
{
    sign_key_fini(&e->identity);
    dh_key_fini(&e->noise);
    buf_fini(&e->credential);
}
