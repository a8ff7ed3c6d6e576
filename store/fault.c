#include "store/fault.h"

#include <assert.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static struct {
    _Atomic uintptr_t begin, end; /* of the map; both 0: none */
    char message[1024];           /* made beforehand: a handler may not format */
    struct sigaction before;      /* whose SIGBUS it was */
} fault;

_Noreturn void fault_exit(void)
{
    ssize_t written = write(STDERR_FILENO, fault.message, strlen(fault.message));
    (void)written; /* there is nowhere to complain */
    _exit(FAULT_STATUS);
}

/* What is not ours happens again as soon as this returns, and then comes to whoever had the signal before. */
static void on_sigbus(int signal_number, siginfo_t *info, void *machine)
{
    uintptr_t at = (uintptr_t)info->si_addr;
    (void)machine;
    if (at >= atomic_load(&fault.begin) && at < atomic_load(&fault.end))
        fault_exit();
    sigaction(signal_number, &fault.before, NULL);
}

static void install(void)
{
    struct sigaction action = {.sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO}, now;
    sigemptyset(&action.sa_mask);
    int bad = sigaction(SIGBUS, NULL, &now);
    if (!bad && (now.sa_flags & SA_SIGINFO) && now.sa_sigaction == on_sigbus)
        return;
    fault.before = now;
    bad |= sigaction(SIGBUS, &action, NULL);
    assert(!bad);
}

void fault_watch(const char *file, const void *map, size_t bytes)
{
    fault_forget();
    snprintf(fault.message, sizeof fault.message,
             "the state file %s was cut short, or the disk under it cannot be read, while the agent ran on "
             "it. The agent ends, "
             "since it cannot know what is still there. Find out who or what did it, put a good copy back or "
             "leave the file as "
             "it is, and start again: the start looks at all of it and says what is to be done\n",
             file);
    atomic_store(&fault.begin, (uintptr_t)map);
    atomic_store(&fault.end, (uintptr_t)map + bytes);
    install();
}

void fault_forget(void)
{
    atomic_store(&fault.end, 0);
    atomic_store(&fault.begin, 0);
}
