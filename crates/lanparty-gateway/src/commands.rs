//! What the host can tell a running gateway to do, and what it answers.

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::path::Path;

use lanparty_ctrl::{Identity, Role};
use lanparty_obs::diagnostics::Standing;
use lanparty_os::answer_socket::{AskError, requests};
use lanparty_proto::MacAddr;
use serde::{Deserialize, Serialize};

use crate::failure::Failure;

/// The socket's name in the state directory.
pub(crate) const SOCKET: &str = "host.sock";

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Request {
    Peers,
    Kick { who: String },
    Ban { who: String },
    Unban { who: String },
    Approve { who: String },
    Deny { who: String },
    Approval { required: bool },
    RotateKey,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Answer {
    Peers(Box<Peers>),
    Done(String),
    Refused(String),
}

/// Everybody whom the host may want to name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Peers {
    pub(crate) room: String,
    pub(crate) keyed: bool,
    pub(crate) approval: bool,
    pub(crate) members: Vec<Member>,
    pub(crate) asking: Vec<Known>,
    pub(crate) approved: Vec<Known>,
    pub(crate) banned: Vec<Known>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Member {
    pub(crate) peer: u16,
    pub(crate) role: Role,
    pub(crate) name: String,
    pub(crate) mac: Option<MacAddr>,
    pub(crate) addresses: Vec<IpAddr>,
    pub(crate) identity: Identity,
    /// Nothing in a room without a key.
    pub(crate) standing: Option<Standing>,
}

/// Somebody who need not be in the room.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Known {
    pub(crate) name: String,
    pub(crate) identity: Identity,
}

/// What the host reads after a new key was made.
pub(crate) const ROTATED: &str = "the room has a new key, and every earlier invite is worthless. `lanparty-gateway invite` prints the new one. \
     Bans and approvals are not carried over: under the new key everybody has a new identity.";

/// Tells the gateway that runs with this state directory.
pub(crate) fn tell(directory: &Path, request: &Request) -> Result<Answer, Failure> {
    let path = directory.join(SOCKET);
    let answer = requests::request(&path, request).map_err(|error| match error {
        AskError::NoAnswer(source) => Failure::NoGateway { path, source },
        AskError::Unreadable(error) => Failure::Answer(error),
    })?;
    match answer {
        Answer::Refused(sentence) => Err(Failure::Refused(sentence)),
        answer @ (Answer::Peers(_) | Answer::Done(_)) => Ok(answer),
    }
}

impl Answer {
    pub(crate) fn json(&self) -> Result<String, Failure> {
        match self {
            Self::Peers(peers) => serde_json::to_string_pretty(peers),
            Self::Done(_) | Self::Refused(_) => serde_json::to_string_pretty(self),
        }
        .map_err(|error| Failure::System("write JSON", io::Error::other(error)))
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Peers(peers) => write!(f, "{peers}"),
            Self::Done(sentence) | Self::Refused(sentence) => f.write_str(sentence),
        }
    }
}

impl fmt::Display for Peers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = if self.keyed {
            "sealed with a key"
        } else {
            "without a key"
        };
        let newcomers = if self.approval {
            "newcomers need your approval"
        } else {
            "newcomers come in by themselves"
        };
        writeln!(f, "room {}, {key}; {newcomers}", self.room)?;
        if self.members.is_empty() {
            writeln!(f, "nobody else is in the room")?;
        }
        for member in &self.members {
            write!(
                f,
                "  {:<5} {:<7} {} ",
                member.peer,
                member.role.word(),
                member.name
            )?;
            if let Some(mac) = member.mac {
                write!(f, " {mac}")?;
            }
            for address in &member.addresses {
                write!(f, " {address}")?;
            }
            write!(f, "  identity {:.8}", member.identity)?;
            f.write_str(match member.standing {
                Some(Standing::Unverified) => "  has not proven that it holds the key",
                Some(Standing::Removed) => "  is removed, and listed by the relay all the same",
                Some(Standing::Checking | Standing::Verified) | None => "",
            })?;
            writeln!(f)?;
        }
        for (title, list) in [
            ("waiting for your approval:", &self.asking),
            ("approved:", &self.approved),
            ("banned:", &self.banned),
        ] {
            if !list.is_empty() {
                writeln!(f, "{title}")?;
            }
            for known in list {
                writeln!(f, "  {}  identity {:.8}", known.name, known.identity)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_reads_who_is_in_who_waits_and_who_has_proven_nothing() {
        let known = |name: &str, byte| Known {
            name: name.to_owned(),
            identity: Identity([byte; 32]),
        };
        let member = |peer, name: &str, standing| Member {
            peer,
            role: Role::Client,
            name: name.to_owned(),
            mac: Some(MacAddr([2, 0, 0, 0, 0, 1])),
            addresses: vec![IpAddr::from([10, 0, 0, 7])],
            identity: Identity([0xA1; 32]),
            standing: Some(standing),
        };
        let peers = Peers {
            room: "PARTY".to_owned(),
            keyed: true,
            approval: true,
            members: vec![
                member(7, "alice", Standing::Verified),
                member(8, "ghost", Standing::Unverified),
            ],
            asking: vec![known("bob", 0xB0)],
            approved: Vec::new(),
            banned: vec![known("mallory", 0xE0)],
        };
        let said = peers.to_string();
        let expected = "room PARTY, sealed with a key; newcomers need your approval\n  \
            7     player  alice  02:00:00:00:00:01 10.0.0.7  identity a1a1a1a1\n  \
            8     player  ghost  02:00:00:00:00:01 10.0.0.7  identity a1a1a1a1  \
            has not proven that it holds the key\n\
            waiting for your approval:\n  bob  identity b0b0b0b0\n\
            banned:\n  mallory  identity e0e0e0e0\n";
        assert_eq!(said, expected);
        let answer = Answer::Peers(Box::new(peers.clone()));
        let json: Peers = serde_json::from_str(&answer.json().unwrap()).unwrap();
        assert_eq!(json, peers);
    }
}
