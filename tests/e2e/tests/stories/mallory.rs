//! A party with a member who means harm: alice's computer runs no client of
//! ours but a raw member called mallory.

use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use lanparty_lab::packet::{RawSocket, ipx_ethernet_ii};
use lanparty_lab::party::{HOST1, LAN, Player, RELAY, TAP};
use lanparty_lab::{Node, Party, PartyOptions, RawMember, traffic, wait};
use lanparty_proto::MacAddr;

pub(crate) const MAC: MacAddr = MacAddr([0x02, 0x00, 0x5E, 0x10, 0x00, 0x66]);
/// Free on the party's LAN, and outside the range that its DHCP server gives.
pub(crate) const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 73, 42, 66);

/// The party, with every honest program running and bob on the LAN.
pub(crate) struct Stage {
    pub(crate) party: Party,
    /// What host1 and bob's machine really see.
    pub(crate) host: RawSocket,
    pub(crate) bob: RawSocket,
    pub(crate) bob_address: Ipv4Addr,
}

/// Where a drop is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum At {
    Relay,
    Gateway,
    /// At bob's client, the last line.
    Bob,
}

impl Stage {
    pub(crate) fn set(relay_arguments: &[&str]) -> Result<Self> {
        let mut party = Party::build(PartyOptions {
            relay_arguments: relay_arguments.iter().map(|&text| text.into()).collect(),
            ..PartyOptions::default()
        })?;
        party.start_dnsmasq()?;
        party.start_relay()?;
        party.start_gateway()?;
        party.start_player(1)?;
        let bob = &party.players[1];
        let bob_address = bob.address()?;
        let stage = Self {
            host: RawSocket::open(&party.host1, LAN)?,
            bob: RawSocket::open(&bob.node, TAP)?,
            bob_address,
            party,
        };
        stage.bob_is_undisturbed()?;
        Ok(stage)
    }

    pub(crate) fn bob(&self) -> &Player {
        &self.party.players[1]
    }

    pub(crate) fn node(&self) -> &Node {
        &self.party.players[0].node
    }

    /// A raw member on alice's computer, welcomed.
    pub(crate) fn mallory(&self) -> Result<RawMember> {
        let room = &self.party.options.room;
        let certificate = self.party.relay_certificate();
        let relay = (RELAY, 443).into();
        RawMember::join(self.node(), relay, &certificate, room, "mallory", MAC)
    }

    /// A connection from alice's computer that has said nothing yet.
    pub(crate) fn stranger(&self, name: &str) -> Result<RawMember> {
        let room = &self.party.options.room;
        let certificate = self.party.relay_certificate();
        RawMember::connect(self.node(), (RELAY, 443).into(), &certificate, room, name)
    }

    /// How often a reason has struck.
    pub(crate) fn drops(&self, at: At, label: &str) -> Result<u64> {
        let (status, path) = match at {
            At::Relay => (self.party.rooms()?, "/rooms/0/drops"),
            At::Gateway => (self.party.gateway_status()?, "/drops"),
            At::Bob => (self.bob().status()?, "/drops"),
        };
        let drops = status
            .pointer(path)
            .with_context(|| format!("no {path} in {status}"))?;
        Ok(drops
            .get(label)
            .and_then(serde_json::Value::as_u64)
            .unwrap_or(0))
    }

    /// Waits until a reason has struck more often than `before`.
    pub(crate) fn wait_for_drop(&self, at: At, label: &str, before: u64) -> Result<()> {
        let rose = || {
            self.drops(at, label)
                .ok()
                .filter(|now| *now > before)
                .map(drop)
        };
        let what = format!("{label} to be counted at {at:?}");
        wait::until(&what, Duration::from_secs(3), rose)
            .with_context(|| {
                format!(
                    "{:?}",
                    self.party.rooms().map(|r| r["rooms"][0]["drops"].clone())
                )
            })
            .with_context(|| {
                format!(
                    "gateway {:?}",
                    self.party.gateway_status().map(|s| s["drops"].clone())
                )
            })
            .with_context(|| format!("bob {:?}", self.bob().status().map(|s| s["drops"].clone())))
    }

    /// A frame of mallory's that may cross, with a length of its own so that
    /// no two are alike.
    pub(crate) fn harmless(&self, number: usize) -> Vec<u8> {
        ipx_ethernet_ii(MAC, 40 + number)
    }

    pub(crate) fn bob_is_undisturbed(&self) -> Result<()> {
        traffic::ping(&self.bob().node, HOST1.into(), 5).context("bob to host1")?;
        Ok(())
    }

    /// Every program lives, and bob's LAN works.
    pub(crate) fn everyone_is_alive(&mut self) -> Result<()> {
        for process in self.party.processes() {
            ensure!(
                process.ended().is_none(),
                "{} ended:\n{}",
                process.name(),
                process.log()
            );
        }
        self.bob_is_undisturbed()
    }
}
