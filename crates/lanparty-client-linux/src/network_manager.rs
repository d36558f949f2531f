//! Keeps NetworkManager away from the adapter.

use std::process::{Command, Stdio};

/// Tells NetworkManager, where it runs, to leave the interface alone, and
/// returns whether it was told.
///
/// The setting is not saved anywhere: it ends with the interface.
pub(crate) fn leave_alone(interface: &str) -> bool {
    let nmcli = |arguments: &[&str]| {
        Command::new("nmcli")
            .args(arguments)
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .output()
            .ok()
            .filter(|output| output.status.success())
    };
    let runs = nmcli(&["--terse", "--fields", "RUNNING", "general"])
        .is_some_and(|output| output.stdout.starts_with(b"running"));
    if !runs {
        return false;
    }
    let told = nmcli(&["device", "set", interface, "managed", "no"]).is_some();
    if !told {
        tracing::warn!(
            "NetworkManager does not let go of {interface}; tell it to ignore the adapter"
        );
    }
    told
}
