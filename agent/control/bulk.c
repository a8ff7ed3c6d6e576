#include "control/bulk.h"

#include <unistd.h>

#include "base/list.h"
#include "control/assembly.h"
#include "link/rate.h"
#include "observe/log.h"
#include "worker/prove.h"

enum {
    RECORD_FILL_MAX = 16 * 1024,
    SOCKET_QUEUE_MAX = 256 * 1024,
    READ_AHEAD_MAX = 256 * 1024, /* read between two steps; then the socket waits */
};

struct bulk_link {
    struct list_node node;
    struct bulk *bulk;
    struct net_conn *conn;
    struct link *link;
    struct proof *proof;      /* ours, as its handshake uses it */
    struct node_id to;        /* whom we dialled; zero: a seed, or an accepted link */
    struct addr addr;         /* dialled, or the peer's end */
    struct buf in;            /* bytes from the socket */
    struct assembly assembly; /* messages being put together from records */
    struct buf out;           /* whole messages with their lengths, not yet sealed */
    size_t queued;            /* what the socket had not taken at the last step */
    mono_ms moved;            /* when a byte last came or went */
    bool dialled, connected;
    bool known;   /* the peer is: the handshake was completed */
    bool gone;    /* the connection has ended; what it brought before is still read */
    bool refused; /* ... because our dial was */
    bool ended;   /* to be reaped in this step */
};

/* A dial that is only to show whether anybody listens. */
struct knock {
    struct list_node node;
    struct bulk *bulk;
    struct net_conn *conn;
    struct node_id to;
    bool done, refused;
};

struct bulk {
    struct net_loop *loop;
    struct link_setup setup;
    struct proof *proof; /* what of the setup is replaced at run time; NULL: nothing yet */
    struct bulk_events ev;
    void *arg;
    struct list links; /* oldest first */
    size_t count;
    struct list knocks;
    size_t knock_count;
    struct bulk_stats stats;
    struct rate rate;                /* of accepted links, by source; */
    struct rate_total sparing, rest; /* of all that are within it, and of those beyond it */
};

struct bulk *bulk_new(struct net_loop *loop, const struct link_setup *setup, const struct bulk_events *ev,
                      void *arg)
{
    struct bulk *b = calloc(1, sizeof *b);
    if (!b)
        return NULL;
    *b = (struct bulk){.loop = loop, .setup = *setup, .ev = *ev, .arg = arg};
    b->setup.kind = LINK_BULK;
    rate_init(&b->rate, net_now(loop));
    b->sparing = (struct rate_total){net_now(loop), BULK_ACCEPTS_PER_S};
    b->rest = (struct rate_total){net_now(loop), BULK_SHARED_PER_S};
    list_init(&b->links);
    list_init(&b->knocks);
    return b;
}

void bulk_prove(struct bulk *b, struct proof *p)
{
    struct proof *before = b->proof;
    b->proof = proof_ref(p);
    proof_unref(before);
}

static struct link_setup setup_of(struct bulk_link *l)
{
    struct link_setup s = l->bulk->setup;
    l->proof = proof_ref(l->bulk->proof);
    if (l->proof)
        link_setup_prove(&s, l->proof);
    return s;
}

static void free_link(struct bulk_link *l)
{
    list_remove(&l->node);
    l->bulk->count--;
    if (l->conn)
        net_conn_free_flush(l->conn, BULK_DIAL_TIMEOUT_MS);
    link_free(l->link);
    proof_unref(l->proof);
    buf_fini(&l->in);
    assembly_fini(&l->assembly);
    buf_fini(&l->out);
    free(l);
}

static void free_knock(struct knock *k)
{
    list_remove(&k->node);
    k->bulk->knock_count--;
    net_conn_free(k->conn);
    free(k);
}

void bulk_free(struct bulk *b)
{
    if (!b)
        return;
    while (!list_is_empty(&b->knocks))
        free_knock(list_entry(b->knocks.head.next, struct knock, node));
    while (!list_is_empty(&b->links))
        free_link(list_entry(b->links.head.next, struct bulk_link, node));
    proof_unref(b->proof);
    free(b);
}

/* -- what the socket says: only stored --------------------------------------------------------- */

static void on_data(void *arg, struct bytes in)
{
    struct bulk_link *l = arg;
    buf_add_bytes(&l->in, in);
    if (l->in.len >= READ_AHEAD_MAX)
        net_conn_read_pause(l->conn, true);
}

static void on_eof(void *arg)
{
    struct bulk_link *l = arg;
    l->gone = true;
}

