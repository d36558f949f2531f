//! Which congestion controller a connection runs.

mod regulator;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use lanparty_congestion::Config;
use quinn_proto::congestion::{BbrConfig, ControllerFactory, CubicConfig};

pub(crate) use regulator::Regulator;

/// A congestion controller.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Congestion {
    /// Ours: the full rate of the narrowest link with a short queue before it.
    #[default]
    Delay,
    /// RFC 9438, as quinn implements it: fills every queue on the way. For
    /// comparison, and for a path that the default gets wrong.
    Cubic,
    /// quinn's BBR version 1, likewise.
    Bbr,
    /// A constant, for tests of what happens on a full path.
    #[cfg(test)]
    Fixed { window: u64 },
}

impl Congestion {
    pub const ALL: [Self; 3] = [Self::Delay, Self::Cubic, Self::Bbr];

    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Delay => "delay",
            Self::Cubic => "cubic",
            Self::Bbr => "bbr",
            #[cfg(test)]
            Self::Fixed { .. } => "fixed",
        }
    }

    pub(crate) fn factory(self, config: Config) -> Arc<dyn ControllerFactory + Send + Sync> {
        match self {
            Self::Delay => Arc::new(regulator::Factory(config)),
            Self::Cubic => {
                let mut cubic = CubicConfig::default();
                cubic.initial_window(config.initial_window);
                Arc::new(cubic)
            }
            Self::Bbr => {
                let mut bbr = BbrConfig::default();
                bbr.initial_window(config.initial_window);
                Arc::new(bbr)
            }
            #[cfg(test)]
            Self::Fixed { window } => Arc::new(fixed::Fixed(window)),
        }
    }
}

impl fmt::Display for Congestion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The name is none of [`Congestion::ALL`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("one of delay, cubic and bbr is needed")]
pub struct UnknownCongestion;

impl FromStr for Congestion {
    type Err = UnknownCongestion;

    fn from_str(name: &str) -> Result<Self, UnknownCongestion> {
        Self::ALL
            .into_iter()
            .find(|congestion| congestion.name() == name)
            .ok_or(UnknownCongestion)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_controller_is_found_by_its_name_and_nothing_else_is() {
        for congestion in Congestion::ALL {
            assert_eq!(congestion.to_string().parse(), Ok(congestion));
        }
        assert_eq!("Cubic".parse::<Congestion>(), Err(UnknownCongestion));
    }
}
