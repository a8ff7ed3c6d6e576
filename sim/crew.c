#include "sim/crew.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef MADV_COLLAPSE /* older C libraries than kernels */
#define MADV_COLLAPSE 25
#endif

enum { NOTHING = UINT32_MAX, BEGUN = UINT32_MAX };

/* What a worker says: "begun i", then "i, so many bytes" and these. Both ends are this program: no byte order. */
struct said {
    uint32_t run, len; /* BEGUN: no result yet */
};

struct worker {
    pid_t pid; /* 0: there is none */
    int from;  /* what it says */
    uint32_t run;
    struct buf heard;
};

struct result {
    bool is_there, is_lost;
    char how[48];
    struct buf bytes;
};

struct shift {
    const struct crew *crew;
    uint32_t workers, count;
    uint32_t given, done, taken; /* runs handed out, with a result, and results taken */
    bool is_over;                /* nothing is handed out any more */
    int tasks[2];                /* run numbers, to whichever worker reads first */
    struct worker worker[CREW_WORKERS_MAX];
    struct result result[CREW_AHEAD_MAX]; /* of run i at i % CREW_AHEAD_MAX */
};

static void must(bool ok)
{
    if (!ok) {
        perror("starling-sim: workers");
        exit(1);
    }
}

uint32_t crew_cores(void)
{
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n < 1 ? 1 : n > CREW_WORKERS_MAX ? CREW_WORKERS_MAX : (uint32_t)n;
}

/* ---- in the worker ---- */

static void write_all(int to, const void *bytes, size_t len)
{
    const char *at = bytes;
    while (len > 0) {
        ssize_t n = write(to, at, len);
        if (n < 0)
            _exit(1); /* nobody listens any more */
        at += n;
        len -= (size_t)n;
    }
}

static _Noreturn void be_worker(const struct crew *c, int tasks, int to)
{
    uint32_t run;
    while (read(tasks, &run, sizeof run) == (ssize_t)sizeof run) { /* written and read four bytes at a time */
        struct buf result = {0};
        write_all(to, &(struct said){run, BEGUN}, sizeof(struct said));
        c->work(c->arg, run, &result);
        if (!buf_ok(&result))
            abort(); /* a simulation that is out of memory has no result */
        write_all(to, &(struct said){run, (uint32_t)result.len}, sizeof(struct said));
        write_all(to, result.at, result.len);
        buf_fini(&result);
    }
    _exit(0);
}

/* ---- in the caller ---- */

static void hire(struct shift *s, struct worker *w)
{
    int says[2];
    pid_t boss = getpid();
    fflush(stdout);
    must(pipe(says) == 0);
    pid_t pid = fork();
    must(pid >= 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        close(s->tasks[1]);
        close(says[0]);
        if (getppid() != boss)
            _exit(1); /* it ended before we asked to end with it */
        be_worker(s->crew, s->tasks[0], says[1]);
    }
    close(says[1]);
    *w = (struct worker){.pid = pid, .from = says[0], .run = NOTHING};
}

static void give(struct shift *s)
{
    /* one run each, and one that waits: so nobody idles */
    while (s->given < s->count && s->given < s->taken + CREW_AHEAD_MAX &&
           s->given - s->done < 2 * s->workers) {
        must(write(s->tasks[1], &s->given, sizeof s->given) == (ssize_t)sizeof s->given);
        s->given++;
    }
}

static void take_in_order(struct shift *s)
{
    for (;;) {
        struct result *r = &s->result[s->taken % CREW_AHEAD_MAX];
        if (s->taken == s->given || !r->is_there)
            return;
        if (r->is_lost)
            s->crew->lost(s->crew->arg, s->taken, r->how);
        else
            s->crew->take(s->crew->arg, s->taken, buf_bytes(&r->bytes));
        buf_fini(&r->bytes);
        *r = (struct result){0};
        s->taken++;
    }
}

/* All that it has said so far. */
static void understand(struct shift *s, struct worker *w)
{
    size_t at = 0;
    struct said said;
    while (w->heard.len - at >= sizeof said) {
        memcpy(&said, w->heard.at + at, sizeof said);
        size_t len = said.len == BEGUN ? 0 : said.len;
        if (w->heard.len - at - sizeof said < len)
            break;
        w->run = said.len == BEGUN ? said.run : NOTHING;
        if (said.len != BEGUN) {
            struct result *r = &s->result[said.run % CREW_AHEAD_MAX];
            r->is_there = true;
            s->done++;
            buf_add(&r->bytes, w->heard.at + at + sizeof said, len);
            must(buf_ok(&r->bytes));
        }
        at += sizeof said + len;
    }
    buf_consume(&w->heard, at);
}

