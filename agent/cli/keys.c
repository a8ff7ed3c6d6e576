#include "cli/keys.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <termios.h>
#include <unistd.h>

#include "cli/args.h"
#include "store/file.h"

enum { ATTEMPTS = 3 };

enum err keys_path(char out[KEYS_PATH_MAX], const char *dir, const char *file, struct buf *why)
{
    size_t len = strlen(dir);
    const char *slash = len && dir[len - 1] == '/' ? "" : "/";
    int n = snprintf(out, KEYS_PATH_MAX, "%s%s%s", dir, slash, file);
    if (n > 0 && n < KEYS_PATH_MAX)
        return ERR_OK;
    buf_addf(why, "the path of %s is too long; use a shorter folder name", file);
    return ERR_LIMIT;
}

/* A path that was given as it is. */
static enum err take_path(char out[KEYS_PATH_MAX], const char *path, struct buf *why)
{
    size_t len = strlen(path);
    if (len >= KEYS_PATH_MAX) {
        buf_addf(why, "a path of %zu bytes is too long; use a shorter one", len);
        return ERR_LIMIT;
    }
    memcpy(out, path, len + 1);
    return ERR_OK;
}

/* Passphrases. */

static volatile sig_atomic_t interrupted;

static void note_signal(int number)
{
    interrupted = number;
}

/* Signals that would leave the terminal without echo: noted while we ask, raised again afterwards. */
static const int asked_signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP};
enum { ASKED_SIGNALS = sizeof asked_signals / sizeof *asked_signals };

static void catch_signals(struct sigaction before[ASKED_SIGNALS])
{
    struct sigaction note = {.sa_handler = note_signal}; /* no SA_RESTART: read() has to return */
    interrupted = 0;
    for (size_t i = 0; i < ASKED_SIGNALS; i++)
        sigaction(asked_signals[i], &note, &before[i]);
}

static void release_signals(const struct sigaction before[ASKED_SIGNALS])
{
    for (size_t i = 0; i < ASKED_SIGNALS; i++)
        sigaction(asked_signals[i], &before[i], NULL);
    if (interrupted)
        raise(interrupted);
}

/* One line from the terminal into *out, without its newline. */
static enum err read_line(int tty, struct buf *out)
{
    char c;
    ssize_t n;
    while ((n = read(tty, &c, 1)) == 1 && c != '\n' && !interrupted)
        buf_add(out, &c, 1);
    return n == 1 && buf_ok(out) && !interrupted ? ERR_OK : ERR_IO;
}

static enum err ask(struct buf *out, const char *question, struct buf *why)
{
    int tty = open("/dev/tty", O_RDWR | O_CLOEXEC);
    struct termios before, quiet;
    struct sigaction actions[ASKED_SIGNALS];
    if (tty < 0 || tcgetattr(tty, &before) != 0) {
        if (tty >= 0)
            close(tty);
        buf_addf(why, "a passphrase is needed and there is no terminal to ask at; "
                      "give --passphrase-file FILE or set STARLING_PASSPHRASE");
        return ERR_DENIED;
    }
    catch_signals(actions);
    quiet = before;
    quiet.c_lflag &= ~(tcflag_t)(ECHO | ECHOE | ECHOK);
    quiet.c_lflag |= ECHONL;
    tcsetattr(tty, TCSAFLUSH, &quiet);
    dprintf(tty, "%s", question);
    enum err err = read_line(tty, out);
    tcsetattr(tty, TCSAFLUSH, &before);
    close(tty);
    release_signals(actions);
    if (err)
        buf_addf(why, "the passphrase was not read from the terminal; try again");
    return err;
}

static enum err from_file(struct buf *out, const char *path, struct buf *why)
{
    enum err err = file_read_secret(out, path, KEYS_PASSPHRASE_MAX, why);
    if (err)
        return err;
    const uint8_t *newline = out->len ? memchr(out->at, '\n', out->len) : NULL;
    if (newline)
        out->len = (size_t)(newline - out->at);
    return ERR_OK;
}

