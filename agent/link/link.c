/* The life of a TCP link. `states` has the moves; the messages of the handshake and the records come in as
 * frames (be16 length and so many bytes), gathered in `in` unless one lies whole in what the caller feeds. */
#include "link/link.h"

#include <assert.h>
#include <stdlib.h>

#include "link/record.h"
#include "noise/prim.h"

enum {
    PATTERN_XX = 1,
    PATTERN_IK = 2,
    CIPHER_CHACHAPOLY = 1,
    CIPHER_AESGCM = 2,
    MESH_MAX = 255,
    LENGTH_BYTES = 2,
    /* The longest message is IK's first: e, sealed s, sealed credential. A stranger makes us hold no more
       than this. */
    HANDSHAKE_MESSAGE_MAX = 32 + 32 + NOISE_TAG_BYTES + LINK_CREDENTIAL_MAX + NOISE_TAG_BYTES,
};

enum state {
    HELLO_DUE,     /* initiator: preface and first message are to be sent */
    AWAIT_REPLY,   /* initiator: the second message is to come */
    FINISH_DUE,    /* initiator: XX's third message, or IK's CONFIRM, is to be sent */
    AWAIT_PREFACE, /* responder, from here on */
    AWAIT_HELLO,
    REPLY_DUE,
    AWAIT_FINISH,  /* XX's third message is to come */
    AWAIT_CONFIRM, /* IK: a first record is to come, before which the first message may have been a replay */
    REFUSAL_DUE,   /* the peer has proved who it is, is refused, and may be told why */
    UP,
    DEAD,
};

#define BIT(s) (1u << (s))
static const struct {
    const char *name;
    unsigned next;
} states[] = {
    [HELLO_DUE] = {"hello due", BIT(AWAIT_REPLY) | BIT(DEAD)},
    [AWAIT_REPLY] = {"await reply", BIT(FINISH_DUE) | BIT(DEAD)},
    [FINISH_DUE] = {"finish due", BIT(UP) | BIT(DEAD)},
    [AWAIT_PREFACE] = {"await preface", BIT(AWAIT_HELLO) | BIT(DEAD)},
    [AWAIT_HELLO] = {"await hello", BIT(REPLY_DUE) | BIT(DEAD)},
    [REPLY_DUE] = {"reply due", BIT(AWAIT_FINISH) | BIT(AWAIT_CONFIRM) | BIT(DEAD)},
    [AWAIT_FINISH] = {"await finish", BIT(UP) | BIT(REFUSAL_DUE) | BIT(DEAD)},
    [AWAIT_CONFIRM] = {"await confirm", BIT(UP) | BIT(REFUSAL_DUE) | BIT(DEAD)},
    [REFUSAL_DUE] = {"refusal due", BIT(DEAD)},
    [UP] = {"up", BIT(DEAD)},
    [DEAD] = {"dead", 0},
};

struct preface {
    uint8_t version;
    enum link_kind kind;
    const struct noise_pattern *pattern;
    enum noise_cipher cipher;
};

struct link {
    enum state state;
    struct link_setup setup;
    struct node_id want_peer; /* if setup.remote_id, which then points here */
    struct preface preface;
    uint8_t preface_bytes[LINK_PREFACE_BYTES];
    mono_ms deadline;
    struct noise_handshake hs;
    struct record_way tx, rx;
    struct node_id peer;
    struct buf credential; /* the peer's */
    struct buf in;         /* a frame so far, or the last opened record */
    struct bytes record;   /* points into `in` */
    bool record_waits;     /* opened, not polled yet */
    bool closed_by_us, closed_by_peer;
    bool dialled;       /* by us */
    bool heard;         /* a record of the peer's was opened */
    bool met_stranger;  /* `verify` said ERR_AUTH */
    enum err refused;   /* what `verify` said of an initiator that is to be told why */
    struct buf refusal; /* the words, ours or the peer's */
    size_t sealing_max; /* what link_seal_begin() promised */
};

static void move(struct link *l, enum state to)
{
    assert(states[l->state].next & BIT(to));
    l->state = to;
}

