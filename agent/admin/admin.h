/* How an operator and a monitoring system look in: the Unix socket for commands, and a read-only HTTP port.
 *
 * The socket (DATA/agent.sock, 0600, peer credentials checked: root or the agent's own user) takes one JSON
 * object per line and answers each with one: {"ok":true,"result":...} or {"ok":false,"error":"..."}. The port
 * answers GET and HEAD of /metrics, /healthz and /readyz, only to loopback names in Host and to no Origin
 * (ADVERSARY P31), and changes nothing. */
#ifndef ADMIN_ADMIN_H
#define ADMIN_ADMIN_H

#include "control/control.h"

enum {
    ADMIN_REQUEST_MAX = 2 * 1024 * 1024 + 4096, /* bytes of one request line: a bundle in hex fits */
    ADMIN_CONNS_MAX = 64,                       /* per door; further ones are closed at once */
    ADMIN_IDLE_MS = 30000,
};

struct admin;
must_check enum err admin_new(struct admin **out, struct control *c, struct buf *why);
void admin_free(struct admin *a);

/* Shared by every command that sends a path: DIR/agent.sock. */
enum { ADMIN_SOCKET_PATH_MAX = 108 };
bool admin_socket_path(char out[ADMIN_SOCKET_PATH_MAX], const char *data_dir);

#endif
