/*
 * Proves the stand-in driver by itself, so that a failing story about a player
 * is about the player. Prints one line a fact and ends at the first false one.
 */
#include <stdio.h>
#include <string.h>

#include "rig.h"

#define FRAMES 4096u
#define FULL_FRAME 1514u
/* Fewer than the driver queues, more than a burst. */
#define WINDOW 1024u

static void must(BOOL fact, const char *what)
{
    printf("%s %s\n", fact ? "ok" : "FALSE", what);
    if (!fact) {
        printf("last error %lu\n", GetLastError());
        ExitProcess(1);
    }
}

/* Starts a read or write; 0 when it is done or pending, else the error. */
static DWORD begin(HANDLE device, BOOL read, void *bytes, DWORD length, OVERLAPPED *overlapped)
{
    BOOL done;

    ResetEvent(overlapped->hEvent);
    done = read ? ReadFile(device, bytes, length, NULL, overlapped)
                : WriteFile(device, bytes, length, NULL, overlapped);
    return done || GetLastError() == ERROR_IO_PENDING ? 0 : GetLastError();
}

static DWORD transfer(HANDLE device, BOOL read, void *bytes, DWORD length)
{
    OVERLAPPED overlapped = { 0 };
    DWORD error, moved = 0;

    overlapped.hEvent = CreateEventW(NULL, TRUE, FALSE, NULL);
    error = begin(device, read, bytes, length, &overlapped);
    if (!error && !GetOverlappedResult(device, &overlapped, &moved, TRUE))
        error = GetLastError();
    CloseHandle(overlapped.hEvent);
    SetLastError(error);
    return error ? 0 : moved;
}

static DWORD failure(HANDLE device, BOOL read)
{
    UCHAR frame[60] = { 0 };

    return transfer(device, read, frame, sizeof(frame)) ? 0 : GetLastError();
}

struct reader {
    HANDLE device;
    DWORD wrong;
    volatile LONG seen;
};

static DWORD WINAPI read_all(void *argument)
{
    struct reader *reader = argument;
    UCHAR frame[MAX_FRAME];
    DWORD number, found;

    for (number = 0; number < FRAMES; number++) {
        DWORD length = transfer(reader->device, TRUE, frame, sizeof(frame));
        memcpy(&found, frame, sizeof(found));
        if (length != FULL_FRAME || found != number || frame[FULL_FRAME - 1] != (UCHAR)number)
            reader->wrong++;
        InterlockedIncrement(&reader->seen);
    }
    return 0;
}

static void carries(HANDLE from, HANDLE to, const char *what)
{
    struct reader reader = { to, 0, 0 };
    HANDLE thread = CreateThread(NULL, 0, read_all, &reader, 0, NULL);
    UCHAR frame[FULL_FRAME] = { 0 };
    DWORD number;

    for (number = 0; number < FRAMES; number++) {
        memcpy(frame, &number, sizeof(number));
        frame[FULL_FRAME - 1] = (UCHAR)number;
        while (number - (DWORD)reader.seen > WINDOW)
            Sleep(1);
        if (transfer(from, FALSE, frame, sizeof(frame)) != sizeof(frame))
            reader.wrong++;
    }
    must(WaitForSingleObject(thread, 30000) == WAIT_OBJECT_0 && !reader.wrong, what);
    CloseHandle(thread);
}

int probe(const WCHAR *guid)
{
    WCHAR tap_name[96], peer_name[96];
    UCHAR mac[6] = { 0 }, frame[MAX_FRAME];
    ULONG version[3] = { 0 }, mtu = 0, up = 1, down = 0, answer;
    OVERLAPPED pending = { 0 };
    struct peer_state state;
    HANDLE tap, second, peer;
    DWORD length;

    swprintf(tap_name, 96, L"%ls.tap", guid);
    swprintf(peer_name, 96, L"%ls.peer", guid);
    tap = open_device(tap_name);
    must(tap != INVALID_HANDLE_VALUE, "the adapter opens");
    second = open_device(tap_name);
    must(!control(second, TAP_GET_MAC, NULL, 0, mac, sizeof(mac)), "it serves one program only");
    CloseHandle(second);
    peer = open_device(peer_name);
    must(peer != INVALID_HANDLE_VALUE, "the cable's other end opens");
    must(control(tap, TAP_GET_MAC, NULL, 0, mac, sizeof(mac)), "it has a MAC");
    must(control(tap, TAP_GET_VERSION, NULL, 0, version, sizeof(version)) && version[0] == 9,
         "it has a version");
    must(control(tap, TAP_GET_MTU, NULL, 0, &mtu, sizeof(mtu)) && mtu == 1500, "it has an MTU");
    must(!control(tap, TAP_CONTROL(99), NULL, 0, &mtu, sizeof(mtu)), "unknown codes are refused");
    must(failure(tap, TRUE) == ERROR_OPERATION_ABORTED, "no reads while the media is down");
    must(control(tap, TAP_SET_MEDIA_STATUS, &up, sizeof(up), &answer, sizeof(answer)), "media up");
    must(control(peer, PEER_STATE, NULL, 0, &state, sizeof(state)) && state.media,
         "the other end sees the media");

    pending.hEvent = CreateEventW(NULL, TRUE, FALSE, NULL);
    must(!begin(tap, TRUE, frame, sizeof(frame), &pending) &&
             WaitForSingleObject(pending.hEvent, 50) == WAIT_TIMEOUT,
         "a read waits for a frame");
    memset(frame, 7, 60);
    must(transfer(peer, FALSE, frame, 60) == 60 &&
             GetOverlappedResult(tap, &pending, &length, TRUE) && length == 60,
         "a frame ends the wait");
    begin(tap, TRUE, frame, sizeof(frame), &pending);
    must(CancelIoEx(tap, &pending) && !GetOverlappedResult(tap, &pending, &length, TRUE) &&
             GetLastError() == ERROR_OPERATION_ABORTED,
         "a read can be cancelled");
    must(!transfer(tap, FALSE, frame, 5), "a runt is refused");
    carries(tap, peer, "full frames go out in order");
    carries(peer, tap, "full frames come in in order");

    begin(tap, TRUE, frame, sizeof(frame), &pending);
    must(control(tap, TAP_SET_MEDIA_STATUS, &down, sizeof(down), &answer, sizeof(answer)) &&
             !GetOverlappedResult(tap, &pending, &length, TRUE),
         "media down ends the reads");
    printf("probe passed\n");
    return 0;
}
