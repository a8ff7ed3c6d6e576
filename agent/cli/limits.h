/* --service and --label, as `token create` and `enrol` take them. */
#ifndef CLI_LIMITS_H
#define CLI_LIMITS_H

#include "cli/args.h"
#include "trust/trust.h"

struct limits {
    size_t service_count;
    struct bytes service[CREDENTIAL_SERVICES_MAX]; /* "*" alone: any */
    struct labels labels;
};
/* Each value may hold several, separated by commas. ARGS_GO, or the exit status of a complaint that was printed. Slices
 * borrow from argv. */
int limits_read(const struct args_command *cmd, const struct args_list *services,
                const struct args_list *labels, struct limits *out);

/* May this key enrol in this mesh, alone, at this time? */
must_check enum err limits_check_key(const struct root *root, const struct sign_key *enrol, wall_s now,
                                     struct buf *why);

/* What a host of these services adds to the command that starts its agent: " --service web=PORT" for each. */
void limits_print_start(const struct bytes *service, size_t count);

#endif
