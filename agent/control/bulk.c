#include "control/bulk.h"

#include <unistd.h>

#include "base/list.h"
#include "observe/log.h"

enum { LENGTH_BYTES = 4, RECORD_FILL_MAX = 16 * 1024, SOCKET_QUEUE_MAX = 256 * 1024 };

struct bulk_link {
    struct list_node node;
    struct bulk *bulk;
    struct net_conn *conn; /* NULL once closed */
    struct link *link;
    struct node_id to;   /* whom we dialled; zero: a seed, or an accepted link not yet up */
    struct addr addr;    /* dialled, or the peer's end */
    struct buf in;       /* bytes from the socket */
    struct buf assembly; /* messages being put together from records */
    struct buf out;      /* whole messages with their lengths, not yet sealed */
    mono_ms idle_since;
    bool dialled, connected, ended; /* ended: to be reaped in this step */
};

struct bulk {
    struct net_loop *loop;
    struct link_setup setup;
    struct bulk_events ev;
    void *arg;
    struct list links;
    size_t count;
    struct bulk_stats stats;
};

struct bulk *bulk_new(struct net_loop *loop, const struct link_setup *setup, const struct bulk_events *ev,
                      void *arg)
{
    struct bulk *b = calloc(1, sizeof *b);
    if (!b)
        return NULL;
    *b = (struct bulk){.loop = loop, .setup = *setup, .ev = *ev, .arg = arg};
    b->setup.kind = LINK_BULK;
    list_init(&b->links);
    return b;
}

static void free_link(struct bulk_link *l)
{
    list_remove(&l->node);
    l->bulk->count--;
    if (l->conn)
        net_conn_free_flush(l->conn, BULK_DIAL_TIMEOUT_MS);
    link_free(l->link);
    buf_fini(&l->in);
    buf_fini(&l->assembly);
    buf_fini(&l->out);
    free(l);
}

void bulk_free(struct bulk *b)
{
    if (!b)
        return;
    while (!list_is_empty(&b->links))
        free_link(list_entry(b->links.head.next, struct bulk_link, node));
    free(b);
}

/* -- what the socket says: only stored --------------------------------------------------------- */

static void on_data(void *arg, struct bytes in)
{
    struct bulk_link *l = arg;
    buf_add_bytes(&l->in, in);
}

static void on_eof(void *arg)
{
    struct bulk_link *l = arg;
    l->ended = true;
}

static void on_closed(void *arg, enum err why)
{
    struct bulk_link *l = arg;
    char text[ADDR_TEXT_MAX];
    if (!l->connected && l->dialled)
        log_debug("bulk", "cannot reach %s: %s", addr_text(&l->addr, text), err_text(why));
    l->ended = true;
}

static void on_connected(void *arg)
{
    struct bulk_link *l = arg;
    l->connected = true;
}

static void on_drained(void *arg)
{
    (void)arg; /* the turn that follows sends on */
}

static const struct net_conn_events conn_events = {on_data, on_eof, on_closed, on_connected, on_drained};

/* -- making links ------------------------------------------------------------------------------ */

static struct bulk_link *add_link(struct bulk *b, const struct addr *addr, mono_ms now)
{
    struct bulk_link *l = calloc(1, sizeof *l);
    if (!l)
        return NULL;
    l->bulk = b;
    l->addr = *addr;
    l->idle_since = now;
    l->in.max = l->assembly.max = GOSSIP_BULK_MAX + 2 * NOISE_MESSAGE_MAX;
    list_append(&b->links, &l->node);
    b->count++;
    return l;
}

static struct bulk_link *dial(struct bulk *b, const struct node_id *to, const uint8_t *noise_key,
                              enum noise_cipher cipher, const struct addr *addr, mono_ms now)
{
    struct bulk_link *l = b->count < BULK_LINKS_MAX ? add_link(b, addr, now) : NULL;
    if (!l)
        return NULL;
    struct link_setup s = b->setup;
    s.remote_key = noise_key;
    s.remote_id = node_id_is_zero(to) ? NULL : to;
    s.cipher = noise_key ? cipher : NOISE_CHACHAPOLY;
    l->to = *to;
    l->dialled = true;
    l->link = link_connect(&s, now);
    if (!l->link || net_dial(&l->conn, b->loop, addr, BULK_DIAL_TIMEOUT_MS, &conn_events, l) != ERR_OK) {
        free_link(l);
        return NULL;
    }
    return l;
}

