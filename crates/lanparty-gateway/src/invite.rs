//! The invite of the room that this gateway serves.

mod qr;

use std::fmt;
use std::io::IsTerminal as _;
use std::path::Path;

use lanparty_ctrl::RoomCode;
use lanparty_net::{Invite, RelayEndpoint};
use lanparty_os::private_file;
use lanparty_seal::RoomKey;
use lanparty_transport::{Identity, ServerTrust};
use zeroize::Zeroizing;

use crate::cli::{InviteArgs, QrArgs};
use crate::console::say;
use crate::failure::Failure;

const FILE: &str = "invite";
/// No invite is longer; with the line's end.
const MAX_FILE: u64 = 1024;

/// What the invite says besides what the relay shows when it is met.
#[derive(Debug)]
pub(crate) struct Inviting {
    pub(crate) relay: RelayEndpoint,
    pub(crate) server_name: String,
    pub(crate) trust: ServerTrust,
    pub(crate) room: RoomCode,
    pub(crate) key: Option<RoomKey>,
}

impl Inviting {
    /// The invite, by the key that the relay has just shown.
    ///
    /// A player checks the relay as this gateway did. Where that takes more
    /// than the name and the system's authorities, a pin says it; else there
    /// is none, because such a relay changes its key when it renews its
    /// certificate.
    pub(crate) fn invite(&self, shown: Identity) -> Result<Invite, Failure> {
        let pins = match &self.trust {
            ServerTrust::SystemRoots if self.server_name == self.relay.server_name() => Vec::new(),
            ServerTrust::SystemRoots | ServerTrust::Certificates(_) => vec![shown.0],
            ServerTrust::Pin(pins) => {
                let others = pins.iter().filter(|pin| **pin != shown);
                std::iter::once(&shown)
                    .chain(others)
                    .take(lanparty_net::invite::MAX_PINS)
                    .map(|pin| pin.0)
                    .collect()
            }
        };
        let key = self.key.as_ref().map(|key| *key.as_bytes());
        Invite::new(self.relay.clone(), self.room.as_str(), pins, key).map_err(Failure::Invite)
    }
}

/// Keeps the invite for `lanparty-gateway invite`.
pub(crate) fn save(directory: &Path, invite: &Invite) -> Result<(), Failure> {
    let mut line = invite.link();
    line.push('\n');
    Ok(private_file::write(&directory.join(FILE), line.as_bytes())?)
}

fn load(directory: &Path) -> Result<Invite, Failure> {
    let path = directory.join(FILE);
    let Some(content) = private_file::read(&path, MAX_FILE)? else {
        return Err(Failure::NoInvite);
    };
    let content = Zeroizing::new(content);
    let text = std::str::from_utf8(&content).unwrap_or_default();
    text.trim()
        .parse()
        .map_err(|_| Failure::InviteFile { path })
}

/// Puts another key into the invite that is kept, if there is one.
pub(crate) fn rekey(directory: &Path, key: &RoomKey) -> Result<(), Failure> {
    let old = match load(directory) {
        Ok(old) => old,
        Err(Failure::NoInvite) => return Ok(()),
        Err(failure) => return Err(failure),
    };
    let pins = old.pins().to_vec();
    let key = Some(*key.as_bytes());
    let invite = Invite::new(old.relay().clone(), old.room(), pins, key);
    save(directory, &invite.map_err(Failure::Invite)?)
}

/// `lanparty-gateway invite`
pub(crate) fn show(args: &InviteArgs, directory: &Path) -> Result<(), Failure> {
    let invite = load(directory)?;
    say(Shown {
        invite: &invite,
        qr: args.qr.wanted(),
    });
    Ok(())
}

/// At the start: shown to a person, and kept out of logs.
pub(crate) fn announce(invite: &Invite, qr: QrArgs) {
    if !std::io::stdout().is_terminal() {
        say("`lanparty-gateway invite` prints the invite for the players");
        return;
    }
    let advice = if invite.key().is_some() {
        "Whoever has this invite can join; give it to your players and to nobody else:"
    } else {
        "The invite for your players:"
    };
    let qr = qr.wanted();
    say(format_args!("{advice}\n{}", Shown { invite, qr }));
}

struct Shown<'a> {
    invite: &'a Invite,
    qr: bool,
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let link = self.invite.link();
        writeln!(f, "{}", *link)?;
        if self.qr {
            qr::write(&link, f)?;
        }
        Ok(())
    }
}

impl QrArgs {
    /// A picture is for eyes: it goes to terminals only, unless asked for.
    fn wanted(self) -> bool {
        self.qr || (!self.no_qr && std::io::stdout().is_terminal())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHOWN: Identity = Identity([1; 32]);

    fn pins(trust: ServerTrust, server_name: &str) -> Vec<[u8; 32]> {
        let inviting = Inviting {
            relay: "relay.example".parse().unwrap(),
            server_name: server_name.to_owned(),
            trust,
            room: "ROOM1".parse().unwrap(),
            key: Some(RoomKey::from_bytes([7; 32])),
        };
        let invite = inviting.invite(SHOWN).unwrap();
        assert_eq!(invite.key(), Some(&[7; 32]));
        invite.pins().to_vec()
    }

    #[test]
    fn a_player_checks_the_relay_as_the_gateway_did() {
        let name = "relay.example";
        assert_eq!(pins(ServerTrust::SystemRoots, name), [[0; 32]; 0]);
        // A player would expect the relay's own name in the certificate.
        assert_eq!(pins(ServerTrust::SystemRoots, "other.example"), [[1; 32]]);
        assert_eq!(
            pins(ServerTrust::certificate(b"DER".to_vec()), name),
            [[1; 32]]
        );
        let two = ServerTrust::Pin(vec![Identity([2; 32]), SHOWN]);
        assert_eq!(pins(two, name), [[1; 32], [2; 32]]);
    }

    #[test]
    fn an_invite_is_kept_as_it_is() {
        let directory = tempfile::tempdir().unwrap();
        assert!(matches!(load(directory.path()), Err(Failure::NoInvite)));
        let relay = "relay.example".parse().unwrap();
        let invite = Invite::new(relay, "ROOM1", Vec::new(), Some([7; 32])).unwrap();
        save(directory.path(), &invite).unwrap();
        assert_eq!(load(directory.path()).unwrap(), invite);
        rekey(directory.path(), &RoomKey::from_bytes([8; 32])).unwrap();
        let rekeyed = load(directory.path()).unwrap();
        assert_eq!(rekeyed.key(), Some(&[8; 32]));
        assert_eq!(rekeyed.relay(), invite.relay());
        private_file::write(&directory.path().join(FILE), b"lanparty://").unwrap();
        assert!(matches!(
            load(directory.path()),
            Err(Failure::InviteFile { .. })
        ));
    }
}
