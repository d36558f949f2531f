//! The host's say: who is banned, who is let in, who is put out.

use std::collections::BTreeMap;
use std::time::Instant;

use lanparty_ctrl::{Access, Asking, CloseCode, Hello, Identity, Message, Remove, Role};
use rand::{CryptoRng, Rng};

use crate::admission::{Applicant, Refusal};
use crate::connection::{Conn, Seat};
use crate::core::RelayCore;
use crate::limits::Limits;
use crate::room::Room;

/// Newcomers that the gateway was told of and has not decided about. More
/// wait without being named, so that a holder of the key with many identities
/// cannot fill the gateway's screen or our memory.
const MAX_ASKED: usize = 64;

/// What the host of a room has said, for as long as somebody is in the room.
#[derive(Debug, Default)]
pub(crate) struct Hosting {
    access: Access,
    /// Whose word that is. Never shut out by it.
    host: Option<Identity>,
    /// Whom the present gateway was asked about, and when.
    asked: BTreeMap<Identity, Instant>,
}

impl Hosting {
    pub(crate) fn is_banned(&self, applicant: &Applicant) -> bool {
        let identity = Identity(*applicant.identity());
        !self.is_host(&identity, applicant.owner.role) && self.access.banned.contains(&identity)
    }

    fn is_host(&self, identity: &Identity, role: Role) -> bool {
        role == Role::Gateway && self.host.as_ref() == Some(identity)
    }

    /// Why this member may not be in the room, if so.
    fn shuts_out(&self, identity: &Identity, role: Role) -> Option<CloseCode> {
        if self.is_host(identity, role) {
            None
        } else if self.access.banned.contains(identity) {
            Some(CloseCode::Removed)
        } else if self.access.approval && !self.access.approved.contains(identity) {
            Some(CloseCode::ApprovalPending)
        } else {
            None
        }
    }

    /// A gateway that has just come knows nothing of who was asked about.
    pub(crate) fn gateway_changed(&mut self) {
        self.asked.clear();
    }
}

impl Room {
    /// Whether the host's word is missing. Asks for it where that was not done.
    pub(crate) fn check_approval(
        &mut self,
        applicant: &Applicant,
        hello: &Hello,
        limits: &Limits,
        now: Instant,
    ) -> Result<(), (Refusal, Option<(Conn, Message)>)> {
        let identity = Identity(*applicant.identity());
        if self
            .hosting
            .shuts_out(&identity, applicant.owner.role)
            .is_none()
        {
            return Ok(());
        }
        let refusal = Refusal {
            retry_after_ms: u32::try_from(limits.approval_retry.as_millis()).ok(),
            ..Refusal::plain(CloseCode::ApprovalPending)
        };
        let question = self.question(identity, hello, limits, now);
        Err((refusal, question))
    }

    fn question(
        &mut self,
        identity: Identity,
        hello: &Hello,
        limits: &Limits,
        now: Instant,
    ) -> Option<(Conn, Message)> {
        let gateway = self.gateway.and_then(|peer| self.members.get(&peer))?;
        let asked = &mut self.hosting.asked;
        asked.retain(|_, at| now.saturating_duration_since(*at) < limits.ask_again);
        if asked.len() >= MAX_ASKED || asked.contains_key(&identity) {
            return None;
        }
        asked.insert(identity, now);
        let asking = Asking {
            identity,
            name: hello.name.clone(),
            role: hello.role,
            mac: hello.mac,
        };
        Some((gateway.conn, Message::Asking(Box::new(asking))))
    }
}

impl<R: Rng + CryptoRng> RelayCore<R> {
    pub(crate) fn set_access(&mut self, seat: Seat, access: Access, now: Instant) {
        let Some(room) = self.rooms.get_mut(&seat.room) else {
            return;
        };
        let hosting = &mut room.hosting;
        hosting.host = room
            .members
            .get(&seat.peer)
            .map(|gateway| Identity(gateway.owner.identity));
        hosting.asked.retain(|identity, _| {
            !access.banned.contains(identity) && !access.approved.contains(identity)
        });
        hosting.access = access;
        let shut_out: Vec<(Conn, CloseCode)> = room
            .members
            .values()
            .filter_map(|member| {
                let identity = Identity(member.owner.identity);
                let code = hosting.shuts_out(&identity, member.owner.role)?;
                Some((member.conn, code))
            })
            .collect();
        for (conn, code) in shut_out {
            self.turn_away(conn, code, code.sentence().to_owned(), now);
        }
    }

    pub(crate) fn remove_member(&mut self, seat: Seat, remove: Remove, now: Instant) {
        let Some(room) = self.rooms.get_mut(&seat.room) else {
            return;
        };
        let member = room.members.get(&remove.peer);
        // Gone already, or the host's own slip.
        let Some(member) = member.filter(|_| remove.peer != seat.peer) else {
            return;
        };
        let conn = member.conn;
        if remove.ban {
            let identity = Identity(member.owner.identity);
            let banned = &mut room.hosting.access.banned;
            if !banned.contains(&identity) {
                // Where the list is full, the host's next one decides.
                let _pushed = banned.push(identity);
            }
        }
        let code = CloseCode::Removed;
        self.turn_away(conn, code, code.sentence().to_owned(), now);
    }
}
