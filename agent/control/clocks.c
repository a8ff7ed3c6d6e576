/* The latest time seen, between the store and whoever judges by it; and what the clocks of others say of ours. */
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
        if (vouched_brief(m->record->vouched)->not_before > newest &&
            !node_id_eq(&m->id, &c->identity.sign.pub))
            newest = vouched_brief(m->record->vouched)->not_before;
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

/* -- the clocks of others ---------------------------------------------------------------------- */

struct looking {
    struct control *c;
    uint64_t wall_ms; /* what our clock says */
    size_t count;
    struct member *member[SKEW_HEARD_MAX];
    int64_t ahead_ms[SKEW_HEARD_MAX], sorted[SKEW_HEARD_MAX];
};

/* The list is the oldest first: when it is full, who was used longest ago gives way. */
static void look_at(void *arg, const struct node_id *peer, uint64_t clock_ms, mono_ms at)
{
    struct looking *l = arg;
    struct member *m = roster_find(&l->c->roster, peer);
    if (!m || !member_is_live(m) || l->c->now - at > SKEW_OLD_MS)
        return;
    size_t i = l->count++ % SKEW_HEARD_MAX;
    l->member[i] = m;
    l->ahead_ms[i] = skew_ahead(clock_ms, at, l->wall_ms, l->c->now);
}

static void say_member(struct control *c, struct member *m)
{
    struct bytes name = member_name(m);
    struct buf off = {0};
    struct member_clock *k = &m->clock;
    bool is_due = k->is_said != k->is_wrong && (k->said_at == 0 || c->now - k->said_at >= SKEW_AGAIN_MS);
    bool is_early = c->unsure_looks > 0 && c->unsure_looks < SKEW_UNSURE_LOOKS;
    if (!is_due || is_early || !skew_may_say(&c->skew_lines, c->now))
        return;
    k->is_said = k->is_wrong;
    k->said_at = c->now;
    skew_words(k->off_ms, &off);
    if (!k->is_wrong)
        log_info("clock", "the clock of member %.*s agrees again", (int)name.len, (const char *)name.at);
    else if (c->skew.verdict == SKEW_UNSURE)
        log_warn(
            "clock",
            "the clock of member %.*s is %s of the one of this host; no time has a majority, so nobody can "
            "say which of them is wrong; set the one that is",
            (int)name.len, (const char *)name.at, buf_str(&off));
    else
        log_warn("clock", "the clock of member %.*s is wrong: it is %s of what most clocks say; set it there",
                 (int)name.len, (const char *)name.at, buf_str(&off));
    buf_fini(&off);
}

static void note_member(struct control *c, struct member *m, int64_t ahead_ms)
{
    struct member_clock *k = &m->clock;
    k->looked_at = c->now;
    k->off_ms = skew_off(&c->skew, ahead_ms);
    k->is_wrong = skew_is_wrong(k->off_ms, k->is_wrong);
    say_member(c, m);
}

/* Where ours is wrong that is said at once, and the others' are not named for it. */
static void say_ours(struct control *c)
{
    struct buf off = {0};
    bool was_wrong = c->skew_said == SKEW_OURS, is_wrong = c->skew.verdict == SKEW_OURS;
    if (was_wrong == is_wrong || (c->skew_said_at && c->now - c->skew_said_at < SKEW_AGAIN_MS && is_wrong))
        return;
    c->skew_said = c->skew.verdict;
    c->skew_said_at = c->now;
    skew_words(-c->skew.right_ms, &off);
    if (is_wrong)
        log_error(
            "clock",
            "the clock of this host is wrong: it is %s of what most of the %zu others say whose clocks are "
            "known; set it. Only ends of credentials and policies are judged by it",
            buf_str(&off), c->skew.heard);
    else
        log_info("clock", "the clock of this host is no longer called wrong by most others");
    buf_fini(&off);
}

/* Ours was set, or the host slept: who is told by a new session knows. */
static void note_step(struct control *c, uint64_t wall_ms)
{
    int64_t step = c->skew_looked_at ? skew_ahead(c->skew_wall_ms, c->skew_looked_at, wall_ms, c->now) : 0;
    if (step > SKEW_STEP_MS || step < -SKEW_STEP_MS) {
        struct buf by = {0};
        skew_words(-step, &by);
        log_info("clock", "the clock of this host was set%s: it is now %s of where it was going",
                 step < 0 ? ", or the host was asleep" : "", buf_str(&by));
        buf_fini(&by);
        udp_renew_all(c->udp, c->now);
    }
    c->skew_wall_ms = wall_ms;
    c->skew_looked_at = c->now;
}

void control_compare_clocks(struct control *c)
{
    if (c->now < c->skew_at)
        return;
    struct looking l;
    l.c = c;
    l.wall_ms = net_wall_ms();
    l.count = 0;
    c->skew_at = c->now + SKEW_LOOK_MS;
    note_step(c, l.wall_ms);
    udp_clocks_each(c->udp, look_at, &l);
    l.count = l.count < SKEW_HEARD_MAX ? l.count : SKEW_HEARD_MAX;
    memcpy(l.sorted, l.ahead_ms, l.count * sizeof *l.sorted);
    c->skew = skew_judge(l.sorted, l.count, &c->skew);
    c->unsure_looks = c->skew.verdict == SKEW_UNSURE ? c->unsure_looks + 1 : 0;
    say_ours(c);
    for (size_t i = 0; i < l.count; i++)
        note_member(c, l.member[i], l.ahead_ms[i]);
}
