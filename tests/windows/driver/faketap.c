/*
 * faketap.sys: a stand-in for TAP-Windows6 under Wine's winedevice.exe.
 * TEST-ONLY, never for real Windows.
 *
 * Each key below Services\faketap\Adapters, named by an adapter's GUID, becomes
 * a cable with two ends:
 *
 *     \\.\Global\{GUID}.tap    what a player's program opens
 *     \\.\Global\{GUID}.peer   the rig's end
 *
 * Values of such a key:
 *     ClassKey      where NetworkAddress is read from when the device starts
 *     Version       high word major, low word minor; 9.27 without it
 *     StubbornMac   not 0: NetworkAddress is ignored, as some systems do
 *     Mtu           1,500 without it
 *
 * \\.\Global\faketap takes what a device manager does: disable, enable, vanish.
 */
#include <ntddk.h>

#include "control.h"

/* Room for a tagged full-size frame and for what the driver must refuse. */
#define MAX_FRAME 2048
#define MIN_FRAME 14
/* About 6 MB: more than TCP's window, so that a copy loses nothing here. */
#define MAX_WAITING 4096
#define MAX_CABLES 8
#define NAME_CHARACTERS 96
#define POOL_TAG 0x70746b66u

typedef struct {
    LIST_ENTRY link;
    ULONG length;
    UCHAR data[];
} FRAME;

struct cable;

typedef struct {
    struct cable *cable;
    BOOLEAN is_tap;
    /* Reads that wait for a frame, and frames that wait for a read. */
    LIST_ENTRY reads;
    LIST_ENTRY frames;
    ULONG waiting;
    LONG opens;
    UNICODE_STRING link;
    WCHAR link_text[NAME_CHARACTERS];
    UNICODE_STRING device;
    WCHAR device_text[NAME_CHARACTERS];
} END;

typedef struct cable {
    KSPIN_LOCK lock;
    END *tap;
    END *peer;
    WCHAR guid[48];
    UCHAR number;
    UCHAR mac[6];
    ULONG version;
    ULONG mtu;
    BOOLEAN stubborn;
    BOOLEAN present;
    /* Pulled out: an old handle never works again, also after the return. */
    ULONG generation;
    BOOLEAN media;
    ULONG media_changes;
    ULONG to_peer, to_tap, dropped;
    WCHAR class_key[192];
} CABLE;

static CABLE *cables[MAX_CABLES];
static ULONG cable_count;
static DEVICE_OBJECT *control_device;

static NTSTATUS finish(IRP *irp, NTSTATUS status, ULONG_PTR information)
{
    irp->IoStatus.Status = status;
    irp->IoStatus.Information = information;
    IoCompleteRequest(irp, IO_NO_INCREMENT);
    return status;
}

/* A handle remembers in which life of the device it was opened. */
static void *stamp(const CABLE *cable)
{
    return (void *)(ULONG_PTR)(cable->generation + 1);
}

/*
 * Wine hands out a handle although IRP_MJ_CREATE failed, so everything else
 * has to be refused on the handles that are not the owner's.
 */
static NTSTATUS may_use(const END *end, IRP *irp)
{
    const FILE_OBJECT *file = IoGetCurrentIrpStackLocation(irp)->FileObject;

    if (!file->FsContext)
        return STATUS_UNSUCCESSFUL;
    if (end->is_tap && (!end->cable->present || file->FsContext != stamp(end->cable)))
        return STATUS_DEVICE_REMOVED;
    return STATUS_SUCCESS;
}

static void WINAPI cancel_read(DEVICE_OBJECT *device, IRP *irp)
{
    END *end = device->DeviceExtension;
    KIRQL level;

    IoReleaseCancelSpinLock(irp->CancelIrql);
    KeAcquireSpinLock(&end->cable->lock, &level);
    RemoveEntryList(&irp->Tail.Overlay.ListEntry);
    KeReleaseSpinLock(&end->cable->lock, level);
    finish(irp, STATUS_CANCELLED, 0);
}

/* With the lock held. A read that is being cancelled belongs to cancel_read. */
static IRP *take_read(END *end)
{
    LIST_ENTRY *entry;

    for (entry = end->reads.Flink; entry != &end->reads; entry = entry->Flink) {
        IRP *irp = CONTAINING_RECORD(entry, IRP, Tail.Overlay.ListEntry);
        if (!IoSetCancelRoutine(irp, NULL))
            continue;
        RemoveEntryList(entry);
        return irp;
    }
    return NULL;
}

