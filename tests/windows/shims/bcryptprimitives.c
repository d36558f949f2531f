/*
 * bcryptprimitives.dll: the one function of it that Rust's standard library
 * imports. TEST-ONLY, for Wine 8.0, which lacks this library; never for real
 * Windows.
 */
#include <windows.h>

/* RtlGenRandom's exported name; its length is 32 bits wide. */
BOOLEAN NTAPI SystemFunction036(void *bytes, ULONG length);

#define PIECE 0x10000000u

__declspec(dllexport) BOOL WINAPI ProcessPrng(BYTE *bytes, SIZE_T length)
{
    while (length > 0) {
        ULONG piece = length < PIECE ? (ULONG)length : PIECE;
        if (!SystemFunction036(bytes, piece))
            return FALSE;
        bytes += piece;
        length -= piece;
    }
    return TRUE;
}
