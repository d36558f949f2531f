//! Minting of peer ids, and the quarantine of those given back.

use std::collections::BTreeMap;
use std::time::Instant;

use lanparty_proto::PeerId;
use rand::Rng;

use crate::connection::Owner;

/// Random draws before the search becomes systematic. At a quarter of the
/// space taken, 32 draws miss with a probability of 2^-64.
const DRAWS: u32 = 32;

/// Ids that left the room and may not be given to anybody else for a while,
/// because the others may still hold state or packets of their last owner.
#[derive(Debug, Default)]
pub(crate) struct Quarantine(BTreeMap<PeerId, Retired>);

#[derive(Debug)]
struct Retired {
    owner: Owner,
    until: Instant,
}

impl Quarantine {
    /// More ids than this are never held back: the one that would be free
    /// first goes. Bounds what a member that joins and leaves in a loop can
    /// occupy, to a quarter of the id space.
    const MAX: usize = 16_384;

    pub(crate) fn retire(&mut self, peer: PeerId, owner: Owner, until: Instant, now: Instant) {
        self.0.retain(|_, retired| retired.until > now);
        if self.0.len() >= Self::MAX {
            let first = self.0.iter().min_by_key(|(_, retired)| retired.until);
            if let Some((&first, _)) = first {
                self.0.remove(&first);
            }
        }
        self.0.insert(peer, Retired { owner, until });
    }

    /// Whether the id may go to this owner now.
    pub(crate) fn allows(&self, peer: PeerId, owner: &Owner, now: Instant) -> bool {
        self.0
            .get(&peer)
            .is_none_or(|retired| retired.until <= now || retired.owner == *owner)
    }

    /// The id that this owner had last, if it is still held back for it.
    pub(crate) fn of(&self, owner: &Owner, now: Instant) -> Option<PeerId> {
        self.0
            .iter()
            .find(|(_, retired)| retired.owner == *owner && retired.until > now)
            .map(|(&peer, _)| peer)
    }

    pub(crate) fn release(&mut self, peer: PeerId) {
        self.0.remove(&peer);
    }
}

/// A random id for which `is_free` holds; `None` where the space is exhausted.
pub(crate) fn mint(rng: &mut impl Rng, is_free: impl Fn(PeerId) -> bool) -> Option<PeerId> {
    let drawn = (0..DRAWS).find_map(|_| {
        PeerId::try_from(rng.random::<u16>())
            .ok()
            .filter(|&peer| is_free(peer))
    });
    drawn.or_else(|| {
        (0..=u16::MAX)
            .filter_map(|raw| PeerId::try_from(raw).ok())
            .find(|&peer| is_free(peer))
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use lanparty_ctrl::Role;
    use lanparty_proto::peer;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    #[expect(clippy::disallowed_methods, reason = "any moment will do")]
    fn start() -> Instant {
        Instant::now()
    }

    fn id(raw: u16) -> PeerId {
        PeerId::try_from(raw).unwrap()
    }

    fn owner(byte: u8) -> Owner {
        Owner {
            identity: [byte; 32],
            role: Role::Client,
        }
    }

    #[test]
    fn minting_finds_the_last_free_id_and_then_gives_up() {
        let mut rng = StdRng::seed_from_u64(3);
        assert_eq!(mint(&mut rng, |peer| peer == id(40_000)), Some(id(40_000)));
        assert_eq!(mint(&mut rng, |_| false), None);
    }

    #[test]
    fn minted_ids_are_never_the_reserved_ones() {
        let mut rng = StdRng::seed_from_u64(4);
        for _ in 0..200_000 {
            let raw = mint(&mut rng, |_| true).unwrap().get();
            assert!(raw != peer::RELAY && raw != peer::EVERYONE);
        }
    }

    #[test]
    fn a_retired_id_waits_for_its_owner_only() {
        let start = start();
        let until = start + Duration::from_secs(600);
        let mut quarantine = Quarantine::default();
        quarantine.retire(id(5), owner(1), until, start);
        assert!(quarantine.allows(id(5), &owner(1), start));
        assert!(!quarantine.allows(id(5), &owner(2), start));
        assert_eq!(quarantine.of(&owner(1), start), Some(id(5)));
        assert!(quarantine.allows(id(5), &owner(2), until));
        assert_eq!(quarantine.of(&owner(1), until), None);
    }

    #[test]
    fn the_quarantine_is_bounded_and_forgets_the_oldest_first() {
        let start = start();
        let mut quarantine = Quarantine::default();
        for raw in 1..=(Quarantine::MAX as u16 + 1) {
            let until = start + Duration::from_secs(600) + Duration::from_millis(raw.into());
            quarantine.retire(id(raw), owner(raw as u8), until, start);
        }
        assert_eq!(quarantine.0.len(), Quarantine::MAX);
        assert!(quarantine.allows(id(1), &owner(0xEE), start));
        assert!(!quarantine.allows(id(2), &owner(0xEE), start));
    }
}
