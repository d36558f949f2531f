//! Token buckets that bound what one player can do to everybody's LAN, and
//! what the LAN's broadcasts can do to the players' links.

use std::time::{Duration, Instant};

use lanparty_obs::DropReason;
use lanparty_proto::overlay::FrameCount;

use crate::verdict::Spread;

/// A sustained rate and how far it may be exceeded at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Units (frames or bytes) per second.
    pub per_second: u64,
    /// Units that may pass at once after a pause.
    pub burst: u64,
}

impl Rate {
    #[must_use]
    pub const fn new(per_second: u64, burst: u64) -> Self {
        Self { per_second, burst }
    }
}

const NANOS: u64 = 1_000_000_000;

/// A token bucket in integers: no drift, however small the steps of `now`.
#[derive(Clone, Debug)]
pub struct TokenBucket {
    rate: Rate,
    tokens: u64,
    /// Time already seen that has not yet made a whole token, in
    /// nanoseconds times tokens per second.
    remainder: u64,
    updated: Instant,
}

impl TokenBucket {
    /// A full bucket.
    #[must_use]
    pub const fn new(rate: Rate, now: Instant) -> Self {
        Self {
            rate,
            tokens: rate.burst,
            remainder: 0,
            updated: now,
        }
    }

    /// Whether `amount` could be taken.
    pub fn has(&mut self, amount: u64, now: Instant) -> bool {
        self.refill(now);
        self.tokens >= amount
    }

    /// Takes `amount`, or nothing.
    pub fn take(&mut self, amount: u64, now: Instant) -> bool {
        self.refill(now);
        let left = self.tokens.checked_sub(amount);
        self.tokens = left.unwrap_or(self.tokens);
        left.is_some()
    }

    fn refill(&mut self, now: Instant) {
        let elapsed = now.saturating_duration_since(self.updated);
        if elapsed == Duration::ZERO {
            return;
        }
        self.updated = now;
        let earned = elapsed
            .as_nanos()
            .saturating_mul(u128::from(self.rate.per_second))
            .saturating_add(u128::from(self.remainder));
        let whole = u64::try_from(earned.div_euclid(u128::from(NANOS))).unwrap_or(u64::MAX);
        self.tokens = self.tokens.saturating_add(whole).min(self.rate.burst);
        self.remainder = if self.tokens == self.rate.burst {
            0
        } else {
            u64::try_from(earned.rem_euclid(u128::from(NANOS))).unwrap_or(0)
        };
    }
}

/// The budgets of one player.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BucketLimits {
    /// Broadcast and multicast frames, except group membership.
    pub flood: Rate,
    /// IGMP and MLD: outside the flood budget, so that a busy game never
    /// loses its group, but not outside every bound: switches handle them in
    /// software.
    pub membership: Rate,
    /// DHCP requests (also within `flood`): a client sends four in its first
    /// half minute (RFC 2131, section 4.1), a starvation attack hundreds.
    pub dhcp: Rate,
    /// Frames to an address that no member has and the LAN has not shown.
    pub unknown_unicast: Rate,
    /// Every byte of every frame.
    pub bytes: Rate,
}

impl Default for BucketLimits {
    /// Chosen for parties, not measured on one:
    ///
    /// - flood 500/s, burst 1,000: server browsers send one broadcast per
    ///   port and discovery bursts stay below 300 frames; 500 full-size
    ///   frames/s are 6 Mbit/s on every other member's link. Quake-era games
    ///   that broadcast their state send 60/s or less.
    /// - unknown unicast 200/s, burst 400: only a silent host is unknown for
    ///   longer than one ARP exchange.
    /// - bytes 125 MB/s, burst 4 MB: a gigabit party LAN. Fair queueing keeps
    ///   bulk from hurting games; this only bounds a flood.
    fn default() -> Self {
        Self {
            flood: Rate::new(500, 1_000),
            membership: Rate::new(100, 400),
            dhcp: Rate::new(1, 10),
            unknown_unicast: Rate::new(200, 400),
            bytes: Rate::new(125_000_000, 4_000_000),
        }
    }
}

/// One player's buckets.
#[derive(Clone, Debug)]
pub struct PeerBuckets {
    flood: TokenBucket,
    membership: TokenBucket,
    dhcp: TokenBucket,
    unknown_unicast: TokenBucket,
    bytes: TokenBucket,
}

impl PeerBuckets {
    #[must_use]
    pub const fn new(limits: &BucketLimits, now: Instant) -> Self {
        Self {
            flood: TokenBucket::new(limits.flood, now),
            membership: TokenBucket::new(limits.membership, now),
            dhcp: TokenBucket::new(limits.dhcp, now),
            unknown_unicast: TokenBucket::new(limits.unknown_unicast, now),
            bytes: TokenBucket::new(limits.bytes, now),
        }
    }

    /// Charges a datagram of `len` bytes, whose `frames` the policy passed as
    /// far as it could see them. A fragment is charged as what it is cut from.
    ///
    /// `unknown_unicast`: the destination is neither a member nor an address
    /// that the LAN has shown (see [`crate::mac_table`]).
    ///
    /// # Errors
    /// The budget that is used up; nothing is charged then.
    pub fn admit(
        &mut self,
        spread: Spread,
        frames: FrameCount,
        len: usize,
        unknown_unicast: bool,
        now: Instant,
    ) -> Result<(), DropReason> {
        let frames = frames.get().into();
        let len = u64::try_from(len).unwrap_or(u64::MAX);
        if !self.bytes.has(len, now) {
            return Err(DropReason::BandwidthLimited);
        }
        let allowed = match spread {
            Spread::Membership => self.membership.take(frames, now),
            Spread::Dhcp => {
                // Both or none.
                self.flood.has(frames, now)
                    && self.dhcp.take(frames, now)
                    && self.flood.take(frames, now)
            }
            Spread::Flood => self.flood.take(frames, now),
            Spread::Unicast if unknown_unicast => {
                if !self.unknown_unicast.take(frames, now) {
                    return Err(DropReason::UnknownUnicastLimited);
                }
                true
            }
            Spread::Unicast => true,
        };
        if !allowed {
            return Err(DropReason::FloodLimited);
        }
        self.bytes.take(len, now);
        Ok(())
    }
}

/// What the LAN may broadcast into the room, in frames: a storm on the
/// party's switch must not fill every player's uplink. 1,000/s is what a
/// 200-seat LAN's discovery traffic peaks at in our estimate; full-size
/// frames at that rate are 12 Mbit/s per player.
pub const LAN_FLOOD_DEFAULT: Rate = Rate::new(1_000, 2_000);

/// The room's budget for broadcast and multicast from its LAN.
#[derive(Clone, Debug)]
pub struct LanFloodBudget(TokenBucket);

impl LanFloodBudget {
    #[must_use]
    pub const fn new(rate: Rate, now: Instant) -> Self {
        Self(TokenBucket::new(rate, now))
    }

    /// Charges a frame from the LAN.
    ///
    /// # Errors
    /// `FloodLimited`. ARP and DHCP for a player are never refused by the
    /// storm: give frames for one member only, and charge floods alone.
    pub fn admit(&mut self, spread: Spread, now: Instant) -> Result<(), DropReason> {
        match spread {
            Spread::Unicast | Spread::Membership => Ok(()),
            Spread::Flood | Spread::Dhcp if self.0.take(1, now) => Ok(()),
            Spread::Flood | Spread::Dhcp => Err(DropReason::FloodLimited),
        }
    }
}
