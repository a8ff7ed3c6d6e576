/* The latest time seen, between the store and whoever judges by it. */
#include "control/inner.h"
#include "observe/log.h"

#define FACT "time"

enum { SAY_AGAIN_MS = 3600000 }; /* a clock that is behind: host and mesh are not of one time */

static wall_s host_clock(void)
{
    return (wall_s)(net_wall_ms() / 1000);
}

wall_s control_wall(const struct control *c)
{
    return wallclock_now(&c->clock, host_clock(), net_now(c->loop));
}

wall_s control_wall_least(const struct control *c)
{
    return wallclock_now(&c->clock, 0, net_now(c->loop));
}

/* When the newest credential was signed, by the clock of its signer: what the mesh can tell of the time. */
static wall_s newest_signature(const struct control *c)
{
    wall_s newest = 0;
    for (const struct member *m = c->roster.by_id; m; m = m->hh.next)
        if (m->record.credential.not_before > newest && !node_id_eq(&m->id, &c->identity.sign.pub))
            newest = m->record.credential.not_before;
    return newest;
}

static void say(struct control *c, mono_ms now)
{
    struct buf text = {0};
    wallclock_say(&c->clock, host_clock(), newest_signature(c), now, &text);
    if (text.len > 0)
        log_line(c->clock.state == WALLCLOCK_BEHIND ? LOG_ERROR : LOG_WARN, "clock", "%s", buf_str(&text));
    else if (c->clock.latest > 0 && c->clock_said_at > 0)
        log_info("clock", "the clock of this host and the latest time seen agree again");
    c->clock_said_at = now;
    buf_fini(&text);
}

static void step(struct control *c, mono_ms now)
{
    uint8_t kept[WALLCLOCK_BYTES];
    bool is_behind = c->clock.state == WALLCLOCK_BEHIND,
         changed = wallclock_step(&c->clock, host_clock(), now);
    if (changed || (is_behind && now >= c->clock_said_at + SAY_AGAIN_MS))
        say(c, now);
    c->view_dirty |= changed || is_behind; /* workers judge by the time that came with the view */
    if (wallclock_keep(&c->clock, kept, now) &&
        store_fact_put(c->store, FACT, bytes_of(kept, sizeof kept), TICKET_NONE) != ERR_OK)
        c->clock.keep_at = now; /* the queue is full: at the next step */
}

void control_watch_clock(struct control *c)
{
    step(c, c->now);
}

enum err control_open_clock(struct control *c, struct buf *why)
{
    struct buf kept = {0};
    mono_ms now = net_now(c->loop);
    enum err e = store_fact_get(c->store, FACT, &kept);
    if (e == ERR_OK)
        e = wallclock_load(&c->clock, buf_bytes(&kept), now);
    buf_fini(&kept);
    if (e == ERR_OK)
        step(c, now);
    else
        buf_addf(why,
                 "the latest time seen, in %s, cannot be read: %s; restore the folder from a backup, or move "
                 "it away and enrol anew",
                 c->config.data, err_text(e));
    return e;
}
