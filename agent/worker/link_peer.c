/* One TCP connection to or from another agent: preface, handshake, records, streams. All streams of a link
 * share one seal and one write per turn. A bulk connection is only recognised here, and handed to the control
 * loop with what was read of it. */
#include <unistd.h>

#include "observe/log.h"
#include "worker/internal.h"
#include "worker/prove.h"

static void bury_link(struct grave *g)
{
    struct link_peer *l = list_entry(g, struct link_peer, grave);
    link_free(l->link);
    mux_free(l->mux);
    vouched_unref(l->vouched);
    proof_unref(l->proof);
    buf_fini(&l->preface);
    worker_buf_return(l->w, &l->out);
    free(l);
}

/* --- news for the control loop ------------------------------------------------------------- */

/* Notes carry what they need: they may arrive when the workers are gone already. */
struct link_note {
    void (*fn)(void *arg, const struct node_id *peer, enum worker_link_news news);
    void *arg;
    struct node_id id;
    enum worker_link_news news;
};

static void say_link(void *arg)
{
    struct link_note *n = arg;
    n->fn(n->arg, &n->id, n->news);
    free(n);
}

/* Evidence for the failure detector: a hint, so nothing is lost if there is no memory for it. */
static void report(struct link_peer *l, enum worker_link_news news)
{
    const struct worker_config *g = &l->w->all->config;
    struct link_note *n = g->on_link ? malloc(sizeof *n) : NULL;
    if (!n)
        return;
    *n = (struct link_note){g->on_link, g->arg, l->id, news};
    if (net_post(g->control, say_link, n) != ERR_OK)
        free(n);
}

static void report_works(struct link_peer *l)
{
    mono_ms now = worker_now(l->w);
    if (now < l->report_at)
        return;
    l->report_at = now + LINK_REPORT_MS;
    report(l, l->outgoing ? WORKER_LINK_WORKS : WORKER_LINK_HEARD);
}

struct bulk_note {
    void (*fn)(void *arg, int fd_take, struct buf *read_take);
    void *arg;
    int fd;
    struct buf read;
};

static void say_bulk(void *arg)
{
    struct bulk_note *n = arg;
    n->fn(n->arg, n->fd, &n->read);
    free(n);
}

/* --- death --------------------------------------------------------------------------------- */

static void not_handshaking(struct link_peer *l)
{
    if (!l->handshaking)
        return;
    l->handshaking = false;
    list_remove(&l->among_handshakes);
    l->w->handshake_count--;
    l->w->handshakes_from[l->source]--;
}

/* Everything but the connection, which has been disposed of. */
static void die(struct link_peer *l, enum err why)
{
    if (l->dead)
        return;
    l->dead = true;
    if (l->mux)
        metric_add(l->w->links_up, (uint64_t)-1);
    not_handshaking(l);
    if (!l->outgoing)
        l->w->link_in_count--;
    peer_link_gone(l, why);
    streams_lost(l);
    l->conn = NULL;
    wheel_clear(&l->w->wheel, &l->timer);
    list_remove(&l->flush.node);
    list_remove(&l->in_worker);
    worker_bury(l->w, &l->grave);
}

/* The connection is gone, but what had been received is still delivered: an answer and the close may come in
 * one read. */
static void end(struct link_peer *l, enum err why)
{
    l->conn = NULL;
    if (!l->mux) {
        die(l, why);
        return;
    }
    link_events(l);
    l->ending = true;
    wheel_clear(&l->w->wheel, &l->timer);
    peer_link_gone(l, why);
    streams_finish_reading(l);
    worker_flush(l->w, &l->flush);
}

/* What a dead agent's host, or a dead host, says to a dial. */
static bool is_silence(enum err why)
{
    return why == ERR_REFUSED || why == ERR_TIMEOUT || why == ERR_UNREACHABLE || why == ERR_CLOSED;
}

static void fail(struct link_peer *l, enum err why)
{
    bool was_up = l->mux != NULL;
    if (l->dead || l->ending)
        return;
    metric_add(was_up ? l->w->links_lost : l->w->link_failures, 1);
    if (was_up)
        report(l, l->outgoing && why == ERR_TIMEOUT ? WORKER_LINK_SILENT : WORKER_LINK_LOST);
    else if (l->outgoing && is_silence(why))
        report(l, why == ERR_REFUSED ? WORKER_LINK_REFUSED : WORKER_LINK_TIMEOUT);
    log_debug("link", "%s link %s: %s", l->outgoing ? "outgoing" : "incoming", was_up ? "lost" : "failed",
              err_text(why));
    net_conn_free(l->conn);
    end(l, why);
}

