//! Whom the host lets into the room: the lists, kept across restarts, and what
//! the host's commands do to them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use lanparty_ctrl::{Access, Asking, BoundedVec, Identity, PeerInfo, RoomId};
use lanparty_os::private_file::{self, PrivateFileError};
use lanparty_proto::PeerId;
use serde::{Deserialize, Serialize};

use crate::commands::{Known, Request};
use crate::failure::Failure;

const FILE: &str = "access";
/// Two full lists with the longest names take a quarter of it.
const MAX_FILE: u64 = 1024 * 1024;
/// What the relay takes in one list.
const MAX_LISTED: usize = 256;
/// Who may wait for an answer at one time; the longest waiting gives way, and
/// asks again.
const MAX_ASKING: usize = 64;
/// The fewest digits of an identity that stand for it.
const MIN_IDENTITY_DIGITS: usize = 8;

/// The lists of one room.
#[derive(Debug)]
pub(crate) struct Host {
    path: PathBuf,
    lists: Lists,
    asking: BTreeMap<Identity, Waiting>,
    asked: u64,
}

#[derive(Debug)]
struct Waiting {
    asking: Asking,
    /// The place in the queue.
    since: u64,
}

/// In an identity's list, the name under which the host knew it.
type Names = BTreeMap<Identity, String>;

#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Lists {
    /// Identities mean nothing in another room.
    room: Option<RoomId>,
    approval: bool,
    #[serde(with = "pairs")]
    banned: Names,
    #[serde(with = "pairs")]
    approved: Names,
}

/// What a command comes to, besides a changed [`Access`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) sentence: String,
    /// Who is to be put out now, and whether for good.
    pub(crate) remove: Option<(PeerId, bool)>,
}

/// Why a command does nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("nobody here is called {0:?}; `lanparty-gateway peers` lists everybody")]
    Nobody(String),
    #[error(
        "{0:?} fits more than one; give the number or the identity that `lanparty-gateway peers` shows"
    )]
    Ambiguous(String),
    #[error(
        "{MAX_LISTED} identities are listed already, which is as many as a relay takes; `lanparty-gateway unban` takes one off"
    )]
    Full,
    #[error("the lists could not be kept: {0}")]
    NotKept(String),
}

/// Somebody whom a command may mean.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Target {
    identity: Identity,
    name: String,
    peer: Option<PeerId>,
}

impl Host {
    /// Reads the lists of this room; those of another room are let go, for its
    /// identities appear nowhere else. Approval stays required once it is.
    pub(crate) fn load(
        directory: &Path,
        room: RoomId,
        require_approval: bool,
    ) -> Result<Self, Failure> {
        let path = directory.join(FILE);
        let mut lists: Lists = match private_file::read(&path, MAX_FILE)? {
            Some(content) => serde_json::from_slice(&content)
                .map_err(|_| Failure::AccessFile { path: path.clone() })?,
            None => Lists::default(),
        };
        if lists.room != Some(room) {
            lists = Lists {
                room: Some(room),
                approval: lists.approval,
                ..Lists::default()
            };
        }
        lists.approval |= require_approval;
        let host = Self {
            path,
            lists,
            asking: BTreeMap::new(),
            asked: 0,
        };
        host.keep().map_err(Failure::Secret)?;
        Ok(host)
    }

    /// What the relay is to be told.
    pub(crate) fn access(&self) -> Access {
        fn list(names: &Names) -> BoundedVec<Identity, MAX_LISTED> {
            let identities: Vec<_> = names.keys().copied().take(MAX_LISTED).collect();
            BoundedVec::try_from(identities).unwrap_or_default()
        }
        Access {
            approval: self.lists.approval,
            banned: list(&self.lists.banned),
            approved: list(&self.lists.approved),
        }
    }

    /// Somebody asks to be let in; true where that is news.
    pub(crate) fn asked(&mut self, asking: Asking) -> bool {
        let identity = asking.identity;
        self.asked += 1;
        let since = self.asked;
        let is_news = self
            .asking
            .insert(identity, Waiting { asking, since })
            .is_none();
        if self.asking.len() > MAX_ASKING {
            let oldest = self.asking.iter().min_by_key(|(_, waiting)| waiting.since);
            if let Some(oldest) = oldest.map(|(identity, _)| *identity) {
                self.asking.remove(&oldest);
            }
        }
        is_news
    }

    /// Somebody is in, so they wait no longer.
    pub(crate) fn joined(&mut self, identity: Identity) {
        self.asking.remove(&identity);
    }

    pub(crate) const fn approval(&self) -> bool {
        self.lists.approval
    }

    pub(crate) fn asking(&self) -> impl Iterator<Item = &Asking> {
        self.asking.values().map(|waiting| &waiting.asking)
    }

    pub(crate) fn banned(&self) -> impl Iterator<Item = Known> {
        known(&self.lists.banned)
    }

    pub(crate) fn approved(&self) -> impl Iterator<Item = Known> {
        known(&self.lists.approved)
    }