/* It says no more: all is done, or it died; then another takes its place. */
static void bury(struct shift *s, struct worker *w)
{
    int status = 0;
    close(w->from);
    must(waitpid(w->pid, &status, 0) == w->pid);
    buf_fini(&w->heard);
    w->pid = 0;
    if (w->run != NOTHING) {
        struct result *r = &s->result[w->run % CREW_AHEAD_MAX];
        const char *how = WIFSIGNALED(status) ? "died of signal" : "ended with status";
        snprintf(r->how, sizeof r->how, "its process %s %d", how,
                 WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
        r->is_there = r->is_lost = true;
        s->done++;
    }
    if (!s->is_over)
        hire(s, w);
}

static void listen_to(struct shift *s, struct worker *w)
{
    enum { PIECE = 65536 };
    uint8_t *room = buf_reserve(&w->heard, PIECE);
    must(room != NULL);
    ssize_t n = read(w->from, room, PIECE);
    must(n >= 0);
    w->heard.len += (size_t)n;
    understand(s, w);
    if (n == 0)
        bury(s, w);
}

static void wait_for_words(struct shift *s)
{
    struct pollfd fd[CREW_WORKERS_MAX];
    for (uint32_t i = 0; i < s->workers; i++)
        fd[i] = (struct pollfd){.fd = s->worker[i].pid ? s->worker[i].from : -1, .events = POLLIN};
    must(poll(fd, s->workers, -1) > 0);
    for (uint32_t i = 0; i < s->workers; i++)
        if (fd[i].revents)
            listen_to(s, &s->worker[i]);
}

static void run_shift(struct shift *s)
{
    must(pipe(s->tasks) == 0);
    for (uint32_t i = 0; i < s->workers; i++)
        hire(s, &s->worker[i]);
    while (s->taken < s->count) {
        give(s);
        wait_for_words(s);
        take_in_order(s);
    }
    s->is_over = true;
    close(s->tasks[1]); /* no more work: they go */
    for (uint32_t i = 0; i < s->workers; i++)
        while (s->worker[i].pid)
            listen_to(s, &s->worker[i]);
    close(s->tasks[0]);
}

/* ---- aside ---- */

/* What it shares with its origin would become its own page by page, as it writes to them, and small pages where the origin has
 * large ones. It is going to write to most of them: so it takes the heap as a whole now, and makes its pages large again. Where
 * the kernel cannot (before Linux 6.1), that only takes longer. */
static void take_memory(void)
{
    const uintptr_t large = (uintptr_t)2 << 20;
    char line[512], *rest;
    FILE *maps = fopen("/proc/self/maps", "r");
    while (maps && fgets(line, sizeof line, maps)) {
        if (!strstr(line, "[heap]"))
            continue;
        uintptr_t from = strtoul(line, &rest, 16), to = strtoul(rest + 1, NULL, 16); /* "from-to ..." */
        madvise((void *)from, to - from, MADV_POPULATE_WRITE);
        from = (from + large - 1) / large * large;
        to = to / large * large;
        if (from < to)
            madvise((void *)from, to - from, MADV_COLLAPSE);
    }
    if (maps)
        fclose(maps);
}

static _Noreturn void be_copy(void (*work)(void *arg, struct buf *result), void *arg, int to, pid_t origin)
{
    struct buf result = {0};
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != origin)
        _exit(1); /* it ended before we asked to end with it */
    take_memory();
    work(arg, &result);
    if (!buf_ok(&result))
        abort(); /* a simulation that is out of memory has no result */
    write_all(to, result.at, result.len);
    _exit(0);
}

/* Ends as the copy did. */
static void end_as(int status)
{
    if (WIFSIGNALED(status)) {
        signal(WTERMSIG(status), SIG_DFL);
        raise(WTERMSIG(status));
    }
    if (status != 0)
        _exit(1);
}

static void read_all(int from, struct buf *result)
{
    enum { PIECE = 65536 };
    ssize_t n;
    do {
        uint8_t *room = buf_reserve(result, PIECE);
        must(room != NULL);
        n = read(from, room, PIECE);
        must(n >= 0);
        result->len += (size_t)n;
    } while (n > 0);
}

void crew_aside(void (*work)(void *arg, struct buf *result), void *arg, struct buf *result)
{
    int says[2], status = 0;
    pid_t origin = getpid();
    fflush(stdout);
    must(pipe(says) == 0);
    pid_t pid = fork();
    must(pid >= 0);
    if (pid == 0) {
        close(says[0]);
        be_copy(work, arg, says[1], origin);
    }
    close(says[1]);
    read_all(says[0], result);
    close(says[0]);
    must(waitpid(pid, &status, 0) == pid);
    end_as(status);
}

void crew_run(const struct crew *c, uint32_t workers, uint32_t count)
{
    if (workers > count)
        workers = count;
    if (workers > CREW_WORKERS_MAX)
        workers = CREW_WORKERS_MAX;
    for (uint32_t i = 0; i < count && workers == 1; i++) {
        struct buf result = {0};
        c->work(c->arg, i, &result);
        c->take(c->arg, i, buf_bytes(&result));
        buf_fini(&result);
    }
    if (workers < 2)
        return;
    struct shift *s = calloc(1, sizeof *s);
    must(s != NULL);
    s->crew = c;
    s->workers = workers;
    s->count = count;
    run_shift(s);
    free(s);
}
