//! OpenVPN in TAP mode.

use std::time::Duration;

use anyhow::{Context as _, Result};

use super::player_address;
use crate::node::Node;
use crate::party::{LAN, Party, RELAY, file};
use crate::process::Process;
use crate::sandbox::sh;

/// Its interface, on every host that has one.
const TAP: &str = "tap0";

/// Laid out as softlan-vpn is: a hub in the relay's place, a client on the
/// gateway PC whose TAP is bridged with the party's NIC, and a client on each
/// player's.
#[derive(Debug)]
pub struct OpenVpn {
    pub hub: Process,
    pub gateway: Process,
    pub players: Vec<Process>,
}

const START: Duration = Duration::from_secs(30);
const UP: &str = "Initialization Sequence Completed";

impl OpenVpn {
    /// Starts all on a party whose own programs do not run.
    ///
    /// # Errors
    /// When one does not connect.
    pub fn start(party: &Party) -> Result<Self> {
        let hub_print = certificate("hub")?;
        let member_print = certificate("member")?;
        let mut hub = start(&party.relay_node, "hub", &member_print, &HUB)?;
        hub.wait_for(UP, START)?;
        party.relay_node.sh(&format!("ip link set {TAP} up"))?;

        let relay = RELAY.to_string();
        let member = [
            "--tls-client",
            "--pull",
            "--nobind",
            "--remote",
            &relay,
            PORT,
        ];
        let mut gateway = start(&party.gateway_node, "member", &hub_print, &member)?;
        gateway.wait_for(UP, START)?;
        party.gateway_node.sh(&format!(
            "ip link add rival0 type bridge && ip link set {TAP} master rival0 up && ip link set {LAN} master rival0 && ip link set rival0 up"
        ))?;
        let mut players = Vec::new();
        for (number, player) in party.players.iter().enumerate() {
            let mut client = start(&player.node, "member", &hub_print, &member)?;
            client.wait_for(UP, START)?;
            let address = player_address(number);
            player.node.sh(&format!(
                "ip addr add {address}/24 dev {TAP} && ip link set {TAP} up"
            ))?;
            players.push(client);
        }
        Ok(Self {
            hub,
            gateway,
            players,
        })
    }
}

const PORT: &str = "1194";
const HUB: [&str; 9] = [
    "--mode",
    "server",
    "--tls-server",
    "--client-to-client",
    "--duplicate-cn",
    "--dh",
    "none",
    "--port",
    PORT,
];

/// Makes a self-signed certificate and returns its fingerprint, by which
/// OpenVPN 2.6 knows its peers.
fn certificate(name: &str) -> Result<String> {
    let (key, pem) = (file(&format!("{name}.key")), file(&format!("{name}.pem")));
    let (key, pem) = (key.display(), pem.display());
    sh(&format!(
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN={name} -keyout {key} -out {pem}"
    ))?;
    let output = std::process::Command::new("openssl")
        .args(["x509", "-fingerprint", "-sha256", "-noout", "-in"])
        .arg(pem.to_string())
        .output()
        .context("cannot run openssl")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let print = text
        .trim()
        .split('=')
        .nth(1)
        .context("openssl printed no fingerprint")?;
    Ok(print.to_owned())
}

fn start(node: &Node, name: &str, peer: &str, arguments: &[&str]) -> Result<Process> {
    let mut command = node.command("openvpn");
    command
        .args([
            "--dev",
            TAP,
            "--dev-type",
            "tap",
            "--proto",
            "udp",
            "--persist-key",
        ])
        .args([
            "--data-ciphers",
            "AES-128-GCM",
            "--verb",
            "3",
            "--ping",
            "10",
        ])
        .args(["--cert", &file(&format!("{name}.pem")).to_string_lossy()])
        .args(["--key", &file(&format!("{name}.key")).to_string_lossy()])
        .args(["--peer-fingerprint", peer])
        .args(arguments);
    node.spawn_command(command, "openvpn")
}
