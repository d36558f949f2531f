//! Errors of calls, as opposed to what happens to a connection later.

use std::io;
use std::net::SocketAddr;

/// Why a transport could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    #[error("{0} is in use by another program; stop it or choose another port with --listen")]
    AddressInUse(SocketAddr),
    #[error(
        "ports below 1024 need CAP_NET_BIND_SERVICE and {0} is one; grant it or choose another port with --listen"
    )]
    PermissionDenied(SocketAddr),
    #[error("cannot open a UDP socket on {address}")]
    Socket {
        address: SocketAddr,
        #[source]
        source: io::Error,
    },
    #[error("the certificate or its key cannot be used")]
    Tls(#[from] TlsSetupError),
}

/// Why keys and certificates do not make a TLS configuration.
#[derive(Debug, thiserror::Error)]
pub enum TlsSetupError {
    #[error(transparent)]
    Rustls(#[from] rustls::Error),
    #[error("a certificate could not be made")]
    Generate(#[from] rcgen::Error),
    #[error("not a PEM file with a certificate chain: {0}")]
    CertificatePem(String),
    #[error("not a PEM file with a private key: {0}")]
    KeyPem(String),
    #[error(
        "the system has no trusted certificate authorities; name the relay's with --relay-ca-cert"
    )]
    NoSystemRoots,
    #[error("the certificate has expired or is not valid yet")]
    Dates,
    #[error("the certificate of the authority is not valid DER")]
    CertificateDer,
    #[error("the key could not be derived")]
    Key,
}

/// Why a connection attempt could not even begin.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    #[error("{0:?} is neither a DNS name nor an IP address; check --server-name")]
    ServerName(String),
    #[error("{0} cannot be dialled")]
    Address(SocketAddr),
    #[error("this machine has no IPv6, so {0} cannot be dialled")]
    NoIpv6(SocketAddr),
    #[error("this endpoint only listens")]
    NotAClient,
    #[error("too many connections")]
    TooMany,
}

/// The control stream's outgoing buffer is full: the other side has stopped
/// reading and is to be disconnected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the other side does not read its control stream")]
pub struct ControlOverflow;
