#include "admin/door.h"

#include "http/h1.h"

void door_init(struct door *d, struct control *c, size_t request_max, bool (*received)(struct door_conn *))
{
    *d = (struct door){.control = c, .request_max = request_max, .received = received};
    list_init(&d->conns);
}

static void free_conn(struct door_conn *k)
{
    list_remove(&k->node);
    k->door->count--;
    h1_reader_free(k->reader);
    buf_fini(&k->in);
    free(k);
}

static void close_conn(struct door_conn *k, bool flush)
{
    if (k->conn && flush)
        net_conn_free_flush(k->conn, DOOR_LINGER_MS);
    else if (k->conn)
        net_conn_free(k->conn);
    k->conn = NULL;
    if (!k->busy)
        free_conn(k);
}

bool door_may_go_on(const struct door_conn *k)
{
    return k->conn && !k->busy && net_conn_queued(k->conn) < DOOR_QUEUE_MAX;
}

/* Serves what is there, then decides whether to read on. */
static void work(struct door_conn *k)
{
    k->working = true;
    bool stays = k->door->received(k);
    k->working = false;
    bool may_go_on = door_may_go_on(k);
    if (!stays || (k->at_eof && may_go_on))
        close_conn(k, true);
    else
        net_conn_read_pause(k->conn, !may_go_on);
}

/* What was pipelined behind the late answer is looked at now, unless whoever is looking is still on the
 * stack. */
void door_done(struct door_conn *k)
{
    k->busy = false;
    if (k->working)
        return;
    if (k->conn)
        work(k);
    else
        free_conn(k);
}

void door_send(struct door_conn *k, struct buf *bytes_take)
{
    if (k->conn)
        net_conn_write_take(k->conn, bytes_take);
    buf_fini(bytes_take);
}

/* A connection that is busy is not read, but what a batch had in store still comes. */
static void on_data(void *arg, struct bytes in)
{
    struct door_conn *k = arg;
    k->since = net_now(control_loop(k->door->control));
    buf_add_bytes(&k->in, in);
    if (!buf_ok(&k->in))
        close_conn(k, false);
    else if (door_may_go_on(k))
        work(k);
}

static void on_eof(void *arg)
{
    struct door_conn *k = arg;
    k->at_eof = true;
    if (door_may_go_on(k))
        work(k);
}

static void on_closed(void *arg, enum err why)
{
    (void)why;
    close_conn(arg, false);
}

static void on_connected(void *arg)
{
    (void)arg; /* accepted connections do not connect */
}

static void on_drained(void *arg)
{
    struct door_conn *k = arg;
    k->since = net_now(control_loop(k->door->control));
    if (door_may_go_on(k))
        work(k);
}

void door_on_accept(void *door, struct net_conn *c_take)
{
    static const struct net_conn_events ev = {on_data, on_eof, on_closed, on_connected, on_drained};
    struct door *d = door;
    struct door_conn *k =
        d->count < ADMIN_CONNS_MAX && (!d->admit || d->admit(c_take)) ? calloc(1, sizeof *k) : NULL;
    if (!k) {
        net_conn_free(c_take);
        return;
    }
    k->door = d;
    k->conn = c_take;
    k->since = net_now(control_loop(d->control));
    k->in.max = d->request_max;
    list_append(&d->conns, &k->node);
    d->count++;
    net_conn_events_set(c_take, &ev, k);
}

void door_fini(struct door *d)
{
    if (d->listener)
        net_listener_free(d->listener);
    list_each_safe (struct door_conn, k, &d->conns, node) {
        k->busy = false;
        close_conn(k, true);
    }
}

mono_ms door_step(struct door *d, mono_ms now)
{
    mono_ms at = NEVER;
    list_each_safe (struct door_conn, k, &d->conns, node) {
        if (k->busy || k->stays)
            continue;
        size_t queued = net_conn_queued(k->conn);
        if (queued < k->queued)
            k->since = now;
        k->queued = queued;
        if (now >= k->since + ADMIN_IDLE_MS)
            close_conn(k, false);
        else
            at = mono_min(at, k->since + ADMIN_IDLE_MS);
    }
    return at;
}