static void end_reads(END *end, NTSTATUS status)
{
    KIRQL level;
    IRP *irp;

    do {
        KeAcquireSpinLock(&end->cable->lock, &level);
        irp = take_read(end);
        KeReleaseSpinLock(&end->cable->lock, level);
        if (irp)
            finish(irp, status, 0);
    } while (irp);
}

static void forget_frames(END *end)
{
    KIRQL level;

    KeAcquireSpinLock(&end->cable->lock, &level);
    while (!IsListEmpty(&end->frames)) {
        LIST_ENTRY *entry = RemoveHeadList(&end->frames);
        ExFreePoolWithTag(CONTAINING_RECORD(entry, FRAME, link), POOL_TAG);
    }
    end->waiting = 0;
    KeReleaseSpinLock(&end->cable->lock, level);
}

static void set_media(CABLE *cable, BOOLEAN media)
{
    if (cable->media != media)
        cable->media_changes++;
    cable->media = media;
    if (!media) {
        end_reads(cable->tap, STATUS_CANCELLED);
        forget_frames(cable->tap);
    }
}

static NTSTATUS WINAPI on_create(DEVICE_OBJECT *device, IRP *irp)
{
    END *end = device->DeviceExtension;
    FILE_OBJECT *file = IoGetCurrentIrpStackLocation(irp)->FileObject;

    file->FsContext = NULL;
    if (device == control_device)
        return finish(irp, STATUS_SUCCESS, 0);
    if (end->is_tap && !end->cable->present)
        return finish(irp, STATUS_NO_SUCH_DEVICE, 0);
    if (InterlockedIncrement(&end->opens) > 1) {
        InterlockedDecrement(&end->opens);
        return finish(irp, STATUS_UNSUCCESSFUL, 0);
    }
    file->FsContext = stamp(end->cable);
    return finish(irp, STATUS_SUCCESS, 0);
}

static NTSTATUS WINAPI on_cleanup(DEVICE_OBJECT *device, IRP *irp)
{
    if (device != control_device && IoGetCurrentIrpStackLocation(irp)->FileObject->FsContext)
        end_reads(device->DeviceExtension, STATUS_CANCELLED);
    return finish(irp, STATUS_SUCCESS, 0);
}

static NTSTATUS WINAPI on_close(DEVICE_OBJECT *device, IRP *irp)
{
    END *end = device->DeviceExtension;

    if (device == control_device || !IoGetCurrentIrpStackLocation(irp)->FileObject->FsContext)
        return finish(irp, STATUS_SUCCESS, 0);
    if (end->is_tap) {
        /* A handle of the device's former life has nothing to close any more. */
        if (IoGetCurrentIrpStackLocation(irp)->FileObject->FsContext != stamp(end->cable))
            return finish(irp, STATUS_SUCCESS, 0);
        set_media(end->cable, FALSE);
    }
    end_reads(end, STATUS_CANCELLED);
    forget_frames(end);
    InterlockedDecrement(&end->opens);
    return finish(irp, STATUS_SUCCESS, 0);
}

static NTSTATUS give(IRP *irp, const UCHAR *data, ULONG length)
{
    ULONG room = IoGetCurrentIrpStackLocation(irp)->Parameters.Read.Length;
    NTSTATUS status = STATUS_SUCCESS;

    if (length > room) {
        length = room;
        status = STATUS_BUFFER_OVERFLOW;
    }
    RtlCopyMemory(irp->AssociatedIrp.SystemBuffer, data, length);
    return finish(irp, status, length);
}

