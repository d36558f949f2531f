//! Strangers by the thousand: first packets of QUIC handshakes, and other
//! datagrams, from addresses that are not the sender's.
//!
//! Bounded in rate and time, and meant for the lab's own networks only.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use aws_lc_rs::rand;
use lanparty_proto::MacAddr;
use lanparty_proto::tls::ALPN;
use quinn_proto::crypto::rustls::QuicClientConfig;
use quinn_proto::{ClientConfig, Endpoint, EndpointConfig};

use crate::forged::checksum;
use crate::node::Node;
use crate::packet::RawSocket;
use crate::wait;

/// More than any of our tests needs.
const MAX_PER_SECOND: u32 = 10_000;
const MAX_TIME: Duration = Duration::from_secs(60);
/// Between two bursts of datagrams.
const TICK: Duration = Duration::from_millis(2);

const UDP: u8 = 17;
const IPV4_HEADER_LEN: u16 = 20;
const UDP_HEADER_LEN: u16 = 8;

/// A neighbour that writes whatever it likes into its packets.
#[derive(Debug)]
pub struct Spoofer {
    socket: RawSocket,
    source_mac: MacAddr,
    target_mac: MacAddr,
    target: Ipv4Addr,
    port: u16,
}

/// What a flood sent.
#[derive(Clone, Copy, Debug, Default)]
pub struct Flooded {
    pub datagrams: u32,
    /// UDP payload bytes.
    pub bytes: u64,
}

impl Spoofer {
    /// Aims from `node` at a UDP port on the same network.
    ///
    /// # Errors
    /// When `interface` does not exist.
    pub fn aim(
        node: &Node,
        interface: &str,
        target_mac: MacAddr,
        target: Ipv4Addr,
        port: u16,
    ) -> Result<Self> {
        Ok(Self {
            socket: RawSocket::open(node, interface)?,
            source_mac: node.mac(interface)?,
            target_mac,
            target,
            port,
        })
    }

    /// Sends one datagram as if from `source`.
    ///
    /// # Errors
    /// When the interface is down.
    pub fn send(&self, source: Ipv4Addr, source_port: u16, payload: &[u8]) -> Result<()> {
        let udp_length = UDP_HEADER_LEN + u16::try_from(payload.len())?;
        let mut frame = [self.target_mac.octets(), self.source_mac.octets()].concat();
        frame.extend([0x08, 0x00]);
        let mut header = vec![0x45, 0];
        header.extend((IPV4_HEADER_LEN + udp_length).to_be_bytes());
        header.extend([0, 0, 0x40, 0, 64, UDP, 0, 0]);
        header.extend(source.octets());
        header.extend(self.target.octets());
        let sum = checksum(&header);
        header.splice(10..12, sum);
        frame.extend(header);
        frame.extend(source_port.to_be_bytes());
        frame.extend(self.port.to_be_bytes());
        frame.extend(udp_length.to_be_bytes());
        // Over IPv4 the checksum of UDP may be left out (RFC 768).
        frame.extend([0, 0]);
        frame.extend(payload);
        self.socket.send(&frame)
    }

    /// Sends the payloads in turn at an even rate, each from the next of
    /// `sources`, until `time` has passed.
    ///
    /// # Errors
    /// When rate or time is beyond what the lab allows, or nothing is given.
    pub fn flood(
        &self,
        payloads: &[Vec<u8>],
        sources: &[Ipv4Addr],
        per_second: u32,
        time: Duration,
    ) -> Result<Flooded> {
        ensure!(
            per_second <= MAX_PER_SECOND && time <= MAX_TIME,
            "a flood in the lab is at most {MAX_PER_SECOND}/s for {MAX_TIME:?}"
        );
        ensure!(
            !payloads.is_empty() && !sources.is_empty(),
            "nothing to send"
        );
        let begin = wait::now();
        let mut sent = Flooded::default();
        let mut next = payloads.iter().cycle().zip(sources.iter().cycle());
        loop {
            let elapsed = wait::now().duration_since(begin).min(time);
            let due = elapsed.as_micros() * u128::from(per_second) / 1_000_000;
            while u128::from(sent.datagrams) < due {
                let (payload, source) = next.next().context("an endless iterator ended")?;
                let port = 1_024 + u16::try_from(sent.datagrams % 60_000)?;
                // A full queue of the interface loses what a full line would.
                if self.send(*source, port, payload).is_ok() {
                    sent.bytes += u64::try_from(payload.len())?;
                }
                sent.datagrams += 1;
            }
            if elapsed == time {
                return Ok(sent);
            }
            thread::sleep(TICK);
        }
    }
}

/// `count` addresses of 198.18.0.0/15, the network for benchmarks (RFC 2544).
#[must_use]
pub fn addresses(count: u32) -> Vec<Ipv4Addr> {
    (0..count)
        .map(|n| Ipv4Addr::from_bits(Ipv4Addr::new(198, 18, 0, 1).to_bits() + n % 0x1_FFFE))
        .collect()
}

/// First packets of as many different handshakes, each complete and correct.
///
/// # Errors
/// When the crypto library refuses.
pub fn initials(count: usize) -> Result<Vec<Vec<u8>>> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        // No handshake gets so far that a certificate is looked at.
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    tls.alpn_protocols = vec![ALPN.to_vec()];
    let config = ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls)?));
    let mut endpoint = Endpoint::new(Arc::new(EndpointConfig::default()), None, true, None);
    let relay = (Ipv4Addr::LOCALHOST, 443).into();
    (0..count)
        .map(|_| {
            let (_, mut conn) =
                endpoint.connect(wait::now(), config.clone(), relay, "localhost")?;
            let mut datagram = Vec::new();
            let sent = conn.poll_transmit(wait::now(), 1, &mut datagram);
            ensure!(sent.is_some(), "a new connection has nothing to send");
            Ok(datagram)
        })
        .collect()
}

/// Datagrams of one kind, and what they try.
pub type Kind = (&'static str, Vec<Vec<u8>>);

/// Datagrams that are no handshake.
///
/// # Errors
/// When the system has no randomness.
pub fn nonsense() -> Result<Vec<Kind>> {
    let noise = |length: usize, first: &[u8]| -> Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        rand::fill(&mut bytes).ok().context("no randomness")?;
        bytes.splice(..first.len(), first.iter().copied());
        Ok(bytes)
    };
    let some = |length: usize, first: &[u8]| -> Result<Vec<Vec<u8>>> {
        (0..50).map(|_| noise(length, first)).collect()
    };
    Ok(vec![
        // RFC 9000 section 17.2: long header, a version, lengths of the ids.
        (
            "another version",
            some(1_200, &[0xC0, 0xFA, 0xCE, 0, 1, 8])?,
        ),
        (
            "a short other version",
            some(60, &[0xC0, 0xFA, 0xCE, 0, 1, 8])?,
        ),
        ("a broken Initial", some(1_200, &[0xC3, 0, 0, 0, 1, 8])?),
        ("a short Initial", some(100, &[0xC3, 0, 0, 0, 1, 8])?),
        // Section 10.3: an unknown connection may be answered by a reset.
        ("a short header", some(1_200, &[0x43])?),
        ("a small short header", some(40, &[0x43])?),
        ("noise", some(500, &[])?),
        ("one byte", some(1, &[])?),
    ])
}
