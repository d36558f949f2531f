//! From the command line to the running gateway.

use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::time::Duration;

use lanparty_client_core::rules_of;
use lanparty_ctrl::{CreateToken, Role};
use lanparty_lan::{Lan, LanOptions, LanPort};
use lanparty_member_cli::Task;
use lanparty_obs::diagnostics::MemberStatus;
use lanparty_os::answer_socket::requests::RequestSocket;
use lanparty_os::answer_socket::{self, AnswerSocket, AskError};
use lanparty_os::lock::Lock;
use lanparty_os::{capabilities, private_file, state_dir};
use lanparty_transport::reactor::Reactor;
use lanparty_transport::{BindError, DeviceSeed};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::access::Host;
use crate::bridge::Bridge;
use crate::cli::{Cli, Command, LogFormat, PeersArgs, Run, State, StatusArgs, Switch, WhoArgs};
use crate::commands::{self, Request};
use crate::console::{Console, complain, say};
use crate::door::{Door, room_id};
use crate::driver::{Gateway, Parts, Relay};
use crate::failure::Failure;
use crate::hosting::Hosting;
use crate::invite::{self, Inviting};
use crate::room::{self, OwnRoom};

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
        Task::Command(Command::RotateKey(state)) => rotate_key(&state),
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
    if args.rotate_key {
        let next = room::rotate(&directory, &mut rng)?;
        invite::rekey(&directory, &next.key)?;
    }
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
        offload: !args.no_offload,
    })?;
    let relay = Relay {
        addresses: place.relay.resolve()?,
        server_name: place.server_name.clone(),
    };
    let seed = private_file::load_or_create(&directory.join(SEED), || rng.random())?;
    let system = |what| move |error| Failure::System(what, error);
    let mut reactor = Reactor::new().map_err(system("set up the event loop"))?;
    reactor.set_busy_poll(args.member.busy_poll());
    let now = reactor.now();
    let console = Console::new(
        room.to_string(),
        key.is_some(),
        args.iface,
        place.relay.to_string(),
    );
    let mut bridge = Bridge::new(rules_of(&policy), StdRng::from_rng(&mut rng), now);
    bridge.set_refresh_interval(Duration::from_secs(args.cam_refresh.into()));
    let mut door = Door {
        seed: DeviceSeed(seed),
        mac: lan.mac(),
        name,
        policy,
        create_token,
        trust: place.trust.clone(),
        congestion: args.member.congestion(),
        rng,
    };
    let served = room_id(&room, key.as_ref());
    let host = Host::load(&directory, served, args.require_approval)?;
    let opened = door.open(&room, key.clone(), &host, now);
    if let Err(Failure::Transport(BindError::Tls(error))) = opened {
        return Err(Failure::Member(place.unusable_trust(error)));
    }
    let (mut transport, session) = opened?;
    let path = directory.join(SOCKET);
    let status =
        AnswerSocket::bind(&path).map_err(|source| Failure::LocalSocket { path, source })?;
    let path = directory.join(commands::SOCKET);
    let requests =
        RequestSocket::bind(&path).map_err(|source| Failure::LocalSocket { path, source })?;
    let own = OwnRoom::load(&directory)?;
    let own = own.is_some_and(|own| own.code == room && Some(&own.key) == key.as_ref());
    let inviting = Inviting {
        relay: place.relay,
        server_name: place.server_name,
        trust: place.trust,
        room,
        key,
    };
    let rng = StdRng::from_rng(&mut door.rng);
    let hosting = Hosting::new(
        inviting,
        directory.clone(),
        args.qr,
        host,
        requests,
        own,
        rng,
    );
    let parts = Parts {
        relay,
        session,
        bridge,
        lan,
        status,
        hosting,
        console,
    };
    let mut gateway = Gateway::new(parts, &reactor).map_err(system("set up the event loop"))?;
    if let Err(error) = capabilities::drop_all_but(&[]) {
        tracing::warn!(%error, "running with more rights than needed");
    }
    loop {
        lanparty_transport::run::run(&mut reactor, &mut transport, &mut gateway)
            .map_err(system("run the event loop"))?;
        let Some(next) = gateway.take_next_room() else {
            return gateway.into_outcome();
        };
        let served = room_id(&next.code, Some(&next.key));
        let host = Host::load(&directory, served, false)?;
        let now = reactor.now();
        let session;
        (transport, session) = door.open(&next.code, Some(next.key.clone()), &host, now)?;
        gateway.enter(session, next.key, host, now);
    }
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

/// By the gateway that runs, or else without one: nobody is there to hear of
/// the key then.
fn rotate_key(state: &State) -> Result<(), Failure> {
    let directory = open_state(state)?;
    match commands::tell(&directory, &Request::RotateKey) {
        Err(Failure::NoGateway { .. }) => {}
        told => {
            say(told?);
            return Ok(());
        }
    }
    let _lock = Lock::acquire(&directory.join(LOCK))?;
    let next = room::rotate(&directory, &mut StdRng::from_os_rng())?;
    invite::rekey(&directory, &next.key)?;
    say(commands::ROTATED);
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
