/* Canonical msgpack: the only encoding in which anything signed is written or accepted.
 *
 * Every value has exactly one spelling here. The reader refuses what msgpack-c 4.0.0 lets through (ADVERSARY
 * B16): integers, lengths and counts not in their shortest form, floats, nil, ext, str for bin and bin for
 * str, negative integers, invalid UTF-8, map keys that repeat or do not rise, missing and unknown elements,
 * trailing bytes. So whatever decodes encodes to the same bytes again. It pulls typed values and allocates
 * nothing: a count is compared with its cap and with the bytes that are left before anybody loops over it,
 * and nesting is as deep as the reading code, so neither a header of 2^28 elements nor a depth of 10^6 can
 * cost anything.
 *
 * Writing goes through msgpack-c's packer, which emits shortest forms. The unit tests read it back with
 * msgpack-c.
 *
 * Spelling (msgpack specification, 2013 revision): unsigned integers, true/false, str, bin, array, map with
 * str keys. */
#ifndef TRUST_CODEC_H
#define TRUST_CODEC_H

#include "base/buf.h"
#include "base/err.h"

/* Why something was refused: the field, as docs/protocol.md names it ("credential.noise_key"), and what is
 * wrong with it. Both are static texts, never NULL once filled in. */
struct refusal {
    const char *field, *reason;
};

/* Appends one value. Failure sticks in the buffer: ask buf_ok() once at the end. Map keys must be written
 * rising bytewise. */
void codec_put_u64(struct buf *out, uint64_t v);
void codec_put_bool(struct buf *out, bool v);
void codec_put_str(struct buf *out, struct bytes s); /* UTF-8 is asserted */
void codec_put_bin(struct buf *out, struct bytes b);
void codec_put_array(struct buf *out, size_t count); /* then `count` values */
void codec_put_map(struct buf *out, size_t count);   /* then `count` pairs of str key and value */

/* Reading: straight through, then codec_end(). After the first refusal all reads give zeros and empty slices;
 * the first one is what codec_end() reports. `field` is a static text. Slices borrow from the input. */
struct codec {
    struct rd in;
    enum err err;
    struct refusal why;
};
struct codec codec_of(struct bytes in);

/* An integer of at most `max`. */
uint64_t codec_u64(struct codec *c, const char *field, uint64_t max);
bool codec_bool(struct codec *c, const char *field);
/* UTF-8 text of at most `max` bytes. */
struct bytes codec_str(struct codec *c, const char *field, size_t max);
/* Between `min` and `max` bytes. */
struct bytes codec_bin(struct codec *c, const char *field, size_t min, size_t max);
/* Exactly `n` bytes, copied out; zeros when refused. */
void codec_bin_copy(struct codec *c, const char *field, void *out, size_t n);
/* How many values (array) or pairs (map) follow; between `min` and `max`, and 0 when refused. */
size_t codec_array(struct codec *c, const char *field, size_t min, size_t max);
size_t codec_map(struct codec *c, const char *field, size_t max);
/* A map's next key, which must be greater than `previous` (bytes; empty for the first, which must not be
 * empty itself). */
struct bytes codec_key(struct codec *c, const char *field, struct bytes previous, size_t max);

/* The next `count` values as they are spelled, whatever they are: what a later version has added (ADVERSARY R10). They
 * are held to the same rules of spelling, and nest CODEC_UNKNOWN_DEPTH deep at most. */
enum { CODEC_UNKNOWN_DEPTH = 4 };
struct bytes codec_unknown(struct codec *c, const char *field, size_t count);
void codec_put_unknown(struct buf *out, struct bytes values);

/* Refuses by a rule of the caller's, unless something was refused before. `field` and `reason` are static
 * texts. */
void codec_refuse(struct codec *c, enum err err, const char *field, const char *reason);
bool codec_ok(const struct codec *c);
/* ERR_OK if nothing was refused and nothing is left. Else the first refusal's error (ERR_MALFORMED for
 * everything about the encoding), its reason in *why_or_null. */
must_check enum err codec_end(struct codec *c, struct refusal *why_or_null);

/* Valid UTF-8 (RFC 3629): no overlong forms, no surrogates, nothing above U+10FFFF. */
bool codec_is_utf8(struct bytes s);
/* Byte order, the shorter first when one is the beginning of the other: the order of map keys and of sorted
 * lists. */
int codec_cmp(struct bytes a, struct bytes b);

#endif
