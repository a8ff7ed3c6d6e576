#include "sim/faults.h"

#include <assert.h>

#include "sim/world.h"

const char *fault_text(enum fault_kind kind)
{
    static const char *const text[] = {"none", "pause", "block", "starve", "deaf", "mute", "lossy"};
    assert((unsigned)kind < sizeof text / sizeof *text);
    return text[kind];
}

static void set_losses(struct world *w, uint32_t host, uint32_t in_ppm, uint32_t out_ppm)
{
    w->wire.host[host].lost_in_ppm = in_ppm;
    w->wire.host[host].lost_out_ppm = out_ppm;
    w->network_since = w->now;
}

static void turn_on(struct world *w, uint32_t host)
{
    switch (w->host[host].fault.kind) {
    case FAULT_NONE:
        break;
    case FAULT_PAUSE:
    case FAULT_STARVE:
        host_pause(w, host);
        break;
    case FAULT_BLOCK:
        host_block(w, host);
        break;
    case FAULT_DEAF:
        set_losses(w, host, 1000000, 0);
        break;
    case FAULT_MUTE:
        set_losses(w, host, 0, 1000000);
        break;
    case FAULT_LOSSY:
        set_losses(w, host, FAULT_LOSSY_PPM, FAULT_LOSSY_PPM);
        break;
    }
}

static void turn_off(struct world *w, uint32_t host)
{
    enum fault_kind kind = w->host[host].fault.kind;
    if (kind == FAULT_PAUSE || kind == FAULT_STARVE || kind == FAULT_BLOCK)
        host_resume(w, host);
    else
        set_losses(w, host, 0, 0);
}

static mono_us lasting(struct world *w, const struct fault *f, mono_us mean)
{
    return f->kind == FAULT_STARVE ? mean / 2 + rng_below(&w->rng, (uint32_t)mean + 1) : mean;
}

static void step(struct world *w, uint32_t host);

static void next_step(struct world *w, uint32_t host, mono_us after)
{
    w->host[host].fault.next_at = w->now + after;
    world_after(w, after, host, step);
}

static void step(struct world *w, uint32_t host)
{
    struct fault *f = &w->host[host].fault;
    if (f->kind == FAULT_NONE || f->next_at != w->now)
        return; /* ended meanwhile */
    f->is_on = !f->is_on;
    if (f->is_on) {
        next_step(w, host, lasting(w, f, f->on));
        turn_on(w, host);
        return;
    }
    turn_off(w, host);
    if (w->now >= f->until || f->off == 0)
        f->kind = FAULT_NONE;
    else
        next_step(w, host, lasting(w, f, f->off));
}

void fault_begin(struct world *w, uint32_t host, enum fault_kind kind, mono_us on, mono_us off, mono_us until)
{
    struct fault *f = &w->host[host].fault;
    assert(on > 0);
    if (f->kind != FAULT_NONE)
        return;
    *f = (struct fault){.kind = kind, .on = on, .off = off, .until = until};
    trace_line(&w->trace, w->now, "%u has a fault: %s", host, fault_text(kind));
    f->next_at = w->now;
    step(w, host);
}

void fault_end(struct world *w, uint32_t host)
{
    struct fault *f = &w->host[host].fault;
    if (f->kind != FAULT_NONE && f->is_on)
        turn_off(w, host);
    f->kind = FAULT_NONE;
}

void faults_choose(struct world *w, uint32_t first, uint32_t count, bool *chosen)
{
    assert(first + count <= w->config.hosts);
    while (count > 0) {
        uint32_t h = first + rng_below(&w->rng, w->config.hosts - first);
        count -= !chosen[h];
        chosen[h] = true;
    }
}
