#include "control/config.h"

#include <ifaddrs.h>
#include <pwd.h>
#include <unistd.h>

#include "store/file.h"

/* -- small readers ----------------------------------------------------------------------------- */

static bool copy_text(char *out, size_t cap, const char *text)
{
    size_t n = strlen(text);
    if (n >= cap)
        return false;
    memcpy(out, text, n + 1);
    return true;
}

/* A flag's complaint has no place in a file. */
static bool flag_wrong(struct complaints *c, const char *flag, const char *value, const char *want)
{
    complain(c, NULL, "%s %s: %s", flag, value, want);
    return false;
}

/* "IP:PORT", "[IP]:PORT" or "PORT" (then on loopback). */
static bool parse_local_addr(const char *text, struct addr *out)
{
    char *end;
    unsigned long port = strtoul(text, &end, 10);
    if (*text >= '0' && *text <= '9' && *end == 0)
        return port > 0 && port < 65536 && addr_of_ip(out, "127.0.0.1", (uint16_t)port);
    return addr_parse(out, text, 0) && out->port != 0;
}

static bool parse_off_or_addr(const char *text, struct addr *out)
{
    if (strcmp(text, "off") == 0) {
        memset(out, 0, sizeof *out);
        return true;
    }
    return parse_local_addr(text, out);
}

static bool is_service_name(const char *text)
{
    return name_is_sound(bytes_str(text), SERVICE_NAME_MAX);
}

/* -- the file ---------------------------------------------------------------------------------- */

static const char *scalar(const struct yaml_node *n, struct complaints *c, const char *what)
{
    if (n->kind == YAML_SCALAR)
        return n->text;
    complain(c, n, "%s must be a single value", what);
    return NULL;
}

static void read_name(const struct yaml_node *n, char *out, size_t cap, const char *what,
                      struct complaints *c)
{
    const char *text = scalar(n, c, what);
    if (!text)
        return;
    if (!name_is_sound(bytes_str(text), cap - 1))
        complain(c, n, "%s \"%s\" is not a name: use lower-case letters, digits, '-' and '.', at most %zu",
                 what, text, cap - 1);
    else
        copy_text(out, cap, text);
}

static void read_addr(const struct yaml_node *n, struct addr *out, const char *what, bool may_be_off,
                      struct complaints *c)
{
    const char *text = scalar(n, c, what);
    if (text && !(may_be_off ? parse_off_or_addr(text, out) : parse_local_addr(text, out)))
        complain(c, n, "%s \"%s\" is not IP:PORT%s", what, text, may_be_off ? " or off" : "");
}

/* One address, or a list of at most two (one of IPv4 and one of IPv6). */
static void read_addr_list(const struct yaml_node *n, struct addr *out, size_t *count, const char *what,
                           struct complaints *c)
{
    size_t many = n->kind == YAML_LIST ? n->count : 1;
    if (many == 0 || many > 2) {
        complain(c, n, "%s takes one address or two (one of IPv4, one of IPv6)", what);
        return;
    }
    *count = many;
    for (size_t i = 0; i < many; i++)
        read_addr(n->kind == YAML_LIST ? n->child[i] : n, &out[i], what, false, c);
}

static void read_labels(const struct yaml_node *n, struct config_label *out, size_t *count,
                        struct complaints *c)
{
    if (n->kind != YAML_MAP || n->count > LABELS_MAX) {
        complain(c, n, "labels must be a map of at most %d keys", LABELS_MAX);
        return;
    }
    *count = 0;
    for (size_t i = 0; i < n->count; i++) {
        const char *value = scalar(n->child[i], c, "a label");
        struct config_label *l = &out[*count];
        if (!value)
            continue;
        if (!copy_text(l->key, sizeof l->key, n->key[i]->text) ||
            !copy_text(l->value, sizeof l->value, value))
            complain(c, n->key[i], "a label's key and value have at most %d bytes", LABEL_MAX);
        else
            ++*count;
    }
}

