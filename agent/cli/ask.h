/* A question to a running agent over its Unix socket, and its answer. */
#ifndef CLI_ASK_H
#define CLI_ASK_H

#include <jansson.h>

#include "cli/args.h"

enum { ASK_TIMEOUT_S = 30 };

struct ask {
    const char *data; /* --data; NULL: STARLING_DATA, or /var/lib/starling */
    bool json;
};
#define ASK_OPTIONS(a)                                                                                       \
    {"data", 0, "DIR", "the agent's data folder (STARLING_DATA, or /var/lib/starling)", .text = &(a).data},  \
    {                                                                                                        \
        "json", 0, NULL, "print JSON", .flag = &(a).json                                                     \
    }

/* Sends `request` (a reference is taken) and returns the result as a new reference; NULL: a complaint was
 * printed. With `until_gone_s` it then waits until the agent's process has ended, at most that many
 * seconds, so that another can be started on its data folder. */
json_t *ask_agent(const struct args_command *cmd, const struct ask *a, json_t *request_take,
                  unsigned until_gone_s);

#endif
