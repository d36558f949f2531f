//! What Wireshark and the receiving kernels say to frames that crossed the
//! gateway, in both directions and over everything that makes superframes.

use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::process::Command;
use std::time::Duration;

use lanparty_lab::superframes;
use lanparty_lab::wireshark::{Capture, Found};
use lanparty_lan::LanCounters;
use lanparty_os::netlink::Netlink;
use rustix::net::{AddressFamily, SocketType};
use tempfile::TempDir;

use super::node::Node;
use super::{BYSTANDER, PLAYER, Party, frames};

const COPY: usize = 8 << 20;
/// With 40 and one a burst.
const BURSTS: usize = 30;
const DATAGRAM: u16 = 1_301;

/// The party, with captures of what the player and the LAN's PC receive. The
/// gateway's interface cuts nothing and finishes no checksums, as many do, so
/// the kernel does it and the PC gets to see every frame.
struct Watched {
    party: Party,
    player: Node,
    tunnel: super::Tunnel,
    captures: [Capture; 2],
    _files: TempDir,
}

/// What was seen at the player and at the PC.
struct Seen {
    counters: LanCounters,
    found: [Found; 2],
}

impl Watched {
    fn begin(party: Party, interface: &str) -> Self {
        let (player, tunnel) = party.with_player(interface);
        let cut_all = "-K eth0 tx off tso off gso off gro off";
        party.gateway.program("ethtool", cut_all);
        party.pc.program("ethtool", "-K eth0 gro off");
        for (node, dev, last) in [(&player, "t0", 50), (&party.pc, "eth0", 10)] {
            node.ip(&format!("addr add fd77::{last}/64 dev {dev} nodad"));
            node.program("sysctl", "-qw net.ipv4.tcp_ecn=1");
        }
        let files = tempfile::tempdir().unwrap();
        let capture = |node: &Node, dev: &'static str| {
            let file = files.path().join(dev);
            node.run(move || Capture::start(Command::new("dumpcap"), dev, &file).unwrap())
        };
        let captures = [capture(&player, "t0"), capture(&party.pc, "eth0")];
        Self {
            party,
            player,
            tunnel,
            captures,
            _files: files,
        }
    }

    fn end(self) -> Seen {
        let counters = self.tunnel.stop();
        let found = self.captures.map(|capture| capture.finish().unwrap());
        for (name, found) in ["player", "PC"].iter().zip(&found) {
            assert!(found.bad.is_empty(), "{name}: {:?}", found.bad);
        }
        for node in [&self.player, &self.party.pc] {
            let malformed = node.run(|| superframes::malformed().unwrap());
            assert!(malformed.is_empty(), "{malformed:?}");
        }
        Seen { counters, found }
    }

    fn copy(&self, server: &str) {
        let server: SocketAddr = server.parse().unwrap();
        let listener = self
            .party
            .pc
            .run(move || TcpListener::bind(server).unwrap());
        let stream = self
            .player
            .run(move || TcpStream::connect_timeout(&server, Duration::from_secs(10)).unwrap());
        superframes::exchange(&listener, stream, COPY).unwrap();
    }

    fn datagrams(&self, player: &str, pc: &str) {
        let bind =
            |node: &Node, address: SocketAddr| node.run(move || UdpSocket::bind(address).unwrap());
        let (player, pc) = (player.parse().unwrap(), pc.parse().unwrap());
        let at_player = bind(&self.player, player);
        let at_pc = bind(&self.party.pc, pc);
        for (from, to, target) in [(&at_pc, &at_player, player), (&at_player, &at_pc, pc)] {
            superframes::datagrams(from, to, target, DATAGRAM, BURSTS).unwrap();
        }
    }
}

impl Seen {
    #[track_caller]
    fn had_superframes_both_ways(&self) {
        let LanCounters {
            frames_in,
            packets_in,
            frames_out,
            packets_out,
            ..
        } = self.counters;
        assert!(
            packets_in * 3 < frames_in && packets_out * 2 < frames_out,
            "few superframes, so little was tried: {:?}",
            self.counters
        );
    }

