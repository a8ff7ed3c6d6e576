/* Log lines on stderr: "2026-08-20T10:00:00.123Z info  gossip: member web-1 is suspect". One line each,
 * capped at LOG_LINE_MAX with
 * "..." at the cut. Every byte that is not printable ASCII is written as \xNN, so that no value can end the
 * line, move a terminal's cursor or turn its text around (P37, G11). Thread-safe: a line is one write(2).
 * Secrets are never passed to it. */
#ifndef OBSERVE_LOG_H
#define OBSERVE_LOG_H

#include <stdarg.h>

#include "base/bytes.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };
enum { LOG_LINE_MAX = 2048 };
void log_level_set(enum log_level level);
enum log_level log_level_get(void);
/* False: not a level's name (error, warn, info, debug). */
bool log_level_parse(const char *text, enum log_level *out);
/* Formats and writes if `level` is wanted; otherwise costs one load. errno is kept. */
void log_line(enum log_level level, const char *room, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* The line as log_line() writes it, with its newline, for a wall clock of `wall_ms`; returns its length. */
size_t log_format(char out[LOG_LINE_MAX], int64_t wall_ms, enum log_level level, const char *room,
                  const char *fmt, va_list ap) __attribute__((format(printf, 5, 0)));
#define log_error(room, ...) log_line(LOG_ERROR, room, __VA_ARGS__)
#define log_warn(room, ...)  log_line(LOG_WARN, room, __VA_ARGS__)
#define log_info(room, ...)  log_line(LOG_INFO, room, __VA_ARGS__)
#define log_debug(room, ...) log_line(LOG_DEBUG, room, __VA_ARGS__)

#endif
