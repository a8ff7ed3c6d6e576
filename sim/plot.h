/* Lines in a coordinate system, as an SVG file written by hand: no library, a few KB, the same bytes for the same
 * numbers. */
#ifndef SIM_PLOT_H
#define SIM_PLOT_H

#include <stdbool.h>
#include <stddef.h>

enum { PLOT_SERIES_MAX = 8, PLOT_POINTS_MAX = 512 };

struct plot_series {
    const char *name;
    bool is_dashed;
    size_t count;
    double x[PLOT_POINTS_MAX], y[PLOT_POINTS_MAX];
};

struct plot {
    const char *title, *x_label, *y_label;
    bool is_x_log, is_y_log; /* then all values must be above 0; smaller ones are left out */
    size_t series_count;
    struct plot_series series[PLOT_SERIES_MAX];
};

struct plot *plot_new(const char *title, const char *x_label, const char *y_label);
void plot_free(struct plot *p);
/* Begins a series; NULL: there are PLOT_SERIES_MAX. `name` must outlive the plot. */
struct plot_series *plot_add(struct plot *p, const char *name);
/* One more point; beyond PLOT_POINTS_MAX they are left out. A NULL series takes none. */
void plot_point(struct plot_series *s, double x, double y);
/* False: the file could not be written (errno says why). */
bool plot_write(const struct plot *p, const char *path);

#endif
