//! Who may join: everything that a Hello must satisfy before a room is asked.

use lanparty_ctrl::{CloseCode, Hello, RoomId};

use crate::connection::{Identity, Owner};

/// A join that the relay turned down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) code: CloseCode,
    pub(crate) message: String,
    /// When another attempt may succeed; `None` where nobody can say.
    pub(crate) retry_after_ms: Option<u32>,
}

/// A Hello that passed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Admitted {
    pub(crate) room: RoomId,
    pub(crate) owner: Owner,
}

/// Checks a decoded Hello against the identity that TLS has proved.
///
/// Rooms without a key are open to whoever knows their name. A Hello that
/// proves possession of a room key is refused, because letting it into a room
/// without one would break the promise that its program made to its user.
pub(crate) fn check(hello: &Hello, identity: &Identity) -> Result<Admitted, Refusal> {
    if hello.admission.is_some() {
        return Err(Refusal::new(
            CloseCode::RoomPolicy,
            "This relay serves no rooms with a key. Use a room code without a key, or another relay.",
        ));
    }
    if hello.key_card.identity != *identity {
        return Err(Refusal::new(
            CloseCode::NotAdmitted,
            "The key card belongs to another certificate than the connection's. Restart the program.",
        ));
    }
    Ok(Admitted {
        room: RoomId::derive(&hello.room, None),
        owner: Owner {
            identity: *identity,
            role: hello.role,
        },
    })
}

impl Refusal {
    pub(crate) fn new(code: CloseCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            retry_after_ms: None,
        }
    }

    /// A refusal that the code's own sentence explains.
    pub(crate) fn plain(code: CloseCode) -> Self {
        Self::new(code, code.sentence())
    }
}
