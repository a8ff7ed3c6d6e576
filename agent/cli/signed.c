#include "cli/signed.h"

#include <stdio.h>
#include <string.h>

#include "policy/bundle.h"
#include "store/file.h"

static enum err note_path(char path[KEYS_PATH_MAX], const char *key_path, const char *suffix, struct buf *why)
{
    size_t len = strlen(key_path);
    bool is_key = len > 4 && strcmp(key_path + len - 4, ".key") == 0;
    int n = snprintf(path, KEYS_PATH_MAX, "%.*s.%s", (int)(is_key ? len - 4 : len), key_path, suffix);
    if (n > 0 && n < KEYS_PATH_MAX)
        return ERR_OK;
    buf_addf(why, "the path of %s is too long; use a shorter one", key_path);
    return ERR_LIMIT;
}

/* One line, or nothing is believed of it. */
static bool parse(const char *text, struct signed_as *last)
{
    static const char head[] = "starling-signed-1 ";
    char *end = NULL;
    if (strncmp(text, head, sizeof head - 1) != 0)
        return false;
    last->epoch = strtoull(text + sizeof head - 1, &end, 10);
    last->version = strtoull(end, &end, 10);
    if (*end++ != ' ')
        return false;
    return hex_decode(end, strcspn(end, "\n"), last->hash.b, HASH_BYTES);
}

static enum err read_note(const char *path, struct signed_as *last, struct buf *why)
{
    enum { NOTE_BYTES_MAX = 160 };
    struct buf text = {0}, none = {0};
    enum err e = file_read(&text, path, NOTE_BYTES_MAX, &none);
    if (e == ERR_OK && !parse(buf_str(&text), last))
        e = ERR_MALFORMED;
    if (e != ERR_OK && e != ERR_NOT_FOUND)
        buf_addf(why, "%s, in which is noted what this key signed last, cannot be read: %s", path,
                 none.len ? buf_str(&none) : err_text(e));
    buf_fini(&text);
    buf_fini(&none);
    return e;
}

static enum err check(const char *path, const struct signed_as *now, bool lower, struct buf *why)
{
    struct signed_as last = {.epoch = 0};
    enum err e = read_note(path, &last, why);
    if (e == ERR_NOT_FOUND || (e == ERR_OK && lower))
        return ERR_OK;
    if (e != ERR_OK)
        return e;
    const struct bundle b = {.epoch = now->epoch, .version = now->version, .hash = now->hash};
    e = bundle_succeeds(&b, last.epoch, last.version, &last.hash);
    bool same = now->epoch == last.epoch && now->version == last.version;
    if (e == ERR_OK || e == ERR_EXISTS)
        return ERR_OK;
    buf_addf(
        why,
        "%s epoch %llu, version %llu, with this key before; raise `version`, or say --lower if you mean it",
        same ? "another text was signed as" : "a higher one was signed,", (unsigned long long)last.epoch,
        (unsigned long long)last.version);
    return ERR_STALE;
}

static enum err write_note(const char *path, const struct signed_as *now, struct buf *why)
{
    struct buf line = {0};
    char hex[HASH_TEXT_MAX];
    hex_encode(now->hash.b, HASH_BYTES, hex);
    buf_addf(&line, "starling-signed-1 %llu %llu %s\n", (unsigned long long)now->epoch,
             (unsigned long long)now->version, hex);
    enum err e = file_write(path, buf_bytes(&line), 0644, true, why);
    buf_fini(&line);
    return e;
}

enum err signed_remember(const struct keys_ring *ring, const char *suffix, const struct signed_as *now,
                         bool lower, struct buf *why)
{
    char path[KEYS_PATH_MAX];
    enum err e = ERR_OK;
    for (int pass = 0; pass < 2; pass++)
        for (size_t i = 0; i < ring->count && e == ERR_OK; i++) {
            e = note_path(path, ring->path[i], suffix, why);
            if (e == ERR_OK)
                e = pass == 0 ? check(path, now, lower, why) : write_note(path, now, why);
        }
    return e;
}
