//! Who else is in the room.

use std::collections::BTreeMap;

use lanparty_ctrl::{PeerInfo, Role};
use lanparty_proto::{MacAddr, PeerId};

/// The other members, by peer id and by MAC address.
///
/// When the connection is lost, members stay listed until they are confirmed
/// again or given up, so that a relay that restarts does not make a party's
/// worth of adapters forget each other.
#[derive(Clone, Debug, Default)]
pub struct Roster {
    peers: BTreeMap<PeerId, Entry>,
    by_mac: BTreeMap<MacAddr, PeerId>,
}

#[derive(Clone, Debug)]
struct Entry {
    info: PeerInfo,
    confirmed: bool,
}

impl Roster {
    #[must_use]
    pub fn get(&self, peer: PeerId) -> Option<&PeerInfo> {
        self.peers.get(&peer).map(|entry| &entry.info)
    }

    /// The player with this registered MAC address.
    #[must_use]
    pub fn player_by_mac(&self, mac: MacAddr) -> Option<PeerId> {
        self.by_mac.get(&mac).copied()
    }

    #[must_use]
    pub fn gateway(&self) -> Option<PeerId> {
        let gateway = self.iter().find(|info| info.role == Role::Gateway);
        gateway.map(|info| info.peer)
    }

    /// All other members in the order of their ids.
    pub fn iter(&self) -> impl Iterator<Item = &PeerInfo> {
        self.peers.values().map(|entry| &entry.info)
    }

    /// The players among them, with their MAC addresses.
    pub fn players(&self) -> impl Iterator<Item = (PeerId, MacAddr)> {
        self.by_mac.iter().map(|(mac, peer)| (*peer, *mac))
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.peers.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.peers.is_empty()
    }

    /// Lists a member; returns whether this is news, and whom it displaced.
    pub(crate) fn insert(&mut self, info: PeerInfo) -> (bool, Vec<PeerInfo>) {
        if let Some(entry) = self.peers.get_mut(&info.peer)
            && entry.info == info
        {
            entry.confirmed = true;
            return (false, Vec::new());
        }
        let same_mac = info.mac.and_then(|mac| self.player_by_mac(mac));
        let same_role = (info.role == Role::Gateway)
            .then(|| self.gateway())
            .flatten();
        let displaced = [Some(info.peer), same_mac, same_role];
        let displaced = displaced.into_iter().flatten();
        let displaced = displaced.filter_map(|peer| self.remove(peer)).collect();
        if let (Role::Client, Some(mac)) = (info.role, info.mac) {
            self.by_mac.insert(mac, info.peer);
        }
        let entry = Entry {
            info,
            confirmed: true,
        };
        self.peers.insert(entry.info.peer, entry);
        (true, displaced)
    }

    pub(crate) fn remove(&mut self, peer: PeerId) -> Option<PeerInfo> {
        let info = self.peers.remove(&peer)?.info;
        if let Some(mac) = info.mac
            && self.by_mac.get(&mac) == Some(&peer)
        {
            self.by_mac.remove(&mac);
        }
        Some(info)
    }

    /// The connection is gone: nobody is certain to be there any more.
    pub(crate) fn unconfirm(&mut self) {
        for entry in self.peers.values_mut() {
            entry.confirmed = false;
        }
    }

    /// Gives up on those that were not confirmed again.
    pub(crate) fn remove_unconfirmed(&mut self) -> Vec<PeerInfo> {
        let gone = self.peers.iter().filter(|(_, entry)| !entry.confirmed);
        let gone: Vec<PeerId> = gone.map(|(peer, _)| *peer).collect();
        gone.into_iter()
            .filter_map(|peer| self.remove(peer))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use lanparty_ctrl::KeyCard;

    use super::*;

    fn player(peer: u16, mac: u8) -> PeerInfo {
        PeerInfo {
            peer: PeerId::try_from(peer).unwrap(),
            role: Role::Client,
            mac: Some(MacAddr([2, 0, 0, 0, 0, mac])),
            name: "Ann".parse().unwrap(),
            key_card: KeyCard {
                identity: [mac; 32],
                public_key: [0; 32],
                x25519: [0; 32],
                session: [0; 16],
                signature: [0; 64],
            },
        }
    }

    fn gateway(peer: u16) -> PeerInfo {
        PeerInfo {
            role: Role::Gateway,
            ..player(peer, 99)
        }
    }

    #[test]
    fn a_member_that_returns_unchanged_is_no_news() {
        let mut roster = Roster::default();
        assert_eq!(roster.insert(player(1, 1)), (true, vec![]));
        roster.unconfirm();
        assert_eq!(roster.insert(player(1, 1)), (false, vec![]));
        assert_eq!(roster.remove_unconfirmed(), vec![]);
        assert_eq!(roster.len(), 1);
    }

    #[test]
    fn a_mac_belongs_to_one_player_and_the_room_has_one_gateway() {
        let mut roster = Roster::default();
        roster.insert(player(1, 7));
        roster.insert(gateway(5));
        assert_eq!(roster.insert(player(2, 7)), (true, vec![player(1, 7)]));
        assert_eq!(roster.insert(gateway(6)), (true, vec![gateway(5)]));
        assert_eq!(roster.gateway(), Some(PeerId::try_from(6).unwrap()));
        let mac = MacAddr([2, 0, 0, 0, 0, 7]);
        assert_eq!(
            roster.player_by_mac(mac),
            Some(PeerId::try_from(2).unwrap())
        );
        assert_eq!(roster.len(), 2);
    }

    #[test]
    fn a_gateways_own_mac_is_not_a_players() {
        let mut roster = Roster::default();
        roster.insert(gateway(5));
        let mac = MacAddr([2, 0, 0, 0, 0, 99]);
        assert_eq!(roster.player_by_mac(mac), None);
        assert_eq!(roster.players().count(), 0);
    }

    #[test]
    fn who_is_not_confirmed_after_an_outage_is_gone() {
        let mut roster = Roster::default();
        roster.insert(player(1, 1));
        roster.insert(player(2, 2));
        roster.unconfirm();
        roster.insert(player(2, 2));
        assert_eq!(roster.remove_unconfirmed(), vec![player(1, 1)]);
        assert_eq!(roster.player_by_mac(MacAddr([2, 0, 0, 0, 0, 1])), None);
    }
}
