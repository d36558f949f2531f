//! A host that believes as much as Linux can be made to believe, and what it
//! believed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use anyhow::{Context as _, Result};
use lanparty_lab::packet::RawSocket;
use lanparty_lab::{Node, forged, wait};
use lanparty_proto::MacAddr;

use crate::attack::Cast;

const INTERFACE: &str = "lan0";
/// RFC 863's port: what arrives there only shows that everything before it
/// was handled.
const FENCE: u16 = 9;

/// Something that a host must never take from the other side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Belief {
    RouterAdvertisement,
    Icmpv6Redirect,
    MulticastQuery,
    IcmpRedirect,
    IcmpRouterAdvertisement,
    /// A message of a DHCPv4 server.
    DhcpServer,
    /// A DHCPv4 server's message with an option that is none of the ten.
    DhcpOption,
    /// A DHCPv4 request for another machine than the one that sent it.
    DhcpForAnother,
    Dhcpv6Server,
    /// Another MAC address for the router's IPv4 address.
    ArpSpoof,
    /// Another MAC address for the router's IPv6 address.
    NeighbourSpoof,
}

/// The options that the design lets into a player's machine, with Pad and End.
const HARMLESS: [u8; 12] = [0, 1, 28, 50, 51, 53, 54, 56, 58, 59, 61, 255];

pub(crate) struct Victim {
    node: Node,
    wire: RawSocket,
    cast: Cast,
    snmp: File,
    snmp6: File,
    counters: BTreeMap<&'static str, u64>,
    dhcp_client: UdpSocket,
    dhcp_server: UdpSocket,
    dhcpv6_client: UdpSocket,
    fence: UdpSocket,
    fences: u32,
    /// Held so that its end of the cable stays.
    _attacker: Node,
}

const COUNTERS: [(&str, Belief); 5] = [
    ("Icmp6InType134", Belief::RouterAdvertisement),
    ("Icmp6InType137", Belief::Icmpv6Redirect),
    ("Icmp6InType130", Belief::MulticastQuery),
    ("InType5", Belief::IcmpRedirect),
    ("InType9", Belief::IcmpRouterAdvertisement),
];

impl Victim {
    pub(crate) fn new(cast: Cast) -> Result<Self> {
        let node = Node::new("victim")?;
        let attacker = Node::new("attacker")?;
        node.sh(&format!(
            "ip link add {INTERFACE} address {} type veth peer name {INTERFACE} netns {}",
            cast.victim,
            attacker.pid()
        ))?;
        attacker.sh(&format!(
            "sysctl -qw net.ipv6.conf.all.disable_ipv6=1; ip link set {INTERFACE} arp off up"
        ))?;
        let believing = "for scope in all lan0; do \
             sysctl -qw net.ipv4.conf.$scope.rp_filter=0 net.ipv4.conf.$scope.accept_redirects=1 \
               net.ipv4.conf.$scope.secure_redirects=0 net.ipv4.conf.$scope.accept_source_route=1 \
               net.ipv4.conf.$scope.arp_accept=1 net.ipv4.conf.$scope.drop_gratuitous_arp=0 \
               net.ipv6.conf.$scope.accept_ra=2 net.ipv6.conf.$scope.accept_redirects=1 \
               net.ipv6.conf.$scope.suppress_frag_ndisc=0 net.ipv6.conf.$scope.accept_dad=0 \
               net.ipv6.conf.$scope.addr_gen_mode=1; done";
        let Cast {
            victim_ip,
            victim_ll,
            ..
        } = cast;
        node.sh(&format!(
            "{believing}; ip link set {INTERFACE} up; ip addr add {victim_ip}/24 dev {INTERFACE}; \
             ip -6 addr add {victim_ll}/64 dev {INTERFACE} nodad"
        ))?;
        let wire = RawSocket::open(&attacker, INTERFACE)?;
        let (snmp, snmp6, sockets) = node.inside(|| {
            let sockets = [
                "0.0.0.0:68",
                "0.0.0.0:67",
                "[::]:546",
                &format!("0.0.0.0:{FENCE}"),
            ]
            .map(|address| {
                let socket = UdpSocket::bind(address)?;
                socket.set_nonblocking(true)?;
                anyhow::Ok(socket)
            });
            let open = |name| File::open(format!("/proc/thread-self/net/{name}"));
            Ok((open("snmp")?, open("snmp6")?, sockets))
        })?;
        let [dhcp_client, dhcp_server, dhcpv6_client, fence] = sockets;
        let mut victim = Self {
            node,
            wire,
            cast,
            snmp,
            snmp6,
            counters: BTreeMap::new(),
            dhcp_client: dhcp_client?,
            dhcp_server: dhcp_server?,
            dhcpv6_client: dhcpv6_client?,
            fence: fence?,
            fences: 0,
            _attacker: attacker,
        };
        victim.know_the_router()?;
        victim.read_counters()?;
        Ok(victim)
    }

    /// Puts these frames on the victim's wire, one after the other, and tells
    /// what the victim has come to believe.
    pub(crate) fn hear(&mut self, frames: &[Vec<u8>]) -> Result<BTreeSet<Belief>> {
        for frame in frames {
            self.wire.send(frame)?;
        }
        self.wait_until_handled()?;
        let mut beliefs = self.read_counters()?;
        beliefs.extend(self.read_sockets());
        beliefs.extend(self.read_neighbours()?);
        Ok(beliefs)
    }

