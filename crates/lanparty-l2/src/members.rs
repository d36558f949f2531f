//! Who is in the room, as far as a frame's addresses can tell.

use std::collections::{BTreeMap, BTreeSet};

use lanparty_proto::MacAddr;

/// The MAC addresses of the room's players.
pub trait Members {
    fn contains_mac(&self, mac: MacAddr) -> bool;
}

impl Members for BTreeSet<MacAddr> {
    fn contains_mac(&self, mac: MacAddr) -> bool {
        self.contains(&mac)
    }
}

impl<V> Members for BTreeMap<MacAddr, V> {
    fn contains_mac(&self, mac: MacAddr) -> bool {
        self.contains_key(&mac)
    }
}

impl Members for [MacAddr] {
    fn contains_mac(&self, mac: MacAddr) -> bool {
        self.contains(&mac)
    }
}

impl<const N: usize> Members for [MacAddr; N] {
    fn contains_mac(&self, mac: MacAddr) -> bool {
        self.contains(&mac)
    }
}
