//! What members tell each other through the relay: the bodies of `sealed`
//! control messages.
//!
//! Fixed layouts, big-endian; a body with a byte too few or too many is none.
//! Decoding proves nothing: who uses a field checks its proof first.

use crate::epoch::Epoch;

/// The longest body; `lanparty-ctrl` allows no more.
pub const MAX_LEN: usize = 4_096;
/// Entries of a host's roster.
pub const MAX_REMOVED: usize = 256 + 64;

const ANNOUNCE: u8 = 1;
const KEY: u8 = 2;
const REQUEST: u8 = 3;
const ROSTER: u8 = 4;
const HEARTBEAT: u8 = 5;
const ROTATION: u8 = 6;

/// One body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    Announce(Announce),
    Key(Key),
    Request(Request),
    Roster(Roster),
    Heartbeat(Heartbeat),
    Rotation(Rotation),
}

/// The sender's present X25519 key, and the proof that it has the room key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Announce {
    /// Whether the receiver shall announce itself in return.
    pub ask: bool,
    /// Counts the X25519 keys of the sender's session; only rises.
    pub number: u32,
    pub x25519: [u8; 32],
    /// Of the key card with this X25519 key.
    pub signature: [u8; 64],
    pub mac: [u8; 32],
}

/// Something secret for one member: HPKE in mode PSK, signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// Which X25519 key of the receiver it is for.
    pub number: u32,
    pub enc: [u8; 32],
    pub ciphertext: [u8; 48],
    pub signature: [u8; 64],
}

/// The secret of the sender's epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    pub epoch: Epoch,
    pub sealed: Sealed,
}

/// The sender of this misses the receiver's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// Keys of earlier generations would be refused.
    pub generation: u64,
}

/// Whom the host has removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roster {
    /// Only rises during the host's session.
    pub version: u64,
    pub removed: Vec<[u8; 12]>,
    pub signature: [u8; 64],
}

/// What the sender believes about the room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heartbeat {
    /// Only rises during the sender's session.
    pub counter: u64,
    /// The newest generation of the sender's keys.
    pub generation: u64,
    pub roster_version: u64,
    pub roster: [u8; 32],
    pub members: [u8; 32],
    pub signature: [u8; 64],
}

/// The room's next key, from the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rotation {
    pub sealed: Sealed,
}

/// Why bytes are not a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a body of a sealed message")]
pub struct BodyError;

impl Body {
    /// # Errors
    /// Where the type is unknown or the length is not that of the type.
    pub fn decode(bytes: &[u8]) -> Result<Self, BodyError> {
        let mut reader = Reader(bytes);
        let body = match reader.u8()? {
            ANNOUNCE => Self::Announce(Announce {
                ask: match reader.u8()? {
                    0 => false,
                    1 => true,
                    _ => return Err(BodyError),
                },
                number: reader.u32()?,
                x25519: reader.take()?,
                signature: reader.take()?,
                mac: reader.take()?,
            }),
            KEY => Self::Key(Key {
                epoch: Epoch::new(reader.u64()?),
                sealed: reader.sealed()?,
            }),
            REQUEST => Self::Request(Request {
                generation: reader.u64()?,
            }),
            ROSTER => {
                let version = reader.u64()?;
                let count = usize::from(reader.u16()?);
                if count > MAX_REMOVED {
                    return Err(BodyError);
                }
                let removed = (0..count)
                    .map(|_| reader.take())
                    .collect::<Result<_, _>>()?;
                Self::Roster(Roster {
                    version,
                    removed,
                    signature: reader.take()?,
                })
            }
            HEARTBEAT => Self::Heartbeat(Heartbeat {
                counter: reader.u64()?,
                generation: reader.u64()?,
                roster_version: reader.u64()?,
                roster: reader.take()?,
                members: reader.take()?,
                signature: reader.take()?,
            }),
            ROTATION => Self::Rotation(Rotation {
                sealed: reader.sealed()?,
            }),
            _ => return Err(BodyError),
        };
        if reader.0.is_empty() {
            Ok(body)
        } else {
            Err(BodyError)
        }
    }

    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let mut put = |bytes: &[u8]| out.extend_from_slice(bytes);
        match self {
            Self::Announce(announce) => {
                put(&[ANNOUNCE, announce.ask.into()]);
                put(&announce.number.to_be_bytes());
                put(&announce.x25519);
                put(&announce.signature);
                put(&announce.mac);
            }
            Self::Key(key) => {
                put(&[KEY]);
                put(&key.epoch.get().to_be_bytes());
                key.sealed.encode(put);
            }
            Self::Request(request) => {
                put(&[REQUEST]);
                put(&request.generation.to_be_bytes());
            }
            Self::Roster(roster) => {
                let count = u16::try_from(roster.removed.len()).unwrap_or(u16::MAX);
                put(&[ROSTER]);
                put(&roster.version.to_be_bytes());
                put(&count.to_be_bytes());
                roster.removed.iter().for_each(|entry| put(entry));
                put(&roster.signature);
            }
            Self::Heartbeat(heartbeat) => {
                put(&[HEARTBEAT]);
                put(&heartbeat.counter.to_be_bytes());
                put(&heartbeat.generation.to_be_bytes());
                put(&heartbeat.roster_version.to_be_bytes());
                put(&heartbeat.roster);
                put(&heartbeat.members);
                put(&heartbeat.signature);
            }
            Self::Rotation(rotation) => {
                put(&[ROTATION]);
                rotation.sealed.encode(put);
            }
        }
        out
    }
}

