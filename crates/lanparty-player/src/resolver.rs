//! Looks the relay's name up again while the loop goes on.

use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;

use lanparty_net::RelayEndpoint;

/// One look-up at a time, in a thread of its own: the system's resolver blocks
/// for seconds.
#[derive(Debug)]
pub(crate) struct Resolver {
    endpoint: RelayEndpoint,
    answer: Option<Receiver<Vec<SocketAddr>>>,
}

impl Resolver {
    pub(crate) const fn new(endpoint: RelayEndpoint) -> Self {
        Self {
            endpoint,
            answer: None,
        }
    }

    /// Starts a look-up unless one is under way.
    pub(crate) fn ask(&mut self) {
        if self.answer.is_some() {
            return;
        }
        let (sender, receiver) = sync_channel(1);
        let endpoint = self.endpoint.clone();
        let started = thread::Builder::new()
            .name("resolver".to_owned())
            .spawn(move || {
                let addresses = endpoint.resolve().unwrap_or_default();
                // The player may have left meanwhile.
                let _left = sender.send(addresses);
            });
        if started.is_ok() {
            self.answer = Some(receiver);
        }
    }

    /// The addresses, once they are there. A name that does not resolve now
    /// gives none: the old addresses are still the best guess.
    pub(crate) fn poll(&mut self) -> Option<Vec<SocketAddr>> {
        let addresses = self.answer.as_ref()?.try_recv().ok()?;
        self.answer = None;
        Some(addresses).filter(|addresses| !addresses.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_comes_once_for_each_question() {
        let mut resolver = Resolver::new("192.0.2.1:4433".parse().unwrap());
        assert_eq!(resolver.poll(), None);
        for _ in 0..2 {
            resolver.ask();
            resolver.ask();
            let addresses = loop {
                if let Some(addresses) = resolver.poll() {
                    break addresses;
                }
                thread::yield_now();
            };
            assert_eq!(addresses, ["192.0.2.1:4433".parse().unwrap()]);
            assert_eq!(resolver.poll(), None);
        }
    }
}
