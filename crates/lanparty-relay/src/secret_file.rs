//! One secret in one file.

use std::path::Path;

use lanparty_os::private_file;
use rand::rngs::StdRng;
use rand::{RngCore, SeedableRng};

use crate::failure::Failure;

/// A secret of this relay's, made at its first use.
pub(crate) fn load_or_create(path: &Path) -> Result<[u8; 32], Failure> {
    let create = || {
        let mut secret = [0; 32];
        StdRng::from_os_rng().fill_bytes(&mut secret);
        secret
    };
    Ok(private_file::load_or_create(path, create)?)
}