static void read_health(const struct yaml_node *n, struct config_health *h, struct complaints *c)
{
    static const char *const keys[] = {"http", "tcp", "interval", "timeout", NULL};
    if (n->kind != YAML_MAP) {
        complain(c, n, "health must be a map: {http: /path, interval: 5s} or {tcp: true}");
        return;
    }
    (void)yaml_keys_only(n, keys, c);
    const struct yaml_node *http = yaml_get(n, "http"), *tcp = yaml_get(n, "tcp"), *v;
    uint64_t ms;
    bool on = false;
    if (!http == !tcp)
        complain(c, n, "health takes exactly one of http and tcp");
    if (http) {
        const char *path = scalar(http, c, "health.http");
        h->kind = HEALTH_HTTP;
        if (path && (path[0] != '/' || !copy_text(h->path, sizeof h->path, path)))
            complain(c, http, "health.http must be a path of at most %zu bytes that begins with '/'",
                     sizeof h->path - 1);
    } else if (tcp && yaml_bool(tcp, &on, c)) {
        h->kind = on ? HEALTH_TCP : HEALTH_NONE;
    }
    if ((v = yaml_get(n, "interval")) && yaml_duration_ms(v, &ms, c)) {
        h->interval_ms = (uint32_t)ms;
        if (ms < 100 || ms > 3600000)
            complain(c, v, "health.interval must lie between 100ms and 1h");
    }
    if ((v = yaml_get(n, "timeout")) && yaml_duration_ms(v, &ms, c)) {
        h->timeout_ms = (uint32_t)ms;
        if (ms < 10 || ms > 60000)
            complain(c, v, "health.timeout must lie between 10ms and 1m");
    }
}

static bool parse_protocol(const char *text, uint8_t *out)
{
    if (strcmp(text, "http") == 0)
        *out = PROTOCOL_HTTP;
    else if (strcmp(text, "tcp") == 0)
        *out = PROTOCOL_TCP;
    else
        return false;
    return true;
}

static struct config_service service_defaults(void)
{
    struct config_service s = {.protocol = PROTOCOL_HTTP,
                               .health = {.interval_ms = 5000, .timeout_ms = 1000}};
    return s;
}

static void read_service(const struct yaml_node *n, struct config *out, struct complaints *c)
{
    static const char *const keys[] = {"name", "port", "address", "protocol", "labels", "health", NULL};
    struct config_service s = service_defaults();
    uint64_t port = 0;
    char ip[64] = "127.0.0.1";
    if (n->kind != YAML_MAP) {
        complain(c, n, "a service must be a map: {name: cart, port: 8080, protocol: http}");
        return;
    }
    (void)yaml_keys_only(n, keys, c);
    const struct yaml_node *name = yaml_get(n, "name"), *v;
    if (!name)
        complain(c, n, "a service needs a name");
    else
        read_name(name, s.name, sizeof s.name, "services.name", c);
    if (!(v = yaml_get(n, "port")))
        complain(c, n, "a service needs a port");
    else
        (void)yaml_u64(v, &port, 1, 65535, c);
    if ((v = yaml_get(n, "address")) && (v->kind != YAML_SCALAR || !copy_text(ip, sizeof ip, v->text)))
        complain(c, v, "services.address must be an IP address");
    if (!addr_of_ip(&s.app, ip, (uint16_t)port))
        complain(c, v ? v : n, "services.address \"%s\" is not an IP address", ip);
    if ((v = yaml_get(n, "protocol")) && (v->kind != YAML_SCALAR || !parse_protocol(v->text, &s.protocol)))
        complain(c, v, "services.protocol must be http or tcp");
    if ((v = yaml_get(n, "labels")))
        read_labels(v, s.label, &s.label_count, c);
    if ((v = yaml_get(n, "health")))
        read_health(v, &s.health, c);
    out->service[out->service_count++] = s;
}

static bool user_known_before(const struct config *before, const char *name, uid_t *uid)
{
    for (size_t i = 0; i < before->caller_count; i++)
        if (before->caller[i].by_uid && strcmp(before->caller_user[i], name) == 0) {
            *uid = before->caller[i].uid;
            return true;
        }
    return false;
}

