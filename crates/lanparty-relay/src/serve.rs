//! Start and end of the relay.

use std::net::SocketAddr;

use lanparty_os::answer_socket::AnswerSocket;
use lanparty_relay_core::{Clock, Limits, RelayCore};
use lanparty_transport::reactor::{Interest, Reactor};
use lanparty_transport::run::run;
use lanparty_transport::signals::Signals;
use lanparty_transport::{ListenOptions, Transport, TransportLimits};
use rand::SeedableRng;
use rand::rngs::StdRng;
use rustix::process::Signal;

use crate::certificate::{CertificateWatch, since_epoch};
use crate::cli::{RoomsChoice, Serve};
use crate::driver::{Driver, LOCAL_SOCKET, SIGNALS};
use crate::failure::Failure;
use crate::secrets::StateDir;
use crate::{logging, splitter, tokens};

pub(crate) fn serve(serve: &Serve) -> Result<(), Failure> {
    logging::start(serve.log_format);
    let state = StateDir::open(serve.state.state_dir.as_deref())?;
    let certificate = state.certificate(serve);
    let identity = certificate.read()?;
    if let Err(error) = identity.check_dates(since_epoch()) {
        // The clock of a machine that boots may still be wrong.
        tracing::warn!("members will refuse this relay: {error}; check the clock and --tls-cert");
    }
    let pin = identity.identity();
    let mut transport = Transport::listen(ListenOptions {
        address: serve.listen.socket_addr(),
        identity,
        keys: state.endpoint_keys()?,
        limits: TransportLimits {
            congestion: serve.congestion,
            ..serve.limits.transport()
        },
    })?;
    transport.set_splitter(splitter::new());

    let mut reactor = Reactor::new().map_err(|error| Failure::System("wait for events", error))?;
    reactor.set_busy_poll(serve.busy_poll);
    let signals = Signals::new(
        &reactor,
        SIGNALS,
        &[Signal::INT, Signal::TERM, Signal::HUP].map(Signal::as_raw),
    )
    .map_err(|error| Failure::System("catch signals", error))?;
    let path = state.socket();
    let local_socket =
        AnswerSocket::bind(&path).map_err(|source| Failure::LocalSocket { path, source })?;
    reactor
        .register(&local_socket, LOCAL_SOCKET, Interest::Read)
        .map_err(|error| Failure::System("wait for the local socket", error))?;
    let clock = Clock {
        instant: reactor.now(),
        unix_s: since_epoch().as_secs(),
    };
    let limits = Limits {
        rooms: tokens::policy(serve)?,
        ..serve.limits.limits()
    };
    let core = RelayCore::new(limits, state.relay_secrets()?, clock, StdRng::from_os_rng());

    announce(transport.local_address(), &pin.to_string(), serve.rooms);
    let watch = CertificateWatch::new(certificate, pin, reactor.now());
    let mut driver = Driver::new(core, local_socket, signals, watch);
    run(&mut reactor, &mut transport, &mut driver)
        .map_err(|error| Failure::System("go on serving", error))?;
    tracing::info!("stopped");
    Ok(())
}

/// Plain words, because this is what an operator has to know and to pass on.
fn announce(address: SocketAddr, pin: &str, rooms: RoomsChoice) {
    let families = match address {
        SocketAddr::V6(v6) if v6.ip().is_unspecified() => "IPv4 and IPv6",
        SocketAddr::V6(_) => "IPv6",
        SocketAddr::V4(_) => "IPv4",
    };
    tracing::info!(
        "lanparty-relay {} listening on UDP {address} ({families})",
        env!("CARGO_PKG_VERSION")
    );
    tracing::info!("certificate pin (SHA-256 of its public key): {pin}");
    tracing::info!("{}", rooms.sentence());
}
