//! How each DHCP client is told to stay in the foreground, ask for nothing but
//! an address, and leave the machine's configuration to our hook.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use super::hook;

/// A DHCP client that Linux systems have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Udhcpc,
    Dhcpcd,
    Dhclient,
}

/// udhcpc changes nothing by itself, so it comes first; dhclient is last,
/// because AppArmor keeps it from running foreign hooks on some systems.
const PREFERENCE: [Kind; 3] = [Kind::Udhcpc, Kind::Dhcpcd, Kind::Dhclient];
/// Where DHCP clients are, whatever an unprivileged user's PATH holds.
const SYSTEM_DIRECTORIES: &str = "/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin";

const DHCLIENT_CONF: &str = "dhclient.conf";
const DHCPCD_CONF: &str = "dhcpcd.conf";

impl Kind {
    /// The client to use and where it is: the chosen one, or the first that
    /// is installed.
    pub(crate) fn find(chosen: Option<Self>) -> Option<(Self, PathBuf)> {
        let directories: Vec<PathBuf> = std::env::split_paths(SYSTEM_DIRECTORIES).collect();
        let wanted = |kind: &Self| chosen.is_none_or(|chosen| chosen == *kind);
        PREFERENCE.into_iter().filter(wanted).find_map(|kind| {
            directories
                .iter()
                .map(|directory| directory.join(kind.program()))
                .find(|path| path.is_file())
                .map(|path| (kind, path))
        })
    }

    pub(crate) const fn program(self) -> &'static str {
        match self {
            Self::Udhcpc => "udhcpc",
            Self::Dhcpcd => "dhcpcd",
            Self::Dhclient => "dhclient",
        }
    }

    /// Files to put into the private directory first.
    pub(super) fn files(self) -> Vec<(&'static str, String)> {
        match self {
            Self::Udhcpc => Vec::new(),
            // `option` is what is asked for; what `nooption` names is not even
            // looked at when a server sends it unasked. `noconfigure` (seen in
            // dhcpcd 9.4.1) leaves the address to us too.
            Self::Dhcpcd => vec![(
                DHCPCD_CONF,
                "option subnet_mask\nnogateway\nnoipv4ll\nnoarp\nnoconfigure\n\
                 nooption routers, static_routes, classless_static_routes, \
                 ms_classless_static_routes, interface_mtu, domain_name_servers, \
                 domain_name, domain_search, host_name\n"
                    .to_owned(),
            )],
            Self::Dhclient => vec![(
                DHCLIENT_CONF,
                "request subnet-mask, broadcast-address, dhcp-lease-time;\n\
                 timeout 10;\nretry 3;\ninitial-interval 1;\nbackoff-cutoff 3;\n"
                    .to_owned(),
            )],
        }
    }

    pub(super) fn arguments(self, interface: &str, directory: &Path) -> Vec<OsString> {
        let hook = directory.join(hook::NAME).into_os_string();
        let file = |name: &str| directory.join(name).into_os_string();
        let mut arguments: Vec<OsString> = Vec::new();
        match self {
            Self::Udhcpc => {
                // Foreground; only the subnet mask is asked for; five tries two
                // seconds apart, then again after three seconds, for ever.
                for word in ["-f", "-o", "-O", "subnet", "-t", "5", "-T", "2", "-A", "3"] {
                    arguments.push(word.into());
                }
                arguments.extend(["-s".into(), hook, "-i".into()]);
            }
            Self::Dhcpcd => {
                for word in ["-4", "-B", "-t", "0", "--nogateway", "--noipv4ll"] {
                    arguments.push(word.into());
                }
                arguments.extend(["-f".into(), file(DHCPCD_CONF), "-c".into(), hook]);
            }
            Self::Dhclient => {
                for word in ["-4", "-d", "--no-pid"] {
                    arguments.push(word.into());
                }
                arguments.extend(["-sf".into(), hook]);
                arguments.extend(["-cf".into(), file(DHCLIENT_CONF)]);
                arguments.extend(["-lf".into(), file("dhclient.leases")]);
            }
        }
        arguments.push(interface.into());
        arguments
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.program())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_client_runs_our_hook_on_the_one_interface() {
        for kind in PREFERENCE {
            let arguments = kind.arguments("lanparty0", Path::new("/run/x"));
            let hook = OsString::from("/run/x").into_string().unwrap() + "/" + hook::NAME;
            assert!(arguments.contains(&OsString::from(hook)), "{kind}");
            assert_eq!(arguments.last().unwrap(), "lanparty0", "{kind}");
        }
    }
}
