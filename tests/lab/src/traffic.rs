//! What people do on a LAN: ping, shout, listen, copy files.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use aws_lc_rs::digest;
use socket2::{Domain, Protocol, Socket, Type};

use crate::node::Node;
use crate::wait;

/// Round-trip times as `ping` reports them.
#[derive(Clone, Copy, Debug)]
pub struct Rtt {
    pub minimum: Duration,
    pub average: Duration,
}

impl std::fmt::Display for Rtt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.2} ms", self.average.as_secs_f64() * 1e3)
    }
}

/// Pings `target` from a host, `count` times at 50 ms.
///
/// # Errors
/// When any answer is missing.
pub fn ping(node: &Node, target: IpAddr, count: u32) -> Result<Rtt> {
    let report = node.sh(&format!("ping -n -q -i 0.05 -W 2 -c {count} {target}"))?;
    ensure!(
        report.contains(&format!("{count} received")),
        "answers are missing: {}",
        report
            .lines()
            .find(|line| line.contains("received"))
            .unwrap_or_default()
    );
    parse_rtt(&report).context("ping printed no times")
}

fn parse_rtt(report: &str) -> Option<Rtt> {
    let times = report
        .lines()
        .find(|line| line.starts_with("rtt"))?
        .split(" = ")
        .nth(1)?;
    let mut times = times.split('/').map_while(|time| time.parse::<f64>().ok());
    let mut next = || times.next().map(|ms| Duration::from_secs_f64(ms / 1e3));
    Some(Rtt {
        minimum: next()?,
        average: next()?,
    })
}

/// Where a host listens for a shout.
#[derive(Clone, Copy, Debug)]
pub struct Ear<'a> {
    pub node: &'a Node,
    pub interface: &'a str,
}

impl<'a> Ear<'a> {
    #[must_use]
    pub const fn new(node: &'a Node, interface: &'a str) -> Self {
        Self { node, interface }
    }

    fn index(self) -> Result<u32> {
        let text = self
            .node
            .sh(&format!("cat /sys/class/net/{}/ifindex", self.interface))?;
        text.trim().parse().context("odd interface index")
    }

    fn listen(self, group: IpAddr, port: u16) -> Result<UdpSocket> {
        let index = self.index()?;
        self.node.inside(|| {
            let socket = match group {
                IpAddr::V4(group) => {
                    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port))?;
                    if group.is_multicast() {
                        socket2::SockRef::from(&socket).join_multicast_v4_n(
                            &group,
                            &socket2::InterfaceIndexOrAddress::Index(index),
                        )?;
                    }
                    socket
                }
                IpAddr::V6(group) => {
                    let socket = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, port))?;
                    if group.is_multicast() {
                        socket.join_multicast_v6(&group, index)?;
                    }
                    socket
                }
            };
            Ok(socket)
        })
    }
}

/// How the shouter chooses the interface for a broadcast or multicast.
#[derive(Clone, Copy, Debug)]
pub enum Leave<'a> {
    /// As the routing table says, like a game that knows nothing of VPNs.
    ByRoute,
    By(&'a str),
}

/// Shouts `payload` bytes from `shouter` to a broadcast address or group, lets
/// every listener that hears it answer by unicast, and returns for each
/// listener the time until its answer was back.
///
/// # Errors
/// When the shout cannot be sent.
pub fn shout(
    shouter: &Node,
    leave: Leave<'_>,
    target: SocketAddr,
    payload: usize,
    listeners: &[Ear<'_>],
) -> Result<Vec<Option<Duration>>> {
    let ears = listeners
        .iter()
        .map(|ear| ear.listen(target.ip(), target.port()))
        .collect::<Result<Vec<_>>>()?;
    let mouth = mouth(shouter, leave, target.ip())?;
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        for (number, ear) in ears.iter().enumerate() {
            let over = &over;
            scope.spawn(move || answer(ear, payload, number, over));
        }
        let answers = shout_until_answered(shouter, &mouth, target, payload, ears.len());
        over.store(true, Ordering::Relaxed);
        answers
    })
}

