/* Time as values. No pure part reads a clock: `now` is a parameter, sampled once per turn of the loop. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

typedef uint64_t mono_ms; /* milliseconds of a clock that never goes back; meaningless between processes */
typedef uint64_t mono_us; /* microseconds of the same clock; latencies only */
typedef int64_t wall_s;   /* seconds since 1970-01-01T00:00:00Z; decides expiry, never order */

#define NEVER UINT64_MAX /* a deadline that does not exist */

static inline mono_ms mono_min(mono_ms a, mono_ms b)
{
    return a < b ? a : b;
}

enum { WALL_TEXT_MAX = 32 };
/* "2026-08-20T10:00:00Z" (RFC 3339); empty for what is no time of a calendar. */
static inline const char *wall_text(wall_s t, char out[WALL_TEXT_MAX])
{
    time_t when = (time_t)t;
    struct tm utc;
    if (!gmtime_r(&when, &utc) || strftime(out, WALL_TEXT_MAX, "%Y-%m-%dT%H:%M:%SZ", &utc) == 0)
        out[0] = 0;
    return out;
}

#endif
