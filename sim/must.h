/* Memory that is there, or the process ends: a simulation that is out of memory has no result. */
#ifndef SIM_MUST_H
#define SIM_MUST_H

#include <stddef.h>
#include <stdlib.h>

#include "base/err.h"

static inline void *must(void *p)
{
    if (!p)
        abort();
    return p;
}

/* Zeros; to be freed. */
static inline void *must_zeros(size_t count, size_t bytes)
{
    return must(calloc(count > 0 ? count : 1, bytes));
}

/* What we give it is ours: a refusal is a bug here, or no memory. */
static inline void must_ok(enum err e)
{
    if (e)
        abort();
}

#endif