static NTSTATUS WINAPI on_read(DEVICE_OBJECT *device, IRP *irp)
{
    END *end = device->DeviceExtension;
    CABLE *cable = end->cable;
    FRAME *frame = NULL;
    NTSTATUS status;
    KIRQL level;

    if (device == control_device)
        return finish(irp, STATUS_INVALID_DEVICE_REQUEST, 0);
    if ((status = may_use(end, irp)))
        return finish(irp, status, 0);
    KeAcquireSpinLock(&cable->lock, &level);
    if (end->is_tap && !cable->media) {
        KeReleaseSpinLock(&cable->lock, level);
        return finish(irp, STATUS_CANCELLED, 0);
    }
    if (!IsListEmpty(&end->frames)) {
        frame = CONTAINING_RECORD(RemoveHeadList(&end->frames), FRAME, link);
        end->waiting--;
        KeReleaseSpinLock(&cable->lock, level);
        status = give(irp, frame->data, frame->length);
        ExFreePoolWithTag(frame, POOL_TAG);
        return status;
    }
    IoMarkIrpPending(irp);
    InsertTailList(&end->reads, &irp->Tail.Overlay.ListEntry);
    IoSetCancelRoutine(irp, cancel_read);
    if (irp->Cancel && IoSetCancelRoutine(irp, NULL)) {
        RemoveEntryList(&irp->Tail.Overlay.ListEntry);
        KeReleaseSpinLock(&cable->lock, level);
        finish(irp, STATUS_CANCELLED, 0);
        return STATUS_PENDING;
    }
    KeReleaseSpinLock(&cable->lock, level);
    return STATUS_PENDING;
}

static FRAME *copy_of(const UCHAR *data, ULONG length)
{
    FRAME *frame = ExAllocatePoolWithTag(NonPagedPool, sizeof(*frame) + length, POOL_TAG);

    if (frame) {
        frame->length = length;
        RtlCopyMemory(frame->data, data, length);
    }
    return frame;
}

static NTSTATUS WINAPI on_write(DEVICE_OBJECT *device, IRP *irp)
{
    END *end = device->DeviceExtension;
    CABLE *cable = end->cable;
    ULONG length = IoGetCurrentIrpStackLocation(irp)->Parameters.Write.Length;
    const UCHAR *data = irp->AssociatedIrp.SystemBuffer;
    END *other;
    FRAME *frame;
    IRP *read;
    NTSTATUS status;
    KIRQL level;

    if (device == control_device)
        return finish(irp, STATUS_INVALID_DEVICE_REQUEST, 0);
    if ((status = may_use(end, irp)))
        return finish(irp, status, 0);
    if (length < MIN_FRAME || length > MAX_FRAME)
        return finish(irp, STATUS_INVALID_PARAMETER, 0);
    other = end->is_tap ? cable->peer : cable->tap;
    KeAcquireSpinLock(&cable->lock, &level);
    if (!cable->media) {
        cable->dropped++;
        KeReleaseSpinLock(&cable->lock, level);
        /* The adapter refuses; an Ethernet without a link loses the frame. */
        return finish(irp, end->is_tap ? STATUS_CANCELLED : STATUS_SUCCESS,
                      end->is_tap ? 0 : length);
    }
    if (end->is_tap)
        cable->to_peer++;
    else
        cable->to_tap++;
    read = take_read(other);
    if (!read) {
        frame = NULL;
        if (other->opens > 0 && other->waiting < MAX_WAITING)
            frame = copy_of(data, length);
        if (frame) {
            InsertTailList(&other->frames, &frame->link);
            other->waiting++;
        } else {
            cable->dropped++;
        }
    }
    KeReleaseSpinLock(&cable->lock, level);
    if (read)
        give(read, data, length);
    return finish(irp, STATUS_SUCCESS, length);
}

static BOOLEAN hex_digit(WCHAR character, UCHAR *value)
{
    if (character >= '0' && character <= '9')
        *value = (UCHAR)(character - '0');
    else if (character >= 'a' && character <= 'f')
        *value = (UCHAR)(character - 'a' + 10);
    else if (character >= 'A' && character <= 'F')
        *value = (UCHAR)(character - 'A' + 10);
    else
        return FALSE;
    return TRUE;
}

/* NDIS wants exactly twelve digits, and refuses addresses of groups. */
static BOOLEAN parse_mac(const WCHAR *text, UCHAR mac[6])
{
    UCHAR high, low;
    ULONG at;

    for (at = 0; at < 6; at++) {
        if (!hex_digit(text[2 * at], &high) || !hex_digit(text[2 * at + 1], &low))
            return FALSE;
        mac[at] = (UCHAR)(high << 4 | low);
    }
    return text[12] == 0 && !(mac[0] & 1);
}

static BOOLEAN read_value(HANDLE key, const WCHAR *name, ULONG type, void *value, ULONG room)
{
    UCHAR buffer[512];
    KEY_VALUE_PARTIAL_INFORMATION *information = (void *)buffer;
    UNICODE_STRING wanted;
    ULONG length;

    RtlInitUnicodeString(&wanted, name);
    if (ZwQueryValueKey(key, &wanted, KeyValuePartialInformation, information,
                        sizeof(buffer), &length))
        return FALSE;
    if (information->Type != type || information->DataLength > room)
        return FALSE;
    RtlCopyMemory(value, information->Data, information->DataLength);
    return TRUE;
}

