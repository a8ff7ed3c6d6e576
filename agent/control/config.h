/* The agent's configuration: agent.yaml and the command line, the command line wins. Every key does
 * something; an unknown or misplaced one is a complaint with file, line and column. Owned text is freed by
 * config_fini(). Read at start and again on SIGHUP. */
#ifndef CONTROL_CONFIG_H
#define CONTROL_CONFIG_H

#include "base/addr.h"
#include "observe/log.h"
#include "policy/yaml.h"
#include "trust/trust.h"
#include "worker/worker.h"

enum {
    CONFIG_SEEDS_MAX = 32,
    CONFIG_SERVICES_MAX = RECORD_SERVICES_MAX,
    CONFIG_CALLERS_MAX = 64,
    CONFIG_UPSTREAMS_MAX = 256,
    CONFIG_BYTES_MAX = 256 * 1024,
    CONFIG_HOST_MAX = 256,
    CONFIG_USER_MAX = 64,
};

struct config_label {
    char key[LABEL_MAX + 1], value[LABEL_MAX + 1];
};

struct config_health {
    enum { HEALTH_NONE, HEALTH_TCP, HEALTH_HTTP } kind;
    char path[256];
    uint32_t interval_ms, timeout_ms;
};

struct config_service {
    char name[SERVICE_NAME_MAX + 1];
    struct addr app; /* where it listens on this host */
    uint8_t protocol;
    size_t label_count;
    struct config_label label[LABELS_MAX];
    struct config_health health;
};

struct config {
    const struct config *before; /* while it is read again; NULL otherwise */
    char node[NODE_NAME_MAX + 1];
    char data[200];
    char token_path[512];      /* empty: none */
    char credential_path[512]; /* of `enrol sign`, for a first start without a token; empty: none */
    size_t listen_count, advertise_count;
    struct addr listen[2], advertise[RECORD_ADDRS_MAX];
    size_t seed_count;
    char seed[CONFIG_SEEDS_MAX][CONFIG_HOST_MAX]; /* "host:port" as written */
    struct addr http_entry, admin;                /* port 0: off */
    enum log_level log_level;
    unsigned workers; /* 0: one per core */
    uint32_t drain_ms;
    size_t label_count;
    struct config_label label[LABELS_MAX];
    size_t service_count;
    struct config_service service[CONFIG_SERVICES_MAX];
    size_t caller_count;
    struct worker_caller caller[CONFIG_CALLERS_MAX];
    char caller_user[CONFIG_CALLERS_MAX][CONFIG_USER_MAX]; /* by_uid: the user as written */
    size_t upstream_count;
    struct worker_upstream upstream[CONFIG_UPSTREAMS_MAX];
};

enum { MESH_PORT = 7400, ADMIN_PORT_OFFSET = 1, HTTP_ENTRY_PORT_OFFSET = 80 };

/* What the command line said; NULL or 0 where it said nothing. Borrowed. */
struct config_list {
    size_t count;
    const char *const *at;
};
struct config_flags {
    const char *data, *token, *credential, *node, *listen, *advertise, *http_entry, *admin, *log_level,
        *config, *workers, *port_base;
    struct config_list seeds;     /* each may hold several, separated by commas */
    struct config_list services;  /* NAME=[IP:]PORT[/http|/tcp][,label=value...] */
    struct config_list healths;   /* NAME=/PATH or NAME=tcp, of a service that is given as well */
    struct config_list upstreams; /* NAME=[IP:]PORT */
    struct config_list callers;   /* NAME=uid:USER or NAME=[IP:]PORT */
};

/* Defaults, then the file (flags->config, when given), then the flags. ERR_INVALID: `c` holds every
 * complaint. */
must_check enum err config_load(struct config *out, const struct config_flags *flags, struct complaints *c);
/* The same while running: reads the file, but asks no directory service for users, which may take its time. A user's
 * name that `before` has keeps its number; a new one gets none ((uid_t)-1), since callers take effect at the next
 * start. */
must_check enum err config_load_again(struct config *out, const struct config *before,
                                      const struct config_flags *flags, struct complaints *c);
/* The seeds as written, "a:7400, b and 3 more"; appended. */
void config_say_seeds(const struct config *c, struct buf *out);
/* Which settings of `now` differ from `old` and need a restart to take effect; appended as a comma-separated
 * list. */
void config_restart_needed(const struct config *old, const struct config *now, struct buf *names);

#endif
