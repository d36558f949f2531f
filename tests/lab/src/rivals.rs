//! Other tunnels on the same networks, for comparison in the same run.

use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::node::Node;
use crate::party::{LAN, Party, RELAY, file};
use crate::process::Process;
use crate::sandbox::sh;

/// OpenVPN's TAP interface, on every host that has one.
pub const OPENVPN_TAP: &str = "tap0";
/// The player's static address inside OpenVPN.
pub const OPENVPN_PLAYER: Ipv4Addr = Ipv4Addr::new(10, 73, 42, 211);

/// OpenVPN in TAP mode, laid out as softlan-vpn is: a hub in the relay's
/// place, a client on the gateway PC whose TAP is bridged with the party's
/// NIC, and a client on the player's.
#[derive(Debug)]
pub struct OpenVpn {
    /// Hub, gateway, player.
    pub processes: [Process; 3],
}

const START: Duration = Duration::from_secs(30);

impl OpenVpn {
    /// Starts all three on a party whose own programs do not run.
    ///
    /// # Errors
    /// When one does not connect.
    pub fn start(party: &Party) -> Result<Self> {
        let hub_print = certificate("hub")?;
        let member_print = certificate("member")?;
        let player = party.players.first().context("nobody came")?;

        let mut hub = start(
            &party.relay_node,
            "hub",
            &member_print,
            &[
                "--mode",
                "server",
                "--tls-server",
                "--client-to-client",
                "--duplicate-cn",
                "--dh",
                "none",
                "--port",
                "1194",
            ],
        )?;
        hub.wait_for("Initialization Sequence Completed", START)?;
        let remote = RELAY.to_string();
        let member = [
            "--tls-client",
            "--pull",
            "--nobind",
            "--remote",
            &remote,
            "1194",
        ];
        let mut gateway = start(&party.gateway_node, "member", &hub_print, &member)?;
        let mut client = start(&player.node, "member", &hub_print, &member)?;
        gateway.wait_for("Initialization Sequence Completed", START)?;
        client.wait_for("Initialization Sequence Completed", START)?;
        party
            .relay_node
            .sh(&format!("ip link set {OPENVPN_TAP} up"))?;
        party.gateway_node.sh(&format!(
            "ip link add rival0 type bridge && ip link set {OPENVPN_TAP} master rival0 up && ip link set {LAN} master rival0 && ip link set rival0 up"
        ))?;
        player.node.sh(&format!(
            "ip addr add {OPENVPN_PLAYER}/24 dev {OPENVPN_TAP} && ip link set {OPENVPN_TAP} up"
        ))?;
        Ok(Self {
            processes: [hub, gateway, client],
        })
    }
}

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
            OPENVPN_TAP,
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
