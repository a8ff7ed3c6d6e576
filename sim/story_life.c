#include <malloc.h>
#include <stdlib.h>

#include "sim/acts.h"
#include "sim/must.h"
#include "sim/story.h"

enum { RECORD_COST_BYTES = 4096 }; /* of a signed record in the simulator: signed, verified, remembered */

void story_join(struct world *w)
{
    if (acts_start_all(w) && world_run(w, SEC(30)))
        world_agree(w, MS(500), "half a minute of rest"); /* nothing has come apart by itself */
}

void story_rest(struct world *w)
{
    if (!acts_start_all(w) || !world_run(w, SEC(60)))
        return;
    uint64_t before = w->figures.datagram_bytes + w->figures.bulk_bytes;
    if (!world_run(w, SEC(120)))
        return;
    uint64_t bytes = w->figures.datagram_bytes + w->figures.bulk_bytes - before;
    w->figures.rest_bytes_per_s = bytes / 120 / w->config.hosts;
    trace_line(&w->trace, w->now, "at rest: %llu bytes per second and host",
               (unsigned long long)w->figures.rest_bytes_per_s);
    world_agree(w, MS(500), "two minutes of rest");
}

void story_crash(struct world *w)
{
    if (!acts_start_all(w) || !world_run(w, SEC(5)))
        return;
    for (uint32_t n = acts_some_of(w, 10); n > 0; n--) {
        uint32_t h = acts_other_host(w);
        world_after(w, acts_pick(w, (uint32_t)SEC(1)), h, host_crash);
    }
    if (!world_run(w, SEC(1)) || !world_agree(w, acts_death_bound(w), "crashes"))
        return;
    for (uint32_t h = 0; h < w->config.hosts; h++)
        if (w->host[h].state == HOST_DOWN)
            world_after(w, acts_pick(w, (uint32_t)SEC(5)), h, host_start);
    if (world_run(w, SEC(5)))
        world_agree(w, acts_agree_bound(w), "the crashed have come back");
}

/* Every host in turn: stopped without a word or with a good-bye, and back within a second, as an upgrade does
 * it. */
void story_rolling_restart(struct world *w)
{
    if (!acts_start_all(w))
        return;
    for (uint32_t h = 0; h < w->config.hosts && world_is_well(w); h++) {
        bool says_good_bye = acts_pick(w, 2);
        if (says_good_bye)
            host_leave(w, h);
        world_run(w, MS(100) + acts_pick(w, (uint32_t)MS(300)));
        host_stop(w, h);
        world_run(w, MS(50) + acts_pick(w, (uint32_t)MS(900)));
        host_start(w, h);
        world_run(w, MS(200));
    }
    world_agree(w, acts_agree_bound(w), "the rolling restart");
}

/* All at once, as after a power cut (G28). */
void story_mass_restart(struct world *w)
{
    if (!acts_start_all(w) || !world_run(w, SEC(3)))
        return;
    for (uint32_t h = 0; h < w->config.hosts; h++)
        world_after(w, acts_pick(w, (uint32_t)SEC(1)), h, host_crash);
    world_run(w, SEC(1) + acts_pick(w, (uint32_t)SEC(20)));
    for (uint32_t h = 0; h < w->config.hosts; h++)
        world_after(w, acts_pick(w, (uint32_t)SEC(10)), h, host_start);
    if (world_run(w, SEC(10)))
        world_agree(w, SEC(60), "all have restarted");
}

/* A rack is lost at once, and comes back. */
void story_rack(struct world *w)
{
    if (!acts_start_all(w) || !world_run(w, SEC(5)))
        return;
    for (uint32_t h = w->config.hosts - acts_some_of(w, 4); h < w->config.hosts; h++)
        host_crash(w, h);
    if (!world_run(w, SEC(1)) || !world_agree(w, acts_death_bound(w), "the loss of a rack"))
        return;
    for (uint32_t h = 0; h < w->config.hosts; h++)
        host_start(w, h);
    world_agree(w, acts_agree_bound(w), "the rack is back");
}

