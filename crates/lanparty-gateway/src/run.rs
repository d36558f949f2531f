//! From the command line to the running gateway.

use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::time::Duration;

use lanparty_client_core::{Session, SessionConfig, Signer, Splitter, rules_of};
use lanparty_ctrl::{CreateToken, DisplayName, Role, RoomId};
use lanparty_lan::{Lan, LanOptions, LanPort};
use lanparty_member_cli::Task;
use lanparty_obs::diagnostics::MemberStatus;
use lanparty_os::answer_socket::requests::RequestSocket;
use lanparty_os::answer_socket::{self, AnswerSocket, AskError};
use lanparty_os::lock::Lock;
use lanparty_os::{capabilities, private_file, state_dir};
use lanparty_transport::reactor::Reactor;
use lanparty_transport::{
    BindError, ClientOptions, DeviceSeed, MemberIdentity, Transport, TransportLimits,
};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::access::Host;
use crate::bridge::Bridge;
use crate::cli::{Cli, Command, LogFormat, PeersArgs, Run, State, StatusArgs, Switch, WhoArgs};
use crate::commands::{self, Request};
use crate::console::{Console, complain, say};
use crate::driver::{Gateway, Relay};
use crate::failure::Failure;
use crate::hosting::Hosting;
use crate::invite::{self, Inviting};
use crate::room;

const LOCK: &str = "gateway.lock";
const SOCKET: &str = "gateway.sock";
const SEED: &str = "device-seed";

/// Does what the command line says.
pub(crate) fn run(cli: Cli) -> Result<(), Failure> {
    match cli.task {
        Task::Command(Command::Invite(args)) => invite::show(&args, &open_state(&args.state)?),
        Task::Command(Command::Peers(args)) => show_peers(&args),
        Task::Command(Command::Kick(args)) => command(args, |who| Request::Kick { who }),
        Task::Command(Command::Ban(args)) => command(args, |who| Request::Ban { who }),
        Task::Command(Command::Unban(args)) => command(args, |who| Request::Unban { who }),
        Task::Command(Command::Approve(args)) => command(args, |who| Request::Approve { who }),
        Task::Command(Command::Deny(args)) => command(args, |who| Request::Deny { who }),
        Task::Command(Command::Approval(args)) => {
            let required = args.required == Switch::On;
            tell(&args.state, &Request::Approval { required })
        }
        Task::Command(Command::Status(args)) => show_status(&args),
        Task::Command(Command::Cleanup(state)) => clean_up(&state),
        Task::Main(run) => bridge(run),
    }
}

fn bridge(args: Run) -> Result<(), Failure> {
    start_log(args.log_format);
    let policy = args.policy.room_policy().map_err(Failure::Policy)?;
    let member = &args.member;
    if let Some(warning) = member.warning() {
        complain(warning);
    }
    let place = member.place()?;
    let name = member.name(Role::Gateway)?;
    let directory = open_state(&args.state)?;
    let _lock = Lock::acquire(&directory.join(LOCK))?;
    let mut rng = StdRng::from_os_rng();
    let (room, key) = room::choose(
        place.room.clone(),
        place.key.clone(),
        args.new_room,
        &directory,
        &mut rng,
    )?;
    let create_token = args.create_token_file.as_deref().map(create_token);
    let create_token = create_token.transpose()?;

    // Before the room hears of us: a gateway without a LAN helps nobody.
    let lan = Lan::open(&LanOptions {
        interface: args.iface.clone(),
    })?;
    let relay = Relay {
        addresses: place.relay.resolve()?,
        server_name: place.server_name.clone(),
    };
    let seed = private_file::load_or_create(&directory.join(SEED), || rng.random())?;
    let admission = key.as_ref().map(|key| key.admission().public_key());
    let room_id = RoomId::derive(&room, admission.as_ref());
    let identity =
        MemberIdentity::derive(&DeviceSeed(seed), &room_id.0).map_err(Failure::Identity)?;
    let host = Host::load(&directory, room_id, args.require_approval)?;
    let mac = Some(lan.mac());
    let signer = Signer::new(identity.public_key(), identity.signing());
    let mut transport = Transport::client(ClientOptions {
        identity,
        trust: place.trust.clone(),
        bind: None,
        limits: TransportLimits::default(),
    })
    .map_err(|error| match error {
        BindError::Tls(error) => Failure::Member(place.unusable_trust(error)),
        error @ (BindError::AddressInUse(_)
        | BindError::PermissionDenied(_)
        | BindError::Socket { .. }) => Failure::Transport(error),
    })?;
    let mut splitter = Splitter::default();
    transport.set_splitter(Box::new(move |datagram, max_len, out| {
        splitter.split(datagram, max_len, out);
    }));

    let system = |what| move |error| Failure::System(what, error);
    let mut reactor = Reactor::new().map_err(system("set up the event loop"))?;
    let now = reactor.now();
    let console = Console::new(
        room.to_string(),
        key.is_some(),
        args.iface,
        place.relay.to_string(),
    );
    let mut bridge = Bridge::new(rules_of(&policy), StdRng::from_rng(&mut rng), now);
    bridge.set_refresh_interval(Duration::from_secs(args.cam_refresh.into()));
    let config = SessionConfig {
        role: Role::Gateway,
        room: room.clone(),
        key: key.clone(),
        create_token,
        mac,
        name,
        agent: agent(),
        signer,
        policy,
        access: host.access(),
    };
    let session = Session::new(config, rng, now);
    let path = directory.join(SOCKET);
    let status =
        AnswerSocket::bind(&path).map_err(|source| Failure::LocalSocket { path, source })?;
    let path = directory.join(commands::SOCKET);
    let requests =
        RequestSocket::bind(&path).map_err(|source| Failure::LocalSocket { path, source })?;
    let inviting = Inviting {
        relay: place.relay,
        server_name: place.server_name,
        trust: place.trust,
        room,
        key,
    };
    let hosting = Hosting::new(inviting, directory, args.qr, host, requests);
    let mut gateway = Gateway::new(
        relay, session, bridge, lan, status, hosting, console, &reactor,
    )
    .map_err(system("set up the event loop"))?;
    if let Err(error) = capabilities::drop_all_but(&[]) {
        tracing::warn!(%error, "running with more rights than needed");
    }
    lanparty_transport::run::run(&mut reactor, &mut transport, &mut gateway)
        .map_err(system("run the event loop"))?;
    gateway.into_outcome()
}

