/* What the files of rig.exe share. TEST-ONLY, never for real Windows. */
#ifndef RIG_H
#define RIG_H

#include <windows.h>
#include <winioctl.h>

#include "../driver/control.h"

#define MAX_FRAME 2048

HANDLE open_device(const WCHAR *name);
/* Sends a control code and waits; false with GetLastError(). */
BOOL control(HANDLE device, DWORD code, const void *in, DWORD in_length, void *out,
             DWORD out_length);

int cable(const WCHAR *guid, int index, const WCHAR *name);
int probe(const WCHAR *guid);

#endif
