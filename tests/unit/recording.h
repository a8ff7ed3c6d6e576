/* recording.h: a conversation on paper. tests/tools/recorder.c writes one with the code of its day; the files in
 * tests/vectors/ that it wrote are kept, and tests/unit/control_versions.c plays them to the code of today.
 *
 * The text: `#` begins words for the reader; a line that begins with a blank holds bytes in hex; any other line is the
 * name of the bytes below it. Three hosts take part, a, b and c, with keys that follow from their letters; a is the one
 * that was recorded, so its ephemeral keys are fixed too and who plays its part can read what it is answered. */
#ifndef TEST_RECORDING_H
#define TEST_RECORDING_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "trust/trust.h"

enum {
    RECORDING_HOSTS = 3,
    RECORDING_PARTS_MAX = 128,
    RECORDING_WALL = 1800000000, /* 2027-01-15: when it was recorded, and when it is played */
};

/* ---- who takes part ---- */

struct recording_host {
    struct sign_key sign;
    struct dh_key noise;
    struct addr addr;
};

static inline void recording_must(bool is_well)
{
    if (!is_well)
        abort();
}

#define RECORDING_MESH "shop.example"
static const uint8_t recording_ephemeral[32] = {0xe0, 1, 2, 3, 4, 5, 6, 7, 8, 9, [31] = 0x40}; /* of a */

static inline struct sign_key recording_key(uint8_t letter)
{
    uint8_t seed[32];
    struct sign_key k;
    memset(seed, letter, sizeof seed);
    recording_must(sign_key_of_seed(&k, seed) == ERR_OK);
    return k;
}

static inline struct recording_host recording_host(int h)
{
    struct recording_host host = {.sign = recording_key((uint8_t)('a' + h))};
    uint8_t secret[32];
    char text[32];
    memset(secret, 'A' + h, sizeof secret);
    snprintf(text, sizeof text, "10.0.0.%d:7400", h + 1);
    recording_must(dh_key_of_secret(&host.noise, secret) == ERR_OK && addr_parse(&host.addr, text, 0));
    return host;
}

/* ---- the text ---- */

struct recording {
    size_t count;
    struct {
        char name[64];
        struct buf bytes;
    } part[RECORDING_PARTS_MAX];
};

static inline int recording_digit(char c)
{
    const char *digits = "0123456789abcdef", *at = c ? strchr(digits, c) : NULL;
    return at ? (int)(at - digits) : -1;
}

static inline void recording_read_hex(struct buf *out, const char *line)
{
    for (; *line && *line != '#'; line++) {
        if (recording_digit(*line) < 0)
            continue;
        recording_must(recording_digit(line[1]) >= 0);
        buf_add_u8(out, (uint8_t)(recording_digit(line[0]) * 16 + recording_digit(line[1])));
        line++;
    }
}

static inline void recording_read(struct recording *r, const char *path)
{
    char *line = NULL;
    size_t cap = 0;
    FILE *f = fopen(path, "r");
    *r = (struct recording){0};
    recording_must(f != NULL);
    while (getline(&line, &cap, f) > 0) {
        line[strcspn(line, "\n")] = 0;
        if (*line == 0 || *line == '#')
            continue;
        if (*line == ' ') {
            recording_must(r->count > 0);
            recording_read_hex(&r->part[r->count - 1].bytes, line);
            continue;
        }
        recording_must(r->count < RECORDING_PARTS_MAX && strlen(line) < sizeof r->part[0].name);
        strcpy(r->part[r->count++].name, line);
    }
    free(line);
    fclose(f);
}

static inline void recording_free(struct recording *r)
{
    for (size_t i = 0; i < r->count; i++)
        buf_fini(&r->part[i].bytes);
}

/* The bytes of this name; it is a bug to ask for what is not there. */
static inline struct bytes recording_part(const struct recording *r, const char *name)
{
    for (size_t i = 0; i < r->count; i++)
        if (strcmp(r->part[i].name, name) == 0)
            return buf_bytes(&r->part[i].bytes);
    fprintf(stderr, "recording: no part \"%s\"\n", name);
    abort();
}

#endif
