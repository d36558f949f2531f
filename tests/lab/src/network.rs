//! Ethernet switches and the cables between them and hosts.

use anyhow::Result;

use crate::node::Node;
use crate::sandbox::sh;

/// A switch: a Linux bridge on a host of its own.
#[derive(Debug)]
pub struct Network {
    switch: Node,
    ports: u32,
}

/// The name of the bridge on the switch's host.
pub const BRIDGE: &str = "br0";

impl Network {
    /// A switch without IGMP snooping: every port hears every group.
    ///
    /// # Errors
    /// When the bridge cannot be made.
    pub fn new(name: &str) -> Result<Self> {
        let switch = Node::new(name)?;
        switch.sh(&format!(
            "ip link add {BRIDGE} type bridge mcast_snooping 0 && sysctl -qw net.ipv6.conf.{BRIDGE}.disable_ipv6=1 && ip link set {BRIDGE} up"
        ))?;
        Ok(Self { switch, ports: 0 })
    }

    /// Turns IGMP and MLD snooping on, with the switch as querier, as managed
    /// switches have it.
    ///
    /// # Errors
    /// When the bridge refuses.
    pub fn snoop_multicast(&self) -> Result<()> {
        self.switch.sh(&format!(
            "ip link set {BRIDGE} type bridge mcast_querier 1 mcast_snooping 1 mcast_startup_query_interval 100 mcast_query_interval 1000"
        ))?;
        Ok(())
    }

    /// The switch itself, for looking at its tables.
    #[must_use]
    pub fn switch(&self) -> &Node {
        &self.switch
    }

    /// Plugs a host into this switch and returns the switch's port.
    ///
    /// `mtu` is the link's on both ends.
    ///
    /// # Errors
    /// When the cable cannot be made.
    pub fn plug(&mut self, node: &Node, interface: &str, mtu: u32) -> Result<String> {
        self.ports += 1;
        let port = format!("port{}", self.ports);
        sh(&format!(
            "ip link add {port} netns {} mtu {mtu} type veth peer name {interface} netns {} mtu {mtu}",
            self.switch.pid(),
            node.pid()
        ))?;
        self.switch.sh(&format!(
            "sysctl -qw net.ipv6.conf.{port}.disable_ipv6=1; ip link set {port} master {BRIDGE} up"
        ))?;
        node.sh(&format!("ip link set {interface} up"))?;
        Ok(port)
    }

    /// Takes a port down or up, as a pulled or plugged cable.
    ///
    /// # Errors
    /// When there is no such port.
    pub fn set_port(&self, port: &str, up: bool) -> Result<()> {
        let state = if up { "up" } else { "down" };
        self.switch.sh(&format!("ip link set {port} {state}"))?;
        Ok(())
    }

    /// The port behind which the switch knows a MAC address.
    ///
    /// # Errors
    /// When the table cannot be read.
    pub fn port_of(&self, mac: lanparty_proto::MacAddr) -> Result<Option<String>> {
        let table = self.switch.sh(&format!("bridge fdb show br {BRIDGE}"))?;
        let mac = mac.to_string();
        Ok(table
            .lines()
            .find(|line| line.starts_with(&mac) && !line.contains("permanent"))
            .and_then(|line| {
                line.split_whitespace()
                    .skip_while(|word| *word != "dev")
                    .nth(1)
            })
            .map(str::to_owned))
    }
}
