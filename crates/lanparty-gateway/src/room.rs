//! The room of this gateway's own: its code and key, kept so that an invite
//! stays valid.

use std::path::Path;

use lanparty_ctrl::{RoomCode, hex};
use lanparty_os::private_file;
use lanparty_seal::RoomKey;
use rand::{CryptoRng, Rng};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::failure::Failure;

const FILE: &str = "room";
const MAX_FILE: u64 = 1024;
/// What a made-up room code begins with.
const CODE_PREFIX: &str = "LAN-";
/// Neither vowels, which make words, nor what looks alike.
const CODE_CHARACTERS: &[u8] = b"23456789BCDFGHJKMNPQRSTVWXZ";
/// Enough to tell parties apart; the key is what keeps strangers out.
const CODE_LEN: usize = 6;

/// A room and its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OwnRoom {
    pub(crate) code: RoomCode,
    pub(crate) key: RoomKey,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    room: RoomCode,
    key: Zeroizing<String>,
}

impl OwnRoom {
    pub(crate) fn make(code: Option<RoomCode>, rng: &mut impl CryptoRng) -> Self {
        Self {
            code: code.unwrap_or_else(|| make_up_code(rng)),
            key: RoomKey::from_bytes(rng.random()),
        }
    }

    /// The room of this state directory, where one was made.
    pub(crate) fn load(directory: &Path) -> Result<Option<Self>, Failure> {
        let path = directory.join(FILE);
        let Some(content) = private_file::read(&path, MAX_FILE)? else {
            return Ok(None);
        };
        let content = Zeroizing::new(content);
        let stored = serde_json::from_slice::<Stored>(&content).ok();
        let room = stored.and_then(|stored| {
            Some(Self {
                key: RoomKey::from_bytes(hex::decode_array(&stored.key)?),
                code: stored.room,
            })
        });
        room.map(Some).ok_or(Failure::RoomFile { path })
    }

    /// Replaces the room of this state directory.
    pub(crate) fn save(&self, directory: &Path) -> Result<(), Failure> {
        let stored = Stored {
            room: self.code.clone(),
            key: Zeroizing::new(hex::encode(self.key.as_bytes())),
        };
        let content = serde_json::to_vec(&stored).map_err(|error| {
            Failure::System("write the room down", std::io::Error::other(error))
        })?;
        let content = Zeroizing::new(content);
        Ok(private_file::write(&directory.join(FILE), &content)?)
    }
}

/// Gives the room of this state directory a new key, which makes it another
/// room: what was shared of the old one is worthless.
pub(crate) fn rotate(directory: &Path, rng: &mut impl CryptoRng) -> Result<OwnRoom, Failure> {
    let own = OwnRoom::load(directory)?.ok_or(Failure::NoOwnRoom)?;
    let next = OwnRoom::make(Some(own.code), rng);
    next.save(directory)?;
    Ok(next)
}

/// The room to join: the one that was named, with its key where there is one,
/// or this gateway's own.
pub(crate) fn choose(
    named: Option<RoomCode>,
    given: Option<RoomKey>,
    new_room: bool,
    directory: &Path,
    rng: &mut impl CryptoRng,
) -> Result<(RoomCode, Option<RoomKey>), Failure> {
    if given.is_some() {
        if new_room {
            return Err(Failure::NewRoomWithKey);
        }
        return Ok((named.ok_or(Failure::NoRoom)?, given));
    }
    let own = match OwnRoom::load(directory)? {
        Some(own) if named.as_ref().is_none_or(|code| *code == own.code) => own,
        Some(own) if new_room => return Err(Failure::OtherRoom { own: own.code }),
        None if new_room => {
            let own = OwnRoom::make(named, rng);
            own.save(directory)?;
            own
        }
        Some(_) | None => return Ok((named.ok_or(Failure::NoRoom)?, None)),
    };
    Ok((own.code, Some(own.key)))
}

