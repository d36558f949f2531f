//! A whole LAN party.
//!
//! ```text
//!   alice ──┐                        ┌── host1  10.73.42.10, dnsmasq
//!   bob   ──┤ internet ── relay      │
//!           └──────────── gateway ── switch
//!                                    └── host2  10.73.42.20
//! ```
//!
//! The internet is 198.51.100.0/24 (a documentation network), the party LAN
//! 10.73.42.0/24. Players reach the LAN through relay and gateway only.

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::line::{HomeLine, Line};
use crate::network::{BRIDGE, Network};
use crate::node::Node;
use crate::process::Process;
use crate::{programs, sandbox};

/// The interface of a player's tunnel.
pub const TAP: &str = "lanparty0";
/// The interface towards the internet, on everybody who has one.
pub const WAN: &str = "wan0";
/// The interface towards the party's switch.
pub const LAN: &str = "eth0";

const LOG: &str = "LANPARTY_LOG";

pub const RELAY: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);
/// The gateway PC's line to the internet.
pub const GATEWAY: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 2);
pub const HOME_ROUTER: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 254);
pub const GATEWAY_PC: Ipv4Addr = Ipv4Addr::new(10, 73, 42, 2);
pub const HOST1: Ipv4Addr = Ipv4Addr::new(10, 73, 42, 10);
pub const HOST2: Ipv4Addr = Ipv4Addr::new(10, 73, 42, 20);
pub const SUBNET_BROADCAST: Ipv4Addr = Ipv4Addr::new(10, 73, 42, 255);

/// The line to the internet of the player with this number.
#[must_use]
pub fn player_line(number: usize) -> Ipv4Addr {
    Ipv4Addr::new(198, 51, 100, u8::try_from(11 + number).unwrap_or(u8::MAX))
}

/// How long a program may take until it says that it is up. Generous, because
/// a cold two-core machine starts them all at once.
pub const START: Duration = Duration::from_secs(20);

/// What differs from the ordinary party.
#[derive(Clone, Debug)]
pub struct PartyOptions {
    pub room: String,
    /// Whether the room has a key, and the players nothing but its invite.
    pub keyed: bool,
    /// Names of the players; each gets a host of that name.
    pub players: Vec<&'static str>,
    /// The MTU of each player's line, in the order of `players`; 1,500 where
    /// there is none.
    pub player_mtu: Vec<u32>,
    /// What each player's line to the internet is like, in the order of
    /// `players`; a cable where there is none.
    pub lines: Vec<Option<Line>>,
    /// The same for the gateway PC.
    pub gateway_line: Option<Line>,
    pub relay_arguments: Vec<String>,
    pub gateway_arguments: Vec<String>,
    pub player_arguments: Vec<String>,
    /// Options that dnsmasq gives out besides address, mask and router.
    pub dhcp_options: Vec<String>,
    /// What the programs log (`LANPARTY_LOG`).
    pub log: String,
    /// Where the gateway plugs in: its NIC, or a bridge that the NIC is in.
    pub gateway_bridge: bool,
}

impl Default for PartyOptions {
    fn default() -> Self {
        Self {
            room: "PARTY".to_owned(),
            keyed: false,
            players: vec!["alice", "bob"],
            player_mtu: Vec::new(),
            lines: Vec::new(),
            gateway_line: None,
            relay_arguments: Vec::new(),
            gateway_arguments: Vec::new(),
            player_arguments: Vec::new(),
            dhcp_options: Vec::new(),
            log: std::env::var(LOG).unwrap_or_else(|_| "info".to_owned()),
            gateway_bridge: false,
        }
    }
}

/// One remote player: a host with a line to the internet, and the client.
#[derive(Debug)]
pub struct Player {
    pub node: Node,
    pub client: Option<Process>,
    /// The default route before the client ran.
    pub default_route: String,
    /// Where the options ask for one.
    pub line: Option<HomeLine>,
    number: usize,
}

/// The party, with every program running.
#[derive(Debug)]
pub struct Party {
    pub options: PartyOptions,
    pub internet: Network,
    pub switch: Network,
    pub relay_node: Node,
    pub relay: Option<Process>,
    pub gateway_node: Node,
    pub gateway: Option<Process>,
    /// Where the options ask for one.
    pub gateway_line: Option<HomeLine>,
    /// The switch's port that the gateway is plugged into.
    pub gateway_port: String,
    pub host1: Node,
    pub host2: Node,
    pub dnsmasq: Option<Process>,
    pub players: Vec<Player>,
}

