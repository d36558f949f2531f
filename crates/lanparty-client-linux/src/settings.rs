//! The command line, checked.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, anyhow};
use lanparty_client_route::plan::Overlap;
use lanparty_ctrl::{DisplayName, RoomCode, hex};
use lanparty_net::RelayEndpoint;
use lanparty_obs::ExitCode;
use lanparty_os::Prefix;
use lanparty_proto::MacAddr;
use lanparty_transport::{Identity, ServerTrust};

use crate::cli::JoinArgs;
use crate::dhcp::Kind;
use crate::failure::{Failure, OrExit as _};

/// Everything that a person chose.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) relay: RelayEndpoint,
    pub(crate) server_name: String,
    pub(crate) trust: ServerTrust,
    /// Where the trust comes from, as a sentence about a failure names it.
    pub(crate) trust_source: String,
    pub(crate) room: RoomCode,
    pub(crate) mac: Option<MacAddr>,
    pub(crate) tap_name: String,
    pub(crate) addressing: Addressing,
    pub(crate) dhcp_client: Option<Kind>,
    pub(crate) name: DisplayName,
    pub(crate) status_json: bool,
    pub(crate) status_socket: Option<PathBuf>,
}

/// Where the adapter's address is to come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Addressing {
    Dhcp,
    Static(Prefix),
    /// Somebody else configures the adapter.
    None,
}

impl Settings {
    pub(crate) fn new(join: &JoinArgs) -> Result<Self, Failure> {
        let relay: RelayEndpoint = join
            .relay
            .parse()
            .with_context(|| format!("--relay {:?} names no relay", join.relay))
            .or_exit(ExitCode::Usage)?;
        let room = join
            .room
            .parse()
            .with_context(|| format!("--room {:?} cannot be a room", join.room))
            .or_exit(ExitCode::Configuration)?;
        let mac = join
            .virtual_mac
            .as_deref()
            .map(parse_mac)
            .transpose()
            .or_exit(ExitCode::Configuration)?;
        let addressing = match &join.ip {
            Some(text) => Addressing::Static(parse_ip(text).or_exit(ExitCode::Configuration)?),
            None if join.no_dhcp => Addressing::None,
            None => Addressing::Dhcp,
        };
        Ok(Self {
            server_name: join
                .server_name
                .clone()
                .unwrap_or_else(|| relay.server_name()),
            trust: trust(join).or_exit(ExitCode::Certificate)?,
            trust_source: trust_source(join),
            relay,
            room,
            mac,
            tap_name: join.tap_name.clone(),
            addressing,
            dhcp_client: join.dhcp_client.kind(),
            name: display_name(join.name.as_deref()).or_exit(ExitCode::Configuration)?,
            status_json: join.status_json,
            status_socket: join.status_socket.clone(),
        })
    }
}

fn parse_mac(text: &str) -> anyhow::Result<MacAddr> {
    let mac: MacAddr = text
        .parse()
        .with_context(|| format!("--virtual-mac {text:?} is no MAC address"))?;
    mac.validate_identity()
        .with_context(|| format!("--virtual-mac {mac} cannot be a player's"))
}

fn parse_ip(text: &str) -> anyhow::Result<Prefix> {
    let prefix: Prefix = text
        .parse()
        .with_context(|| format!("--ip {text:?} is not usable"))?;
    let unusable = prefix.address.is_unspecified()
        || prefix.address.is_loopback()
        || prefix.address.is_multicast()
        || prefix.length < 8
        || (prefix.length < Prefix::host(prefix.address).length && prefix.network() == prefix);
    if unusable {
        return Err(anyhow!(
            "--ip {text:?} is not usable; give an address of the party's LAN with its prefix length, such as 192.168.7.50/24"
        ));
    }
    Ok(prefix)
}

fn trust(join: &JoinArgs) -> anyhow::Result<ServerTrust> {
    if let Some(path) = &join.relay_ca_cert {
        let der = fs::read(path).with_context(|| {
            format!(
                "cannot read the relay's certificate {}; check --relay-ca-cert",
                path.display()
            )
        })?;
        return Ok(ServerTrust::certificate(der));
    }
    if let Some(pin) = &join.relay_pin {
        let hash = hex::decode_array(pin)
            .context("--relay-pin is not a SHA-256 hash; it has 64 hexadecimal digits")?;
        return Ok(ServerTrust::Pin(vec![Identity(hash)]));
    }
    Ok(ServerTrust::SystemRoots)
}

fn trust_source(join: &JoinArgs) -> String {
    match (&join.relay_ca_cert, &join.relay_pin) {
        (Some(path), _) => format!("the relay's certificate {}", path.display()),
        (None, Some(_)) => "--relay-pin".to_owned(),
        (None, None) => "this system's certificate authorities".to_owned(),
    }
}

/// The given name must be right; the computer's own is only a default.
fn display_name(given: Option<&str>) -> anyhow::Result<DisplayName> {
    if let Some(text) = given {
        return text
            .parse()
            .with_context(|| format!("--name {text:?} cannot be shown to others"));
    }
    let fallback: DisplayName = "player".parse()?;
    let uname = rustix::system::uname();
    let host = uname.nodename().to_string_lossy().into_owned();
    Ok(DisplayName::lossy(&host, &fallback))
}

/// Refuses a chosen address that would cut this machine off.
pub(crate) fn refuse_overlap(overlap: &Overlap) -> Option<Failure> {
    let refused = overlap.cuts_off();
    refused.then(|| Failure::new(ExitCode::Configuration, anyhow!("{overlap}")))
}
