/* The overlay between its slot, the policy that it stands above, gossip, and those who are told. */
#include "control/inner.h"
#include "observe/log.h"

enum err control_open_overlay(struct control *c, const struct chain *roots)
{
    return overlaid_init(&c->overlay, c->store, roots, c->metrics, control_wall(c), net_now(c->loop));
}

/* What compiles of the whole, or why it does not: the first line, without the lines that show the place. */
struct policy *control_compose_overlay(struct control *c, struct policy *policy_take, struct bytes main)
{
    struct policy_source src[POLICY_SOURCES_MAX];
    struct policy_reach reach[POLICY_SOURCES_MAX];
    struct complaints k = {.file = "overlay"};
    struct policy *with = NULL;
    if (!overlaid_is_on(&c->overlay, control_wall(c)))
        return policy_take;
    size_t count = parts_sources(&c->parts, trust_root(c->identity.trust), main, src, reach);
    src[count++] = (struct policy_source){.file = c->overlay.newest.name,
                                          .text = overlay_text(buf_bytes(&c->overlay.bytes)),
                                          .is_overlay = true};
    enum err e = policy_compile_sources(&with, src, count, &k);
    bool lacks = e == ERR_OK && features_lacking(policy_features(with));
    if (e == ERR_NOMEM) {
        policy_unref(policy_take);
    } else if (e != ERR_OK || lacks) {
        char why[OVERLAID_WHY_MAX];
        snprintf(why, sizeof why, "%.*s", (int)strcspn(buf_str(&k.text), "\n"), buf_str(&k.text));
        policy_unref(with);
        with = policy_take;
        overlaid_composed(&c->overlay, lacks ? "it needs a feature that this agent lacks; update it" : why);
    } else {
        policy_unref(policy_take);
        overlaid_composed(&c->overlay, "");
    }
    buf_fini(&k.text);
    return with;
}

/* -- told -------------------------------------------------------------------------------------- */

static void tell(struct control *c)
{
    const struct overlaid *v = &c->overlay;
    struct record_overlay now = {.version = 0}, *said = &c->own.overlay;
    if (v->bytes.len > 0)
        now = (struct record_overlay){v->newest.epoch, v->newest.version, v->newest.ends,
                                      v->was_on && v->in_force};
    if (now.epoch == said->epoch && now.version == said->version && now.in_force == said->in_force)
        return;
    *said = now;
    c->own_dirty = true;
}

void control_announce_overlay(struct control *c)
{
    const struct overlaid *v = &c->overlay;
    tell(c);
    if (!c->is_uncomposed)
        c->overlay_at = overlaid_deadline(v, control_wall(c), net_now(c->loop));
    if (v->bytes.len > 0)
        gossip_doc_set(c->gossip, DOC_OVERLAY, v->newest.epoch, v->newest.version, &v->newest.hash, c->now);
}

/* Another rule of who may call whom: all loops get it with one view. */
static void take_effect(struct control *c)
{
    control_compose(c);
    control_publish_view(c);
    control_announce_overlay(c);
}

/* -- moved ------------------------------------------------------------------------------------- */

enum err control_offer_overlay(struct control *c, struct bytes document, enum overlaid_bearer by,
                               struct buf *why)
{
    enum err e = overlaid_offer(&c->overlay, c->store, &c->anchor.opened, document, by, control_wall(c),
                                TICKET_OVERLAY, why);
    if (by == OVERLAID_BY_HAND && e != ERR_OK && e != ERR_EXISTS && e != ERR_AGAIN)
        log_warn("audit", "an overlay that was handed to this agent is refused: %s",
                 why->len ? buf_str(why) : err_text(e));
    return e;
}

void control_offer_waiting_overlay(struct control *c)
{
    struct buf waiting = c->overlay.waiting, why = {0};
    c->overlay.waiting = (struct buf){0};
    if (waiting.len > 0 && control_offer_overlay(c, buf_bytes(&waiting), OVERLAID_BY_GOSSIP, &why) != ERR_OK)
        log_info("audit", "an overlay that waited for a root is not taken: %s", buf_str(&why));
    buf_fini(&waiting);
    buf_fini(&why);
}

static void say_outcome(const struct control *c, char *text, size_t cap)
{
    const struct overlaid *v = &c->overlay;
    char ends[WALL_TEXT_MAX];
    if (v->over == OVERLAID_ENDED)
        snprintf(text, cap, "the overlay before version %llu is ended here, and soon at every agent",
                 (unsigned long long)v->newest.version);
    else if (v->over == OVERLAID_FELL)
        snprintf(
            text, cap,
            "overlay %s is held here, and NOT in force: a new root came meanwhile that does not vouch for "
            "it; sign it anew",
            v->newest.name);
    else if (!c->enforced.policy)
        snprintf(text, cap, "overlay %s is held here; no policy is in force for it to stand above",
                 v->newest.name);
    else if (!v->in_force)
        snprintf(text, cap, "overlay %s is held here, and NOT in force: %s", v->newest.name, v->why_not);
    else
        snprintf(text, cap, "overlay %s is in force here until %s, and on its way to every agent",
                 v->newest.name, wall_text(v->newest.ends, ends));
}

void control_overlay_stored(struct control *c, enum err outcome)
{
    char text[OVERLAID_WHY_MAX + 160];
    if (!overlaid_confirmed(&c->overlay, outcome, control_wall(c), net_now(c->loop))) {
        control_refuse_publisher(c, TICKET_OVERLAY, "audit", "overlay",
                                 outcome != ERR_OK ? outcome : ERR_NOMEM);
        return;
    }
    take_effect(c);
    say_outcome(c, text, sizeof text);
    control_answer_publisher(c, TICKET_OVERLAY, c->overlay.over == OVERLAID_FELL ? ERR_DENIED : ERR_OK, text);
}

void control_rejudge_overlay(struct control *c)
{
    if (overlaid_rejudge(&c->overlay, trust_root(c->identity.trust), control_wall(c)))
        tell(c);
}

void control_overlay_step(struct control *c)
{
    if (c->now < c->overlay_at)
        return;
    if (overlaid_step(&c->overlay, c->store, control_wall(c), c->now) || c->is_uncomposed)
        take_effect(c);
    else
        control_announce_overlay(c);
}

void control_watch_overlay(struct control *c)
{
    c->overlay_at = mono_min(c->overlay_at, overlaid_deadline(&c->overlay, control_wall(c), c->now));
}