impl Party {
    /// Builds the networks and hosts and starts every program, in the order
    /// of a real evening: LAN, relay, gateway, players. Every player has an
    /// address when it returns: a game that starts before would bind to the
    /// home network.
    ///
    /// # Errors
    /// When something does not start; the error carries its log.
    pub fn start(options: PartyOptions) -> Result<Self> {
        let mut party = Self::build(options)?;
        party.start_programs()?;
        Ok(party)
    }

    /// Starts every program of a party that was only built.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn start_programs(&mut self) -> Result<()> {
        self.start_dnsmasq()?;
        self.start_relay()?;
        self.start_gateway()?;
        for number in 0..self.players.len() {
            self.start_player(number)?;
        }
        for player in &self.players {
            player.address()?;
        }
        Ok(())
    }

    /// Builds networks and hosts, with no program running.
    ///
    /// # Errors
    /// When a namespace or interface cannot be made.
    pub fn build(options: PartyOptions) -> Result<Self> {
        // A gateway that finds the key of an earlier party would open its room.
        for number in 0..options.players.len() {
            forget(&format!("player{number}-state"))?;
        }
        for state in ["relay-state", "gateway-state"] {
            forget(state)?;
        }
        let mut internet = Network::new("internet")?;
        internet
            .switch()
            .sh(&format!("ip addr add {HOME_ROUTER}/24 dev {BRIDGE}"))?;
        let mut switch = Network::new("switch")?;
        switch.snoop_multicast()?;

        let relay_node = Node::new("relay")?;
        internet.plug(&relay_node, WAN, 1500)?;
        relay_node.sh(&format!(
            "ip addr add {RELAY}/24 dev {WAN} && ip route add default via {HOME_ROUTER}"
        ))?;

        let gateway_node = Node::new("gateway")?;
        let gateway_line = connect(&mut internet, &gateway_node, 1500, options.gateway_line)?;
        gateway_node.sh(&format!(
            "ip addr add {GATEWAY}/24 dev {WAN} && ip route add default via {HOME_ROUTER}"
        ))?;
        let gateway_port = switch.plug(&gateway_node, LAN, 1500)?;
        if options.gateway_bridge {
            gateway_node.sh(&format!(
                "ip link add party0 type bridge && ip link set {LAN} master party0 && ip link set party0 up && ip addr add {GATEWAY_PC}/24 dev party0"
            ))?;
        } else {
            gateway_node.sh(&format!("ip addr add {GATEWAY_PC}/24 dev {LAN}"))?;
        }

        let host1 = lan_host(&mut switch, "host1", HOST1)?;
        let host2 = lan_host(&mut switch, "host2", HOST2)?;

        let mut players = Vec::new();
        for (number, name) in options.players.iter().enumerate() {
            let node = Node::new(name)?;
            let mtu = options.player_mtu.get(number).copied().unwrap_or(1500);
            let line = options.lines.get(number).copied().flatten();
            let line = connect(&mut internet, &node, mtu, line)?;
            node.sh(&format!(
                "ip addr add {}/24 dev {WAN} && ip route add default via {HOME_ROUTER}",
                player_line(number)
            ))?;
            let default_route = node.sh("ip route show default")?;
            players.push(Player {
                node,
                client: None,
                default_route,
                line,
                number,
            });
        }
        Ok(Self {
            options,
            internet,
            switch,
            relay_node,
            relay: None,
            gateway_node,
            gateway: None,
            gateway_line,
            gateway_port,
            host1,
            host2,
            dnsmasq: None,
            players,
        })
    }

    /// Makes the party's LAN carry frames as a cable does: cut to size and with
    /// finished checksums. Between namespaces, TCP would otherwise hand over
    /// 64 KB at a time to whoever takes it, which no rival does.
    ///
    /// # Errors
    /// When ethtool is not installed.
    pub fn make_lan_wire_like(&self) -> Result<()> {
        for node in [&self.host1, &self.host2, &self.gateway_node] {
            node.sh(&format!(
                "ethtool --offload {LAN} tx off tso off tx-udp-segmentation off"
            ))?;
        }
        Ok(())
    }

    /// Starts the LAN's DHCP server on host1.
    ///
    /// # Errors
    /// When dnsmasq is not installed or does not start.
    pub fn start_dnsmasq(&mut self) -> Result<()> {
        let mut command = dhcp_server(&self.host1, LAN, (100, 199), "dnsmasq.leases");
        command.arg(format!("--dhcp-option=option:router,{HOST1}"));
        command.args(
            self.options
                .dhcp_options
                .iter()
                .map(|option| format!("--dhcp-option-force={option}")),
        );
        let mut dnsmasq = self.host1.spawn_command(command, "dnsmasq")?;
        dnsmasq.wait_for("DHCP, IP range", START)?;
        self.dnsmasq = Some(dnsmasq);
        Ok(())
    }

    /// Starts the relay, or starts it again with the state that it kept.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn start_relay(&mut self) -> Result<()> {
        let certificate = self.relay_certificate();
        let state = file("relay-state");
        let mut command = self.relay_node.command(programs::find("lanparty-relay")?);
        command
            .args(["--listen", "443/udp", "--state-dir"])
            .arg(&state)
            .arg("--dev-cert-der-out")
            .arg(&certificate)
            .args(&self.options.relay_arguments)
            .env(LOG, &self.options.log);
        let mut relay = self.relay_node.spawn_command(command, "relay")?;
        relay.wait_for("listening", START)?;
        self.relay = Some(relay);
        Ok(())
    }

    /// The relay's certificate, as the operator would hand it out.
    #[must_use]
    pub fn relay_certificate(&self) -> PathBuf {
        file("relay.der")
    }

    /// The invite as the gateway prints it again.
    ///
    /// # Errors
    /// When the gateway has not met the relay yet.
    pub fn invite(&self) -> Result<String> {
        let gateway = programs::find("lanparty-gateway")?;
        let printed = self.gateway_node.sh(&format!(
            "{} invite --state-dir {}",
            gateway.display(),
            file("gateway-state").display()
        ))?;
        Ok(printed.trim().to_owned())
    }

    /// The arguments with which a player of this party finds its room.
    ///
    /// # Errors
    /// When there is no invite yet.
    pub fn player_arguments(&self) -> Result<Vec<String>> {
        if !self.options.keyed {
            return Ok(self.member_arguments());
        }
        let invite = file("invite");
        fs::write(&invite, self.invite()?)?;
        let invite = invite.to_string_lossy().into_owned();
        Ok(vec!["--invite-file".to_owned(), invite])
    }

    /// The arguments that spell out where this party's room is.
    #[must_use]
    pub fn member_arguments(&self) -> Vec<String> {
        [
            "--relay",
            &RELAY.to_string(),
            "--server-name",
            "lanparty-relay.local",
            "--relay-ca-cert",
            &self.relay_certificate().to_string_lossy(),
            "--room",
            &self.options.room,
        ]
        .map(str::to_owned)
        .to_vec()
    }

    /// Starts the gateway.
    ///
    /// # Errors
    /// When it does not join.
    pub fn start_gateway(&mut self) -> Result<()> {
        let interface = if self.options.gateway_bridge {
            "party0"
        } else {
            LAN
        };
        let mut command = self
            .gateway_node
            .command(programs::find("lanparty-gateway")?);
        command
            .args(self.member_arguments())
            .args(self.options.keyed.then_some("--new-room"))
            .args(["--iface", interface, "--state-dir"])
            .arg(file("gateway-state"))
            .args(&self.options.gateway_arguments)
            .env(LOG, &self.options.log);
        let mut gateway = self.gateway_node.spawn_command(command, "gateway")?;
        gateway.wait_for("joined room", START)?;
        self.gateway = Some(gateway);
        Ok(())
    }

    /// Starts one player's client and waits until it has joined.
    ///
    /// # Errors
    /// When it does not join.
    pub fn start_player(&mut self, number: usize) -> Result<()> {
        let arguments = self.player_arguments()?;
        let extra = self.options.player_arguments.clone();
        let log = self.options.log.clone();
        let player = self.players.get_mut(number).context("no such player")?;
        let mut command = player.node.command(programs::find("lanparty-client")?);
        command
            .args(arguments)
            .args([
                "--tap-name",
                TAP,
                "--name",
                player.node.name(),
                "--state-dir",
            ])
            .arg(player.state())
            .args(extra)
            .env(LOG, log);
        let mut client = player.node.spawn_command(command, "client")?;
        client.wait_for("joined room", START)?;
        player.client = Some(client);
        Ok(())
    }

    /// The room list as the relay's operator sees it.
    ///
    /// # Errors
    /// When the relay does not answer.
    pub fn rooms(&self) -> Result<serde_json::Value> {
        let relay = programs::find("lanparty-relay")?;
        let output = self.relay_node.sh(&format!(
            "{} rooms --json --state-dir {}",
            relay.display(),
            file("relay-state").display()
        ))?;
        serde_json::from_str(&output).context("the relay's room list is not JSON")
    }

    /// What the gateway says about itself.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn gateway_status(&self) -> Result<serde_json::Value> {
        let gateway = programs::find("lanparty-gateway")?;
        let output = self.gateway_node.sh(&format!(
            "{} status --json --state-dir {}",
            gateway.display(),
            file("gateway-state").display()
        ))?;
        serde_json::from_str(&output).context("the gateway's status is not JSON")
    }

    /// Every program that runs, for looking at logs.
    pub fn processes(&mut self) -> impl Iterator<Item = &mut Process> {
        [&mut self.relay, &mut self.gateway, &mut self.dnsmasq]
            .into_iter()
            .chain(self.players.iter_mut().map(|player| &mut player.client))
            .filter_map(Option::as_mut)
    }

    /// Ends players, gateway and relay as Ctrl-C would, in that order.
    ///
    /// # Errors
    /// When one does not end cleanly.
    pub fn stop(&mut self) -> Result<()> {
        let clients = self
            .players
            .iter_mut()
            .filter_map(|player| player.client.as_mut());
        for process in clients.chain(&mut self.gateway).chain(&mut self.relay) {
            let status = process.interrupt()?;
            anyhow::ensure!(
                status.success(),
                "{} ended with {status}:\n{}",
                process.name(),
                process.log()
            );
        }
        Ok(())
    }
}

