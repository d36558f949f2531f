//! What runs as another process: the start of the DHCP client, and its hook.

use std::env;
use std::ffi::{OsStr, OsString};
use std::io;
use std::net::Ipv4Addr;
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use lanparty_os::Prefix;
use lanparty_os::short_path::ShortPath;
use lanparty_player::address::LeaseEvent;
use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};
use rustix::thread::{
    CapabilitySet, capabilities, configure_capability_in_ambient_set, set_capabilities,
};

/// The name under which the DHCP client finds this program as its hook. Hooks
/// are run without arguments of ours, so the name has to say it all.
pub(crate) const NAME: &str = "lanparty-client-dhcp-hook";
/// Beside the hook.
pub(crate) const SOCKET: &str = "reports";
/// The hidden first argument that starts a DHCP client.
pub(crate) const RUN: &str = "run-dhcp-client";
/// A report is a few dozen bytes.
pub(crate) const MAX_REPORT: usize = 512;

/// Becomes the DHCP client: `arguments` are our parent's process id, the
/// program and its arguments. Returns only when that fails.
pub(crate) fn run_client(mut arguments: impl Iterator<Item = OsString>) -> io::Error {
    let parent = arguments
        .next()
        .and_then(|text| text.to_str()?.parse().ok())
        .and_then(Pid::from_raw);
    let Some(program) = arguments.next() else {
        return io::Error::other("for internal use only");
    };
    // Before the death signal, which a change of credentials would clear.
    if let Err(error) = pass_on_capabilities() {
        return error;
    }
    // Survives the exec below: however this program ends, the client ends with
    // it. Not by force, because dhcpcd has helpers that only it can end.
    if let Err(error) = set_parent_process_death_signal(Some(Signal::TERM)) {
        return error.into();
    }
    if parent.is_none() || getppid() != parent {
        return io::Error::other("the program that started this has ended");
    }
    Command::new(program).args(arguments).exec()
}

/// DHCP clients open packet sockets and bind port 68. Where our own rights come
/// from capabilities instead of root, they only pass them on as ambient ones.
fn pass_on_capabilities() -> io::Result<()> {
    if rustix::process::geteuid().is_root() {
        return Ok(());
    }
    let wanted = [
        CapabilitySet::NET_RAW,
        CapabilitySet::NET_BIND_SERVICE,
        CapabilitySet::NET_ADMIN,
    ];
    let mut sets = capabilities(None)?;
    let have = wanted.map(|one| sets.permitted.intersection(one));
    for one in have {
        sets.inheritable.insert(one);
    }
    set_capabilities(None, sets)?;
    for one in have.into_iter().filter(|one| !one.is_empty()) {
        configure_capability_in_ambient_set(one, true)?;
    }
    Ok(())
}

/// True where this process was started as a DHCP client's hook.
pub(crate) fn is_hook(program: Option<&OsStr>) -> bool {
    program.is_some_and(|path| Path::new(path).file_name() == Some(OsStr::new(NAME)))
}

/// Reports what the DHCP client says, as its hook.
pub(crate) fn report(program: &OsStr, first_argument: Option<&OsStr>) -> io::Result<()> {
    let event = first_argument.and_then(OsStr::to_str).unwrap_or_default();
    let variable = |name: &str| env::var(name).ok();
    let Some(event) = read(event, &variable) else {
        return Ok(());
    };
    let directory = Path::new(program).parent().unwrap_or(Path::new("."));
    let socket = ShortPath::new(directory, SOCKET)?;
    let report = serde_json::to_vec(&event)?;
    UnixDatagram::unbound()?.send_to(&report, socket.path())?;
    Ok(())
}

pub(super) fn decode(report: &[u8]) -> Option<LeaseEvent> {
    let event = serde_json::from_slice(report).ok()?;
    match event {
        LeaseEvent::Bound(prefix) if prefix.length > Prefix::host(prefix.address).length => None,
        LeaseEvent::Bound(_) | LeaseEvent::Lost | LeaseEvent::NoAnswer => Some(event),
    }
}

