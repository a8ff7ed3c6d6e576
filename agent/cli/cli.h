/* The commands. Each takes argv from its own name on and returns the process's exit status: 0 good, 1 refused
 * or failed, 2 usage. Errors go to stderr as one sentence: what, where, what to do. */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "base/buf.h"
#include "base/err.h"
#include "cli/args.h"

enum { EXIT_GOOD = 0, EXIT_REFUSED = 1, EXIT_USAGE = 2 };

int cli_mesh(int argc, char **argv); /* mesh init|key|rotate|sign|show (offline), publish (at an agent) */
int cli_mesh_key(int argc, char **argv);
int cli_mesh_rotate(int argc, char **argv);
int cli_mesh_sign(int argc, char **argv);
int cli_mesh_show(int argc, char **argv);
int cli_mesh_publish(int argc, char **argv);
int cli_token(int argc, char **argv); /* token create */
int cli_policy(
    int argc,
    char **
        argv); /* policy check|test|sign|verify|rollback (offline), publish|show|history|status (at an agent) */
int cli_overlay(
    int argc, char **argv); /* overlay check|sign|verify|end (offline), publish|show|history (at an agent) */
int cli_overlay_publish(int argc, char **argv); /* online.c */
int cli_overlay_show(int argc, char **argv);    /* and the next: overlay_online.c */
int cli_overlay_history(int argc, char **argv);
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
int cli_policy_why(int argc, char **argv); /* why.c */
int cli_policy_diff(int argc, char **argv);
int cli_policy_schema(int argc, char **argv);
json_t *cli_policy_schema_json(void); /* a new reference; NULL: no memory */
int cli_policy_sign(int argc, char **argv);
int cli_policy_verify(int argc, char **argv);
int cli_policy_publish(int argc, char **argv);
int cli_policy_show(int argc, char **argv); /* and the next two: policy_online.c */
int cli_policy_history(int argc, char **argv);
int cli_policy_status(int argc, char **argv);
int cli_policy_rollback(int argc, char **argv); /* policy_rollback.c */
/* The names of a set of features (policy/feature.h); a new reference. */
json_t *cli_features_json(uint64_t set);

struct ask;
/* {epoch, version, hash, signers, text} of an agent's history (0: what is in force; epoch 0: the highest that has it). A new
 * reference; NULL: complained. */
json_t *cli_policy_of(const struct args_command *cmd, const struct ask *a, int64_t version, int64_t epoch);
/* From 1 to 2^63-1. */
bool cli_whole_number(const char *text, int64_t *out);

/* The text with another number in its head; everything else as it was, comments too. ERR_INVALID: it has no such line. */
enum err cli_policy_renumber(struct buf *out, struct bytes text, uint64_t version);
/* `policy sign` of a text that is in no file. */
struct cli_signing {
    const char *ca, *root_file, *passphrase_file, *previous, *out;
    struct args_list keys;
    bool force, json;
};
int cli_policy_sign_text(const struct args_command *cmd, const struct cli_signing *s, struct bytes text);

#endif
