//! Whether a program lies where only administrators can change it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// True below Windows' own places for programs.
pub(crate) fn is_protected(program: &Path, environment: impl Fn(&str) -> Option<OsString>) -> bool {
    let lower = |path: &Path| PathBuf::from(path.to_string_lossy().to_lowercase());
    let program = lower(program);
    ["ProgramFiles", "ProgramW6432", "SystemRoot"]
        .iter()
        .filter_map(|name| environment(name))
        .any(|place| program.starts_with(lower(Path::new(&place))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_of_downloads_is_no_place_for_a_service() {
        let environment = |name: &str| (name == "ProgramFiles").then(|| "/Program Files".into());
        let is_protected = |path: &str| is_protected(Path::new(path), environment);
        assert!(is_protected("/program files/softlan-vpn/client.exe"));
        assert!(!is_protected("/Users/anna/Downloads/client.exe"));
        assert!(!is_protected("/Program Files (x86) fake/client.exe"));
    }
}
