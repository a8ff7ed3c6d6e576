#include "store/store.h"

#include <errno.h>

#include "store/writer.h"

struct store {
    struct env env;
    struct writer *writer;
};

enum { POINT_BYTES = 16 }; /* be64 epoch | be64 version: orders as bytes do */

enum err store_open_capped(struct store **out, const char *dir, size_t map_bytes_max, void (*wake)(void *arg),
                           void *arg, struct buf *why)
{
    struct store *s = calloc(1, sizeof *s);
    if (!s)
        return ERR_NOMEM;
    enum err e = env_open(&s->env, dir, map_bytes_max, why);
    if (e) {
        free(s);
        return e;
    }
    s->writer = writer_new(&s->env, wake, arg);
    if (!s->writer) {
        buf_add_str(why, "no memory or no thread for the store's writer");
        env_close(&s->env);
        free(s);
        return ERR_NOMEM;
    }
    *out = s;
    return ERR_OK;
}

enum err store_open(struct store **out, const char *dir, void (*wake)(void *arg), void *arg, struct buf *why)
{
    return store_open_capped(out, dir, STORE_MAP_MAX, wake, arg, why);
}

void store_close(struct store *s)
{
    if (!s)
        return;
    writer_free(s->writer);
    env_close(&s->env);
    free(s);
}

bool store_poll_done(struct store *s, uint64_t *ticket, enum err *outcome)
{
    return writer_poll_done(s->writer, ticket, outcome);
}

enum err store_health(const struct store *s)
{
    return writer_health(s->writer);
}

/* ---- mesh and node ---- */

/* key: the mesh's name; value: the node's id. */
static int run_bind(MDB_txn *txn, const MDB_dbi *dbi, struct write *w)
{
    struct bytes mesh, node;
    int have_mesh = table_get(txn, dbi, TABLE_META, bytes_str("mesh"), &mesh);
    int have_node = table_get(txn, dbi, TABLE_META, bytes_str("node"), &node);
    if (have_mesh == MDB_NOTFOUND && have_node == MDB_NOTFOUND) {
        int rc = table_put(txn, dbi, TABLE_META, bytes_str("mesh"), w->key);
        return rc ? rc : table_put(txn, dbi, TABLE_META, bytes_str("node"), w->value);
    }
    if (have_mesh || have_node)
        return MDB_CORRUPTED; /* they are written together */
    if (!bytes_eq(mesh, w->key) || !bytes_eq(node, w->value))
        w->outcome = ERR_FOREIGN;
    return 0;
}

enum err store_bind(struct store *s, struct bytes mesh, const struct node_id *node)
{
    struct write w = {.run = run_bind, .key = mesh, .value = bytes_of(node->b, ID_BYTES)};
    return writer_run(s->writer, &w);
}

enum err store_is_bound(struct store *s, bool *out)
{
    MDB_txn *txn;
    struct bytes node;
    *out = false;
    enum err e = env_read_begin(&s->env, &txn);
    if (e)
        return e;
    int rc = table_get(txn, s->env.dbi, TABLE_META, bytes_str("node"), &node);
    env_read_end(&s->env, txn);
    *out = rc == 0;
    return rc == MDB_NOTFOUND ? ERR_OK : env_err(rc);
}

/* ---- numbers ---- */

static int read_number(MDB_txn *txn, const MDB_dbi *dbi, struct bytes name, uint64_t *out)
{
    struct bytes v;
    int rc = table_get(txn, dbi, TABLE_SELF, name, &v);
    if (rc)
        return rc;
    if (v.len != 8)
        return MDB_CORRUPTED;
    *out = load_be64(v.at);
    return 0;
}

/* a: the number. */
static int run_raise(MDB_txn *txn, const MDB_dbi *dbi, struct write *w)
{
    uint64_t now = 0;
    uint8_t be[8];
    int rc = read_number(txn, dbi, w->key, &now);
    if (rc && rc != MDB_NOTFOUND)
        return rc;
    if (w->a < now)
        w->outcome = ERR_STALE;
    if (rc == 0 && w->a <= now)
        return 0;
    store_be64(be, w->a);
    return table_put(txn, dbi, TABLE_SELF, w->key, bytes_of(be, sizeof be));
}

enum err store_number_get(struct store *s, const char *name, uint64_t *out)
{
    MDB_txn *txn;
    *out = 0;
    enum err e = env_read_begin(&s->env, &txn);
    if (e)
        return e;
    int rc = read_number(txn, s->env.dbi, bytes_str(name), out);
    env_read_end(&s->env, txn);
    return rc == MDB_NOTFOUND ? ERR_OK : env_err(rc);
}

