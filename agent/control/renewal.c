/* Renewing the credential while running: on command, and by itself from the file that --token named, in the last third of
 * its life and on SIGHUP. Files are read, signed for, verified and synced on a thread of its own, one renewal at a time; the
 * loop then shows the new credential to whom it meets, signs its record anew and goes on with the sessions and links
 * there are. */
#include <pthread.h>
#include <sched.h>
#include <signal.h>

#include "control/inner.h"
#include "observe/log.h"

enum {
    LOOK_S = 3600,    /* how often the time is looked at: the wall clock may be set */
    RETRY_MAX_S = 60, /* after a renewal failed, and sooner when there is little time left: */
    RETRY_PARTS = 10, /* after this part of it */
};

/* What the thread works on is its own; what it made is read when it has ended. */
struct renewing {
    struct control *control;
    pthread_t thread;
    struct config *config;
    struct identity of;
    struct renewal ask;
    wall_s now;
    struct buf token, credential;
    bool is_automatic;
    void (*done)(void *arg, enum err outcome, const char *text);
    void *arg;
    enum err outcome;
    struct proof *proof;
    struct buf roots;   /* that have to be trusted first */
    bool waits, walked; /* until they are stored; they were */
    struct buf why;
};

static void renewing_free(struct renewing *r)
{
    identity_fini(&r->of);
    free(r->config);
    secret_fini(&r->token);
    buf_fini(&r->credential);
    proof_unref(r->proof);
    buf_fini(&r->roots);
    buf_fini(&r->why);
    free(r);
}

/* -- taking it over ----------------------------------------------------------------------------- */

void control_prove(struct control *c)
{
    const struct proof_pair *now = proof_now(c->identity.proof), *before = proof_before(c->identity.proof);
    struct udp_keys keys[2] = {{now->opened.bytes, now->noise.sec}};
    if (before)
        keys[1] = (struct udp_keys){before->opened.bytes, before->noise.sec};
    udp_keys_set(c->udp, &keys[0], before ? &keys[1] : NULL);
    bulk_prove(c->bulk, c->identity.proof);
}

static void take_proof(struct control *c, struct proof *p)
{
    struct proof *before = proof_ref(c->identity.proof); /* what udp borrows from until control_prove() */
    identity_take_proof(&c->identity, p);
    control_prove(c);
    proof_unref(before);
    control_judge_own(c);
    c->own_dirty = c->view_dirty = true;
    c->view_pace = (struct pace){0};
}

/* The trust may have changed while the thread was at it. */
static enum err adopt(struct control *c, struct renewing *r, struct buf *text)
{
    char until[WALL_TEXT_MAX];
    const struct credential *fresh = &proof_now(r->proof)->opened;
    enum err e = trust_recheck(c->identity.trust, fresh, control_wall(c));
    if (e != ERR_OK) {
        buf_addf(text, "the new credential is not accepted: %s", err_text(e));
        return e;
    }
    take_proof(c, r->proof);
    buf_addf(text, "the credential is renewed%s: node %s is a member until %s",
             r->ask.roll_noise_key ? ", with a new Noise key" : "", c->config.node,
             wall_text(c->identity.credential_open.expires, until));
    return ERR_OK;
}

/* -- when --------------------------------------------------------------------------------------- */

/* It was signed while our clock was ahead: nobody accepts it before that time comes. */
static bool begins_later(const struct control *c)
{
    return c->identity.credential_open.not_before > control_wall(c) + CLOCK_SKEW_S;
}

static bool is_due(const struct control *c)
{
    return c->is_revoked || begins_later(c) || identity_expires_soon(&c->identity, control_wall(c));
}

static mono_ms in_seconds(const struct control *c, wall_s s, wall_s most)
{
    return c->now + (s < 1 ? 1 : s > most ? most : s) * 1000;
}

/* When its last third begins. */
static mono_ms next_look(const struct control *c)
{
    const struct credential *k = &c->identity.credential_open;
    wall_s begins = k->expires - (k->expires - k->not_before) / 3;
    return c->config.token_path[0] ? in_seconds(c, begins + 1 - control_wall(c), LOOK_S) : NEVER;
}

static mono_ms next_try(const struct control *c)
{
    wall_s left = c->identity.credential_open.expires - control_wall(c);
    return in_seconds(c, left / RETRY_PARTS, RETRY_MAX_S);
}

/* The same refusal each time is said once an hour, by watch_expiry(); here only what is new. */
static void say_failure(struct control *c, const char *text)
{
    bool is_new = !c->renewal_said.len || strcmp(buf_str(&c->renewal_said), text) != 0;
    log_line(is_new ? LOG_WARN : LOG_DEBUG, "trust", "the credential is not renewed: %s", text);
    buf_fini(&c->renewal_said);
    buf_add_str(&c->renewal_said, text);
}

/* -- the thread --------------------------------------------------------------------------------- */

static void conclude(struct control *c)
{
    struct renewing *r = c->renewing;
    struct buf text = {0};
    c->renewing = NULL;
    enum err e = r->outcome == ERR_OK ? adopt(c, r, &text) : r->outcome;
    if (r->outcome != ERR_OK)
        buf_add_bytes(&text, buf_bytes(&r->why));
    if (e == ERR_OK) {
        log_info("trust", "%s", buf_str(&text));
        buf_fini(&c->renewal_said);
    } else {
        say_failure(c, buf_str(&text));
    }
    c->renew_at = !c->config.token_path[0] ? NEVER : e == ERR_OK || !is_due(c) ? next_look(c) : next_try(c);
    metric_add(control_counter(c, e == ERR_OK ? CONTROL_RENEWED : CONTROL_NOT_RENEWED), 1);
    if (r->done)
        r->done(r->arg, e, buf_str(&text));
    buf_fini(&text);
    renewing_free(r);
}