static enum err die(struct link *l, enum err e)
{
    move(l, DEAD);
    noise_handshake_fini(&l->hs);
    noise_cipherstate_fini(&l->tx.cipher);
    noise_cipherstate_fini(&l->rx.cipher);
    return e;
}

/* "strl" | u8 version | u8 kind | u8 pattern | u8 cipher */
static void preface_encode(const struct preface *p, uint8_t out[LINK_PREFACE_BYTES])
{
    struct wr w = wr_init(out, LINK_PREFACE_BYTES);
    wr_bytes(&w, "strl", 4);
    wr_u8(&w, p->version);
    wr_u8(&w, (uint8_t)p->kind);
    wr_u8(&w, p->pattern == &noise_ik ? PATTERN_IK : PATTERN_XX);
    wr_u8(&w, p->cipher == NOISE_AESGCM ? CIPHER_AESGCM : CIPHER_CHACHAPOLY);
    assert(wr_ok(&w) && wr_len(&w) == LINK_PREFACE_BYTES);
}

/* ERR_MALFORMED: not a preface at all; ERR_UNSUPPORTED: a version, pattern or cipher that we do not speak. */
static must_check enum err preface_decode(struct preface *p, struct bytes in)
{
    struct rd r = rd_init(in);
    struct bytes magic = rd_bytes(&r, 4);
    uint8_t version = rd_u8(&r), kind = rd_u8(&r), pattern = rd_u8(&r), cipher = rd_u8(&r);
    if (!rd_done(&r) || !bytes_eq_str(magic, "strl"))
        return ERR_MALFORMED;
    if (version < LINK_VERSION_OLDEST || version > LINK_VERSION_NEWEST)
        return ERR_UNSUPPORTED;
    if (kind != LINK_TRAFFIC && kind != LINK_BULK)
        return ERR_MALFORMED;
    if ((pattern != PATTERN_XX && pattern != PATTERN_IK) ||
        (cipher != CIPHER_CHACHAPOLY && cipher != CIPHER_AESGCM))
        return ERR_UNSUPPORTED;
    p->version = version;
    p->kind = (enum link_kind)kind;
    p->pattern = pattern == PATTERN_IK ? &noise_ik : &noise_xx;
    p->cipher = cipher == CIPHER_AESGCM ? NOISE_AESGCM : NOISE_CHACHAPOLY;
    return ERR_OK;
}

enum err link_preface_kind(struct bytes in, enum link_kind *kind)
{
    struct preface p;
    if (in.len < LINK_PREFACE_BYTES || preface_decode(&p, bytes_of(in.at, LINK_PREFACE_BYTES)) != ERR_OK)
        return ERR_MALFORMED;
    *kind = p.kind;
    return ERR_OK;
}

/* Prologue: "starling" | u8 version | "tcp" | be16 length and mesh name | the preface. Whoever edits a
 * preface on its way, to talk the two ends into another cipher, pattern or purpose, makes the first AEAD fail
 * (ADVERSARY N9, N28). */
static must_check enum err start_handshake(struct link *l, bool initiator)
{
    uint8_t space[8 + 1 + 3 + 2 + MESH_MAX + LINK_PREFACE_BYTES];
    struct wr w = wr_init(space, sizeof space);
    wr_bytes(&w, "starling", 8);
    wr_u8(&w, l->preface.version);
    wr_bytes(&w, "tcp", 3);
    wr_lv16(&w, l->setup.mesh);
    wr_bytes(&w, l->preface_bytes, LINK_PREFACE_BYTES);
    assert(wr_ok(&w));
    struct noise_setup s = {
        .pattern = l->preface.pattern,
        .cipher = l->preface.cipher,
        .initiator = initiator,
        .prologue = wr_done(&w),
        .s_sec = l->setup.noise_secret,
        .rs = initiator ? l->setup.remote_key : NULL,
    };
    return noise_handshake_init(&l->hs, &s);
}

static struct link *link_new(const struct link_setup *s, enum state state, mono_ms now)
{
    assert(s->mesh.len <= MESH_MAX && s->noise_secret && s->verify.credential);
    assert(s->credential.len > 0 && s->credential.len <= LINK_CREDENTIAL_MAX);
    struct link *l = calloc(1, sizeof *l);
    if (!l)
        return NULL;
    l->state = state;
    l->setup = *s;
    if (s->remote_id) {
        l->want_peer = *s->remote_id;
        l->setup.remote_id = &l->want_peer;
    }
    l->in.max = LENGTH_BYTES + NOISE_MESSAGE_MAX;
    l->deadline = now + LINK_HANDSHAKE_TIMEOUT_MS;
    return l;
}

