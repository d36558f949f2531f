//! The subcommand `adapters`.

use std::io::{self, Write as _};

use lanparty_player::Failure;

/// Lists what `--tap-instance-id` takes.
pub(crate) fn list() -> Result<(), Failure> {
    let adapters = lanparty_client_tap::windows::adapters()?;
    let mut out = io::stdout();
    if adapters.is_empty() {
        let _closed = writeln!(
            out,
            "no TAP-Windows6 adapter is installed; docs/windows.md says where its driver comes from"
        );
    }
    for adapter in adapters {
        let _closed = writeln!(out, "{adapter}");
    }
    Ok(())
}
