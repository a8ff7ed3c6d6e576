/* Messages put together from the plaintext of a bulk link's records. Pure.
 *
 *   message   be32 length | bytes          length 1..GOSSIP_BULK_MAX
 *
 * A message may be cut anywhere over records, and a record may hold many. Memory grows with what has arrived, never
 * with what a length announces. */
#ifndef CONTROL_ASSEMBLY_H
#define CONTROL_ASSEMBLY_H

#include "base/buf.h"
#include "base/err.h"
#include "gossip/gossip.h"

enum { ASSEMBLY_LENGTH_BYTES = 4 };

struct assembly {
    struct buf bytes; /* whole messages, then the beginning of one */
    size_t done;      /* of them, those already polled */
};

/* Zero-initialised is empty. */
void assembly_fini(struct assembly *a);
/* Takes the next record's plaintext; poll every whole message before the next. ERR_NOMEM; the link cannot go on. */
must_check enum err assembly_feed(struct assembly *a, struct bytes plain);
/* The next whole message, valid until the next feed. ERR_AGAIN: none yet. ERR_MALFORMED: the length that comes next is 0 or
 * beyond GOSSIP_BULK_MAX, and nothing after it can be read. */
must_check enum err assembly_poll(struct assembly *a, struct bytes *message);
/* Appends one message (1..GOSSIP_BULK_MAX bytes) in this form; ask buf_ok(out). */
void assembly_put(struct buf *out, struct bytes message);

#endif