struct link *link_connect(const struct link_setup *s, mono_ms now)
{
    assert(s->kind == LINK_TRAFFIC || s->kind == LINK_BULK);
    assert(s->version <= LINK_VERSION_NEWEST);
    struct link *l = link_new(s, HELLO_DUE, now);
    if (!l)
        return NULL;
    l->dialled = true;
    l->preface.version = s->version ? s->version : LINK_VERSION_OLDEST;
    l->preface.kind = s->kind;
    l->preface.pattern = s->remote_key ? &noise_ik : &noise_xx;
    l->preface.cipher = noise_cipher_is_available(s->cipher) ? s->cipher : NOISE_CHACHAPOLY;
    preface_encode(&l->preface, l->preface_bytes);
    if (start_handshake(l, true) == ERR_OK)
        return l;
    link_free(l);
    return NULL;
}

struct link *link_accept(const struct link_setup *s, mono_ms now)
{
    return link_new(s, AWAIT_PREFACE, now);
}

void link_free(struct link *l)
{
    if (!l)
        return;
    if (l->in.at)
        prim_wipe(l->in.at, l->in.cap);
    buf_fini(&l->in);
    buf_fini(&l->credential);
    buf_fini(&l->refusal);
    prim_wipe(l, sizeof *l);
    free(l);
}

/* All messages carry the writer's credential but XX's first, which nothing protects. */
static bool carries_credential(const struct link *l)
{
    return l->preface.pattern == &noise_ik || l->hs.step > 0;
}

static bool is_responder(const struct link *l)
{
    return l->state >= AWAIT_PREFACE && l->state <= AWAIT_CONFIRM;
}

static bool is_printable(struct bytes s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.at[i] < 0x20 || s.at[i] > 0x7e)
            return false;
    return true;
}

/* Our words as they may travel. */
static void trim_refusal(struct buf *words)
{
    if (words->len > LINK_REFUSAL_MAX)
        words->len = LINK_REFUSAL_MAX;
    for (size_t i = 0; i < words->len; i++)
        if (!is_printable(bytes_of(words->at + i, 1)))
            words->at[i] = '?';
}

/* The handshake goes on to its end all the same, since only then the peer has proved who it is. */
static bool may_tell(struct link *l, enum err refused)
{
    const struct link_verify *v = &l->setup.verify;
    if (!is_responder(l) || !v->tell ||
        !v->tell(v->arg, buf_bytes(&l->credential), l->hs.rs, refused, &l->refusal))
        return false;
    trim_refusal(&l->refusal);
    l->refused = refused;
    return buf_ok(&l->refusal) && l->refusal.len > 0;
}

static must_check enum err judge_credential(struct link *l)
{
    struct node_id id;
    enum err e = l->setup.verify.credential(l->setup.verify.arg, buf_bytes(&l->credential), l->hs.rs, &id);
    l->met_stranger = e == ERR_AUTH;
    if (e != ERR_OK)
        return may_tell(l, e) ? ERR_OK : e;
    if (l->setup.remote_id && !node_id_eq(&id, l->setup.remote_id))
        return ERR_DENIED;
    l->peer = id;
    return ERR_OK;
}

static must_check enum err read_message(struct link *l, struct bytes msg)
{
    bool has_credential = carries_credential(l);
    uint8_t *payload =
        buf_reserve(&l->credential, 1 + msg.len); /* an empty message still has an address to fail at */
    if (!payload)
        return ERR_NOMEM;
    size_t len;
    enum err e = noise_handshake_read(&l->hs, msg, payload, msg.len, &len);
    if (e != ERR_OK)
        return e;
    if ((len > 0) != has_credential || len > LINK_CREDENTIAL_MAX)
        return ERR_MALFORMED;
    l->credential.len = len;
    return has_credential ? judge_credential(l) : ERR_OK;
}

