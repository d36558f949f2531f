//! SoftEther VPN 5 over TLS.

use std::fs;
use std::time::Duration;

use anyhow::{Result, ensure};

use super::player_address;
use crate::node::Node;
use crate::party::{LAN, Party, RELAY, file};
use crate::process::Process;
use crate::wait;

/// Laid out as softlan-vpn is: a hub in the relay's place, a bridge with a
/// cascade to that hub on the gateway PC, a client on each player's.
#[derive(Debug)]
pub struct SoftEther {
    pub hub: Process,
    pub gateway: Process,
    pub players: Vec<Process>,
}

const START: Duration = Duration::from_secs(30);
/// The client calls the adapter `lan` so.
const DEVICE: &str = "vpn_lan";
/// One connection, as it serves a game best: several would reorder frames.
const ONE_CONNECTION: &str =
    "/MAXTCP:1 /INTERVAL:1 /TTL:0 /HALF:no /BRIDGE:no /MONITOR:no /NOTRACK:yes /NOQOS:yes";

impl SoftEther {
    /// Starts all on a party whose own programs do not run.
    ///
    /// # Errors
    /// When one does not connect.
    pub fn start(party: &Party) -> Result<Self> {
        let hub = start(&party.relay_node, "vpnserver")?;
        // Otherwise it leaves TLS for UDP by itself. The cipher is ours.
        server(
            &party.relay_node,
            "ServerCipherSet TLS_AES_128_GCM_SHA256
HubCreate PARTY /PASSWORD:hub
Hub PARTY
UserCreate member /GROUP:none /REALNAME:none /NOTE:none
UserAnonymousSet member
ExtOptionSet DisableUdpAcceleration /VALUE:1",
        )?;
        let gateway = start(&party.gateway_node, "vpnserver")?;
        server(
            &party.gateway_node,
            &format!(
                "HubCreate BRIDGE /PASSWORD:hub
Hub BRIDGE
CascadeCreate up /SERVER:{RELAY}:443 /HUB:PARTY /USERNAME:member
CascadeAnonymousSet up
CascadeDetailSet up {ONE_CONNECTION}
CascadeOnline up
BridgeCreate BRIDGE /DEVICE:{LAN} /TAP:no"
            ),
        )?;
        let mut players = Vec::new();
        for (number, player) in party.players.iter().enumerate() {
            let node = &player.node;
            players.push(start(node, "vpnclient")?);
            client(
                node,
                &format!(
                    "NicCreate lan
AccountCreate up /SERVER:{RELAY}:443 /HUB:PARTY /USERNAME:member /NICNAME:lan
AccountAnonymousSet up
AccountDetailSet up {ONE_CONNECTION}
AccountConnect up"
                ),
            )?;
            let address = player_address(number);
            node.sh(&format!("ip addr add {address}/24 dev {DEVICE}"))?;
            let connected = "AccountStatusGet up";
            wait::until("SoftEther's client to connect", START, || {
                let status = client(node, connected).ok()?;
                status.contains("Session Established").then_some(())
            })?;
        }
        Ok(Self {
            hub,
            gateway,
            players,
        })
    }
}

/// Starts a service in the foreground, in a PID namespace of its own: the
/// program forks, and its child would outlive it.
fn start(node: &Node, service: &str) -> Result<Process> {
    // Its state belongs to this host, and vanishes with it.
    node.sh("for directory in /var/lib /var/log; do mount -t tmpfs state $directory && mkdir $directory/softether; done && mkdir -p /run/softether")?;
    let mut command = node.command("unshare");
    command
        .args(["--pid", "--fork", "--kill-child", "--"])
        .arg(format!("/usr/libexec/softether/{service}/{service}"))
        .arg("execsvc");
    node.spawn_command(command, service)
}

fn server(node: &Node, script: &str) -> Result<String> {
    command(node, "localhost:443 /SERVER", script)
}

fn client(node: &Node, script: &str) -> Result<String> {
    command(node, "localhost /CLIENT", script)
}

/// Gives a service the lines of `script` as soon as it listens.
fn command(node: &Node, service: &str, script: &str) -> Result<String> {
    let path = file(&format!("{}.vpncmd", node.name()));
    fs::write(&path, script)?;
    let line = format!("vpncmd {service} /IN:{} || true", path.display());
    let said = wait::until("SoftEther's service to answer", START, || {
        let said = node.sh(&line).ok()?;
        (!said.contains("Connection to the server failed")).then_some(said)
    })?;
    ensure!(
        !said.contains("Error occurred"),
        "on {}: SoftEther refused `{script}`: {said}",
        node.name()
    );
    Ok(said)
}
