/*
 * Just enough rtnetlink for the stand-in of IP Helper. TEST-ONLY, for Wine.
 *
 * Layouts and numbers are those of linux/netlink.h, linux/rtnetlink.h,
 * linux/if_link.h and linux/if_addr.h.
 */
#ifndef SHIM_NETLINK_H
#define SHIM_NETLINK_H

#include <string.h>

#include "../rig/linux.h"

struct nl_header {
    unsigned length;
    unsigned short type;
    unsigned short flags;
    unsigned sequence;
    unsigned port;
};

struct nl_attribute {
    unsigned short length;
    unsigned short type;
};

struct nl_route {
    unsigned char family, to_bits, from_bits, tos;
    unsigned char table, protocol, scope, type;
    unsigned flags;
};

struct nl_link {
    unsigned char family, pad;
    unsigned short type;
    int index;
    unsigned flags, change;
};

struct nl_address {
    unsigned char family, bits, flags, scope;
    unsigned index;
};

enum {
    NL_ERROR = 2,
    NL_DONE = 3,
    NL_NEW_LINK = 16,
    NL_DEL_LINK = 17,
    NL_GET_LINK = 18,
    NL_NEW_ADDRESS = 20,
    NL_DEL_ADDRESS = 21,
    NL_NEW_ROUTE = 24,
    NL_DEL_ROUTE = 25,
    NL_GET_ROUTE = 26,

    NL_REQUEST = 0x1,
    NL_ACK = 0x4,
    NL_REPLACE = 0x100,
    NL_EXCLUSIVE = 0x200,
    NL_CREATE = 0x400,
    NL_DUMP = 0x300,

    ROUTE_TO = 1,
    ROUTE_OUT = 4,
    ROUTE_VIA = 5,
    ROUTE_PRIORITY = 6,
    ROUTE_SOURCE = 7,
    ROUTE_TABLE = 15,
    ROUTE_FIB_MATCH = 0x2000,
    ROUTE_MAIN_TABLE = 254,
    ROUTE_UNICAST = 1,
    ROUTE_LOCAL = 2,
    ROUTE_BY_KERNEL = 2,
    ROUTE_BY_ADMINISTRATOR = 4,
    SCOPE_LINK = 253,

    LINK_NAME = 3,
    LINK_MTU = 4,
    LINK_UP = 0x1,
    LINK_RUNNING = 0x40,

    ADDRESS_IS = 1,
    ADDRESS_LOCAL = 2,

    GROUPS_ROUTES = 0x40 | 0x400,
    GROUPS_LINKS = 0x1,
    GROUPS_ADDRESSES = 0x10 | 0x100,

    LINUX_INET = 2,
    LINUX_INET6 = 10,
};

#define NL_ALIGN(length) (((length) + 3u) & ~3u)
/* What the kernel puts into one answer of a dump (32 KB), twice. */
#define NL_ROOM 65536

struct nl_message {
    struct nl_header header;
    unsigned char body[512];
};

static inline void nl_begin(struct nl_message *message, unsigned short type, unsigned short flags,
                            const void *fixed, unsigned length)
{
    memset(message, 0, sizeof(*message));
    message->header.type = type;
    message->header.flags = flags | NL_REQUEST;
    message->header.length = sizeof(message->header) + NL_ALIGN(length);
    memcpy(message->body, fixed, length);
}

static inline void nl_add(struct nl_message *message, unsigned short type, const void *value,
                          unsigned length)
{
    struct nl_attribute *attribute =
        (struct nl_attribute *)((unsigned char *)message + message->header.length);

    attribute->type = type;
    attribute->length = (unsigned short)(sizeof(*attribute) + length);
    memcpy(attribute + 1, value, length);
    message->header.length += NL_ALIGN(attribute->length);
}

/* The value of an attribute, or nothing. */
static inline const void *nl_find(const struct nl_header *message, unsigned fixed,
                                  unsigned short type)
{
    const unsigned char *at = (const unsigned char *)(message + 1) + NL_ALIGN(fixed);
    const unsigned char *end = (const unsigned char *)message + message->length;

    while (at + sizeof(struct nl_attribute) <= end) {
        const struct nl_attribute *attribute = (const struct nl_attribute *)at;
        if (attribute->length < sizeof(*attribute))
            return NULL;
        if ((attribute->type & 0x3fff) == type)
            return attribute + 1;
        at += NL_ALIGN(attribute->length);
    }
    return NULL;
}

static inline int nl_open(unsigned groups)
{
    struct {
        unsigned short family, pad;
        unsigned port, groups;
    } address = { 16, 0, 0, groups };
    /* AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE */
    int file = (int)linux_socket(16, 3 | 0x80000, 0);

    if (file >= 0 && groups && linux_bind(file, &address, sizeof(address)) < 0) {
        linux_close(file);
        return -1;
    }
    return file;
}

typedef void nl_visitor(const struct nl_header *message, void *context);

/* Sends a request and shows every answer; 0 or a negative Linux error. */
static inline int nl_request(struct nl_message *message, nl_visitor *visit, void *context)
{
    unsigned char buffer[NL_ROOM];
    int file = nl_open(0), result = 0, over = 0;
    int answered = message->header.flags & NL_ACK;

    if (file < 0)
        return file;
    linux_write(file, message, message->header.length);
    while (!over) {
        linux_long length = linux_read(file, buffer, sizeof(buffer));
        const struct nl_header *at = (const struct nl_header *)buffer;
        if (length == -LINUX_EINTR)
            continue;
        if (length <= 0) {
            result = length ? (int)length : -5;
            break;
        }
        while (length >= (linux_long)sizeof(*at) && at->length >= sizeof(*at)) {
            if (at->type == NL_ERROR) {
                result = *(const int *)(at + 1);
                over = 1;
            } else if (at->type == NL_DONE) {
                over = 1;
            } else {
                if (visit)
                    visit(at, context);
                if (!(at->flags & 2) && !answered)
                    over = 1;
            }
            length -= NL_ALIGN(at->length);
            at = (const struct nl_header *)((const unsigned char *)at + NL_ALIGN(at->length));
        }
    }
    linux_close(file);
    return result;
}

#endif
