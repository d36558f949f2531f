//! This member's own card and the private half of its X25519 key.

use std::time::{Duration, Instant};

use lanparty_ctrl::{KeyCard, Role};
use lanparty_proto::MacAddr;
use rand::{CryptoRng, Rng};

use crate::letter::PrivateKey;
use crate::signer::Signer;

/// How long an X25519 key serves. What was sealed to it stays secret from
/// whoever seizes the machine later.
pub(crate) const RENEW_AFTER: Duration = Duration::from_secs(3_600);
/// How long letters to the key before are still read.
const FORGET_AFTER: Duration = Duration::from_secs(30);

/// The card of a session in a room without a key: nothing is ever sealed to
/// it, so the private half of its X25519 key is not kept.
pub fn clear_card(
    signer: &Signer,
    role: Role,
    mac: Option<MacAddr>,
    rng: &mut impl CryptoRng,
    now: Instant,
) -> KeyCard {
    OwnCard::new(signer, role, mac, rng, now).card
}

#[derive(Debug)]
pub(crate) struct OwnCard {
    pub(crate) card: KeyCard,
    /// Counts the keys of this session.
    pub(crate) number: u32,
    private: PrivateKey,
    previous: Option<(PrivateKey, Instant)>,
    renew_at: Instant,
}

impl OwnCard {
    pub(crate) fn new(
        signer: &Signer,
        role: Role,
        mac: Option<MacAddr>,
        rng: &mut impl CryptoRng,
        now: Instant,
    ) -> Self {
        let (private, x25519) = PrivateKey::generate(rng);
        let card = KeyCard {
            identity: signer.identity(),
            public_key: *signer.public_key(),
            x25519,
            session: rng.random(),
            signature: [0; 64],
        };
        Self {
            card: signed(card, signer, role, mac),
            number: 0,
            private,
            previous: None,
            renew_at: now + RENEW_AFTER,
        }
    }

    /// Makes a new key where the present one has served its time.
    pub(crate) fn renew(
        &mut self,
        signer: &Signer,
        role: Role,
        mac: Option<MacAddr>,
        rng: &mut impl CryptoRng,
        now: Instant,
    ) -> bool {
        if now < self.renew_at {
            return false;
        }
        let (private, x25519) = PrivateKey::generate(rng);
        let previous = std::mem::replace(&mut self.private, private);
        self.previous = Some((previous, now + FORGET_AFTER));
        let card = KeyCard {
            x25519,
            ..self.card
        };
        self.card = signed(card, signer, role, mac);
        self.number = self.number.saturating_add(1);
        self.renew_at = now + RENEW_AFTER;
        true
    }

    /// Lets the present key end before its time.
    pub(crate) const fn renew_now(&mut self, now: Instant) {
        self.renew_at = now;
    }

    /// Forgets the key before, where its time has come.
    pub(crate) fn forget(&mut self, now: Instant) -> bool {
        self.previous.take_if(|(_, until)| *until <= now).is_some()
    }

    pub(crate) fn private(&self, number: u32) -> Option<&PrivateKey> {
        if number == self.number {
            Some(&self.private)
        } else if Some(number) == self.number.checked_sub(1) {
            self.previous.as_ref().map(|(private, _)| private)
        } else {
            None
        }
    }

    pub(crate) fn next_wakeup(&self) -> Instant {
        let forget = self.previous.as_ref().map(|(_, until)| *until);
        forget.map_or(self.renew_at, |until| until.min(self.renew_at))
    }
}

fn signed(mut card: KeyCard, signer: &Signer, role: Role, mac: Option<MacAddr>) -> KeyCard {
    card.signature = signer.sign(&card.signed_bytes(mac, role));
    card
}
