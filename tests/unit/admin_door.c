/* The connections of the Unix socket and the read-only port: slow readers, hang-ups, silence. */
#include "control_world.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "admin/door.h"
#include "control/inner.h"

/* A door whose requests are lines: "big" is answered with 100 KiB at once, "late" when answer_late() is called,
 * "close" by the end, everything else by itself. */
static struct turning turning;
static struct control control;
static struct door door;
static struct door_conn *waiting;
static char folder[64], path[96];
static size_t served;
static mono_ms ahead;

enum { BIG = 100 * 1024 };

static void answer(struct door_conn *k, const char *text, size_t len)
{
    struct buf out = {0};
    for (size_t n = 0; n < len; n += strlen(text))
        buf_add_str(&out, text);
    buf_add_str(&out, "\n");
    door_send(k, &out);
}

static bool serve_line(struct door_conn *k, const char *line)
{
    served++;
    if (strcmp(line, "close") == 0)
        return false;
    if (strcmp(line, "late") == 0) {
        k->busy = true;
        waiting = k;
    } else if (strcmp(line, "stay") == 0) {
        k->stays = true;
    } else if (strcmp(line, "big") == 0) {
        answer(k, "0123456789abcdef", BIG);
    } else {
        answer(k, line, 1);
    }
    return true;
}

static bool received(struct door_conn *k)
{
    while (door_may_go_on(k)) {
        char line[64] = "";
        uint8_t *end = k->in.len ? memchr(k->in.at, '\n', k->in.len) : NULL;
        if (!end)
            return true;
        size_t n = (size_t)(end - k->in.at);
        assert_true(n < sizeof line);
        memcpy(line, k->in.at, n);
        buf_consume(&k->in, n + 1);
        if (!serve_line(k, line))
            return false;
    }
    return true;
}

static void step(mono_ms now)
{
    (void)door_step(&door, now + ahead);
}

static int begin(void **state)
{
    (void)state;
    folder_make(folder);
    snprintf(path, sizeof path, "%s/sock", folder);
    turning_make(&turning, step);
    control = (struct control){.loop = turning.loop};
    served = 0;
    ahead = 0;
    waiting = NULL;
    door_init(&door, &control, 4096, received);
    assert_int_equal(net_listen_unix(&door.listener, turning.loop, path, door_on_accept, &door), ERR_OK);
    return 0;
}

static int end(void **state)
{
    (void)state;
    door_fini(&door);
    net_loop_free(turning.loop);
    folder_remove(folder);
    return 0;
}

static int ask(const char *lines)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    strcpy(at.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(send(fd, lines, strlen(lines), MSG_NOSIGNAL), (ssize_t)strlen(lines));
    return fd;
}

static size_t wanted;
static bool served_enough(void)
{
    return served >= wanted;
}
static bool nobody_is_here(void)
{
    return door.count == 0;
}
static bool somebody_is_here(void)
{
    return door.count > 0;
}
static bool settled(void)
{
    static size_t before;
    static int turns;
    turns = before == served ? turns + 1 : 0;
    before = served;
    return turns >= 10;
}

static size_t drain(int fd)
{
    char text[65536];
    size_t all = 0;
    ssize_t n;
    while ((n = recv(fd, text, sizeof text, MSG_DONTWAIT)) > 0)
        all += (size_t)n;
    return all;
}

static int reading_fd;
static size_t read_so_far;
static bool all_is_read(void)
{
    read_so_far += drain(reading_fd);
    return read_so_far >= wanted;
}

static void expect_answer(int fd, const char *text)
{
    char got[64] = "";
    assert_int_equal(recv(fd, got, sizeof got - 1, MSG_DONTWAIT), (ssize_t)strlen(text));
    assert_string_equal(got, text);
}

static void requests_in_one_piece_are_answered_in_order(void **state)
{
    (void)state;
    int fd = ask("a\nb\nhalf");
    wanted = 2;
    turn_until(&turning, served_enough);
    expect_answer(fd, "a\nb\n");
    close(fd);
    turn_until(&turning, nobody_is_here);
    assert_int_equal(served, 2);
}

static void who_does_not_read_is_not_served_on(void **state)
{
    (void)state;
    char lines[4 * 500 + 1] = "";
    for (int i = 0; i < 500; i++)
        strcat(lines, "big\n");
    int fd = ask(lines);
    turn_until(&turning, settled);
    assert_true(served < 20); /* of 500: a few fit in the kernel, then DOOR_QUEUE_MAX */
    reading_fd = fd;
    read_so_far = 0;
    wanted = 500 * (BIG + 1);
    turn_until(&turning, all_is_read); /* once it reads, all is answered */
    assert_int_equal(served, 500);
    close(fd);
    turn_until(&turning, nobody_is_here);
}

