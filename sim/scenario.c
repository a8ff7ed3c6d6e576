#include "sim/scenario.h"

#include "sim/oracle.h"
#include "sim/story.h"
#include "sim/swarm.h"

enum { HOSTS_UNLESS_SAID = 20 };

#define LAN                                                                                                  \
    {                                                                                                        \
        .delay_us = 500, .jitter_pct = 20                                                                    \
    }
#define BAD                                                                                                  \
    {                                                                                                        \
        .delay_us = 5000, .jitter_pct = 50, .loss_ppm = 300000, .duplicate_ppm = 100000,                     \
        .reorder_ppm = 200000, .reorder_us = 200000                                                          \
    }

#define THIN                                                                                                 \
    {                                                                                                        \
        .delay_us = 5000, .jitter_pct = 30, .line_kbps = 1000, .queue_us = 200000                            \
    }

#define MANGLED                                                                                              \
    {                                                                                                        \
        .delay_us = 500, .jitter_pct = 20, .loss_ppm = 335000, .duplicate_ppm = 100000,                      \
        .reorder_ppm = 100000, .reorder_us = 10000                                                           \
    }

static const struct scenario scenarios[] = {
    {"join", "all start within a second, knowing three seeds", LAN, false, story_join, NULL},
    {"rest", "two minutes in which nothing happens: bytes per second", LAN, false, story_rest, NULL},
    {"crash", "a tenth crashes silently, later comes back from disk", LAN, false, story_crash, NULL},
    {"partition-heal", "two sides cut off from each other, then healed", LAN, false, story_partition_heal,
     NULL},
    {"one-way", "a cut in one direction only, then healed", LAN, false, story_one_way, NULL},
    {"rolling-restart", "every host in turn is stopped and started", LAN, false, story_rolling_restart, NULL},
    {"versions", "half of the hosts speak version 1; host by host all are upgraded, then one goes back", LAN,
     false, story_versions, NULL},
    {"mass-restart", "all crash and come back within seconds", LAN, false, story_mass_restart, NULL},
    {"slow-nodes", "a quarter stops and goes; sockets queue meanwhile", LAN, true, story_slow_nodes, NULL},
    {"starved", "all get too little CPU: timers come late, packets queue", LAN, true, story_starved, NULL},
    {"flapping", "a cut in one direction comes and goes", LAN, true, story_flapping, NULL},
    {"half-connected", "one host reaches half of the others", LAN, true, story_half_connected, NULL},
    {"rack", "a quarter crashes at once, and comes back", LAN, false, story_rack, NULL},
    {"churn", "somebody goes and somebody comes, each second", LAN, false, story_churn, NULL},
    {"congested", "lines of 1 Mbit/s that queue and drop", THIN, true, story_congested, NULL},
    {"leave", "a fifth says good-bye and stops", LAN, false, story_leave, NULL},
    {"forge", "a hostile member and an outsider forge, replay, alter, accuse", LAN, true, story_forge, NULL},
    {"forgotten", "two halves live apart, up to long after they have forgotten each other (G14, G29)", LAN,
     false, story_apart, story_apart_draw},
    {"partial-links", "everybody lacks a link, then two (G30)", LAN, false, story_partial_links, NULL},
    {"mangled", "a join with 30 % lost, 10 % doubled, 5 % mangled takes at most three times as long (G41)",
     MANGLED, true, story_mangled, NULL},
    {"paused", "three in ten stand still for 10 s, a minute, ten minutes (G27)", LAN, true, story_paused,
     NULL},
    {"sluggish", "one answers late, one hears a third, one takes 30 s (G25)", LAN, true, story_sluggish,
     NULL},
    {"moved", "a tenth comes back at another address", LAN, false, story_moved, NULL},
    {"restarts", "all restart within ten seconds, a hundred times (G28)", LAN, false, story_restarts, NULL},
    {"in-phase", "all start in one instant", LAN, false, story_in_phase, NULL},
    {"day", "a day in which one in a hundred goes each minute and another comes", LAN, false, story_day,
     NULL},
    {"wiped-disk", "disks are lost or put back from old copies: no number is used twice (G10, G32, S13)", LAN,
     false, story_wiped_disk, NULL},
    {"classes", "a flood of one kind of news keeps no other out", LAN, true, story_classes, NULL},
    {"capture", "all that was said is said again after a restart, to one without its disk too (G10)", LAN,
     false, story_capture, NULL},
    {"liars", "a quarter lies as much as its keys allow (G4, G22)", LAN, false, story_lie, NULL},
    {"eclipse", "a host starts among seeds that tell it of liars only, but for one (G21)", LAN, false,
     story_eclipse, NULL},
    {"byzantine", "a twentieth lies, forges and replays at once (G47)", LAN, false, story_byzantine, NULL},
    {"two-faced", "one tells two halves two records with the same numbers (G7)", LAN, false, story_two_faced,
     NULL},
    {"loss", "30 % loss, 10 % doubled, 20 % reordered; a tenth crashes", BAD, true, story_loss, NULL},
    {"policy", "documents published at one host reach all", LAN, false, story_policy, NULL},
    {"bundle", "a signed policy reaches all, one who was away and one who joins", LAN, false, story_publish,
     NULL},
    {"fork", "two bundles of one version at two hosts: all settle on one, with an alarm (B12)", LAN, false,
     story_fork, NULL},
    {"rollback", "up to a quarter offer the old bundle under ever higher numbers (B5)", LAN, false,
     story_replay, NULL},
    {"freeze", "up to a quarter say that they have the newest and do not send it (B8)", LAN, false,
     story_freeze, NULL},
    {"invent", "up to a quarter invent one newer version after another (B21)", LAN, false, story_invent,
     NULL},
    {"revoke", "a key is revoked by policy: all cut it in seconds, for good", LAN, true, story_revoke, NULL},
    {"rollout", "a good or a bad version in steps; members lie, restart, join, are cut off", LAN, true,
     story_rollout, story_rollout_draw},
    {"swarm", "size, network and faults drawn from the seed; then all heals and must agree", LAN, true,
     swarm_play, swarm_draw},
};

const struct scenario *scenario_get(size_t i)
{
    return i < sizeof scenarios / sizeof *scenarios ? &scenarios[i] : NULL;
}

const struct scenario *scenario_find(const char *name)
{
    const struct scenario *s;
    for (size_t i = 0; (s = scenario_get(i)); i++)
        if (strcmp(s->name, name) == 0)
            return s;
    return NULL;
}

bool scenario_goes_on(const struct scenario *s)
{
    return s->play == story_byzantine;
}

struct world *scenario_play(const struct scenario *s, const struct world_config *config)
{
    struct world_config own = *config;
    if (s->draw)
        s->draw(&own);
    if (own.hosts == 0)
        own.hosts = HOSTS_UNLESS_SAID;
    struct world *w = world_new(&own);
    s->play(w);
    oracle_end(w);
    if (!s->may_misjudge && w->figures.false_deaths > 0)
        world_fail(w, "%llu times a host was held dead that ran in a whole network",
                   (unsigned long long)w->figures.false_deaths);
    return w;
}
