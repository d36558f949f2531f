/*
 * What the stand-in TAP driver understands; shared by driver, shims and rig.
 * Test-only, for Wine; never for real Windows.
 */
#ifndef FAKETAP_CONTROL_H
#define FAKETAP_CONTROL_H

/* The control codes of TAP-Windows6 that players use. */
#define TAP_CONTROL(number) \
    CTL_CODE(FILE_DEVICE_UNKNOWN, number, METHOD_BUFFERED, FILE_ANY_ACCESS)
#define TAP_GET_MAC TAP_CONTROL(1)
#define TAP_GET_VERSION TAP_CONTROL(2)
#define TAP_GET_MTU TAP_CONTROL(3)
#define TAP_SET_MEDIA_STATUS TAP_CONTROL(6)

/* On ADAPTER.peer, the other end of the cable. */
#define PEER_STATE TAP_CONTROL(0x900)
struct peer_state {
    ULONG media;
    ULONG present;
    ULONG media_changes;
    ULONG to_peer;
    ULONG to_tap;
    ULONG dropped;
    UCHAR mac[8];
};

/*
 * On \\.\Global\faketap, which is there for everybody: what the system's
 * device manager does to an adapter. The input is the adapter's GUID in braces,
 * as wide characters with their terminator.
 */
#define DEVICE_DISABLE TAP_CONTROL(0x910)
#define DEVICE_ENABLE TAP_CONTROL(0x911)
/* The device is pulled out while programs hold it; DEVICE_ENABLE plugs it in. */
#define DEVICE_VANISH TAP_CONTROL(0x912)
#define DEVICE_PRESENT TAP_CONTROL(0x913)

#define ADAPTERS_KEY L"System\\CurrentControlSet\\Services\\faketap\\Adapters"

#endif