    fn know_the_router(&self) -> Result<()> {
        let Cast {
            router_ip,
            router_ll,
            ..
        } = self.cast;
        for address in [router_ip.to_string(), router_ll.to_string()] {
            self.node.sh(&format!(
                "ip neigh replace {address} lladdr {ROUTER} dev {INTERFACE} nud stale"
            ))?;
        }
        Ok(())
    }

    fn wait_until_handled(&mut self) -> Result<()> {
        self.fences += 1;
        let number = self.fences.to_be_bytes();
        let stranger = Ipv4Addr::new(10, 9, 0, 250);
        let mut frame = forged::udp4(
            FENCE_MAC,
            (stranger, FENCE),
            (self.cast.victim_ip, FENCE),
            &number,
        );
        frame[..6].copy_from_slice(&self.cast.victim.octets());
        self.wire.send(&frame)?;
        wait::until(
            "the victim to handle what it heard",
            Duration::from_secs(5),
            || {
                let mut bytes = [0; 64];
                while let Ok(length) = self.fence.recv(&mut bytes) {
                    if bytes.get(..length) == Some(&number[..]) {
                        return Some(());
                    }
                }
                None
            },
        )
    }

    fn read_counters(&mut self) -> Result<BTreeSet<Belief>> {
        let mut now = BTreeMap::new();
        // A line of names, then a line of numbers.
        let v4 = contents(&mut self.snmp)?;
        let lines: Vec<&str> = v4.lines().filter(|l| l.starts_with("IcmpMsg:")).collect();
        if let [names, numbers] = lines[..] {
            now.extend(names.split_whitespace().zip(numbers.split_whitespace()));
        }
        let v6 = contents(&mut self.snmp6)?;
        now.extend(v6.lines().filter_map(|line| {
            let mut words = line.split_whitespace();
            Some((words.next()?, words.next()?))
        }));
        let mut beliefs = BTreeSet::new();
        for (name, belief) in COUNTERS {
            let count = now.get(name).map_or(Ok(0), |text| text.parse())?;
            if self
                .counters
                .insert(name, count)
                .is_some_and(|old| old != count)
            {
                beliefs.insert(belief);
            }
        }
        Ok(beliefs)
    }

    fn read_sockets(&self) -> BTreeSet<Belief> {
        let mut beliefs = BTreeSet::new();
        for message in waiting(&self.dhcp_client) {
            if message.first() == Some(&2) {
                beliefs.insert(Belief::DhcpServer);
                if options(&message).any(|code| !HARMLESS.contains(&code)) {
                    beliefs.insert(Belief::DhcpOption);
                }
            }
        }
        for message in waiting(&self.dhcp_server) {
            let chaddr = message.get(28..34);
            if message.first() == Some(&1) && chaddr != Some(&self.cast.attacker.octets()[..]) {
                beliefs.insert(Belief::DhcpForAnother);
            }
        }
        for message in waiting(&self.dhcpv6_client) {
            if let Some(2 | 7 | 10 | 13) = message.first() {
                beliefs.insert(Belief::Dhcpv6Server);
            }
        }
        beliefs
    }

    fn read_neighbours(&self) -> Result<BTreeSet<Belief>> {
        let mut beliefs = BTreeSet::new();
        let table = self.node.sh(&format!("ip neigh show dev {INTERFACE}"))?;
        let attacker = self.cast.attacker.to_string();
        for line in table.lines().filter(|line| line.contains(&attacker)) {
            let address = line.split_whitespace().next().unwrap_or_default();
            if address == self.cast.router_ip.to_string() {
                beliefs.insert(Belief::ArpSpoof);
            } else if address == self.cast.router_ll.to_string() {
                beliefs.insert(Belief::NeighbourSpoof);
            }
        }
        if !beliefs.is_empty() {
            self.know_the_router()?;
        }
        Ok(beliefs)
    }
}

/// The machine that the attacker poses as.
const ROUTER: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);
const FENCE_MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 0xFE]);

fn contents(file: &mut File) -> Result<String> {
    let mut text = String::new();
    file.seek(SeekFrom::Start(0))?;
    file.read_to_string(&mut text)
        .context("cannot read the kernel's counters")?;
    Ok(text)
}

fn waiting(socket: &UdpSocket) -> impl Iterator<Item = Vec<u8>> {
    std::iter::from_fn(|| {
        let mut bytes = vec![0; 2_048];
        let (length, _): (usize, SocketAddr) = socket.recv_from(&mut bytes).ok()?;
        bytes.truncate(length);
        Some(bytes)
    })
}

/// The codes of all options that a client would see, in the message's own
/// field and in those that option 52 adds.
fn options(message: &[u8]) -> impl Iterator<Item = u8> {
    let own = message.get(240..).unwrap_or_default();
    let overload = walk(own).find(|(code, _)| *code == 52);
    let overload = overload
        .and_then(|(_, value)| value.first().copied())
        .unwrap_or(0);
    let field = |bit: u8, range| {
        let field: &[u8] = message.get(range).unwrap_or_default();
        if overload & bit == 0 { &[] } else { field }
    };
    walk(own)
        .chain(walk(field(1, 108..236)))
        .chain(walk(field(2, 44..108)))
        .map(|(code, _)| code)
        .collect::<Vec<_>>()
        .into_iter()
}

fn walk(mut rest: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    std::iter::from_fn(move || {
        let (&code, tail) = rest.split_first()?;
        match code {
            255 => None,
            0 => {
                rest = tail;
                Some((0, &[][..]))
            }
            _ => {
                let (&length, tail) = tail.split_first()?;
                let value = tail.get(..length.into())?;
                rest = tail.get(length.into()..)?;
                Some((code, value))
            }
        }
    })
}
