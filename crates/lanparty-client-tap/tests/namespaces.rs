//! The real TAP in network namespaces of this test's own threads, which
//! vanish with the threads.
#![cfg(target_os = "linux")]
#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "helpers of tests, outside of test functions"
)]

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::Duration;

use lanparty_client_tap::{Adapter as _, FromTap, Tap, TapError, TapOptions};
use lanparty_proto::MacAddr;
use rustix::event::{PollFd, PollFlags, poll};

fn options(last: u8) -> TapOptions {
    TapOptions {
        name: "lanpltap0".to_owned(),
        mac: MacAddr([0x02, 0, 0x5e, 0x10, 0, last]),
        mtu: 1_344,
        offload: true,
    }
}

#[test]
fn the_interface_has_its_mac_and_mtu_and_no_carrier_until_asked() {
    in_namespace("carrier", || {
        let mut tap = Tap::open(&options(1)).unwrap();
        let link = sh("ip -d link show lanpltap0");
        assert!(link.contains("02:00:5e:10:00:01"), "{link}");
        assert!(link.contains("mtu 1344"), "{link}");
        assert!(link.contains("NO-CARRIER"), "{link}");
        assert!(link.contains("persist off"), "{link}");
        assert!(link.contains("qlen 4096"), "{link}");
        assert!(link.starts_with(&format!("{}:", tap.index())), "{link}");

        tap.set_carrier(true).unwrap();
        tap.set_mtu(1_400).unwrap();
        let link = sh("ip link show lanpltap0");
        assert!(
            link.contains("LOWER_UP") && link.contains("mtu 1400"),
            "{link}"
        );
        tap.set_carrier(false).unwrap();
        assert!(sh("ip link show lanpltap0").contains("NO-CARRIER"));
    });
}

#[test]
fn the_interface_is_gone_with_its_owner() {
    in_namespace("owner", || {
        drop(Tap::open(&options(1)).unwrap());
        assert!(!sh("ip link").contains("lanpltap0"));
    });
}

#[test]
fn a_second_instance_is_refused_and_so_is_a_persistent_tap() {
    in_namespace("second", || {
        let first = Tap::open(&options(1)).unwrap();
        assert!(matches!(
            Tap::open(&options(2)),
            Err(TapError::NameInUse { .. })
        ));
        drop(first);
        sh("ip tuntap add lanpltap0 mode tap vnet_hdr");
        assert!(matches!(
            Tap::open(&options(2)),
            Err(TapError::NameInUse { .. })
        ));
    });
}

#[test]
fn frames_longer_than_the_mtu_reach_the_machine() {
    in_namespace("long", || {
        let mut tap = host(1);
        let socket = UdpSocket::bind("10.77.0.1:7777").unwrap();
        tap.send(&udp_frame(1_472));
        assert_eq!(tap.flush(), 0);
        let mut received = [0; 2_000];
        socket
            .set_read_timeout(Some(Duration::from_secs(5)))
            .unwrap();
        let (len, _) = socket.recv_from(&mut received).unwrap();
        assert_eq!(len, 1_472);
    });
}

#[test]
fn a_tcp_copy_over_ipv4_between_two_adapters_is_bit_identical() {
    copy("IPv4 copy", "10.77.0.1:0");
}

#[test]
fn a_tcp_copy_over_ipv6_between_two_adapters_is_bit_identical() {
    copy("IPv6 copy", "[fd77::1]:0");
}

fn copy(test: &str, server: &str) {
    const LEN: usize = 64 << 20;
    if !root(test) {
        return;
    }
    let stop = AtomicBool::new(false);
    let (taps_in, taps_out) = sync_channel(2);
    let (port_in, port_out) = sync_channel(1);
    thread::scope(|scope| {
        let taps = taps_in.clone();
        let server = scope.spawn(move || {
            taps.send(host(1)).unwrap();
            let listener = TcpListener::bind(server).unwrap();
            port_in.send(listener.local_addr().unwrap()).unwrap();
            let (mut stream, _) = listener.accept().unwrap();
            let mut received = Vec::with_capacity(LEN);
            stream.read_to_end(&mut received).unwrap();
            stream.write_all(b"thanks").unwrap();
            received
        });
        let client = scope.spawn(move || {
            taps_in.send(host(2)).unwrap();
            let sent = noise(LEN);
            let mut stream = TcpStream::connect(port_out.recv().unwrap()).unwrap();
            stream.write_all(&sent).unwrap();
            stream.shutdown(std::net::Shutdown::Write).unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            assert_eq!(answer, "thanks");
            sent
        });
        let stop = &stop;
        let pump = scope.spawn(move || {
            let pair = [taps_out.recv().unwrap(), taps_out.recv().unwrap()];
            pump(pair, stop)
        });
        let received = server.join().unwrap();
        let sent = client.join().unwrap();
        stop.store(true, Ordering::Relaxed);
        let [a, b] = pump.join().unwrap();
        assert!(received == sent, "the copy differs");
        let (reads, frames) = (
            a.counters().reads + b.counters().reads,
            a.counters().frames_in + b.counters().frames_in,
        );
        let (writes, out) = (
            a.counters().writes + b.counters().writes,
            a.counters().frames_out + b.counters().frames_out,
        );
        assert!(
            frames > 2 * reads,
            "{frames} frames in {reads} reads: no superframes"
        );
        assert!(
            out > 2 * writes,
            "{out} frames in {writes} writes: nothing was joined"
        );
    });
}

