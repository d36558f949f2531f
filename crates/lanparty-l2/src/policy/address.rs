//! Whether a player may use an IP address.

use std::net::IpAddr;

use lanparty_obs::DropReason;
use lanparty_proto::MacAddr;

use crate::bindings::Standing;
use crate::context::Context;
use crate::verdict::Refused;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    /// Send from the address, or say that one has it.
    Speak,
    /// Ask whether it is free.
    Probe,
}

/// Returns the address where the frame may pass. The reason in a refusal is
/// the caller's to set ([`Refused::because`]).
pub(super) fn check(
    address: IpAddr,
    purpose: Use,
    sender: MacAddr,
    context: &Context<'_>,
) -> Result<Option<IpAddr>, Refused> {
    let Some(bindings) = context.bindings else {
        return Ok(Some(address));
    };
    let refused = |claim| {
        Err(Refused {
            reason: DropReason::SourceIp,
            claim,
        })
    };
    match (bindings.standing(address, sender, context.now), purpose) {
        (Standing::Own, _) | (Standing::Free | Standing::Unclaimable, Use::Probe) => {
            Ok(Some(address))
        }
        (Standing::Free, Use::Speak) => refused(Some(address)),
        (Standing::Unclaimable, Use::Speak) | (Standing::Anothers, _) => refused(None),
    }
}