void bulk_accept(struct bulk *b, int fd_take, struct buf *read_take, mono_ms now)
{
    struct addr none = {.port = 0};
    struct bulk_link *l = b->count < BULK_LINKS_MAX ? add_link(b, &none, now) : NULL;
    if (!l || net_conn_adopt(&l->conn, b->loop, fd_take) != ERR_OK) {
        b->stats.links_refused++;
        if (!l)
            close(fd_take);
        else
            free_link(l);
        buf_fini(read_take);
        return;
    }
    l->connected = true;
    l->link = link_accept(&b->setup, now);
    buf_add_bytes(&l->in, buf_bytes(read_take));
    buf_fini(read_take);
    (void)net_conn_peer(l->conn, &l->addr);
    net_conn_events_set(l->conn, &conn_events, l);
    l->ended = !l->link;
}

/* -- sending ----------------------------------------------------------------------------------- */

static bool leads_to(const struct bulk_link *l, const struct node_id *to, const struct addr *addr)
{
    if (l->ended)
        return false;
    if (node_id_is_zero(to))
        return l->dialled && node_id_is_zero(&l->to) && addr_eq(&l->addr, addr);
    return link_is_up(l->link) ? node_id_eq(link_peer(l->link), to) : l->dialled && node_id_eq(&l->to, to);
}

static struct bulk_link *find(struct bulk *b, const struct node_id *to, const struct addr *addr)
{
    list_each (struct bulk_link, l, &b->links, node) {
        if (leads_to(l, to, addr))
            return l;
    }
    return NULL;
}

void bulk_send(struct bulk *b, const struct node_id *to, const uint8_t *noise_key, enum noise_cipher cipher,
               const struct addr *addr, struct bytes msg, mono_ms now)
{
    struct bulk_link *l = find(b, to, addr);
    uint8_t length[LENGTH_BYTES];
    if (!l)
        l = dial(b, to, noise_key, cipher, addr, now);
    if (!l || l->out.len + msg.len > BULK_QUEUE_MAX) {
        b->ev.undelivered(b->arg, to, addr);
        return;
    }
    store_be32(length, (uint32_t)msg.len);
    buf_add(&l->out, length, sizeof length);
    buf_add_bytes(&l->out, msg);
    b->stats.messages_out++;
}

/* Seals what is queued, as long as the socket keeps up. */
static enum err flush(struct bulk_link *l)
{
    struct buf wire = {0};
    enum err e = link_poll_send(l->link, &wire);
    size_t done = 0;
    while (e == ERR_OK && link_is_up(l->link) && done < l->out.len &&
           net_conn_queued(l->conn) + wire.len < SOCKET_QUEUE_MAX) {
        size_t n = l->out.len - done, cap = 0;
        if (n > RECORD_FILL_MAX)
            n = RECORD_FILL_MAX;
        uint8_t *at = link_seal_begin(l->link, &wire, n, &cap);
        if (!at) {
            e = ERR_NOMEM;
            break;
        }
        if (n > cap)
            n = cap;
        memcpy(at, l->out.at + done, n);
        e = link_seal_end(l->link, &wire, n);
        done += n;
    }
    buf_consume(&l->out, done);
    if (l->out.len == 0)
        buf_fini(&l->out);
    if (wire.len > 0)
        net_conn_write_take(l->conn, &wire);
    buf_fini(&wire);
    return e;
}

/* -- receiving --------------------------------------------------------------------------------- */

