//! The policy together with the table: the one part of the table that knows
//! the policy, which itself asks the table whose an address is.

use lanparty_obs::DropReason;

use super::IpBindings;
use crate::context::{Context, Direction};
use crate::policy;
use crate::verdict::{Passed, Refused};

impl IpBindings {
    /// Checks a player's frame against the policy with this table, claims the
    /// address where it is free, and notes its use.
    ///
    /// A frame whose address is still being probed for is refused; hosts ask
    /// again.
    ///
    /// # Errors
    /// As [`policy::check`].
    pub fn police(
        &mut self,
        frame: &[u8],
        direction: Direction,
        context: &Context<'_>,
    ) -> Result<Passed, DropReason> {
        let now = context.now;
        let mut verdict = self.evaluate(frame, direction, context);
        // A neighbour advertisement names two addresses: source and target.
        for _ in 0..2 {
            let Err(refused) = verdict else { break };
            let (Some(address), Some(sender)) = (refused.claim, context.sender) else {
                break;
            };
            if !self.claim(address, sender, now) {
                break;
            }
            verdict = self.evaluate(frame, direction, context);
        }
        let passed = verdict.map_err(|refused| refused.reason)?;
        if let (Direction::PlayerToLan, Some(sender), Some(address)) =
            (direction, context.sender, passed.speaks_for)
        {
            match self.bound.get_mut(&address) {
                Some(binding) => binding.last_used = now,
                // The player's own probe starts ours.
                None => {
                    self.claim(address, sender, now);
                }
            }
        }
        Ok(passed)
    }

    fn evaluate(
        &self,
        frame: &[u8],
        direction: Direction,
        context: &Context<'_>,
    ) -> Result<Passed, Refused> {
        let context = Context {
            bindings: Some(self),
            ..*context
        };
        policy::evaluate(frame, direction, &context)
    }
}