static void a_slow_reader_is_closed_when_nothing_moves(void **state)
{
    (void)state;
    int fd = ask("big\nbig\nbig\nbig\nbig\nbig\nbig\nbig\n");
    turn_until(&turning, settled);
    ahead = ADMIN_IDLE_MS + UNTIL_MS;
    turn_until(&turning, nobody_is_here);
    close(fd);
}

static void the_silent_are_closed_but_for_those_who_stay(void **state)
{
    (void)state;
    int silent = ask("a\n"), staying = ask("stay\n");
    wanted = 2;
    turn_until(&turning, served_enough);
    ahead = ADMIN_IDLE_MS + UNTIL_MS;
    turn_until(&turning, settled);
    assert_int_equal(door.count, 1);
    close(staying); /* a hang-up is noticed */
    turn_until(&turning, nobody_is_here);
    close(silent);
}

static void behind_a_late_answer_the_next_request_waits(void **state)
{
    (void)state;
    int fd = ask("late\nnext\n");
    wanted = 1;
    turn_until(&turning, served_enough);
    turn_until(&turning, settled);
    assert_int_equal(served, 1);
    answer(waiting, "now", 1);
    door_done(waiting);
    assert_int_equal(served, 2);
    expect_answer(fd, "now\nnext\n");
    close(fd);
    turn_until(&turning, nobody_is_here);
}

static void a_half_closed_client_gets_its_late_answer_and_the_end(void **state)
{
    (void)state;
    char byte;
    int fd = ask("late\n");
    shutdown(fd, SHUT_WR);
    wanted = 1;
    turn_until(&turning, served_enough);
    answer(waiting, "now", 1);
    door_done(waiting);
    turn_until(&turning, nobody_is_here);
    expect_answer(fd, "now\n");
    assert_int_equal(recv(fd, &byte, 1, MSG_DONTWAIT), 0);
    close(fd);
}

static void an_asker_that_hung_up_does_not_harm_the_late_answer(void **state)
{
    (void)state;
    int fd = ask("late\n");
    wanted = 1;
    turn_until(&turning, served_enough);
    close(fd);
    turn_until(&turning, settled);
    answer(waiting, "now", 1);
    door_done(waiting);
    turn_until(&turning, nobody_is_here);
}

static void too_long_a_request_and_too_many_connections_are_closed(void **state)
{
    (void)state;
    char lines[5000];
    memset(lines, 'x', sizeof lines);
    lines[sizeof lines - 1] = 0;
    int fd = ask(lines), many[ADMIN_CONNS_MAX + 3];
    turn_until(&turning, settled);
    turn_until(&turning, nobody_is_here);
    close(fd);
    for (size_t i = 0; i < sizeof many / sizeof *many; i++)
        many[i] = ask("");
    turn_until(&turning, somebody_is_here);
    turn_until(&turning, settled);
    assert_int_equal(door.count, ADMIN_CONNS_MAX);
    for (size_t i = 0; i < sizeof many / sizeof *many; i++)
        close(many[i]);
    turn_until(&turning, nobody_is_here);
}

static void what_is_closed_after_its_answer_is_no_longer_counted(void **state)
{
    (void)state;
    int fd = ask("a\nclose\nb\n");
    wanted = 2;
    turn_until(&turning, served_enough);
    turn_until(&turning, nobody_is_here);
    expect_answer(fd, "a\n");
    assert_int_equal(served, 2);
    close(fd);
}

int main(void)
{
#define STORY(f) cmocka_unit_test_setup_teardown(f, begin, end)
    const struct CMUnitTest tests[] = {
        STORY(requests_in_one_piece_are_answered_in_order),
        STORY(who_does_not_read_is_not_served_on),
        STORY(a_slow_reader_is_closed_when_nothing_moves),
        STORY(the_silent_are_closed_but_for_those_who_stay),
        STORY(behind_a_late_answer_the_next_request_waits),
        STORY(a_half_closed_client_gets_its_late_answer_and_the_end),
        STORY(an_asker_that_hung_up_does_not_harm_the_late_answer),
        STORY(too_long_a_request_and_too_many_connections_are_closed),
        STORY(what_is_closed_after_its_answer_is_no_longer_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
