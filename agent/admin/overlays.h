/* What an agent reports of break-glass overlays. */
#ifndef ADMIN_OVERLAYS_H
#define ADMIN_OVERLAYS_H

#include "admin/report.h"

/* {epoch, version, name, reason, begins, ends, rules, signers, phase, in_force, why?} of the newest held; null: there never was one. */
json_t *overlays_newest(const struct control *c);
/* The same, with `text`, `signed` (hex of it as it travels) and `history`, newest first. */
json_t *overlays_report(const struct control *c);
/* One line while one is on, or could not get into force. */
void overlays_warn(json_t *list, const struct control *c);
/* {epoch, version, ends, in_force} that a member says of itself; null: nothing. */
json_t *overlays_of_member(const struct record *r);

#endif
