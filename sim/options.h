/* What starling-sim was asked for: the command line, read once, and printed again for a replay. */
#ifndef SIM_OPTIONS_H
#define SIM_OPTIONS_H

#include "sim/scenario.h"
#include "sim/study.h"

enum { OPTIONS_WIRE_MAX = 16 };

struct options {
    const struct scenario *scenario; /* one of the two */
    const struct study *study;
    uint32_t hosts, runs, minutes; /* 0: not given */
    uint64_t seed;
    bool is_printed, is_quiet;
    const char *without; /* as given; NULL: not */
    uint32_t given;      /* a bit for each option that is not of the network, in the table's order */
    uint32_t wire[OPTIONS_WIRE_MAX]; /* as given, in the option's unit; UINT32_MAX: not given */
    struct study_options ask;        /* of the study */
};

/* Returns -1 to go on, else the exit status: something was printed that ends the matter. */
int options_read(struct options *o, int argc, char **argv);
/* `own`, changed as the options say. */
struct wire_config options_wire(const struct options *o, struct wire_config own);
/* The one line that plays this run again. */
void options_print_replay(const struct options *o, uint64_t seed);

#endif
