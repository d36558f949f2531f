/*
 * Linux system calls for Windows programs under Wine. TEST-ONLY, never for real
 * Windows: there these instructions would call something else.
 *
 * Wine's PE side runs as ordinary code of an ordinary process, so the SYSCALL
 * instruction reaches the kernel; that gives shims and rig the TAP and netlink
 * of the network namespace without a helper process and with real errors.
 * Numbers are those of x86-64 (asm/unistd_64.h), errors are negative.
 */
#ifndef RIG_LINUX_H
#define RIG_LINUX_H

typedef long long linux_long;

static inline linux_long linux_call(linux_long number, linux_long a, linux_long b, linux_long c,
                                    linux_long d, linux_long e, linux_long f)
{
    register linux_long r10 __asm__("r10") = d;
    register linux_long r8 __asm__("r8") = e;
    register linux_long r9 __asm__("r9") = f;
    linux_long result;

    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}

#define LINUX_EINTR 4
#define LINUX_EAGAIN 11

#define LINUX_POINTER(pointer) ((linux_long)(unsigned long long)(pointer))

static inline linux_long linux_read(int file, void *bytes, linux_long length)
{
    return linux_call(0, file, LINUX_POINTER(bytes), length, 0, 0, 0);
}

static inline linux_long linux_write(int file, const void *bytes, linux_long length)
{
    return linux_call(1, file, LINUX_POINTER(bytes), length, 0, 0, 0);
}

static inline linux_long linux_open(const char *path, int flags)
{
    return linux_call(2, LINUX_POINTER(path), flags, 0, 0, 0, 0);
}

static inline linux_long linux_close(int file)
{
    return linux_call(3, file, 0, 0, 0, 0, 0);
}

struct linux_pollfd {
    int file;
    short events;
    short revents;
};

#define LINUX_POLLIN 1

static inline linux_long linux_poll(struct linux_pollfd *files, int count, int milliseconds)
{
    return linux_call(7, LINUX_POINTER(files), count, milliseconds, 0, 0, 0);
}

static inline linux_long linux_ioctl(int file, unsigned request, const void *argument)
{
    return linux_call(16, file, request, LINUX_POINTER(argument), 0, 0, 0);
}

static inline linux_long linux_socket(int domain, int type, int protocol)
{
    return linux_call(41, domain, type, protocol, 0, 0, 0);
}

static inline linux_long linux_bind(int file, const void *address, int length)
{
    return linux_call(49, file, LINUX_POINTER(address), length, 0, 0, 0);
}

#endif