/* Every second or so somebody goes, silently, with its process only, or with a good-bye, and somebody else comes back. */
void story_churn(struct world *w)
{
    static void (*const ways[])(struct world * w, uint32_t host) = {host_crash, host_stop, host_leave};
    if (!acts_start_all(w) || !world_run(w, SEC(3)))
        return;
    for (int i = 0; i < 60 && world_is_well(w); i++) {
        uint32_t goes = acts_other_host(w), comes = acts_other_host(w);
        if (w->host[goes].state == HOST_UP && !w->host[goes].wants_to_leave)
            ways[acts_pick(w, 3)](w, goes);
        if (w->host[comes].is_left)
            host_stop(w, comes);
        if (w->host[comes].state != HOST_UP)
            host_start(w, comes);
        world_run(w, MS(200) + acts_pick(w, (uint32_t)SEC(2)));
    }
    world_run(w, SEC(5)); /* good-byes under way */
    acts_stop_leavers(w);
    world_agree(w, acts_agree_bound(w), "churn");
}

/* Good-byes are heard within seconds, and remembered: nobody is buried, nobody rises. */
void story_leave(struct world *w)
{
    if (!acts_start_all(w) || !world_run(w, SEC(5)))
        return;
    for (uint32_t n = acts_some_of(w, 5), h = w->config.hosts - 1; n > 0 && h > 0; n--, h--) {
        host_leave(w, h);
        for (int waited = 0; !w->host[h].is_left && waited < 100; waited++)
            world_run(w, MS(100));
        if (!w->host[h].is_left) {
            world_fail(w, "host %u has not got its good-bye out in 10 s", h);
            return;
        }
        host_stop(w, h);
    }
    if (world_agree(w, SEC(20), "good-byes") && world_run(w, SEC(60)))
        world_agree(w, MS(500), "a minute after the good-byes");
}

/* G28: a hundred times all crash and are back within ten seconds; each time all see all within a minute. */
void story_restarts(struct world *w)
{
    if (!acts_start_all(w))
        return;
    for (int round = 0; round < 100 && world_is_well(w); round++) {
        for (uint32_t h = 0; h < w->config.hosts; h++) {
            host_crash(w, h);
            world_after(w, acts_pick(w, (uint32_t)SEC(10)), h, host_start);
        }
        if (world_run(w, SEC(10)))
            world_agree(w, SEC(60), "all have restarted again");
    }
}

/* All lose power in one instant and are back in one instant: clocks in phase, timers too, were they not drawn. */
void story_in_phase(struct world *w)
{
    if (!acts_start_all(w) || !world_run(w, SEC(5)))
        return;
    for (uint32_t h = 0; h < w->config.hosts; h++)
        host_crash(w, h);
    world_run(w, SEC(5));
    for (uint32_t h = 0; h < w->config.hosts; h++)
        host_start(w, h);
    if (!world_agree(w, SEC(20), "all started in one instant") || !world_run(w, SEC(30)))
        return;
    struct gossip_counts c = gossip_counts(w->host[0].gossip);
    if (c.suspect + c.dead > 0)
        world_fail(w, "after a start in phase %u are doubted", c.suspect + c.dead);
}

/* A day in which one host in a hundred, at least one, goes each minute and another comes back; silently, with a good-bye,
 * or as a process only. What the process holds at the end is what it held after the first hours. */
void story_day(struct world *w)
{
    enum { MINUTES = 24 * 60, SETTLED = 4 * 60 };
    static void (*const ways[])(struct world * w, uint32_t host) = {host_crash, host_stop, host_leave};
    size_t heap = 0, signed_then = 0;
    if (!acts_start_all(w))
        return;
    for (int minute = 0; minute < MINUTES && world_is_well(w); minute++) {
        for (uint32_t n = acts_some_of(w, 100); n > 0; n--) {
            uint32_t goes = acts_other_host(w), comes = acts_other_host(w);
            if (w->host[goes].state == HOST_UP)
                ways[acts_pick(w, 3)](w, goes);
            if (w->host[comes].state == HOST_STOPPED || w->host[comes].state == HOST_DOWN)
                world_after(w, acts_pick(w, (uint32_t)SEC(60)), comes, host_start);
        }
        world_run(w, SEC(60));
        acts_stop_leavers(w);
        if (minute == SETTLED) {
            heap = mallinfo2().uordblks;
            signed_then = signer_count(w->signer);
        }
    }
    size_t grown = mallinfo2().uordblks, records = signer_count(w->signer) - signed_then;
    grown = grown > heap ? grown - heap : 0;
    trace_line(&w->trace, w->now, "%zu records signed since the fourth hour", records);
    if (grown > heap / 5 + records * RECORD_COST_BYTES)
        world_fail(w, "the heap grew by %zu bytes in twenty hours, with %zu records signed", grown, records);
    world_agree(w, acts_agree_bound(w), "a day of churn");
}

