/* Encoders above their decoders, kind by kind; the layout is drawn in frame.h. */
#include "mux/frame.h"

#include <assert.h>

uint8_t *frame_encode_payload(struct wr *w, enum mux_frame type, uint32_t stream, size_t length, size_t rest)
{
    assert(length <= FRAME_LENGTH_MAX && rest <= MUX_MESSAGE_MAX);
    wr_u8(w, (uint8_t)type);
    wr_be32(w, stream);
    wr_be16(w, (uint16_t)length);
    if (type != MUX_DATA)
        wr_be16(w, (uint16_t)rest);
    return wr_take(w, length);
}

static bool stream_is_sound(uint32_t stream)
{
    return stream >= 1 && stream <= FRAME_STREAM_MAX;
}

static bool message_decode(struct frame *f, struct rd *r)
{
    f->stream = rd_be32(r);
    size_t length = rd_be16(r);
    f->rest = rd_be16(r);
    f->payload = rd_bytes(r, length);
    return stream_is_sound(f->stream) && length + f->rest <= MUX_MESSAGE_MAX && (length > 0 || f->rest == 0);
}

static bool data_decode(struct frame *f, struct rd *r)
{
    f->stream = rd_be32(r);
    f->payload = rd_lv16(r);
    /* An empty DATA says nothing and costs a turn: ADVERSARY M3. */
    return stream_is_sound(f->stream) && f->payload.len > 0;
}

void frame_encode_end(struct wr *w, uint32_t stream)
{
    wr_u8(w, MUX_END);
    wr_be32(w, stream);
}

static bool end_decode(struct frame *f, struct rd *r)
{
    f->stream = rd_be32(r);
    return stream_is_sound(f->stream);
}

void frame_encode_reset(struct wr *w, uint32_t stream, uint32_t code)
{
    wr_u8(w, MUX_RESET);
    wr_be32(w, stream);
    wr_be32(w, code);
}

static bool reset_decode(struct frame *f, struct rd *r)
{
    f->stream = rd_be32(r);
    f->value = rd_be32(r);
    return stream_is_sound(f->stream);
}

void frame_encode_window(struct wr *w, uint32_t stream, uint32_t credit)
{
    wr_u8(w, MUX_WINDOW);
    wr_be32(w, stream);
    wr_be32(w, credit);
}

static bool window_decode(struct frame *f, struct rd *r)
{
    f->stream = rd_be32(r);
    f->value = rd_be32(r);
    return stream_is_sound(f->stream) && f->value > 0;
}

void frame_encode_link_credit(struct wr *w, uint32_t credit)
{
    wr_u8(w, MUX_LINK_CREDIT);
    wr_be32(w, credit);
}

static bool link_credit_decode(struct frame *f, struct rd *r)
{
    f->value = rd_be32(r);
    return f->value > 0;
}

void frame_encode_ping(struct wr *w, enum mux_frame ping_or_pong, uint64_t token)
{
    wr_u8(w, (uint8_t)ping_or_pong);
    wr_be64(w, token);
}

static bool ping_decode(struct frame *f, struct rd *r)
{
    f->token = rd_be64(r);
    return true;
}

void frame_encode_goaway(struct wr *w)
{
    wr_u8(w, MUX_GOAWAY);
}

static bool body_decode(struct frame *f, struct rd *r)
{
    switch (f->type) {
    case MUX_HEAD:
    case MUX_TRAILERS:
        return message_decode(f, r);
    case MUX_DATA:
        return data_decode(f, r);
    case MUX_END:
        return end_decode(f, r);
    case MUX_RESET:
        return reset_decode(f, r);
    case MUX_WINDOW:
        return window_decode(f, r);
    case MUX_LINK_CREDIT:
        return link_credit_decode(f, r);
    case MUX_PING:
    case MUX_PONG:
        return ping_decode(f, r);
    case MUX_GOAWAY:
        return true;
    default:
        return false;
    }
}

enum err frame_decode(struct rd *r, struct frame *out)
{
    struct frame f = {.type = rd_u8(r)};
    if (!body_decode(&f, r) || !rd_ok(r))
        return ERR_MALFORMED;
    *out = f;
    return ERR_OK;
}
