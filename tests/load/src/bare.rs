//! The packets of the bare forwarder: a counter, sealed bytes, a tag. Just
//! what QUIC's packet protection costs too, and nothing else of QUIC.

use std::io;
use std::net::{SocketAddr, UdpSocket};

use anyhow::{Context as _, Result, ensure};
use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use quinn_udp::{UdpSockRef, UdpSocketState};
use socket2::{Domain, Protocol, Socket, Type};

/// The counter in front, which is the nonce.
pub const COUNTER_LEN: usize = 8;
pub const TAG_LEN: usize = 16;
/// What QUIC and the overlay add to a frame, beside counter and tag: so much
/// longer are the packets, for the same bytes on the wire.
pub const HEADERS_LEN: usize = 12;
/// As the transport asks for.
const SOCKET_BUFFER: usize = 4 * 1_024 * 1_024;
/// Whoever sends this one byte wants what the other sends.
pub const SUBSCRIBE: u8 = b'S';

/// The cipher of one direction.
#[derive(Debug)]
pub struct Cipher {
    key: LessSafeKey,
    counter: u64,
}

/// On the way to the forwarder, and on the way from it.
#[derive(Clone, Copy, Debug)]
pub enum Direction {
    There,
    Back,
}

impl Cipher {
    /// # Errors
    /// Never in practice: the key has the right length.
    pub fn new(direction: Direction) -> Result<Self> {
        let byte = match direction {
            Direction::There => 1,
            Direction::Back => 2,
        };
        let key = UnboundKey::new(&AES_128_GCM, &[byte; 16]).ok();
        Ok(Self {
            key: LessSafeKey::new(key.context("the cipher refuses its key")?),
            counter: 0,
        })
    }

    /// Checks and opens a packet in its place.
    ///
    /// # Errors
    /// Where it is not what the other side sealed.
    pub fn open(&self, packet: &mut [u8]) -> Result<()> {
        let (counter, sealed) = packet.split_at_mut_checked(COUNTER_LEN).context("a runt")?;
        let nonce = nonce(counter);
        let opened = self.key.open_in_place(nonce, Aad::from(&*counter), sealed);
        ensure!(opened.is_ok(), "a forged packet");
        Ok(())
    }

    /// Seals an opened packet, or a new one, in its place.
    ///
    /// # Errors
    /// Where it has no room for counter and tag.
    pub fn seal(&mut self, packet: &mut [u8]) -> Result<()> {
        self.counter += 1;
        let (counter, rest) = packet.split_at_mut_checked(COUNTER_LEN).context("a runt")?;
        counter.copy_from_slice(&self.counter.to_be_bytes());
        let clear = rest.len().checked_sub(TAG_LEN).context("a runt")?;
        let (payload, tag) = rest.split_at_mut(clear);
        let sealed =
            self.key
                .seal_in_place_separate_tag(nonce(counter), Aad::from(&*counter), payload);
        tag.copy_from_slice(sealed.ok().context("the cipher failed")?.as_ref());
        Ok(())
    }
}

fn nonce(counter: &[u8]) -> Nonce {
    let mut nonce = [0; 12];
    nonce[4..].copy_from_slice(counter);
    Nonce::assume_unique_for_key(nonce)
}

/// A socket with the offloads and buffers of the transport's.
#[derive(Debug)]
pub struct Batched {
    socket: UdpSocket,
    state: UdpSocketState,
}

impl Batched {
    /// # Errors
    /// Where the address cannot be bound.
    pub fn bind(address: SocketAddr, blocks: bool) -> Result<Self> {
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
        socket.set_recv_buffer_size(SOCKET_BUFFER)?;
        socket.set_send_buffer_size(SOCKET_BUFFER)?;
        socket.bind(&address.into())?;
        let socket = UdpSocket::from(socket);
        let state = UdpSocketState::new(UdpSockRef::from(&socket))?;
        socket.set_nonblocking(!blocks)?;
        Ok(Self { socket, state })
    }

    /// Datagrams of `len` bytes that may leave at once.
    #[must_use]
    pub fn batch(&self, len: usize) -> usize {
        (65_507 / len.max(1)).clamp(1, self.state.max_gso_segments())
    }

    /// Receives into `slots`; 0 where nothing waits.
    ///
    /// # Errors
    /// Where the socket fails.
    pub fn receive(
        &self,
        slots: &mut [io::IoSliceMut<'_>],
        metas: &mut [quinn_udp::RecvMeta],
    ) -> io::Result<usize> {
        match self
            .state
            .recv(UdpSockRef::from(&self.socket), slots, metas)
        {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
            other => other,
        }
    }

    /// Sends datagrams of `segment` bytes in one call. What the socket does
    /// not take is lost, as on a line.
    ///
    /// # Errors
    /// Where the socket fails.
    pub fn send(&self, to: SocketAddr, contents: &[u8], segment: usize) -> io::Result<()> {
        let transmit = quinn_udp::Transmit {
            destination: to,
            ecn: None,
            contents,
            segment_size: (contents.len() > segment).then_some(segment),
            src_ip: None,
        };
        match self
            .state
            .try_send(UdpSockRef::from(&self.socket), &transmit)
        {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_sealed_opens() {
        let mut sealing = Cipher::new(Direction::There).unwrap();
        let mut packet = vec![7; COUNTER_LEN + 100 + TAG_LEN];
        sealing.seal(&mut packet).unwrap();
        assert_ne!(packet[COUNTER_LEN..][..100], [7; 100]);
        let opening = Cipher::new(Direction::There).unwrap();
        assert!(
            Cipher::new(Direction::Back)
                .unwrap()
                .open(&mut packet.clone())
                .is_err()
        );
        opening.open(&mut packet).unwrap();
        assert_eq!(packet[COUNTER_LEN..][..100], [7; 100]);
    }
}
