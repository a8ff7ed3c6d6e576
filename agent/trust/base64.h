/* Base64 (RFC 4648, padded), in its one spelling: canonical, no line ends, no blanks. */
#ifndef TRUST_BASE64_H
#define TRUST_BASE64_H

#include "base/bytes.h"

/* Writes at most `cap` bytes. False: not base64, or more than that. */
bool base64_decode(void *out, size_t cap, size_t *len, struct bytes text);

#endif