static BOOLEAN open_key(HANDLE *key, HANDLE parent, UNICODE_STRING *path)
{
    OBJECT_ATTRIBUTES attributes;

    InitializeObjectAttributes(&attributes, path, OBJ_CASE_INSENSITIVE, parent, NULL);
    return ZwOpenKey(key, KEY_READ, &attributes) == STATUS_SUCCESS;
}

/* The device starts: it takes NetworkAddress, else the address it was built with. */
static void start(CABLE *cable)
{
    static const UCHAR built_with[6] = { 0x00, 0xff, 0xfa, 0xce, 0x00, 0x00 };
    WCHAR text[32] = { 0 };
    UCHAR mac[6];
    UNICODE_STRING path;
    HANDLE key;

    RtlCopyMemory(cable->mac, built_with, sizeof(cable->mac));
    cable->mac[5] = cable->number;
    RtlInitUnicodeString(&path, cable->class_key);
    if (!cable->stubborn && open_key(&key, NULL, &path)) {
        if (read_value(key, L"NetworkAddress", REG_SZ, text, sizeof(text) - sizeof(WCHAR)) &&
            parse_mac(text, mac))
            RtlCopyMemory(cable->mac, mac, sizeof(cable->mac));
        ZwClose(key);
    }
    if (!cable->present)
        IoCreateSymbolicLink(&cable->tap->link, &cable->tap->device);
    cable->present = TRUE;
}

static void stop(CABLE *cable, NTSTATUS status)
{
    if (!cable->present)
        return;
    /* Without its name the device cannot be opened, as if it were not there. */
    IoDeleteSymbolicLink(&cable->tap->link);
    cable->present = FALSE;
    cable->generation++;
    cable->tap->opens = 0;
    end_reads(cable->tap, status);
    set_media(cable, FALSE);
}

static CABLE *cable_of(const WCHAR *guid, ULONG bytes)
{
    UNICODE_STRING wanted, known;
    ULONG at;

    if (bytes < sizeof(WCHAR) || guid[bytes / sizeof(WCHAR) - 1] != 0)
        return NULL;
    RtlInitUnicodeString(&wanted, guid);
    for (at = 0; at < cable_count; at++) {
        RtlInitUnicodeString(&known, cables[at]->guid);
        if (RtlEqualUnicodeString(&wanted, &known, TRUE))
            return cables[at];
    }
    return NULL;
}

static NTSTATUS manage(IRP *irp, ULONG code, ULONG in, ULONG out)
{
    ULONG *buffer = irp->AssociatedIrp.SystemBuffer;
    CABLE *cable = cable_of((const WCHAR *)buffer, in);

    if (!cable)
        return finish(irp, STATUS_NO_SUCH_DEVICE, 0);
    switch (code) {
    case DEVICE_DISABLE:
        stop(cable, STATUS_CANCELLED);
        return finish(irp, STATUS_SUCCESS, 0);
    case DEVICE_VANISH:
        stop(cable, STATUS_DEVICE_REMOVED);
        return finish(irp, STATUS_SUCCESS, 0);
    case DEVICE_ENABLE:
        start(cable);
        return finish(irp, STATUS_SUCCESS, 0);
    case DEVICE_PRESENT:
        if (out < sizeof(ULONG))
            return finish(irp, STATUS_BUFFER_TOO_SMALL, 0);
        buffer[0] = cable->present;
        return finish(irp, STATUS_SUCCESS, sizeof(ULONG));
    }
    return finish(irp, STATUS_INVALID_DEVICE_REQUEST, 0);
}