/* Who the next caller's user is. Only at the start is the system asked, which may ask a server. */
static bool read_user(struct config *out, const char *text, uid_t *uid)
{
    char *end;
    unsigned long v = strtoul(text, &end, 10);
    if (!copy_text(out->caller_user[out->caller_count], CONFIG_USER_MAX, text))
        return false;
    *uid = (uid_t)-1;
    if (*text >= '0' && *text <= '9' && *end == 0 && v < UINT32_MAX) {
        *uid = (uid_t)v;
        return true;
    }
    if (out->before) {
        (void)user_known_before(out->before, text, uid);
        return true;
    }
    struct passwd *pw = getpwnam(text);
    if (pw)
        *uid = pw->pw_uid;
    return pw != NULL;
}

static void read_caller(const struct yaml_node *n, struct config *out, struct complaints *c)
{
    static const char *const keys[] = {"service", "uid", "entry", NULL};
    struct worker_caller w = {0};
    if (n->kind != YAML_MAP) {
        complain(c, n,
                 "a caller must be a map: {service: web, uid: web} or {service: web, entry: 127.0.0.1:7481}");
        return;
    }
    (void)yaml_keys_only(n, keys, c);
    const struct yaml_node *service = yaml_get(n, "service"), *uid = yaml_get(n, "uid"),
                           *entry = yaml_get(n, "entry");
    if (!service)
        complain(c, n, "a caller needs the service it speaks for");
    else
        read_name(service, w.service, sizeof w.service, "callers.service", c);
    if (!uid == !entry) {
        complain(c, n, "a caller is told by exactly one of uid and entry");
    } else if (uid) {
        const char *user = scalar(uid, c, "callers.uid");
        w.by_uid = true;
        if (user && !read_user(out, user, &w.uid))
            complain(c, uid, "callers.uid \"%s\" is neither a user of this host nor a number", user);
    } else {
        read_addr(entry, &w.entry, "callers.entry", false, c);
    }
    out->caller[out->caller_count++] = w;
}

static void read_upstream(const struct yaml_node *n, struct config *out, struct complaints *c)
{
    static const char *const keys[] = {"service", "listen", NULL};
    struct worker_upstream u = {0};
    if (n->kind != YAML_MAP || !yaml_get(n, "service") || !yaml_get(n, "listen")) {
        complain(c, n, "an upstream must be a map: {service: db, listen: 127.0.0.1:5432}");
        return;
    }
    (void)yaml_keys_only(n, keys, c);
    read_name(yaml_get(n, "service"), u.service, sizeof u.service, "upstreams.service", c);
    read_addr(yaml_get(n, "listen"), &u.listen, "upstreams.listen", false, c);
    out->upstream[out->upstream_count++] = u;
}

static void read_list(const struct yaml_node *n, struct config *out, size_t max, const char *what,
                      void (*read_one)(const struct yaml_node *, struct config *, struct complaints *),
                      struct complaints *c)
{
    if (n->kind != YAML_LIST || n->count > max) {
        complain(c, n, "%s must be a list of at most %zu items", what, max);
        return;
    }
    for (size_t i = 0; i < n->count; i++)
        read_one(n->child[i], out, c);
}

static void add_seed(struct config *out, const char *text, size_t len, const struct yaml_node *at,
                     struct complaints *c)
{
    char host[CONFIG_HOST_MAX], *slot;
    uint16_t port;
    if (out->seed_count == CONFIG_SEEDS_MAX) {
        complain(c, at, "more than %d seeds", CONFIG_SEEDS_MAX);
        return;
    }
    slot = out->seed[out->seed_count];
    if (len >= CONFIG_HOST_MAX) {
        complain(c, at, "a seed is longer than %d bytes", CONFIG_HOST_MAX - 1);
        return;
    }
    memcpy(slot, text, len);
    slot[len] = 0;
    if (!addr_split(slot, host, sizeof host, &port, MESH_PORT) || port == 0)
        complain(c, at, "seed \"%s\" is not HOST:PORT", slot);
    else
        out->seed_count++;
}