impl Sealed {
    fn encode(&self, mut put: impl FnMut(&[u8])) {
        put(&self.number.to_be_bytes());
        put(&self.enc);
        put(&self.ciphertext);
        put(&self.signature);
    }
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], BodyError> {
        let (field, rest) = self.0.split_first_chunk().ok_or(BodyError)?;
        self.0 = rest;
        Ok(*field)
    }

    fn u8(&mut self) -> Result<u8, BodyError> {
        self.take().map(u8::from_be_bytes)
    }

    fn u16(&mut self) -> Result<u16, BodyError> {
        self.take().map(u16::from_be_bytes)
    }

    fn u32(&mut self) -> Result<u32, BodyError> {
        self.take().map(u32::from_be_bytes)
    }

    fn u64(&mut self) -> Result<u64, BodyError> {
        self.take().map(u64::from_be_bytes)
    }

    fn sealed(&mut self) -> Result<Sealed, BodyError> {
        Ok(Sealed {
            number: self.u32()?,
            enc: self.take()?,
            ciphertext: self.take()?,
            signature: self.take()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn samples() -> Vec<Body> {
        let sealed = Sealed {
            number: 3,
            enc: [1; 32],
            ciphertext: [2; 48],
            signature: [3; 64],
        };
        vec![
            Body::Announce(Announce {
                ask: true,
                number: 7,
                x25519: [4; 32],
                signature: [5; 64],
                mac: [6; 32],
            }),
            Body::Key(Key {
                epoch: Epoch::new(0x0102_0304),
                sealed,
            }),
            Body::Request(Request { generation: 9 }),
            Body::Roster(Roster {
                version: 2,
                removed: vec![[8; 12]; MAX_REMOVED],
                signature: [9; 64],
            }),
            Body::Heartbeat(Heartbeat {
                counter: 1,
                generation: 6,
                roster_version: 2,
                roster: [3; 32],
                members: [4; 32],
                signature: [5; 64],
            }),
            Body::Rotation(Rotation { sealed }),
        ]
    }

    #[test]
    fn bodies_survive_the_wire_and_fit_their_message() {
        for body in samples() {
            let bytes = body.encode();
            assert!(bytes.len() <= MAX_LEN, "{}", bytes.len());
            assert_eq!(Body::decode(&bytes), Ok(body));
        }
    }

    #[test]
    fn a_body_of_another_length_is_none() {
        for body in samples() {
            let bytes = body.encode();
            for len in 0..bytes.len() {
                assert_eq!(Body::decode(&bytes[..len]), Err(BodyError), "{len}");
            }
            assert_eq!(Body::decode(&[&bytes[..], &[0]].concat()), Err(BodyError));
        }
    }

    proptest! {
        #[test]
        fn whatever_decodes_encodes_to_the_same_bytes(
            kind in 0..8_u8,
            rest in prop::collection::vec(any::<u8>(), 0..300),
        ) {
            let bytes = [&[kind], &rest[..]].concat();
            if let Ok(body) = Body::decode(&bytes) {
                prop_assert_eq!(body.encode(), bytes);
            }
        }
    }
}
