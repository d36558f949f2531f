//! The framing of the control stream: a 32-bit big-endian length and that
//! many bytes of JSON.

use std::borrow::Cow;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use serde::Deserialize;

use crate::{
    Asking, ControlError, Hello, InvalidField, Message, PROTOCOL_VERSION, PeerInfo, Reject,
    Restarting, VersionMismatch, Welcome,
};

/// Bytes of the length before each message.
pub const LENGTH_LEN: usize = 4;
/// The longest message in bytes of JSON.
pub const MAX_BODY_LEN: usize = 65_536;
/// The shortest: `{}`.
const MIN_BODY_LEN: usize = 2;

/// What came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Incoming {
    Message(Message),
    /// A message of a type that this version does not know and that its
    /// sender marked as optional.
    Skipped,
}

/// The message as it goes on the stream, its length included.
#[must_use]
#[expect(
    clippy::expect_used,
    reason = "no type in a message has a serialiser that fails, and their limits add up to far less than a frame"
)]
pub fn encode(message: &Message) -> Bytes {
    let body = serde_json::to_vec(message).expect("messages always serialise");
    let length = u32::try_from(body.len()).expect("messages are smaller than a frame");
    let mut frame = BytesMut::with_capacity(LENGTH_LEN.saturating_add(body.len()));
    frame.put_u32(length);
    frame.put_slice(&body);
    frame.freeze()
}

/// Reads the JSON of one message, without the length before it.
///
/// # Errors
/// [`ControlError`], by which the connection is to be closed.
pub fn decode(body: &[u8]) -> Result<Incoming, ControlError> {
    let envelope: Envelope<'_> = serde_json::from_slice(body).map_err(ControlError::Envelope)?;
    let Some(&name) = Message::NAMES.iter().find(|&&name| name == envelope.name) else {
        return if envelope.optional {
            Ok(Incoming::Skipped)
        } else {
            Err(ControlError::UnknownMessage)
        };
    };
    let body = Body { name, json: body };
    let message = match name {
        "hello" => Message::Hello(body.hello()?),
        "welcome" => Message::Welcome(body.welcome()?),
        "reject" => Message::Reject(body.checked(Reject::validate)?),
        "peer_joined" => Message::PeerJoined(Box::new(body.checked(PeerInfo::validate)?)),
        "peer_left" => Message::PeerLeft(body.parse()?),
        "stats" => Message::Stats(body.parse()?),
        "ping" => Message::Ping(body.parse()?),
        "pong" => Message::Pong(body.parse()?),
        "room_policy" => Message::RoomPolicy(body.parse()?),
        "access" => Message::Access(body.parse()?),
        "asking" => Message::Asking(Box::new(body.checked(Asking::validate)?)),
        "remove" => Message::Remove(body.parse()?),
        "sealed" => Message::Sealed(body.parse()?),
        "restarting" => Message::Restarting(body.checked(Restarting::validate)?),
        "disconnect" => Message::Disconnect(body.parse()?),
        _ => return Err(ControlError::UnknownMessage),
    };
    Ok(Incoming::Message(message))
}

/// The part of a message that says what it is. Reading it skips over all
/// other fields without storing them.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(rename = "type", borrow)]
    name: Cow<'a, str>,
    #[serde(default)]
    optional: bool,
}

#[derive(Deserialize)]
struct Versioned {
    version: u16,
}

struct Body<'a> {
    name: &'static str,
    json: &'a [u8],
}

impl<'a> Body<'a> {
    fn parse<T: Deserialize<'a>>(&self) -> Result<T, ControlError> {
        serde_json::from_slice(self.json).map_err(|source| ControlError::Body {
            name: self.name,
            source,
        })
    }

    fn checked<T: Deserialize<'a>>(
        &self,
        validate: impl FnOnce(&T) -> Result<(), InvalidField>,
    ) -> Result<T, ControlError> {
        let value = self.parse()?;
        validate(&value).map_err(|field| ControlError::Field {
            name: self.name,
            field,
        })?;
        Ok(value)
    }

    // Another version may have other fields, so the version is read first.

    fn hello(&self) -> Result<Box<Hello>, ControlError> {
        let member = self.parse::<Versioned>()?.version;
        if member != PROTOCOL_VERSION {
            return Err(ControlError::Version(VersionMismatch {
                member,
                relay: PROTOCOL_VERSION,
            }));
        }
        self.checked(Hello::validate).map(Box::new)
    }

    fn welcome(&self) -> Result<Box<Welcome>, ControlError> {
        let relay = self.parse::<Versioned>()?.version;
        if relay != PROTOCOL_VERSION {
            return Err(ControlError::Version(VersionMismatch {
                member: PROTOCOL_VERSION,
                relay,
            }));
        }
        self.checked(Welcome::validate).map(Box::new)
    }
}

/// Cuts a control stream into messages.
///
/// Holds what was pushed and not yet taken. A driver that takes all messages
/// after each push never makes it hold more than one incomplete frame.
#[derive(Debug, Default)]
pub struct Decoder {
    buffer: BytesMut,
    /// Set by the first error: nothing behind it can be trusted.
    failed: bool,
}

impl Decoder {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds bytes of the stream, in order.
    pub fn push(&mut self, bytes: &[u8]) {
        if !self.failed {
            self.buffer.extend_from_slice(bytes);
        }
    }

    /// The next message that is complete.
    ///
    /// # Errors
    /// [`ControlError`], by which the connection is to be closed. From then
    /// on nothing more comes out.
    #[expect(
        clippy::should_implement_trait,
        reason = "not an iterator: after None there may be more"
    )]
    pub fn next(&mut self) -> Result<Option<Incoming>, ControlError> {
        let result = self.take_frame();
        if result.is_err() {
            self.failed = true;
            self.buffer = BytesMut::new();
        }
        result
    }

    /// Whether a frame has begun and not ended, so that
    /// [`crate::timers::FRAME_DEADLINE`] runs.
    #[must_use]
    pub fn is_mid_frame(&self) -> bool {
        !self.buffer.is_empty()
    }

    fn take_frame(&mut self) -> Result<Option<Incoming>, ControlError> {
        let Some((&length, rest)) = self.buffer.split_first_chunk::<LENGTH_LEN>() else {
            return Ok(None);
        };
        let length = u32::from_be_bytes(length);
        let body_len = usize::try_from(length)
            .ok()
            .filter(|len| (MIN_BODY_LEN..=MAX_BODY_LEN).contains(len))
            .ok_or(ControlError::FrameLength(length))?;
        let Some(body) = rest.get(..body_len) else {
            return Ok(None);
        };
        let incoming = decode(body)?;
        self.buffer.advance(LENGTH_LEN.saturating_add(body_len));
        Ok(Some(incoming))
    }
}