static void read_seeds(const struct yaml_node *n, struct config *out, struct complaints *c)
{
    if (n->kind != YAML_LIST) {
        complain(c, n, "seeds must be a list: [10.0.0.1:7400, seed.example:7400]");
        return;
    }
    for (size_t i = 0; i < n->count; i++) {
        const char *text = scalar(n->child[i], c, "a seed");
        if (text)
            add_seed(out, text, strlen(text), n->child[i], c);
    }
}

static void read_text(const struct yaml_node *n, char *out, size_t cap, const char *what,
                      struct complaints *c)
{
    const char *text = scalar(n, c, what);
    if (text && !copy_text(out, cap, text))
        complain(c, n, "%s is longer than %zu bytes", what, cap - 1);
}

static void read_log(const struct yaml_node *n, struct config *out, struct complaints *c)
{
    const char *text = scalar(n, c, "log");
    if (text && !log_level_parse(text, &out->log_level))
        complain(c, n, "log \"%s\" must be error, warn, info or debug", text);
}

static void read_workers(const struct yaml_node *n, struct config *out, struct complaints *c)
{
    uint64_t v;
    if (yaml_u64(n, &v, 1, 256, c))
        out->workers = (unsigned)v;
}

static void read_drain(const struct yaml_node *n, struct config *out, struct complaints *c)
{
    uint64_t ms;
    if (yaml_duration_ms(n, &ms, c)) {
        out->drain_ms = (uint32_t)ms;
        if (ms > 3600000)
            complain(c, n, "drain must be at most 1h");
    }
}

static void read_root(const struct yaml_node *root, struct config *out, struct complaints *c)
{
    static const char *const keys[] = {"node",   "data",     "token",   "listen",     "advertise", "seeds",
                                       "labels", "services", "callers", "upstreams",  "entry",     "admin",
                                       "log",    "workers",  "drain",   "credential", NULL};
    const struct yaml_node *n;
    if (root->kind != YAML_MAP) {
        complain(c, root, "agent.yaml must be a map of settings");
        return;
    }
    (void)yaml_keys_only(root, keys, c);
    if ((n = yaml_get(root, "node")))
        read_name(n, out->node, sizeof out->node, "node", c);
    if ((n = yaml_get(root, "data")))
        read_text(n, out->data, sizeof out->data, "data", c);
    if ((n = yaml_get(root, "token")))
        read_text(n, out->token_path, sizeof out->token_path, "token", c);
    if ((n = yaml_get(root, "credential")))
        read_text(n, out->credential_path, sizeof out->credential_path, "credential", c);
    if ((n = yaml_get(root, "listen")))
        read_addr_list(n, out->listen, &out->listen_count, "listen", c);
    if ((n = yaml_get(root, "advertise")))
        read_addr_list(n, out->advertise, &out->advertise_count, "advertise", c);
    if ((n = yaml_get(root, "seeds")))
        read_seeds(n, out, c);
    if ((n = yaml_get(root, "labels")))
        read_labels(n, out->label, &out->label_count, c);
    if ((n = yaml_get(root, "services")))
        read_list(n, out, CONFIG_SERVICES_MAX, "services", read_service, c);
    if ((n = yaml_get(root, "callers")))
        read_list(n, out, CONFIG_CALLERS_MAX, "callers", read_caller, c);
    if ((n = yaml_get(root, "upstreams")))
        read_list(n, out, CONFIG_UPSTREAMS_MAX, "upstreams", read_upstream, c);
    if ((n = yaml_get(root, "entry")))
        read_addr(n, &out->http_entry, "entry", true, c);
    if ((n = yaml_get(root, "admin")))
        read_addr(n, &out->admin, "admin", true, c);
    if ((n = yaml_get(root, "log")))
        read_log(n, out, c);
    if ((n = yaml_get(root, "workers")))
        read_workers(n, out, c);
    if ((n = yaml_get(root, "drain")))
        read_drain(n, out, c);
}