static void on_closed(void *arg, enum err why)
{
    struct bulk_link *l = arg;
    char text[ADDR_TEXT_MAX];
    if (!l->connected)
        log_debug("bulk", "cannot reach %s: %s", addr_text(&l->addr, text), err_text(why));
    l->refused = !l->connected && why == ERR_REFUSED;
    l->gone = true;
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
    struct bulk_link *l = b->count < BULK_LINKS_MAX ? calloc(1, sizeof *l) : NULL;
    if (!l)
        return NULL;
    l->bulk = b;
    l->addr = *addr;
    l->moved = now;
    list_append(&b->links, &l->node);
    b->count++;
    return l;
}

static struct bulk_link *dial(struct bulk *b, const struct link_to *to, mono_ms now)
{
    struct bulk_link *l = add_link(b, to->addr, now);
    if (!l)
        return NULL;
    struct link_setup s = setup_of(l);
    s.version = to->version;
    s.remote_key = to->noise_key;
    s.remote_id = node_id_is_zero(to->id) ? NULL : to->id;
    s.cipher = to->noise_key ? to->cipher : NOISE_CHACHAPOLY;
    l->to = *to->id;
    l->dialled = true;
    l->link = link_connect(&s, now);
    if (!l->link || net_dial(&l->conn, b->loop, to->addr, BULK_DIAL_TIMEOUT_MS, &conn_events, l) != ERR_OK) {
        free_link(l);
        return NULL;
    }
    return l;
}

/* The oldest accepted link of this peer (NULL: of those whose peer is not known yet), if there are `max`. */
static struct bulk_link *one_too_many(struct bulk *b, const struct node_id *peer, size_t max)
{
    struct bulk_link *oldest = NULL;
    size_t n = 0;
    list_each (struct bulk_link, l, &b->links, node) {
        bool up = link_is_up(l->link);
        if (l->dialled || l->ended || (peer ? !up || !node_id_eq(link_peer(l->link), peer) : up))
            continue;
        oldest = oldest ? oldest : l;
        n++;
    }
    return n >= max ? oldest : NULL;
}

static struct bulk_link *make_accepted(struct bulk *b, int *fd_take, mono_ms now)
{
    struct addr none = {.port = 0};
    struct bulk_link *l = add_link(b, &none, now);
    if (!l)
        return NULL;
    struct link_setup s = setup_of(l);
    l->link = link_accept(&s, now);
    if (l->link && net_conn_adopt(&l->conn, b->loop, *fd_take) == ERR_OK) {
        *fd_take = -1;
        return l;
    }
    *fd_take = l->link ? -1 : *fd_take; /* net_conn_adopt() has taken it, whatever came of it */
    free_link(l);
    return NULL;
}

/* A handshake is a fifth of a millisecond of the loop that is also the failure detector (ADVERSARY G20). TCP has shown that the source is
 * where it says. Each has a rate of its own, and hosts behind one address share what is left over with all. */
static bool may_handshake(struct bulk *b, const struct addr *from, mono_ms now)
{
    if (rate_allow(&b->rate, from, true, now))
        return rate_total_allow(&b->sparing, BULK_ACCEPTS_PER_S, now);
    return rate_total_allow(&b->rest, BULK_SHARED_PER_S, now);
}

void bulk_accept(struct bulk *b, int fd_take, struct buf *read_take, mono_ms now)
{
    struct bulk_link *waiting = one_too_many(b, NULL, BULK_HANDSHAKES_MAX);
    if (waiting) {
        b->stats.handshakes_failed++;
        free_link(waiting);
    }
    struct bulk_link *l = make_accepted(b, &fd_take, now);
    if (!l) {
        b->stats.links_refused++;
        if (fd_take >= 0)
            close(fd_take);
        buf_fini(read_take);
        return;
    }
    l->connected = true;
    l->in = *read_take;
    *read_take = (struct buf){0};
    (void)net_conn_peer(l->conn, &l->addr);
    net_conn_events_set(l->conn, &conn_events, l);
    if (!may_handshake(b, &l->addr, now)) {
        b->stats.links_refused++;
        free_link(l);
    }
}

/* -- knocking ---------------------------------------------------------------------------------- */

static void on_knock_opened(void *arg)
{
    struct knock *k = arg;
    k->done = true;
}

static void on_knock_heard(void *arg, struct bytes in)
{
    (void)in;
    on_knock_opened(arg);
}

static void on_knock_closed(void *arg, enum err why)
{
    struct knock *k = arg;
    k->done = true;
    k->refused = why == ERR_REFUSED;
}

static const struct net_conn_events knock_events = {on_knock_heard, on_knock_opened, on_knock_closed,
                                                    on_knock_opened, on_drained};

void bulk_knock(struct bulk *b, const struct node_id *to, const struct addr *addr)
{
    struct knock *k = b->knock_count < BULK_KNOCKS_MAX ? calloc(1, sizeof *k) : NULL;
    if (!k)
        return;
    k->bulk = b;
    k->to = *to;
    if (net_dial(&k->conn, b->loop, addr, BULK_KNOCK_TIMEOUT_MS, &knock_events, k) != ERR_OK) {
        free(k);
        return;
    }
    list_append(&b->knocks, &k->node);
    b->knock_count++;
}

