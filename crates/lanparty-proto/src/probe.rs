//! Round-trip probes between members, and between a member and the relay.
//!
//! A probe follows the base header of [`Kind::Probe`](crate::overlay::Kind):
//!
//! ```text
//!  0               1               2               3
//!  +---------------+-----------------------------------------------+
//!  |      op       |                   sequence                    |
//!  +---------------+---------------+-------------------------------+
//!  |            target             |                               |
//!  +-------------------------------+                               +
//!  |                             nonce                             |
//!  +                               +-------------------------------+
//!  |                               |           send us ...         |
//!  +-------------------------------+-------------------------------+
//!  |          ... send us          |           hold us ...         |
//!  +-------------------------------+-------------------------------+
//!  |          ... hold us          |
//!  +-------------------------------+
//! ```
//!
//! A reply has the request's length, so a forged source gains no amplification.
//! It says in the base header who replies. The relay, which has no peer id,
//! puts the requester's own there; no member may address itself, so nobody
//! else can answer like that.

use crate::peer::{self, PeerId};

/// Bytes after the base header.
pub const LEN: usize = 22;
/// Sequence numbers count modulo 2^24.
pub const SEQUENCE_MASK: u32 = 0x00FF_FFFF;

/// Which way a probe goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum ProbeOp {
    Request = 1,
    Reply = 2,
}

/// A decoded probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probe {
    pub op: ProbeOp,
    /// 24 bits; the upper 8 are not sent.
    pub seq: u32,
    /// The peer id that shall receive this probe, or [`peer::RELAY`].
    pub target: u16,
    /// Chosen by the requester; a reply with another nonce is a forgery.
    pub nonce: u64,
    /// The requester's clock when it sent, in microseconds modulo 2^32.
    pub send_us: u32,
    /// How long the replier held the request, in microseconds.
    pub hold_us: u32,
}

/// Why bytes are not a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProbeError {
    #[error("a probe has exactly 22 bytes after the overlay header")]
    Length,
    #[error("unknown probe operation")]
    Op,
    #[error("a probe cannot be addressed to every member")]
    Target,
}

impl Probe {
    /// Reads what follows the base header.
    ///
    /// # Errors
    /// [`ProbeError`] names the first rule broken.
    pub fn decode(body: &[u8]) -> Result<Self, ProbeError> {
        let body = <&[u8; LEN]>::try_from(body).map_err(|_| ProbeError::Length)?;
        let [
            op,
            q0,
            q1,
            q2,
            t0,
            t1,
            n0,
            n1,
            n2,
            n3,
            n4,
            n5,
            n6,
            n7,
            s0,
            s1,
            s2,
            s3,
            h0,
            h1,
            h2,
            h3,
        ] = *body;
        let target = u16::from_be_bytes([t0, t1]);
        if target == peer::EVERYONE {
            return Err(ProbeError::Target);
        }
        Ok(Self {
            op: ProbeOp::from_bits(op).ok_or(ProbeError::Op)?,
            seq: u32::from_be_bytes([0, q0, q1, q2]),
            target,
            nonce: u64::from_be_bytes([n0, n1, n2, n3, n4, n5, n6, n7]),
            send_us: u32::from_be_bytes([s0, s1, s2, s3]),
            hold_us: u32::from_be_bytes([h0, h1, h2, h3]),
        })
    }

    /// The probe as it goes on the wire, without the base header.
    #[must_use]
    pub fn encode(&self) -> [u8; LEN] {
        let [_, q0, q1, q2] = self.seq.to_be_bytes();
        let [t0, t1] = self.target.to_be_bytes();
        let [n0, n1, n2, n3, n4, n5, n6, n7] = self.nonce.to_be_bytes();
        let [s0, s1, s2, s3] = self.send_us.to_be_bytes();
        let [h0, h1, h2, h3] = self.hold_us.to_be_bytes();
        [
            self.op.bits(),
            q0,
            q1,
            q2,
            t0,
            t1,
            n0,
            n1,
            n2,
            n3,
            n4,
            n5,
            n6,
            n7,
            s0,
            s1,
            s2,
            s3,
            h0,
            h1,
            h2,
            h3,
        ]
    }

    /// The answer to this request, addressed to the member that sent it.
    #[must_use]
    pub fn reply_to(&self, requester: PeerId, hold_us: u32) -> Self {
        Self {
            op: ProbeOp::Reply,
            target: requester.get(),
            hold_us,
            ..*self
        }
    }
}

impl ProbeOp {
    const fn from_bits(bits: u8) -> Option<Self> {
        match bits {
            1 => Some(Self::Request),
            2 => Some(Self::Reply),
            _ => None,
        }
    }

    #[expect(clippy::as_conversions, reason = "reads the declared discriminant")]
    const fn bits(self) -> u8 {
        self as u8
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn probe() -> impl Strategy<Value = Probe> {
        let op = prop_oneof![Just(ProbeOp::Request), Just(ProbeOp::Reply)];
        (
            op,
            0..=SEQUENCE_MASK,
            0..peer::EVERYONE,
            any::<u64>(),
            any::<u32>(),
            any::<u32>(),
        )
            .prop_map(|(op, seq, target, nonce, send_us, hold_us)| Probe {
                op,
                seq,
                target,
                nonce,
                send_us,
                hold_us,
            })
    }

    #[test]
    fn the_layout_is_pinned() {
        let probe = Probe {
            op: ProbeOp::Reply,
            seq: 0x0102_0304,
            target: 0x0506,
            nonce: 0x0708_090A_0B0C_0D0E,
            send_us: 0x0F10_1112,
            hold_us: 0x1314_1516,
        };
        let expected: Vec<u8> = [2].into_iter().chain(2..=0x16).collect();
        assert_eq!(probe.encode().as_slice(), expected);
    }

    #[test]
    fn a_reply_goes_back_to_the_requester_and_keeps_its_clock() {
        let request = Probe {
            op: ProbeOp::Request,
            seq: 9,
            target: 4,
            nonce: 77,
            send_us: 1_000,
            hold_us: 0,
        };
        let reply = request.reply_to(PeerId::try_from(3).unwrap(), 250);
        assert_eq!((reply.op, reply.target), (ProbeOp::Reply, 3));
        assert_eq!((reply.seq, reply.nonce, reply.send_us), (9, 77, 1_000));
        assert_eq!(reply.hold_us, 250);
    }

    #[test]
    fn a_probe_of_another_length_operation_or_target_is_refused() {
        let valid = [1; LEN];
        assert!(Probe::decode(&valid).is_ok());
        assert_eq!(Probe::decode(&valid[1..]), Err(ProbeError::Length));
        assert_eq!(Probe::decode(&[1; LEN + 1]), Err(ProbeError::Length));
        let mut op = valid;
        op[0] = 3;
        assert_eq!(Probe::decode(&op), Err(ProbeError::Op));
        let mut target = valid;
        target[4..6].fill(0xFF);
        assert_eq!(Probe::decode(&target), Err(ProbeError::Target));
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(probe in probe()) {
            prop_assert_eq!(Probe::decode(&probe.encode()), Ok(probe));
        }

        #[test]
        fn what_is_decoded_encodes_to_the_same_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            if let Ok(probe) = Probe::decode(&bytes) {
                prop_assert_eq!(probe.encode().to_vec(), bytes);
            }
        }
    }
}