impl Player {
    #[must_use]
    pub fn name(&self) -> &str {
        self.node.name()
    }

    /// Where this player's client keeps its identity and status socket.
    #[must_use]
    pub fn state(&self) -> PathBuf {
        file(&format!("player{}-state", self.number))
    }

    /// The address on the party's LAN, once there is one.
    ///
    /// # Errors
    /// When there is none.
    pub fn address(&self) -> Result<Ipv4Addr> {
        self.node.wait_for_ipv4(TAP, START)
    }

    /// What the client says about itself.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn status(&self) -> Result<serde_json::Value> {
        let client = programs::find("lanparty-client")?;
        let output = self.node.sh(&format!(
            "{} status --json --state-dir {}",
            client.display(),
            self.state().display()
        ))?;
        serde_json::from_str(&output).context("the client's status is not JSON")
    }
}

/// Gives a host its interface to the internet.
fn connect(
    internet: &mut Network,
    node: &Node,
    mtu: u32,
    line: Option<Line>,
) -> Result<Option<HomeLine>> {
    match line {
        Some(line) => HomeLine::lay(internet, node, mtu, line).map(Some),
        None => {
            internet.plug(node, WAN, mtu)?;
            Ok(None)
        }
    }
}

fn lan_host(switch: &mut Network, name: &str, address: Ipv4Addr) -> Result<Node> {
    let node = Node::new(name)?;
    switch.plug(&node, LAN, 1500)?;
    // Linux answers broadcast pings only when told to; other systems do.
    node.sh(&format!(
        "ip addr add {address}/24 broadcast {SUBNET_BROADCAST} dev {LAN} && sysctl -qw net.ipv4.icmp_echo_ignore_broadcasts=0"
    ))?;
    Ok(node)
}

