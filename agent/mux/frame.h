/* The frames of mux, byte by byte. A record's plaintext is a run of whole frames; none is split over two
 * records.
 *
 *   HEAD         u8 type=1  | be32 stream | be16 length | be16 rest | length bytes       9 + length
 *   DATA         u8 type=2  | be32 stream | be16 length | length bytes                   7 + length
 *   TRAILERS     u8 type=3  | as HEAD
 *   END          u8 type=4  | be32 stream                                                5
 *   RESET        u8 type=5  | be32 stream | be32 code                                    9
 *   WINDOW       u8 type=6  | be32 stream | be32 credit                                  9
 *   LINK_CREDIT  u8 type=7  | be32 credit                                                5
 *   PING, PONG   u8 type=8,9 | be64 token                                                9
 *   GOAWAY       u8 type=10                                                              1
 *
 * A HEAD or TRAILERS that does not fit in what is left of a record goes out in several frames of one type:
 * `rest` says how many of its bytes are still to come, so length + rest of one frame is the rest of the frame
 * before it. The first frame gives the size of the whole, which is charged to the credit at once. */
#ifndef MUX_FRAME_H
#define MUX_FRAME_H

#include "mux/mux.h"

enum {
    FRAME_MESSAGE_BYTES = 9, /* the fixed part of HEAD and TRAILERS */
    FRAME_DATA_BYTES = 7,
    FRAME_CONTROL_BYTES = 9, /* the longest frame without payload */
    FRAME_LENGTH_MAX = UINT16_MAX,
    FRAME_STREAM_MAX = 0x7fffffff,
};

struct frame {
    uint8_t type;         /* enum mux_frame */
    uint32_t stream;      /* 1..FRAME_STREAM_MAX in the frames that have one, else 0 */
    struct bytes payload; /* HEAD, DATA, TRAILERS; borrowed from the record */
    uint16_t rest;        /* HEAD, TRAILERS: bytes still to come after this frame */
    uint32_t value;       /* RESET: the code; WINDOW, LINK_CREDIT: the credit, never 0 */
    uint64_t token;       /* PING, PONG */
};

/* Reads the next frame of a record. ERR_MALFORMED: unknown type, cut short, a stream number out of range, an
 * empty DATA, a credit of 0, a message over MUX_MESSAGE_MAX or a part of one that carries nothing. Then *f is
 * untouched. */
must_check enum err frame_decode(struct rd *r, struct frame *f);

/* Writes the fixed part of a HEAD, DATA or TRAILERS (`rest` is 0 for DATA) and returns where its `length`
 * bytes go. The caller has made sure that they fit. */
uint8_t *frame_encode_payload(struct wr *w, enum mux_frame type, uint32_t stream, size_t length, size_t rest);
void frame_encode_end(struct wr *w, uint32_t stream);
void frame_encode_reset(struct wr *w, uint32_t stream, uint32_t code);
void frame_encode_window(struct wr *w, uint32_t stream, uint32_t credit);
void frame_encode_link_credit(struct wr *w, uint32_t credit);
void frame_encode_ping(struct wr *w, enum mux_frame ping_or_pong, uint64_t token);
void frame_encode_goaway(struct wr *w);

#endif
