/*
 * rig.exe: the rig's own hands inside Wine. TEST-ONLY, never for real Windows.
 *
 *     rig cable GUID INDEX NAME   the other end of the adapter's cable becomes a
 *                                 Linux TAP of that index and name, until killed
 *     rig probe GUID              proves the stand-in driver, frames included
 *     rig disable|enable|vanish GUID
 */
#include "rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int manage(DWORD code, const WCHAR *guid)
{
    HANDLE driver = open_device(L"faketap");
    DWORD length;
    int result = 0;

    if (driver == INVALID_HANDLE_VALUE ||
        !DeviceIoControl(driver, code, (void *)guid, (lstrlenW(guid) + 1) * sizeof(WCHAR), NULL, 0,
                         &length, NULL)) {
        fprintf(stderr, "rig: the driver refused: error %lu\n", GetLastError());
        result = 1;
    }
    CloseHandle(driver);
    return result;
}

HANDLE open_device(const WCHAR *name)
{
    WCHAR path[160];

    swprintf(path, 160, L"\\\\.\\Global\\%ls", name);
    return CreateFileW(path, GENERIC_READ | GENERIC_WRITE, 0, NULL, OPEN_EXISTING,
                       FILE_ATTRIBUTE_SYSTEM | FILE_FLAG_OVERLAPPED, NULL);
}

BOOL control(HANDLE device, DWORD code, const void *in, DWORD in_length, void *out,
             DWORD out_length)
{
    OVERLAPPED overlapped = { 0 };
    DWORD length, error;
    BOOL done;

    overlapped.hEvent = CreateEventW(NULL, TRUE, FALSE, NULL);
    done = DeviceIoControl(device, code, (void *)in, in_length, out, out_length, NULL, &overlapped);
    if (!done && GetLastError() == ERROR_IO_PENDING)
        done = GetOverlappedResult(device, &overlapped, &length, TRUE);
    error = GetLastError();
    CloseHandle(overlapped.hEvent);
    SetLastError(error);
    return done;
}

int wmain(int count, WCHAR **words)
{
    const WCHAR *verb = count > 1 ? words[1] : L"";

    setvbuf(stdout, NULL, _IONBF, 0);
    if (count == 5 && !lstrcmpW(verb, L"cable"))
        return cable(words[2], _wtoi(words[3]), words[4]);
    if (count == 3 && !lstrcmpW(verb, L"probe"))
        return probe(words[2]);
    if (count == 3 && !lstrcmpW(verb, L"disable"))
        return manage(DEVICE_DISABLE, words[2]);
    if (count == 3 && !lstrcmpW(verb, L"enable"))
        return manage(DEVICE_ENABLE, words[2]);
    if (count == 3 && !lstrcmpW(verb, L"vanish"))
        return manage(DEVICE_VANISH, words[2]);
    fprintf(stderr, "rig: cable GUID INDEX NAME | probe GUID | disable GUID | enable GUID | vanish GUID\n");
    return 2;
}