static void change_version(struct world *w, uint32_t host, uint8_t protocol)
{
    host_stop(w, host);
    world_run(w, MS(50) + acts_pick(w, (uint32_t)MS(500)));
    w->host[host].protocol = protocol;
    host_start(w, host);
    world_run(w, MS(300));
}

/* Both versions in one mesh agree about all, see updates and deaths of either kind; so they do while host by host is
 * upgraded, for long enough that coordinates go into records, and when one is taken back to version 1. */
void story_versions(struct world *w)
{
    for (uint32_t h = 0; h < w->config.hosts; h += 2)
        w->host[h].protocol = 1;
    if (!acts_start_all(w) || !world_run(w, SEC(10)))
        return;
    uint32_t gone = w->config.hosts - 1;
    host_update(w, 0);
    host_update(w, 1);
    host_crash(w, gone);
    if (!world_run(w, SEC(1)) ||
        !world_agree(w, acts_death_bound(w), "an update and a death among two versions"))
        return;
    host_start(w, gone);
    for (uint32_t h = 0; h < w->config.hosts && world_is_well(w); h += 2)
        change_version(w, h, 0);
    if (!world_agree(w, acts_agree_bound(w), "all were upgraded") || !world_run(w, SEC(600)) ||
        !world_agree(w, acts_agree_bound(w), "ten minutes of version 2"))
        return;
    change_version(w, 0, 1);
    if (world_run(w, SEC(15)))
        world_agree(w, acts_agree_bound(w), "one went back to version 1");
}

/* ---- disks that are lost, or put back from a copy ---- */

/* Every other one of the last hosts starts with an empty disk, the rest with one that knows their first start only. */
static void lose_disks(struct world *w, uint32_t first)
{
    for (uint32_t h = first; h < w->config.hosts; h++)
        host_lose_disk(w, h, h % 2);
}

static void crash_from(struct world *w, uint32_t first)
{
    for (uint32_t h = first; h < w->config.hosts; h++)
        host_crash(w, h);
}

static void start_from(struct world *w, uint32_t first)
{
    for (uint32_t h = first; h < w->config.hosts; h++)
        host_start(w, h);
}

/* All agree, and everybody who lost its disk speaks under a number above all that it ever had. That none was signed
 * twice meanwhile is an oracle. */
static bool all_went_on(struct world *w, uint32_t first, const uint64_t *before, const char *after_what)
{
    if (!world_agree(w, acts_agree_bound(w), after_what))
        return false;
    for (uint32_t h = first; h < w->config.hosts && world_is_well(w); h++)
        if (w->host[h].own->incarnation <= before[h])
            world_fail(w, "host %u speaks under incarnation %llu, it had %llu before its disk was lost", h,
                       (unsigned long long)w->host[h].own->incarnation, (unsigned long long)before[h]);
    return world_is_well(w);
}

static void note_numbers(const struct world *w, uint64_t *out)
{
    for (uint32_t h = 0; h < w->config.hosts; h++)
        out[h] = w->host[h].disk.highest;
}

/* A fifth lose their disks, after a life of some restarts and updates: while the others still hold them alive, after they
 * were buried, and while all restart in one instant. */
void story_wiped_disk(struct world *w)
{
    static const uint32_t away_s[] = {1, 30};
    uint32_t first = w->config.hosts - acts_some_of(w, 5);
    uint64_t *before = must_zeros(w->config.hosts, sizeof *before);
    if (!acts_start_all(w) || !world_run(w, SEC(5)))
        goto done;
    for (int life = 0; life < 3; life++) {
        crash_from(w, first);
        start_from(w, first);
        world_run(w, SEC(4));
        host_update(w, w->config.hosts - 1);
    }
    for (size_t i = 0; i < sizeof away_s / sizeof *away_s && world_is_well(w); i++) {
        note_numbers(w, before);
        crash_from(w, first);
        world_run(w, SEC(away_s[i]));
        lose_disks(w, first);
        start_from(w, first);
        if (!world_run(w, SEC(5)) || !all_went_on(w, first, before, "disks were lost"))
            goto done;
    }
    note_numbers(w, before);
    crash_from(w, 0);
    lose_disks(w, first);
    start_from(w, 0);
    if (world_run(w, SEC(5)))
        all_went_on(w, first, before, "disks were lost and all restarted");
done:
    free(before);
}