static NTSTATUS WINAPI on_control(DEVICE_OBJECT *device, IRP *irp)
{
    END *end = device->DeviceExtension;
    IO_STACK_LOCATION *stack = IoGetCurrentIrpStackLocation(irp);
    ULONG code = stack->Parameters.DeviceIoControl.IoControlCode;
    ULONG in = stack->Parameters.DeviceIoControl.InputBufferLength;
    ULONG out = stack->Parameters.DeviceIoControl.OutputBufferLength;
    ULONG *buffer = irp->AssociatedIrp.SystemBuffer;
    struct peer_state *state = irp->AssociatedIrp.SystemBuffer;
    CABLE *cable = end->cable;
    NTSTATUS status;

    if (device == control_device)
        return manage(irp, code, in, out);
    if ((status = may_use(end, irp)))
        return finish(irp, status, 0);
    switch (code) {
    case TAP_GET_MAC:
        if (out < sizeof(cable->mac))
            return finish(irp, STATUS_BUFFER_TOO_SMALL, 0);
        RtlCopyMemory(buffer, cable->mac, sizeof(cable->mac));
        return finish(irp, STATUS_SUCCESS, sizeof(cable->mac));
    case TAP_GET_VERSION:
        if (out < 3 * sizeof(ULONG))
            return finish(irp, STATUS_BUFFER_TOO_SMALL, 0);
        buffer[0] = cable->version >> 16;
        buffer[1] = cable->version & 0xffff;
        buffer[2] = 0;
        return finish(irp, STATUS_SUCCESS, 3 * sizeof(ULONG));
    case TAP_GET_MTU:
        if (out < sizeof(ULONG))
            return finish(irp, STATUS_BUFFER_TOO_SMALL, 0);
        buffer[0] = cable->mtu;
        return finish(irp, STATUS_SUCCESS, sizeof(ULONG));
    case TAP_SET_MEDIA_STATUS:
        if (!end->is_tap || in < sizeof(ULONG))
            return finish(irp, STATUS_INVALID_PARAMETER, 0);
        set_media(cable, buffer[0] != 0);
        return finish(irp, STATUS_SUCCESS, out < sizeof(ULONG) ? 0 : sizeof(ULONG));
    case PEER_STATE:
        if (end->is_tap)
            break;
        if (out < sizeof(*state))
            return finish(irp, STATUS_BUFFER_TOO_SMALL, 0);
        RtlZeroMemory(state, sizeof(*state));
        state->media = cable->media;
        state->present = cable->present;
        state->media_changes = cable->media_changes;
        state->to_peer = cable->to_peer;
        state->to_tap = cable->to_tap;
        state->dropped = cable->dropped;
        RtlCopyMemory(state->mac, cable->mac, sizeof(cable->mac));
        return finish(irp, STATUS_SUCCESS, sizeof(*state));
    }
    return finish(irp, STATUS_INVALID_DEVICE_REQUEST, 0);
}

static NTSTATUS name_of(UNICODE_STRING *name, WCHAR *text, const WCHAR *directory,
                        const WCHAR *guid, const WCHAR *suffix)
{
    NTSTATUS status;

    RtlInitEmptyUnicodeString(name, text, NAME_CHARACTERS * sizeof(WCHAR));
    if ((status = RtlAppendUnicodeToString(name, directory)) ||
        (status = RtlAppendUnicodeToString(name, guid)))
        return status;
    return RtlAppendUnicodeToString(name, suffix);
}

static NTSTATUS add_end(DRIVER_OBJECT *driver, CABLE *cable, BOOLEAN is_tap, END **made)
{
    const WCHAR *suffix = is_tap ? L".tap" : L".peer";
    WCHAR text[NAME_CHARACTERS];
    UNICODE_STRING name;
    DEVICE_OBJECT *device;
    NTSTATUS status;
    END *end;

    if ((status = name_of(&name, text, L"\\Device\\", cable->guid, suffix)) ||
        (status = IoCreateDevice(driver, sizeof(*end), &name, FILE_DEVICE_UNKNOWN, 0, FALSE,
                                 &device)))
        return status;
    end = device->DeviceExtension;
    RtlZeroMemory(end, sizeof(*end));
    end->cable = cable;
    end->is_tap = is_tap;
    InitializeListHead(&end->reads);
    InitializeListHead(&end->frames);
    name_of(&end->device, end->device_text, L"\\Device\\", cable->guid, suffix);
    name_of(&end->link, end->link_text, L"\\DosDevices\\Global\\", cable->guid, suffix);
    device->Flags |= DO_BUFFERED_IO;
    device->Flags &= ~DO_DEVICE_INITIALIZING;
    *made = end;
    /* The adapter's own end gets its name when the device starts. */
    return is_tap ? STATUS_SUCCESS : IoCreateSymbolicLink(&end->link, &name);
}