fn make_up_code(rng: &mut impl CryptoRng) -> RoomCode {
    let characters = (0..CODE_LEN).map(|_| {
        let at = rng.random_range(0..CODE_CHARACTERS.len());
        char::from(CODE_CHARACTERS[at])
    });
    let code: String = CODE_PREFIX.chars().chain(characters).collect();
    code.parse().expect("letters, digits and a hyphen")
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::PathBuf;

    use rand::SeedableRng as _;
    use rand::rngs::StdRng;

    use super::*;

    fn code(text: &str) -> RoomCode {
        text.parse().unwrap()
    }

    struct Host {
        directory: tempfile::TempDir,
        rng: StdRng,
    }

    impl Host {
        fn new() -> Self {
            Self {
                directory: tempfile::tempdir().unwrap(),
                rng: StdRng::seed_from_u64(1),
            }
        }

        fn file(&self) -> PathBuf {
            self.directory.path().join(FILE)
        }

        fn choose(
            &mut self,
            room: Option<&str>,
            key: Option<[u8; 32]>,
            new_room: bool,
        ) -> Result<(RoomCode, Option<RoomKey>), Failure> {
            let key = key.map(RoomKey::from_bytes);
            let directory = self.directory.path();
            choose(room.map(code), key, new_room, directory, &mut self.rng)
        }
    }

    #[test]
    fn a_new_room_is_kept_for_the_next_start_and_for_nobody_else() {
        let mut host = Host::new();
        let (code, key) = host.choose(None, None, true).unwrap();
        assert!(key.is_some());
        assert!(code.as_str().starts_with("LAN-"), "{code}");
        for (room, new_room) in [
            (None, true),
            (None, false),
            (Some(code.as_str()), true),
            (Some(code.as_str()), false),
        ] {
            let again = host.choose(room, None, new_room).unwrap();
            assert_eq!(again, (code.clone(), key.clone()), "{room:?} {new_room}");
        }
        let file = fs::metadata(host.file()).unwrap();
        assert_eq!(file.permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_room_without_a_key_is_as_it_was_named() {
        let mut host = Host::new();
        assert_eq!(
            host.choose(Some("ROOM1"), None, false).unwrap(),
            (code("ROOM1"), None)
        );
        assert!(matches!(
            host.choose(None, None, false),
            Err(Failure::NoRoom)
        ));
        assert!(!host.file().exists());
    }

    #[test]
    fn a_new_room_can_be_named_and_no_other_takes_its_place() {
        let mut host = Host::new();
        let (named, key) = host.choose(Some("ROOM1"), None, true).unwrap();
        assert_eq!(named, code("ROOM1"));
        assert!(matches!(
            host.choose(Some("ROOM2"), None, true),
            Err(Failure::OtherRoom { own }) if own == code("ROOM1")
        ));
        // Another room without a key leaves it alone.
        assert_eq!(
            host.choose(Some("ROOM2"), None, false).unwrap(),
            (code("ROOM2"), None)
        );
        assert_eq!(host.choose(None, None, false).unwrap(), (named, key));
    }

    #[test]
    fn a_new_key_takes_the_place_of_the_rooms_old_one() {
        let mut host = Host::new();
        let directory = host.directory.path().to_owned();
        assert!(matches!(
            rotate(&directory, &mut host.rng),
            Err(Failure::NoOwnRoom)
        ));
        let (code, old) = host.choose(Some("ROOM1"), None, true).unwrap();
        let next = rotate(&directory, &mut host.rng).unwrap();
        assert_eq!(next.code, code);
        assert_ne!(Some(&next.key), old.as_ref());
        assert_eq!(
            host.choose(None, None, false).unwrap(),
            (code, Some(next.key))
        );
    }

    #[test]
    fn a_given_key_is_used_and_not_kept() {
        let mut host = Host::new();
        let given = host.choose(Some("R"), Some([7; 32]), false).unwrap();
        assert_eq!(given.1.unwrap().as_bytes(), &[7; 32]);
        assert!(!host.file().exists());
        assert!(matches!(
            host.choose(Some("R"), Some([7; 32]), true),
            Err(Failure::NewRoomWithKey)
        ));
    }

    #[test]
    fn a_damaged_file_is_reported_and_not_replaced() {
        let mut host = Host::new();
        host.choose(None, None, true).unwrap();
        let path = host.file();
        for content in ["", "{}", r#"{"room":"R","key":"00"}"#] {
            fs::write(&path, content).unwrap();
            assert!(matches!(
                host.choose(None, None, true),
                Err(Failure::RoomFile { .. })
            ));
            assert_eq!(fs::read_to_string(&path).unwrap(), content);
        }
    }
}
