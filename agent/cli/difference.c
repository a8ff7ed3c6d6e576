/* The longest common subsequence of lines, by the table of its lengths (Wagner and Fischer 1974). Equal lines
 * at the beginning and end are set aside first, so that the table is as small as the change is local. */
#include "cli/difference.h"

struct lines {
    struct bytes *at;
    size_t count;
};

static bool split(struct lines *l, struct bytes text)
{
    size_t most = 1;
    for (size_t i = 0; i < text.len; i++)
        most += text.at[i] == '\n';
    l->count = 0;
    l->at = calloc(most, sizeof *l->at);
    for (size_t begin = 0; l->at && begin < text.len;) {
        const uint8_t *at = text.at + begin, *end = memchr(at, '\n', text.len - begin);
        size_t len = end ? (size_t)(end - at) : text.len - begin;
        l->at[l->count++] = bytes_of(at, len);
        begin += len + 1;
    }
    return l->at != NULL;
}

static void write_line(struct buf *out, char mark, struct bytes line)
{
    buf_add_u8(out, (uint8_t)mark);
    buf_add_u8(out, ' ');
    for (size_t i = 0; i < line.len; i++)
        buf_add_u8(out, line.at[i] < 0x20 || line.at[i] == 0x7f ? ' ' : line.at[i]);
    buf_add_u8(out, '\n');
}

/* cell[i * (m + 1) + j]: how many lines a[i..] and b[j..] have in common, in order. */
static void fill(uint32_t *cell, const struct lines *a, const struct lines *b)
{
    size_t width = b->count + 1;
    for (size_t i = a->count; i-- > 0;)
        for (size_t j = b->count; j-- > 0;) {
            uint32_t down = cell[(i + 1) * width + j], right = cell[i * width + j + 1];
            cell[i * width + j] = bytes_eq(a->at[i], b->at[j]) ? cell[(i + 1) * width + j + 1] + 1
                                  : down > right               ? down
                                                               : right;
        }
}

/* Without a table nothing counts as common, which is true enough to read. */
static void walk(struct buf *out, const uint32_t *cell, const struct lines *a, const struct lines *b)
{
    size_t i = 0, j = 0, width = b->count + 1;
    while (i < a->count || j < b->count) {
        if (cell && i < a->count && j < b->count && bytes_eq(a->at[i], b->at[j])) {
            i++;
            j++;
        } else if (i < a->count &&
                   (j == b->count || !cell || cell[(i + 1) * width + j] >= cell[i * width + j + 1])) {
            write_line(out, '-', a->at[i++]);
        } else {
            write_line(out, '+', b->at[j++]);
        }
    }
}

static void set_aside_equal_ends(struct lines *a, struct lines *b)
{
    while (a->count && b->count && bytes_eq(a->at[a->count - 1], b->at[b->count - 1])) {
        a->count--;
        b->count--;
    }
    while (a->count && b->count && bytes_eq(a->at[0], b->at[0])) {
        a->at++;
        b->at++;
        a->count--;
        b->count--;
    }
}

void difference_write(struct buf *out, struct bytes before, struct bytes after)
{
    struct lines a, b;
    bool good = split(&a, before);
    good = split(&b, after) && good;
    struct lines from = a, to = b;
    if (good) {
        set_aside_equal_ends(&from, &to);
        bool fits = (from.count + 1) * (to.count + 1) <= DIFFERENCE_CELLS_MAX;
        uint32_t *cell = fits ? calloc((from.count + 1) * (to.count + 1), sizeof *cell) : NULL;
        if (cell)
            fill(cell, &from, &to);
        walk(out, cell, &from, &to);
        free(cell);
    }
    free(a.at);
    free(b.at);
}
