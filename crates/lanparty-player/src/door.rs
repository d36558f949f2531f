//! The way into a room: a connection under the identity of that room, and the
//! session on it.

use std::io;
use std::time::Instant;

use lanparty_client_core::{Session, SessionConfig, Signer, Splitter};
use lanparty_ctrl::{Access, DisplayName, Role, RoomId, RoomPolicy};
use lanparty_obs::ExitCode;
use lanparty_proto::MacAddr;
use lanparty_transport::{
    BindError, ClientOptions, Congestion, DeviceSeed, MemberIdentity, Transport, TransportLimits,
};
use rand::SeedableRng as _;
use rand::rngs::StdRng;

use crate::failure::{Failure, OrExit as _};
use crate::settings::Settings;

/// What is the same for every room of this player.
pub(crate) struct Door {
    pub(crate) seed: DeviceSeed,
    pub(crate) mac: MacAddr,
    /// The client's name, for the relay's operator.
    pub(crate) program: &'static str,
    pub(crate) congestion: Congestion,
    pub(crate) rng: StdRng,
}

impl Door {
    pub(crate) fn open(
        &mut self,
        settings: &Settings,
        now: Instant,
    ) -> Result<(Transport, Session), Failure> {
        let entry = &settings.entry;
        let admission = entry.key.as_ref().map(|key| key.admission().public_key());
        let room_id = RoomId::derive(&entry.room, admission.as_ref());
        let identity = MemberIdentity::derive(&self.seed, &room_id.0).or_exit(ExitCode::Failure)?;
        let config = SessionConfig {
            role: Role::Client,
            room: entry.room.clone(),
            key: entry.key.clone(),
            create_token: None,
            mac: Some(self.mac),
            name: settings.name.clone(),
            agent: agent(self.program).or_exit(ExitCode::Failure)?,
            signer: Signer::new(identity.public_key(), identity.signing()),
            policy: RoomPolicy::default(),
            access: Access::default(),
        };
        let mut transport = Transport::client(ClientOptions {
            identity,
            trust: entry.trust.clone(),
            bind: None,
            limits: TransportLimits {
                congestion: self.congestion,
                ..TransportLimits::default()
            },
        })
        .map_err(|error| match error {
            BindError::Tls(error) => entry.unusable_trust(error).into(),
            error @ (BindError::AddressInUse(_)
            | BindError::PermissionDenied(_)
            | BindError::Socket { .. }) => Failure::new(ExitCode::Bind, error),
        })?;
        let mut splitter = Splitter::default();
        transport.set_splitter(Box::new(move |datagram, max_len, out| {
            splitter.split(datagram, max_len, out);
        }));
        let rng = StdRng::from_rng(&mut self.rng);
        Ok((transport, Session::new(config, rng, now)))
    }
}

fn agent(program: &str) -> io::Result<DisplayName> {
    let agent = format!("{program} {}", env!("CARGO_PKG_VERSION"));
    agent.parse().map_err(io::Error::other)
}