enum err store_number_raise(struct store *s, const char *name, uint64_t value)
{
    struct write w = {.run = run_raise, .key = bytes_str(name), .a = value};
    return writer_run(s->writer, &w);
}

enum err store_number_raise_queued(struct store *s, const char *name, uint64_t value, uint64_t ticket)
{
    struct write w = {.run = run_raise, .key = bytes_str(name), .a = value, .ticket = ticket};
    return writer_queue(s->writer, &w);
}

/* ---- facts ---- */

static int run_fact_put(MDB_txn *txn, const MDB_dbi *dbi, struct write *w)
{
    return table_put(txn, dbi, TABLE_SELF, w->key, w->value);
}

enum err store_fact_put(struct store *s, const char *name, struct bytes value, uint64_t ticket)
{
    struct write w = {.run = run_fact_put, .key = bytes_str(name), .value = value, .ticket = ticket};
    return writer_queue(s->writer, &w);
}

enum err store_fact_get(struct store *s, const char *name, struct buf *out)
{
    MDB_txn *txn;
    struct bytes v = {0};
    enum err e = env_read_begin(&s->env, &txn);
    if (e)
        return e;
    int rc = table_get(txn, s->env.dbi, TABLE_SELF, bytes_str(name), &v);
    if (rc == 0)
        buf_add_bytes(out, v);
    env_read_end(&s->env, txn);
    if (rc == 0 && !buf_ok(out))
        return ERR_NOMEM;
    return rc == MDB_NOTFOUND ? ERR_OK : env_err(rc);
}

/* ---- setting damaged values aside ---- */

static int aside_has_room(MDB_txn *txn, const MDB_dbi *dbi, bool *room)
{
    MDB_stat stat;
    int rc = mdb_stat(txn, dbi[TABLE_ASIDE], &stat);
    *room = rc == 0 && stat.ms_entries < STORE_ASIDE_MAX;
    return rc;
}

/* Moves the value under `key` of `table` as it is, damage and all, to "aside" under "<database>:<key>". */
static int run_set_aside(MDB_txn *txn, const MDB_dbi *dbi, struct write *w)
{
    uint8_t name[512];
    struct wr to = wr_init(name, sizeof name);
    MDB_val key = val_of(w->key), stored;
    bool room;
    int rc = mdb_get(txn, dbi[w->table], &key, &stored);
    if (rc)
        return rc == MDB_NOTFOUND ? 0 : rc;
    rc = aside_has_room(txn, dbi, &room);
    wr_bytes(&to, table_name(w->table), strlen(table_name(w->table)));
    wr_u8(&to, ':');
    wr_bytes(&to, w->key.at, w->key.len);
    if (!rc && room && wr_ok(&to) && wr_len(&to) <= (size_t)mdb_env_get_maxkeysize(mdb_txn_env(txn)))
        rc = table_put(txn, dbi, TABLE_ASIDE, wr_done(&to), bytes_of_val(stored));
    return rc ? rc : table_del(txn, dbi, w->table, w->key);
}

/* A failure (disk full) leaves it where it was: it is found and skipped again. */
static void set_aside(struct store *s, enum table t, struct bytes key)
{
    struct write w = {.run = run_set_aside, .table = t, .key = key};
    (void)!writer_run(s->writer, &w);
}

/* ---- members ---- */

/* An empty value deletes. */
static int run_member_put(MDB_txn *txn, const MDB_dbi *dbi, struct write *w)
{
    if (w->value.len == 0)
        return table_del(txn, dbi, TABLE_MEMBERS, w->key);
    return table_put(txn, dbi, TABLE_MEMBERS, w->key, w->value);
}

enum err store_member_put(struct store *s, const struct node_id *id, struct bytes record, uint64_t ticket)
{
    struct write w = {.run = run_member_put,
                      .key = bytes_of(id->b, ID_BYTES),
                      .value = record,
                      .ticket = ticket,
                      .can_wait = ticket == 0};
    return writer_queue(s->writer, &w);
}

/* Calls `each` for what is sound; appends the keys of the rest to *bad, each be16 length and bytes. */
static int walk_members(MDB_cursor *c, void (*each)(void *arg, const struct node_id *id, struct bytes record),
                        void *arg, struct buf *bad, size_t *damaged)
{
    MDB_val k, v;
    int rc = mdb_cursor_get(c, &k, &v, MDB_FIRST);
    for (; rc == 0; rc = mdb_cursor_get(c, &k, &v, MDB_NEXT)) {
        struct bytes key = bytes_of_val(k), record;
        struct node_id id;
        if (key.len == ID_BYTES && value_open(TABLE_MEMBERS, key, bytes_of_val(v), &record)) {
            memcpy(id.b, key.at, ID_BYTES);
            each(arg, &id, record);
        } else {
            uint8_t len[2];
            store_be16(len, (uint16_t)key.len);
            buf_add(bad, len, sizeof len);
            buf_add_bytes(bad, key);
            ++*damaged;
        }
    }
    return rc == MDB_NOTFOUND ? 0 : rc;
}

