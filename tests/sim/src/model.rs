//! What must be true, told in the simplest way that can be told.

use std::collections::BTreeMap;

use lanparty_proto::{MacAddr, PeerId};

use crate::network::ConnId;

/// A broken invariant, with what shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The invariant's name in the design: "I1", "I2", ...
    pub invariant: &'static str,
    pub what: String,
}

/// One frame that somebody sent, known by its mark.
#[derive(Clone, Debug)]
pub struct Sent {
    pub room: usize,
    pub sender: usize,
    pub destination: MacAddr,
    pub frame: Vec<u8>,
    /// A frame that no honest member would send and nobody may receive.
    pub forbidden: bool,
    /// Sent in a room with a key, where nothing comes twice.
    pub once: bool,
    pub received_by: Vec<usize>,
}

/// Who is who, as far as the outside can see it.
#[derive(Debug, Default)]
pub struct Model {
    /// The room, number and MAC address of each connection that was welcomed.
    pub seats: BTreeMap<ConnId, Seat>,
    pub sent: BTreeMap<u64, Sent>,
    pub violations: Vec<Violation>,
}

/// What the relay told one connection in Welcome, and what that connection
/// said in Hello.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seat {
    pub member: usize,
    pub room: usize,
    pub peer: PeerId,
    /// `None` for a gateway, which speaks for a whole LAN.
    pub mac: Option<MacAddr>,
}

impl Model {
    pub fn violated(&mut self, invariant: &'static str, what: String) {
        self.violations.push(Violation { invariant, what });
    }

    /// The relay lets a datagram out that came in from `from`.
    pub fn forwarded(
        &mut self,
        from: ConnId,
        to: ConnId,
        source: PeerId,
        source_mac: Option<MacAddr>,
    ) {
        if from == to {
            self.violated(
                "I1",
                format!("connection {from} gets its own datagram back"),
            );
        }
        let (Some(sender), Some(receiver)) =
            (self.seats.get(&from).copied(), self.seats.get(&to).copied())
        else {
            // A Welcome that is still on its way: the member cannot have sent.
            if !self.seats.contains_key(&from) {
                self.violated(
                    "I2",
                    format!("connection {from} sends before it was welcomed"),
                );
            }
            return;
        };
        if sender.room != receiver.room {
            self.violated(
                "I1",
                format!(
                    "a datagram of room {} reaches room {}",
                    sender.room, receiver.room
                ),
            );
        }
        if sender.peer != source {
            self.violated("I2", format!("{} appears as {source}", sender.peer));
        }
        if let (Some(own), Some(claimed)) = (sender.mac, source_mac)
            && own != claimed
        {
            self.violated("I3", format!("the player with {own} appears as {claimed}"));
        }
    }

    /// A member's program gets a frame.
    pub fn received(&mut self, member: usize, room: usize, mark: Option<u64>, frame: &[u8]) {
        let Some(mark) = mark else { return };
        let Some(sent) = self.sent.get_mut(&mark) else {
            return self.violated(
                "I4",
                format!("member {member} gets a frame that nobody sent"),
            );
        };
        let mut broken = Vec::new();
        if sent.room != room {
            broken.push((
                "I1",
                format!("frame {mark:x} of room {} reaches room {room}", sent.room),
            ));
        }
        if sent.sender == member {
            broken.push(("I1", format!("frame {mark:x} comes back to its sender")));
        }
        if sent.forbidden {
            broken.push((
                "I3",
                format!("forbidden frame {mark:x} reaches member {member}"),
            ));
        }
        if sent.frame != frame {
            broken.push(("I4", format!("frame {mark:x} was changed on its way")));
        }
        if sent.once && sent.received_by.contains(&member) {
            broken.push((
                "A6",
                format!("frame {mark:x} reaches member {member} twice"),
            ));
        }
        sent.received_by.push(member);
        for (invariant, what) in broken {
            self.violated(invariant, what);
        }
    }
}