void link_cut(struct link_peer *l, bool politely)
{
    if (l->dead)
        return;
    if (l->ending) {
        die(l, ERR_CLOSED);
        return;
    }
    if (politely && l->mux && link_close(l->link, &l->out) == ERR_OK)
        worker_write(l->w, l->conn, &l->out);
    net_conn_free_flush(l->conn, politely ? LINGER_MS : 0);
    die(l, politely ? ERR_OK : ERR_DENIED);
}

/* --- handshake ----------------------------------------------------------------------------- */

static wall_s wall_now(const struct link_peer *l)
{
    wall_s clock = (wall_s)(net_wall_ms() / 1000);
    return view_wall(l->w->view, clock);
}

enum err link_verify_credential(void *arg, struct bytes credential, const uint8_t noise_key[32],
                                struct node_id *id)
{
    struct link_peer *l = arg;
    struct credential c;
    enum err e = trust_credential(l->w->view->trust, credential, wall_now(l), &c);
    if (e)
        return e;
    if (memcmp(c.noise_key, noise_key, 32) != 0)
        return ERR_AUTH; /* a credential of somebody else */
    if (node_id_eq(&c.id, &l->w->view->self))
        return ERR_DENIED; /* a clone of us, under whichever of our Noise keys (N16) */
    *id = c.id;
    return ERR_OK;
}

/* When to look again whether the peer's credential has ended: then, and within the hour, for the clock may be set. */
static mono_ms credential_look(const struct link_peer *l)
{
    wall_s left = l->credential.expires - wall_now(l);
    return worker_now(l->w) + (left < 0 ? 0 : left > CREDENTIAL_LOOK_S ? CREDENTIAL_LOOK_S : left) * 1000;
}

static bool has_lapsed(const struct link_peer *l)
{
    return l->credential.expires <= wall_now(l);
}

static void rearm(struct link_peer *l)
{
    mono_ms at = l->mux ? mux_deadline(l->mux) : link_deadline(l->link);
    if (l->mux && l->outgoing && list_is_empty(&l->streams))
        at = mono_min(at, l->idle_since + LINK_IDLE_MS);
    if (l->mux)
        at = mono_min(at, credential_look(l));
    wheel_set_sooner(&l->w->wheel, &l->timer, at);
}

/* Takes the reference over. */
static void take_vouched(struct link_peer *l, struct vouched *v_take)
{
    vouched_open(v_take, &l->credential);
    vouched_unref(l->vouched);
    l->vouched = v_take;
}

static void came_up(struct link_peer *l)
{
    not_handshaking(l);
    l->id = *link_peer(l->link);
    l->is_known = view_node(l->w->view, &l->id) != NULL;
    struct credential c;
    struct vouched *v = NULL;
    enum err e = trust_credential(l->w->view->trust, link_peer_credential(l->link), wall_now(l), &c);
    if (!e)
        e = vouched_new(&v, &c);
    if (!e)
        take_vouched(l, v);
    struct mux *m = e ? NULL : mux_new(l->outgoing, worker_now(l->w));
    if (!m) {
        fail(l, e ? e : ERR_NOMEM);
        return;
    }
    l->mux = m;
    l->idle_since = worker_now(l->w);
    metric_add(l->w->links_up, 1);
    report_works(l);
    log_debug("link", "%s link is up with %.*s", l->outgoing ? "outgoing" : "incoming", (int)c.node.len,
              (const char *)c.node.at);
    if (l->w->draining && !l->outgoing)
        mux_goaway(m);
    peer_link_up(l);
}

/* --- reading ------------------------------------------------------------------------------- */

void link_events(struct link_peer *l)
{
    struct mux_event ev;
    while (!l->dead && !l->ending && mux_poll_event(l->mux, &ev)) {
        switch (ev.type) {
        case MUX_EV_OPENED:
            stream_far_opened(l, ev.stream);
            break;
        case MUX_EV_READABLE:
        case MUX_EV_WRITABLE:
            stream_side_event(ev.stream, ev.owner, ev.type);
            break;
        case MUX_EV_GOAWAY: /* what is under way finishes; the next request makes a new link */
            l->goaway = true;
            peer_link_gone(l, ERR_OK);
            break;
        }
    }
}

