/*
 * The cable: frames between the far end of an adapter and a Linux TAP in the
 * same network namespace, which then is what Wine shows as that adapter.
 *
 * The TAP follows the adapter: its MAC, and its carrier for the media status.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "linux.h"
#include "rig.h"

/* linux/if_tun.h, linux/sockios.h, linux/if.h, asm-generic/fcntl.h */
#define TUNSETIFF 0x400454cau
#define TUNSETIFINDEX 0x400454dau
#define TUNSETCARRIER 0x400454e2u
#define SIOCSIFHWADDR 0x8924u
#define SIOCGIFFLAGS 0x8913u
#define SIOCSIFFLAGS 0x8914u
#define IFF_TAP 0x0002
#define IFF_NO_PI 0x1000
#define IFF_UP 0x1
#define ARPHRD_ETHER 1
#define O_RDWR 2
#define AF_INET_LINUX 2
#define SOCK_DGRAM_LINUX 2

/* How many reads wait at the adapter's end; one only would cost a round trip a frame. */
#define READS 16
/* How often the TAP looks whether the adapter has changed, in milliseconds. */
#define LOOK 20

struct ifreq {
    char name[16];
    union {
        short flags;
        struct {
            unsigned short family;
            unsigned char bytes[14];
        } address;
        unsigned char room[24];
    };
};

static HANDLE peer;
static int tap;

static void fail(const char *what, linux_long error)
{
    fprintf(stderr, "rig: %s: %lld\n", what, error);
    ExitProcess(1);
}

/* Linux to Windows. */
static DWORD WINAPI __attribute__((noreturn)) inward(void *unused)
{
    OVERLAPPED overlapped = { 0 };
    unsigned char frame[MAX_FRAME];
    linux_long length;
    DWORD written;

    (void)unused;
    overlapped.hEvent = CreateEventW(NULL, TRUE, FALSE, NULL);
    for (;;) {
        length = linux_read(tap, frame, sizeof(frame));
        if (length == -LINUX_EINTR)
            continue;
        if (length <= 0)
            fail("the TAP cannot be read", length);
        if (!WriteFile(peer, frame, (DWORD)length, NULL, &overlapped) &&
            GetLastError() != ERROR_IO_PENDING)
            continue;
        GetOverlappedResult(peer, &overlapped, &written, TRUE);
    }
}

struct read {
    OVERLAPPED overlapped;
    unsigned char frame[MAX_FRAME];
};

static void post(struct read *read)
{
    ResetEvent(read->overlapped.hEvent);
    if (!ReadFile(peer, read->frame, sizeof(read->frame), NULL, &read->overlapped) &&
        GetLastError() != ERROR_IO_PENDING)
        fail("the adapter's other end cannot be read", GetLastError());
}

/* Windows to Linux, in the order in which the reads were posted. */
static DWORD WINAPI __attribute__((noreturn)) outward(void *unused)
{
    static struct read reads[READS];
    DWORD length;
    unsigned at;

    (void)unused;
    for (at = 0; at < READS; at++) {
        reads[at].overlapped.hEvent = CreateEventW(NULL, TRUE, FALSE, NULL);
        post(&reads[at]);
    }
    for (at = 0;; at = (at + 1) % READS) {
        /* A TAP that is down refuses; the frame is lost, as on a real cable. */
        if (GetOverlappedResult(peer, &reads[at].overlapped, &length, TRUE))
            linux_write(tap, reads[at].frame, length);
        post(&reads[at]);
    }
}

static void follow(const struct ifreq *named)
{
    struct peer_state state, last;
    BOOL first = TRUE;

    for (;; Sleep(LOOK)) {
        if (!control(peer, PEER_STATE, NULL, 0, &state, sizeof(state)))
            fail("the adapter does not say how it is", GetLastError());
        if (first || memcmp(state.mac, last.mac, 6)) {
            struct ifreq request = *named;
            request.address.family = ARPHRD_ETHER;
            memcpy(request.address.bytes, state.mac, 6);
            linux_ioctl(tap, SIOCSIFHWADDR, &request);
        }
        if (first || state.media != last.media) {
            int carrier = state.media != 0;
            linux_ioctl(tap, TUNSETCARRIER, &carrier);
            printf("media %s\n", carrier ? "up" : "down");
        }
        if (first)
            printf("cable ready\n");
        first = FALSE;
        last = state;
    }
}

int cable(const WCHAR *guid, int index, const WCHAR *name)
{
    struct ifreq request = { 0 };
    struct ifreq named = { 0 };
    WCHAR device[96];
    linux_long socket, error;
    unsigned short flags;

    swprintf(device, 96, L"%ls.peer", guid);
    peer = open_device(device);
    if (peer == INVALID_HANDLE_VALUE)
        fail("there is no such adapter", GetLastError());
    tap = (int)linux_open("/dev/net/tun", O_RDWR);
    if (tap < 0)
        fail("/dev/net/tun", tap);
    if ((error = linux_ioctl(tap, TUNSETIFINDEX, &index)))
        fail("TUNSETIFINDEX", error);
    snprintf(named.name, sizeof(named.name), "%ls", name);
    request = named;
    request.flags = IFF_TAP | IFF_NO_PI;
    if ((error = linux_ioctl(tap, TUNSETIFF, &request)))
        fail("TUNSETIFF", error);
    socket = linux_socket(AF_INET_LINUX, SOCK_DGRAM_LINUX, 0);
    request = named;
    linux_ioctl((int)socket, SIOCGIFFLAGS, &request);
    flags = (unsigned short)request.flags;
    request.flags = (short)(flags | IFF_UP);
    if ((error = linux_ioctl((int)socket, SIOCSIFFLAGS, &request)))
        fail("the TAP cannot be set up", error);
    linux_close((int)socket);
    CreateThread(NULL, 0, inward, NULL, 0, NULL);
    CreateThread(NULL, 0, outward, NULL, 0, NULL);
    follow(&named);
    return 0;
}
