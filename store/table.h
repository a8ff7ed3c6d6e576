/* The named databases, and values in them: be64 CRC-64 over (database, key, value), then the value. Covering
 * database and key finds a value that damage has moved under another key. Functions return LMDB's codes,
 * which do not leave this room; MDB_CORRUPTED also stands for a checksum that does not match. */
#ifndef STORE_TABLE_H
#define STORE_TABLE_H

#include <lmdb.h>

#include "base/bytes.h"

enum table { TABLE_META, TABLE_SELF, TABLE_MEMBERS, TABLE_POLICY, TABLE_BUNDLES, TABLE_ASIDE, TABLES };

enum { VALUE_HEAD_BYTES = 8 };

const char *table_name(enum table t);

/* Opens (with `create`: makes) all databases within this transaction. */
int tables_open(MDB_txn *txn, MDB_dbi dbi[TABLES], bool create);

/* Borrowed from the transaction. MDB_NOTFOUND, MDB_CORRUPTED. */
int table_get(MDB_txn *txn, const MDB_dbi *dbi, enum table t, struct bytes key, struct bytes *out);
int table_put(MDB_txn *txn, const MDB_dbi *dbi, enum table t, struct bytes key, struct bytes value);
/* Deleting what is not there is no error. */
int table_del(MDB_txn *txn, const MDB_dbi *dbi, enum table t, struct bytes key);

/* Splits a stored value; false: too short or its checksum does not match. */
bool value_open(enum table t, struct bytes key, struct bytes stored, struct bytes *out);

static inline MDB_val val_of(struct bytes b)
{
    return (MDB_val){b.len, (void *)(uintptr_t)b.at};
}

static inline struct bytes bytes_of_val(MDB_val v)
{
    return bytes_of(v.mv_data, v.mv_size);
}

#endif
