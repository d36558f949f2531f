//! The command line, checked.

use std::path::PathBuf;

use anyhow::{Context as _, anyhow};
use lanparty_client_route::plan::Overlap;
use lanparty_ctrl::{DisplayName, Role};
use lanparty_member_cli::Entry;
use lanparty_obs::ExitCode;
use lanparty_os::Prefix;
use lanparty_proto::MacAddr;

use crate::address::Addressing;
use crate::cli::PlayerArgs;
use crate::console::Console;
use crate::failure::{Failure, OrExit as _};

/// Everything that a person chose.
#[derive(Debug)]
pub struct Settings {
    pub entry: Entry,
    pub mac: Option<MacAddr>,
    pub addressing: Addressing,
    pub name: DisplayName,
    pub console: Console,
    pub status_socket: Option<PathBuf>,
}

impl Settings {
    /// Without a chosen address, it comes from `otherwise`; without
    /// `--status-json`, sentences go to `console`.
    ///
    /// # Errors
    /// When a flag cannot be used.
    pub fn new(
        join: &PlayerArgs,
        otherwise: Addressing,
        console: Console,
    ) -> Result<Self, Failure> {
        let member = &join.member;
        let mac = join
            .virtual_mac
            .as_deref()
            .map(parse_mac)
            .transpose()
            .or_exit(ExitCode::Configuration)?;
        let addressing = match &join.ip {
            Some(text) => Addressing::Static(parse_ip(text).or_exit(ExitCode::Configuration)?),
            None => otherwise,
        };
        Ok(Self {
            entry: member.entry()?,
            mac,
            addressing,
            name: member.name(Role::Client)?,
            console: if join.status_json {
                Console::Json
            } else {
                console
            },
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

/// Refuses a chosen address that would cut this machine off.
pub(crate) fn refuse_overlap(overlap: &Overlap) -> Option<Failure> {
    let refused = overlap.cuts_off();
    refused.then(|| Failure::new(ExitCode::Configuration, anyhow!("{overlap}")))
}