const SHOUT: u8 = 0x5A;
/// How long a shout is given to be answered before it is repeated.
const PATIENCE: Duration = Duration::from_millis(100);
/// A lost first shout says nothing about the path: ARP for the answer or a
/// switch that is still learning may eat it. Games repeat theirs too.
const SHOUTS: usize = 20;

fn shout_until_answered(
    shouter: &Node,
    mouth: &UdpSocket,
    target: SocketAddr,
    payload: usize,
    listeners: usize,
) -> Result<Vec<Option<Duration>>> {
    mouth.set_read_timeout(Some(PATIENCE))?;
    let mut answers = vec![None; listeners];
    for _attempt in 0..SHOUTS {
        let sent = wait::now();
        mouth
            .send_to(&vec![SHOUT; payload.max(1)], target)
            .with_context(|| format!("on {}: cannot send to {target}", shouter.name()))?;
        let mut buffer = [0; 16];
        while answers.iter().any(Option::is_none)
            && let Ok((length, _)) = mouth.recv_from(&mut buffer)
        {
            let answer = buffer
                .get(..length)
                .and_then(|bytes| bytes.first())
                .copied();
            if let Some(slot) = answer.and_then(|number| answers.get_mut(usize::from(number))) {
                *slot = slot.or(Some(sent.elapsed()));
            }
        }
        if answers.iter().all(Option::is_some) {
            break;
        }
    }
    Ok(answers)
}

fn answer(ear: &UdpSocket, payload: usize, number: usize, over: &AtomicBool) {
    let mut buffer = vec![0; 65_536];
    let number = u8::try_from(number).unwrap_or(u8::MAX);
    if ear.set_read_timeout(Some(PATIENCE / 4)).is_err() {
        return;
    }
    while !over.load(Ordering::Relaxed) {
        let Ok((length, from)) = ear.recv_from(&mut buffer) else {
            continue;
        };
        let heard = buffer.get(..length).unwrap_or_default();
        if length == payload.max(1) && heard.iter().all(|byte| *byte == SHOUT) {
            let _unreachable = ear.send_to(&[number], from);
        }
    }
}

fn mouth(shouter: &Node, leave: Leave<'_>, target: IpAddr) -> Result<UdpSocket> {
    if let (IpAddr::V6(_), Leave::By(interface)) = (target, leave) {
        wait::until(
            "duplicate address detection",
            Duration::from_secs(5),
            || shouter.ipv6_link_local(interface).ok().flatten(),
        )?;
    }
    shouter.inside(|| {
        let (domain, any): (_, SocketAddr) = match target {
            IpAddr::V4(_) => (Domain::IPV4, (Ipv4Addr::UNSPECIFIED, 0).into()),
            IpAddr::V6(_) => (Domain::IPV6, (Ipv6Addr::UNSPECIFIED, 0).into()),
        };
        let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
        socket.set_broadcast(target.is_ipv4())?;
        if let Leave::By(interface) = leave {
            socket.bind_device(Some(interface.as_bytes()))?;
        }
        socket.bind(&any.into())?;
        Ok(socket.into())
    })
}

/// Sends `count` UDP datagrams of `size` bytes and returns how many arrived
/// unchanged.
///
/// # Errors
/// When the sockets cannot be opened.
pub fn udp(from: &Node, to: &Node, target: SocketAddr, size: usize, count: usize) -> Result<usize> {
    let ear = to.inside(|| {
        Ok(UdpSocket::bind(SocketAddr::new(
            any_of(target.ip()),
            target.port(),
        ))?)
    })?;
    let mouth = from.inside(|| Ok(UdpSocket::bind(SocketAddr::new(any_of(target.ip()), 0))?))?;
    ear.set_read_timeout(Some(Duration::from_secs(1)))?;
    let pattern = |number: usize| -> Vec<u8> {
        (0..size)
            .map(|at| u8::try_from((at * 31 + number * 7) % 256).unwrap_or_default())
            .collect()
    };
    let mut arrived = 0;
    let mut buffer = vec![0; 65_536];
    for number in 0..count {
        let sent = pattern(number);
        mouth
            .send_to(&sent, target)
            .with_context(|| format!("cannot send {size} bytes to {target}"))?;
        if let Ok((length, _)) = ear.recv_from(&mut buffer)
            && buffer.get(..length) == Some(&sent[..])
        {
            arrived += 1;
        }
    }
    Ok(arrived)
}

