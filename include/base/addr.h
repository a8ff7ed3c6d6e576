/* A transport address: IPv6, or IPv4 in its mapped form (RFC 4291 section 2.5.5.2), so that one address has
 * one spelling. No zone identifiers: link-local addresses are not usable between hosts of a mesh and are
 * refused by addr_is_dialable(). */
#ifndef BASE_ADDR_H
#define BASE_ADDR_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/bytes.h"
#include "base/err.h"

struct addr {
    uint8_t ip[16]; /* network order; ::ffff:a.b.c.d for IPv4 */
    uint16_t port;  /* host order */
};

enum { ADDR_TEXT_MAX = 56 }; /* "[" 45 "]:65535" NUL */

static inline bool addr_is_v4(const struct addr *a)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    return memcmp(a->ip, mapped, 12) == 0;
}

static inline bool addr_eq(const struct addr *a, const struct addr *b)
{
    return memcmp(a->ip, b->ip, 16) == 0 && a->port == b->port;
}

static inline bool addr_is_zero(const struct addr *a)
{
    static const uint8_t none[16];
    return memcmp(a->ip, none, 16) == 0 || (addr_is_v4(a) && memcmp(a->ip + 12, none, 4) == 0);
}

static inline bool addr_is_loopback(const struct addr *a)
{
    static const uint8_t one[16] = {[15] = 1};
    return addr_is_v4(a) ? a->ip[12] == 127 : memcmp(a->ip, one, 16) == 0;
}

/* False for what no peer may make us dial: unspecified, multicast, broadcast, link-local (which holds the
 * cloud metadata address 169.254.169.254), port 0. Loopback is judged by the caller, who knows whether it is
 * on loopback itself. */
static inline bool addr_is_dialable(const struct addr *a)
{
    if (addr_is_zero(a) || a->port == 0)
        return false;
    if (addr_is_v4(a))
        return a->ip[12] != 0 && a->ip[12] < 224 && !(a->ip[12] == 169 && a->ip[13] == 254);
    return a->ip[0] != 0xff && !(a->ip[0] == 0xfe && (a->ip[1] & 0xc0) == 0x80);
}

/* "10.0.0.5:7400" or "[2001:db8::5]:7400". */
static inline const char *addr_text(const struct addr *a, char out[ADDR_TEXT_MAX])
{
    char ip[INET6_ADDRSTRLEN];
    if (addr_is_v4(a)) {
        inet_ntop(AF_INET, a->ip + 12, ip, sizeof ip);
        snprintf(out, ADDR_TEXT_MAX, "%s:%u", ip, a->port);
    } else {
        inet_ntop(AF_INET6, a->ip, ip, sizeof ip);
        snprintf(out, ADDR_TEXT_MAX, "[%s]:%u", ip, a->port);
    }
    return out;
}

/* The bare IP without brackets or port. */
static inline const char *addr_ip_text(const struct addr *a, char out[ADDR_TEXT_MAX])
{
    if (addr_is_v4(a))
        inet_ntop(AF_INET, a->ip + 12, out, ADDR_TEXT_MAX);
    else
        inet_ntop(AF_INET6, a->ip, out, ADDR_TEXT_MAX);
    return out;
}

/* Splits "host:port", "[v6]:port", "host" or "[v6]" into host (NUL-terminated, brackets removed) and port
 * (port_default when absent). A bare IPv6 address without brackets is taken as a host without a port. False:
 * not of these forms. */
static inline bool addr_split(const char *text, char *host, size_t host_cap, uint16_t *port,
                              uint16_t port_default)
{
    const char *h = text, *end, *colon;
    *port = port_default;
    if (*text == '[') {
        h = text + 1;
        end = strchr(h, ']');
        if (!end || (end[1] != 0 && end[1] != ':'))
            return false;
        colon = end[1] == ':' ? end + 1 : NULL;
    } else {
        colon = strchr(text, ':');
        if (colon && strchr(colon + 1, ':'))
            colon = NULL;
        end = colon ? colon : text + strlen(text);
    }
    if (colon) {
        char *stop;
        unsigned long v = strtoul(colon + 1, &stop, 10);
        if (colon[1] < '0' || colon[1] > '9' || *stop || v > 65535)
            return false;
        *port = (uint16_t)v;
    }
    if (end == h || (size_t)(end - h) >= host_cap)
        return false;
    memcpy(host, h, (size_t)(end - h));
    host[end - h] = 0;
    return true;
}

/* A literal IP (no name look-up). False: not a literal. */
static inline bool addr_of_ip(struct addr *a, const char *ip, uint16_t port)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    a->port = port;
    if (inet_pton(AF_INET, ip, a->ip + 12) == 1) {
        memcpy(a->ip, mapped, 12);
        return true;
    }
    return inet_pton(AF_INET6, ip, a->ip) == 1;
}

/* A literal "ip:port" or "[ip]:port". False: not a literal, or not of that form. */
static inline bool addr_parse(struct addr *a, const char *text, uint16_t port_default)
{
    char host[64];
    uint16_t port;
    return addr_split(text, host, sizeof host, &port, port_default) && addr_of_ip(a, host, port);
}

/* To and from the kernel's form. IPv4 becomes AF_INET, everything else AF_INET6. */
static inline socklen_t addr_to_sockaddr(const struct addr *a, struct sockaddr_storage *out)
{
    memset(out, 0, sizeof *out);
    if (addr_is_v4(a)) {
        struct sockaddr_in *in = (struct sockaddr_in *)out;
        in->sin_family = AF_INET;
        in->sin_port = htons(a->port);
        memcpy(&in->sin_addr, a->ip + 12, 4);
        return sizeof *in;
    }
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)out;
    in6->sin6_family = AF_INET6;
    in6->sin6_port = htons(a->port);
    memcpy(&in6->sin6_addr, a->ip, 16);
    return sizeof *in6;
}

/* False for a family other than AF_INET and AF_INET6. */
static inline bool addr_from_sockaddr(struct addr *a, const struct sockaddr *sa)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    if (sa->sa_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)sa;
        memcpy(a->ip, mapped, 12);
        memcpy(a->ip + 12, &in->sin_addr, 4);
        a->port = ntohs(in->sin_port);
        return true;
    }
    if (sa->sa_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)sa;
        memcpy(a->ip, &in6->sin6_addr, 16);
        a->port = ntohs(in6->sin6_port);
        return true;
    }
    return false;
}

/* 18 bytes on the wire: ip, be16 port. */
static inline void wr_addr(struct wr *w, const struct addr *a)
{
    wr_bytes(w, a->ip, 16);
    wr_be16(w, a->port);
}

static inline void rd_addr(struct rd *r, struct addr *a)
{
    rd_copy(r, a->ip, 16);
    a->port = rd_be16(r);
}

#endif
