/* `policy`: check and test offline, with the agent's own engine; sign and verify are in policy_sign.c,
 * publish and show in online.c. */
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "cli/args.h"
#include "cli/cli.h"
#include "cli/verbs.h"
#include "policy/policy.h"
#include "store/file.h"

struct report { /* what was found in one file */
    const char *file;
    bool good;
    char mesh[MESH_NAME_MAX + 1];
    uint64_t version, features;
    size_t services, tests, failed;
    struct complaints said;
};
struct check_options {
    bool run_tests, json, strict, together;
    struct args_list tests; /* further files of tests */
};

static void fill_report(struct report *r, const struct policy *p)
{
    size_t cursor = 0;
    snprintf(r->mesh, sizeof r->mesh, "%s", policy_mesh(p));
    r->version = policy_version(p);
    r->features = policy_features(p);
    while (policy_service_next(p, &cursor))
        r->services++;
}

/* Reads, compiles, and with `run_tests` runs the tests inside. All complaints are in r->said. */
static void examine(struct report *r, const struct policy_source *src, size_t count,
                    const struct check_options *o)
{
    struct policy *p = NULL;
    enum err e = policy_compile_sources(&p, src, count, &r->said);
    if (e == ERR_NOMEM)
        complain(&r->said, NULL, "out of memory");
    if (e == ERR_OK) {
        policy_warn_of_features(p, features_lacking(policy_features(p)), &r->said);
        r->failed = o->run_tests ? policy_test(p, &r->tests, &r->said) : 0;
        fill_report(r, p);
    }
    r->good = e == ERR_OK && r->said.count == 0 && (!o->strict || r->said.warnings == 0);
    policy_unref(p);
}

static json_t *json_of_complaints(const struct complaints *c)
{
    json_t *list = json_array();
    for (size_t i = 0; i < c->list_count; i++) {
        const struct complaint *one = &c->list[i];
        json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:i, s:i, s:s, s:s}", "code",
                                              complaint_code_text(one->code), "severity",
                                              one->is_warning ? "warning" : "error", "file", one->file,
                                              "line", (int)one->line, "column", (int)one->column, "message",
                                              one->message, "hint", one->hint));
    }
    return list;
}

static json_t *json_of(const struct report *r)
{
    return json_pack("{s:s, s:b, s:s, s:I, s:I, s:I, s:I, s:o, s:I, s:I, s:o}", "file", r->file, "good",
                     r->good, "mesh", r->mesh, "version", (json_int_t)r->version, "services",
                     (json_int_t)r->services, "tests", (json_int_t)r->tests, "failed", (json_int_t)r->failed,
                     "features", cli_features_json(r->features), "errors", (json_int_t)r->said.count,
                     "warnings", (json_int_t)r->said.warnings, "complaints", json_of_complaints(&r->said));
}

static void print_report(struct report *r, const struct check_options *o)
{
    fputs(buf_str(&r->said.text), stderr);
    if (r->mesh[0] == 0)
        return; /* its complaints say all */
    printf("%s: mesh %s, version %llu, %zu service%s", r->file, r->mesh, (unsigned long long)r->version,
           r->services, r->services == 1 ? "" : "s");
    if (o->run_tests)
        printf(", %zu of %zu tests passed", r->tests - r->failed, r->tests);
    if (r->said.warnings)
        printf(", %zu warning%s", r->said.warnings, r->said.warnings == 1 ? "" : "s");
    puts(r->good ? ": good" : ": not good");
}

struct texts { /* of one policy, and of tests kept beside it */
    struct policy_source src[POLICY_SOURCES_MAX];
    struct buf text[POLICY_SOURCES_MAX];
    size_t count;
};

/* False: complained. */
static bool read_text(struct texts *t, const char *file, bool tests_only, struct complaints *said)
{
    struct buf why = {0}, *text = &t->text[t->count];
    bool good = t->count < POLICY_SOURCES_MAX && file_read(text, file, YAML_BYTES_MAX, &why) == ERR_OK;
    if (t->count == POLICY_SOURCES_MAX)
        complain_of(said, CODE_LIMIT, NULL, "more than %d files of one policy", POLICY_SOURCES_MAX);
    else if (!good)
        complain(said, NULL, "%s", buf_str(&why));
    else
        t->src[t->count++] =
            (struct policy_source){.file = file, .text = buf_bytes(text), .tests_only = tests_only};
    buf_fini(&why);
    return good;
}

