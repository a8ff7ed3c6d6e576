/* Samples of a quantity, and their percentiles. Times are in microseconds. */
#ifndef SIM_SAMPLES_H
#define SIM_SAMPLES_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

struct samples {
    uint64_t *at;
    size_t count, cap;
};

void samples_fini(struct samples *s);
void samples_add(struct samples *s, uint64_t value);
void samples_add_all(struct samples *to, const struct samples *from);
/* From one process to another (crew.h): all of them behind `out`; the first in `in`, which is shortened by it. */
void samples_write(const struct samples *s, struct buf *out);
void samples_read(struct samples *add_to, struct bytes *in);
/* The value that `permille` of the samples do not exceed (nearest rank); 0 if there are none. Sorts. */
uint64_t samples_permille(struct samples *s, unsigned permille);
/* The same of times, in whole milliseconds. */
unsigned long long samples_ms(struct samples *s, unsigned permille);

#endif