/* Nothing but blanks and comments: a file without a setting, which is a fine configuration. */
static bool is_blank(struct bytes text)
{
    bool in_comment = false;
    for (size_t i = 0; i < text.len; i++) {
        in_comment = text.at[i] == '#' || (in_comment && text.at[i] != '\n');
        if (!in_comment && !strchr(" \t\r\n", text.at[i]))
            return false;
    }
    return true;
}

static enum err read_text_of_file(struct config *out, const char *path, struct bytes text,
                                  struct complaints *c)
{
    const char *outer = c->file;
    struct yaml_doc *doc = NULL;
    if (is_blank(text))
        return ERR_OK;
    c->file = path;
    enum err e = yaml_parse(&doc, text, c);
    if (e == ERR_OK)
        read_root(yaml_root(doc), out, c);
    yaml_doc_free(doc);
    c->file = outer;
    return e;
}

static enum err read_file(struct config *out, const char *path, struct complaints *c)
{
    struct buf text = {0}, why = {0};
    enum err e = file_read(&text, path, CONFIG_BYTES_MAX, &why);
    if (e == ERR_OK)
        e = read_text_of_file(out, path, buf_bytes(&text), c);
    else
        complain(c, NULL, "%s", buf_str(&why));
    buf_fini(&text);
    buf_fini(&why);
    return e;
}

/* -- the flags --------------------------------------------------------------------------------- */

static bool split_name(const char *text, char *name, size_t cap, const char **rest)
{
    const char *eq = strchr(text, '=');
    if (!eq || (size_t)(eq - text) >= cap)
        return false;
    memcpy(name, text, (size_t)(eq - text));
    name[eq - text] = 0;
    *rest = eq + 1;
    return is_service_name(name);
}

static bool flag_label(struct config_service *s, char *pair)
{
    char *eq = strchr(pair, '=');
    if (!eq || s->label_count == LABELS_MAX)
        return false;
    *eq = 0;
    struct config_label *l = &s->label[s->label_count++];
    return copy_text(l->key, sizeof l->key, pair) && copy_text(l->value, sizeof l->value, eq + 1);
}

/* NAME=[IP:]PORT[/http|/tcp][,key=value...] */
static bool flag_service(struct config *out, const char *text)
{
    struct config_service s = service_defaults();
    const char *rest;
    char copy[512], *part, *save, *slash;
    if (out->service_count == CONFIG_SERVICES_MAX || !split_name(text, s.name, sizeof s.name, &rest) ||
        !copy_text(copy, sizeof copy, rest) || !(part = strtok_r(copy, ",", &save)))
        return false;
    if ((slash = strchr(part, '/'))) {
        *slash = 0;
        if (!parse_protocol(slash + 1, &s.protocol))
            return false;
    }
    if (!parse_local_addr(part, &s.app))
        return false;
    while ((part = strtok_r(NULL, ",", &save)))
        if (!flag_label(&s, part))
            return false;
    out->service[out->service_count++] = s;
    return true;
}

/* NAME=/PATH|tcp: the health check of a service of the file or of --service */
static bool flag_health(struct config *out, const char *text)
{
    char name[SERVICE_NAME_MAX + 1];
    const char *rest;
    if (!split_name(text, name, sizeof name, &rest))
        return false;
    for (size_t i = 0; i < out->service_count; i++) {
        struct config_health *h = &out->service[i].health;
        if (strcmp(out->service[i].name, name) != 0)
            continue;
        h->kind = strcmp(rest, "tcp") == 0 ? HEALTH_TCP : HEALTH_HTTP;
        return h->kind == HEALTH_TCP || (rest[0] == '/' && copy_text(h->path, sizeof h->path, rest));
    }
    return false;
}

static bool flag_upstream(struct config *out, const char *text)
{
    struct worker_upstream u = {0};
    const char *rest;
    if (out->upstream_count == CONFIG_UPSTREAMS_MAX ||
        !split_name(text, u.service, sizeof u.service, &rest) || !parse_local_addr(rest, &u.listen))
        return false;
    out->upstream[out->upstream_count++] = u;
    return true;
}

