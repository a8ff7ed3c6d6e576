#include "gossip/suspect.h"

#include <stddef.h>
#include <stdlib.h>

uint32_t suspect_log10_milli(uint32_t n)
{
    static const struct {
        uint32_t from, to, log_from, log_to;
    } piece[] = {{1, 2, 0, 301}, {2, 3, 301, 477}, {3, 5, 477, 699}, {5, 10, 699, 1000}};
    uint32_t decade = 0;
    uint64_t unit = 1;
    while (n >= unit * 10) {
        unit *= 10;
        decade += 1000;
    }
    for (size_t i = 0; i < sizeof piece / sizeof *piece && n > 0; i++)
        if (n < piece[i].to * unit)
            return decade + piece[i].log_from +
                   (uint32_t)((n - piece[i].from * unit) * (piece[i].log_to - piece[i].log_from) /
                              ((piece[i].to - piece[i].from) * unit));
    return decade;
}

uint32_t suspect_timeout_ms(uint32_t mult, uint32_t interval_ms, uint32_t members, uint32_t confirmations)
{
    /* 1000 * log(c + 1) / log(SUSPECT_CONFIRMS + 1) */
    static const uint32_t share[SUSPECT_CONFIRMS + 1] = {0, 500, 792, 1000};
    uint64_t log = suspect_log10_milli(members), shortest = (uint64_t)mult * interval_ms;
    uint64_t longest = log > 1000 ? shortest * log / 1000 : shortest;
    uint32_t c = confirmations < SUSPECT_CONFIRMS ? confirmations : SUSPECT_CONFIRMS;
    return (uint32_t)(longest - (longest - shortest) * share[c] / 1000);
}

/* True: it was not among them, and there was room. */
static bool note(struct node_id *list, uint8_t *count, uint8_t max, const struct node_id *id)
{
    for (int i = 0; i < *count; i++)
        if (node_id_eq(&list[i], id))
            return false;
    if (*count == max)
        return false;
    list[(*count)++] = *id;
    return true;
}

bool suspect_confirm(struct suspicion *s, const struct node_id *accuser)
{
    return note(s->accuser, &s->accusers, SUSPECT_CONFIRMS + 1, accuser);
}

bool suspect_refused_by(struct suspicion *s, const struct node_id *who)
{
    return note(s->refuser, &s->refusers, SUSPECT_REFUSERS, who);
}

static bool make_room(struct suspicions *q)
{
    uint32_t cap = q->cap ? 2 * q->cap : 16;
    if (q->count < q->cap)
        return true;
    struct suspicion **list = realloc(q->list, cap * sizeof(struct suspicion *));
    if (!list)
        return false;
    q->list = list;
    mono_ms *due = realloc(q->due, cap * sizeof *due);
    if (!due)
        return false;
    q->due = due;
    q->cap = cap;
    return true;
}

bool suspicions_add(struct suspicions *q, struct suspicion *s)
{
    if (!make_room(q))
        return false;
    s->place = q->count++;
    q->list[s->place] = s;
    suspicions_reschedule(q, s);
    return true;
}

void suspicions_end(struct suspicions *q, struct suspicion *s)
{
    q->list[s->place] = NULL;
    q->due[s->place] = NEVER;
    q->over++;
    free(s);
}

void suspicions_tidy(struct suspicions *q)
{
    uint32_t kept = 0;
    if (2 * q->over <= q->count)
        return;
    for (uint32_t i = 0; i < q->count; i++)
        if (q->list[i]) {
            q->list[kept] = q->list[i];
            q->due[kept] = q->due[i];
            q->list[kept]->place = kept;
            kept++;
        }
    q->count = kept;
    q->over = 0;
}

void suspicions_fini(struct suspicions *q)
{
    for (uint32_t i = 0; i < q->count; i++)
        free(q->list[i]);
    free(q->list);
    free(q->due);
    *q = (struct suspicions){0};
}