static must_check enum err write_message(struct link *l, struct buf *out)
{
    struct bytes payload = carries_credential(l) ? l->setup.credential : bytes_of(NULL, 0);
    size_t len = noise_handshake_overhead(&l->hs) + payload.len;
    uint8_t *at = buf_reserve(out, LENGTH_BYTES + len);
    if (!at)
        return ERR_NOMEM;
    enum err e = noise_handshake_write(&l->hs, payload, at + LENGTH_BYTES, len, &len);
    if (e != ERR_OK)
        return e;
    store_be16(at, (uint16_t)len);
    out->len += LENGTH_BYTES + len;
    return ERR_OK;
}

static must_check enum err write_record(struct link *l, struct buf *out, enum record_type type,
                                        struct bytes body)
{
    uint8_t *at = buf_reserve(out, RECORD_OVERHEAD + body.len);
    if (!at)
        return ERR_NOMEM;
    if (body.len > 0)
        memcpy(at + RECORD_HEAD_BYTES, body.at, body.len);
    enum err e = record_seal(&l->tx, at, type, body.len);
    if (e == ERR_OK)
        out->len += RECORD_OVERHEAD + body.len;
    return e;
}

static void split(struct link *l)
{
    noise_handshake_split(&l->hs, &l->tx.cipher, &l->rx.cipher);
}

static must_check enum err send_hello(struct link *l, struct buf *out)
{
    buf_add(out, l->preface_bytes, LINK_PREFACE_BYTES);
    enum err e = write_message(l, out);
    if (e == ERR_OK)
        move(l, AWAIT_REPLY);
    return e;
}

static must_check enum err send_reply(struct link *l, struct buf *out)
{
    enum err e = write_message(l, out);
    if (e != ERR_OK)
        return e;
    if (l->hs.done)
        split(l);
    move(l, l->hs.done ? AWAIT_CONFIRM : AWAIT_FINISH);
    return ERR_OK;
}

static must_check enum err send_finish(struct link *l, struct buf *out)
{
    enum err e;
    if (l->hs.done) {
        e = write_record(l, out, RECORD_CONFIRM, bytes_of(NULL, 0));
    } else {
        e = write_message(l, out);
        if (e == ERR_OK)
            split(l);
    }
    if (e == ERR_OK)
        move(l, UP);
    return e;
}

static must_check enum err send_refusal(struct link *l, struct buf *out)
{
    enum err e = write_record(l, out, RECORD_REFUSAL, buf_bytes(&l->refusal));
    return e == ERR_OK ? l->refused : e;
}

enum err link_poll_send(struct link *l, struct buf *out)
{
    enum err e = ERR_OK;
    if (l->state == HELLO_DUE)
        e = send_hello(l, out);
    else if (l->state == REPLY_DUE)
        e = send_reply(l, out);
    else if (l->state == FINISH_DUE)
        e = send_finish(l, out);
    else if (l->state == REFUSAL_DUE)
        e = send_refusal(l, out);
    return e == ERR_OK ? ERR_OK : die(l, e);
}

static must_check enum err on_preface(struct link *l, struct bytes in)
{
    enum err e = preface_decode(&l->preface, in);
    if (e != ERR_OK)
        return e;
    if (l->setup.version && l->preface.version > l->setup.version)
        return ERR_UNSUPPORTED;
    memcpy(l->preface_bytes, in.at, LINK_PREFACE_BYTES);
    e = start_handshake(l, false);
    if (e == ERR_OK)
        move(l, AWAIT_HELLO);
    return e;
}

/* IK's first message does not say by which of our keys we are called: what does not open under the newest may be for the
 * one of before. */
static must_check enum err read_hello(struct link *l, struct bytes msg)
{
    enum err e = read_message(l, msg);
    if (e != ERR_AUTH || !l->setup.noise_secret_before || l->preface.pattern != &noise_ik ||
        l->credential.len > 0)
        return e;
    l->setup.noise_secret = l->setup.noise_secret_before;
    l->setup.credential = l->setup.credential_before;
    noise_handshake_fini(&l->hs);
    e = start_handshake(l, false);
    return e == ERR_OK ? read_message(l, msg) : e;
}