fn open_state(state: &State) -> Result<PathBuf, Failure> {
    Ok(state_dir::open("gateway", state.state_dir.as_deref())?)
}

/// All that a gateway changes is tied to descriptors and dies with it; what a
/// killed one leaves is its socket file.
fn clean_up(state: &State) -> Result<(), Failure> {
    let directory = open_state(state)?;
    let _lock = Lock::acquire(&directory.join(LOCK))?;
    let mut found = false;
    for socket in [SOCKET, commands::SOCKET] {
        match std::fs::remove_file(directory.join(socket)) {
            Ok(()) => found = true,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(Failure::System("remove the socket", error)),
        }
    }
    say(if found {
        "removed the sockets of a gateway that was killed"
    } else {
        "nothing of a gateway is left on this computer"
    });
    Ok(())
}

fn show_peers(args: &PeersArgs) -> Result<(), Failure> {
    let peers = commands::tell(&open_state(&args.state)?, &Request::Peers)?;
    if args.json {
        say(peers.json()?);
    } else {
        say(peers);
    }
    Ok(())
}

fn command(args: WhoArgs, request: impl FnOnce(String) -> Request) -> Result<(), Failure> {
    tell(&args.state, &request(args.who))
}

fn tell(state: &State, request: &Request) -> Result<(), Failure> {
    say(commands::tell(&open_state(state)?, request)?);
    Ok(())
}

fn create_token(path: &Path) -> Result<CreateToken, Failure> {
    let wrong = |reason: String| Failure::CreateToken {
        path: path.to_owned(),
        reason,
    };
    let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
    let token: Result<CreateToken, _> = text.trim().parse();
    token.map_err(|error| wrong(error.to_string()))
}

fn show_status(args: &StatusArgs) -> Result<(), Failure> {
    let directory = open_state(&args.state)?;
    let path = directory.join(SOCKET);
    let status: MemberStatus = answer_socket::ask(&path).map_err(|error| match error {
        AskError::NoAnswer(source) => Failure::NoGateway { path, source },
        AskError::Unreadable(error) => Failure::Answer(error),
    })?;
    if args.json {
        let json = serde_json::to_string_pretty(&status).map_err(Failure::Answer)?;
        say(json);
    } else {
        say(status);
    }
    Ok(())
}

fn start_log(format: LogFormat) {
    let filter = tracing_subscriber::EnvFilter::try_from_env("LANPARTY_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn"));
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr);
    match format {
        LogFormat::Text => log.with_ansi(io::stderr().is_terminal()).init(),
        LogFormat::Json => log.json().init(),
    }
}

fn agent() -> DisplayName {
    displayable(concat!("lanparty-gateway ", env!("CARGO_PKG_VERSION")))
}

fn displayable(name: &str) -> DisplayName {
    let fallback = "gateway".parse();
    DisplayName::lossy(name, &fallback.expect("a plain word can be shown"))
}
