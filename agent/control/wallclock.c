#include "control/wallclock.h"

static const wall_s year_9999 = 253402300799; /* no clock that is set says later */

static const wall_s proof_s[] = {
    [WALLCLOCK_AGREES] = 0,
    [WALLCLOCK_AHEAD] = WALLCLOCK_AHEAD_S,
    [WALLCLOCK_BEHIND] = WALLCLOCK_BEHIND_S,
};

enum err wallclock_load(struct wallclock *k, struct bytes kept, mono_ms now)
{
    struct rd r = rd_init(kept);
    *k = (struct wallclock){.at = now, .keep_at = now};
    if (kept.len == 0)
        return ERR_OK;
    uint64_t latest = rd_be64(&r), state = rd_be64(&r), apart = rd_be64(&r);
    if (!rd_done(&r) || latest > (uint64_t)year_9999 || state > WALLCLOCK_BEHIND ||
        apart > (uint64_t)proof_s[state])
        return ERR_MALFORMED;
    k->latest = (wall_s)latest;
    k->state = (enum wallclock_state)state;
    k->apart_s = (wall_s)apart;
    return ERR_OK;
}

bool wallclock_keep(struct wallclock *k, uint8_t out[WALLCLOCK_BYTES], mono_ms now)
{
    struct wr w = wr_init(out, WALLCLOCK_BYTES);
    if (now < k->keep_at)
        return false;
    k->keep_at = now + WALLCLOCK_KEEP_S * 1000;
    wr_be64(&w, (uint64_t)k->latest);
    wr_be64(&w, (uint64_t)k->state);
    wr_be64(&w, (uint64_t)k->apart_s);
    return wr_done(&w).len == WALLCLOCK_BYTES;
}

static wall_s passed_s(const struct wallclock *k, mono_ms now)
{
    return (wall_s)((now - k->at) / 1000);
}

static wall_s sound(wall_s wall)
{
    return wall < 0 ? 0 : wall > year_9999 ? year_9999 : wall;
}

wall_s wallclock_now(const struct wallclock *k, wall_s wall, mono_ms now)
{
    /* While they agree it stands still until a clock that is a little behind is there again: who set it back a little
     * again and again would not get further. */
    wall_s least = k->state == WALLCLOCK_AGREES ? k->latest : k->latest + passed_s(k, now);
    return sound(wall) > least ? sound(wall) : least;
}

static enum wallclock_state compare(const struct wallclock *k, wall_s wall, mono_ms now)
{
    wall_s expected = k->latest + passed_s(k, now);
    return wall > expected + WALLCLOCK_JUMP_S    ? WALLCLOCK_AHEAD
           : wall < expected - WALLCLOCK_SLACK_S ? WALLCLOCK_BEHIND
                                                 : WALLCLOCK_AGREES;
}

/* Goes on by whole seconds of the monotonic clock. */
static void go_on(struct wallclock *k, enum wallclock_state s, mono_ms now)
{
    wall_s passed = passed_s(k, now);
    k->apart_s = s == k->state ? k->apart_s + passed : 0;
    k->latest = k->latest + passed < year_9999 ? k->latest + passed : year_9999;
    k->at += (mono_ms)passed * 1000;
}

bool wallclock_step(struct wallclock *k, wall_s wall, mono_ms now)
{
    wall = sound(wall);
    enum wallclock_state before = k->state, s = compare(k, wall, now);
    if (s != WALLCLOCK_AGREES)
        go_on(k, s, now);
    if (s != WALLCLOCK_AGREES && k->apart_s >= proof_s[s]) {
        k->latest = wall;
        s = WALLCLOCK_AGREES;
    }
    if (s == WALLCLOCK_AGREES) {
        k->latest = wall > k->latest ? wall : k->latest;
        k->at = now;
        k->apart_s = 0;
    }
    k->state = s;
    if (s != before)
        k->keep_at = now;
    return s != before;
}

/* -- in words ----------------------------------------------------------------------------------- */

static void say_behind(const struct wallclock *k, wall_s wall, wall_s signed_at, mono_ms now, struct buf *out)
{
    char host[WALL_TEXT_MAX], seen[WALL_TEXT_MAX], other[WALL_TEXT_MAX];
    buf_addf(out, "the clock of this host says %s, but this agent has seen %s: ", wall_text(wall, host),
             wall_text(wallclock_now(k, wall, now), seen));
    if (signed_at > wall + WALLCLOCK_SLACK_S)
        buf_addf(out, "the clock is wrong, for another host signed its credential at %s; set it. ",
                 wall_text(signed_at, other));
    else
        buf_add_str(out, "set it, if it is wrong; if it was ahead before and is right now, wait. ");
    buf_addf(out,
             "What has expired stays expired: the time seen is what counts until the agent has run %lld more "
             "hours with this clock",
             (long long)(WALLCLOCK_BEHIND_S - k->apart_s + 3599) / 3600);
}

void wallclock_say(const struct wallclock *k, wall_s wall, wall_s signed_at, mono_ms now, struct buf *out)
{
    char host[WALL_TEXT_MAX], seen[WALL_TEXT_MAX];
    if (k->state == WALLCLOCK_BEHIND)
        say_behind(k, wall, signed_at, now, out);
    else if (k->state == WALLCLOCK_AHEAD && k->latest >= WALLCLOCK_BEHIND_S)
        buf_addf(out,
                 "the clock of this host says %s, far ahead of %s, the latest time this agent has seen: "
                 "right if it was off or asleep meanwhile; if not, set it. Expiry is judged by it, and it is "
                 "kept as seen when the agent has run %lld more hours with it",
                 wall_text(wall, host), wall_text(k->latest, seen),
                 (long long)(WALLCLOCK_AHEAD_S - k->apart_s + 3599) / 3600);
}