/// Moves frames between two adapters until told to stop.
fn pump(mut pair: [Tap; 2], stop: &AtomicBool) -> [Tap; 2] {
    let timeout = rustix::event::Timespec {
        tv_sec: 0,
        tv_nsec: 50_000_000,
    };
    while !stop.load(Ordering::Relaxed) {
        let [a, b] = &mut pair;
        let mut fds = [PollFd::new(a, PollFlags::IN), PollFd::new(b, PollFlags::IN)];
        let _timed_out = poll(&mut fds, Some(&timeout)).unwrap();
        forward(a, b);
        forward(b, a);
    }
    pair
}

fn forward(from: &mut Tap, to: &mut Tap) {
    from.receive(32, &mut |received| match received {
        FromTap::Frame(frame) => {
            assert!(
                frame.len() <= 1_344 + 14,
                "a frame of {} bytes",
                frame.len()
            );
            to.send(frame);
        }
        FromTap::Dropped(reason) => panic!("dropped: {reason}"),
    })
    .unwrap();
    assert_eq!(to.flush(), 0, "the kernel refused frames");
}

/// Makes this thread a machine of its own with one adapter.
fn host(last: u8) -> Tap {
    enter_namespace();
    let mut tap = Tap::open(&options(last)).unwrap();
    sh(&format!(
        "ip address add 10.77.0.{last}/24 dev lanpltap0; ip address add fd77::{last}/64 nodad dev lanpltap0"
    ));
    tap.set_carrier(true).unwrap();
    tap
}

/// A frame from 10.77.0.2 to port 7777 of the first adapter, with no UDP
/// checksum.
fn udp_frame(payload: u16) -> Vec<u8> {
    let mut header = vec![0x45, 0];
    header.extend((payload + 28).to_be_bytes());
    header.extend([0, 0, 0, 0, 64, 17, 0, 0, 10, 77, 0, 2, 10, 77, 0, 1]);
    let sum: u32 = header
        .chunks(2)
        .map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1]))
        .sum();
    let folded = (sum & 0xFFFF) + (sum >> 16);
    header[10..12].copy_from_slice(&(!(folded as u16)).to_be_bytes());

    let mut frame = vec![
        0x02, 0, 0x5e, 0x10, 0, 1, 0x02, 0, 0x5e, 0x10, 0, 2, 0x08, 0x00,
    ];
    frame.extend(header);
    frame.extend(5_555_u16.to_be_bytes());
    frame.extend(7_777_u16.to_be_bytes());
    frame.extend((payload + 8).to_be_bytes());
    frame.extend([0, 0]);
    frame.resize(frame.len() + usize::from(payload), 0xAA);
    frame
}

/// Bytes without a period that a lost or repeated segment could hide behind.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let words = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    words.take(len / 8).flatten().collect()
}

fn in_namespace(test: &str, body: impl FnOnce() + Send) {
    if !root(test) {
        return;
    }
    thread::scope(|scope| {
        let thread = scope.spawn(|| {
            enter_namespace();
            body();
        });
        thread.join().unwrap();
    });
}

fn root(test: &str) -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        eprintln!("SKIPPED {test}: network namespaces need root");
    }
    root
}

fn enter_namespace() {
    lanparty_lab::namespace::enter_empty().unwrap();
    sh("ip link set lo up");
}

fn sh(line: &str) -> String {
    let output = Command::new("sh").args(["-ec", line]).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{line}: {error}");
    String::from_utf8(output.stdout).unwrap()
}
