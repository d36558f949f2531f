//! Which congestion controller a connection runs.

use std::sync::Arc;

use quinn_proto::congestion::{BbrConfig, ControllerFactory, CubicConfig};

/// A congestion controller and its starting point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Congestion {
    /// RFC 9438, as quinn implements it.
    Cubic { initial_window: u64 },
    /// quinn's BBR version 1.
    Bbr { initial_window: u64 },
    /// A constant, for tests of what happens on a full path.
    #[cfg(test)]
    Fixed { window: u64 },
}

impl Default for Congestion {
    fn default() -> Self {
        Self::Cubic {
            initial_window: INITIAL_WINDOW,
        }
    }
}

/// Thirty full packets. A player's first seconds are ARP, DHCP and discovery
/// of the whole LAN; RFC 6928's ten would hold them for a round trip.
const INITIAL_WINDOW: u64 = 30 * 1_472;

impl Congestion {
    pub(crate) fn factory(self) -> Arc<dyn ControllerFactory + Send + Sync> {
        match self {
            Self::Cubic { initial_window } => {
                let mut config = CubicConfig::default();
                config.initial_window(initial_window);
                Arc::new(config)
            }
            Self::Bbr { initial_window } => {
                let mut config = BbrConfig::default();
                config.initial_window(initial_window);
                Arc::new(config)
            }
            #[cfg(test)]
            Self::Fixed { window } => Arc::new(fixed::Fixed(window)),
        }
    }
}

#[cfg(test)]
mod fixed {
    use std::any::Any;
    use std::sync::Arc;
    use std::time::Instant;

    use quinn_proto::congestion::{Controller, ControllerFactory};

    #[derive(Clone)]
    pub(super) struct Fixed(pub(super) u64);

    impl ControllerFactory for Fixed {
        fn build(self: Arc<Self>, _now: Instant, _mtu: u16) -> Box<dyn Controller> {
            Box::new(Self(self.0))
        }
    }

    impl Controller for Fixed {
        fn on_congestion_event(&mut self, _now: Instant, _sent: Instant, _: bool, _lost: u64) {}

        fn on_mtu_update(&mut self, _mtu: u16) {}

        fn window(&self) -> u64 {
            self.0
        }

        fn clone_box(&self) -> Box<dyn Controller> {
            Box::new(self.clone())
        }

        fn initial_window(&self) -> u64 {
            self.0
        }

        fn into_any(self: Box<Self>) -> Box<dyn Any> {
            self
        }
    }
}
