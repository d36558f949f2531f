//! What can be undone, as data.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::machine::{Machine, MachineError};
use crate::prefix::{Family, Prefix};

/// How to undo a change. The form in the journal is a promise to later
/// versions: fields may be added with a default, never renamed or removed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Undo {
    /// Take away what was added.
    Remove { object: Object },
    /// Put a setting back if it still is what we made it.
    Restore {
        interface: Interface,
        setting: Setting,
        old: String,
        ours: String,
    },
}

/// Something that was added.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Object {
    #[cfg(target_os = "linux")]
    Route(crate::netlink::Route),
    #[cfg(target_os = "linux")]
    Rule(crate::netlink::Rule),
    #[cfg(windows)]
    IpRoute(crate::windows::rows::Route),
    Address {
        interface: Interface,
        prefix: Prefix,
    },
    Interface(Interface),
    File(PathBuf),
}

/// A setting of an interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Setting {
    Mtu,
    /// A file under `/proc/sys/net/FAMILY/conf/INTERFACE/`.
    Switch {
        family: Family,
        name: String,
    },
    /// What one family has set for an adapter.
    #[cfg(windows)]
    Ip {
        adapter: crate::windows::guid::Guid,
        family: Family,
        value: IpValue,
    },
    /// The MAC address that an adapter takes at its next start, as twelve
    /// hexadecimal digits; empty where it has its own.
    #[cfg(windows)]
    NetworkAddress {
        adapter: crate::windows::guid::Guid,
    },
    /// What Windows thinks of the network behind an adapter.
    #[cfg(windows)]
    Category {
        adapter: crate::windows::guid::Guid,
    },
}

/// A value that each family has for each adapter.
#[cfg(windows)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IpValue {
    /// A number, or `automatic`.
    Metric,
    Mtu,
    /// `ignored` or `used`.
    DefaultRoutes,
    /// A number of `NL_ROUTER_DISCOVERY_BEHAVIOR`.
    RouterDiscovery,
    /// `on` or `off`.
    Forwarding,
}

/// An interface, and not another one that took its name later: indices are
/// not used twice between two starts of the machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interface {
    pub name: String,
    pub index: u32,
}

/// How undoing went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Undone,
    /// Never made, undone already, or gone with its interface.
    WasNotThere,
    /// Somebody changed it since.
    LeftAlone {
        found: String,
    },
}

impl Undo {
    /// Whether the change could still be there after the machine has started
    /// anew.
    pub(super) fn survives_reboot(&self) -> bool {
        match self {
            Self::Remove {
                object: Object::File(_),
            } => true,
            Self::Remove { .. } => false,
            // Windows keeps its adapters, and what is set for them.
            Self::Restore { .. } => cfg!(windows),
        }
    }
}

pub(super) fn perform(undo: &Undo, machine: &mut impl Machine) -> Result<Outcome, MachineError> {
    match undo {
        Undo::Remove { object } => Ok(if machine.remove(object)? {
            Outcome::Undone
        } else {
            Outcome::WasNotThere
        }),
        Undo::Restore {
            interface,
            setting,
            old,
            ours,
        } => {
            let Some(found) = machine.setting(interface, setting)? else {
                return Ok(Outcome::WasNotThere);
            };
            if found == *old {
                Ok(Outcome::WasNotThere)
            } else if found == *ours {
                machine.set(interface, setting, old)?;
                Ok(Outcome::Undone)
            } else {
                Ok(Outcome::LeftAlone { found })
            }
        }
    }
}

impl fmt::Display for Undo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Remove { object } => write!(f, "remove {object}"),
            Self::Restore {
                interface,
                setting,
                old,
                ..
            } => write!(f, "set {setting} of {} back to {old}", interface.name),
        }
    }
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            #[cfg(target_os = "linux")]
            Self::Route(route) => write!(f, "the route to {}", route.destination),
            #[cfg(target_os = "linux")]
            Self::Rule(rule) => write!(f, "the routing rule {}", rule.priority),
            #[cfg(windows)]
            Self::IpRoute(route) => write!(f, "the route to {}", route.destination),
            Self::Address { interface, prefix } => {
                write!(f, "the address {prefix} from {}", interface.name)
            }
            Self::Interface(interface) => write!(f, "the network interface {}", interface.name),
            Self::File(path) => write!(f, "{}", path.display()),
        }
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mtu => f.write_str("the MTU"),
            Self::Switch { name, .. } => f.write_str(name),
            #[cfg(windows)]
            Self::Ip { family, value, .. } => write!(f, "{value} for {family}"),
            #[cfg(windows)]
            Self::NetworkAddress { .. } => f.write_str("the MAC address"),
            #[cfg(windows)]
            Self::Category { .. } => f.write_str("the network category"),
        }
    }
}

#[cfg(windows)]
impl fmt::Display for IpValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Metric => "the metric",
            Self::Mtu => "the MTU",
            Self::DefaultRoutes => "the use of default routes",
            Self::RouterDiscovery => "the router discovery",
            Self::Forwarding => "the forwarding",
        })
    }
}
