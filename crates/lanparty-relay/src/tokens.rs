//! Which rooms may be opened here, and by whom.

use std::collections::BTreeSet;
use std::path::Path;

use lanparty_ctrl::CreateToken;
use lanparty_os::private_file;
use lanparty_relay_core::RoomsPolicy;

use crate::cli::{RoomsChoice, Serve};
use crate::failure::Failure;

/// Ten thousand tokens of the greatest length.
const MAX_FILE_LEN: u64 = 1_000_000;

pub(crate) fn policy(serve: &Serve) -> Result<RoomsPolicy, Failure> {
    Ok(match (serve.rooms, &serve.room_tokens) {
        (RoomsChoice::Open, _) => RoomsPolicy::Open,
        (RoomsChoice::Keyed, _) => RoomsPolicy::Keyed,
        (RoomsChoice::Token, Some(path)) => RoomsPolicy::Token(read(path)?),
        (RoomsChoice::Token, None) => RoomsPolicy::Token(BTreeSet::new()),
    })
}

fn read(path: &Path) -> Result<BTreeSet<[u8; 32]>, Failure> {
    let unusable = |why: String| Failure::RoomTokens {
        path: path.to_owned(),
        why,
    };
    let text = private_file::read(path, MAX_FILE_LEN)
        .map_err(|error| unusable(error.to_string()))?
        .ok_or_else(|| unusable("there is no such file".to_owned()))?;
    let text = String::from_utf8(text).map_err(|_| unusable("it is not text".to_owned()))?;
    let mut digests = BTreeSet::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        // The error names no part of the token.
        let token: CreateToken = line
            .parse()
            .map_err(|error| unusable(format!("line {number}: {error}")))?;
        digests.insert(token.digest());
    }
    if digests.is_empty() {
        return Err(unusable("it holds no token".to_owned()));
    }
    Ok(digests)
}

impl RoomsChoice {
    /// What an operator has to know and to pass on.
    pub(crate) const fn sentence(self) -> &'static str {
        match self {
            Self::Open => {
                "rooms with and without a key may be opened by anybody; those without one are open to whoever knows their name, and this relay can read what crosses them"
            }
            Self::Keyed => {
                "only rooms with a key may be opened; this relay cannot read what crosses them"
            }
            Self::Token => {
                "rooms may be opened with a token of this relay's operator; those without a key are open to whoever knows their name, and this relay can read what crosses them"
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn tokens_are_read_one_a_line_and_faults_named_without_showing_one() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("tokens");
        let good = "abcdefghijklmnopqrstuvwxyz";
        let write = |text: &str| {
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        };
        write(&format!("# for alice\n\n  {good}\n"));
        let token: CreateToken = good.parse().unwrap();
        assert_eq!(read(&path).unwrap(), BTreeSet::from([token.digest()]));
        for (text, says) in [
            ("# nothing\n", "no token"),
            ("abcdefghijklmnopqrst\nsecret short", "line 2"),
        ] {
            write(text);
            let told = read(&path).unwrap_err().to_string();
            assert!(told.contains(says) && !told.contains("secret"), "{told}");
        }
        write(good);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(read(&path).unwrap_err().to_string().contains("chmod 600"));
    }
}
