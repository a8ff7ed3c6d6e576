/* What the measuring studies (measure_*.c) have in common: each takes one thing at a time in a mesh that is otherwise at
 * rest, and prints a row of its table for each size of mesh. */
#ifndef SIM_MEASURE_H
#define SIM_MEASURE_H

#include "sim/plot.h"
#include "sim/study.h"

enum { SETTLE_S = 20 }; /* from the start of a mesh until it is at rest */

extern const struct study_list measure_nodes; /* the sizes unless the options say others */

/* False, with the failure printed: the run is to be counted as failed. */
bool measure_is_well(const struct world *w, uint32_t hosts);
/* Hosts that hold every host alive. */
uint32_t measure_count_seeing_all(const struct world *w);
double measure_ms(struct samples *s, unsigned permille);
/* 50 %, 99 %, 99.9 %, all; in milliseconds. */
void measure_print_quartet(struct samples *s);
/* The share of samples that are done by then: 101 points. A NULL line takes none. */
void measure_plot(struct plot_series *line, struct samples *s, double unit_us);
char *measure_label(char *space, size_t cap, uint32_t nodes, const char *what);

#endif
