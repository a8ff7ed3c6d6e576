/* Signals, and reading agent.yaml again: what can change while running is taken over, the rest is named. */
#include <signal.h>

#include "control/inner.h"
#include "observe/log.h"

/* -- signals and reload ------------------------------------------------------------------------ */

/* What can change while running is taken over; the rest is named. */
static void take_over(struct control *c, const struct config *now, struct buf *told)
{
    struct buf names = {0};
    config_restart_needed(&c->config, now, &names);
    if (names.len > 0)
        buf_addf(told, "these settings take effect at the next start: %s. ", buf_str(&names));
    buf_fini(&names);
    c->config.log_level = now->log_level;
    memcpy(c->config.token_path, now->token_path, sizeof c->config.token_path);
    c->config.seed_count = now->seed_count;
    memcpy(c->config.seed, now->seed, sizeof c->config.seed);
    c->config.advertise_count = now->advertise_count;
    memcpy(c->config.advertise, now->advertise, sizeof c->config.advertise);
    c->config.service_count = now->service_count;
    memcpy(c->config.service, now->service, sizeof c->config.service);
    log_level_set(c->config.log_level);
    seed_names_set(c->seeds, &c->config, net_now(c->loop));
    health_set(c->health, &c->config, c->own.healthy, net_now(c->loop));
    c->own_dirty = c->view_dirty = true;
    net_loop_deadline(c->loop, net_now(c->loop));
}

static bool is_allowed(const struct identity *id, const char *service, const char *does, struct buf *why)
{
    if (credential_allows(&id->credential_open, bytes_str(service)))
        return true;
    buf_addf(
        why,
        "this host %s \"%s\", which its credential does not allow; make a token that does and start with "
        "--token",
        does, service);
    return false;
}

bool control_services_are_allowed(const struct config *config, const struct identity *id, struct buf *why)
{
    for (size_t i = 0; i < config->service_count; i++)
        if (!is_allowed(id, config->service[i].name, "is to offer service", why))
            return false;
    for (size_t i = 0; i < config->caller_count; i++)
        if (!is_allowed(id, config->caller[i].service, "is to speak for service", why))
            return false;
    return true;
}

enum err control_reload(struct control *c, struct buf *told)
{
    struct complaints complaints = {.file = "configuration"};
    struct config *now = calloc(1, sizeof *now);
    enum err e = now ? config_load_again(now, &c->config, c->flags, &complaints) : ERR_NOMEM;
    if (e == ERR_INVALID)
        buf_addf(told, "the configuration is not taken over: %s", buf_str(&complaints.text));
    if (e == ERR_OK && !control_services_are_allowed(now, &c->identity, told))
        e = ERR_DENIED;
    if (e == ERR_OK) {
        take_over(c, now, told);
        c->renew_at = net_now(c->loop); /* a fresh token may have come */
        if (c->flags->config)
            buf_addf(told, "%s was read again, under the flags of the start", c->flags->config);
        else
            buf_add_str(told,
                        "there is no agent.yaml to read again: this agent was started without --config");
    }
    log_line(e == ERR_OK ? LOG_INFO : LOG_ERROR, "control", "%s", told->len ? buf_str(told) : err_text(e));
    buf_fini(&complaints.text);
    free(now);
    return e;
}

void control_on_signal(void *arg, int signum)
{
    struct control *c = arg;
    struct buf told = {0};
    if (signum != SIGHUP) {
        control_leave(c);
        return;
    }
    control_reload(c, &told);
    buf_fini(&told);
}