static enum err from_terminal(struct buf *out, bool confirm, struct buf *why)
{
    struct buf again = {.max = out->max};
    if (!buf_reserve(&again, KEYS_PASSPHRASE_MAX))
        return ERR_NOMEM;
    enum err err = ask(out, confirm ? "new passphrase: " : "passphrase: ", why);
    if (!err && confirm)
        err = ask(&again, "the same again: ", why);
    if (!err && confirm && !bytes_eq(buf_bytes(out), buf_bytes(&again))) {
        buf_addf(why, "the two passphrases differ; nothing was written");
        err = ERR_INVALID;
    }
    secret_fini(&again);
    return err;
}

bool keys_passphrase_is_at_hand(const char *file_or_null)
{
    return file_or_null || getenv("STARLING_PASSPHRASE");
}

static enum err passphrase_of(struct buf *out, const char *file_or_null, const char *env, bool confirm,
                              struct buf *why)
{
    enum err err = ERR_OK;
    out->max = KEYS_PASSPHRASE_MAX + 1;
    if (!buf_reserve(out, KEYS_PASSPHRASE_MAX + 1)) /* all of it now: growing would leave copies behind */
        return ERR_NOMEM;
    if (file_or_null)
        err = from_file(out, file_or_null, why);
    else if (env)
        buf_add_str(out, env);
    else
        err = from_terminal(out, confirm, why);
    if (!err && (out->len == 0 || memchr(out->at, 0, out->len))) {
        buf_addf(why, "the passphrase is empty or has a zero byte in it; choose another");
        err = ERR_INVALID;
    }
    if (!err && confirm && out->len < KEYS_PASSPHRASE_MIN) {
        buf_addf(why,
                 "the new passphrase has fewer than %d bytes: who gets hold of the file would guess it; take "
                 "several words",
                 KEYS_PASSPHRASE_MIN);
        err = ERR_INVALID;
    }
    if (!err)
        buf_add_u8(out, 0);
    if (!err && !buf_ok(out)) {
        buf_addf(why, "the passphrase is longer than %d bytes; choose another", KEYS_PASSPHRASE_MAX);
        err = ERR_INVALID;
    }
    return err;
}

enum err keys_passphrase(struct buf *out, const char *file_or_null, bool confirm, struct buf *why)
{
    return passphrase_of(out, file_or_null, getenv("STARLING_PASSPHRASE"), confirm, why);
}

enum err keys_passphrase_new(struct buf *out, const char *file_or_null, struct buf *why)
{
    return passphrase_of(out, file_or_null, NULL, true, why);
}

/* Key files. */

static enum err explain(enum err err, const char *what, const char *path, struct buf *why)
{
    switch (err) {
    case ERR_OK:
        break;
    case ERR_AUTH:
        buf_addf(why, "%s: the passphrase is wrong, or the file is damaged: try a copy of it", path);
        break;
    case ERR_INVALID:
        buf_addf(why, "%s: a key of another kind than \"%s\"; name the right file", path, what);
        break;
    case ERR_NOMEM:
        buf_addf(why, "%s: opening a sealed key takes 64 MiB of memory, which are not free", path);
        break;
    default:
        buf_addf(why, "%s: not a key file (one line, \"starling-key-1 %s ...\"); restore it from a copy",
                 path, what);
    }
    return err;
}

/* Asks and tries; at a terminal again when it was wrong. */
static enum err unseal(uint8_t seed[32], struct bytes text, const char *what, const char *path,
                       const char *passphrase_file, struct buf *why)
{
    int attempts = keys_passphrase_is_at_hand(passphrase_file) ? 1 : ATTEMPTS;
    enum err err = ERR_AUTH;
    for (int i = 0; i < attempts && err == ERR_AUTH; i++) {
        struct buf passphrase = {0};
        if (i > 0)
            fprintf(stderr, "%s: the passphrase is wrong; once more\n", path);
        err = keys_passphrase(&passphrase, passphrase_file, false, why);
        if (err) {
            secret_fini(&passphrase);
            return err;
        }
        err = key_text_decode(text, what, (const char *)passphrase.at, seed);
        secret_fini(&passphrase);
    }
    return explain(err, what, path, why);
}

static enum err key_of_text(struct sign_key *out, struct bytes text, const char *what, const char *path,
                            const char *passphrase_file, struct buf *why)
{
    uint8_t seed[32];
    enum err err = key_text_is_sealed(text)
                       ? unseal(seed, text, what, path, passphrase_file, why)
                       : explain(key_text_decode(text, what, NULL, seed), what, path, why);
    if (!err)
        err = sign_key_of_seed(out, seed);
    secret_wipe(seed, sizeof seed);
    return err;
}