/// A DHCP server that is not running yet, for the addresses of the party's LAN
/// that end in `first` to `last`.
#[must_use]
pub fn dhcp_server(node: &Node, interface: &str, (first, last): (u8, u8), leases: &str) -> Command {
    let mut command = node.command("dnsmasq");
    command.args([
        "--no-daemon",
        "--conf-file=/dev/null",
        "--port=0",
        "--bind-interfaces",
        "--dhcp-authoritative",
        // Its own conflict ping would cost every lease three seconds.
        "--no-ping",
        "--user=root",
        "--pid-file=",
        "--log-dhcp",
    ]);
    command
        .arg(format!(
            "--dhcp-range=10.73.42.{first},10.73.42.{last},255.255.255.0,10m"
        ))
        .arg(format!("--interface={interface}"))
        .arg(format!("--dhcp-leasefile={}", file(leases).display()));
    command
}

/// Removes what an earlier party in this lab left.
fn forget(directory: &str) -> Result<()> {
    match fs::remove_dir_all(file(directory)) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {directory} of an earlier party"))
        }
        _ => Ok(()),
    }
}

/// A file in the lab's own directory.
#[must_use]
pub fn file(name: &str) -> PathBuf {
    Path::new(sandbox::DIRECTORY).join(name)
}

/// The leases that dnsmasq has given out, as `(MAC, address)` lines.
#[must_use]
pub fn leases() -> String {
    fs::read_to_string(file("dnsmasq.leases")).unwrap_or_default()
}