static enum err feed(struct link_peer *l, struct bytes in)
{
    enum err e = ERR_OK;
    while (in.len > 0 && !e && !l->dead && !l->ending) {
        size_t used = 0;
        struct bytes plain;
        e = link_feed(l->link, in, &used, worker_now(l->w));
        in.at += used;
        in.len -= used;
        if (!e)
            e = link_poll_send(l->link, &l->out);
        if (!e && !l->mux && link_is_up(l->link))
            came_up(l);
        while (!e && !l->dead && l->mux && link_poll_record(l->link, &plain)) {
            report_works(l);
            e = mux_receive(l->mux, plain, worker_now(l->w));
        }
        if (link_is_closed_by_peer(l->link))
            break;
    }
    return e;
}

static void on_data(void *arg, struct bytes in)
{
    struct link_peer *l = arg;
    if (l->dead)
        return;
    enum err e = feed(l, in);
    if (l->dead || l->ending)
        return;
    if (e) {
        fail(l, e);
        return;
    }
    if (l->mux)
        link_events(l);
    if (l->dead || l->ending)
        return;
    if (link_is_closed_by_peer(l->link)) {
        net_conn_free_flush(l->conn, LINGER_MS);
        end(l, ERR_OK);
        return;
    }
    worker_flush(l->w, &l->flush);
    rearm(l);
}

static void on_eof(void *arg)
{
    fail(arg, ERR_CLOSED); /* without CLOSE it is a truncation */
}

static void on_closed(void *arg, enum err why)
{
    fail(arg, why);
}

static void on_connected(void *arg)
{
    struct link_peer *l = arg;
    if (link_poll_send(l->link, &l->out) != ERR_OK)
        fail(l, ERR_NOMEM);
    else
        worker_flush(l->w, &l->flush);
}

static void on_drained(void *arg)
{
    struct link_peer *l = arg;
    worker_flush(l->w, &l->flush);
}

static const struct net_conn_events link_conn_events = {on_data, on_eof, on_closed, on_connected, on_drained};

static void on_timer(struct timer *t)
{
    struct link_peer *l = list_entry(t, struct link_peer, timer);
    mono_ms now = worker_now(l->w);
    if (!l->mux) {
        mono_ms end = l->link ? link_deadline(l->link) : t->at;
        if (now >= end)
            fail(l, ERR_TIMEOUT);
        else
            rearm(l);
        return;
    }
    if (mux_tick(l->mux, now) != ERR_OK) {
        fail(l, ERR_TIMEOUT);
        return;
    }
    if (l->outgoing && list_is_empty(&l->streams) && now >= l->idle_since + LINK_IDLE_MS) {
        link_cut(l, true);
        return;
    }
    if (has_lapsed(l)) {
        log_info("link", "the credential of %.*s has ended and no newer one has come: its link is cut",
                 (int)l->credential.node.len, (const char *)l->credential.node.at);
        link_cut(l, false);
        return;
    }
    worker_flush(l->w, &l->flush);
    rearm(l);
}

/* --- writing ------------------------------------------------------------------------------- */

static enum err seal_ready(struct link_peer *l)
{
    enum err e = ERR_OK;
    while (!e && mux_has_ready(l->mux) && net_conn_queued(l->conn) + l->out.len < LINK_QUEUE_BYTES) {
        size_t cap = 0;
        uint8_t *at = link_seal_begin(l->link, &l->out, NOISE_PLAIN_MAX, &cap);
        if (!at || cap < MUX_FILL_MIN)
            return ERR_NOMEM;
        size_t n = mux_fill(l->mux, at, cap, worker_now(l->w));
        e = link_seal_end(l->link, &l->out, n);
        if (n == 0)
            break;
    }
    return e;
}

static bool has_ended(const struct link_peer *l)
{
    return (l->goaway || l->w->draining) && l->mux && mux_stream_count(l->mux) == 0 && !mux_has_ready(l->mux);
}

