//! Changes of the adapter's address, carried out and told.

use lanparty_obs::stats::AddressSource;
use lanparty_os::Prefix;
use lanparty_transport::run::Context;

use super::Player;
use crate::address::Change;
use crate::failure::Failure;
use crate::platform::Platform;

impl<P: Platform> Player<P> {
    pub(super) fn apply(&mut self, cx: &mut Context<'_>, changes: Vec<Change>) {
        for change in changes {
            if let Err(failure) = self.apply_one(cx, change) {
                self.leave(cx, Err(failure));
                return;
            }
        }
    }

    fn apply_one(&mut self, cx: &mut Context<'_>, change: Change) -> Result<(), Failure> {
        match change {
            Change::Set(prefix, source) => self.set_address(prefix, source)?,
            Change::Clear => {
                self.say("the adapter's address was given up");
                self.platform.clear_address()?;
            }
            Change::Seen(prefix, source) => {
                self.say_address(prefix, source);
                if let Some(overlap) = self.path.overlap(prefix)? {
                    self.say(overlap);
                }
            }
            Change::Gone => self.say("the adapter has lost its address"),
            Change::Send(arp) => self.send_own(cx, &mut arp.encode()),
            Change::NoLease => {
                self.say("no DHCP server answered within 10 s; looking for a link-local address");
            }
        }
        Ok(())
    }

    fn set_address(&mut self, prefix: Prefix, source: AddressSource) -> Result<(), Failure> {
        let overlap = self.path.overlap(prefix)?;
        if overlap.as_ref().is_none_or(|overlap| !overlap.cuts_off()) {
            self.platform.set_address(prefix)?;
        }
        self.say_address(prefix, source);
        tracing::debug!(?source, "address set");
        if let Some(overlap) = overlap {
            self.say(overlap);
        }
        Ok(())
    }

    fn say_address(&self, prefix: Prefix, source: AddressSource) {
        let (name, words) = (self.platform.name(), source.words());
        self.say(format_args!("adapter {name}: {prefix}, {words}"));
    }
}
