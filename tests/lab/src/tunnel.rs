//! Any tunnel between players and a LAN, ours or another's, so that what is
//! measured of one is written once for all.

use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::node::Node;
use crate::party::{HOST1, Party, PartyOptions};
use crate::process::Process;
use crate::programs;
use crate::rivals::{OpenVpn, SoftEther, Vxlan, player_address};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Ours, in a room with a key.
    Sealed,
    /// The same with programs that keep a core awake, which is not the default.
    Awake,
    /// Ours, in a room without a key.
    Clear,
    OpenVpn,
    SoftEther,
    /// Not a rival but a ceiling: it encrypts nothing.
    Vxlan,
}

impl Kind {
    /// All but [`Self::Awake`], which is ours a second time.
    pub const ALL: [Self; 5] = [
        Self::Sealed,
        Self::Clear,
        Self::OpenVpn,
        Self::SoftEther,
        Self::Vxlan,
    ];

    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sealed => "sealed",
            Self::Awake => "sealed, awake",
            Self::Clear => "in clear",
            Self::OpenVpn => "OpenVPN TAP",
            Self::SoftEther => "SoftEther",
            Self::Vxlan => "VXLAN",
        }
    }

    #[must_use]
    pub const fn is_rival(self) -> bool {
        !matches!(self, Self::Sealed | Self::Awake | Self::Clear)
    }

    /// Why it cannot be started here; must be asked inside the sandbox.
    #[must_use]
    pub fn missing(self) -> Option<&'static str> {
        let installed = |program| programs::on_system(program).is_some();
        match self {
            Self::Sealed | Self::Awake | Self::Clear => None,
            Self::OpenVpn => (!installed("openvpn")).then_some("openvpn is not installed"),
            Self::SoftEther => {
                let all = ["vpnserver", "vpnclient", "vpncmd"]
                    .into_iter()
                    .all(installed);
                (!all).then_some("softether-vpnserver, -vpnclient or -vpncmd is not installed")
            }
            Self::Vxlan => (!Vxlan::supported()).then_some("this kernel has no VXLAN"),
        }
    }

    /// Starts it on a party of its own, whose LAN is wire-like.
    ///
    /// # Errors
    /// When one of its programs does not connect.
    pub fn start(self, options: PartyOptions) -> Result<Tunnel> {
        let mut options = options;
        options.keyed = matches!(self, Self::Sealed | Self::Awake);
        if self == Self::Awake {
            for arguments in [
                &mut options.relay_arguments,
                &mut options.gateway_arguments,
                &mut options.player_arguments,
            ] {
                arguments.extend(AWAKE.map(str::to_owned));
            }
        }
        let mut party = Party::build(options)?;
        party.make_lan_wire_like()?;
        let rival = match self {
            Self::Sealed | Self::Awake | Self::Clear => {
                party.start_programs()?;
                Vec::new()
            }
            Self::OpenVpn => {
                let rival = OpenVpn::start(&party)?;
                by_role(rival.hub, rival.gateway, rival.players)
            }
            Self::SoftEther => {
                let rival = SoftEther::start(&party)?;
                by_role(rival.hub, rival.gateway, rival.players)
            }
            Self::Vxlan => {
                Vxlan::start(&party)?;
                Vec::new()
            }
        };
        let address = |(number, player): (usize, &crate::party::Player)| match self {
            Self::Sealed | Self::Awake | Self::Clear => player.address(),
            Self::OpenVpn | Self::SoftEther | Self::Vxlan => Ok(player_address(number)),
        };
        let addresses = party.players.iter().enumerate().map(address);
        Ok(Tunnel {
            kind: self,
            addresses: addresses.collect::<Result<_>>()?,
            party,
            rival,
        })
    }
}

/// Longer than any pause between the pings of a bench.
const AWAKE: [&str; 2] = ["--busy-poll", "20000"];

/// The seat that a program has in a tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Relay,
    Gateway,
    Player,
}

fn by_role(hub: Process, gateway: Process, players: Vec<Process>) -> Vec<(Role, Process)> {
    let players = players.into_iter().map(|player| (Role::Player, player));
    [(Role::Relay, hub), (Role::Gateway, gateway)]
        .into_iter()
        .chain(players)
        .collect()
}

/// A running tunnel.
#[derive(Debug)]
pub struct Tunnel {
    pub kind: Kind,
    pub party: Party,
    /// Its programs, where they are not the party's.
    rival: Vec<(Role, Process)>,
    addresses: Vec<Ipv4Addr>,
}

/// Something of each seat in a tunnel; the players' is the sum of theirs.
#[derive(Clone, Copy, Debug, Default)]
pub struct BySeat<T> {
    pub relay: T,
    pub gateway: T,
    pub players: T,
}

impl Tunnel {
    /// The LAN host at [`HOST1`].
    #[must_use]
    pub const fn host(&self) -> (&Node, Ipv4Addr) {
        (&self.party.host1, HOST1)
    }

    /// A player's host, and its address inside the tunnel.
    ///
    /// # Errors
    /// When the party has no such player.
    pub fn player(&self, number: usize) -> Result<(&Node, Ipv4Addr)> {
        let player = self.party.players.get(number);
        let address = self.addresses.get(number);
        let (player, address) = player.zip(address).context("no such player")?;
        Ok((&player.node, *address))
    }

    /// CPU time that its programs have used so far; none where the kernel does
    /// all the work.
    ///
    /// # Errors
    /// When one has ended.
    pub fn cpu_time(&self) -> Result<Option<BySeat<Duration>>> {
        self.sum(Process::cpu_time)
    }

    /// Bytes of memory that its programs occupy.
    ///
    /// # Errors
    /// When one has ended.
    pub fn resident(&self) -> Result<Option<BySeat<u64>>> {
        self.sum(Process::resident)
    }

    fn sum<T: Default + std::ops::AddAssign>(
        &self,
        figure: fn(&Process) -> Result<T>,
    ) -> Result<Option<BySeat<T>>> {
        let mut sum = None;
        for (role, process) in self.programs() {
            let sum: &mut BySeat<T> = sum.get_or_insert_with(BySeat::default);
            let seat = match role {
                Role::Relay => &mut sum.relay,
                Role::Gateway => &mut sum.gateway,
                Role::Player => &mut sum.players,
            };
            *seat += figure(process)?;
        }
        Ok(sum)
    }

    fn programs(&self) -> impl Iterator<Item = (Role, &Process)> {
        let party = &self.party;
        let clients = party.players.iter().filter_map(|it| it.client.as_ref());
        let relay = party.relay.iter().map(|process| (Role::Relay, process));
        let gateway = party.gateway.iter().map(|process| (Role::Gateway, process));
        let ours = relay.chain(gateway);
        let rival = self.rival.iter().map(|(role, process)| (*role, process));
        ours.chain(clients.map(|process| (Role::Player, process)))
            .chain(rival)
    }
}