static bool flag_caller(struct config *out, const char *text)
{
    struct worker_caller w = {0};
    const char *rest;
    if (out->caller_count == CONFIG_CALLERS_MAX || !split_name(text, w.service, sizeof w.service, &rest))
        return false;
    w.by_uid = strncmp(rest, "uid:", 4) == 0;
    if (!(w.by_uid ? read_user(out, rest + 4, &w.uid) : parse_local_addr(rest, &w.entry)))
        return false;
    out->caller[out->caller_count++] = w;
    return true;
}

static bool flag_addr_list(const char *text, struct addr *out, size_t *count)
{
    char copy[128], *part, *save;
    size_t n = 0;
    if (!copy_text(copy, sizeof copy, text))
        return false;
    for (part = strtok_r(copy, ",", &save); part; part = strtok_r(NULL, ",", &save))
        if (n == 2 || !addr_parse(&out[n++], part, MESH_PORT))
            return false;
    *count = n;
    return n > 0;
}

static void flag_seeds(struct config *out, const struct config_flags *f, struct complaints *c)
{
    if (f->seeds.count > 0)
        out->seed_count = 0;
    for (size_t i = 0; i < f->seeds.count; i++)
        for (const char *at = f->seeds.at[i]; *at;) {
            size_t n = strcspn(at, ",");
            if (n > 0)
                add_seed(out, at, n, NULL, c);
            at += n + (at[n] == ',');
        }
}

static bool flag_number(const char *text, unsigned long max, unsigned long *out)
{
    char *end;
    *out = strtoul(text, &end, 10);
    return *text >= '0' && *text <= '9' && *end == 0 && *out > 0 && *out <= max;
}

static void read_flag_lists(struct config *out, const struct config_flags *f, struct complaints *c)
{
    for (size_t i = 0; i < f->services.count; i++)
        if (!flag_service(out, f->services.at[i]))
            flag_wrong(c, "--service", f->services.at[i],
                       "must be NAME=[IP:]PORT[/http|/tcp][,label=value...]");
    for (size_t i = 0; i < f->healths.count; i++)
        if (!flag_health(out, f->healths.at[i]))
            flag_wrong(c, "--health", f->healths.at[i],
                       "must be NAME=/PATH or NAME=tcp, of a service of --service or of the file");
    for (size_t i = 0; i < f->upstreams.count; i++)
        if (!flag_upstream(out, f->upstreams.at[i]))
            flag_wrong(c, "--upstream", f->upstreams.at[i], "must be NAME=[IP:]PORT");
    for (size_t i = 0; i < f->callers.count; i++)
        if (!flag_caller(out, f->callers.at[i]))
            flag_wrong(c, "--caller", f->callers.at[i],
                       "must be NAME=uid:USER, of a user of this host, or NAME=[IP:]PORT");
}

static void read_flags(struct config *out, const struct config_flags *f, struct complaints *c)
{
    unsigned long n;
    if (f->data && !copy_text(out->data, sizeof out->data, f->data))
        flag_wrong(c, "--data", f->data, "is too long");
    if (f->token && !copy_text(out->token_path, sizeof out->token_path, f->token))
        flag_wrong(c, "--token", f->token, "is too long");
    if (f->credential && !copy_text(out->credential_path, sizeof out->credential_path, f->credential))
        flag_wrong(c, "--credential", f->credential, "is too long");
    if (f->node && (!is_service_name(f->node) || !copy_text(out->node, sizeof out->node, f->node)))
        flag_wrong(c, "--node", f->node, "is not a name: use lower-case letters, digits, '-' and '.'");
    if (f->listen && !flag_addr_list(f->listen, out->listen, &out->listen_count))
        flag_wrong(c, "--listen", f->listen,
                   "must be IP:PORT, or one of IPv4 and one of IPv6 separated by a comma");
    if (f->advertise && !flag_addr_list(f->advertise, out->advertise, &out->advertise_count))
        flag_wrong(c, "--advertise", f->advertise, "must be IP:PORT, or two separated by a comma");
    if (f->http_entry && !parse_off_or_addr(f->http_entry, &out->http_entry))
        flag_wrong(c, "--entry", f->http_entry, "must be [IP:]PORT or off");
    if (f->admin && !parse_off_or_addr(f->admin, &out->admin))
        flag_wrong(c, "--admin", f->admin, "must be [IP:]PORT or off");
    if (f->log_level && !log_level_parse(f->log_level, &out->log_level))
        flag_wrong(c, "--log", f->log_level, "must be error, warn, info or debug");
    if (f->workers) {
        if (flag_number(f->workers, 256, &n))
            out->workers = (unsigned)n;
        else
            flag_wrong(c, "--workers", f->workers, "must be a number from 1 to 256");
    }
    flag_seeds(out, f, c);
    read_flag_lists(out, f, c);
}

