//! The join request, and what its answer must hold.

use lanparty_ctrl::feature::{self, Features};
use lanparty_ctrl::{
    Admission, Feature, Hello, KeyCard, PROTOCOL_VERSION, ResumeToken, Role, RoomId, Welcome,
};
use lanparty_proto::mtu::{MAX_DATAGRAM_BUDGET, MIN_DATAGRAM_BUDGET};

use crate::SessionConfig;

impl SessionConfig {
    /// The room that this member means, and no other of the same name.
    #[must_use]
    pub fn room_id(&self) -> RoomId {
        let public_key = self.key.as_ref().map(|key| key.admission().public_key());
        RoomId::derive(&self.room, public_key.as_ref())
    }

    /// Asks for the room over the connection that this exporter belongs to.
    pub(crate) fn hello(
        &self,
        card: KeyCard,
        exporter: &[u8; 32],
        datagram_budget: usize,
        resume: Option<ResumeToken>,
    ) -> Hello {
        let budget = u16::try_from(datagram_budget).unwrap_or(MAX_DATAGRAM_BUDGET);
        let mut features = Features::default();
        if self.key.is_some() {
            // One of 16 always fits.
            let _pushed = features.push(Feature::seal());
        }
        let mut hello = Hello {
            version: PROTOCOL_VERSION,
            features,
            role: self.role,
            room: self.room.clone(),
            create: self.role == Role::Gateway,
            create_token: self.create_token.clone(),
            mac: self.mac,
            name: self.name.clone(),
            datagram_budget: budget.clamp(MIN_DATAGRAM_BUDGET, MAX_DATAGRAM_BUDGET),
            agent: self.agent.clone(),
            key_card: card,
            admission: None,
            resume,
        };
        hello.admission = self.key.as_ref().map(|key| {
            let pair = key.admission();
            let public_key = pair.public_key();
            let spki_hash = &hello.key_card.identity;
            let message = Admission::signed_bytes(exporter, spki_hash, &public_key, &hello);
            Admission {
                public_key,
                signature: pair.sign(&message),
            }
        });
        hello
    }

    /// Whether the relay let this member into the room that it asked for, on
    /// the terms that it asked for. Without a key any answer will do.
    pub(crate) fn check_welcome(&self, welcome: &Welcome) -> Result<(), &'static str> {
        if self.key.is_none() {
            return Ok(());
        }
        if welcome.room_id != self.room_id() {
            return Err("it let us into another room than the one with our key");
        }
        if !feature::has_seal(&welcome.features) {
            return Err("it did not agree to sealed frames");
        }
        Ok(())
    }
}