static void flush(struct task *t)
{
    struct link_peer *l = list_entry(t, struct link_peer, flush);
    if (l->ending) {
        if (list_is_empty(&l->streams))
            die(l, ERR_OK);
        return;
    }
    if (!l->out.at)
        l->out = worker_buf(l->w);
    enum err e = l->mux ? seal_ready(l) : ERR_OK;
    if (e) {
        fail(l, e);
        return;
    }
    worker_write(l->w, l->conn, &l->out);
    if (l->mux)
        link_events(l); /* what went out made room for more */
    if (!l->dead && !l->ending && l->goaway && has_ended(l))
        link_cut(l, true);
}

/* --- opening ------------------------------------------------------------------------------- */

static struct link_peer *link_new(struct worker *w, bool outgoing)
{
    struct link_peer *l = calloc(1, sizeof *l);
    if (!l)
        return NULL;
    l->w = w;
    l->outgoing = outgoing;
    list_init(&l->streams);
    list_init(&l->waiting);
    l->flush.run = flush;
    l->timer.fire = on_timer;
    l->grave.bury = bury_link;
    return l;
}

static struct link_setup setup_of(struct link_peer *l)
{
    struct link_setup s = {
        .kind = LINK_TRAFFIC,
        .mesh = l->w->all->config.mesh,
        .verify = {link_verify_credential, l, NULL},
    };
    link_setup_prove(&s, l->proof);
    return s;
}

struct link_peer *link_dial(struct worker *w, const struct view_node *node)
{
    struct link_peer *l = w->view->proof ? link_new(w, true) : NULL;
    if (!l)
        return NULL;
    l->proof = proof_ref(w->view->proof);
    struct link_setup s = setup_of(l);
    bool aes = (node->features & FEATURE_AESGCM) && noise_cipher_is_available(NOISE_AESGCM);
    s.cipher = aes ? NOISE_AESGCM : NOISE_CHACHAPOLY;
    s.version = link_version_with(node->link_newest);
    s.remote_key = node->noise_key;
    s.remote_id = &node->id;
    l->id = node->id;
    l->is_known = true;
    l->link = link_connect(&s, worker_now(w));
    if (!l->link ||
        net_dial(&l->conn, w->loop, &node->addr, LINK_HANDSHAKE_TIMEOUT_MS, &link_conn_events, l) != ERR_OK) {
        link_free(l->link);
        proof_unref(l->proof);
        free(l);
        return NULL;
    }
    list_append(&w->links, &l->in_worker);
    rearm(l);
    return l;
}

static void hand_over(struct link_peer *l)
{
    const struct worker_config *g = &l->w->all->config;
    struct bulk_note *n = g->on_bulk ? malloc(sizeof *n) : NULL;
    if (!n) {
        fail(l, ERR_NOMEM);
        return;
    }
    *n = (struct bulk_note){
        .fn = g->on_bulk, .arg = g->arg, .fd = net_conn_detach(l->conn), .read = l->preface};
    l->preface = (struct buf){0};
    die(l, ERR_OK);
    if (n->fd >= 0 && net_post(g->control, say_bulk, n) == ERR_OK)
        return;
    if (n->fd >= 0)
        close(n->fd);
    buf_fini(&n->read);
    free(n);
}

static void on_preface(void *arg, struct bytes in)
{
    struct link_peer *l = arg;
    enum link_kind kind;
    buf_add_bytes(&l->preface, in);
    if (!buf_ok(&l->preface)) {
        fail(l, ERR_NOMEM);
        return;
    }
    if (l->preface.len < LINK_PREFACE_BYTES)
        return;
    if (link_preface_kind(buf_bytes(&l->preface), &kind) != ERR_OK) {
        fail(l, ERR_MALFORMED);
        return;
    }
    if (kind == LINK_BULK) {
        hand_over(l);
        return;
    }
    l->proof = proof_ref(l->w->view->proof);
    if (l->proof) {
        struct link_setup s = setup_of(l);
        l->link = link_accept(&s, worker_now(l->w));
    }
    if (!l->link) {
        fail(l, ERR_NOMEM);
        return;
    }
    net_conn_events_set(l->conn, &link_conn_events, l);
    struct buf read = l->preface;
    l->preface = (struct buf){0};
    on_data(l, buf_bytes(&read));
    buf_fini(&read);
}

/* Who hangs up without a word only wanted to know whether anybody listens (bulk_knock). */
static void on_preface_eof(void *arg)
{
    struct link_peer *l = arg;
    if (l->preface.len == 0)
        link_cut(l, false);
    else
        on_eof(l);
}