static enum err path_of(char path[KEYS_PATH_MAX], const char *what, const struct keys_place *place,
                        struct buf *why)
{
    char file[32];
    assert(place->ca || place->key_file);
    if (place->key_file)
        return take_path(path, place->key_file, why);
    snprintf(file, sizeof file, "%s.key", what);
    return keys_path(path, place->ca, file, why);
}

enum err keys_load(struct sign_key *out, const char *what, const struct keys_place *place, struct buf *why)
{
    char path[KEYS_PATH_MAX];
    struct buf text = {0};
    enum err err = path_of(path, what, place, why);
    if (!err)
        err = file_read_secret(&text, path, KEY_TEXT_MAX, why);
    if (err == ERR_NOT_FOUND && !place->key_file)
        buf_addf(why, "; --ca is one signer's folder, with a %s.key in it: name another file by --key", what);
    if (!err)
        err = key_of_text(out, buf_bytes(&text), what, path, place->passphrase_file, why);
    secret_fini(&text);
    return err;
}

enum err keys_load_any(struct sign_key *out, const char **kind, const char *path, const char *passphrase_file,
                       struct buf *why)
{
    struct buf text = {0};
    enum err err = file_read_secret(&text, path, KEY_TEXT_MAX, why);
    if (!err && !(*kind = key_text_kind(buf_bytes(&text)))) {
        buf_addf(why, "%s: not a key file (one line, \"starling-key-1 ...\")", path);
        err = ERR_MALFORMED;
    }
    if (!err)
        err = key_of_text(out, buf_bytes(&text), *kind, path, passphrase_file, why);
    secret_fini(&text);
    return err;
}

enum err keys_save_at(const char *path, const char *what, const struct sign_key *key,
                      const char *passphrase_or_null, bool replace, struct buf *why)
{
    struct buf text = {0};
    enum err err = key_text_encode(&text, what, key->sec, passphrase_or_null);
    if (err)
        buf_addf(why, "%s: sealing a key takes 64 MiB of memory, which are not free", path);
    else
        err = file_write(path, buf_bytes(&text), 0600, replace, why);
    secret_fini(&text);
    return err;
}

enum err keys_save(const char *dir, const char *name, const char *what, const struct sign_key *key,
                   const char *passphrase_or_null, bool replace, struct buf *why)
{
    char path[KEYS_PATH_MAX];
    enum err err = path_of(path, name, &(struct keys_place){.ca = dir}, why);
    return err ? err : keys_save_at(path, what, key, passphrase_or_null, replace, why);
}

enum err keys_ring_load(struct keys_ring *out, const char *what, const struct args_list *files,
                        const char *ca, const char *passphrase_file, struct buf *why)
{
    size_t count = files->count ? files->count : 1;
    out->count = 0;
    if (count > ROLE_KEYS_MAX) {
        buf_addf(why, "more than %d keys; a root lists no more for a role", ROLE_KEYS_MAX);
        return ERR_LIMIT;
    }
    for (size_t i = 0; i < count; i++) {
        struct keys_place place = {
            .ca = ca, .key_file = files->count ? files->at[i] : NULL, .passphrase_file = passphrase_file};
        enum err err = path_of(out->path[i], what, &place, why);
        if (!err)
            err = keys_load(&out->key[i], what, &place, why);
        if (err)
            return err;
        out->by[out->count++] = &out->key[i];
    }
    return ERR_OK;
}

void keys_ring_fini(struct keys_ring *r)
{
    secret_wipe(r->key, sizeof r->key);
    r->count = 0;
}

enum err keys_root(struct root *root, struct buf *bytes, const char *ca, const char *root_file,
                   struct buf *why)
{
    char path[KEYS_PATH_MAX];
    struct refusal refusal;
    enum err err = root_file ? take_path(path, root_file, why) : keys_path(path, ca, "root.trust", why);
    if (!err)
        err = file_read(bytes, path, ROOT_BYTES_MAX, why);
    if (err)
        return err;
    err = root_open_why(root, buf_bytes(bytes), &refusal);
    if (err)
        buf_addf(why, "%s: not a root of trust: %s: %s; copy it again from where the mesh was made", path,
                 refusal.field, refusal.reason);
    return err;
}
