//! Sealed messages between members: passed on unread, each pair within its
//! budget.

use std::collections::BTreeMap;
use std::time::Instant;

use lanparty_ctrl::{Message, Sealed, encode};
use lanparty_l2::buckets::TokenBucket;
use lanparty_proto::PeerId;
use rand::{CryptoRng, Rng};

use crate::connection::Seat;
use crate::core::RelayCore;
use crate::effect::Effect;
use crate::limits::Limits;

/// What each member may still say to each other one.
///
/// A pair has a budget of its own, so that nobody can use up what others need
/// to reach a member, nor fill that member's control stream alone. Bounded by
/// the pairs of a room.
#[derive(Debug, Default)]
pub(crate) struct SealedBudgets(BTreeMap<(PeerId, PeerId), TokenBucket>);

impl SealedBudgets {
    fn take(
        &mut self,
        from: PeerId,
        to: PeerId,
        bytes: u64,
        limits: &Limits,
        now: Instant,
    ) -> bool {
        self.0
            .entry((from, to))
            .or_insert_with(|| TokenBucket::new(limits.sealed_bytes, now))
            .take(bytes, now)
    }

    pub(crate) fn forget(&mut self, peer: PeerId) {
        self.0.retain(|&(from, to), _| from != peer && to != peer);
    }
}

impl<R: Rng + CryptoRng> RelayCore<R> {
    /// Passes a message on to one member, or to all others.
    pub(crate) fn pass_on(&mut self, seat: Seat, sealed: Sealed, now: Instant) {
        let Some(room) = self.rooms.get_mut(&seat.room) else {
            return;
        };
        let bytes = u64::try_from(sealed.body.as_bytes().len()).unwrap_or(u64::MAX);
        let Sealed { peer: to, body } = sealed;
        let message = encode(&Message::Sealed(Sealed {
            peer: Some(seat.peer),
            body,
        }));
        let others = room
            .members
            .iter()
            .filter(|&(&peer, _)| peer != seat.peer && to.is_none_or(|to| to == peer));
        let (mut passed, mut dropped) = (0_u64, 0_u64);
        for (&peer, member) in others {
            if room.sealed.take(seat.peer, peer, bytes, &self.limits, now) {
                passed = passed.saturating_add(1);
                self.effects.push_back(Effect::SendControl {
                    conn: member.conn,
                    bytes: message.clone(),
                });
            } else {
                dropped = dropped.saturating_add(1);
            }
        }
        if let Some(member) = room.members.get_mut(&seat.peer) {
            member.counters.sealed(passed, dropped);
        }
        room.counters.sealed(passed, dropped);
        self.counters.sealed(passed, dropped);
    }
}