static const struct net_conn_events preface_events = {on_preface, on_preface_eof, on_closed, NULL, NULL};

/* Multiply-shift hashing (Dietzfelbinger et al. 1997), seeded, so that sharing a bucket is not easily arranged. */
static uint8_t source_of(const struct worker *w, const struct net_conn *c)
{
    struct addr a;
    uint64_t prefix = net_conn_peer(c, &a) ? load_be64(a.ip + (addr_is_v4(&a) ? 8 : 0)) : 0;
    return (uint8_t)(prefix * w->source_seed >> 56);
}

static void begin_handshake(struct link_peer *l, uint8_t source)
{
    struct worker *w = l->w;
    l->handshaking = true;
    l->source = source;
    list_append(&w->handshakes, &l->among_handshakes);
    w->handshake_count++;
    w->handshakes_from[source]++;
}

/* An honest handshake takes a round trip, an idle connection as long as we let it: the oldest gives way, so that whoever
 * fills the table keeps nobody out who answers. */
void link_accept_conn(struct worker *w, struct net_conn *c_take)
{
    uint8_t source = source_of(w, c_take);
    bool full = w->link_in_count >= LINKS_IN_MAX || w->handshakes_from[source] >= HANDSHAKES_PER_SOURCE_MAX;
    struct link_peer *l = full ? NULL : link_new(w, false);
    if (!l) {
        metric_add(w->shed_links, 1);
        net_conn_free(c_take);
        return;
    }
    if (w->handshake_count >= HANDSHAKES_MAX) {
        metric_add(w->shed_links, 1);
        fail(list_entry(w->handshakes.head.next, struct link_peer, among_handshakes), ERR_LIMIT);
    }
    l->conn = c_take;
    begin_handshake(l, source);
    w->link_in_count++;
    list_append(&w->links, &l->in_worker);
    wheel_set(&w->wheel, &l->timer, worker_now(w) + LINK_HANDSHAKE_TIMEOUT_MS);
    net_conn_events_set(c_take, &preface_events, l);
}

/* --- all of them --------------------------------------------------------------------------- */

/* A peer may have a link before its record has come; then only its credential says who it is. */
static bool is_believed(const struct link_peer *l)
{
    enum err e = trust_recheck(l->w->view->trust, &l->credential, wall_now(l));
    return e == ERR_OK || e == ERR_EXPIRED;
}

/* A link goes on under the newest credential of its peer's identity, which its records bring: so a renewal costs no link. */
static void take_newest(struct link_peer *l, const struct view_node *n)
{
    if (!n || !n->vouched || !l->mux)
        return;
    const struct credential *has = &l->credential;
    const struct vouched_brief *now = vouched_brief(n->vouched);
    if (now->not_before > has->not_before ||
        (now->not_before == has->not_before && now->expires > has->expires))
        take_vouched(l, vouched_ref(n->vouched));
}

void links_judge(struct worker *w, bool is_other_trust)
{
    list_each_safe (struct link_peer, l, &w->links, in_worker) {
        const struct view_node *node = l->outgoing || l->mux ? view_node(w->view, &l->id) : NULL;
        bool known = node || !(l->outgoing || l->mux);
        take_newest(l, node);
        if ((l->is_known && !known) || (is_other_trust && l->mux && !is_believed(l)))
            link_cut(l, false); /* revoked or forgotten: at once, with all its streams (G35, P33) */
        else
            l->is_known |= known && l->mux;
    }
    peers_judge(w);
}

void links_goaway(struct worker *w)
{
    list_each_safe (struct link_peer, l, &w->links, in_worker) {
        if (!l->mux) {
            if (!l->outgoing)
                link_cut(l, false);
            continue;
        }
        /* A link of our own opens no streams but ours, and what is in flight here may need one more: another try. */
        if (l->ending || l->outgoing)
            continue;
        mux_goaway(l->mux);
        worker_flush(w, &l->flush);
    }
}

bool links_are_quiet(const struct worker *w)
{
    list_each (struct link_peer, l, (struct list *)&w->links, in_worker)
        if (l->mux && !l->ending &&
            (mux_stream_count(l->mux) > 0 || mux_has_ready(l->mux) || net_conn_queued(l->conn) > 0))
            return false;
    return true;
}

void links_free_all(struct worker *w)
{
    list_each_safe (struct link_peer, l, &w->links, in_worker)
        link_cut(l, true);
}