/* Delivers every whole message in the assembly. ERR_MALFORMED: a length beyond what may be sent. */
static enum err deliver(struct bulk_link *l)
{
    struct bulk *b = l->bulk;
    size_t at = 0;
    while (l->assembly.len - at >= LENGTH_BYTES) {
        size_t n = load_be32(l->assembly.at + at);
        if (n > GOSSIP_BULK_MAX)
            return ERR_MALFORMED;
        if (l->assembly.len - at - LENGTH_BYTES < n)
            break;
        b->stats.messages_in++;
        b->ev.message(b->arg, link_peer(l->link), &l->addr, bytes_of(l->assembly.at + at + LENGTH_BYTES, n));
        at += LENGTH_BYTES + n;
    }
    buf_consume(&l->assembly, at);
    if (l->assembly.len == 0)
        buf_fini(&l->assembly);
    return ERR_OK;
}

static enum err receive(struct bulk_link *l, mono_ms now)
{
    size_t done = 0;
    enum err e = ERR_OK;
    while (e == ERR_OK && done < l->in.len) {
        struct bytes plain;
        size_t used = 0;
        e = link_feed(l->link, bytes_of(l->in.at + done, l->in.len - done), &used, now);
        done += used;
        bool got = false;
        while (e == ERR_OK && link_poll_record(l->link, &plain)) {
            got = true;
            buf_add_bytes(&l->assembly, plain);
            e = buf_ok(&l->assembly) ? deliver(l) : ERR_LIMIT;
        }
        if (used == 0 && !got)
            break;
    }
    if (done > 0)
        l->idle_since = now;
    buf_consume(&l->in, done);
    if (l->in.len == 0)
        buf_fini(&l->in);
    return e;
}

/* -- the step ---------------------------------------------------------------------------------- */

static void complain_broken(struct bulk_link *l, enum err e)
{
    char text[ADDR_TEXT_MAX];
    l->bulk->stats.malformed++;
    log_warn("bulk", "link %s %s refused: %s", l->dialled ? "to" : "from", addr_text(&l->addr, text),
             err_text(e));
    l->ended = true;
}

static void step_link(struct bulk_link *l, mono_ms now)
{
    enum err e = ERR_OK;
    if (!l->connected)
        return;
    if (l->in.len > 0)
        e = receive(l, now);
    if (e == ERR_OK && !l->ended)
        e = flush(l);
    if (e != ERR_OK)
        complain_broken(l, e);
    else if (!link_is_up(l->link) && now >= link_deadline(l->link))
        complain_broken(l, ERR_TIMEOUT);
    else if (link_is_closed_by_peer(l->link))
        l->ended = true;
    else if (link_is_up(l->link) && l->out.len == 0 && now >= l->idle_since + BULK_IDLE_MS)
        l->ended = true;
}

static void say_goodbye(struct bulk_link *l)
{
    struct buf wire = {0};
    if (l->conn && l->connected && l->link && link_is_up(l->link) && link_close(l->link, &wire) == ERR_OK)
        net_conn_write_take(l->conn, &wire);
    buf_fini(&wire);
}

void bulk_step(struct bulk *b, mono_ms now)
{
    list_each_safe (struct bulk_link, l, &b->links, node) {
        bool was_up = l->link && link_is_up(l->link);
        if (!l->ended)
            step_link(l, now);
        if (!was_up && l->link && link_is_up(l->link))
            b->stats.links_opened++;
        if (!l->ended)
            continue;
        if (!l->dialled && !link_is_up(l->link))
            b->stats.handshakes_failed++;
        if (l->out.len > 0 || (l->dialled && !link_is_up(l->link)))
            b->ev.undelivered(b->arg, &l->to, &l->addr);
        say_goodbye(l);
        free_link(l);
    }
}

void bulk_cut(struct bulk *b, const struct node_id *peer)
{
    list_each (struct bulk_link, l, &b->links, node) {
        if (l->link && link_is_up(l->link) && node_id_eq(link_peer(l->link), peer))
            l->ended = true;
    }
}

mono_ms bulk_deadline(const struct bulk *b)
{
    mono_ms at = NEVER;
    list_each (struct bulk_link, l, &b->links, node) {
        at = mono_min(at, link_is_up(l->link) ? l->idle_since + BULK_IDLE_MS : link_deadline(l->link));
    }
    return at;
}

const struct bulk_stats *bulk_stats(const struct bulk *b)
{
    return &b->stats;
}
