/* starling agent: runs until it is told to leave. */
#include <malloc.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "admin/admin.h"
#include "cli/args.h"
#include "cli/cli.h"
#include "control/control.h"

/* Keys must not reach the disk by a core dump (ADVERSARY N25). STARLING_CORE=1 allows one, for finding a
 * defect. */
static void forbid_core_dumps(void)
{
    struct rlimit none = {0, 0};
    if (getenv("STARLING_CORE"))
        return;
    (void)setrlimit(RLIMIT_CORE, &none);
    (void)prctl(PR_SET_DUMPABLE, 0);
}

/* A mesh of thousands and many connections need more descriptors than a shell's default. */
static void raise_descriptors(void)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
}

enum {
    TABLE_BYTES = 128 * 1024,       /* malloc's own first threshold; with time it would raise it */
    BUFFER_BYTES = 4 * 1024 * 1024, /* far beyond what a link (1 MiB) or connection may queue */
    SPARE_BYTES = 2 * BUFFER_BYTES, /* free memory that is not given back */
};

/* What an agent makes at its start are tables for the most there may be of everything. Mapped each by itself, they cost the pages that
 * are used; out of the heap, calloc() clears them where the heap has been used before. */
static void map_what_is_large(void)
{
#ifdef M_MMAP_THRESHOLD
    (void)mallopt(M_MMAP_THRESHOLD, TABLE_BYTES);
#endif
}

/* Buffers come and go: a mapping for each would be a call of the kernel and fresh pages every time. */
static void keep_buffers_in_the_heap(void)
{
#ifdef M_MMAP_THRESHOLD
    (void)mallopt(M_MMAP_THRESHOLD, BUFFER_BYTES);
    (void)mallopt(M_TRIM_THRESHOLD, SPARE_BYTES);
#endif
}

static int run(const struct args_command *cmd, const struct config_flags *flags)
{
    struct control *c = NULL;
    struct admin *admin = NULL;
    struct buf why = {0};
    enum err e = trust_init();
    if (e != ERR_OK)
        return args_refused(cmd, "this system gives no randomness: %s", err_text(e));
    map_what_is_large();
    e = control_new(&c, flags, &why);
    keep_buffers_in_the_heap();
    if (e == ERR_OK)
        e = admin_new(&admin, c, &why);
    if (e == ERR_OK)
        control_run(c);
    else
        args_refused(cmd, "%s", buf_str(&why));
    admin_free(admin);
    control_free(c);
    buf_fini(&why);
    return e == ERR_OK ? EXIT_GOOD : e == ERR_INVALID ? EXIT_USAGE : EXIT_REFUSED;
}

static struct config_list list_of(const struct args_list *l)
{
    return (struct config_list){l->count, l->at};
}

int cli_agent(int argc, char **argv)
{
    struct config_flags f = {.data = NULL};
    struct args_list seeds = {0}, services = {0}, healths = {0}, upstreams = {0}, callers = {0};
    const struct args_option options[] = {
        {"data", 0, "DIR", "data folder (/var/lib/starling)", .text = &f.data},
        {"token", 0, "FILE", "token of `starling token create`; needed at the first start", .text = &f.token},
        {"credential", 0, "FILE", "or a credential of `starling enrol sign`, for the keys of `enrol request`",
         .text = &f.credential},
        {"seed", 0, "HOST:PORT[,...]", "agents to join by; may be repeated", .list = &seeds},
        {"config", 0, "FILE", "agent.yaml; what is given here wins over it", .text = &f.config},
        {"node", 0, "NAME", "node name (the host's name)", .text = &f.node},
        {"listen", 0, "IP:PORT[,...]", "mesh address, UDP and TCP ([::]:7400, dual stack)",
         .text = &f.listen},
        {"advertise", 0, "IP:PORT[,...]", "address others reach this agent at", .text = &f.advertise},
        {"port-base", 0, "PORT", "mesh PORT, read-only port PORT+1, HTTP entry PORT+80 (7400)",
         .text = &f.port_base},
        {"entry", 0, "[IP:]PORT|off", "HTTP entry for applications (127.0.0.1:7480)", .text = &f.http_entry},
        {"admin", 0, "[IP:]PORT|off", "read-only HTTP: metrics and health (127.0.0.1:7401)",
         .text = &f.admin},
        {"service", 0, "NAME=[IP:]PORT[/tcp][,label=value...]", "a service on this host; may be repeated",
         .list = &services},
        {"health", 0, "NAME=/PATH|tcp",
         "how that service is checked: by GET /PATH, or a connection; may be repeated", .list = &healths},
        {"upstream", 0, "NAME=[IP:]PORT", "a local port that leads to a service; may be repeated",
         .list = &upstreams},
        {"caller", 0, "NAME=uid:USER|[IP:]PORT",
         "who speaks for a service here: a user, or an entry of its own", .list = &callers},
        {"workers", 0, "N", "threads that carry traffic (one per core)", .text = &f.workers},
        {"log", 0, "LEVEL", "error, warn, info or debug (info)", .text = &f.log_level},
    };
    const struct args_command cmd = {
        .name = "agent",
        .about =
            "Runs the agent of this host: joins the mesh by its seeds and carries the traffic of local "
            "applications.\n"
            "Stop it with SIGTERM (it leaves and finishes what is in flight); SIGHUP reads agent.yaml again.",
        .option = options,
        .option_count = sizeof options / sizeof *options,
    };
    int status = args_parse(&cmd, argc, argv, NULL);
    if (status != ARGS_GO)
        return status;
    f.seeds = list_of(&seeds);
    f.services = list_of(&services);
    f.healths = list_of(&healths);
    f.upstreams = list_of(&upstreams);
    f.callers = list_of(&callers);
    forbid_core_dumps();
    raise_descriptors();
    return run(&cmd, &f);
}
