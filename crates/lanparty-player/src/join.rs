//! From the command line to a running player, in the order that keeps the
//! player's own internet out of the tunnel.

use std::io;
use std::path::Path;

use anyhow::Context as _;
use lanparty_client_core::{Session, SessionConfig, Signer, Splitter};
use lanparty_ctrl::{Access, DisplayName, Role, RoomId, RoomPolicy};
use lanparty_obs::ExitCode;
use lanparty_os::answer_socket::AnswerSocket;
use lanparty_transport::reactor::Reactor;
use lanparty_transport::run::run;
use lanparty_transport::{
    BindError, ClientOptions, DeviceSeed, MemberIdentity, Transport, TransportLimits,
};
use rand::SeedableRng as _;
use rand::rngs::StdRng;

use crate::cleanup::open_journal;
use crate::cli::PlayerArgs;
use crate::failure::{Failure, OrExit as _};
use crate::identity::{self, PlayerIdentity};
use crate::platform::{Platform, Setup};
use crate::player::{Parts, Player};
use crate::settings::Settings;
use crate::state;

/// Joins the room and plays until somebody ends it.
///
/// # Errors
/// When the player cannot start or go on.
pub fn join<P: Platform>(
    arguments: &PlayerArgs,
    settings: Settings,
    options: P::Options,
) -> Result<(), Failure> {
    if let Some(warning) = arguments.member.warning() {
        tracing::warn!("{warning}");
    }
    let directory = state::directory(&arguments.state)?;
    let (journal, leftovers) = open_journal(&directory, &mut P::machine()?)?;
    if !leftovers.to_string().is_empty() {
        tracing::warn!("{leftovers}");
    }

    let mut rng = StdRng::from_os_rng();
    let identity_file = arguments
        .identity
        .clone()
        .unwrap_or_else(|| directory.join(identity::FILE_NAME));
    let identity =
        PlayerIdentity::load_or_create(&identity_file, &mut rng).or_exit(ExitCode::State)?;
    let mac = settings.mac.unwrap_or_else(|| identity.mac());

    let setup = Setup {
        settings: &settings,
        mac,
        directory: &directory,
        journal,
    };
    let (tap, platform) = P::open(options, setup)?;

    // Before the adapter has a cable, so that the party's LAN has no say in
    // where the relay is.
    let remotes = settings
        .entry
        .relay
        .resolve()
        .or_exit(ExitCode::RelayUnreachable)?;

    let key = &settings.entry.key;
    let admission = key.as_ref().map(|key| key.admission().public_key());
    let room_id = RoomId::derive(&settings.entry.room, admission.as_ref());
    let member = MemberIdentity::derive(&DeviceSeed(identity.seed()), &room_id.0)
        .or_exit(ExitCode::Failure)?;
    let signer = Signer::new(member.public_key(), member.signing());
    let mut reactor = Reactor::new().or_exit(ExitCode::Failure)?;
    let mut transport = Transport::client(ClientOptions {
        identity: member,
        trust: settings.entry.trust.clone(),
        bind: None,
        limits: TransportLimits::default(),
    })
    .map_err(|error| match error {
        BindError::Tls(error) => settings.entry.unusable_trust(error).into(),
        error @ (BindError::AddressInUse(_)
        | BindError::PermissionDenied(_)
        | BindError::Socket { .. }) => Failure::new(ExitCode::Bind, error),
    })?;
    let mut splitter = Splitter::default();
    transport.set_splitter(Box::new(move |datagram, max_len, out| {
        splitter.split(datagram, max_len, out);
    }));

    let config = SessionConfig {
        role: Role::Client,
        room: settings.entry.room.clone(),
        key: settings.entry.key.clone(),
        create_token: None,
        mac: Some(mac),
        name: settings.name.clone(),
        agent: agent(P::PROGRAM).or_exit(ExitCode::Failure)?,
        signer,
        policy: RoomPolicy::default(),
        access: Access::default(),
    };
    let session = Session::new(config, rng, reactor.now());
    let status = status_server(&settings, &directory).or_exit(ExitCode::State)?;
    let mut player = Player::new(
        Parts {
            settings,
            session,
            tap,
            platform,
            mac,
            remotes,
            status,
        },
        &reactor,
    )
    .or_exit(ExitCode::Failure)?;
    player.start(&reactor, &mut transport);
    run(&mut reactor, &mut transport, &mut player).or_exit(ExitCode::Failure)?;
    player.into_outcome()
}

fn status_server(settings: &Settings, directory: &Path) -> anyhow::Result<AnswerSocket> {
    let path = settings
        .status_socket
        .clone()
        .unwrap_or_else(|| state::status_socket(directory));
    AnswerSocket::bind(&path)
        .with_context(|| format!("cannot answer status requests at {}", path.display()))
}

fn agent(program: &str) -> io::Result<DisplayName> {
    let agent = format!("{program} {}", env!("CARGO_PKG_VERSION"));
    agent.parse().map_err(io::Error::other)
}