    #[track_caller]
    fn had_tcp(&self) {
        self.had_superframes_both_ways();
        // Most segments of at most 1,460 bytes.
        let least = (COPY / 1_460 / 2) as u64;
        assert!(
            self.found.iter().all(|found| found.tcp >= least),
            "{:?}",
            self.found
        );
    }

    #[track_caller]
    fn had_udp(&self) {
        self.had_superframes_both_ways();
        let least = (BURSTS * 41 / 2) as u64;
        assert!(
            self.found.iter().all(|found| found.udp >= least),
            "{:?}",
            self.found
        );
    }
}

fn watched() -> Option<Watched> {
    Some(Watched::begin(Party::new()?, "eth0"))
}

#[test]
fn tcp_over_ipv4_is_flawless_in_the_eyes_of_wireshark() {
    let Some(watched) = watched() else { return };
    watched.copy("192.168.77.10:4010");
    watched.end().had_tcp();
}

#[test]
fn tcp_over_ipv6_is_flawless_in_the_eyes_of_wireshark() {
    let Some(watched) = watched() else { return };
    watched.copy("[fd77::10]:4010");
    watched.end().had_tcp();
}

#[test]
fn udp_over_ipv4_is_flawless_in_the_eyes_of_wireshark() {
    let Some(watched) = watched() else { return };
    watched.datagrams("192.168.77.50:4011", "192.168.77.10:4011");
    watched.end().had_udp();
}

#[test]
fn udp_over_ipv6_is_flawless_in_the_eyes_of_wireshark() {
    let Some(watched) = watched() else { return };
    watched.datagrams("[fd77::50]:4011", "[fd77::10]:4011");
    watched.end().had_udp();
}

#[test]
fn a_bridge_port_is_flawless_in_the_eyes_of_wireshark() {
    let Some(party) = Party::with_bridge() else {
        return;
    };
    let watched = Watched::begin(party, "br0");
    watched.copy("192.168.77.10:4010");
    watched.copy("[fd77::10]:4010");
    watched.datagrams("192.168.77.50:4011", "192.168.77.10:4011");
    watched.datagrams("[fd77::50]:4011", "[fd77::10]:4011");
    let seen = watched.end();
    seen.had_tcp();
    seen.had_udp();
}

/// The kernel strips the tags of received superframes; each segment gets it
/// back.
#[test]
fn tagged_superframes_are_flawless_in_the_eyes_of_wireshark() {
    const SEGMENTS: u64 = 30;
    let Some(watched) = watched() else { return };
    let (header, frame) = frames::tagged_superframe(PLAYER, BYSTANDER, SEGMENTS);
    let packet = [&header.encode()[..], &frame].concat();
    watched.party.pc.run(move || {
        let socket = rustix::net::socket(AddressFamily::PACKET, SocketType::RAW, None).unwrap();
        packet_socket(&socket);
        for _ in 0..BURSTS {
            assert_eq!(rustix::io::write(&socket, &packet), Ok(packet.len()));
            std::thread::sleep(Duration::from_millis(5));
        }
    });
    let seen = watched.end();
    let sent = BURSTS as u64;
    let [player, _] = seen.found;
    assert_eq!(player.tagged, player.tcp);
    assert!(player.tagged * 2 >= sent * SEGMENTS, "{player:?}");
    let LanCounters {
        frames_in,
        packets_in,
        ..
    } = seen.counters;
    assert!(
        packets_in + (SEGMENTS - 1) * sent <= frames_in,
        "{:?}",
        seen.counters
    );
}

/// On `eth0`, with virtio-net headers.
fn packet_socket(socket: &OwnedFd) {
    let index = Netlink::open().unwrap().link_by_name("eth0").unwrap();
    let address = libc::sockaddr_ll {
        sll_family: libc::AF_PACKET as u16,
        sll_protocol: 0,
        sll_ifindex: index.unwrap().index as i32,
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 0,
        sll_addr: [0; 8],
    };
    let yes: libc::c_int = 1;
    // SAFETY: both calls read a structure through a pointer to it, with its
    // length.
    let done = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_PACKET,
            libc::PACKET_VNET_HDR,
            (&raw const yes).cast(),
            4,
        ) + libc::bind(
            socket.as_raw_fd(),
            (&raw const address).cast(),
            size_of_val(&address) as u32,
        )
    };
    assert_eq!(done, 0);
}
