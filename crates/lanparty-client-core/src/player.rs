//! A player's policy: what its machine may send, and what may enter it.

use std::time::Instant;

use lanparty_ctrl::{PeerInfo, Role, RoomPolicy};
use lanparty_l2::bindings::{Confirmation, IpBindings};
use lanparty_l2::dhcp::{AddressGuard, DhcpRefusal, DhcpRewrite, Lease, UnsafeAddress};
use lanparty_l2::{
    Class, Context, Direction, Members, Passed, Place, Protocol, Rules, check, dhcp, ipv4, ipv6,
    nd, ra,
};
use lanparty_obs::DropReason;
use lanparty_proto::MacAddr;

use crate::roster::Roster;
use crate::rules::rules_of;

#[derive(Debug)]
pub(crate) struct PlayerPolicy {
    mac: MacAddr,
    rules: Rules,
    guard: AddressGuard,
    /// Keeps a fellow player from posing as the router or a LAN host: frames
    /// between players never pass the gateway.
    bindings: IpBindings,
    news: Option<DhcpNews>,
    /// What was told last: servers repeat themselves, news does not.
    told: Option<DhcpNews>,
}

/// What the party's DHCP server said to this player.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DhcpNews {
    Lease(Lease),
    Refused(UnsafeAddress),
}

/// What a frame still needs before it may enter the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rewrite {
    None,
    PriorityTag,
    Dhcp,
    RouterAdvertisement,
}

/// Every player of the room: the others and this one.
struct Everyone<'a> {
    roster: &'a Roster,
    own: MacAddr,
}

impl Members for Everyone<'_> {
    fn contains_mac(&self, mac: MacAddr) -> bool {
        mac == self.own || self.roster.player_by_mac(mac).is_some()
    }
}

impl PlayerPolicy {
    pub(crate) fn new(mac: MacAddr) -> Self {
        Self {
            mac,
            rules: Rules::default(),
            guard: AddressGuard::default(),
            bindings: IpBindings::new(Confirmation::FirstClaim),
            news: None,
            told: None,
        }
    }

    pub(crate) fn set_policy(&mut self, policy: &RoomPolicy) {
        self.rules = rules_of(policy);
    }

    pub(crate) fn set_guard(&mut self, guard: AddressGuard) {
        self.guard = guard;
    }

    pub(crate) fn forget(&mut self, player: MacAddr) {
        self.bindings.forget_player(player);
    }

    pub(crate) fn check_outgoing(
        &self,
        frame: &[u8],
        roster: &Roster,
        now: Instant,
    ) -> Result<Class, DropReason> {
        let members = Everyone {
            roster,
            own: self.mac,
        };
        let context = Context {
            place: Place::Player,
            rules: &self.rules,
            sender: Some(self.mac),
            members: &members,
            bindings: None,
            host: None,
            now,
        };
        check(frame, Direction::PlayerToLan, &context).map(|passed| passed.class)
    }

    pub(crate) fn check_incoming(
        &mut self,
        frame: &[u8],
        sender: &PeerInfo,
        roster: &Roster,
        now: Instant,
    ) -> Result<Rewrite, DropReason> {
        let members = Everyone {
            roster,
            own: self.mac,
        };
        let from_lan = sender.role == Role::Gateway;
        let context = Context {
            place: Place::Player,
            rules: &self.rules,
            sender: sender.mac.filter(|_| !from_lan),
            members: &members,
            bindings: None,
            host: None,
            now,
        };
        let passed = if from_lan {
            let passed = check(frame, Direction::LanToPlayer, &context)?;
            self.bindings
                .observe_lan(frame, &passed.class, &members, now);
            passed
        } else {
            self.bindings
                .police(frame, Direction::PlayerToLan, &context)?
        };
        let to = passed.class.link.header.destination;
        if to != self.mac && !to.is_multicast() {
            return Err(DropReason::NoSuchPeer);
        }
        Ok(Rewrite::of(&passed))
    }

    /// Applies what [`Self::check_incoming`] asked for.
    pub(crate) fn rewrite(&mut self, frame: &mut [u8], rewrite: Rewrite) -> Result<(), DropReason> {
        match rewrite {
            Rewrite::None | Rewrite::PriorityTag => Ok(()),
            Rewrite::RouterAdvertisement => ra::sanitise(frame, &self.guard).map(|_| ()),
            Rewrite::Dhcp => match dhcp::rewrite_for_player(frame, self.mac, &self.guard) {
                Ok(DhcpRewrite::Rewritten(lease)) => {
                    self.news = Some(DhcpNews::Lease(lease));
                    Ok(())
                }
                Ok(DhcpRewrite::NotDhcp) => Ok(()),
                Err(refusal) => {
                    if let DhcpRefusal::Unsafe(address) = refusal {
                        self.news = Some(DhcpNews::Refused(address));
                    }
                    Err(refusal.into())
                }
            },
        }
    }

    pub(crate) fn take_news(&mut self) -> Option<DhcpNews> {
        let news = self.news.take().filter(|news| self.told != Some(*news));
        self.told = news.or(self.told);
        news
    }
}

impl Rewrite {
    fn of(passed: &Passed) -> Self {
        let protocol = passed.class.protocol;
        if let Protocol::Ipv4(packet) = protocol
            && packet.transport == DHCP_ANSWER
        {
            Self::Dhcp
        } else if let Protocol::Ipv6(packet) = protocol
            && packet.transport == ADVERTISEMENT
        {
            Self::RouterAdvertisement
        } else if passed.has_priority_tag() {
            Self::PriorityTag
        } else {
            Self::None
        }
    }
}

const DHCP_ANSWER: ipv4::Transport = ipv4::Transport::Dhcp(dhcp::Role::Server);
const ADVERTISEMENT: ipv6::Transport = ipv6::Transport::Icmpv6(nd::Icmpv6::RouterAdvertisement);
