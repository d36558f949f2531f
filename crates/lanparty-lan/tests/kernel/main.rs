//! The LAN through the kernel, on machines made of network namespaces.

#![cfg(target_os = "linux")]
#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test that cannot go on says so"
)]

mod frames;
mod node;
mod tunnel;
mod wireshark;

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::Duration;

use lanparty_lan::{
    Budget, FromLan, HostReach, HostUnreachable, Lan, LanError, LanOptions, LanPort, LinkEvent,
    Origin, Received, Refusal, Target,
};
use lanparty_obs::ExitCode;
use lanparty_os::netlink::Netlink;
use lanparty_proto::MacAddr;
use rustix::thread::CapabilitySet;

use frames::{destination, frame, numbered_broadcast, source};
use node::{Node, now, wait_until};
use tunnel::Tunnel;

/// A turn of these tests.
pub(crate) const TURN: Budget = Budget {
    packets: 64,
    bytes: usize::MAX,
};

const PLAYER: MacAddr = MacAddr([0x02, 0, 0x5e, 0x10, 0, 0x50]);
const BYSTANDER: MacAddr = MacAddr([0x02, 0, 0x5e, 0x10, 0, 0x60]);

/// The gateway computer and another one on the LAN, 192.168.77.1 and .10.
struct Party {
    gateway: Node,
    pc: Node,
}

impl Party {
    fn new() -> Option<Self> {
        let party = Self {
            gateway: Node::new()?,
            pc: Node::new()?,
        };
        party.gateway.connect("eth0", &party.pc, "eth0");
        party.gateway.address("eth0", "192.168.77.1/24");
        party.pc.address("eth0", "192.168.77.10/24");
        Some(party)
    }

    /// The same with the gateway's cable in a bridge.
    fn with_bridge() -> Option<Self> {
        let party = Self {
            gateway: Node::new()?,
            pc: Node::new()?,
        };
        party.gateway.ip("link add br0 type bridge");
        party.gateway.connect("eth0", &party.pc, "eth0");
        // As high as addresses usually are.
        party.gateway.ip("link set eth0 address fe:fe:00:00:00:01");
        party.gateway.ip("link set eth0 master br0");
        party.gateway.ip("link set br0 up");
        party.gateway.address("br0", "192.168.77.1/24");
        party.pc.address("eth0", "192.168.77.10/24");
        Some(party)
    }

    fn open(&self, interface: &str) -> Result<Lan, LanError> {
        let options = LanOptions {
            interface: interface.to_owned(),
            offload: true,
        };
        self.gateway.run(move || Lan::open(&options))
    }

    /// The gateway's LAN with a player behind a tunnel, 192.168.77.50.
    fn with_player(&self, interface: &str) -> (Node, Tunnel) {
        let player = Node::new().unwrap();
        let tap = player.tap(PLAYER, "192.168.77.50/24");
        let mut lan = self.open(interface).unwrap();
        lan.set_members(&[PLAYER]).unwrap();
        assert_eq!(lan.host_reach(), &HostReach::Reachable);
        (player, Tunnel::between(lan, tap))
    }
}

/// Sends `megabytes` over TCP from one machine to another, both ways at once.
fn exchange(from: &Node, to: &Node, address: &str, megabytes: usize) {
    let address: SocketAddr = address.parse().unwrap();
    let listener = to.run(move || TcpListener::bind(address).unwrap());
    let server = std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        swap(stream, megabytes)
    });
    let stream =
        from.run(move || TcpStream::connect_timeout(&address, Duration::from_secs(10)).unwrap());
    swap(stream, megabytes);
    server.join().unwrap();
}

fn swap(mut stream: TcpStream, megabytes: usize) {
    stream
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    let pattern: Vec<u8> = (0..1_u32 << 20).map(|at| ((at * 31) >> 5) as u8).collect();
    let mut sender = stream.try_clone().unwrap();
    let sent = pattern.clone();
    let sending = std::thread::spawn(move || {
        for _ in 0..megabytes {
            sender.write_all(&sent).unwrap();
        }
    });
    let mut received = vec![0; pattern.len()];
    for _ in 0..megabytes {
        stream.read_exact(&mut received).unwrap();
        assert!(received == pattern, "the copy differs");
    }
    sending.join().unwrap();
}

