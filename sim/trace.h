/* What happened, as one rolling hash, and as text when asked for. Every message (all of its bytes), every
 * event of every host and every act of the scenario goes in, so two runs with one hash did the same. */
#ifndef SIM_TRACE_H
#define SIM_TRACE_H

#include "base/bytes.h"
#include "base/clock.h"

struct trace {
    uint64_t hash, lines;
    mono_us zero; /* printed times count from here */
    bool is_printed;
};

void trace_init(struct trace *t, bool is_printed);
/* A line of text: goes into the hash, and to standard output when printed, as "[ms.us] ...". Cut at 255 bytes. Of printf's conversions
 * only %s, %u, %llu and %zu. */
__attribute__((format(printf, 3, 4))) void trace_line(struct trace *t, mono_us now, const char *fmt, ...);
/* A message; its text is made only when printed. Each printed message ends with the upper half of the hash so far, so
 * that `diff` shows where two runs part even if that is within a message. */
void trace_message(struct trace *t, mono_us now, const char *verb, uint32_t from, uint32_t to,
                   const char *lane, struct bytes msg);

#endif
