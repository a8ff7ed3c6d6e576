/* agent.yaml of any content: what is taken without a complaint is within every limit, and reads the same again. */
#include "control/config.c"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

static void check(bool ok)
{
    if (!ok)
        abort();
}

static struct config config, again, nobody;

static bool read_into(struct config *out, struct bytes text)
{
    struct complaints c = {.file = "command line"};
    defaults(out, MESH_PORT);
    out->before = &nobody; /* no user of this machine is looked up */
    (void)read_text_of_file(out, "agent.yaml", text, &c);
    out->before = NULL;
    bool good = c.count == 0;
    check(good || c.text.len > 0);
    buf_fini(&c.text);
    return good;
}

static void check_limits(const struct config *c)
{
    check(c->listen_count >= 1 && c->listen_count <= 2 && c->advertise_count <= RECORD_ADDRS_MAX);
    check(c->seed_count <= CONFIG_SEEDS_MAX && c->label_count <= LABELS_MAX);
    check(c->service_count <= CONFIG_SERVICES_MAX && c->caller_count <= CONFIG_CALLERS_MAX &&
          c->upstream_count <= CONFIG_UPSTREAMS_MAX);
    for (size_t i = 0; i < c->service_count; i++)
        check(name_is_sound(bytes_str(c->service[i].name), SERVICE_NAME_MAX) && c->service[i].app.port != 0);
    for (size_t i = 0; i < c->caller_count; i++)
        check(name_is_sound(bytes_str(c->caller[i].service), SERVICE_NAME_MAX));
    for (size_t i = 0; i < c->upstream_count; i++)
        check(name_is_sound(bytes_str(c->upstream[i].service), SERVICE_NAME_MAX));
    for (size_t i = 0; i < c->seed_count; i++) {
        char host[CONFIG_HOST_MAX];
        uint16_t port;
        check(addr_split(c->seed[i], host, sizeof host, &port, MESH_PORT) && port != 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    struct bytes text = bytes_of(at, len);
    if (len > CONFIG_BYTES_MAX || !read_into(&config, text))
        return 0;
    check_limits(&config);
    check(read_into(&again, text));
    struct buf names = {0};
    config_restart_needed(&config, &again, &names);
    check(names.len == 0);
    buf_fini(&names);
    return 0;
}
