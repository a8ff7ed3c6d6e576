/* What goes wrong with single hosts, once or in cycles: on for a while, off for a while, until an end. At most one
 * fault per host at a time.
 *
 *   PAUSE   the process stands still (SIGSTOP, a hypervisor): nothing is read, sent or timed
 *   BLOCK   the Lifeguard paper's anomaly (Dadgar et al. 2018, section V): it blocks before its next send and after
 *           its next receive
 *   STARVE  too little CPU: stalls of 50 to 150 % of `on` that come every 50 to 150 % of `off`; what arrives waits in
 *           the sockets and every timer that falls into a stall comes late
 *   DEAF    nothing that is sent to it arrives (Rapid's one-way fault); MUTE: nothing that it sends
 *   LOSSY   a share of its datagrams is lost, in and out (Rapid: 80 %) */
#ifndef SIM_FAULTS_H
#define SIM_FAULTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"

struct world;

enum { FAULT_LOSSY_PPM = 800000 };

enum fault_kind { FAULT_NONE, FAULT_PAUSE, FAULT_BLOCK, FAULT_STARVE, FAULT_DEAF, FAULT_MUTE, FAULT_LOSSY };
struct fault { /* of one host */
    enum fault_kind kind;
    bool is_on;
    mono_us on, off, until, next_at;
};

/* Begins now if the host has no fault; it ends with the first cycle that ends at `until` or later. on > 0. */
void fault_begin(struct world *w, uint32_t host, enum fault_kind kind, mono_us on, mono_us off,
                 mono_us until);
/* Ends the fault of this host, if it has one. */
void fault_end(struct world *w, uint32_t host);
const char *fault_text(enum fault_kind kind);

/* Different hosts for a fault: marks `count` random ones among the hosts from `first` on in chosen[hosts]. */
void faults_choose(struct world *w, uint32_t first, uint32_t count, bool *chosen);

#endif
