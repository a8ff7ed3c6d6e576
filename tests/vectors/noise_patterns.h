/* The fundamental patterns of Noise revision 34, sections 7.4 and 7.5, and the psk modifier of section 9.4:
 * more than the agent ships, for known answers and for talks with other implementations. */
#ifndef VECTORS_NOISE_PATTERNS_H
#define VECTORS_NOISE_PATTERNS_H

#include "noise/noise.h"

enum { PATTERN_TOKENS_MAX = 8 }; /* of one message, with the NOISE_END */

#define E  NOISE_E
#define S  NOISE_S
#define EE NOISE_EE
#define ES NOISE_ES
#define SE NOISE_SE
#define SS NOISE_SS
static const struct noise_pattern pattern_table[] = {
    {.name = "N", .pre_rs = true, .one_way = true, .message_count = 1, .message = {{E, ES}}},
    {.name = "K",
     .pre_is = true,
     .pre_rs = true,
     .one_way = true,
     .message_count = 1,
     .message = {{E, ES, SS}}},
    {.name = "X", .pre_rs = true, .one_way = true, .message_count = 1, .message = {{E, ES, S, SS}}},
    {.name = "NN", .message_count = 2, .message = {{E}, {E, EE}}},
    {.name = "KN", .pre_is = true, .message_count = 2, .message = {{E}, {E, EE, SE}}},
    {.name = "NK", .pre_rs = true, .message_count = 2, .message = {{E, ES}, {E, EE}}},
    {.name = "KK", .pre_is = true, .pre_rs = true, .message_count = 2, .message = {{E, ES, SS}, {E, EE, SE}}},
    {.name = "NX", .message_count = 2, .message = {{E}, {E, EE, S, ES}}},
    {.name = "KX", .pre_is = true, .message_count = 2, .message = {{E}, {E, EE, SE, S, ES}}},
    {.name = "XN", .message_count = 3, .message = {{E}, {E, EE}, {S, SE}}},
    {.name = "IN", .message_count = 2, .message = {{E, S}, {E, EE, SE}}},
    {.name = "XK", .pre_rs = true, .message_count = 3, .message = {{E, ES}, {E, EE}, {S, SE}}},
    {.name = "IX", .message_count = 2, .message = {{E, S}, {E, EE, SE, S, ES}}},
};
#undef E
#undef S
#undef EE
#undef ES
#undef SE
#undef SS

static inline const struct noise_pattern *pattern_base(const char *name, size_t len)
{
    const struct noise_pattern *shipped[] = {&noise_xx, &noise_ik};
    for (size_t i = 0; i < 2; i++)
        if (strlen(shipped[i]->name) == len && memcmp(shipped[i]->name, name, len) == 0)
            return shipped[i];
    for (size_t i = 0; i < sizeof pattern_table / sizeof *pattern_table; i++)
        if (strlen(pattern_table[i].name) == len && memcmp(pattern_table[i].name, name, len) == 0)
            return &pattern_table[i];
    return NULL;
}

/* psk0 stands before the first message's tokens, pskN after those of message N. */
static inline bool pattern_add_psk(struct noise_pattern *p, unsigned where)
{
    if (where > p->message_count)
        return false;
    uint8_t *m = p->message[where == 0 ? 0 : where - 1];
    size_t len = strlen((const char *)m);
    if (len + 2 > PATTERN_TOKENS_MAX)
        return false;
    if (where == 0)
        memmove(m + 1, m, len);
    m[where == 0 ? 0 : len] = NOISE_PSK;
    p->psk = true;
    return true;
}

/* Fills *out from "XX", "IKpsk2", ...; its name stays `name`, borrowed. False: unknown. */
static inline bool pattern_named(struct noise_pattern *out, const char *name)
{
    const char *psk = strstr(name, "psk");
    const struct noise_pattern *base = pattern_base(name, psk ? (size_t)(psk - name) : strlen(name));
    if (!base)
        return false;
    *out = *base;
    out->name = name;
    if (!psk)
        return true;
    return psk[3] >= '0' && psk[3] <= '9' && psk[4] == 0 && pattern_add_psk(out, (unsigned)(psk[3] - '0'));
}

#endif
