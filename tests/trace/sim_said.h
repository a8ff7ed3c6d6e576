/* What starling-sim is told, as a line of words, and what it says to that. */
#ifndef TESTS_SIM_SAID_H
#define TESTS_SIM_SAID_H

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sim/options.h"

enum { WORDS_MAX = 32, GOES_ON = -1 };

/* Reads the words as the command line (options_read()). */
static inline int read_line(struct options *o, const char *line)
{
    static char text[512];
    char *argv[WORDS_MAX] = {"starling-sim"};
    int argc = 1;
    assert_true(strlen(line) < sizeof text);
    snprintf(text, sizeof text, "%s", line);
    for (char *word = strtok(text, " \n"); word; word = strtok(NULL, " \n")) {
        assert_in_range(argc, 1, WORDS_MAX - 2);
        argv[argc++] = word;
    }
    optind = 0; /* begins anew */
    opterr = 0;
    return options_read(o, argc, argv);
}

/* What `act` prints to this descriptor; to be freed. */
static inline char *said_to(int descriptor, void (*act)(void *arg), void *arg)
{
    FILE *file = tmpfile();
    int before = dup(descriptor);
    assert_non_null(file);
    fflush(NULL);
    assert_true(before >= 0 && dup2(fileno(file), descriptor) >= 0);
    act(arg);
    fflush(NULL);
    dup2(before, descriptor);
    close(before);
    off_t len = lseek(fileno(file), 0, SEEK_END);
    char *text = malloc((size_t)len + 1);
    assert_non_null(text);
    assert_int_equal(pread(fileno(file), text, (size_t)len, 0), len);
    text[len] = 0;
    fclose(file);
    return text;
}

#endif
