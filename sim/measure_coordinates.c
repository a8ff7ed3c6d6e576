/* How well coordinates foretell round trips: hosts in zones, over time after a start and after one zone has moved; in a
 * good network, with loss, and with liars among the members. Judged between honest hosts, by where they say they are. */
#include <stdio.h>
#include <stdlib.h>

#include "gossip/coordinate.h"
#include "sim/faults.h"
#include "sim/liars.h"
#include "sim/measure.h"
#include "sim/must.h"

enum {
    NODES = 100,
    ZONES = 4,
    ZONE_DELAY_US = 20 * 1000,
    MOVE_US = 15 * 1000, /* each way between the moved zone and the others */
    MOVED_ZONE = 1,
    LOSS_PPM = 100 * 1000,
    LIAR_SHARE = 10,
};
static const uint32_t marks_s[] = {5, 10, 20, 30, 60, 120, 300};
enum { MARKS = sizeof marks_s / sizeof *marks_s };

enum kind { GOOD, LOSSY, LIED_TO, KINDS };
static const char *const kind_text[] = {"good", "10 % lost", "10 % lie"};

static uint32_t true_us(const struct world *w, uint32_t a, uint32_t b)
{
    const struct wire *wire = &w->wire;
    uint8_t za = wire->host[a].zone, zb = wire->host[b].zone;
    uint32_t us = 2 * wire->config.delay_us;
    return za == zb ? us : us + wire->way[za][zb].delay_us + wire->way[zb][za].delay_us;
}

struct errors {
    struct samples permille, us; /* of each pair */
    uint32_t unknown;
};

static void judge_pair(const struct world *w, uint32_t a, uint32_t b, struct errors *e)
{
    struct gossip_coordinate from = gossip_own_coordinate(w->host[a].gossip),
                             to = gossip_own_coordinate(w->host[b].gossip);
    uint32_t told = coordinate_rtt_us(&from, &to), real = true_us(w, a, b);
    uint32_t off = told > real ? told - real : real - told;
    if (told == 0) {
        e->unknown++;
        return;
    }
    samples_add(&e->us, off);
    samples_add(&e->permille, (mono_us)off * 1000 / real);
}

static struct errors judge(const struct world *w)
{
    struct errors e = {.unknown = 0};
    for (uint32_t a = 0; a < w->config.hosts; a++)
        for (uint32_t b = 0; b < a; b++)
            if (!liars_has(w, a) && !liars_has(w, b))
                judge_pair(w, a, b, &e);
    return e;
}

static void move_zone(struct world *w)
{
    for (uint32_t z = 0; z < w->config.wire.zones; z++)
        if (z != MOVED_ZONE) {
            w->wire.way[z][MOVED_ZONE].delay_us += MOVE_US;
            w->wire.way[MOVED_ZONE][z].delay_us += MOVE_US;
        }
}

static void lie(struct world *w)
{
    bool *chosen = must_zeros(w->config.hosts, sizeof *chosen);
    faults_choose(w, 1, w->config.hosts / LIAR_SHARE, chosen);
    liars_begin(w, chosen, LIARS_COORDINATE, SEC(1));
    free(chosen);
}

static void print_row(const char *kind, const char *since, uint32_t s, struct errors *e)
{
    printf("%-10s %-12s %4u %10.1f %8.1f %12.2f %8.2f %8u\n", kind, since, s,
           (double)samples_permille(&e->permille, 500) / 10, (double)samples_permille(&e->permille, 950) / 10,
           measure_ms(&e->us, 500), measure_ms(&e->us, 950), e->unknown);
    fflush(stdout);
}

/* The marks after one change; returns when the last was. */
static void follow(struct world *w, enum kind kind, const char *since, uint32_t offset_s,
                   struct plot_series *median, struct plot_series *most)
{
    mono_us start = w->now;
    for (size_t m = 0; m < MARKS; m++) {
        world_run(w, start + SEC(marks_s[m]) - w->now);
        struct errors e = judge(w);
        print_row(kind_text[kind], since, marks_s[m], &e);
        if (e.permille.count > 0) {
            plot_point(median, offset_s + marks_s[m], (double)samples_permille(&e.permille, 500) / 10);
            plot_point(most, offset_s + marks_s[m], (double)samples_permille(&e.permille, 950) / 10);
        }
        samples_fini(&e.permille);
        samples_fini(&e.us);
    }
}

static bool coordinates_once(const struct study_options *o, uint32_t nodes, enum kind kind,
                             struct plot_series *median, struct plot_series *most)
{
    struct study_options own = *o;
    if (own.wire.zones <= 1) {
        own.wire.zones = ZONES;
        own.wire.zone_delay_us = ZONE_DELAY_US;
    }
    own.wire.loss_ppm = kind == LOSSY ? LOSS_PPM : own.wire.loss_ppm;
    struct world *w = study_mesh(&own, nodes, o->seed, 0);
    if (kind == LIED_TO)
        lie(w);
    follow(w, kind, "its start", 0, median, most);
    move_zone(w);
    follow(w, kind, "a zone moved", marks_s[MARKS - 1], median, most);
    bool is_well = measure_is_well(w, nodes);
    world_free(w);
    return is_well;
}

int measure_coordinates(const struct study_options *o)
{
    struct study_list nodes = study_or(&o->nodes, (struct study_list){1, {NODES}});
    struct plot *p =
        plot_new("What coordinates foretell; at 300 s a zone moves", "seconds", "% off the true round trip");
    char names[2 * KINDS][48];
    int failed = 0;
    p->is_y_log = true;
    printf("                                %% off the truth        ms off          pairs\n"
           "network    seconds after         50 %%     95 %%         50 %%     95 %%   unknown\n");
    for (size_t i = 0; i < nodes.count; i++)
        for (int k = 0; k < KINDS; k++) {
            snprintf(names[2 * k], sizeof names[0], "%s: half", kind_text[k]);
            snprintf(names[2 * k + 1], sizeof names[0], "%s: 95 %%", kind_text[k]);
            struct plot_series *median = i == 0 ? plot_add(p, names[2 * k]) : NULL,
                               *most = i == 0 ? plot_add(p, names[2 * k + 1]) : NULL;
            if (most)
                most->is_dashed = true;
            failed += !coordinates_once(o, nodes.at[i], (enum kind)k, median, most);
        }
    int status = study_plot(o, p);
    plot_free(p);
    return failed ? 1 : status;
}
