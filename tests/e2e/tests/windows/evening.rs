//! What the stories share: a party, and Windows at one player's home.

use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use lanparty_lab::party::{HOST1, TAP, file};
use lanparty_lab::windows::{Adapter, Rig, Said, WindowsPlayer};
use lanparty_lab::{Node, Party, PartyOptions, traffic, wait};

/// A party with the LAN's programs running and one player, on Windows.
pub(crate) struct Evening {
    pub(crate) windows: WindowsPlayer,
    pub(crate) party: Party,
}

/// How long a frame's way may take to be there; Wine on a busy machine is slow.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

impl Evening {
    /// The LAN is there, Windows has booted, nobody has joined.
    pub(crate) fn begin(rig: &Rig, adapters: &[Adapter]) -> Result<Self> {
        let options = PartyOptions {
            players: vec!["alice"],
            ..PartyOptions::default()
        };
        Self::begin_at(rig, options, adapters)
    }

    /// As [`Self::begin`]; the first of the party's players is on Windows.
    pub(crate) fn begin_at(rig: &Rig, options: PartyOptions, adapters: &[Adapter]) -> Result<Self> {
        let mut party = Party::build(options)?;
        party.start_dnsmasq()?;
        party.start_relay()?;
        party.start_gateway()?;
        let windows = WindowsPlayer::boot(rig, &party, alice(&party)?, adapters)?;
        Ok(Self { windows, party })
    }

    /// As [`Self::begin`], and the Windows player has joined and has a lease.
    pub(crate) fn joined(rig: &Rig) -> Result<Self> {
        let mut evening = Self::begin(rig, &[Adapter::ordinary()])?;
        evening.join(&[])?;
        evening.lease()?;
        Ok(evening)
    }

    pub(crate) fn node(&self) -> Result<&Node> {
        alice(&self.party)
    }

    pub(crate) fn join(&mut self, extra: &[&str]) -> Result<()> {
        let node = alice(&self.party)?;
        self.windows
            .join(node, extra)
            .with_context(|| format!("changes by IP Helper:\n{}", self.changes()))
    }

    /// Does what Windows' own DHCP client does once the media is up: takes the
    /// address, and a default route if the answer has a router in it.
    pub(crate) fn lease(&self) -> Result<()> {
        let script = file("windows-dhcp.sh");
        fs::write(&script, DHCP_SCRIPT)?;
        let outcome = self.node()?.sh(&format!(
            "chmod +x {0} && udhcpc -q -n -t 20 -T 1 -i {TAP} -s {0}",
            script.display()
        ));
        outcome.map(drop).with_context(|| self.picture())
    }

    /// Interfaces, addresses and routes as Linux sees them, and what Windows
    /// keeps for its interfaces.
    pub(crate) fn network(&self) -> Result<String> {
        let linux = self.node()?.sh(
            "ip -o link | sed 's/: <.* mtu \\([0-9]*\\) .*/ mtu \\1/'; ip route show table main; ip -6 route show table main | sed /fe80/d; ip rule",
        )?;
        let settings = fs::read(self.windows.prefix.drive_c().join("rig-interfaces.bin"));
        // Windows keeps a setting that was restored; only unlike ones count.
        let changed = settings
            .unwrap_or_default()
            .chunks_exact(SETTING)
            .filter(|setting| setting.get(6..8) != Some(&[1, 0]))
            .count();
        Ok(format!(
            "{linux}{changed} interfaces have their own metric or no default routes"
        ))
    }

    /// What Windows' own DHCP client does once the media has gone.
    pub(crate) fn forget_lease(&self) -> Result<()> {
        self.node()?.sh(&format!("ip -4 addr flush dev {TAP}"))?;
        Ok(())
    }

    /// Every change that the program made by IP Helper.
    pub(crate) fn changes(&self) -> String {
        fs::read_to_string(self.windows.prefix.drive_c().join("rig-changes.log"))
            .unwrap_or_default()
    }

    /// What a failing story is read with.
    pub(crate) fn picture(&self) -> String {
        let node = self.node();
        let show = |line: &str| {
            node.as_ref().map_or_else(ToString::to_string, |node| {
                node.sh(line).unwrap_or_else(|error| format!("{error:#}"))
            })
        };
        format!(
            "links:\n{}\nstatus: {:?}\ngateway: {:?}\ncables: {:?}\nclient:\n{}\nchanges:\n{}",
            show("ip -s link"),
            node.as_ref().ok().map(|node| self.windows.status(node)),
            self.party.gateway_status(),
            self.windows
                .cables
                .iter()
                .map(lanparty_lab::Process::log)
                .collect::<Vec<_>>(),
            self.log(),
            self.changes()
        )
    }

    /// The log of the client so far.
    pub(crate) fn log(&self) -> String {
        self.windows
            .client
            .as_ref()
            .map(lanparty_lab::Process::log)
            .unwrap_or_default()
    }
}

/// The size of `struct setting` in the stand-in of IP Helper: index, family,
/// automatic metric, default routes suppressed, metric, MTU for IPv6.
const SETTING: usize = 16;

const DHCP_SCRIPT: &str = r#"#!/bin/sh
case "$1" in
bound|renew)
    ip addr replace "$ip/$mask" brd + dev "$interface"
    [ -z "$router" ] || ip route add default via "$router" dev "$interface" metric 1
    ;;
esac
"#;

fn alice(party: &Party) -> Result<&Node> {
    let player = party.players.first().context("nobody came")?;
    Ok(&player.node)
}

/// Waits until a host of the LAN answers.
pub(crate) fn wait_for_lan(evening: &Evening) -> Result<()> {
    let node = evening.node()?;
    wait::until("the LAN to answer", PATIENCE, || {
        traffic::ping(node, HOST1.into(), 1).ok()
    })?;
    Ok(())
}

/// A refusal: one sentence for people, no panic, and its own exit code.
pub(crate) fn refused(said: &Said, code: i32, words: &[&str]) -> Result<()> {
    ensure!(
        said.code == Some(code),
        "exit code {:?}: {said:?}",
        said.code
    );
    ensure!(!said.err.contains("panicked"), "{said:?}");
    let sentence = said.err.to_lowercase();
    for word in words {
        ensure!(sentence.contains(word), "{word:?} is not in {said:?}");
    }
    Ok(())
}
