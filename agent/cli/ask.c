#include "cli/ask.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "admin/admin.h"
#include "base/buf.h"

enum {
    ANSWER_MAX = 256 * 1024 * 1024,
    STOPPED_LOOK_MS = 2000, /* without a byte of an answer: who is stopped will send none */
};

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int open_socket(const struct args_command *cmd, const char *data)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    if (!admin_socket_path(at.sun_path, data)) {
        args_refused(cmd, "the data folder's path %s is too long for a socket", data);
        return -1;
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&at, sizeof at) == 0)
        return fd;
    if (errno == ENOENT || errno == ECONNREFUSED)
        args_refused(cmd, "no agent runs with the data folder %s; start one, or name its folder with --data",
                     data);
    else
        args_refused(cmd, "%s: %s; run this as root or as the agent's user", at.sun_path, strerror(errno));
    if (fd >= 0)
        close(fd);
    return -1;
}

static bool send_all(int fd, const char *at, size_t len)
{
    while (len > 0) {
        ssize_t n = send(fd, at, len, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        at += n;
        len -= (size_t)n;
    }
    return true;
}

/* One more piece of the answer. 0: the other side closed; -1: time is up or an error. */
static ssize_t receive(int fd, struct buf *in, int64_t until)
{
    struct pollfd p = {fd, POLLIN, 0};
    int64_t left = until - now_ms();
    if (left <= 0 || poll(&p, 1, (int)left) <= 0)
        return -1;
    uint8_t *at = buf_reserve(in, 65536);
    ssize_t n = at ? recv(fd, at, 65536, 0) : -1;
    if (n > 0)
        in->len += (size_t)n;
    return n;
}

/* The state letter of a process, proc(5): T and t are stopped, D waits for a disk. 0: it cannot be seen. */
static char process_state(pid_t pid)
{
    char path[64], line[512];
    snprintf(path, sizeof path, "/proc/%ld/stat", (long)pid);
    FILE *f = fopen(path, "re");
    if (!f)
        return 0;
    const char *end =
        fgets(line, sizeof line, f) ? strrchr(line, ')') : NULL; /* its name may hold anything */
    fclose(f);
    return end && end[1] == ' ' ? end[2] : 0;
}

/* Of whoever listens there; 0: not known. */
static pid_t listener(int fd)
{
    struct ucred peer;
    socklen_t len = sizeof peer;
    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 ? peer.pid : 0;
}

static bool is_stopped(int fd)
{
    pid_t pid = listener(fd);
    char state = pid > 0 ? process_state(pid) : 0;
    return state == 'T' || state == 't';
}

static int refuse_stopped(const struct args_command *cmd, int fd)
{
    return args_refused(
        cmd,
        "the agent (process %ld) is stopped, by a signal or a debugger: it answers nobody, and the "
        "others hold it dead; let it go on with: kill -CONT %ld",
        (long)listener(fd), (long)listener(fd));
}

/* Has nothing come in the time in which an agent answers? The answer may still come after that, where it does not. */
static bool is_overdue(int fd)
{
    struct pollfd p = {fd, POLLIN, 0};
    return poll(&p, 1, STOPPED_LOOK_MS) == 0;
}

static bool receive_line(int fd, struct buf *in)
{
    int64_t until = now_ms() + (int64_t)ASK_TIMEOUT_S * 1000;
    size_t seen = 0;
    while (!in->len || !memchr(in->at + seen, '\n', in->len - seen)) {
        seen = in->len;
        if ((is_overdue(fd) && is_stopped(fd)) || receive(fd, in, until) <= 0)
            return false;
    }
    return true;
}

/* A descriptor of the process that listens there, to be asked for while it runs: its number may be another's later. -1: it is
 * of another namespace, or the kernel has none (before Linux 5.3). */
static int process_behind(int fd)
{
    pid_t pid = listener(fd);
    return pid > 0 ? (int)syscall(SYS_pidfd_open, pid, 0) : -1;
}

/* Until the connection is closed and, as the data folder is still locked then, the process has ended. */
static bool wait_until_gone(int fd, int process, struct buf *in, unsigned seconds)
{
    int64_t until = now_ms() + (int64_t)seconds * 1000;
    while (receive(fd, in, until) > 0)
        ;
    int64_t left = until - now_ms();
    struct pollfd p = {process, POLLIN, 0};
    return left > 0 && (process < 0 || poll(&p, 1, (int)left) > 0);
}

static json_t *result_of(const struct args_command *cmd, const struct buf *in)
{
    json_t *answer = json_loadb((const char *)in->at, in->len, JSON_DISABLE_EOF_CHECK, NULL);
    json_t *result = json_incref(json_object_get(answer, "result"));
    if (!json_is_true(json_object_get(answer, "ok")) || !result) {
        const char *error = json_string_value(json_object_get(answer, "error"));
        args_refused(cmd, "%s", error ? error : "the agent's answer cannot be read");
        json_decref(result);
        result = NULL;
    }
    json_decref(answer);
    return result;
}

static const char *data_folder(const struct ask *a)
{
    const char *env = getenv("STARLING_DATA");
    return a->data ? a->data : env && *env ? env : "/var/lib/starling";
}

json_t *ask_agent(const struct args_command *cmd, const struct ask *a, json_t *request_take,
                  unsigned until_gone_s)
{
    struct buf in = {.max = ANSWER_MAX};
    json_t *result = NULL;
    char *line = json_dumps(request_take, JSON_COMPACT);
    int fd = line ? open_socket(cmd, data_folder(a)) : -1;
    int process = fd >= 0 && until_gone_s ? process_behind(fd) : -1;
    json_decref(request_take);
    if (fd >= 0) {
        if (send_all(fd, line, strlen(line)) && send_all(fd, "\n", 1) && receive_line(fd, &in))
            result = result_of(cmd, &in);
        else if (is_stopped(fd))
            refuse_stopped(cmd, fd);
        else
            args_refused(cmd, "the agent closed the connection or did not answer within %d s; see its log",
                         ASK_TIMEOUT_S);
        if (result && until_gone_s && !wait_until_gone(fd, process, &in, until_gone_s)) {
            args_refused(cmd, "the agent has not stopped within %u s; see its log", until_gone_s);
            json_decref(result);
            result = NULL;
        }
        close(fd);
    }
    if (process >= 0)
        close(process);
    free(line);
    buf_fini(&in);
    return result;
}