/// What comes off the LAN within a moment.
fn drain(lan: &mut Lan) -> Vec<(Vec<u8>, Origin)> {
    let mut frames = Vec::new();
    let deadline = now() + Duration::from_millis(300);
    loop {
        let received = lan.receive(TURN, &mut |from_lan| match from_lan {
            FromLan::Frame { frame, origin } => frames.push((frame.to_vec(), origin)),
            FromLan::Dropped(reason) => panic!("dropped: {reason}"),
        });
        if received.unwrap() == Received::Drained {
            if now() >= deadline {
                break;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }
    frames
}

#[test]
fn b17_a_copy_with_superframes_arrives_whole_and_in_finished_frames() {
    let Some(party) = Party::new() else { return };
    let (player, tunnel) = party.with_player("eth0");
    exchange(&player, &party.pc, "192.168.77.10:4000", 20);
    let counters = tunnel.stop();
    assert!(
        counters.packets_in * 4 < counters.frames_in,
        "the LAN sent no superframes, so nothing was tried: {counters:?}"
    );
    assert!(
        counters.packets_out * 2 < counters.frames_out,
        "nothing was coalesced: {counters:?}"
    );
}

#[test]
fn a_turn_ends_with_the_packet_that_spends_its_bytes() {
    /// 42 bytes of headers and the room for a tag make it 1,000.
    const PAYLOAD: usize = 954;
    const PACKETS: usize = 300;
    let Some(party) = Party::new() else { return };
    let mut lan = party.open("eth0").unwrap();
    party.pc.run(|| {
        let socket = UdpSocket::bind("192.168.77.10:0").unwrap();
        socket.set_broadcast(true).unwrap();
        for _ in 0..PACKETS {
            socket
                .send_to(&[0; PAYLOAD], "192.168.77.255:4009")
                .unwrap();
        }
    });
    std::thread::sleep(Duration::from_millis(100));
    let budget = Budget {
        packets: 64,
        bytes: 9_500,
    };
    let mut turns = Vec::new();
    loop {
        let mut frames = 0;
        let mut count = |from_lan: FromLan<'_>| match from_lan {
            FromLan::Frame { frame, .. } => frames += usize::from(frame.len() > PAYLOAD),
            FromLan::Dropped(reason) => panic!("dropped: {reason}"),
        };
        let received = lan.receive(budget, &mut count).unwrap();
        turns.push(frames);
        if received == Received::Drained {
            break;
        }
    }
    assert_eq!(turns.iter().sum::<usize>(), PACKETS);
    assert!(turns.iter().all(|&frames| frames <= 10), "{turns:?}");
    assert!(turns.len() <= PACKETS / 10 + 3, "{turns:?}");
}

#[test]
fn datagrams_that_the_sender_left_to_be_cut_arrive_as_single_ones() {
    const SIZE: u16 = 1_000;
    let Some(party) = Party::new() else { return };
    let (player, tunnel) = party.with_player("eth0");
    let receiver = player.run(|| UdpSocket::bind("192.168.77.50:4007").unwrap());
    receiver
        .set_read_timeout(Some(Duration::from_secs(5)))
        .unwrap();
    let payload: Vec<u8> = (0..u32::from(SIZE) * 20).map(|at| (at / 7) as u8).collect();
    let sent = payload.clone();
    party.pc.run(move || {
        let socket = UdpSocket::bind("192.168.77.10:0").unwrap();
        // The neighbour is found first, because a queue for it may be short.
        socket.send_to(&sent[..1], "192.168.77.50:4007").unwrap();
        std::thread::sleep(Duration::from_millis(200));
        leave_to_be_cut(&socket, SIZE);
        socket.send_to(&sent, "192.168.77.50:4007").unwrap();
    });
    let mut buffer = [0; 2048];
    let (length, _) = receiver.recv_from(&mut buffer).unwrap();
    assert_eq!(length, 1);
    let mut received: Vec<u8> = Vec::new();
    while received.len() < payload.len() {
        let (length, _) = receiver.recv_from(&mut buffer).unwrap();
        assert_eq!(length, usize::from(SIZE));
        received.extend(&buffer[..length]);
    }
    assert!(received == payload);
    let counters = tunnel.stop();
    assert!(
        counters.packets_in + 19 <= counters.frames_in,
        "the datagrams came one by one, so nothing was tried: {counters:?}"
    );
}

/// Sets `UDP_SEGMENT`.
fn leave_to_be_cut(socket: &UdpSocket, size: u16) {
    let size = libc::c_int::from(size);
    // SAFETY: `size` outlives the call and its length is given.
    let set = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_UDP,
            libc::UDP_SEGMENT,
            (&raw const size).cast(),
            4,
        )
    };
    assert_eq!(set, 0);
}

