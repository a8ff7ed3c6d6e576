/* Commands that ask an agent one question and print its answer. In online.c. */
#ifndef CLI_REPORT_H
#define CLI_REPORT_H

#include "cli/ask.h"

/* Asks, and prints the result by `print`, or as JSON. Takes the question's reference. Returns the exit status. */
int report_of(const struct args_command *cmd, const struct ask *a, json_t *question_take,
              void (*print)(const json_t *));
/* The same, of a question that is but a name. */
int report_with(const struct args_command *cmd, const struct ask *a, const char *name,
                void (*print)(const json_t *));

#endif
