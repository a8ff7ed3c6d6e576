#include "sim/study.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "sim/plot.h"

static const struct study studies[] = {
    {"lifeguard", "the Lifeguard paper's experiments: false positives and detection while members pause",
     lifeguard_run, USES_RUNS | USES_JOBS | USES_QUIET | USES_SVG | USES_GRID},
    {"detect", "one silent death after another: when each member knows", measure_detect,
     USES_SIZES | USES_RUNS | USES_SVG | USES_DEATHS},
    {"degraded", "members that come and go, or lose most packets: who is marked, and for how long",
     measure_degraded, USES_SIZES | USES_RUNS},
    {"update", "one member publishes: when each other has it, and what that costs", measure_update,
     USES_SIZES | USES_RUNS | USES_SVG},
    {"rest-cost", "nothing happens, then one changes its record: bytes, messages, memory and CPU of each",
     measure_rest, USES_SIZES | USES_SVG},
    {"join-all", "all start at once with one seed: when all see all", measure_join_all,
     USES_SIZES | USES_RUNS | USES_SVG},
    {"coordinates", "how well coordinates foretell round trips, after a start and after a zone moved",
     measure_coordinates, USES_SIZES | USES_SVG},
    {"document", "a document of 256 KiB over lines of 100 Mbit/s: when each member has it", measure_document,
     USES_SIZES | USES_RUNS | USES_SVG},
    {"publish",
     "a signed policy to all: alone, two of one version, and while a tenth replay, withhold or invent "
     "versions",
     measure_publish, USES_SIZES | USES_RUNS},
    {"repair", "one member misses some records: what it costs to give them to it", measure_repair,
     USES_SIZES | USES_RUNS | USES_SVG},
    {"mass-failure", "1 to 95 % fail at once: what the others still hear, and when they know",
     measure_failure, USES_SIZE | USES_RUNS | USES_SVG},
    {"swim", "SWIM's experiments: load, first detection and spread of a death against the size of the mesh",
     measure_swim, USES_SIZES | USES_RUNS | USES_SVG},
    {"swim-loss", "SWIM's experiments: false deaths against loss, with and without suspicion",
     measure_swim_loss, USES_SIZE | USES_RUNS | USES_SVG},
    {"apart", "halves that lived apart for a minute up to a week: when they are one again", measure_apart,
     USES_SIZE | USES_RUNS},
    {"lies", "some members lie as much as their keys allow: what they achieve, against their share",
     measure_liars, USES_SIZE | USES_RUNS | USES_SVG | USES_LIES},
};

const struct study *study_get(size_t i)
{
    return i < sizeof studies / sizeof *studies ? &studies[i] : NULL;
}

const struct study *study_find(const char *name)
{
    const struct study *s;
    for (size_t i = 0; (s = study_get(i)); i++)
        if (strcmp(s->name, name) == 0)
            return s;
    return NULL;
}

struct study_list study_or(const struct study_list *list, struct study_list own)
{
    return list->count > 0 ? *list : own;
}

bool study_read_parts(const char *text, uint32_t *out)
{
    static const struct {
        const char *name;
        enum gossip_part part;
    } parts[] = {
        {"local-health", GOSSIP_LOCAL_HEALTH},
        {"nack", GOSSIP_NACK},
        {"confirmations", GOSSIP_CONFIRMATIONS},
        {"tell-suspect", GOSSIP_TELL_SUSPECT},
        {"verify", GOSSIP_VERIFY},
        {"observers", GOSSIP_OBSERVERS},
        {"eager", GOSSIP_EAGER},
        {"lateness", GOSSIP_LATENESS},
        {"rtt", GOSSIP_RTT},
        {"explore", GOSSIP_EXPLORE},
        {"refusal", GOSSIP_REFUSAL},
        {"degrade", GOSSIP_DEGRADE},
        {"repeat", GOSSIP_REPEAT},
        {"suspicion", GOSSIP_SUSPICION},
        {"ration", GOSSIP_RATION},
    };
    for (;; text++) {
        size_t len = strcspn(text, ","), i = 0, count = sizeof parts / sizeof *parts;
        while (i < count && (strlen(parts[i].name) != len || strncmp(parts[i].name, text, len) != 0))
            i++;
        if (i == count)
            return false;
        *out |= parts[i].part;
        text += len;
        if (!*text)
            return true;
    }
}

static struct world *new_world(const struct study_options *o, uint32_t hosts, uint64_t seed)
{
    struct world_config config = {.hosts = hosts, .seed = seed, .wire = o->wire, .gossip = o->gossip};
    struct world *w = world_new(&config);
    w->is_sockets_first = true;
    return w;
}

struct world *study_old_mesh(const struct study_options *o, uint32_t hosts, uint64_t seed, mono_us settled)
{
    struct world *w = new_world(o, hosts, seed);
    world_acquaint(w);
    world_run(w, settled);
    return w;
}

struct world *study_old_mesh_but(const struct study_options *o, uint32_t hosts, uint64_t seed,
                                 uint32_t missed)
{
    struct world *w = new_world(o, hosts, seed);
    world_acquaint_but(w, missed);
    return w;
}

struct world *study_mesh(const struct study_options *o, uint32_t hosts, uint64_t seed, mono_us settled)
{
    struct world *w = new_world(o, hosts, seed);
    for (uint32_t h = 0; h < hosts; h++)
        world_after(w, rng_below(&w->rng, (uint32_t)SEC(1)), h, host_start);
    world_run(w, SEC(1) + settled);
    return w;
}

int study_plot(const struct study_options *o, const struct plot *p)
{
    if (!o->svg || plot_write(p, o->svg))
        return 0;
    fprintf(stderr, "starling-sim: %s: %s\n", o->svg, strerror(errno));
    return 1;
}
