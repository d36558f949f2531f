//! Why an interface cannot be used, and what to do about it.

use std::fmt;
use std::io;

use lanparty_obs::ExitCode;

/// What is wrong with the interface that the user named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    Missing {
        /// Interfaces that would do.
        usable: Vec<String>,
    },
    Loopback,
    Wireless,
    /// Its frames are not Ethernet.
    NotEthernet,
    /// Software without a cable behind it: `tun`, `macvlan` ...
    Virtual {
        kind: String,
    },
    /// Its frames belong to a bridge or bond.
    PartOf {
        master: String,
    },
    Down,
    NoCarrier,
}

#[derive(Debug, thiserror::Error)]
pub enum LanError {
    #[error("{interface} {refusal}")]
    Refused { interface: String, refusal: Refusal },
    #[error("not allowed to {operation}")]
    NotPermitted { operation: &'static str },
    #[error("cannot {operation}: {source}")]
    System {
        operation: &'static str,
        #[source]
        source: io::Error,
    },
    #[cfg(target_os = "linux")]
    #[error(transparent)]
    Netlink(#[from] lanparty_os::netlink::NetlinkError),
    #[cfg(target_os = "linux")]
    #[error(transparent)]
    Tap(#[from] lanparty_os::tap::TapError),
}

impl LanError {
    /// What the user can do about it.
    #[must_use]
    pub fn user_hint(&self) -> String {
        const PRIVILEGES: &str = "run as root, or give the program CAP_NET_RAW (and CAP_NET_ADMIN and CAP_BPF, so that players reach this computer too)";
        match self {
            Self::Refused { interface, refusal } => refusal.user_hint(interface),
            Self::NotPermitted { .. } => PRIVILEGES.to_owned(),
            Self::System { .. } => {
                "check the interface with `ip link`, and the kernel's messages with `dmesg`"
                    .to_owned()
            }
            #[cfg(target_os = "linux")]
            Self::Netlink(error) if error.is_permission_denied() => PRIVILEGES.to_owned(),
            #[cfg(target_os = "linux")]
            Self::Netlink(_) => "check the interface with `ip link`".to_owned(),
            #[cfg(target_os = "linux")]
            // Its own sentence says what to do.
            Self::Tap(error) => error.to_string(),
        }
    }

    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Refused { .. } => ExitCode::Interface,
            Self::NotPermitted { .. } => ExitCode::Privilege,
            Self::System { .. } => ExitCode::Interface,
            #[cfg(target_os = "linux")]
            Self::Netlink(error) if error.is_permission_denied() => ExitCode::Privilege,
            #[cfg(target_os = "linux")]
            Self::Netlink(_) => ExitCode::Interface,
            #[cfg(target_os = "linux")]
            Self::Tap(lanparty_os::tap::TapError::NotAllowed { .. }) => ExitCode::Privilege,
            #[cfg(target_os = "linux")]
            Self::Tap(_) => ExitCode::Interface,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { .. } => f.write_str("is not a network interface of this computer"),
            Self::Loopback => f.write_str("is the loopback interface, which has no LAN behind it"),
            Self::Wireless => f.write_str(
                "is a Wi-Fi interface; access points accept frames of their own stations only, so players' frames would be lost",
            ),
            Self::NotEthernet => f.write_str("is not an Ethernet interface"),
            Self::Virtual { kind } => write!(f, "is a {kind} interface, not a cable to the LAN"),
            Self::PartOf { master } => write!(f, "is part of {master}"),
            Self::Down => f.write_str("is switched off"),
            Self::NoCarrier => f.write_str("has no link: no cable, or the switch is off"),
        }
    }
}

impl Refusal {
    fn user_hint(&self, interface: &str) -> String {
        match self {
            Self::Missing { usable } if usable.is_empty() => {
                "no wired interface with a link was found; plug in the cable to the party's switch"
                    .to_owned()
            }
            Self::Missing { usable } => {
                format!(
                    "use the wired one, for example --iface {}",
                    usable.join(" or --iface ")
                )
            }
            Self::Loopback | Self::NotEthernet | Self::Virtual { .. } => {
                "name the wired interface that leads to the party's switch; `ip link` lists them"
                    .to_owned()
            }
            Self::Wireless => {
                "connect this computer to the party's switch with a cable and name that interface"
                    .to_owned()
            }
            Self::PartOf { master } => format!("use --iface {master}"),
            Self::Down => format!("switch it on with `ip link set {interface} up`"),
            Self::NoCarrier => {
                "plug in the cable to the party's switch and wait for the light".to_owned()
            }
        }
    }
}
