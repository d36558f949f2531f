//! A home's line to the internet: slow, with a long queue, far away, lossy.
//!
//! ```text
//!   host wan0 ── home [line's own host] street ── switch of the internet
//! ```
//!
//! The kernel's token buckets hold the queues, so what waits there is what a
//! home router would let wait. Delay, jitter, reordering, duplicates and loss
//! are a [`Link`]'s: this works on kernels without netem too.

use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::link::{Link, Weather};
use crate::network::Network;
use crate::node::Node;
use crate::party::WAN;
use crate::sandbox::sh;

/// Bits a second, as the kernel counts them here: with the Ethernet header,
/// without preamble, checksum and gap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rate(u64);

impl Rate {
    #[must_use]
    pub const fn mbit(mbit: u64) -> Self {
        Self(mbit * 1_000_000)
    }

    #[must_use]
    pub const fn bits_per_second(self) -> u64 {
        self.0
    }

    /// Bytes that leave in `time`.
    #[must_use]
    pub fn bytes_in(self, time: Duration) -> u64 {
        let bits = u128::from(self.0) * time.as_micros() / 1_000_000;
        u64::try_from(bits / 8).unwrap_or(u64::MAX)
    }
}

/// What a line is like.
#[derive(Clone, Copy, Debug)]
pub struct Line {
    /// From the home to the internet; as fast as the machine where there is
    /// none.
    pub up: Option<Rate>,
    pub down: Option<Rate>,
    /// How long the last byte of a full queue waits.
    pub queue: Duration,
    /// What else happens to frames, in each direction by itself.
    pub weather: Weather,
}

impl Default for Line {
    fn default() -> Self {
        Self {
            up: None,
            down: None,
            // What the modems of cable and DSL lines are often found with.
            queue: Duration::from_millis(100),
            weather: Weather::default(),
        }
    }
}

impl Line {
    /// The line of the measure that I9 is known by: a common fibre or VDSL
    /// line's uplink, and a downlink that a household has left over.
    #[must_use]
    pub fn shaped() -> Self {
        Self {
            up: Some(Rate::mbit(50)),
            down: Some(Rate::mbit(10)),
            ..Self::default()
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    Up,
    Down,
}

impl Direction {
    /// The line's interface that frames of this direction leave by.
    const fn interface(self) -> &'static str {
        match self {
            Self::Up => STREET,
            Self::Down => HOME,
        }
    }
}

const HOME: &str = "home";
const STREET: &str = "street";

/// What a bottleneck has done since it was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Passed {
    /// With Ethernet headers, of what left.
    pub bytes: u64,
    pub frames: u64,
    pub dropped: u64,
    /// Bytes that wait now.
    pub waiting: u64,
}

/// A line that stands.
#[derive(Debug)]
pub struct HomeLine {
    node: Node,
    link: Option<Link>,
    line: Line,
}

impl HomeLine {
    /// Lays a line between a host and the internet; the host's end is [`WAN`].
    ///
    /// # Errors
    /// When `ethtool` or `tc` is not installed or refuses.
    pub fn lay(internet: &mut Network, host: &Node, mtu: u32, line: Line) -> Result<Self> {
        let node = Node::new(&format!("{}-line", host.name()))?;
        let port = internet.plug(&node, STREET, 1500)?;
        sh(&format!(
            "ip link add {HOME} netns {} mtu {mtu} type veth peer name {WAN} netns {} mtu {mtu}",
            node.pid(),
            host.pid(),
        ))?;
        host.sh(&format!("ip link set {WAN} up"))?;
        // Neither side may speak for itself, or the other would hear it twice.
        node.sh(&format!(
            "sysctl -qw net.ipv6.conf.{HOME}.disable_ipv6=1 net.ipv6.conf.{STREET}.disable_ipv6=1; ip link set {HOME} up; ip link set {STREET} up"
        ))?;
        // The bucket and the link must see frames as a cable carries them, not
        // 64 KB at a time and with unfinished checksums.
        for (node, interface) in [
            (host, WAN),
            (internet.switch(), &port),
            (&node, HOME),
            (&node, STREET),
        ] {
            node.sh(&format!(
                "ethtool --offload {interface} tx off tso off gso off gro off tx-udp-segmentation off"
            ))?;
        }
        for (direction, rate) in [(Direction::Up, line.up), (Direction::Down, line.down)] {
            if let Some(rate) = rate {
                shape(&node, direction, rate, line.queue)?;
            }
        }
        let link = if line.weather.is_fair() {
            node.sh(&format!(
                "ip link add br0 type bridge mcast_snooping 0 forward_delay 0 && sysctl -qw net.ipv6.conf.br0.disable_ipv6=1 && ip link set {HOME} master br0 && ip link set {STREET} master br0 && ip link set br0 up"
            ))?;
            None
        } else {
            Some(Link::start(&node, [HOME, STREET], line.weather)?)
        };
        Ok(Self { node, link, line })
    }

