//! The host's part in the running gateway: the invite as soon as the relay is
//! known, and the commands over the local socket.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use lanparty_client_core::Session;
use lanparty_ctrl::{Asking, Identity, PeerInfo};
use lanparty_net::Invite;
use lanparty_os::answer_socket::requests::RequestSocket;
use lanparty_seal::RoomKey;
use lanparty_transport as transport;
use rand::rngs::StdRng;

use crate::access::Host;
use crate::cli::QrArgs;
use crate::commands::{Answer, Known, Member, Peers, ROTATED, Request};
use crate::console::say;
use crate::failure::Failure;
use crate::invite::{self, Inviting};
use crate::room::{self, OwnRoom};

/// From the announcement of a new key to the move: the letters to a full room
/// take a fraction of it.
const MOVE_AFTER: Duration = Duration::from_secs(2);

#[derive(Debug)]
pub(crate) struct Hosting {
    inviting: Inviting,
    directory: PathBuf,
    qr: QrArgs,
    host: Host,
    requests: RequestSocket,
    /// The invite by the key that the relay showed last.
    invite: Option<Invite>,
    announced: bool,
    /// Whether the key is this gateway's to replace.
    own: bool,
    rng: StdRng,
    moving: Option<Moving>,
}

/// A new room that takes this one's place, and when.
#[derive(Debug)]
struct Moving {
    next: OwnRoom,
    at: Instant,
}

/// Where a member is on the LAN, as far as the bridge knows.
pub(crate) type Addresses<'a> = &'a dyn Fn(&PeerInfo) -> Vec<std::net::IpAddr>;

impl Hosting {
    pub(crate) const fn new(
        inviting: Inviting,
        directory: PathBuf,
        qr: QrArgs,
        host: Host,
        requests: RequestSocket,
        own: bool,
        rng: StdRng,
    ) -> Self {
        Self {
            inviting,
            directory,
            qr,
            host,
            requests,
            invite: None,
            announced: false,
            own,
            rng,
            moving: None,
        }
    }

    /// When the gateway goes on to its next room.
    pub(crate) fn moves_at(&self) -> Option<Instant> {
        self.moving.as_ref().map(|moving| moving.at)
    }

    /// The next room, once.
    pub(crate) fn take_next_room(&mut self) -> Option<OwnRoom> {
        self.moving.take().map(|moving| moving.next)
    }

    /// The gateway serves the next room from now on.
    pub(crate) fn moved(&mut self, key: RoomKey, host: Host) {
        self.inviting.key = Some(key);
        self.host = host;
        self.invite = None;
        self.announced = false;
    }

    pub(crate) const fn requests(&self) -> &RequestSocket {
        &self.requests
    }

    /// The relay proved that it has this key.
    pub(crate) fn relay_shown(&mut self, identity: transport::Identity) {
        let kept = self.inviting.invite(identity).and_then(|invite| {
            if self.invite.as_ref() != Some(&invite) {
                invite::save(&self.directory, &invite)?;
                self.invite = Some(invite);
            }
            Ok(())
        });
        if let Err(error) = kept {
            tracing::warn!(%error, "the invite could not be kept");
        }
    }

    /// Once, and not before the room is there to be joined.
    pub(crate) fn joined(&mut self) {
        if let (false, Some(invite)) = (self.announced, &self.invite) {
            self.announced = true;
            invite::announce(invite, self.qr);
        }
    }

    pub(crate) fn peer_joined(&mut self, info: &PeerInfo) {
        self.host.joined(Identity(info.key_card.identity));
    }

    pub(crate) fn asked(&mut self, asking: Asking) {
        let name = asking.name.clone();
        let digits = format!("{:.8}", asking.identity);
        if self.host.asked(asking) {
            say(format_args!(
                "{name} asks to be let in: `lanparty-gateway approve {digits}` or `lanparty-gateway deny {digits}`"
            ));
        }
    }

    /// Answers the commands that have come in.
    pub(crate) fn answer_all(
        &mut self,
        session: &mut Session,
        addresses: Addresses<'_>,
        now: Instant,
    ) {
        let requests: Vec<_> = self.requests.requests().collect();
        for request in requests {
            let answer = match request.document() {
                Ok(command) => self.answer(&command, session, addresses, now),
                Err(_) => Answer::Refused(
                    "the running gateway does not know this command; are both the same version?"
                        .to_owned(),
                ),
            };
            request.answer(&answer);
        }
    }

    fn answer(
        &mut self,
        command: &Request,
        session: &mut Session,
        at: Addresses<'_>,
        now: Instant,
    ) -> Answer {
        let present: Vec<_> = session.roster().iter().collect();
        if *command == Request::Peers {
            return Answer::Peers(Box::new(self.peers(session, &present, at)));
        }
        let needs_relay = matches!(command, Request::Kick { .. } | Request::RotateKey);
        if needs_relay && !session.is_joined() {
            return Answer::Refused("the relay cannot be reached just now; try again".to_owned());
        }
        if *command == Request::RotateKey {
            return match self.rotate(session, now) {
                Ok(()) => Answer::Done(ROTATED.to_owned()),
                Err(failure) => Answer::Refused(failure.to_string()),
            };
        }
        let keyed = self.inviting.key.is_some();
        match self.host.command(command, &present, keyed) {
            Ok(outcome) => {
                if let Some((peer, ban)) = outcome.remove {
                    session.remove(peer, ban, now);
                }
                session.set_access(self.host.access(), now);
                Answer::Done(outcome.sentence)
            }
            Err(refusal) => Answer::Refused(refusal.to_string()),
        }
    }

    /// Members hear of the new key in the old room, sealed to each of them, and
    /// get a moment for it. Nobody who comes later does: a friend who was away
    /// cannot be told from a banned holder of the invite with a new identity.
    fn rotate(&mut self, session: &mut Session, now: Instant) -> Result<(), Failure> {
        if !self.own {
            return Err(Failure::NoOwnRoom);
        }
        if self.moving.is_some() {
            return Err(Failure::Moving);
        }
        let next = room::rotate(&self.directory, &mut self.rng)?;
        invite::rekey(&self.directory, &next.key)?;
        session.announce_next_key(&next.key, now);
        let at = now + MOVE_AFTER;
        self.moving = Some(Moving { next, at });
        Ok(())
    }

    fn peers(&self, session: &Session, present: &[&PeerInfo], addresses: Addresses<'_>) -> Peers {
        let members = present.iter().map(|info| Member {
            peer: info.peer.get(),
            role: info.role,
            name: info.name.to_string(),
            mac: info.mac,
            addresses: addresses(info),
            identity: Identity(info.key_card.identity),
            standing: session.standing(info.peer),
        });
        let asking = self.host.asking().map(|asking| Known {
            name: asking.name.to_string(),
            identity: asking.identity,
        });
        Peers {
            room: self.inviting.room.to_string(),
            keyed: self.inviting.key.is_some(),
            approval: self.host.approval(),
            members: members.collect(),
            asking: asking.collect(),
            approved: self.host.approved().collect(),
            banned: self.host.banned().collect(),
        }
    }
}
