/* starling: dispatch to the commands of cli/cli.h. */
#include <stdio.h>
#include <string.h>

#include "cli/args.h"
#include "cli/cli.h"
#include "trust/sign.h"

static const struct command {
    const char *name, *about;
    int (*run)(int argc, char **argv);
} commands[] = {
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
    {"overlay", "check, sign, verify, end: break-glass, for 24 hours at most (offline)", cli_overlay},
    {"agent", "run the agent of this host", cli_agent},
    {"status", "the agent's own state", cli_status},
    {"members", "the agents of the mesh, as this one sees them", cli_members},
    {"services", "the services of the mesh and where they run", cli_services},
    {"why", "which rule and which endpoints decide about a request", cli_why},
    {"reload", "have the agent read its agent.yaml again", cli_reload},
    {"renew", "renew this host's credential, without a restart", cli_renew},
    {"leave", "leave the mesh and stop", cli_leave},
};
enum { COMMANDS = sizeof commands / sizeof *commands };

static void print_help(FILE *to)
{
    fprintf(to, "usage: starling COMMAND [options]\n\nA service mesh without a control plane.\n\n");
    for (size_t i = 0; i < COMMANDS; i++)
        fprintf(to, "  %-10s %s\n", commands[i].name, commands[i].about);
    fprintf(to, "\nstarling COMMAND --help tells more; starling --version prints the version.\n");
}

static int unknown(const char *word)
{
    const char *names[COMMANDS];
    for (size_t i = 0; i < COMMANDS; i++)
        names[i] = commands[i].name;
    const char *nearest = args_nearest(word, names, COMMANDS);
    fprintf(stderr, "starling: there is no command \"%s\"%s%s%s\ntry: starling --help\n", word,
            nearest ? "; did you mean " : "", nearest ? nearest : "", nearest ? "?" : "");
    return EXIT_USAGE;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        print_help(stderr);
        return EXIT_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
        print_help(stdout);
        return EXIT_GOOD;
    }
    if (strcmp(argv[1], "--version") == 0) {
        puts("starling " STARLING_VERSION);
        return EXIT_GOOD;
    }
    if (trust_init() != ERR_OK) {
        fprintf(stderr, "starling: the system gives no random numbers; no key or connection would be safe: "
                        "not started\n");
        return EXIT_REFUSED;
    }
    for (size_t i = 0; i < COMMANDS; i++)
        if (strcmp(commands[i].name, argv[1]) == 0)
            return commands[i].run(argc - 1, argv + 1);
    return unknown(argv[1]);
}