#[test]
fn after_set_up_no_capability_is_needed() {
    let Some(party) = Party::new() else { return };
    let mut lan = party.open("eth0").unwrap();
    without(&party.gateway, CapabilitySet::all());
    let mut lan = party.gateway.run(move || {
        lan.set_members(&[PLAYER]).unwrap();
        lan.send(&numbered_broadcast(PLAYER, 1), Target::Both);
        lan.send(&frame(lan.mac(), PLAYER, 1), Target::Host);
        assert_eq!(lan.flush(), 0);
        lan.link_events(&mut |_| {}).unwrap();
        lan.overflowed();
        lan
    });
    let mut other = party.pc.run(|| {
        Lan::open(&LanOptions {
            interface: "eth0".to_owned(),
            offload: true,
        })
        .unwrap()
    });
    other.send(&frame(PLAYER, BYSTANDER, 2), Target::Wire);
    other.flush();
    assert!(
        drain(&mut lan)
            .iter()
            .any(|(frame, _)| source(frame) == BYSTANDER)
    );
}

#[test]
fn players_and_the_gateway_computer_reach_each_other() {
    let Some(party) = Party::new() else { return };
    let (player, tunnel) = party.with_player("eth0");
    exchange(&player, &party.gateway, "192.168.77.1:4000", 5);
    exchange(&party.gateway, &player, "192.168.77.50:4000", 5);
    tunnel.stop();
}

#[test]
fn the_gateway_computer_hears_a_broadcast_of_a_player_and_answers() {
    let Some(party) = Party::new() else { return };
    let (player, tunnel) = party.with_player("eth0");
    let timeout = Some(Duration::from_secs(5));
    let server = party
        .gateway
        .run(|| UdpSocket::bind("0.0.0.0:4001").unwrap());
    let client = player.run(|| UdpSocket::bind("192.168.77.50:4002").unwrap());
    server.set_read_timeout(timeout).unwrap();
    client.set_read_timeout(timeout).unwrap();
    client.set_broadcast(true).unwrap();
    client
        .send_to(b"who plays?", "255.255.255.255:4001")
        .unwrap();
    let mut buffer = [0; 64];
    let (length, from) = server.recv_from(&mut buffer).unwrap();
    assert_eq!(&buffer[..length], b"who plays?");
    assert_eq!(from, "192.168.77.50:4002".parse().unwrap());
    server.send_to(b"we do", from).unwrap();
    let (length, from) = client.recv_from(&mut buffer).unwrap();
    assert_eq!(&buffer[..length], b"we do");
    assert_eq!(from, "192.168.77.1:4001".parse().unwrap());
    tunnel.stop();
}

#[test]
fn b18_our_own_frames_are_never_read_again() {
    let Some(party) = Party::new() else { return };
    let mut lan = party.open("eth0").unwrap();
    lan.set_members(&[PLAYER, BYSTANDER]).unwrap();
    for number in 0..50 {
        lan.send(&numbered_broadcast(PLAYER, number), Target::Both);
        lan.send(&frame(BYSTANDER, PLAYER, number), Target::Wire);
        lan.send(&frame(lan.mac(), PLAYER, number), Target::Host);
    }
    assert_eq!(lan.flush(), 0);
    let own: Vec<_> = drain(&mut lan)
        .into_iter()
        .filter(|(frame, _)| source(frame) == PLAYER)
        .collect();
    assert_eq!(own, Vec::new());
}

#[test]
fn a_member_that_speaks_on_the_cable_is_seen_so_that_a_loop_is() {
    let Some(party) = Party::new() else { return };
    let mut lan = party.open("eth0").unwrap();
    lan.set_members(&[PLAYER]).unwrap();
    // A second gateway, on the same LAN.
    let mut other = party.pc.run(|| {
        Lan::open(&LanOptions {
            interface: "eth0".to_owned(),
            offload: true,
        })
        .unwrap()
    });
    other.send(&numbered_broadcast(PLAYER, 7), Target::Both);
    other.flush();
    let seen = drain(&mut lan);
    assert!(
        seen.iter()
            .any(|(frame, origin)| source(frame) == PLAYER && *origin == Origin::Wire),
        "{seen:?}"
    );
}

