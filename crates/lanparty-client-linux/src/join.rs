//! From the command line to a running player, in the order that keeps the
//! player's own internet out of the tunnel.

use std::io;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use lanparty_client_core::{Session, SessionConfig, Splitter, sign_card};
use lanparty_client_route::TapSide;
use lanparty_client_tap::{Tap, TapOptions};
use lanparty_ctrl::{DisplayName, Role, RoomId, RoomPolicy};
use lanparty_obs::ExitCode;
use lanparty_os::answer_socket::AnswerSocket;
use lanparty_os::state_dir;
use lanparty_proto::mtu::DEFAULT_TAP_MTU;
use lanparty_transport::reactor::Reactor;
use lanparty_transport::run::run;
use lanparty_transport::{
    BindError, ClientOptions, DeviceSeed, MemberIdentity, Transport, TransportLimits,
};
use rand::SeedableRng as _;
use rand::rngs::StdRng;

use crate::cleanup::open_journal;
use crate::cli::JoinArgs;
use crate::failure::{Failure, OrExit as _};
use crate::identity::{self, PlayerIdentity};
use crate::network_manager;
use crate::player::{Parts, Player};
use crate::settings::Settings;

/// The socket's name in the state directory.
pub(crate) const STATUS_SOCKET: &str = "status.sock";
const AGENT: &str = concat!("lanparty-client ", env!("CARGO_PKG_VERSION"));

pub(crate) fn join(arguments: &JoinArgs) -> Result<(), Failure> {
    let settings = Settings::new(arguments)?;
    let directory = state_directory(arguments.state.state_dir.as_deref())?;
    let (journal, leftovers) = open_journal(&directory)?;
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

    let tap = Tap::open(&TapOptions {
        name: settings.tap_name.clone(),
        mac,
        mtu: DEFAULT_TAP_MTU,
    })?;
    let tap_side = TapSide::fence(tap.name(), tap.index())?;
    network_manager::leave_alone(tap.name());

    // Before the adapter has a cable, so that the party's LAN has no say in
    // where the relay is.
    let remotes = settings
        .relay
        .resolve()
        .or_exit(ExitCode::RelayUnreachable)?;

    let room_id = RoomId::derive(&settings.room, None);
    let member = MemberIdentity::derive(&DeviceSeed(identity.seed()), &room_id.0)
        .or_exit(ExitCode::Failure)?;
    let card = sign_card(
        member.public_key(),
        Role::Client,
        Some(mac),
        &mut rng,
        |bytes| member.sign(bytes),
    );
    let mut reactor = Reactor::new().or_exit(ExitCode::Failure)?;
    let mut transport = Transport::client(ClientOptions {
        identity: member,
        trust: settings.trust.clone(),
        bind: None,
        limits: TransportLimits::default(),
    })
    .map_err(|error| match error {
        BindError::Tls(error) => arguments.member.unusable_trust(error).into(),
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
        room: settings.room.clone(),
        mac: Some(mac),
        name: settings.name.clone(),
        agent: agent().or_exit(ExitCode::Failure)?,
        card,
        policy: RoomPolicy::default(),
    };
    let session = Session::new(config, rng, reactor.now());
    let status = status_server(&settings, &directory).or_exit(ExitCode::State)?;
    let mut player = Player::new(
        Parts {
            settings,
            session,
            tap,
            tap_side,
            mac,
            remotes,
            status,
            directory,
            journal,
        },
        &reactor,
    )
    .or_exit(ExitCode::Failure)?;
    player.start(&reactor, &mut transport);
    run(&mut reactor, &mut transport, &mut player).or_exit(ExitCode::Failure)?;
    player.into_outcome()
}

pub(crate) fn state_directory(chosen: Option<&Path>) -> Result<PathBuf, Failure> {
    state_dir::open("client", chosen).or_exit(ExitCode::State)
}

fn status_server(settings: &Settings, directory: &Path) -> anyhow::Result<AnswerSocket> {
    let path = settings
        .status_socket
        .clone()
        .unwrap_or_else(|| directory.join(STATUS_SOCKET));
    AnswerSocket::bind(&path)
        .with_context(|| format!("cannot answer status requests at {}", path.display()))
}

fn agent() -> io::Result<DisplayName> {
    AGENT.parse().map_err(io::Error::other)
}
