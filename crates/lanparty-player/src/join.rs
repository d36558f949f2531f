//! From the command line to a running player, in the order that keeps the
//! player's own internet out of the tunnel.

use std::path::Path;

use anyhow::Context as _;
use lanparty_obs::ExitCode;
use lanparty_os::answer_socket::AnswerSocket;
use lanparty_transport::DeviceSeed;
use lanparty_transport::reactor::Reactor;
use lanparty_transport::run::run;
use rand::SeedableRng as _;
use rand::rngs::StdRng;

use crate::cleanup::open_journal;
use crate::cli::PlayerArgs;
use crate::door::Door;
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

    let mut door = Door {
        seed: DeviceSeed(identity.seed()),
        mac,
        program: P::PROGRAM,
        congestion: arguments.member.congestion(),
        rng,
    };
    let mut reactor = Reactor::new().or_exit(ExitCode::Failure)?;
    reactor.set_busy_poll(arguments.member.busy_poll());
    let (mut transport, session) = door.open(&settings, reactor.now())?;
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
    loop {
        run(&mut reactor, &mut transport, &mut player).or_exit(ExitCode::Failure)?;
        if !player.moves() {
            return player.into_outcome();
        }
        let session;
        (transport, session) = door.open(player.settings(), reactor.now())?;
        player.enter(session, &reactor, &mut transport);
    }
}

fn status_server(settings: &Settings, directory: &Path) -> anyhow::Result<AnswerSocket> {
    let path = settings
        .status_socket
        .clone()
        .unwrap_or_else(|| state::status_socket(directory));
    AnswerSocket::bind(&path)
        .with_context(|| format!("cannot answer status requests at {}", path.display()))
}