/* -- defaults and what follows from the rest --------------------------------------------------- */

static void node_of_hostname(struct config *out)
{
    char host[256] = "";
    if (gethostname(host, sizeof host - 1) != 0)
        return;
    host[strcspn(host, ".")] = 0;
    for (char *p = host; *p; p++)
        if (*p >= 'A' && *p <= 'Z')
            *p = (char)(*p - 'A' + 'a');
    if (name_is_sound(bytes_str(host), NODE_NAME_MAX))
        copy_text(out->node, sizeof out->node, host);
}

static void defaults(struct config *out, uint16_t base)
{
    *out = (struct config){.log_level = LOG_INFO, .drain_ms = 20000};
    node_of_hostname(out);
    copy_text(out->data, sizeof out->data, "/var/lib/starling");
    out->listen_count = 1;
    (void)addr_of_ip(&out->listen[0], "::", base);
    (void)addr_of_ip(&out->admin, "127.0.0.1", (uint16_t)(base + ADMIN_PORT_OFFSET));
    (void)addr_of_ip(&out->http_entry, "127.0.0.1", (uint16_t)(base + HTTP_ENTRY_PORT_OFFSET));
}

static bool is_wildcard(const struct addr *a)
{
    return addr_is_zero(a);
}

/* The first usable address of each family among this host's interfaces, with the mesh port. Loopback only if
 * nothing else. */
static void advertise_interfaces(struct config *out, bool want_v4, bool want_v6, uint16_t port)
{
    struct ifaddrs *list = NULL;
    struct addr v4 = {.port = 0}, v6 = {.port = 0};
    if (getifaddrs(&list) != 0)
        return;
    for (struct ifaddrs *i = list; i; i = i->ifa_next) {
        struct addr a;
        if (!i->ifa_addr || !addr_from_sockaddr(&a, i->ifa_addr) || addr_is_loopback(&a))
            continue;
        a.port = port;
        if (!addr_is_dialable(&a))
            continue;
        if (addr_is_v4(&a) ? want_v4 && v4.port == 0 : want_v6 && v6.port == 0)
            *(addr_is_v4(&a) ? &v4 : &v6) = a;
    }
    freeifaddrs(list);
    if (v4.port)
        out->advertise[out->advertise_count++] = v4;
    if (v6.port)
        out->advertise[out->advertise_count++] = v6;
}

static void advertise_default(struct config *out)
{
    for (size_t i = 0; i < out->listen_count && out->advertise_count < RECORD_ADDRS_MAX; i++) {
        const struct addr *l = &out->listen[i];
        if (!is_wildcard(l)) {
            out->advertise[out->advertise_count++] = *l;
            continue;
        }
        bool v4 = addr_is_v4(l), alone = out->listen_count == 1;
        advertise_interfaces(out, v4 || alone, !v4, l->port);
    }
}

static void check_whole(const struct config *out, struct complaints *c)
{
    if (!out->node[0])
        complain(c, NULL, "this host's name cannot serve as a node name; give one with --node or node:");
    if (out->advertise_count == 0)
        complain(c, NULL,
                 "no address of this host can be told to others; give one with --advertise or advertise:");
    for (size_t i = 0; i < out->advertise_count; i++)
        if (!addr_is_dialable(&out->advertise[i]))
            complain(c, NULL,
                     "an advertised address cannot be dialled by others; give another with --advertise or "
                     "advertise:");
    for (size_t i = 0; i < out->service_count; i++)
        for (size_t j = i + 1; j < out->service_count; j++)
            if (strcmp(out->service[i].name, out->service[j].name) == 0)
                complain(c, NULL, "service \"%s\" is listed twice", out->service[i].name);
}