#[test]
fn only_groups_and_present_players_get_past_the_filter() {
    let Some(party) = Party::new() else { return };
    let mut lan = party.open("eth0").unwrap();
    let gateway_mac = lan.mac();
    for (address, mac) in [
        ("192.168.77.50", PLAYER),
        ("192.168.77.60", BYSTANDER),
        ("192.168.77.70", gateway_mac),
    ] {
        for node in [&party.pc, &party.gateway] {
            node.ip(&format!(
                "neigh replace {address} lladdr {mac} dev eth0 nud permanent"
            ));
        }
    }
    for node in [&party.pc, &party.gateway] {
        node.ip("route add 224.0.0.0/4 dev eth0");
    }
    let speak = |node: &Node| {
        node.run(|| {
            let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
            socket.set_broadcast(true).unwrap();
            for address in ["50", "60", "70", "255"] {
                let to = format!("192.168.77.{address}:4003");
                socket.send_to(b"hello", to).unwrap();
            }
            socket.send_to(b"hello", "224.0.0.251:4003").unwrap();
        });
    };
    let heard = |lan: &mut Lan| -> (BTreeSet<MacAddr>, BTreeSet<MacAddr>) {
        let frames = drain(lan);
        let of = |wanted| {
            frames
                .iter()
                .filter(|(frame, origin)| *origin == wanted && frame[12..14] == [8, 0])
                .map(|(frame, _)| destination(frame))
                .collect()
        };
        (of(Origin::Wire), of(Origin::Host))
    };
    let group = MacAddr([0x01, 0, 0x5e, 0, 0, 0xfb]);
    for members in [&[][..], &[PLAYER], &[BYSTANDER, PLAYER], &[BYSTANDER]] {
        drain(&mut lan);
        lan.set_members(members).unwrap();
        speak(&party.pc);
        speak(&party.gateway);
        let mut wanted = BTreeSet::from([MacAddr::BROADCAST, group]);
        wanted.extend(members);
        assert_eq!(heard(&mut lan), (wanted.clone(), wanted), "{members:?}");
    }
}

#[test]
fn every_frame_is_read_or_counted_as_overflowed() {
    const SENT: u64 = 20_000;
    let Some(party) = Party::new() else { return };
    let mut lan = party.open("eth0").unwrap();
    let mut other = party.pc.run(|| {
        Lan::open(&LanOptions {
            interface: "eth0".to_owned(),
            offload: true,
        })
        .unwrap()
    });
    let mut long = numbered_broadcast(BYSTANDER, 1);
    long.resize(1_514, 0);
    let mut refused = 0;
    for _ in 0..SENT {
        other.send(&long, Target::Wire);
        refused += other.flush();
    }
    assert_eq!(refused, 0);
    let read = drain(&mut lan)
        .iter()
        .filter(|(frame, _)| source(frame) == BYSTANDER)
        .count() as u64;
    let overflowed = lan.overflowed();
    assert!(overflowed > 0, "nothing was tried");
    // The machines say a few things of their own.
    assert!(
        (SENT..SENT + 20).contains(&(read + overflowed)),
        "{read} read and {overflowed} overflowed of {SENT}"
    );
    assert_eq!(lan.overflowed(), 0, "counted twice");
}

#[test]
fn b2_a_vlan_tag_is_put_back_where_the_kernel_had_taken_it_out() {
    let Some(party) = Party::new() else { return };
    let mut lan = party.open("eth0").unwrap();
    // Receiving kernels take an 802.1Q tag out of any frame.
    let mut sender = party.pc.run(|| {
        Lan::open(&LanOptions {
            interface: "eth0".to_owned(),
            offload: true,
        })
        .unwrap()
    });
    for (tpid, tci) in [([0x81, 0x00], [0x60, 0x05]), ([0x88, 0xa8], [0x00, 0x07])] {
        let untagged = numbered_broadcast(BYSTANDER, 9);
        let tagged = [&untagged[..12], &tpid, &tci, &untagged[12..]].concat();
        sender.send(&tagged, Target::Wire);
        sender.flush();
        let seen = drain(&mut lan);
        assert!(
            seen.contains(&(tagged.clone(), Origin::Wire)),
            "{tagged:x?} not in {seen:x?}"
        );
    }
}

