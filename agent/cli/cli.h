/* The commands. Each takes argv from its own name on and returns the process's exit status: 0 good, 1 refused
 * or failed, 2 usage. Errors go to stderr as one sentence: what, where, what to do. */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <stdint.h>

#include <jansson.h>

enum { EXIT_GOOD = 0, EXIT_REFUSED = 1, EXIT_USAGE = 2 };

int cli_mesh(int argc, char **argv); /* mesh init|key|rotate|sign|show (offline), publish (at an agent) */
int cli_mesh_key(int argc, char **argv);
int cli_mesh_rotate(int argc, char **argv);
int cli_mesh_sign(int argc, char **argv);
int cli_mesh_show(int argc, char **argv);
int cli_mesh_publish(int argc, char **argv);
int cli_token(int argc, char **argv); /* token create */
int cli_policy(int argc,
               char **argv); /* policy check|test|sign|verify (offline), publish|show (at an agent) */
int cli_enrol(int argc, char **argv); /* enrol request|sign (offline) */
int cli_agent(int argc, char **argv); /* agent */
/* At a running agent, over its Unix socket (online.c): */
int cli_status(int argc, char **argv);
int cli_members(int argc, char **argv);
int cli_services(int argc, char **argv);
int cli_why(int argc, char **argv);
int cli_leave(int argc, char **argv);
int cli_renew(int argc, char **argv); /* enrol.c */
int cli_reload(int argc, char **argv);
/* The verbs of policy that policy.c does not do itself: offline in policy_sign.c, at an agent in online.c. */
int cli_policy_fmt(int argc, char **argv);
int cli_policy_diff(int argc, char **argv);
int cli_policy_schema(int argc, char **argv);
json_t *cli_policy_schema_json(void); /* a new reference; NULL: no memory */
int cli_policy_sign(int argc, char **argv);
int cli_policy_verify(int argc, char **argv);
int cli_policy_publish(int argc, char **argv);
int cli_policy_show(int argc, char **argv);
/* The names of a set of features (policy/feature.h); a new reference. */
json_t *cli_features_json(uint64_t set);

#endif