    /// Does what the host asked for to the lists. `present` are the other
    /// members; `keyed`, whether the room has a key.
    pub(crate) fn command(
        &mut self,
        request: &Request,
        present: &[&PeerInfo],
        keyed: bool,
    ) -> Result<Outcome, Refusal> {
        let here = || present.iter().copied().map(Target::of_member);
        let waiting = || self.asking().map(Target::of_asking);
        let mut remove = None;
        let sentence = match request {
            Request::Peers | Request::RotateKey => String::new(),
            Request::Kick { who } => {
                let target = find(who, here())?;
                remove = target.peer.map(|peer| (peer, false));
                format!("put {target} out; they may come back")
            }
            Request::Ban { who } => {
                let approved = self.approved().map(Target::of_known);
                let target = find(who, here().chain(waiting()).chain(approved))?;
                remove = target.peer.map(|peer| (peer, true));
                self.ban(&target)?;
                format!("banned {target}. {}", lasting(self.lists.approval, keyed))
            }
            Request::Deny { who } => {
                let target = find(who, waiting())?;
                self.ban(&target)?;
                format!("turned {target} away")
            }
            Request::Unban { who } => {
                let target = find(who, self.banned().map(Target::of_known))?;
                self.lists.banned.remove(&target.identity);
                format!("{target} is no longer banned")
            }
            Request::Approve { who } => {
                let banned = self.banned().map(Target::of_known);
                let target = find(who, waiting().chain(here()).chain(banned))?;
                self.approve(&target)?;
                format!("{target} may come in")
            }
            Request::Approval { required: true } => {
                let here: Vec<_> = here().collect();
                for target in here {
                    self.approve(&target)?;
                }
                self.lists.approval = true;
                "newcomers wait from now on until you approve them; who is in the room may stay"
                    .to_owned()
            }
            Request::Approval { required: false } => {
                self.lists.approval = false;
                "newcomers come in without being approved from now on".to_owned()
            }
        };
        let changes_nothing = matches!(
            request,
            Request::Peers | Request::RotateKey | Request::Kick { .. }
        );
        if !changes_nothing {
            self.keep()
                .map_err(|error| Refusal::NotKept(error.to_string()))?;
        }
        Ok(Outcome { sentence, remove })
    }

    fn ban(&mut self, target: &Target) -> Result<(), Refusal> {
        self.asking.remove(&target.identity);
        self.lists.approved.remove(&target.identity);
        list(&mut self.lists.banned, target)
    }

    fn approve(&mut self, target: &Target) -> Result<(), Refusal> {
        self.asking.remove(&target.identity);
        self.lists.banned.remove(&target.identity);
        list(&mut self.lists.approved, target)
    }

    fn keep(&self) -> Result<(), PrivateFileError> {
        let content = serde_json::to_vec_pretty(&self.lists).map_err(|error| {
            let (action, path) = ("write down", self.path.clone());
            let source = error.into();
            PrivateFileError::Io {
                action,
                path,
                source,
            }
        })?;
        private_file::write(&self.path, &content)
    }
}

fn list(names: &mut Names, target: &Target) -> Result<(), Refusal> {
    if names.len() >= MAX_LISTED && !names.contains_key(&target.identity) {
        return Err(Refusal::Full);
    }
    names.insert(target.identity, target.name.clone());
    Ok(())
}

fn known(names: &Names) -> impl Iterator<Item = Known> {
    names.iter().map(|(identity, name)| Known {
        name: name.clone(),
        identity: *identity,
    })
}

/// How long a ban holds.
const fn lasting(approval: bool, keyed: bool) -> &'static str {
    match (approval, keyed) {
        (true, _) => "Newcomers need your approval, so they stay out unless you approve them.",
        (false, true) => {
            "This lasts only as long as they keep their identity: with the invite they can make a new one. \
             Require approval (`lanparty-gateway approval on`) or make a new key (`lanparty-gateway rotate-key`) to keep them out."
        }
        (false, false) => {
            "This lasts only as long as they keep their identity: whoever knows the room's name can make a new one. \
             Require approval (`lanparty-gateway approval on`) or start the gateway with --new-room to keep them out."
        }
    }
}

/// Whom the host means: a peer's number, a name, or the first digits of an
/// identity.
fn find(who: &str, candidates: impl Iterator<Item = Target>) -> Result<Target, Refusal> {
    let candidates: BTreeMap<Identity, Target> = candidates
        .collect::<Vec<_>>()
        .into_iter()
        .rev()
        .map(|target| (target.identity, target))
        .collect();
    let number: Option<u16> = who.parse().ok();
    let by_number = |target: &&Target| {
        let peer = target.peer.map(PeerId::get);
        peer.is_some() && peer == number
    };
    let by_name = |target: &&Target| target.name == who;
    let digits = who.to_ascii_lowercase();
    let by_identity = |target: &&Target| {
        digits.len() >= MIN_IDENTITY_DIGITS && target.identity.to_string().starts_with(&digits)
    };
    let tests: [&dyn Fn(&&Target) -> bool; 3] = [&by_number, &by_name, &by_identity];
    for test in tests {
        let mut found = candidates.values().filter(test);
        match (found.next(), found.next()) {
            (Some(one), None) => return Ok(one.clone()),
            (Some(_), Some(_)) => return Err(Refusal::Ambiguous(who.to_owned())),
            (None, _) => {}
        }
    }
    Err(Refusal::Nobody(who.to_owned()))
}

impl Target {
    fn of_member(info: &PeerInfo) -> Self {
        Self {
            identity: Identity(info.key_card.identity),
            name: info.name.to_string(),
            peer: Some(info.peer),
        }
    }

    fn of_asking(asking: &Asking) -> Self {
        Self {
            identity: asking.identity,
            name: asking.name.to_string(),
            peer: None,
        }
    }

    fn of_known(known: Known) -> Self {
        Self {
            identity: known.identity,
            name: known.name,
            peer: None,
        }
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.peer {
            Some(peer) => write!(f, "{} (peer {})", self.name, peer.get()),
            None => write!(f, "{} ({:.8})", self.name, self.identity),
        }
    }
}

/// Identities as JSON texts.
mod pairs {
    use serde::{Deserialize as _, Deserializer, Serializer};

    use super::{Known, Names, known};

    pub(super) fn serialize<S: Serializer>(names: &Names, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(known(names))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Names, D::Error> {
        let known = Vec::<Known>::deserialize(from)?.into_iter();
        Ok(known.map(|known| (known.identity, known.name)).collect())
    }
}

#[cfg(test)]
mod tests;