static void set_all_aside(struct store *s, struct bytes keys)
{
    struct rd r = rd_init(keys);
    while (rd_ok(&r) && rd_left(&r) > 0) {
        struct bytes key = rd_lv16(&r);
        if (rd_ok(&r))
            set_aside(s, TABLE_MEMBERS, key);
    }
}

enum err store_members_each(struct store *s,
                            void (*each)(void *arg, const struct node_id *id, struct bytes record), void *arg,
                            size_t *damaged)
{
    MDB_txn *txn;
    MDB_cursor *c;
    struct buf bad = {.max = STORE_ASIDE_MAX * 64}; /* what does not fit is met again next time */
    *damaged = 0;
    enum err e = env_read_begin(&s->env, &txn);
    if (e)
        return e;
    int rc = mdb_cursor_open(txn, s->env.dbi[TABLE_MEMBERS], &c);
    if (!rc) {
        rc = walk_members(c, each, arg, &bad, damaged);
        mdb_cursor_close(c);
    }
    env_read_end(&s->env, txn);
    set_all_aside(s, buf_bytes(&bad));
    buf_fini(&bad);
    return env_err(rc);
}

/* ---- revoked keys ---- */

#define REVOKED "revoked/"
enum { REVOKED_NAME_BYTES = sizeof REVOKED - 1 + ID_BYTES };

/* a: since when; 0: deletes. */
static int run_revoked_put(MDB_txn *txn, const MDB_dbi *dbi, struct write *w)
{
    uint8_t be[8];
    if (w->a == 0)
        return table_del(txn, dbi, TABLE_SELF, w->key);
    store_be64(be, w->a);
    return table_put(txn, dbi, TABLE_SELF, w->key, bytes_of(be, sizeof be));
}

enum err store_revoked_put(struct store *s, const struct node_id *key, uint64_t since, uint64_t ticket)
{
    uint8_t name[REVOKED_NAME_BYTES];
    memcpy(name, REVOKED, sizeof REVOKED - 1);
    memcpy(name + sizeof REVOKED - 1, key->b, ID_BYTES);
    struct write w = {
        .run = run_revoked_put, .key = bytes_of(name, sizeof name), .a = since, .ticket = ticket};
    return writer_queue(s->writer, &w);
}

static int walk_revoked(MDB_cursor *c, void (*each)(void *arg, const struct node_id *key, uint64_t since),
                        void *arg)
{
    MDB_val k = val_of(bytes_str(REVOKED)), v;
    int rc = mdb_cursor_get(c, &k, &v, MDB_SET_RANGE);
    for (; rc == 0; rc = mdb_cursor_get(c, &k, &v, MDB_NEXT)) {
        struct bytes name = bytes_of_val(k), value;
        struct node_id key;
        if (name.len < sizeof REVOKED - 1 || memcmp(name.at, REVOKED, sizeof REVOKED - 1) != 0)
            return 0;
        if (name.len != REVOKED_NAME_BYTES || !value_open(TABLE_SELF, name, bytes_of_val(v), &value) ||
            value.len != 8)
            return MDB_CORRUPTED;
        memcpy(key.b, name.at + sizeof REVOKED - 1, ID_BYTES);
        each(arg, &key, load_be64(value.at));
    }
    return rc == MDB_NOTFOUND ? 0 : rc;
}

enum err store_revoked_each(struct store *s,
                            void (*each)(void *arg, const struct node_id *key, uint64_t since), void *arg)
{
    MDB_txn *txn;
    MDB_cursor *c;
    enum err e = env_read_begin(&s->env, &txn);
    if (e)
        return e;
    int rc = mdb_cursor_open(txn, s->env.dbi[TABLE_SELF], &c);
    if (!rc) {
        rc = walk_revoked(c, each, arg);
        mdb_cursor_close(c);
    }
    env_read_end(&s->env, txn);
    return env_err(rc);
}

/* ---- policy ---- */

static struct bytes point_encode(uint8_t space[POINT_BYTES], uint64_t epoch, uint64_t version)
{
    store_be64(space, epoch);
    store_be64(space + 8, version);
    return bytes_of(space, POINT_BYTES);
}

