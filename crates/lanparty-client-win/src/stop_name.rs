//! The name under which a running client can be asked to stop.

use std::path::Path;

/// The name of the event that belongs to a state directory. Windows takes
/// paths with other capitals for the same.
pub(crate) fn of(directory: &Path) -> String {
    let absolute = std::path::absolute(directory).unwrap_or_else(|_| directory.into());
    let path = absolute.to_string_lossy().to_lowercase();
    // FNV-1a: a name of fixed length without separators.
    let hash = path.bytes().fold(0xCBF2_9CE4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3)
    });
    format!("Global\\lanparty-client-stop-{hash:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_state_directory_has_one_name() {
        let name = |path: &str| of(Path::new(path));
        assert_eq!(name(r"C:\ProgramData\x"), name(r"c:\programdata\X"));
        assert_ne!(name(r"C:\ProgramData\x"), name(r"C:\ProgramData\y"));
    }
}
