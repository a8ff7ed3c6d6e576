/* The mapped state file goes away while it is in use: it was cut by somebody, or the disk under it cannot be read any
 * more. Whoever then reads a page that is not there gets SIGBUS, and LMDB, where it finds nonsense, calls abort(). There is nothing to go on
 * with, since what is on the disk is not known; but the operator is told what has happened and what to do, the process exits with
 * FAULT_STATUS, and the next start looks at the file before it maps it (guard.c, ADVERSARY S8, S9).
 *
 * A signal belongs to the process, so this knows one map: the one that was noted last. Internal to store/. */
#ifndef STORE_FAULT_H
#define STORE_FAULT_H

#include <stddef.h>

enum { FAULT_STATUS = 1 };

/* `file` (for the message) is mapped there from now on; NULL, 0: it is about to be mapped somewhere. Takes SIGBUS over; what is not in the map is left to
 * whoever had it before. A thread that reads the map must not block SIGBUS. */
void fault_watch(const char *file, const void *map, size_t bytes);
/* It is not mapped any more, or is about to move. */
void fault_forget(void);
/* Says so and exits. */
_Noreturn void fault_exit(void);

#endif