static enum err load(struct config *out, const struct config *before, const struct config_flags *flags,
                     struct complaints *c)
{
    unsigned long base = MESH_PORT;
    if (flags->port_base && !flag_number(flags->port_base, 65000, &base))
        flag_wrong(c, "--port-base", flags->port_base, "must be a port up to 65000");
    defaults(out, (uint16_t)base);
    out->before = before;
    if (flags->config && read_file(out, flags->config, c) != ERR_OK)
        return ERR_INVALID;
    read_flags(out, flags, c);
    if (out->advertise_count == 0)
        advertise_default(out);
    check_whole(out, c);
    out->before = NULL;
    return c->count == 0 ? ERR_OK : ERR_INVALID;
}

enum err config_load(struct config *out, const struct config_flags *flags, struct complaints *c)
{
    return load(out, NULL, flags, c);
}

enum err config_load_again(struct config *out, const struct config *before, const struct config_flags *flags,
                           struct complaints *c)
{
    return load(out, before, flags, c);
}

static void name_if(struct buf *names, bool differs, const char *name)
{
    if (differs)
        buf_addf(names, "%s%s", names->len ? ", " : "", name);
}

static bool listens_differ(const struct config *a, const struct config *b)
{
    bool differ = a->listen_count != b->listen_count;
    for (size_t i = 0; !differ && i < a->listen_count; i++)
        differ = !addr_eq(&a->listen[i], &b->listen[i]);
    return differ;
}

static bool labels_differ(const struct config *a, const struct config *b)
{
    bool differ = a->label_count != b->label_count;
    for (size_t i = 0; !differ && i < a->label_count; i++)
        differ = strcmp(a->label[i].key, b->label[i].key) != 0 ||
                 strcmp(a->label[i].value, b->label[i].value) != 0;
    return differ;
}

static bool callers_differ(const struct config *a, const struct config *b)
{
    bool differ = a->caller_count != b->caller_count;
    for (size_t i = 0; !differ && i < a->caller_count; i++) {
        const struct worker_caller *x = &a->caller[i], *y = &b->caller[i];
        differ = strcmp(x->service, y->service) != 0 || x->by_uid != y->by_uid ||
                 (x->by_uid ? x->uid != y->uid : !addr_eq(&x->entry, &y->entry));
    }
    return differ;
}

static bool upstreams_differ(const struct config *a, const struct config *b)
{
    bool differ = a->upstream_count != b->upstream_count;
    for (size_t i = 0; !differ && i < a->upstream_count; i++)
        differ = strcmp(a->upstream[i].service, b->upstream[i].service) != 0 ||
                 !addr_eq(&a->upstream[i].listen, &b->upstream[i].listen);
    return differ;
}

void config_say_seeds(const struct config *c, struct buf *out)
{
    enum { NAMED_MAX = 8 };
    for (size_t i = 0; i < c->seed_count && i < NAMED_MAX; i++)
        buf_addf(out, "%s%s", i > 0 ? ", " : "", c->seed[i]);
    if (c->seed_count > NAMED_MAX)
        buf_addf(out, " and %zu more", c->seed_count - NAMED_MAX);
}

void config_restart_needed(const struct config *old, const struct config *now, struct buf *names)
{
    name_if(names, strcmp(old->node, now->node) != 0, "node");
    name_if(names, strcmp(old->data, now->data) != 0, "data");
    name_if(names, listens_differ(old, now), "listen");
    name_if(names, labels_differ(old, now), "labels");
    name_if(names, !addr_eq(&old->http_entry, &now->http_entry), "entry");
    name_if(names, !addr_eq(&old->admin, &now->admin), "admin");
    name_if(names, old->workers != now->workers, "workers");
    name_if(names, old->drain_ms != now->drain_ms, "drain");
    name_if(names, callers_differ(old, now), "callers");
    name_if(names, upstreams_differ(old, now), "upstreams");
}
