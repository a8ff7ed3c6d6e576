/* `policy`: check and test offline, with the agent's own engine; sign and verify are in policy_sign.c,
 * publish and show in online.c. */
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "cli/args.h"
#include "cli/cli.h"
#include "policy/policy.h"
#include "store/file.h"

struct report { /* what was found in one file */
    const char *file;
    bool good;
    char mesh[MESH_NAME_MAX + 1];
    uint64_t version;
    size_t services, tests, failed;
};

static void fill_report(struct report *r, const struct policy *p, size_t failed, size_t tests)
{
    size_t cursor = 0;
    snprintf(r->mesh, sizeof r->mesh, "%s", policy_mesh(p));
    r->version = policy_version(p);
    while (policy_service_next(p, &cursor))
        r->services++;
    r->tests = tests;
    r->failed = failed;
    r->good = failed == 0;
}

/* Reads, compiles, and with `run_tests` runs the tests inside. Complaints are appended to `complaints`. */
static void examine(struct report *r, const char *file, bool run_tests, struct buf *complaints)
{
    struct buf text = {0}, why = {0};
    struct complaints c = {.file = file};
    struct policy *p = NULL;
    size_t run = 0, failed = 0;
    *r = (struct report){.file = file};
    if (file_read(&text, file, YAML_BYTES_MAX, &why) != ERR_OK) {
        buf_addf(complaints, "%s\n", buf_str(&why));
    } else {
        c.source = buf_bytes(&text);
        enum err e = policy_compile(&p, buf_bytes(&text), &c);
        if (e == ERR_NOMEM)
            complain(&c, NULL, "out of memory");
        if (e == ERR_OK && run_tests)
            failed = policy_test(p, &run, &c);
        if (e == ERR_OK)
            fill_report(r, p, failed, run);
        buf_add_bytes(complaints, buf_bytes(&c.text));
    }
    policy_unref(p);
    buf_fini(&c.text);
    buf_fini(&text);
    buf_fini(&why);
}

static json_t *json_of(const struct report *r, struct buf *complaints)
{
    return json_pack("{s:s, s:b, s:s, s:I, s:I, s:I, s:I, s:s}", "file", r->file, "good", r->good, "mesh",
                     r->mesh, "version", (json_int_t)r->version, "services", (json_int_t)r->services, "tests",
                     (json_int_t)r->tests, "failed", (json_int_t)r->failed, "complaints",
                     buf_str(complaints));
}

static void print_report(const struct report *r, bool ran_tests)
{
    if (r->mesh[0] == 0)
        return; /* its complaints say all */
    printf("%s: mesh %s, version %llu, %zu service%s", r->file, r->mesh, (unsigned long long)r->version,
           r->services, r->services == 1 ? "" : "s");
    if (ran_tests)
        printf(", %zu of %zu tests passed", r->tests - r->failed, r->tests);
    puts(r->good ? ": good" : ": not good");
}

static int examine_all(const struct args_list *files, bool run_tests, bool json)
{
    json_t *list = json_array();
    bool good = true;
    for (size_t i = 0; i < files->count; i++) {
        struct report r;
        struct buf complaints = {0};
        examine(&r, files->at[i], run_tests, &complaints);
        good = good && r.good;
        if (json) {
            json_array_append_new(list, json_of(&r, &complaints));
        } else {
            fputs(buf_str(&complaints), stderr);
            print_report(&r, run_tests);
        }
        buf_fini(&complaints);
    }
    if (json) {
        json_dumpf(list, stdout, JSON_INDENT(2));
        putchar('\n');
    }
    json_decref(list);
    return good ? EXIT_GOOD : EXIT_REFUSED;
}

static int check_or_test(int argc, char **argv, bool run_tests)
{
    bool json = false;
    struct args_list files = {0};
    const struct args_option options[] = {{"json", 0, NULL, "print JSON", .flag = &json}};
    const struct args_command command = {
        .name = run_tests ? "policy test" : "policy check",
        .operands = "FILE...",
        .about =
            run_tests
                ? "Compiles each policy with the agent's own engine and runs the tests inside it."
                : "Compiles each policy with the agent's own engine and shows every error with its place.",
        .option = options,
        .option_count = 1,
        .operands_min = 1,
        .operands_max = ARGS_LIST_MAX};
    int status = args_parse(&command, argc, argv, &files);
    return status == ARGS_GO ? examine_all(&files, run_tests, json) : status;
}

static int policy_check(int argc, char **argv)
{
    return check_or_test(argc, argv, false);
}

static int policy_test_command(int argc, char **argv)
{
    return check_or_test(argc, argv, true);
}

static const struct verb {
    const char *name, *about;
    int (*run)(int argc, char **argv);
} verbs[] = {
    {"check", "compile a policy and show every error with its place", policy_check},
    {"test", "compile a policy and run the tests inside it", policy_test_command},
    {"sign", "make a signed bundle of a policy (offline)", cli_policy_sign},
    {"verify", "check a bundle against a root of trust", cli_policy_verify},
    {"publish", "hand a bundle to a running agent; gossip takes it to all", cli_policy_publish},
    {"show", "print the policy in force at a running agent", cli_policy_show},
};
enum { VERBS = sizeof verbs / sizeof *verbs };

static int help(FILE *to, int status)
{
    fprintf(to, "usage: starling policy VERB [options]\n\n");
    for (size_t i = 0; i < VERBS; i++)
        fprintf(to, "  %-8s %s\n", verbs[i].name, verbs[i].about);
    fprintf(to, "\nstarling policy VERB --help tells more.\n");
    return status;
}

int cli_policy(int argc, char **argv)
{
    const char *names[VERBS];
    if (argc < 2)
        return help(stderr, EXIT_USAGE);
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
        return help(stdout, EXIT_GOOD);
    for (size_t i = 0; i < VERBS; i++) {
        if (strcmp(argv[1], verbs[i].name) == 0)
            return verbs[i].run(argc - 1, argv + 1);
        names[i] = verbs[i].name;
    }
    const char *nearest = args_nearest(argv[1], names, VERBS);
    fprintf(stderr, "starling policy: there is no \"%s\"%s%s%s\ntry: starling policy --help\n", argv[1],
            nearest ? "; did you mean " : "", nearest ? nearest : "", nearest ? "?" : "");
    return EXIT_USAGE;
}