const fn any_of(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    }
}

/// A finished copy.
#[derive(Clone, Copy, Debug)]
pub struct Copied {
    pub bytes: u64,
    pub time: Duration,
}

impl Copied {
    #[must_use]
    pub fn megabits_per_second(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
        let bits = self.bytes as f64 * 8.0;
        bits / self.time.as_secs_f64() / 1e6
    }
}

impl std::fmt::Display for Copied {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} MB, hash right, {:.0} Mbit/s",
            self.bytes / 1_000_000,
            self.megabits_per_second()
        )
    }
}

/// Copies `bytes` of unrepetitive data over one TCP connection and compares
/// the hashes of both ends.
///
/// # Errors
/// When the connection fails or the data differ.
pub fn copy(from: &Node, to: &Node, target: SocketAddr, bytes: u64) -> Result<Copied> {
    let listener = to.inside(|| {
        Ok(TcpListener::bind(SocketAddr::new(
            any_of(target.ip()),
            target.port(),
        ))?)
    })?;
    let mut stream = from.inside(|| {
        TcpStream::connect_timeout(&target, Duration::from_secs(5))
            .with_context(|| format!("cannot connect to {target}"))
    })?;
    stream.set_write_timeout(Some(Duration::from_secs(20)))?;
    let start = wait::now();
    thread::scope(|scope| {
        let receiver = scope.spawn(move || receive_all(&listener));
        let sent = send_all(&mut stream, bytes)?;
        drop(stream);
        let (received, length) = receiver
            .join()
            .map_err(|_| anyhow::anyhow!("the receiver panicked"))??;
        ensure!(length == bytes, "{length} of {bytes} bytes arrived");
        ensure!(received == sent, "the copy differs from the original");
        Ok(Copied {
            bytes,
            time: start.elapsed(),
        })
    })
}

fn send_all(stream: &mut TcpStream, bytes: u64) -> Result<Vec<u8>> {
    let mut hash = digest::Context::new(&digest::SHA256);
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut block = vec![0; 65_536];
    let mut left = bytes;
    while left > 0 {
        for word in block.chunks_exact_mut(8) {
            // xorshift64: cheap, and no two blocks are alike.
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            word.copy_from_slice(&state.to_le_bytes());
        }
        let length = block.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let piece = block.get(..length).unwrap_or_default();
        stream.write_all(piece).context("the copy broke off")?;
        hash.update(piece);
        left -= u64::try_from(length).unwrap_or_default();
    }
    Ok(hash.finish().as_ref().to_vec())
}

fn receive_all(listener: &TcpListener) -> Result<(Vec<u8>, u64)> {
    let (mut stream, _) = listener.accept()?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    let mut hash = digest::Context::new(&digest::SHA256);
    let mut buffer = vec![0; 262_144];
    let mut total = 0;
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return Ok((hash.finish().as_ref().to_vec(), total)),
            Ok(length) => {
                hash.update(buffer.get(..length).unwrap_or_default());
                total += u64::try_from(length).unwrap_or_default();
            }
            Err(error) => bail!("the copy stalled after {total} bytes: {error}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_times_that_ping_prints() {
        let report = "3 packets transmitted, 3 received, 0% packet loss, time 100ms\nrtt min/avg/max/mdev = 0.050/0.061/0.070/0.008 ms\n";
        let rtt = parse_rtt(report).unwrap();
        assert_eq!(rtt.minimum, Duration::from_micros(50));
        assert_eq!(rtt.average, Duration::from_micros(61));
    }
}
