/* starling: dispatch to the commands of cli/cli.h. */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/verbs.h"
#include "trust/sign.h"

static const struct verb commands[] = {
    {"mesh",
     "init, key, rotate, sign, show: the keys of a mesh and its root of trust (offline); publish (at an "
     "agent)",
     cli_mesh},
    {"token", "create: make a token that enrols hosts (offline)", cli_token},
    {"enrol", "request, sign: enrol a host without a token (offline)", cli_enrol},
    {"policy",
     "check, test, fmt, schema, why, diff, sign, verify (offline); publish, show, status, history, "
     "rollback (at an agent)",
     cli_policy},
    {"overlay",
     "break-glass, for 24 hours at most: check, sign, verify, end (offline); publish, show, history (at an "
     "agent)",
     cli_overlay},
    {"agent", "run the agent of this host", cli_agent},
    {"status", "the agent's own state", cli_status},
    {"members", "the agents of the mesh, as this one sees them", cli_members},
    {"services", "the services of the mesh and where they run", cli_services},
    {"why", "which rule and which endpoints decide about a request", cli_why},
    {"reload", "have the agent read its agent.yaml again", cli_reload},
    {"renew", "renew this host's credential, without a restart", cli_renew},
    {"leave", "leave the mesh and stop", cli_leave},
};

int main(int argc, char **argv)
{
    static const struct verb_group group = {.name = "starling",
                                            .what = "COMMAND",
                                            .intro = "A service mesh without a control plane.",
                                            .end = "starling --version prints the version;",
                                            .verb = commands,
                                            .count = sizeof commands / sizeof *commands};
    if (argc >= 2 && strcmp(argv[1], "--version") == 0) {
        puts("starling " STARLING_VERSION);
        return EXIT_GOOD;
    }
    if (trust_init() != ERR_OK) {
        fprintf(stderr, "starling: the system gives no random numbers; no key or connection would be safe: "
                        "not started\n");
        return EXIT_REFUSED;
    }
    return verbs_run(&group, argc, argv);
}
