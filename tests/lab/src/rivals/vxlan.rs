//! The kernel's own tunnel: what a path without encryption and without a
//! program could carry.

use anyhow::{Context as _, Result};

use super::player_address;
use crate::node::Node;
use crate::party::{GATEWAY, LAN, Party, RELAY, player_line};
use crate::sandbox::sh;

/// On players and the gateway PC.
const DEVICE: &str = "vxlan0";

/// A VXLAN from every player and from the gateway PC to the relay's host, which
/// bridges them.
#[derive(Debug)]
pub struct Vxlan(());

impl Vxlan {
    /// Whether this kernel has VXLAN.
    #[must_use]
    pub fn supported() -> bool {
        let probe = "ip link add probe0 type vxlan id 1 dstport 4789 remote 127.0.0.1";
        sh(probe).is_ok() && sh("ip link del probe0").is_ok()
    }

    /// Sets all up on a party whose own programs do not run.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn start(party: &Party) -> Result<Self> {
        let relay = &party.relay_node;
        relay.sh("ip link add rival0 type bridge && ip link set rival0 up")?;
        let hub_port = |number: usize, remote| -> Result<()> {
            let name = format!("vxlan{number}");
            device(relay, &name, number, remote)?;
            relay.sh(&format!("ip link set {name} master rival0"))?;
            Ok(())
        };
        hub_port(0, GATEWAY)?;
        device(&party.gateway_node, DEVICE, 0, RELAY)?;
        party.gateway_node.sh(&format!(
            "ip link add rival0 type bridge && ip link set {DEVICE} master rival0 && ip link set {LAN} master rival0 && ip link set rival0 up"
        ))?;
        for (number, player) in party.players.iter().enumerate() {
            hub_port(number + 1, player_line(number))?;
            device(&player.node, DEVICE, number + 1, RELAY)?;
            let address = player_address(number);
            player
                .node
                .sh(&format!("ip addr add {address}/24 dev {DEVICE}"))?;
        }
        Ok(Self(()))
    }
}

/// A tunnel of its own number, so that the relay's host tells them apart.
fn device(node: &Node, name: &str, number: usize, remote: std::net::Ipv4Addr) -> Result<()> {
    let id = 100 + number;
    node.sh(&format!(
        "ip link add {name} type vxlan id {id} dstport 4789 remote {remote} && ip link set {name} up"
    ))
    .with_context(|| format!("no VXLAN to {remote}"))?;
    Ok(())
}
