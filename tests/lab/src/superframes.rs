//! Traffic that a kernel hands on in superframes, and what the receiving
//! kernel says about what it got.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsRawFd as _;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, ensure};

use crate::node::Node;

const PATIENCE: Duration = Duration::from_secs(20);
/// Datagrams that one call leaves to be cut: a burst that any queue takes.
const DATAGRAMS: usize = 40;

/// Sends `bytes` over one connection both ways at once, in writes of uneven
/// lengths so that pushed and short segments are among them.
///
/// # Errors
/// When the connection stalls or the data differ.
pub fn exchange(listener: &TcpListener, mut stream: TcpStream, bytes: usize) -> Result<()> {
    thread::scope(|scope| {
        let server = scope.spawn(move || {
            let (mut stream, _) = listener.accept()?;
            swap(&mut stream, bytes)
        });
        swap(&mut stream, bytes)?;
        server.join().map_err(|_| anyhow!("the server panicked"))?
    })
}

fn swap(stream: &mut TcpStream, bytes: usize) -> Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let sent = noise(bytes);
    let mut sender = stream.try_clone()?;
    let received = thread::scope(|scope| {
        let sending = scope.spawn(|| {
            let mut rest = &sent[..];
            let mut write = 1;
            while !rest.is_empty() {
                let (piece, behind) = rest.split_at(write.min(rest.len()));
                sender.write_all(piece)?;
                rest = behind;
                write = write * 7 % 150_001 + 1;
            }
            sender.shutdown(std::net::Shutdown::Write)
        });
        let mut received = Vec::with_capacity(bytes);
        stream
            .read_to_end(&mut received)
            .context("the copy stalled")?;
        sending
            .join()
            .map_err(|_| anyhow!("the sender panicked"))??;
        anyhow::Ok(received)
    })?;
    ensure!(received == sent, "the copy differs");
    Ok(())
}

/// Sends bursts of datagrams of `size` bytes, the last of each shorter, which
/// the kernel is asked to cut; returns how many were sent and all arrived.
///
/// # Errors
/// When one is missing or differs.
pub fn datagrams(
    mouth: &UdpSocket,
    ear: &UdpSocket,
    target: SocketAddr,
    size: u16,
    bursts: usize,
) -> Result<usize> {
    let size = usize::from(size);
    ear.set_read_timeout(Some(Duration::from_secs(3)))?;
    leave_to_be_cut(mouth, 0)?;
    // Neighbours are found before: a queue for them may be short.
    mouth.send_to(b"hello", target)?;
    let mut buffer = [0; 2_048];
    ear.recv(&mut buffer)
        .context("not even one datagram came")?;
    leave_to_be_cut(mouth, size)?;
    for burst in 0..bursts {
        // Odd lengths too, and one byte.
        let last = 1 + burst * 37 % size;
        let sent = noise(DATAGRAMS * size + last);
        mouth.send_to(&sent, target)?;
        for expected in sent.chunks(size) {
            let length = ear.recv(&mut buffer).context("a datagram is missing")?;
            ensure!(buffer.get(..length) == Some(expected), "a datagram differs");
        }
    }
    Ok(bursts * (DATAGRAMS + 1) + 1)
}

/// [`exchange`] between two hosts, with the server at `address` of `to`.
///
/// # Errors
/// When the connection fails or the data differ.
pub fn exchange_between(from: &Node, to: &Node, address: SocketAddr, bytes: usize) -> Result<()> {
    let listener = to.inside(|| Ok(TcpListener::bind(address)?))?;
    let stream = from.inside(|| Ok(TcpStream::connect_timeout(&address, PATIENCE)?))?;
    exchange(&listener, stream, bytes)
}

/// [`datagrams`] both ways between two hosts' addresses; returns how many
/// arrived at each.
///
/// # Errors
/// When one is missing or differs.
pub fn datagrams_between(
    one: (&Node, SocketAddr),
    other: (&Node, SocketAddr),
    size: u16,
    bursts: usize,
) -> Result<usize> {
    let bind = |(node, address): (&Node, SocketAddr)| node.inside(|| Ok(UdpSocket::bind(address)?));
    let sockets = (bind(one)?, bind(other)?);
    datagrams(&sockets.0, &sockets.1, other.1, size, bursts)?;
    datagrams(&sockets.1, &sockets.0, one.1, size, bursts)
}

/// Sets `UDP_SEGMENT`.
#[expect(unsafe_code, reason = "no safe crate of ours offers this option")]
fn leave_to_be_cut(socket: &UdpSocket, size: usize) -> Result<()> {
    let size = libc::c_int::try_from(size)?;
    let length = libc::socklen_t::try_from(size_of_val(&size))?;
    // SAFETY: `size` outlives the call and its length is given.
    let set = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_UDP,
            libc::UDP_SEGMENT,
            (&raw const size).cast(),
            length,
        )
    };
    ensure!(set == 0, "UDP_SEGMENT: {}", std::io::Error::last_os_error());
    Ok(())
}

/// Bytes without a period that a lost or repeated segment could hide behind.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let words = std::iter::repeat_with(|| {
        // xorshift64
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    words.flatten().take(length).collect()
}

/// The kernel's counters of packets that no stack should see, as `nstat`
/// names them.
const MALFORMED: [&str; 10] = [
    "IpInHdrErrors",
    "IpExtInCsumErrors",
    "IpExtInTruncatedPkts",
    "TcpInErrs",
    "TcpInCsumErrors",
    "UdpInCsumErrors",
    "Ip6InHdrErrors",
    "Ip6InTruncatedPkts",
    "Udp6InCsumErrors",
    "IcmpInCsumErrors",
];

/// What this thread's network namespace has dropped as malformed: nothing, or
/// the counters that are not zero.
///
/// # Errors
/// When the kernel's tables cannot be read.
pub fn malformed() -> Result<Vec<(String, u64)>> {
    let table = |name: &str| {
        let path = format!("/proc/thread-self/net/{name}");
        std::fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))
    };
    let mut counters = pairs(&table("snmp")?);
    counters.extend(pairs(&table("netstat")?));
    counters.extend(table("snmp6")?.lines().filter_map(|line| {
        let (name, value) = line.split_once(char::is_whitespace)?;
        Some((name.to_owned(), value.trim().parse().ok()?))
    }));
    let known = |wanted: &&str| counters.iter().any(|(name, _)| name == wanted);
    ensure!(MALFORMED.iter().all(known), "this kernel counts otherwise");
    counters.retain(|(name, value)| MALFORMED.contains(&name.as_str()) && *value > 0);
    Ok(counters)
}

/// Lines of names, each followed by one of values.
fn pairs(table: &str) -> Vec<(String, u64)> {
    let lines: Vec<&str> = table.lines().collect();
    let (pairs, _) = lines.as_chunks::<2>();
    let of_pair = |[names, values]: &[&str; 2]| {
        let protocol = names.split(':').next().unwrap_or_default().to_owned();
        let names = names.split_whitespace().skip(1).map(str::to_owned);
        let values = values.split_whitespace().skip(1).map(str::to_owned);
        let all: Vec<_> = names
            .zip(values)
            .filter_map(|(name, value)| Some((format!("{protocol}{name}"), value.parse().ok()?)))
            .collect();
        all
    };
    pairs.iter().flat_map(of_pair).collect()
}
