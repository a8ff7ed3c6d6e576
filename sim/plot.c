#include "sim/plot.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <stdlib.h>

#include "sim/must.h"

enum { WIDTH = 640, HEIGHT = 400, LEFT = 64, RIGHT = 16, TOP = 36, BOTTOM = 48, TICKS_MAX = 16 };

/* Okabe and Ito's colours, which most eyes can tell apart. */
static const char *const colour[PLOT_SERIES_MAX] = {"#0072b2", "#d55e00", "#009e73", "#cc79a7",
                                                    "#e69f00", "#56b4e9", "#000000", "#999999"};

struct axis {
    bool is_log;
    double low, high; /* of the values, or of their logarithms */
    int from, length; /* in the picture; upwards if the length is negative */
};

struct plot *plot_new(const char *title, const char *x_label, const char *y_label)
{
    struct plot *p = must_zeros(1, sizeof *p);
    p->title = title;
    p->x_label = x_label;
    p->y_label = y_label;
    return p;
}

void plot_free(struct plot *p)
{
    free(p);
}

struct plot_series *plot_add(struct plot *p, const char *name)
{
    if (p->series_count == PLOT_SERIES_MAX)
        return NULL;
    p->series[p->series_count].name = name;
    return &p->series[p->series_count++];
}

void plot_point(struct plot_series *s, double x, double y)
{
    if (!s || s->count == PLOT_POINTS_MAX)
        return;
    s->x[s->count] = x;
    s->y[s->count++] = y;
}

/* ---- axes ---- */

static double scaled(const struct axis *a, double v)
{
    return a->is_log ? log10(v) : v;
}

static double place(const struct axis *a, double v)
{
    return a->from + a->length * (scaled(a, v) - a->low) / (a->high - a->low);
}

static bool is_shown(const struct axis *a, double v)
{
    return !a->is_log || v > 0;
}

static void stretch(struct axis *a, double v)
{
    if (!is_shown(a, v))
        return;
    if (scaled(a, v) < a->low)
        a->low = scaled(a, v);
    if (scaled(a, v) > a->high)
        a->high = scaled(a, v);
}

/* Whole decades on a logarithmic axis; from zero to a round number on a linear one. */
static double round_step(double range)
{
    double unit = pow(10, floor(log10(range > 0 ? range : 1)));
    double parts = range / unit;
    return unit * (parts <= 2 ? 0.5 : parts <= 5 ? 1 : 2);
}

static void settle(struct axis *a)
{
    if (a->low > a->high)
        a->low = a->high = 0;
    if (a->is_log) {
        a->low = floor(a->low);
        a->high = ceil(a->high);
    } else {
        double step = round_step(a->high);
        a->low = a->low > 0 ? 0 : a->low;
        a->high = ceil(a->high / step) * step;
    }
    if (a->high <= a->low)
        a->high = a->low + 1;
}

static int ticks(const struct axis *a, double *at)
{
    int n = 0;
    double step = a->is_log ? 1 : round_step(a->high);
    for (double v = a->low; v <= a->high + step / 1000 && n < TICKS_MAX; v += step)
        at[n++] = a->is_log ? pow(10, v) : v;
    return n;
}

/* ---- the picture ---- */

static void write_axes(FILE *f, const struct plot *p, const struct axis *x, const struct axis *y)
{
    double at[TICKS_MAX];
    for (int i = 0, n = ticks(x, at); i < n; i++) {
        fprintf(f, "<path class=\"g\" d=\"M%.1f %d V%d\"/>\n", place(x, at[i]), TOP, HEIGHT - BOTTOM);
        fprintf(f, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%g</text>\n", place(x, at[i]),
                HEIGHT - BOTTOM + 16, at[i]);
    }
    for (int i = 0, n = ticks(y, at); i < n; i++) {
        fprintf(f, "<path class=\"g\" d=\"M%d %.1f H%d\"/>\n", LEFT, place(y, at[i]), WIDTH - RIGHT);
        fprintf(f, "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%g</text>\n", LEFT - 6, place(y, at[i]) + 4,
                at[i]);
    }
    fprintf(f, "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">%s</text>\n", (LEFT + WIDTH - RIGHT) / 2,
            HEIGHT - 12, p->x_label);
    fprintf(f, "<text x=\"16\" y=\"%d\" text-anchor=\"middle\" transform=\"rotate(-90 16 %d)\">%s</text>\n",
            (TOP + HEIGHT - BOTTOM) / 2, (TOP + HEIGHT - BOTTOM) / 2, p->y_label);
    fprintf(f, "<text x=\"%d\" y=\"20\" font-weight=\"bold\">%s</text>\n", LEFT, p->title);
}

