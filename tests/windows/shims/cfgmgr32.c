/*
 * cfgmgr32.dll with the calls that find, disable and enable a device, acting on
 * the stand-in TAP driver. TEST-ONLY, for Wine 8.0, where these are stubs;
 * never for real Windows. Everything else is forwarded to Wine's own.
 */
#include <windows.h>
#include <winioctl.h>
#include <cfgmgr32.h>
#include <stdio.h>

#include "../driver/control.h"

/* Handles of ours are far from those of Wine, which count from small numbers. */
#define FIRST_NODE 0x7a000000u

/* The adapters are few and numbered in the order of their keys. */
static BOOL adapter(DWORD number, WCHAR guid[64], WCHAR instance[256])
{
    DWORD guid_room = 64, instance_room = 256 * sizeof(WCHAR);
    BOOL found;
    HKEY key;

    if (RegOpenKeyExW(HKEY_LOCAL_MACHINE, ADAPTERS_KEY, 0, KEY_READ, &key))
        return FALSE;
    found = !RegEnumKeyExW(key, number, guid, &guid_room, NULL, NULL, NULL, NULL) &&
            !RegGetValueW(key, guid, L"InstanceId", RRF_RT_REG_SZ, NULL, instance, &instance_room);
    RegCloseKey(key);
    return found;
}

static CONFIGRET ask(DEVINST node, DWORD code, ULONG *answer)
{
    WCHAR guid[64], instance[256];
    CONFIGRET result = CR_FAILURE;
    DWORD length;
    HANDLE driver;

    if (node < FIRST_NODE || !adapter(node - FIRST_NODE, guid, instance))
        return CR_INVALID_DEVINST;
    driver = CreateFileW(L"\\\\.\\Global\\faketap", GENERIC_READ | GENERIC_WRITE, 0, NULL,
                         OPEN_EXISTING, 0, NULL);
    if (driver == INVALID_HANDLE_VALUE)
        return CR_NO_SUCH_DEVINST;
    if (DeviceIoControl(driver, code, guid, (lstrlenW(guid) + 1) * sizeof(WCHAR), answer,
                        answer ? sizeof(*answer) : 0, &length, NULL))
        result = CR_SUCCESS;
    CloseHandle(driver);
    return result;
}

CONFIGRET WINAPI CM_Locate_DevNodeW(DEVINST *node, DEVINSTID_W wanted, ULONG flags)
{
    WCHAR guid[64], instance[256];
    DWORD number;

    (void)flags;
    if (!node || !wanted)
        return CR_INVALID_POINTER;
    for (number = 0; adapter(number, guid, instance); number++) {
        if (!lstrcmpiW(instance, wanted)) {
            *node = FIRST_NODE + number;
            return CR_SUCCESS;
        }
    }
    return CR_NO_SUCH_DEVINST;
}

CONFIGRET WINAPI CM_Disable_DevNode(DEVINST node, ULONG flags)
{
    (void)flags;
    return ask(node, DEVICE_DISABLE, NULL);
}

CONFIGRET WINAPI CM_Enable_DevNode(DEVINST node, ULONG flags)
{
    (void)flags;
    return ask(node, DEVICE_ENABLE, NULL);
}

/* What cfg.h calls DN_STARTED and CM_PROB_DISABLED. */
#define STARTED 0x00000008u
#define HAS_PROBLEM 0x00000400u
#define PROBLEM_DISABLED 22u

CONFIGRET WINAPI CM_Get_DevNode_Status(ULONG *status, ULONG *problem, DEVINST node, ULONG flags)
{
    ULONG present;
    CONFIGRET result = ask(node, DEVICE_PRESENT, &present);

    (void)flags;
    if (result)
        return result;
    *status = present ? STARTED : HAS_PROBLEM;
    *problem = present ? 0 : PROBLEM_DISABLED;
    return CR_SUCCESS;
}
