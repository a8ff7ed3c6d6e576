/* What is in force at a running agent, compiled here: the policy and the parts that delegates signed, as the agent has put them
 * together. An overlay is not of it. */
#ifndef CLI_IN_FORCE_H
#define CLI_IN_FORCE_H

#include "cli/ask.h"
#include "policy/policy.h"

/* *p: a reference for the caller; NULL: nothing is in force, or what this version cannot read. False: no answer, and a complaint
 * was printed. */
bool in_force_ask(const struct args_command *cmd, const struct ask *a, struct policy **p);
/* Likewise what is being rolled out, whether it is in force there yet or not; NULL: nothing is. */
bool in_force_ask_staged(const struct args_command *cmd, const struct ask *a, struct policy **p);

#endif