static NTSTATUS add_cable(DRIVER_OBJECT *driver, HANDLE key, const KEY_BASIC_INFORMATION *named)
{
    CABLE *cable;
    ULONG number, at;
    NTSTATUS status;

    if (cable_count == MAX_CABLES || named->NameLength >= sizeof(cable->guid))
        return STATUS_INSUFFICIENT_RESOURCES;
    cable = ExAllocatePoolWithTag(NonPagedPool, sizeof(*cable), POOL_TAG);
    if (!cable)
        return STATUS_INSUFFICIENT_RESOURCES;
    RtlZeroMemory(cable, sizeof(*cable));
    KeInitializeSpinLock(&cable->lock);
    for (at = 0; at < named->NameLength / sizeof(WCHAR); at++)
        cable->guid[at] = named->Name[at];
    cable->number = (UCHAR)cable_count;
    cable->version = 9 << 16 | 27;
    cable->mtu = 1500;
    read_value(key, L"Version", REG_DWORD, &cable->version, sizeof(ULONG));
    read_value(key, L"Mtu", REG_DWORD, &cable->mtu, sizeof(ULONG));
    number = 0;
    read_value(key, L"StubbornMac", REG_DWORD, &number, sizeof(ULONG));
    cable->stubborn = number != 0;
    read_value(key, L"ClassKey", REG_SZ, cable->class_key,
               sizeof(cable->class_key) - sizeof(WCHAR));
    if ((status = add_end(driver, cable, TRUE, &cable->tap)) ||
        (status = add_end(driver, cable, FALSE, &cable->peer))) {
        ExFreePoolWithTag(cable, POOL_TAG);
        return status;
    }
    cables[cable_count++] = cable;
    start(cable);
    return STATUS_SUCCESS;
}

static void add_cables(DRIVER_OBJECT *driver, HANDLE adapters)
{
    UCHAR buffer[256];
    KEY_BASIC_INFORMATION *named = (void *)buffer;
    UNICODE_STRING name;
    ULONG at, length;
    HANDLE key;

    for (at = 0; !ZwEnumerateKey(adapters, at, KeyBasicInformation, named,
                                 sizeof(buffer) - sizeof(WCHAR), &length);
         at++) {
        named->Name[named->NameLength / sizeof(WCHAR)] = 0;
        RtlInitUnicodeString(&name, named->Name);
        if (!open_key(&key, adapters, &name))
            continue;
        if (add_cable(driver, key, named))
            DbgPrint("faketap: an adapter could not be made\n");
        ZwClose(key);
    }
}

static NTSTATUS add_control(DRIVER_OBJECT *driver)
{
    UNICODE_STRING name, link;
    NTSTATUS status;

    RtlInitUnicodeString(&name, L"\\Device\\faketap");
    RtlInitUnicodeString(&link, L"\\DosDevices\\Global\\faketap");
    if ((status = IoCreateDevice(driver, 0, &name, FILE_DEVICE_UNKNOWN, 0, FALSE,
                                 &control_device)))
        return status;
    control_device->Flags |= DO_BUFFERED_IO;
    control_device->Flags &= ~DO_DEVICE_INITIALIZING;
    return IoCreateSymbolicLink(&link, &name);
}

NTSTATUS DriverEntry(DRIVER_OBJECT *driver, UNICODE_STRING *path)
{
    UNICODE_STRING adapters_name;
    HANDLE service, adapters;
    NTSTATUS status;

    driver->MajorFunction[IRP_MJ_CREATE] = on_create;
    driver->MajorFunction[IRP_MJ_CLEANUP] = on_cleanup;
    driver->MajorFunction[IRP_MJ_CLOSE] = on_close;
    driver->MajorFunction[IRP_MJ_READ] = on_read;
    driver->MajorFunction[IRP_MJ_WRITE] = on_write;
    driver->MajorFunction[IRP_MJ_DEVICE_CONTROL] = on_control;
    if ((status = add_control(driver)))
        return status;
    if (!open_key(&service, NULL, path))
        return STATUS_OBJECT_NAME_NOT_FOUND;
    RtlInitUnicodeString(&adapters_name, L"Adapters");
    /* Without adapters: a driver that is installed and has none. */
    if (open_key(&adapters, service, &adapters_name)) {
        add_cables(driver, adapters);
        ZwClose(adapters);
    }
    ZwClose(service);
    DbgPrint("faketap: %u adapters\n", cable_count);
    return STATUS_SUCCESS;
}