static must_check enum err on_message(struct link *l, struct bytes msg)
{
    enum err e = l->state == AWAIT_HELLO ? read_hello(l, msg) : read_message(l, msg);
    if (e != ERR_OK)
        return e;
    if (l->hs.done)
        split(l);
    move(l, l->state == AWAIT_HELLO   ? REPLY_DUE
            : l->state == AWAIT_REPLY ? FINISH_DUE
            : l->refused != ERR_OK    ? REFUSAL_DUE
                                      : UP);
    return ERR_OK;
}

/* Does a record of this type belong here? A responder's first one may be a REFUSAL. */
static bool is_in_turn(const struct link *l, enum record_type type, struct bytes body)
{
    switch (type) {
    case RECORD_DATA:
        return l->state == UP && body.len > 0;
    case RECORD_CLOSE:
        return l->state == UP && body.len == 0;
    case RECORD_CONFIRM:
        return l->state == AWAIT_CONFIRM && body.len == 0;
    case RECORD_REFUSAL:
        return l->state == UP && l->dialled && !l->heard && body.len > 0 && body.len <= LINK_REFUSAL_MAX &&
               is_printable(body);
    }
    return false;
}

static must_check enum err on_refusal(struct link *l, struct bytes words)
{
    buf_add_bytes(&l->refusal, words);
    return ERR_REFUSED;
}

/* `sealed` either lies in `in`, and is opened where it lies, or elsewhere, and `in` is empty. */
static must_check enum err on_record(struct link *l, struct bytes sealed)
{
    enum record_type type;
    struct bytes body;
    uint8_t *to = l->in.len > 0 ? l->in.at + LENGTH_BYTES : buf_reserve(&l->in, 1 + sealed.len);
    if (!to)
        return ERR_NOMEM;
    enum err e = record_open(&l->rx, to, sealed, &type, &body);
    if (e != ERR_OK)
        return e;
    if (!is_in_turn(l, type, body))
        return ERR_MALFORMED;
    if (type == RECORD_REFUSAL)
        return on_refusal(l, body);
    if (type == RECORD_CONFIRM)
        move(l, l->refused != ERR_OK ? REFUSAL_DUE : UP);
    l->heard = true;
    l->closed_by_peer = type == RECORD_CLOSE;
    l->record_waits = type == RECORD_DATA;
    l->record = body;
    return ERR_OK;
}

static must_check enum err on_frame(struct link *l, struct bytes frame)
{
    if (l->state == AWAIT_PREFACE)
        return on_preface(l, frame);
    struct bytes body = bytes_of(frame.at + LENGTH_BYTES, frame.len - LENGTH_BYTES);
    bool is_record = l->state == UP || l->state == AWAIT_CONFIRM;
    return is_record ? on_record(l, body) : on_message(l, body);
}

/* How long the frame is that starts with `got`, as far as that is known by now. */
static must_check enum err frame_len(const struct link *l, struct bytes got, size_t *len)
{
    bool is_record = l->state == UP || l->state == AWAIT_CONFIRM;
    if (l->state == AWAIT_PREFACE) {
        *len = LINK_PREFACE_BYTES;
        return ERR_OK;
    }
    *len = LENGTH_BYTES;
    if (got.len < LENGTH_BYTES)
        return ERR_OK;
    *len += load_be16(got.at);
    return is_record || *len <= LENGTH_BYTES + HANDSHAKE_MESSAGE_MAX ? ERR_OK : ERR_MALFORMED;
}

/* Moves bytes from *rest to `in` until a frame is whole there; `in` grows with what has come, not with what
 * is announced. */
static must_check enum err gather(struct link *l, struct bytes *rest, bool *is_whole)
{
    size_t len;
    for (;;) {
        enum err e = frame_len(l, buf_bytes(&l->in), &len);
        if (e != ERR_OK)
            return e;
        *is_whole = l->in.len == len;
        if (*is_whole || rest->len == 0)
            return ERR_OK;
        size_t n = len - l->in.len < rest->len ? len - l->in.len : rest->len;
        buf_add(&l->in, rest->at, n);
        if (!buf_ok(&l->in))
            return ERR_NOMEM;
        *rest = bytes_of(rest->at + n, rest->len - n);
    }
}

