//! Why there is no adapter, in sentences that say what to do.

use std::io;

use lanparty_proto::MacAddr;

#[derive(Debug, thiserror::Error)]
pub enum TapError {
    #[error(
        "this machine has no /dev/net/tun, which virtual network adapters need; load it with `modprobe tun` (in a container, pass the device in)"
    )]
    DeviceMissing,
    #[cfg_attr(
        not(windows),
        error(
            "creating a network adapter needs the capability CAP_NET_ADMIN; run with sudo, or see \"Running without root\" in docs/operating.md"
        )
    )]
    #[cfg_attr(
        windows,
        error("using a network adapter needs an administrator; run this from an elevated prompt")
    )]
    NotPermitted,
    #[error(
        "there is already a network interface named {name}; end the program that owns it, or choose another name with --tap-name"
    )]
    NameInUse { name: String },
    #[error(
        "{name:?} cannot be the name of a network interface; use 1 to 15 letters, digits, '-' or '_'"
    )]
    Name { name: String },
    #[error("this operating system has no supported TAP driver")]
    Unsupported,
    #[error("the network adapter {name} vanished while it was being set up")]
    Gone { name: String },
    #[error("cannot set up the network adapter {name}")]
    Settings {
        name: String,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error(
        "the TAP-Windows6 driver is not installed; install it from https://github.com/OpenVPN/tap-windows6/releases or with OpenVPN, and run this again"
    )]
    DriverMissing,
    #[error(
        "the TAP-Windows6 driver {found} lets any user take this computer over (CVE-2024-1305); install {oldest} or later from https://github.com/OpenVPN/tap-windows6/releases"
    )]
    DriverTooOld { found: String, oldest: String },
    #[error("there is no TAP-Windows6 adapter {id}; {}", list(others))]
    NoSuchAdapter { id: String, others: Vec<String> },
    #[error(
        "the network adapter {name} keeps its MAC address {found} instead of {wanted}; disable and enable it in \"Network Connections\", or restart the computer, and run this again"
    )]
    OtherMac {
        name: String,
        found: MacAddr,
        wanted: MacAddr,
    },
    #[error(
        "the network adapter {name} cannot be opened; end the program that uses it, or choose another adapter with --tap-instance-id: {source}"
    )]
    InUse { name: String, source: io::Error },
    #[error(
        "no adapter of the TAP-Windows6 driver could be made; make one with \"Add a new TAP-Windows6 virtual network adapter\" in the start menu, and run this again: {source}"
    )]
    Create { source: io::Error },
    #[error(
        "the network adapter {name} could not be restarted; disable and enable it in \"Network Connections\", and run this again: {source}"
    )]
    Restart { name: String, source: io::Error },
    #[error("the network adapters in the registry cannot be read: {source}")]
    Registry { source: io::Error },
}

fn list(others: &[String]) -> String {
    if others.is_empty() {
        return "there is none at all; leave out --tap-instance-id to have one made".to_owned();
    }
    format!("there is {}", others.join("; "))
}
