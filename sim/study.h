/* Studies: what is measured over many runs of the simulated mesh, printed as a table and drawn as a plot. A scenario
 * asks whether all is well; a study asks how well. Everything follows from the options, so a table can be made again by
 * the command that made it. */
#ifndef SIM_STUDY_H
#define SIM_STUDY_H

#include "sim/world.h"

enum { STUDY_LIST_MAX = 16 };

struct study_list {
    size_t count; /* 0: the study's own */
    uint32_t at[STUDY_LIST_MAX];
};

struct study_options {
    uint64_t seed;
    uint32_t runs;            /* of each case; 0: the study's own number */
    uint32_t jobs;            /* processes that share the runs (crew.h), at least 1 */
    struct study_list nodes;  /* mesh sizes, one row each */
    struct study_list paused; /* lifeguard: C, how many at once */
    struct study_list on_ms;  /* lifeguard: D, how long */
    struct study_list off_ms; /* lifeguard: I, and how long free between */
    bool is_interval;         /* lifeguard: cycles instead of one pause */
    bool is_compared;         /* lifeguard: a row for each part of Lifeguard alone */
    uint32_t rack;            /* detect: so many die in one instant; 0: one */
    bool is_refused; /* detect: the process dies and its host resets links; else the host falls silent */
    bool is_borrow;  /* lies: they accuse in the names of the honest */
    bool is_shield;  /* lies: they accuse nobody and forge nothing, only shield the gone and withhold news */
    bool is_quiet;   /* lifeguard: no line for each cell of the grid */
    struct wire_config wire; /* of every run */
    struct gossip_config gossip;
    const char *svg; /* NULL: no plot */
};

/* Options that not every study has a use for; one that is given in vain is refused. All take --seed, --without and a network. */
enum study_use {
    USES_SIZE = 1,      /* --nodes, one */
    USES_SIZES = 2,     /* --nodes, several */
    USES_RUNS = 4,      /* --runs */
    USES_JOBS = 8,      /* --jobs */
    USES_QUIET = 16,    /* --quiet */
    USES_SVG = 32,      /* --svg */
    USES_TRACE = 64,    /* --trace */
    USES_DEATHS = 128,  /* --refused, --rack */
    USES_GRID = 256,    /* --interval, --compare, --paused, --on-ms, --off-ms */
    USES_MINUTES = 512, /* --minutes: a scenario that goes on */
    USES_LIES = 1024,   /* --shield, --borrow */
};

struct study {
    const char *name, *about;
    int (*run)(const struct study_options *o); /* returns the exit status */
    unsigned uses;                             /* of enum study_use */
};

const struct study *study_find(const char *name); /* NULL: none of that name */
const struct study *study_get(size_t i);          /* NULL: past the last */

/* `list` if it is given, else these. */
struct study_list study_or(const struct study_list *list, struct study_list own);

/* What SWIM does not have, but for our push of fresh rumors, which a study leaves out where that is what it compares. */
enum { STUDY_NOT_SWIM = GOSSIP_PARTS & ~(GOSSIP_SUSPICION | GOSSIP_EAGER) };

/* "nack,observers": parts of gossip as bits of enum gossip_part, added to *out. False: there is no such part. */
bool study_read_parts(const char *text, uint32_t *out);

/* A mesh of the options' kind whose hosts have all started within a second, `settled` after that. Whether
 * all see all by then is for the caller to ask. */
struct world *study_mesh(const struct study_options *o, uint32_t hosts, uint64_t seed, mono_us settled);
/* The same without the join: its hosts know one another since long. */
struct world *study_old_mesh(const struct study_options *o, uint32_t hosts, uint64_t seed, mono_us settled);
/* The same from its first moment, and its last host has missed the newest record of so many others. */
struct world *study_old_mesh_but(const struct study_options *o, uint32_t hosts, uint64_t seed,
                                 uint32_t missed);
/* Writes the plot where the options say, if they do. Returns the exit status. */
struct plot;
int study_plot(const struct study_options *o, const struct plot *p);

int lifeguard_run(const struct study_options *o);
int measure_detect(const struct study_options *o);
int measure_degraded(const struct study_options *o);
int measure_update(const struct study_options *o);
int measure_rest(const struct study_options *o);
int measure_join_all(const struct study_options *o);
int measure_coordinates(const struct study_options *o);
int measure_liars(const struct study_options *o);
int measure_document(const struct study_options *o);
int measure_publish(const struct study_options *o);
int measure_repair(const struct study_options *o);
int measure_failure(const struct study_options *o);
int measure_swim(const struct study_options *o);
int measure_swim_loss(const struct study_options *o);
int measure_apart(const struct study_options *o);

#endif
