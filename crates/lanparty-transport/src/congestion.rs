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
        }
    }
}
