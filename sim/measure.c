#include "sim/measure.h"

#include <stdio.h>

const struct study_list measure_nodes = {5, {50, 100, 200, 400, 1000}};

bool measure_is_well(const struct world *w, uint32_t hosts)
{
    if (world_is_well(w))
        return true;
    printf("FAILED: %u nodes: %s\n", hosts, w->failure);
    return false;
}

static bool sees_all(const struct world *w, uint32_t host)
{
    return w->host[host].gossip && gossip_counts(w->host[host].gossip).alive == w->config.hosts;
}

uint32_t measure_count_seeing_all(const struct world *w)
{
    uint32_t n = 0;
    for (uint32_t h = 0; h < w->config.hosts; h++)
        n += sees_all(w, h);
    return n;
}

double measure_ms(struct samples *s, unsigned permille)
{
    return (double)samples_permille(s, permille) / 1000;
}

void measure_print_quartet(struct samples *s)
{
    printf(" %8.1f %8.1f %8.1f %8.1f", measure_ms(s, 500), measure_ms(s, 990), measure_ms(s, 999),
           measure_ms(s, 1000));
}

/* The share of samples that are done by then: 100 points. */
void measure_plot(struct plot_series *line, struct samples *s, double unit_us)
{
    for (unsigned permille = 0; s->count > 0 && permille <= 1000; permille += 10)
        plot_point(line, (double)samples_permille(s, permille) / unit_us, permille / 10.0);
}

char *measure_label(char *space, size_t cap, uint32_t nodes, const char *what)
{
    snprintf(space, cap, "%s, N = %u", what, nodes);
    return space;
}