#[test]
fn a_bridge_gets_a_port_and_keeps_its_address_and_mtu() {
    let Some(party) = Party::with_bridge() else {
        return;
    };
    party.gateway.ip("link set eth0 mtu 9000");
    let describe = || {
        party.gateway.run(|| {
            let bridge = Netlink::open().unwrap().link_by_name("br0").unwrap();
            let bridge = bridge.unwrap();
            (bridge.mac, bridge.mtu)
        })
    };
    let before = describe();
    assert_eq!(before.1, 9000);
    let (player, tunnel) = party.with_player("br0");
    assert_eq!(describe(), before);
    party.gateway.ip("link set eth0 mtu 1500");
    exchange(&player, &party.pc, "192.168.77.10:4000", 10);
    exchange(&player, &party.gateway, "192.168.77.1:4000", 5);
    exchange(&party.gateway, &player, "192.168.77.50:4000", 5);
    let counters = tunnel.stop();
    assert!(
        counters.packets_in * 4 < counters.frames_in,
        "the bridge lost its superframes: {counters:?}"
    );
    assert_eq!(describe().0, before.0);
}

#[test]
fn on_a_bridge_the_filter_holds_and_the_host_is_told_from_the_cable() {
    let Some(party) = Party::with_bridge() else {
        return;
    };
    let mut lan = party.open("br0").unwrap();
    lan.set_members(&[PLAYER]).unwrap();
    for node in [&party.pc, &party.gateway] {
        let dev = if std::ptr::eq(node, &party.pc) {
            "eth0"
        } else {
            "br0"
        };
        for (address, mac) in [("192.168.77.50", PLAYER), ("192.168.77.60", BYSTANDER)] {
            node.ip(&format!(
                "neigh replace {address} lladdr {mac} dev {dev} nud permanent"
            ));
        }
    }
    // The port forwards nothing until the bridge has it in the forwarding state.
    let mut heard = BTreeSet::new();
    wait_until("both machines' frames for the player", || {
        for node in [&party.pc, &party.gateway] {
            node.run(|| {
                let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
                for to in ["192.168.77.50:4003", "192.168.77.60:4003"] {
                    socket.send_to(b"hello", to).unwrap();
                }
            });
        }
        for (frame, origin) in drain(&mut lan) {
            assert_ne!(destination(&frame), BYSTANDER);
            if destination(&frame) == PLAYER {
                heard.insert(origin == Origin::Host);
            }
        }
        heard.len() == 2
    });
}

#[test]
fn everything_is_gone_when_the_lan_is_closed() {
    let Some(party) = Party::new() else { return };
    let state = || {
        party.gateway.run(|| {
            let links = Netlink::open().unwrap().links().unwrap();
            let mut names: Vec<_> = links
                .iter()
                .map(|link| (link.name.clone(), link.promiscuity))
                .collect();
            names.sort();
            names
        })
    };
    let before = state();
    let lan = party.open("eth0").unwrap();
    let meanwhile = state();
    assert!(meanwhile.contains(&("eth0".to_owned(), 1)), "{meanwhile:?}");
    assert!(meanwhile.contains(&("softhost0".to_owned(), 0)));
    drop(lan);
    // A program that another test is just starting holds our descriptors for
    // a moment.
    wait_until("everything to be gone", || state() == before);
}