static void step_knocks(struct bulk *b)
{
    list_each_safe (struct knock, k, &b->knocks, node) {
        if (!k->done)
            continue;
        if (k->refused)
            b->ev.lost(b->arg, &k->to, true);
        free_knock(k);
    }
}

/* -- sending ----------------------------------------------------------------------------------- */

static bool leads_to(const struct bulk_link *l, const struct node_id *to, const struct addr *addr)
{
    if (l->ended || l->gone)
        return false;
    if (node_id_is_zero(to))
        return l->dialled && node_id_is_zero(&l->to) && addr_eq(&l->addr, addr);
    return link_is_up(l->link) ? node_id_eq(link_peer(l->link), to) : l->dialled && node_id_eq(&l->to, to);
}

/* An answer goes back where the question came from, if it still can: after a restart an old link may linger, and where two agents
 * have one key the other one would get it. */
static struct bulk_link *find(struct bulk *b, const struct node_id *to, const struct addr *addr)
{
    struct bulk_link *other = NULL;
    list_each (struct bulk_link, l, &b->links, node) {
        if (!leads_to(l, to, addr))
            continue;
        if (addr_eq(&l->addr, addr))
            return l;
        other = other ? other : l;
    }
    return other;
}

void bulk_send(struct bulk *b, const struct link_to *to, struct bytes msg, mono_ms now)
{
    struct bulk_link *l = find(b, to->id, to->addr);
    if (!l)
        l = dial(b, to, now);
    if (!l || l->out.len + msg.len > BULK_QUEUE_MAX) {
        b->ev.undelivered(b->arg, to->id, to->addr);
        return;
    }
    if (l->out.len == 0 && l->queued == 0)
        l->moved = now; /* the peer's time to read begins with something to read */
    assembly_put(&l->out, msg);
    b->stats.messages_out++;
}

/* Seals what is queued, as long as the socket keeps up. */
static enum err seal_queue(struct bulk_link *l, struct buf *wire)
{
    enum err e = buf_ok(&l->out) ? ERR_OK : ERR_NOMEM;
    size_t done = 0;
    while (e == ERR_OK && link_is_up(l->link) && done < l->out.len &&
           net_conn_queued(l->conn) + wire->len < SOCKET_QUEUE_MAX) {
        size_t n = l->out.len - done, cap = 0;
        if (n > RECORD_FILL_MAX)
            n = RECORD_FILL_MAX;
        uint8_t *at = link_seal_begin(l->link, wire, n, &cap);
        if (!at) {
            e = ERR_NOMEM;
            break;
        }
        if (n > cap)
            n = cap;
        memcpy(at, l->out.at + done, n);
        e = link_seal_end(l->link, wire, n);
        done += n;
    }
    buf_consume(&l->out, done);
    if (e == ERR_OK && l->out.len == 0)
        buf_fini(&l->out);
    return e;
}

static enum err flush(struct bulk_link *l, mono_ms now)
{
    struct buf wire = {0};
    enum err e = link_poll_send(l->link, &wire);
    if (e == ERR_OK)
        e = seal_queue(l, &wire);
    size_t before = net_conn_queued(l->conn);
    if (wire.len > 0 || before < l->queued)
        l->moved = now;
    if (wire.len > 0)
        net_conn_write_take(l->conn, &wire);
    l->queued = net_conn_queued(l->conn);
    buf_fini(&wire);
    return e;
}

/* -- receiving --------------------------------------------------------------------------------- */

static enum err deliver(struct bulk_link *l, struct bytes plain)
{
    struct bulk *b = l->bulk;
    struct bytes message;
    enum err e = assembly_feed(&l->assembly, plain);
    while (e == ERR_OK && (e = assembly_poll(&l->assembly, &message)) == ERR_OK) {
        b->stats.messages_in++;
        b->ev.message(b->arg, link_peer(l->link), &l->addr, message);
    }
    return e == ERR_AGAIN ? ERR_OK : e;
}

static enum err receive(struct bulk_link *l, mono_ms now)
{
    size_t done = 0;
    enum err e = buf_ok(&l->in) ? ERR_OK : ERR_NOMEM;
    while (e == ERR_OK && done < l->in.len) {
        struct bytes plain;
        size_t used = 0;
        e = link_feed(l->link, bytes_of(l->in.at + done, l->in.len - done), &used, now);
        done += used;
        bool got = false;
        while (e == ERR_OK && link_poll_record(l->link, &plain)) {
            got = true;
            e = deliver(l, plain);
        }
        if (used == 0 && !got)
            break;
    }
    if (done > 0)
        l->moved = now;
    buf_consume(&l->in, done);
    if (e == ERR_OK && l->in.len == 0)
        buf_fini(&l->in);
    if (!l->gone)
        net_conn_read_pause(l->conn, false);
    return e;
}