static enum err start_thread(struct renewing *r);

/* Newer roots before what stands on them: they are offered to the anchor as if an operator or gossip had brought them, and
 * the renewal begins again when they are in force. */
static enum err offer_roots(struct control *c, struct renewing *r)
{
    struct chain roots;
    enum err e = chain_open(&roots, buf_bytes(&r->roots), NULL, NULL);
    if (e != ERR_OK)
        return e;
    return roots.count == 1 ? anchor_offer_root(&c->anchor, c->store, c->identity.trust, roots.envelope[0],
                                                TICKET_ROOTS, &r->why)
                            : anchor_offer(&c->anchor, c->store, c->identity.trust, buf_bytes(&r->roots),
                                           TICKET_ROOTS, &r->why);
}

static void begin_again(struct control *c, struct renewing *r)
{
    trust_unref(r->of.trust);
    r->of.trust = trust_ref(c->identity.trust);
    r->ask.roots = NULL;
    r->now = control_wall(c);
    r->waits = false;
    buf_fini(&r->why);
    r->outcome = start_thread(r);
    if (r->outcome != ERR_OK)
        conclude(c);
}

static void finished(void *arg)
{
    struct control *c = arg;
    struct renewing *r = c->renewing;
    pthread_join(r->thread, NULL);
    if (r->outcome != ERR_AGAIN || r->roots.len == 0 || r->walked) {
        conclude(c);
        return;
    }
    r->walked = true;
    buf_fini(&r->why);
    enum err e = offer_roots(c, r);
    r->waits = e == ERR_OK;
    if (e == ERR_EXISTS) {
        begin_again(c, r);
    } else if (e != ERR_OK) {
        r->outcome = e;
        conclude(c);
    }
}

void control_renewal_roots_stored(struct control *c)
{
    if (c->renewing && c->renewing->waits)
        begin_again(c, c->renewing);
}

static void *thread_main(void *arg)
{
    struct renewing *r = arg;
    r->outcome = identity_renew(&r->proof, &r->ask, r->now, &r->why);
    while (net_post(r->control->loop, finished, r->control) != ERR_OK)
        sched_yield(); /* nothing but memory for one note is missing */
    return NULL;
}

/* Signals are the control loop's. */
static enum err start_thread(struct renewing *r)
{
    sigset_t every, before;
    sigfillset(&every);
    pthread_sigmask(SIG_BLOCK, &every, &before);
    int failed = pthread_create(&r->thread, NULL, thread_main, r);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failed ? ERR_FULL : ERR_OK;
}

static struct renewing *renewing_new(struct control *c, const struct control_renewal *ask)
{
    struct renewing *r = calloc(1, sizeof *r);
    if (!r)
        return NULL;
    r->config = malloc(sizeof *r->config);
    buf_reserve(&r->token, ask->token.len + 1);
    buf_add_bytes(&r->token, ask->token);
    buf_add_bytes(&r->credential, ask->credential);
    if (!r->config || !buf_ok(&r->token) || !buf_ok(&r->credential)) {
        renewing_free(r);
        return NULL;
    }
    *r->config = c->config;
    r->of = (struct identity){.sign = c->identity.sign,
                              .proof = proof_ref(c->identity.proof),
                              .credential_open = c->identity.credential_open,
                              .trust = trust_ref(c->identity.trust)};
    r->control = c;
    r->now = control_wall(c);
    r->ask = (struct renewal){.config = r->config,
                              .of = &r->of,
                              .token = buf_bytes(&r->token),
                              .credential = buf_bytes(&r->credential),
                              .must_extend = ask->must_extend && !c->is_revoked && !begins_later(c),
                              .roll_noise_key = ask->roll_noise_key,
                              .roots = &r->roots};
    return r;
}

void control_renew(struct control *c, const struct control_renewal *ask,
                   void (*done)(void *arg, enum err outcome, const char *text), void *arg)
{
    const char *refused =
        c->renewing ? "another renewal is under way; try again in a moment"
        : !ask->token.len && !ask->credential.len && !c->config.token_path[0]
            ? "this agent was started without --token; give a token: starling renew --token FILE"
            : NULL;
    struct renewing *r = refused ? NULL : renewing_new(c, ask);
    if (r && start_thread(r) == ERR_OK) {
        r->done = done;
        r->arg = arg;
        c->renewing = r;
        return;
    }
    if (r)
        renewing_free(r);
    if (done)
        done(arg, refused ? ERR_AGAIN : ERR_NOMEM, refused ? refused : "no memory or no thread for it");
    c->renew_at = c->config.token_path[0] ? next_try(c) : NEVER;
}

void control_renewal_step(struct control *c)
{
    static const struct control_renewal automatic = {.must_extend = true};
    if (c->now < c->renew_at || c->renewing)
        return;
    c->renew_at = NEVER;
    if (is_due(c))
        control_renew(c, &automatic, NULL, NULL);
    else
        c->renew_at = next_look(c);
}

void control_renewal_fini(struct control *c)
{
    if (c->renewing) {
        if (!c->renewing->waits)
            pthread_join(c->renewing->thread, NULL);
        renewing_free(c->renewing);
    }
    buf_fini(&c->renewal_said);
}