/* Takes one frame, or what there is of it. */
static must_check enum err feed_frame(struct link *l, struct bytes *rest)
{
    size_t len;
    bool is_whole;
    if (l->state == HELLO_DUE || l->state == FINISH_DUE || l->state == REPLY_DUE || l->closed_by_peer)
        return ERR_MALFORMED; /* it is our turn, or over: nobody who keeps to the protocol has anything to say
                                 now */
    if (l->in.len == 0 && rest->len >= LENGTH_BYTES && frame_len(l, *rest, &len) == ERR_OK &&
        rest->len >= len) {
        struct bytes frame = bytes_of(rest->at, len);
        *rest = bytes_of(rest->at + len, rest->len - len);
        return on_frame(l, frame);
    }
    enum err e = gather(l, rest, &is_whole);
    if (e != ERR_OK || !is_whole)
        return e;
    e = on_frame(l, buf_bytes(&l->in));
    l->in.len = 0;
    return e;
}

enum err link_feed(struct link *l, struct bytes in, size_t *used, mono_ms now)
{
    struct bytes rest = in;
    enum err e = ERR_OK;
    *used = 0;
    if (l->state == DEAD)
        return ERR_CLOSED;
    if (now >= link_deadline(l))
        return die(l, ERR_TIMEOUT);
    while (e == ERR_OK && rest.len > 0 && !l->record_waits && l->state != REFUSAL_DUE)
        e = feed_frame(l, &rest);
    if (l->state == REFUSAL_DUE)
        rest.len = 0; /* what it has sent on, in the belief that the link is up, is read by nobody */
    *used = in.len - rest.len;
    return e == ERR_OK ? ERR_OK : die(l, e);
}

bool link_poll_record(struct link *l, struct bytes *plain)
{
    if (!l->record_waits)
        return false;
    l->record_waits = false;
    *plain = l->record;
    return true;
}

uint8_t *link_seal_begin(struct link *l, struct buf *out, size_t want, size_t *cap)
{
    size_t room = out->max ? out->max - out->len : SIZE_MAX;
    if (l->state != UP || l->closed_by_us || room <= RECORD_OVERHEAD)
        return NULL;
    size_t max = room - RECORD_OVERHEAD < RECORD_BODY_MAX ? room - RECORD_OVERHEAD : RECORD_BODY_MAX;
    *cap = want < max ? want : max;
    uint8_t *at = buf_reserve(out, RECORD_OVERHEAD + *cap);
    l->sealing_max = *cap;
    return at ? at + RECORD_HEAD_BYTES : NULL;
}

enum err link_seal_end(struct link *l, struct buf *out, size_t n)
{
    assert(l->state == UP && n <= l->sealing_max);
    l->sealing_max = 0;
    if (n == 0)
        return ERR_OK;
    enum err e = record_seal(&l->tx, out->at + out->len, RECORD_DATA, n);
    if (e != ERR_OK)
        return die(l, e);
    out->len += RECORD_OVERHEAD + n;
    return ERR_OK;
}

enum err link_close(struct link *l, struct buf *out)
{
    if (l->state != UP || l->closed_by_us)
        return ERR_OK;
    l->closed_by_us = true;
    enum err e = write_record(l, out, RECORD_CLOSE, bytes_of(NULL, 0));
    return e == ERR_OK ? ERR_OK : die(l, e);
}

bool link_is_up(const struct link *l)
{
    return l->state == UP;
}

bool link_is_closed_by_peer(const struct link *l)
{
    return l->closed_by_peer;
}

enum link_kind link_kind(const struct link *l)
{
    return l->preface.kind;
}

const struct node_id *link_peer(const struct link *l)
{
    return &l->peer;
}

struct bytes link_peer_credential(const struct link *l)
{
    return buf_bytes(&l->credential);
}

mono_ms link_deadline(const struct link *l)
{
    return l->state == UP || l->state == DEAD ? NEVER : l->deadline;
}

bool link_met_stranger(const struct link *l)
{
    return l->met_stranger;
}

struct bytes link_refusal(const struct link *l)
{
    return buf_bytes(&l->refusal);
}

const char *link_stage(const struct link *l)
{
    return states[l->state].name;
}
