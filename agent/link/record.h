/* Records of a TCP link, one direction: sealing, opening, and the rekey both ends do at the same record.
 *
 *   be16 length of what follows | sealed( u8 type | body )           17..65535 bytes after the length
 *
 * The nonce is the record's number, so a record that is lost, doubled, reordered or reflected does not open.
 * After every RECORD_REKEY_RECORDS records, or once RECORD_REKEY_BYTES sealed bytes have gone by, whichever
 * comes first, sender and receiver apply Noise's REKEY to this direction (section 4.2; the number goes on)
 * and count afresh: what an attacker reads out of memory later does not open what was recorded before. */
#ifndef LINK_RECORD_H
#define LINK_RECORD_H

#include "noise/noise.h"

enum record_type { RECORD_DATA = 1, RECORD_CLOSE = 2, RECORD_CONFIRM = 3, RECORD_REFUSAL = 4 };

enum {
    RECORD_HEAD_BYTES = 2 + 1, /* length and type, in front of the body */
    RECORD_OVERHEAD = RECORD_HEAD_BYTES + NOISE_TAG_BYTES,
    RECORD_BODY_MAX = NOISE_PLAIN_MAX - 1,
    RECORD_REKEY_RECORDS = 1 << 16,
    RECORD_REKEY_BYTES = 1 << 30,
};

struct record_way {
    struct noise_cipherstate cipher;
    uint32_t records, bytes; /* since the last rekey; bytes of sealed text, lengths not counted */
};

/* Seals the body that lies at `at` + RECORD_HEAD_BYTES where it lies; the record is then RECORD_OVERHEAD +
 * body_len bytes from `at` on. body_len <= RECORD_BODY_MAX. ERR_LIMIT: the direction is used up. */
must_check enum err record_seal(struct record_way *w, uint8_t *at, enum record_type type, size_t body_len);
/* Opens what follows a record's length. `out` has room for sealed.len bytes and either is sealed.at (opened
 * in place) or does not overlap it; *body points into it. ERR_MALFORMED: no record has this length, or its
 * type is unknown; ERR_AUTH. */
must_check enum err record_open(struct record_way *w, uint8_t *out, struct bytes sealed,
                                enum record_type *type, struct bytes *body);

#endif