/* {NULL, 0} if there is none. Borrowed from the transaction. */
static int read_point(MDB_txn *txn, const MDB_dbi *dbi, const char *name, struct bytes *out)
{
    *out = (struct bytes){NULL, 0};
    int rc = table_get(txn, dbi, TABLE_POLICY, bytes_str(name), out);
    if (rc == 0 && out->len != POINT_BYTES)
        return MDB_CORRUPTED;
    return rc == MDB_NOTFOUND ? 0 : rc;
}

/* The active bundle is at the floor, the highest of all, so it is never the one that goes. */
static int trim_history(MDB_txn *txn, const MDB_dbi *dbi)
{
    MDB_stat stat;
    MDB_cursor *c;
    MDB_val k, v;
    int rc = mdb_stat(txn, dbi[TABLE_BUNDLES], &stat);
    if (rc || stat.ms_entries <= STORE_POLICY_HISTORY)
        return rc;
    rc = mdb_cursor_open(txn, dbi[TABLE_BUNDLES], &c);
    if (rc)
        return rc;
    for (size_t more = stat.ms_entries - STORE_POLICY_HISTORY; rc == 0 && more > 0; more--) {
        rc = mdb_cursor_get(c, &k, &v, MDB_FIRST);
        if (!rc)
            rc = mdb_cursor_del(c, 0);
    }
    mdb_cursor_close(c);
    return rc;
}

/* a, b: epoch and version. */
static int run_activate(MDB_txn *txn, const MDB_dbi *dbi, struct write *w)
{
    uint8_t space[POINT_BYTES];
    struct bytes floor, point = point_encode(space, w->a, w->b);
    int rc = read_point(txn, dbi, "floor", &floor);
    if (rc)
        return rc;
    if (floor.len > 0 && memcmp(point.at, floor.at, POINT_BYTES) < 0) {
        w->outcome = ERR_STALE;
        return 0;
    }
    rc = table_put(txn, dbi, TABLE_BUNDLES, point, w->value);
    if (!rc)
        rc = table_put(txn, dbi, TABLE_POLICY, bytes_str("active"), point);
    if (!rc)
        rc = table_put(txn, dbi, TABLE_POLICY, bytes_str("floor"), point);
    return rc ? rc : trim_history(txn, dbi);
}

enum err store_policy_activate(struct store *s, uint64_t epoch, uint64_t version, struct bytes bundle,
                               uint64_t ticket)
{
    struct write w = {.run = run_activate, .a = epoch, .b = version, .value = bundle, .ticket = ticket};
    return writer_queue(s->writer, &w);
}

/* Copies the active bundle out; `active` is filled in even if the bundle itself is damaged or missing. */
static int read_active(struct store *s, MDB_txn *txn, struct buf *out, uint8_t active[POINT_BYTES])
{
    struct bytes point, bundle;
    int rc = read_point(txn, s->env.dbi, "active", &point);
    if (rc || point.len == 0)
        return rc;
    memcpy(active, point.at, POINT_BYTES);
    rc = table_get(txn, s->env.dbi, TABLE_BUNDLES, point, &bundle);
    if (rc)
        return MDB_CORRUPTED; /* missing: it was set aside before */
    buf_add_bytes(out, bundle);
    return buf_ok(out) ? 0 : ENOMEM;
}

enum err store_policy_get(struct store *s, uint64_t epoch, uint64_t version, struct buf *out)
{
    MDB_txn *txn;
    uint8_t space[POINT_BYTES];
    struct bytes bundle;
    enum err e = env_read_begin(&s->env, &txn);
    if (e)
        return e;
    int rc = table_get(txn, s->env.dbi, TABLE_BUNDLES, point_encode(space, epoch, version), &bundle);
    if (rc == 0) {
        buf_add_bytes(out, bundle);
        rc = buf_ok(out) ? 0 : ENOMEM;
    }
    env_read_end(&s->env, txn);
    return rc == MDB_NOTFOUND ? ERR_NOT_FOUND : env_err(rc);
}

enum err store_policy_active(struct store *s, struct buf *out, uint64_t *floor_epoch, uint64_t *floor_version)
{
    MDB_txn *txn;
    struct bytes floor;
    uint8_t active[POINT_BYTES] = {0};
    *floor_epoch = *floor_version = 0;
    enum err e = env_read_begin(&s->env, &txn);
    if (e)
        return e;
    int rc = read_point(txn, s->env.dbi, "floor", &floor);
    if (!rc && floor.len > 0) {
        *floor_epoch = load_be64(floor.at);
        *floor_version = load_be64(floor.at + 8);
    }
    if (!rc)
        rc = read_active(s, txn, out, active);
    env_read_end(&s->env, txn);
    if (rc == MDB_CORRUPTED)
        set_aside(s, TABLE_BUNDLES, bytes_of(active, POINT_BYTES));
    return env_err(rc);
}
