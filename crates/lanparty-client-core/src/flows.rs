//! How the packets of a frame's flow are grouped and scheduled.

use lanparty_l2::{Class, Spread, classify, flow, policy};
use lanparty_queue::Hint;

/// The flow fields of an overlay header, and what the relay charges the flow to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flow {
    pub(crate) tag: u16,
    pub(crate) hint: Hint,
    pub(crate) spread: Spread,
}

/// Classes frames under a key that only this session knows.
pub(crate) struct Flows {
    key: [u8; 16],
}

impl Flows {
    pub(crate) const fn new(key: [u8; 16]) -> Self {
        Self { key }
    }

    pub(crate) fn of_frame(&self, frame: &[u8]) -> Flow {
        classify(frame).map_or_else(
            |_| Flow {
                tag: flow::flow_tag(frame, &self.key),
                hint: Hint::Normal,
                spread: Spread::Unicast,
            },
            |class| self.of_class(&class, frame.len()),
        )
    }

    pub(crate) fn of_class(&self, class: &Class, frame_len: usize) -> Flow {
        Flow {
            tag: flow::class_tag(class, &self.key),
            hint: flow::hint(class, frame_len),
            spread: policy::spread(class),
        }
    }
}

/// Never the key.
impl std::fmt::Debug for Flows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Flows")
    }
}
