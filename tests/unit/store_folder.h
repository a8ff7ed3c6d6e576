/* A data folder of its own for each test of the store, and shorthand to open and close a store in it. */
#ifndef TEST_STORE_FOLDER_H
#define TEST_STORE_FOLDER_H

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/store.h"

static char folder[64];

__attribute__((unused)) static const char *in_folder(const char *name)
{
    static char path[4][400];
    static unsigned turn;
    char *p = path[turn++ % 4];
    snprintf(p, sizeof path[0], "%s/%s", folder, name);
    return p;
}

static int folder_make(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/starling-store-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int folder_remove(void **state)
{
    (void)state;
    DIR *d = opendir(folder);
    for (struct dirent *e; d && (e = readdir(d));)
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            remove(in_folder(e->d_name));
    if (d)
        closedir(d);
    return rmdir(folder);
}

__attribute__((unused)) static struct store *must_open(void)
{
    struct store *s = NULL;
    struct buf why = {0};
    enum err e = store_open(&s, folder, NULL, NULL, &why);
    if (e)
        print_error("store_open: %s: %s\n", err_text(e), buf_str(&why));
    buf_fini(&why);
    assert_int_equal(e, ERR_OK);
    return s;
}

/* Expects the opening to be refused with this error and a message that holds these words. */
__attribute__((unused)) static void expect_open_refused(enum err expected, const char *words)
{
    struct store *s = NULL;
    struct buf why = {0};
    enum err e = store_open(&s, folder, NULL, NULL, &why);
    if (e != expected || !strstr(buf_str(&why), words))
        print_error("expected \"%s\" about \"%s\", got \"%s\": %s\n", err_text(expected), words, err_text(e),
                    buf_str(&why));
    assert_int_equal(e, expected);
    assert_non_null(strstr(buf_str(&why), words));
    buf_fini(&why);
}

/* The outcome of the next confirmed write; waits for it (the writer thread always confirms). */
__attribute__((unused)) static enum err next_outcome(struct store *s, uint64_t expected_ticket)
{
    uint64_t ticket = 0;
    enum err outcome = ERR_OK;
    while (!store_poll_done(s, &ticket, &outcome))
        usleep(200);
    assert_int_equal(ticket, expected_ticket);
    return outcome;
}

__attribute__((unused)) static struct node_id node_numbered(uint32_t n)
{
    struct node_id id = {{0}};
    store_be32(id.b, n * 2654435761u); /* scattered keys, as real ones are */
    store_be32(id.b + 4, n);
    return id;
}

#define FOLDER_CASE(f) cmocka_unit_test_setup_teardown(f, folder_make, folder_remove)

#endif
