/* starling-sim: plays scenarios in virtual time and says, for each run, what it cost and whether all was as
 * it must be; or runs a study and prints its table. */
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "sim/batch.h"

/* What a message touches lies in some hundred pages, and all hosts' in more than the processor has translations for: with
 * large pages a run takes an eighth less. The C library asks for them at its start only, so we start once more. Whoever has
 * set that variable knows better. */
static void want_large_pages(char **argv)
{
    char path[4096];
    ssize_t len = readlink("/proc/self/exe", path, sizeof path - 1);
    if (len < 0 || setenv("GLIBC_TUNABLES", "glibc.malloc.hugetlb=1", 0) != 0)
        return;
    path[len] = 0;
    execv(path, argv);
}

static double seconds_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
    struct options o;
    if (!getenv("GLIBC_TUNABLES"))
        want_large_pages(argv); /* returns if it cannot be: then with small ones */
    int status = options_read(&o, argc, argv);
    if (status >= 0)
        return status;
    return o.study ? o.study->run(&o.ask) : batch_run(&o, seconds_now);
}