/// udhcpc names the event in its first argument and the lease in `ip` and
/// `subnet`; dhcpcd and dhclient in `reason` and `new_...`.
fn read(event: &str, variable: &dyn Fn(&str) -> Option<String>) -> Option<LeaseEvent> {
    let reason = variable("reason").unwrap_or_default();
    let lease = |address: &str, mask: &str| {
        let address: Ipv4Addr = variable(address)?.parse().ok()?;
        let mask: Ipv4Addr = variable(mask)?.parse().ok()?;
        Some(LeaseEvent::Bound(Prefix {
            address: address.into(),
            length: prefix_length(mask)?,
        }))
    };
    match (event, reason.as_str()) {
        ("bound" | "renew", _) => lease("ip", "subnet"),
        ("nak", _) => Some(LeaseEvent::Lost),
        ("leasefail", _) => Some(LeaseEvent::NoAnswer),
        (_, "BOUND" | "RENEW" | "REBIND" | "REBOOT") => lease("new_ip_address", "new_subnet_mask"),
        (_, "EXPIRE" | "NAK" | "RELEASE") => Some(LeaseEvent::Lost),
        (_, "FAIL" | "TIMEOUT") => Some(LeaseEvent::NoAnswer),
        _ => None,
    }
}

/// `None` for a mask with holes.
fn prefix_length(mask: Ipv4Addr) -> Option<u8> {
    let bits = mask.to_bits();
    let ones = bits.leading_ones();
    (ones == bits.count_ones()).then(|| u8::try_from(ones).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_clients_lease_is_read() {
        let udhcpc = [("ip", "10.73.42.5"), ("subnet", "255.255.255.0")];
        let others = [
            ("reason", "BOUND"),
            ("new_ip_address", "10.73.42.5"),
            ("new_subnet_mask", "255.255.255.0"),
        ];
        let bound = Some(LeaseEvent::Bound("10.73.42.5/24".parse().unwrap()));
        assert_eq!(read_with("bound", &udhcpc), bound);
        assert_eq!(read_with("renew", &udhcpc), bound);
        assert_eq!(read_with("", &others), bound);
    }

    #[test]
    fn what_is_no_lease_is_not_taken_for_one() {
        assert_eq!(read_with("deconfig", &[]), None);
        assert_eq!(read_with("", &[("reason", "PREINIT")]), None);
        assert_eq!(read_with("bound", &[("ip", "10.0.0.1")]), None);
        let holes = [("ip", "10.0.0.1"), ("subnet", "255.0.255.0")];
        assert_eq!(read_with("bound", &holes), None);
        assert_eq!(read_with("nak", &[]), Some(LeaseEvent::Lost));
        assert_eq!(
            read_with("", &[("reason", "FAIL")]),
            Some(LeaseEvent::NoAnswer)
        );
    }

    #[test]
    fn a_report_survives_the_socket_and_nonsense_does_not() {
        let event = LeaseEvent::Bound("10.73.42.5/24".parse().unwrap());
        let report = serde_json::to_vec(&event).unwrap();
        assert!(report.len() <= MAX_REPORT);
        assert_eq!(decode(&report), Some(event));
        let too_long = br#"{"bound":{"address":"10.0.0.1","length":33}}"#;
        assert_eq!(decode(too_long), None);
        assert_eq!(decode(b"bound"), None);
    }

    #[test]
    fn the_hook_is_known_by_its_name() {
        assert!(is_hook(Some(OsStr::new(
            "/run/x/lanparty-client-dhcp-hook"
        ))));
        assert!(!is_hook(Some(OsStr::new("/usr/bin/lanparty-client"))));
    }

    fn read_with(event: &str, variables: &[(&str, &str)]) -> Option<LeaseEvent> {
        read(event, &|name| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }
}
