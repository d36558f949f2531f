//! The system calls that no safe wrapper offers. All `unsafe` of this crate is
//! here and in [`super::batch`].

use std::ffi::c_int;
use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

use libc::{sock_filter, sock_fprog, sockaddr_ll};

pub(super) fn set_option<F: AsFd>(
    fd: F,
    level: c_int,
    name: c_int,
    value: c_int,
) -> io::Result<()> {
    // SAFETY: `value` outlives the call and its length is given.
    check(unsafe {
        libc::setsockopt(
            fd.as_fd().as_raw_fd(),
            level,
            name,
            (&raw const value).cast(),
            length_of::<c_int>(),
        )
    })
}

/// Joins `PACKET_MR_PROMISC`; the kernel leaves it when the socket closes.
pub(super) fn join_promiscuous<F: AsFd>(fd: F, interface: c_int) -> io::Result<()> {
    let request = libc::packet_mreq {
        mr_ifindex: interface,
        mr_type: libc::PACKET_MR_PROMISC as libc::c_ushort,
        mr_alen: 0,
        mr_address: [0; 8],
    };
    // SAFETY: `request` outlives the call and its length is given.
    check(unsafe {
        libc::setsockopt(
            fd.as_fd().as_raw_fd(),
            libc::SOL_PACKET,
            libc::PACKET_ADD_MEMBERSHIP,
            (&raw const request).cast(),
            length_of::<libc::packet_mreq>(),
        )
    })
}

/// Binds a packet socket to all protocols of one interface.
pub(super) fn bind_to_interface<F: AsFd>(fd: F, interface: c_int) -> io::Result<()> {
    let address = sockaddr_ll {
        sll_family: libc::AF_PACKET as libc::c_ushort,
        sll_protocol: (libc::ETH_P_ALL as u16).to_be(),
        sll_ifindex: interface,
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 0,
        sll_addr: [0; 8],
    };
    // SAFETY: `address` outlives the call and its length is given.
    check(unsafe {
        libc::bind(
            fd.as_fd().as_raw_fd(),
            (&raw const address).cast(),
            length_of::<sockaddr_ll>(),
        )
    })
}

/// Puts a filter onto a socket, in one step in place of the one before.
pub(super) fn attach_socket_filter<F: AsFd>(fd: F, program: &mut [sock_filter]) -> io::Result<()> {
    let program = fprog(program)?;
    // SAFETY: the kernel copies the program, which outlives the call.
    check(unsafe {
        libc::setsockopt(
            fd.as_fd().as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_ATTACH_FILTER,
            (&raw const program).cast(),
            length_of::<sock_fprog>(),
        )
    })
}

/// As [`attach_socket_filter`], for what a TAP hands to its reader.
pub(super) fn attach_tap_filter<F: AsFd>(fd: F, program: &mut [sock_filter]) -> io::Result<()> {
    let program = fprog(program)?;
    // SAFETY: the kernel copies the program, which outlives the call.
    check(unsafe {
        libc::ioctl(
            fd.as_fd().as_raw_fd(),
            libc::TUNATTACHFILTER,
            &raw const program,
        )
    })
}

fn fprog(program: &mut [sock_filter]) -> io::Result<sock_fprog> {
    Ok(sock_fprog {
        len: program
            .len()
            .try_into()
            .map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?,
        filter: program.as_mut_ptr(),
    })
}

/// Packets that the socket had no room for since the last call.
pub(super) fn packet_drops<F: AsFd>(fd: F) -> io::Result<u32> {
    #[repr(C)]
    #[derive(Default)]
    struct Statistics {
        packets: u32,
        drops: u32,
    }
    let mut statistics = Statistics::default();
    let mut length = length_of::<Statistics>();
    // SAFETY: the kernel writes at most `length` bytes of `struct
    // tpacket_stats`, which is laid out so.
    check(unsafe {
        libc::getsockopt(
            fd.as_fd().as_raw_fd(),
            libc::SOL_PACKET,
            libc::PACKET_STATISTICS,
            (&raw mut statistics).cast(),
            &raw mut length,
        )
    })?;
    Ok(statistics.drops)
}

/// One eBPF instruction (`struct bpf_insn`).
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(super) struct Instruction {
    pub(super) code: u8,
    /// Destination in the low half, source in the high half.
    pub(super) registers: u8,
    pub(super) offset: i16,
    pub(super) immediate: i32,
}

/// Loads a traffic-control program (`BPF_PROG_TYPE_SCHED_CLS`).
pub(super) fn load_classifier(code: &[Instruction]) -> io::Result<OwnedFd> {
    const BPF_PROG_LOAD: c_int = 5;
    const BPF_PROG_TYPE_SCHED_CLS: u32 = 3;
    /// The head of `union bpf_attr`; the kernel takes the rest as zero.
    #[repr(C)]
    struct Attributes {
        program_type: u32,
        instruction_count: u32,
        instructions: u64,
        license: u64,
        log_level: u32,
        log_size: u32,
        log_buffer: u64,
        kernel_version: u32,
        program_flags: u32,
    }
    let license = c"Dual MIT/GPL";
    let attributes = Attributes {
        program_type: BPF_PROG_TYPE_SCHED_CLS,
        instruction_count: code.len().try_into().map_err(io::Error::other)?,
        instructions: code.as_ptr().expose_provenance() as u64,
        license: license.as_ptr().expose_provenance() as u64,
        log_level: 0,
        log_size: 0,
        log_buffer: 0,
        kernel_version: 0,
        program_flags: 0,
    };
    // SAFETY: the kernel reads `attributes` and, through its addresses, the
    // instructions and the license, all of which outlive the call.
    unsafe { bpf(BPF_PROG_LOAD, &attributes) }
}

/// Attaches a program to what an interface receives; it is detached when the
/// descriptor closes.
pub(super) fn attach_to_ingress(program: &OwnedFd, interface: u32) -> io::Result<OwnedFd> {
    const BPF_LINK_CREATE: c_int = 28;
    const BPF_TCX_INGRESS: u32 = 46;
    #[repr(C)]
    struct Attributes {
        program: u32,
        target_interface: u32,
        attach_type: u32,
        flags: u32,
        relative: u32,
        _padding: u32,
        expected_revision: u64,
    }
    let attributes = Attributes {
        program: program.as_raw_fd().try_into().map_err(io::Error::other)?,
        target_interface: interface,
        attach_type: BPF_TCX_INGRESS,
        flags: 0,
        relative: 0,
        _padding: 0,
        expected_revision: 0,
    };
    // SAFETY: the kernel only reads `attributes`, which holds no address.
    unsafe { bpf(BPF_LINK_CREATE, &attributes) }
}

/// # Safety
/// `attributes` must be what `command` wants, with every address in it valid.
unsafe fn bpf<T>(command: c_int, attributes: &T) -> io::Result<OwnedFd> {
    // SAFETY: the pointer and the length are those of one object; the rest is
    // the caller's promise.
    let fd = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            command,
            std::ptr::from_ref(attributes),
            size_of::<T>(),
        )
    };
    let fd = c_int::try_from(fd).map_err(io::Error::other)?;
    check(fd)?;
    // SAFETY: both commands return a new descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

pub(super) fn length_of<T>() -> libc::socklen_t {
    // Only ever asked about small structures.
    libc::socklen_t::try_from(size_of::<T>()).unwrap_or(libc::socklen_t::MAX)
}

fn check(result: c_int) -> io::Result<()> {
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