static void write_series(FILE *f, const struct plot *p, size_t i, const struct axis *x, const struct axis *y)
{
    const struct plot_series *s = &p->series[i];
    fprintf(f, "<polyline fill=\"none\" stroke=\"%s\" stroke-width=\"2\"%s points=\"", colour[i],
            s->is_dashed ? " stroke-dasharray=\"6 4\"" : "");
    for (size_t k = 0; k < s->count; k++)
        if (is_shown(x, s->x[k]) && is_shown(y, s->y[k]))
            fprintf(f, "%.1f,%.1f ", place(x, s->x[k]), place(y, s->y[k]));
    fprintf(f, "\"/>\n");
    for (size_t k = 0; s->count <= 16 && k < s->count; k++)
        if (is_shown(x, s->x[k]) && is_shown(y, s->y[k]))
            fprintf(f, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3\" fill=\"%s\"/>\n", place(x, s->x[k]),
                    place(y, s->y[k]), colour[i]);
}

enum { LEGEND = LEFT + (WIDTH - LEFT - RIGHT) * 2 / 5 };

/* In the upper middle, where these curves have least to say, and on a ground of its own. */
static void write_legend(FILE *f, const struct plot *p)
{
    size_t letters = 0;
    for (size_t i = 0; i < p->series_count; i++)
        letters = strlen(p->series[i].name) > letters ? strlen(p->series[i].name) : letters;
    fprintf(f, "<rect x=\"%d\" y=\"%d\" width=\"%zu\" height=\"%zu\" fill=\"#fff\" fill-opacity=\"0.85\"/>\n",
            LEGEND, TOP + 2, 40 + 7 * letters, 16 * p->series_count + 6);
    for (size_t i = 0; i < p->series_count; i++) {
        const struct plot_series *s = &p->series[i];
        int at = TOP + 16 + 16 * (int)i;
        fprintf(f, "<path d=\"M%d %d h20\" stroke=\"%s\" stroke-width=\"2\"%s/>\n", LEGEND + 6, at - 4,
                colour[i], s->is_dashed ? " stroke-dasharray=\"6 4\"" : "");
        fprintf(f, "<text x=\"%d\" y=\"%d\">%s</text>\n", LEGEND + 32, at, s->name);
    }
}

static void write_all(FILE *f, const struct plot *p)
{
    struct axis x = {p->is_x_log, INFINITY, -INFINITY, LEFT, WIDTH - LEFT - RIGHT};
    struct axis y = {p->is_y_log, INFINITY, -INFINITY, HEIGHT - BOTTOM, -(HEIGHT - TOP - BOTTOM)};
    for (size_t i = 0; i < p->series_count; i++)
        for (size_t k = 0; k < p->series[i].count; k++) {
            stretch(&x, p->series[i].x[k]);
            stretch(&y, p->series[i].y[k]);
        }
    settle(&x);
    settle(&y);
    fprintf(f,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" font-family=\"sans-serif\" "
            "font-size=\"12\">\n",
            WIDTH, HEIGHT);
    fprintf(f, "<style>.g{stroke:#ddd}</style>\n<rect width=\"%d\" height=\"%d\" fill=\"#fff\"/>\n", WIDTH,
            HEIGHT);
    write_axes(f, p, &x, &y);
    for (size_t i = 0; i < p->series_count; i++)
        write_series(f, p, i, &x, &y);
    write_legend(f, p);
    fprintf(f, "</svg>\n");
}

bool plot_write(const struct plot *p, const char *path)
{
    FILE *f = fopen(path, "w");
    if (!f)
        return false;
    write_all(f, p);
    bool is_written = !ferror(f);
    return fclose(f) == 0 && is_written;
}
