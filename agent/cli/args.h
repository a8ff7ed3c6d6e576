/* Options of a command, as a table: parsing, --help, and errors that say what to do. Every command uses it.
 *
 *   static const struct args_option options[] = {
 *       {"ca", 0, "DIR", "folder of the mesh's keys", .text = &ca, .required = true},
 *       {"ttl", 0, "TIME", "how long the token may be used (24h)", .seconds = &ttl},
 *       {"label", 0, "KEY=VALUE", "may be repeated", .list = &labels},
 *       {"force", 'f', NULL, "replace what is there", .flag = &force},
 *   };
 *
 * Understood: --name value, --name=value, -o value, -ovalue, "--" before operands; options and operands in
 * any order. Every command has --help. An option given twice is refused unless it is a list; an unknown one
 * is answered with the nearest. */
#ifndef CLI_ARGS_H
#define CLI_ARGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

enum { ARGS_LIST_MAX = 64 }; /* values of a repeated option, or operands; one more is a usage error */

struct args_list {
    size_t count;
    const char *at[ARGS_LIST_MAX]; /* borrowed from argv */
};

struct args_option {
    const char *name;  /* without its dashes */
    char letter;       /* its short form, or 0 */
    const char *value; /* what --help calls its value; NULL for a flag */
    const char *help;
    /* Where it goes: exactly one of these. What is there before stands when the option is not given. */
    bool *flag;
    const char **text;
    int64_t *seconds; /* "90s", "30m", "24h", "7d" */
    struct args_list *list;
    bool required;
};

struct args_command {
    const char *name;     /* as typed: "token create" */
    const char *operands; /* for the usage line: "FILE ..."; NULL: takes none */
    const char *about;    /* one or a few lines */
    const struct args_option *option;
    size_t option_count;
    size_t operands_min, operands_max;
};

/* Parses argv[1..argc). ARGS_GO: everything is filled in. Otherwise help or a complaint was printed, and this
 * is the exit status. `operands` may be NULL when the command takes none. */
enum { ARGS_GO = -1 };
int args_parse(const struct args_command *cmd, int argc, char **argv, struct args_list *operands);

/* Prints "starling NAME: <sentence>" and a hint at --help to stderr; returns EXIT_USAGE. */
__attribute__((format(printf, 2, 3))) int args_usage(const struct args_command *cmd, const char *fmt, ...);
/* Prints "starling NAME: <sentence>" to stderr; returns EXIT_REFUSED. */
__attribute__((format(printf, 2, 3))) int args_refused(const struct args_command *cmd, const char *fmt, ...);
/* How a command ends: EXIT_GOOD, or for an error EXIT_REFUSED after args_refused() with the sentence in `why`, or with what the error means
 * if there is none. Frees what is in `why`. */
int args_end(const struct args_command *cmd, enum err err, struct buf *why);

/* "90s", "30m", "24h", "7d"; above 0, at most 100 years. */
bool args_seconds(const char *text, int64_t *out);
/* The candidate nearest to a mistyped word (at most two edits away, or beginning with it), or NULL. */
const char *args_nearest(const char *word, const char *const *candidate, size_t count);

#endif
