//! Per-interface switches under /proc/sys.

use std::io;
use std::path::PathBuf;

use crate::netlink::Family;

/// A switch such as `disable_ipv6` of one interface, in the calling thread's
/// network namespace.
///
/// # Errors
/// When there is no such switch, for example in a kernel without IPv6.
pub fn read(family: Family, interface: &str, switch: &str) -> io::Result<String> {
    Ok(std::fs::read_to_string(path(family, interface, switch)?)?
        .trim_end()
        .to_owned())
}

/// # Errors
/// As [`read`], and when the process may not change it.
pub fn write(family: Family, interface: &str, switch: &str, value: &str) -> io::Result<()> {
    std::fs::write(path(family, interface, switch)?, value)
}

fn path(family: Family, interface: &str, switch: &str) -> io::Result<PathBuf> {
    let is_one_component =
        |text: &str| !text.is_empty() && !text.contains(['/', '\0']) && text != "." && text != "..";
    if !is_one_component(interface) || !is_one_component(switch) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let family = match family {
        Family::V4 => "ipv4",
        Family::V6 => "ipv6",
    };
    Ok(PathBuf::from("/proc/sys/net")
        .join(family)
        .join("conf")
        .join(interface)
        .join(switch))
}
