#include "store/table.h"

#include "store/crc.h"

static const char *const names[TABLES] = {
    [TABLE_META] = "meta",     [TABLE_SELF] = "self",       [TABLE_MEMBERS] = "members",
    [TABLE_POLICY] = "policy", [TABLE_BUNDLES] = "bundles", [TABLE_ASIDE] = "aside",
};

const char *table_name(enum table t)
{
    return names[t];
}

int tables_open(MDB_txn *txn, MDB_dbi dbi[TABLES], bool create)
{
    for (unsigned t = 0; t < TABLES; t++) {
        int rc = mdb_dbi_open(txn, names[t], create ? MDB_CREATE : 0, &dbi[t]);
        if (rc)
            return rc;
    }
    return 0;
}

/* Lengths go in too, so that no two (database, key, value) are the same run of bytes. */
static uint64_t checksum(enum table t, struct bytes key, struct bytes value)
{
    uint8_t lengths[12];
    store_be32(lengths, (uint32_t)t);
    store_be32(lengths + 4, (uint32_t)key.len);
    store_be32(lengths + 8, (uint32_t)value.len);
    return crc64(crc64(crc64(0, bytes_of(lengths, sizeof lengths)), key), value);
}

int table_put(MDB_txn *txn, const MDB_dbi *dbi, enum table t, struct bytes key, struct bytes value)
{
    MDB_val k = val_of(key), room = {VALUE_HEAD_BYTES + value.len, NULL};
    int rc = mdb_put(txn, dbi[t], &k, &room, MDB_RESERVE);
    if (rc)
        return rc;
    struct wr w = wr_init(room.mv_data, room.mv_size);
    wr_be64(&w, checksum(t, key, value));
    wr_bytes(&w, value.at, value.len);
    return 0;
}

bool value_open(enum table t, struct bytes key, struct bytes stored, struct bytes *out)
{
    struct rd r = rd_init(stored);
    uint64_t sum = rd_be64(&r);
    struct bytes value = rd_bytes(&r, rd_left(&r));
    if (!rd_done(&r) || sum != checksum(t, key, value))
        return false;
    *out = value;
    return true;
}

int table_get(MDB_txn *txn, const MDB_dbi *dbi, enum table t, struct bytes key, struct bytes *out)
{
    MDB_val k = val_of(key), stored;
    int rc = mdb_get(txn, dbi[t], &k, &stored);
    if (rc)
        return rc;
    return value_open(t, key, bytes_of_val(stored), out) ? 0 : MDB_CORRUPTED;
}

int table_del(MDB_txn *txn, const MDB_dbi *dbi, enum table t, struct bytes key)
{
    MDB_val k = val_of(key);
    int rc = mdb_del(txn, dbi[t], &k, NULL);
    return rc == MDB_NOTFOUND ? 0 : rc;
}
