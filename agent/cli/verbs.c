#include "cli/verbs.h"

#include <stdio.h>
#include <string.h>

#include "cli/args.h"
#include "cli/cli.h"

static int print_help(FILE *to, const struct verb_group *g, int status)
{
    fprintf(to, "usage: %s %s [options]\n\n", g->name, g->what);
    if (g->intro)
        fprintf(to, "%s\n\n", g->intro);
    for (size_t i = 0; i < g->count; i++)
        fprintf(to, "  %-10s %s\n", g->verb[i].name, g->verb[i].about);
    fprintf(to, "\n%s%s%s %s --help tells more.\n", g->end ? g->end : "", g->end ? " " : "", g->name,
            g->what);
    return status;
}

static int unknown(const struct verb_group *g, const char *word)
{
    const char *names[VERBS_MAX];
    for (size_t i = 0; i < g->count; i++)
        names[i] = g->verb[i].name;
    const char *nearest = args_nearest(word, names, g->count);
    fprintf(stderr, "%s: there is no command \"%s\"%s%s%s\ntry: %s --help\n", g->name, word,
            nearest ? "; did you mean " : "", nearest ? nearest : "", nearest ? "?" : "", g->name);
    return EXIT_USAGE;
}

int verbs_run(const struct verb_group *g, int argc, char **argv)
{
    if (argc < 2)
        return print_help(stderr, g, EXIT_USAGE);
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0)
        return print_help(stdout, g, EXIT_GOOD);
    for (size_t i = 0; i < g->count; i++)
        if (strcmp(argv[1], g->verb[i].name) == 0)
            return g->verb[i].run(argc - 1, argv + 1);
    return unknown(g, argv[1]);
}
