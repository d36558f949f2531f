//! The way into a room: a connection under the identity of that room, and the
//! session on it.

use std::time::Instant;

use lanparty_client_core::{Session, SessionConfig, Signer, Splitter};
use lanparty_ctrl::{CreateToken, DisplayName, Role, RoomCode, RoomId, RoomPolicy};
use lanparty_proto::MacAddr;
use lanparty_seal::RoomKey;
use lanparty_transport::{
    ClientOptions, Congestion, DeviceSeed, MemberIdentity, ServerTrust, Transport, TransportLimits,
};
use rand::SeedableRng as _;
use rand::rngs::StdRng;

use crate::access::Host;
use crate::failure::Failure;

/// All that is the same for every room of this gateway.
pub(crate) struct Door {
    pub(crate) seed: DeviceSeed,
    pub(crate) mac: MacAddr,
    pub(crate) name: DisplayName,
    pub(crate) policy: RoomPolicy,
    pub(crate) create_token: Option<CreateToken>,
    pub(crate) trust: ServerTrust,
    pub(crate) congestion: Congestion,
    pub(crate) rng: StdRng,
}

impl Door {
    pub(crate) fn open(
        &mut self,
        room: &RoomCode,
        key: Option<RoomKey>,
        host: &Host,
        now: Instant,
    ) -> Result<(Transport, Session), Failure> {
        let room_id = room_id(room, key.as_ref());
        let identity = MemberIdentity::derive(&self.seed, &room_id.0).map_err(Failure::Identity)?;
        let config = SessionConfig {
            role: Role::Gateway,
            room: room.clone(),
            key,
            create_token: self.create_token.clone(),
            mac: Some(self.mac),
            name: self.name.clone(),
            agent: agent(),
            signer: Signer::new(identity.public_key(), identity.signing()),
            policy: self.policy.clone(),
            access: host.access(),
        };
        let mut transport = Transport::client(ClientOptions {
            identity,
            trust: self.trust.clone(),
            bind: None,
            limits: TransportLimits {
                congestion: self.congestion,
                ..TransportLimits::default()
            },
        })?;
        let mut splitter = Splitter::default();
        transport.set_splitter(Box::new(move |datagram, max_len, out| {
            splitter.split(datagram, max_len, out);
        }));
        let rng = StdRng::from_rng(&mut self.rng);
        Ok((transport, Session::new(config, rng, now)))
    }
}

pub(crate) fn room_id(room: &RoomCode, key: Option<&RoomKey>) -> RoomId {
    let admission = key.map(|key| key.admission().public_key());
    RoomId::derive(room, admission.as_ref())
}

fn agent() -> DisplayName {
    let agent = concat!("lanparty-gateway ", env!("CARGO_PKG_VERSION"));
    agent.parse().expect("plain words can be shown")
}
