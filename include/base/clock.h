/* Time as values. No pure part reads a clock: `now` is a parameter, sampled once per turn of the loop. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>
#include <stdio.h>
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

enum { SPAN_TEXT_MAX = 24 };
/* How long, for people: "59s", "2m10s", "26h3m", from 48 hours on "3d1h". Rounded down. */
static inline const char *span_text(uint64_t ms, char out[SPAN_TEXT_MAX])
{
    unsigned long long s = ms / 1000, m = s / 60, h = m / 60, d = h / 24;
    if (s < 60)
        snprintf(out, SPAN_TEXT_MAX, "%llus", s);
    else if (m < 60)
        snprintf(out, SPAN_TEXT_MAX, "%llum%llus", m, s % 60);
    else if (h < 48)
        snprintf(out, SPAN_TEXT_MAX, "%lluh%llum", h, m % 60);
    else
        snprintf(out, SPAN_TEXT_MAX, "%llud%lluh", d, h % 24);
    return out;
}

#endif