/* Examines `count` files as one policy, and prints or lists what was found. True: good. */
static bool examine_files(const char *const *files, size_t count, const struct check_options *o, json_t *list)
{
    struct report r = {.file = files[0], .said.file = files[0]};
    struct texts t = {.count = 0};
    r.said.list = calloc(COMPLAINTS_SHOWN_MAX, sizeof *r.said.list);
    bool read = r.said.list != NULL;
    if (!read)
        complain(&r.said, NULL, "out of memory");
    for (size_t i = 0; i < count; i++)
        read = read_text(&t, files[i], false, &r.said) && read;
    for (size_t i = 0; i < o->tests.count; i++)
        read = read_text(&t, o->tests.at[i], true, &r.said) && read;
    if (read)
        examine(&r, t.src, t.count, o);
    if (o->json)
        json_array_append_new(list, json_of(&r));
    else
        print_report(&r, o);
    for (size_t i = 0; i < t.count; i++)
        buf_fini(&t.text[i]);
    buf_fini(&r.said.text);
    free(r.said.list);
    return r.good;
}

static int examine_all(const struct args_list *files, const struct check_options *o)
{
    json_t *list = json_array();
    bool good = true;
    if (o->together)
        good = examine_files(files->at, files->count, o, list);
    for (size_t i = 0; !o->together && i < files->count; i++)
        good = examine_files(&files->at[i], 1, o, list) && good;
    if (o->json) {
        json_dumpf(list, stdout, JSON_INDENT(2));
        putchar('\n');
    }
    json_decref(list);
    return good ? EXIT_GOOD : EXIT_REFUSED;
}

static int check_or_test(int argc, char **argv, bool run_tests)
{
    struct check_options o = {.run_tests = run_tests};
    struct args_list files = {0};
    const struct args_option options[] = {
        {"strict", 0, NULL, "a warning is as bad as an error", .flag = &o.strict},
        {"together", 0, NULL, "the files are one policy", .flag = &o.together},
        {"json", 0, NULL, "print JSON", .flag = &o.json},
        {"tests", 0, "FILE", "more tests, kept apart; may be repeated",
         .list = &o.tests}, /* of `test` alone */
    };
    const struct args_command command = {
        .name = run_tests ? "policy test" : "policy check",
        .operands = "FILE...",
        .about =
            run_tests
                ? "Compiles each policy with the agent's own engine and runs the tests inside it."
                : "Compiles each policy with the agent's own engine and shows every error with its place.",
        .option = options,
        .option_count = sizeof options / sizeof *options - !run_tests,
        .operands_min = 1,
        .operands_max = ARGS_LIST_MAX};
    int status = args_parse(&command, argc, argv, &files);
    return status == ARGS_GO ? examine_all(&files, &o) : status;
}

static int policy_check(int argc, char **argv)
{
    return check_or_test(argc, argv, false);
}

static int policy_test_command(int argc, char **argv)
{
    return check_or_test(argc, argv, true);
}

static const struct verb verbs[] = {
    {"check", "compile a policy and show every error with its place", policy_check},
    {"test", "compile a policy and run the tests inside it", policy_test_command},
    {"fmt", "write a policy in the one way to write it", cli_policy_fmt},
    {"schema", "print the language as a JSON Schema, for editors", cli_policy_schema},
    {"why", "explain what a policy would do with a request", cli_policy_why},
    {"diff", "tell what changes for whom between two policies", cli_policy_diff},
    {"sign", "make a signed bundle of a policy (offline)", cli_policy_sign},
    {"verify", "check a bundle against a root of trust", cli_policy_verify},
    {"publish", "hand a bundle to a running agent; gossip takes it to all", cli_policy_publish},
    {"show", "print the policy in force at a running agent, or one of its history", cli_policy_show},
    {"history", "list the last 50 policies of a running agent", cli_policy_history},
    {"status", "which policy is in force at every member, and why not the newest", cli_policy_status},
    {"rollback", "an old text as the next version, to be signed", cli_policy_rollback},
};

int cli_policy(int argc, char **argv)
{
    static const struct verb_group group = {
        .name = "starling policy", .what = "VERB", .verb = verbs, .count = sizeof verbs / sizeof *verbs};
    return verbs_run(&group, argc, argv);
}
