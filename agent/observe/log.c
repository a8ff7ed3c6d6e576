#include "observe/log.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

static _Atomic int level_wanted = LOG_INFO;

static const char *const level_name[] = {
    [LOG_ERROR] = "error", [LOG_WARN] = "warn", [LOG_INFO] = "info", [LOG_DEBUG] = "debug"};

void log_level_set(enum log_level level)
{
    atomic_store_explicit(&level_wanted, level, memory_order_relaxed);
}

enum log_level log_level_get(void)
{
    return (enum log_level)atomic_load_explicit(&level_wanted, memory_order_relaxed);
}

bool log_level_parse(const char *text, enum log_level *out)
{
    for (size_t i = 0; i < sizeof level_name / sizeof *level_name; i++)
        if (strcmp(text, level_name[i]) == 0) {
            *out = (enum log_level)i;
            return true;
        }
    return false;
}

/* Copies `text` escaped, at most up to `end`; returns where it stopped. *cut: not all of it fitted. */
static char *put_escaped(char *at, const char *end, const char *text, bool *cut)
{
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        bool plain = c >= 0x20 && c < 0x7f;
        if (end - at < (plain ? 1 : 4)) {
            *cut = true;
            return at;
        }
        if (plain) {
            *at++ = (char)c;
        } else {
            static const char digit[] = "0123456789abcdef";
            char hex[4] = {'\\', 'x', digit[c >> 4], digit[c & 15]};
            memcpy(at, hex, 4);
            at += 4;
        }
    }
    return at;
}

size_t log_format(char out[LOG_LINE_MAX], int64_t wall_ms, enum log_level level, const char *room,
                  const char *fmt, va_list ap)
{
    static const char dots[] = "...\n";
    char message[LOG_LINE_MAX], date[32];
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm tm;
    gmtime_r(&seconds, &tm);
    strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &tm);
    int n = snprintf(out, LOG_LINE_MAX, "%s.%03dZ %-5s ", date, (int)(wall_ms % 1000), level_name[level]);
    const char *end = out + LOG_LINE_MAX - sizeof dots;
    bool cut = false;
    char *at = put_escaped(out + n, end, room, &cut);
    at = put_escaped(at, end, ": ", &cut);
    int wanted = vsnprintf(message, sizeof message, fmt, ap);
    at = put_escaped(at, end, wanted < 0 ? "(message could not be formatted)" : message, &cut);
    if (cut || wanted >= LOG_LINE_MAX) {
        memcpy(at, dots, sizeof dots - 1);
        at += sizeof dots - 1;
    } else {
        *at++ = '\n';
    }
    return (size_t)(at - out);
}

void log_line(enum log_level level, const char *room, const char *fmt, ...)
{
    if (level > log_level_get())
        return;
    int saved = errno;
    char line[LOG_LINE_MAX];
    struct timespec now;
    va_list ap;
    clock_gettime(CLOCK_REALTIME, &now);
    va_start(ap, fmt);
    size_t len = log_format(line, (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000, level, room, fmt, ap);
    va_end(ap);
    /* A log that cannot be written has nowhere to complain. */
    ssize_t written = write(STDERR_FILENO, line, len);
    (void)written;
    errno = saved;
}
