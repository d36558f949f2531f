//! What the policy says of a frame.

use std::net::IpAddr;

use lanparty_obs::DropReason;

use crate::class::Class;
use crate::link::Tag;

/// Which budget a frame is charged to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spread {
    Unicast,
    Flood,
    /// A broadcast DHCP request.
    Dhcp,
    /// IGMP and MLD reports, outside the flood budget.
    Membership,
}

/// A frame that may go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Passed {
    pub class: Class,
    pub spread: Spread,
    /// The IP address that the frame speaks from, or asks whether it may take
    /// (ARP probe, duplicate address detection).
    pub speaks_for: Option<IpAddr>,
}

impl Passed {
    /// The edges strip the tag before they pass the frame on
    /// ([`crate::link::strip_priority_tag`]).
    #[must_use]
    pub fn has_priority_tag(&self) -> bool {
        self.class.link.tag == Tag::Priority
    }
}

/// A drop, with the address that would have to be claimed first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    pub reason: DropReason,
    /// Nobody has this address; [`crate::bindings::IpBindings::claim`] may
    /// give it to the sender.
    pub claim: Option<IpAddr>,
}

impl Refused {
    /// The same refusal under another reason.
    pub(crate) const fn because(self, reason: DropReason) -> Self {
        Self { reason, ..self }
    }
}

impl From<DropReason> for Refused {
    fn from(reason: DropReason) -> Self {
        Self {
            reason,
            claim: None,
        }
    }
}
