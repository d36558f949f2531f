//! Who may join: everything that a Hello must satisfy before a room is asked.

use lanparty_ctrl::feature::{self, Features};
use lanparty_ctrl::{CloseCode, Feature, Hello, RoomId};

use crate::connection::{Connection, Identity, Owner};
use crate::limits::RoomsPolicy;

/// A join that the relay turned down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) code: CloseCode,
    pub(crate) message: String,
    /// When another attempt may succeed; `None` where nobody can say.
    pub(crate) retry_after_ms: Option<u32>,
}

/// A Hello that is in order, whatever the room says to it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Applicant {
    pub(crate) room: RoomId,
    pub(crate) owner: Owner,
    /// Whether it means a room with a key.
    pub(crate) keyed: bool,
    /// Whether it holds that key. True where there is none to hold.
    pub(crate) proven: bool,
}

/// Checks a decoded Hello against what TLS has proved, without a look at any
/// room: whether a proof holds takes the same work for rooms that exist and
/// for those that do not.
///
/// A keyed Hello is never let into a room without a key, because that would
/// break the promise that its program made to its user.
pub(crate) fn check(
    hello: &Hello,
    connection: &Connection,
    policy: &RoomsPolicy,
) -> Result<Applicant, Refusal> {
    if hello.key_card.identity != connection.identity {
        return Err(Refusal::plain(CloseCode::NotAdmitted));
    }
    let owner = Owner {
        identity: connection.identity,
        role: hello.role,
    };
    let Some(admission) = &hello.admission else {
        if *policy == RoomsPolicy::Keyed {
            return Err(Refusal::new(
                CloseCode::RoomPolicy,
                "This relay serves only rooms with a key. Join with an invite, or use another relay.",
            ));
        }
        return Ok(Applicant {
            room: RoomId::derive(&hello.room, None),
            owner,
            keyed: false,
            proven: true,
        });
    };
    if !feature::has_seal(&hello.features) {
        return Err(Refusal::new(
            CloseCode::InvalidHello,
            "Rooms with a key are for programs that seal their frames. Upgrade the program.",
        ));
    }
    Ok(Applicant {
        room: RoomId::derive(&hello.room, Some(&admission.public_key)),
        owner,
        keyed: true,
        proven: admission.verify(&connection.exporter, &connection.identity, hello),
    })
}

/// Whether this Hello carries one of the operator's tokens.
pub(crate) fn holds_create_token(hello: &Hello, policy: &RoomsPolicy) -> bool {
    match (policy, &hello.create_token) {
        (RoomsPolicy::Token(digests), Some(token)) => digests.contains(&token.digest()),
        _ => false,
    }
}

/// What the relay agrees to in a room of this kind.
pub(crate) fn features(keyed: bool) -> Features {
    let mut features = Features::default();
    if keyed {
        // One of 16 always fits.
        let _pushed = features.push(Feature::seal());
    }
    features
}

impl Applicant {
    pub(crate) const fn identity(&self) -> &Identity {
        &self.owner.identity
    }
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