#[test]
fn the_cable_and_the_addresses_are_watched_and_frames_flow_again_after_a_pull() {
    let Some(party) = Party::new() else { return };
    let mut lan = party.open("eth0").unwrap();
    assert!(lan.is_link_up());
    let mut events = Vec::new();
    let mut wait_for = |lan: &mut Lan, wanted| {
        wait_until("a link event", || {
            lan.link_events(&mut |event| events.push(event)).unwrap();
            // As the program's loop does; the socket tells of the pull too.
            lan.receive(TURN, &mut |_| {}).unwrap();
            events.contains(&wanted)
        });
        std::mem::take(&mut events)
    };
    party.gateway.ip("link set eth0 down");
    assert!(wait_for(&mut lan, LinkEvent::Down).contains(&LinkEvent::Down));
    assert!(!lan.is_link_up());
    party.gateway.ip("link set eth0 up");
    wait_for(&mut lan, LinkEvent::Up);
    party.pc.ip("link set eth0 down");
    wait_for(&mut lan, LinkEvent::Down);
    party.pc.ip("link set eth0 up");
    wait_for(&mut lan, LinkEvent::Up);
    party.gateway.address("eth0", "10.1.2.3/8");
    wait_for(&mut lan, LinkEvent::AddressesChanged);
    assert!(lan.addresses().contains(&"10.1.2.3/8".parse().unwrap()));
    wait_until("a broadcast after the pull", || {
        party.pc.run(|| {
            let socket = UdpSocket::bind("192.168.77.10:0").unwrap();
            socket.set_broadcast(true).unwrap();
            let _ = socket.send_to(b"back", "255.255.255.255:4005");
        });
        drain(&mut lan)
            .iter()
            .any(|(frame, _)| frame.ends_with(b"back"))
    });
    party.gateway.ip("link del eth0");
    wait_for(&mut lan, LinkEvent::Gone);
}

#[test]
fn an_interface_that_will_not_do_is_refused_with_a_remedy() {
    let Some(party) = Party::with_bridge() else {
        return;
    };
    party.gateway.ip("link add plug0 type veth peer name plug1");
    let refusal = |interface: &str| {
        let error = party.open(interface).unwrap_err();
        let LanError::Refused { refusal, .. } = error else {
            panic!("{error}");
        };
        refusal
    };
    assert_eq!(refusal("lo"), Refusal::Loopback);
    assert_eq!(refusal("plug0"), Refusal::Down);
    party.gateway.ip("link set plug0 up");
    assert_eq!(refusal("plug0"), Refusal::NoCarrier);
    assert_eq!(
        refusal("eth0"),
        Refusal::PartOf {
            master: "br0".to_owned()
        }
    );
    assert_eq!(
        refusal("eth9"),
        Refusal::Missing {
            usable: vec!["br0".to_owned()]
        }
    );
    let error = party.open("eth0").unwrap_err();
    assert_eq!(error.to_string(), "eth0 is part of br0");
    assert_eq!(error.user_hint(), "use --iface br0");
    assert_eq!(error.exit_code(), ExitCode::Interface);
}

fn without(node: &Node, dropped: CapabilitySet) {
    node.run(move || {
        let mut sets = rustix::thread::capabilities(None).unwrap();
        sets.effective.remove(dropped);
        sets.permitted.remove(dropped);
        rustix::thread::set_capabilities(None, sets).unwrap();
    });
}

#[test]
fn without_the_right_to_capture_the_sentence_names_what_is_missing() {
    let Some(party) = Party::new() else { return };
    without(&party.gateway, CapabilitySet::NET_RAW);
    let error = party.open("eth0").unwrap_err();
    assert_eq!(error.exit_code(), ExitCode::Privilege);
    assert!(error.user_hint().contains("CAP_NET_RAW"), "{error}");
}

#[test]
fn with_the_right_to_capture_alone_all_but_the_gateway_computer_is_reached() {
    let Some(party) = Party::new() else { return };
    without(
        &party.gateway,
        CapabilitySet::NET_ADMIN | CapabilitySet::BPF | CapabilitySet::SYS_ADMIN,
    );
    let mut lan = party.open("eth0").unwrap();
    assert_eq!(
        lan.host_reach(),
        &HostReach::Unreachable(HostUnreachable::NotPermitted)
    );
    let mut other = party.pc.run(|| {
        Lan::open(&LanOptions {
            interface: "eth0".to_owned(),
            offload: true,
        })
        .unwrap()
    });
    other.send(&numbered_broadcast(BYSTANDER, 1), Target::Wire);
    other.flush();
    party.gateway.run(|| {
        let socket = UdpSocket::bind("192.168.77.1:0").unwrap();
        socket.set_broadcast(true).unwrap();
        socket.send_to(b"alone", "255.255.255.255:4006").unwrap();
    });
    let frames = drain(&mut lan);
    assert!(frames.iter().any(|(frame, _)| source(frame) == BYSTANDER));
    assert!(
        frames.iter().all(|(_, origin)| *origin == Origin::Wire),
        "half a way to the host is worse than none"
    );
    lan.send(&frame(lan.mac(), PLAYER, 1), Target::Host);
    assert_eq!(
        lan.flush(),
        1,
        "a frame that cannot be delivered is counted"
    );
}
