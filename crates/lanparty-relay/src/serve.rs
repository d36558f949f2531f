//! Start and end of the relay.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use lanparty_os::answer_socket::AnswerSocket;
use lanparty_relay_core::{Clock, RelayCore};
use lanparty_transport::reactor::{Interest, Reactor};
use lanparty_transport::run::run;
use lanparty_transport::signals::Signals;
use lanparty_transport::{ListenOptions, ServerIdentity, Transport, TransportLimits};
use rand::SeedableRng;
use rand::rngs::StdRng;
use rustix::process::Signal;

use crate::cli::Serve;
use crate::driver::{Driver, LOCAL_SOCKET, SIGNALS};
use crate::failure::Failure;
use crate::secrets::StateDir;
use crate::{logging, splitter};

pub(crate) fn serve(serve: &Serve) -> Result<(), Failure> {
    logging::start(serve.log_format);
    let state = StateDir::open(serve.state.state_dir.as_deref())?;
    let identity = state.identity(serve)?;
    if let Some(path) = &serve.dev_cert_der_out {
        write_certificate(path, &identity)?;
    }
    let pin = identity.identity();
    let mut transport = Transport::listen(ListenOptions {
        address: serve.listen.socket_addr(),
        identity,
        keys: state.endpoint_keys()?,
        limits: TransportLimits::default(),
    })?;
    transport.set_splitter(splitter::new());

    let mut reactor = Reactor::new().map_err(|error| Failure::System("wait for events", error))?;
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
        unix_s: unix_s(),
    };
    let limits = serve.limits.limits();
    let core = RelayCore::new(limits, state.relay_secrets()?, clock, StdRng::from_os_rng());

    announce(transport.local_address(), &pin.to_string());
    let mut driver = Driver::new(core, local_socket, signals, serve.certificate_files());
    run(&mut reactor, &mut transport, &mut driver)
        .map_err(|error| Failure::System("go on serving", error))?;
    tracing::info!("stopped");
    Ok(())
}

/// Plain words, because this is what an operator has to know and to pass on.
fn announce(address: SocketAddr, pin: &str) {
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
    tracing::info!(
        "rooms without a key are open to whoever knows their name, and this relay can read what crosses them"
    );
}

fn write_certificate(path: &Path, identity: &ServerIdentity) -> Result<(), Failure> {
    fs::write(path, identity.certificate_der()).map_err(|source| Failure::WriteCertificate {
        path: path.into(),
        source,
    })?;
    tracing::info!("wrote the certificate to {}", path.display());
    Ok(())
}

#[expect(
    clippy::disallowed_methods,
    reason = "read once, for the expiry of resume tokens"
)]
fn unix_s() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |elapsed| elapsed.as_secs())
}