/* -- the step ---------------------------------------------------------------------------------- */

/* A fault of one who dialled us is counted and no more: whoever can reach us could fill the log. */
static void complain_broken(struct bulk_link *l, enum err e)
{
    char text[ADDR_TEXT_MAX];
    struct bytes words = link_refusal(l->link);
    l->bulk->stats.malformed++;
    if (l->dialled && words.len > 0 && l->bulk->ev.refused)
        l->bulk->ev.refused(l->bulk->arg, link_peer_credential(l->link), words);
    else if (l->dialled && link_met_stranger(l->link) && l->bulk->ev.stranger)
        l->bulk->ev.stranger(l->bulk->arg, &l->addr);
    else
        log_line(l->dialled ? LOG_WARN : LOG_DEBUG, "bulk", "link %s %s refused: %s",
                 l->dialled ? "to" : "from", addr_text(&l->addr, text), err_text(e));
    l->ended = true;
}

/* A member's newest links are the good ones: those of before its restart may linger. */
static void note_up(struct bulk_link *l)
{
    struct bulk *b = l->bulk;
    struct bulk_link *old = l->dialled ? NULL : one_too_many(b, link_peer(l->link), BULK_PEER_LINKS_MAX + 1);
    l->known = true;
    b->stats.links_opened++;
    if (!old)
        return;
    b->stats.links_refused++;
    old->ended = true;
}

static void step_link(struct bulk_link *l, mono_ms now)
{
    bool was_up = link_is_up(l->link);
    enum err e = ERR_OK;
    if (l->in.len > 0)
        e = receive(l, now);
    if (e == ERR_OK && l->connected && !l->gone)
        e = flush(l, now);
    if (!was_up && link_is_up(l->link))
        note_up(l);
    if (e != ERR_OK)
        complain_broken(l, e);
    else if (!l->known && now >= link_deadline(l->link))
        complain_broken(l, ERR_TIMEOUT);
    else if (l->gone || link_is_closed_by_peer(l->link) || now >= l->moved + BULK_IDLE_MS)
        l->ended = true;
}

static void say_goodbye(struct bulk_link *l)
{
    struct buf wire = {0};
    if (!l->gone && link_is_up(l->link) && link_close(l->link, &wire) == ERR_OK)
        net_conn_write_take(l->conn, &wire);
    buf_fini(&wire);
}

static void say_lost(struct bulk_link *l)
{
    struct bulk *b = l->bulk;
    bool broke = l->gone && l->known && !link_is_closed_by_peer(l->link);
    if (broke)
        b->ev.lost(b->arg, link_peer(l->link), false);
    else if (l->gone && !l->connected && !node_id_is_zero(&l->to))
        b->ev.lost(b->arg, &l->to, l->refused);
}

static void reap(struct bulk_link *l)
{
    struct bulk *b = l->bulk;
    bool unsent = l->out.len > 0 || l->queued > 0;
    if (!l->dialled && !l->known)
        b->stats.handshakes_failed++;
    if (l->dialled && (unsent || !l->known))
        b->ev.undelivered(b->arg, &l->to, &l->addr);
    else if (unsent)
        b->ev.undelivered(b->arg, link_peer(l->link), &l->addr);
    say_lost(l);
    say_goodbye(l);
    free_link(l);
}

void bulk_step(struct bulk *b, mono_ms now)
{
    step_knocks(b);
    list_each_safe (struct bulk_link, l, &b->links, node) {
        if (!l->ended)
            step_link(l, now);
        if (l->ended)
            reap(l);
    }
}

void bulk_cut(struct bulk *b, const struct node_id *peer)
{
    list_each (struct bulk_link, l, &b->links, node) {
        if (link_is_up(l->link) && node_id_eq(link_peer(l->link), peer))
            l->ended = true;
    }
}

void bulk_retain(struct bulk *b, bool (*keep)(void *arg, const struct node_id *peer), void *arg)
{
    list_each (struct bulk_link, l, &b->links, node) {
        if (link_is_up(l->link) ? !keep(arg, link_peer(l->link)) : !l->dialled)
            l->ended = true;
    }
}

mono_ms bulk_deadline(const struct bulk *b)
{
    mono_ms at = NEVER;
    list_each (struct bulk_link, l, &b->links, node) {
        at = mono_min(at, link_is_up(l->link) ? l->moved + BULK_IDLE_MS : link_deadline(l->link));
    }
    return at;
}

const struct bulk_stats *bulk_stats(const struct bulk *b)
{
    return &b->stats;
}
