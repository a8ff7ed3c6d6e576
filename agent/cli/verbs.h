/* A word that leads to other words: `starling`, and its groups `policy`, `mesh`, `mesh key`, `token`, `enrol`. Their help, and what is
 * said to a mistyped word, are made from the table. */
#ifndef CLI_VERBS_H
#define CLI_VERBS_H

#include <stddef.h>

struct verb {
    const char *name, *about; /* about: one line */
    int (*run)(int argc, char **argv);
};

struct verb_group {
    const char *name;        /* as typed: "starling policy" */
    const char *what;        /* what the next word is, in capitals: "VERB" */
    const char *intro, *end; /* a line before the table, a sentence behind it; either may be NULL */
    const struct verb *verb;
    size_t count; /* at most VERBS_MAX */
};
enum { VERBS_MAX = 32 };

/* Runs the verb that argv[1] names, with argv from that word on, and returns its exit status. Without a word, or with --help: the table,
 * with status 2 or 0; an unknown word: the nearest, and 2. */
int verbs_run(const struct verb_group *g, int argc, char **argv);

#endif