    /// How fast a direction's bottleneck is.
    ///
    /// # Errors
    /// When that direction has none.
    pub fn rate(&self, direction: Direction) -> Result<Rate> {
        let rate = match direction {
            Direction::Up => self.line.up,
            Direction::Down => self.line.down,
        };
        rate.context("the line has no bottleneck in this direction")
    }

    /// The link program, where the weather is anything but fair.
    ///
    /// # Errors
    /// When it is fair.
    pub fn link(&self) -> Result<&Link> {
        self.link.as_ref().context("this line has no link program")
    }

    /// What the bottleneck of a direction has let pass so far.
    ///
    /// # Errors
    /// When that direction has none.
    pub fn passed(&self, direction: Direction) -> Result<Passed> {
        let interface = direction.interface();
        let text = self
            .node
            .sh(&format!("tc -s -j qdisc show dev {interface}"))?;
        let queues: Value = serde_json::from_str(&text).context("tc printed no JSON")?;
        passed(&queues).with_context(|| format!("{interface} has no bottleneck: {text}"))
    }
}

fn passed(queues: &Value) -> Option<Passed> {
    let mut queues = queues.as_array()?.iter();
    let bucket = queues.find(|queue| queue.get("kind").is_some_and(|kind| kind == "tbf"))?;
    let figure = |name| bucket.get(name).and_then(Value::as_u64);
    Some(Passed {
        bytes: figure("bytes")?,
        frames: figure("packets")?,
        dropped: figure("drops")?,
        waiting: figure("backlog")?,
    })
}

/// What a bucket may hold: enough to make up for a timer that fires this late
/// (0.1 to 0.5 ms are usual on a virtual machine), and little enough that a
/// sparse flow's packet cannot be told from one that met an idle line.
const BUCKET: Duration = Duration::from_millis(1);
/// A bucket that holds less than two frames stands still between them.
const LEAST_BUCKET: u64 = 2 * 1_514;

fn shape(node: &Node, direction: Direction, rate: Rate, queue: Duration) -> Result<()> {
    let burst = rate.bytes_in(BUCKET).max(LEAST_BUCKET);
    // The bucket's own bytes pass without waiting, so they come on top.
    let limit = rate.bytes_in(queue) + burst;
    node.sh(&format!(
        "tc qdisc replace dev {} root tbf rate {}bit burst {burst} limit {limit}",
        direction.interface(),
        rate.0,
    ))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bottleneck_is_read_from_what_tc_prints() {
        let printed = serde_json::json!([
            { "kind": "tbf", "bytes": 15_140, "packets": 10, "drops": 3, "backlog": 1_514 }
        ]);
        let expected = Passed {
            bytes: 15_140,
            frames: 10,
            dropped: 3,
            waiting: 1_514,
        };
        assert_eq!(passed(&printed), Some(expected));
        assert_eq!(passed(&serde_json::json!([{ "kind": "noqueue" }])), None);
    }

    #[test]
    fn a_rate_is_bytes_in_a_time() {
        let rate = Rate::mbit(10);
        assert_eq!(rate.bytes_in(Duration::from_millis(100)), 125_000);
    }
}
