//! Writes the hand-made part of `fuzz/corpus`: one input for each shape that a
//! target should know from the start. Run it after a format changed:
//!
//!     cargo run -p lanparty-fuzz-targets --example seed_corpus

use std::path::Path;

use anyhow::{Context as _, Result};
use lanparty_fuzz_targets::l2::PLAYER;
use lanparty_net::Invite;
use lanparty_offload::{Checksum, Gso, GsoKind, VnetHdr};
use lanparty_proto::PeerId;
use lanparty_proto::fragment::split;
use lanparty_proto::overlay::{FrameCount, Header, Hint, Kind};
use lanparty_proto::peer::RELAY;
use lanparty_proto::probe::{Probe, ProbeOp};
use lanparty_proto::timing::{Echo, Timing};

const SERVER: [u8; 6] = [0x52, 0x54, 0, 0, 0, 9];
const BROADCAST: [u8; 6] = [0xFF; 6];
const PLAYER_IP: [u8; 4] = [192, 168, 7, 50];
const SERVER_IP: [u8; 4] = [192, 168, 7, 9];

fn main() -> Result<()> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../corpus");
    let write = |target: &str, name: &str, input: &[u8]| -> Result<()> {
        let directory = corpus.join(target);
        std::fs::create_dir_all(&directory)?;
        std::fs::write(directory.join(name), input).with_context(|| format!("{target}/{name}"))
    };

    let frames = frames();
    for (name, frame) in &frames {
        write("proto_ethernet", name, frame)?;
        let input = [&[0][..], &listed(std::slice::from_ref(frame))].concat();
        write("l2_policy", name, &input)?;
    }
    let all: Vec<_> = frames.iter().map(|(_, frame)| frame.clone()).collect();
    for (name, settings) in [
        ("gateway", 4_u8),
        ("gateway-open", 5),
        ("player-strict", 10),
    ] {
        let input = [&[settings][..], &listed(&all)].concat();
        write("l2_policy", &format!("all-{name}"), &input)?;
    }

    for (name, frame) in &frames {
        if name.starts_with("dhcp") || name.starts_with("router") || name.starts_with("tcp") {
            write("l2_dhcp", name, frame)?;
        }
    }

    overlay(&write)?;
    fragments(&write)?;
    offload(&write)?;
    control(&write)?;
    rooms(&write, &all)?;
    sessions(&write, &frames)?;
    journals(&write)?;
    windows(&write)?;
    seal(&write)?;
    for (name, text) in [
        ("name", "relay.example.org"),
        ("name-port", "relay.example.org:4433"),
        ("name-dot", "relay.example.org."),
        ("idn", "xn--rlay-bpa.example"),
        ("v4", "192.0.2.1"),
        ("v4-port", "192.0.2.1:443"),
        ("v6", "2001:db8::1"),
        ("v6-port", "[2001:db8::1]:443"),
        ("mapped", "[::ffff:192.0.2.1]:443"),
        ("zone", "[fe80::1%eth0]:443"),
        ("scheme", "https://relay.example.org/"),
        ("listen-port", "443/udp"),
        ("listen-v6", "[::]:443"),
        ("listen-v4", "0.0.0.0:443/udp"),
    ] {
        write("net_endpoint", name, text.as_bytes())?;
    }
    invites(&write)
}

fn invites(write: Write<'_>) -> Result<()> {
    let pins = [[0xA5; 32], [0x0B; 32]];
    for (name, relay, pins, key) in [
        ("keyed", "relay.example", &pins[..1], &[7_u8; 32][..]),
        ("rotation", "192.0.2.1:4433", &pins, &[7; 32]),
        ("keyless", "[2001:db8::1]:4433", &[], &[]),
        ("idn", "bücher.example", &pins[..1], &[0; 32]),
    ] {
        let damage = *b"aZ0#?&/:=.%\xFF";
        let texts = [relay.as_bytes(), b"ROOM1", key, &damage].map(<[u8]>::to_vec);
        let parts = [&listed(&texts), pins.as_flattened()].concat();
        write("net_invite", &format!("parts-{name}"), &parts)?;
        let invite = Invite::new(relay.parse()?, "ROOM1", pins.to_vec(), key.try_into().ok())?;
        write("net_invite", name, invite.link().as_bytes())?;
    }
    write("net_invite", "cut", b"lanparty://relay.example/ROOM1")
}

/// Bodies of every type, and evenings of two members in the operations of
/// `seal::room`.
fn seal(write: Write<'_>) -> Result<()> {
    for (name, kind, len) in [
        ("announcement", 1, 134),
        ("key", 2, 157),
        ("request", 3, 9),
        ("roster", 4, 75),
        ("heartbeat", 5, 153),
        ("rotation", 6, 149),
    ] {
        let mut body = vec![0; len];
        body[0] = kind;
        write("seal_body", name, &body)?;
    }
    let step = |operation: u8, bytes: &[u8]| {
        let len = u16::try_from(bytes.len()).unwrap_or(0);
        [&[operation][..], &len.to_be_bytes(), bytes].concat()
    };
    let (tell_again, seal, pass_on, wait, sleep, list_again) = (1, 2, 3, 4 + 8 * 5, 5 + 8 * 11, 6);
    let evenings: [(&str, Vec<Vec<u8>>); 5] = [
        (
            "honest",
            vec![step(seal, &[]), step(pass_on, &[0, 0, 0]), step(wait, &[])],
        ),
        (
            "replayed",
            vec![
                step(seal, &[]),
                step(pass_on, &[0, 0, 0]),
                step(pass_on, &[0, 0, 0]),
                step(tell_again, &[1, 0, 0]),
                step(tell_again, &[2, 0, 0]),
                step(pass_on, &[0, 0, 0]),
            ],
        ),
        (
            "listed-again",
            vec![
                step(seal, &[]),
                step(list_again, &[]),
                step(tell_again, &[0, 0, 0]),
                step(tell_again, &[2, 0, 0]),
                step(pass_on, &[0, 0, 0]),
                step(wait, &[]),
            ],
        ),
        (
            "long",
            vec![
                step(seal, &[]),
                step(sleep, &[]),
                step(seal, &[]),
                step(sleep, &[]),
                step(pass_on, &[1, 0, 0]),
                step(pass_on, &[0, 0, 0]),
            ],
        ),
        (
            "altered",
            vec![
                step(seal, &[]),
                step(pass_on, &[0, 20, 1]),
                step(tell_again, &[0, 50, 4]),
                step(0, &[3, 0, 0, 0, 0, 0, 0, 0, 9]),
                step(7, &[16; 60]),
                step(wait, &[]),
            ],
        ),
    ];
    for (name, evening) in evenings {
        write("seal_room", name, &evening.concat())?;
    }
    Ok(())
}

type Write<'a> = &'a dyn Fn(&str, &str, &[u8]) -> Result<()>;

/// Frames with one Ethernet header, as they travel together.
fn bundle(frames: &[Vec<u8>]) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    for frame in frames {
        let (ethernet, payload) = frame.split_at(14);
        if bytes.is_empty() {
            bytes.extend_from_slice(ethernet);
        }
        bytes.extend(u16::try_from(payload.len())?.to_be_bytes());
        bytes.extend_from_slice(payload);
    }
    Ok(bytes)
}

/// The header of as many frames as these.
fn header_of(frames: &[Vec<u8>], source: u16) -> Result<Header> {
    let counts = std::iter::successors(Some(FrameCount::ONE), |count| count.next());
    let frames = counts.take(frames.len()).last().context("no frames")?;
    let header = header(Kind::Frame, source)?;
    Ok(Header { frames, ..header })
}

fn header(kind: Kind, source: u16) -> Result<Header> {
    Ok(Header {
        kind,
        hint: Hint::Normal,
        source: PeerId::try_from(source)?,
        flow_tag: 0x5150,
        frames: FrameCount::ONE,
    })
}

/// A machine with two adapters, its routes, and what its driver says.
fn windows(write: Write<'_>) -> Result<()> {
    let wide = |text: &str| -> Vec<u8> {
        let units: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let len = u16::try_from(units.len()).unwrap_or(0).to_be_bytes();
        [&len[..], &units].concat()
    };
    let ours = "{0000004D-0000-0000-0000-4E6574446576}";
    let adapter = |component: &str, id: &str, name: &str| {
        let values = [component, id, "9.27.0.0", name, "ROOT\\NET\\0000"];
        let values: Vec<u8> = values.iter().flat_map(|value| wide(value)).collect();
        [&[0, 0x1F][..], &values].concat()
    };
    let machine = [
        adapter(
            "pci\\ven_8086",
            "{00000002-0000-0000-0000-4E6574446576}",
            "Ethernet",
        ),
        adapter("root\\tap0901", ours, "lanparty0"),
        adapter("tap0901", "{nonsense}", ""),
    ]
    .concat();
    for (name, wanted) in [("first", ""), ("chosen", ours)] {
        write(
            "windows_adapters",
            name,
            &[wide(wanted), machine.clone()].concat(),
        )?;
    }

    // S-1-5-21-7, and everything to everybody in a list of one.
    let sid = [1, 2, 0, 0, 0, 0, 0, 5, 21, 0, 0, 0, 7, 0, 0, 0];
    let user = lanparty_os::windows::descriptor::Sid::parse(&sid).context("a SID")?;
    let private = lanparty_os::windows::descriptor::private_to(&user);
    let mut denied = private.clone();
    denied[28] = 1;
    for (name, descriptor) in [("private", private), ("denied", denied)] {
        let input = [&[0, 16][..], &sid, &descriptor].concat();
        write("windows_descriptor", name, &input)?;
    }

    let version: Vec<u8> = [9_u32, 27, 0]
        .iter()
        .flat_map(|n| n.to_le_bytes())
        .collect();
    write("windows_driver", "version", &version)?;
    write("windows_driver", "text", b"9.27.0.0")?;

    let v4 = |address: [u8; 4]| [&[0, 2][..], &address].concat();
    let row = |kind: u16, to: [u8; 4], len: u8, hop: [u8; 4], metric: u16| {
        let (kind, metric) = (kind.to_be_bytes(), metric.to_be_bytes());
        [&kind[..], &v4(to), &[0, len], &v4(hop), &metric].concat()
    };
    let relay = v4([203, 0, 113, 5]);
    let home = row(0x0342, [0; 4], 0, [192, 168, 1, 1], 35);
    let lan = row(0x0141, [203, 0, 113, 0], 24, [0; 4], 1);
    let stolen = row(0x0141, [0; 4], 1, [10, 9, 0, 1], 1);
    write(
        "windows_tables",
        "home",
        &[relay.clone(), home.clone()].concat(),
    )?;
    write(
        "windows_tables",
        "captured",
        &[relay, home, lan, stolen].concat(),
    )?;
    Ok(())
}

fn overlay(write: Write<'_>) -> Result<()> {
    for (name, kind) in [
        ("frame", Kind::Frame),
        ("fragment", Kind::Fragment),
        ("sealed-frame", Kind::SealedFrame),
        ("sealed-fragment", Kind::SealedFragment),
    ] {
        let datagram = [&header(kind, 1)?.encode()[..], &arp(1)].concat();
        write("proto_overlay", name, &datagram)?;
    }
    for (name, op, target) in [
        ("request", ProbeOp::Request, 2),
        ("reply", ProbeOp::Reply, 2),
        ("relay", ProbeOp::Request, RELAY),
    ] {
        let probe = Probe {
            op,
            seq: 9,
            target,
            nonce: 0x0123_4567_89AB_CDEF,
            send_us: 1_000,
            hold_us: 2,
        };
        let datagram = [&header(Kind::Probe, 1)?.encode()[..], &probe.encode()].concat();
        write("proto_overlay", name, &datagram)?;
    }
    for (name, frames) in [
        ("one", vec![arp(1)]),
        ("two", vec![arp(1), arp(1)]),
        ("empty", vec![arp(1)[..14].to_vec(); 3]),
    ] {
        let more = u8::try_from(frames.len())? - 1;
        write(
            "proto_bundle",
            name,
            &[&[more], &bundle(&frames)?[..]].concat(),
        )?;
    }
    let echo = Echo {
        mark: 1_000_000,
        arrived: 2_000_000_000,
    };
    for (name, timing) in [
        ("mark", Timing::Mark(1_000_000)),
        ("echo", Timing::Echo(echo)),
        ("both", Timing::Both(2_000_004_096, echo)),
    ] {
        let (bytes, len) = timing.encode();
        write("proto_timing", name, bytes.get(..len).unwrap_or_default())?;
    }
    Ok(())
}

fn fragments(write: Write<'_>) -> Result<()> {
    let frame = eth(SERVER, 0x0800, &[0x5A; 400]);
    for (name, kind, sealed, max_len) in [
        ("whole", Kind::Frame, 0, 500_u16),
        ("cut", Kind::Frame, 0, 150),
        ("sealed", Kind::SealedFrame, 6, 200),
        ("smallest", Kind::Frame, 0, 32),
    ] {
        let datagram = [&header(kind, 1)?.encode()[..], &vec![1; sealed], &frame].concat();
        let with_limit = |limit: u16, datagram: &[u8]| [&limit.to_be_bytes(), datagram].concat();
        write("proto_fragment", name, &with_limit(max_len, &datagram))?;
        for (at, piece) in split(&datagram, usize::from(max_len), 3, true)?
            .take(3)
            .enumerate()
        {
            let mut out = Vec::new();
            piece.write_to(&mut out);
            write(
                "proto_fragment",
                &format!("{name}-piece-{at}"),
                &with_limit(max_len / 2 + 20, &out),
            )?;
        }
    }

    let noise = |source: u16| -> Result<Vec<Vec<u8>>> {
        let datagram = [&header(Kind::Frame, source)?.encode()[..], &frame].concat();
        let pieces = split(&datagram, 150, source, source == 3)?;
        Ok(pieces
            .map(|piece| {
                let mut out = Vec::new();
                piece.write_to(&mut out);
                out
            })
            .collect())
    };
    let mut overlapping = noise(2)?;
    overlapping.extend(noise(2)?);
    overlapping.swap(1, 5);
    for (name, max_len, rotation, noise) in [
        ("in-order", 150_u16, 0_u16, Vec::new()),
        ("rotated", 150, 2, noise(2)?),
        ("two-senders", 200, 1, [noise(2)?, noise(3)?].concat()),
        ("overlapping", 100, 3, overlapping),
        ("fits", 1_500, 0, noise(2)?),
    ] {
        let mut input = [max_len.to_be_bytes(), rotation.to_be_bytes()].concat();
        input.extend(listed(std::slice::from_ref(&frame)));
        input.extend(listed(&noise));
        write("client_core_reassembly", name, &input)?;
    }
    Ok(())
}

fn offload(write: Write<'_>) -> Result<()> {
    let stream: Vec<_> = (0..6)
        .map(|at| tcp(SERVER, 1_000 + at * 100, at as u16, 0x10, &[0x5A; 100]))
        .collect();
    let mut pushed = stream.clone();
    pushed[2] = tcp(SERVER, 1_200, 2, 0x18, &[0x5A; 100]);
    pushed[4] = tcp(SERVER, 1_400, 4, 0x90, &[0x5A; 100]);
    let mut same_ids = stream.clone();
    same_ids[2] = tcp(SERVER, 1_200, 1, 0x10, &[0x5A; 100]);
    let acks = vec![
        stream[0].clone(),
        tcp(SERVER, 1_100, 1, 0x10, &[]),
        tcp(SERVER, 1_100, 2, 0x10, &[0x5A; 90]),
        arp(1),
    ];
    let datagrams: Vec<_> = (0..4)
        .map(|at| udp(SERVER, 27_015, 27_005, at, &[0x5A; 100]))
        .collect();
    for (name, frames) in [
        ("stream", &stream),
        ("push-and-cwr", &pushed),
        ("standing-id", &same_ids),
        ("acks", &acks),
        ("datagrams", &datagrams),
    ] {
        write("offload_coalesce", name, &listed(frames))?;
    }

    let whole = tcp(SERVER, 1_000, 7, 0x99, &[0x5A; 450]);
    let whole_udp = udp(SERVER, 27_015, 27_005, 7, &[0x5A; 450]);
    let partial = |offset| Checksum::Partial { start: 34, offset };
    let gso = |kind, size| {
        Some(Gso {
            kind,
            ecn: kind == GsoKind::TcpV4,
            size,
        })
    };
    for (name, checksum, gso, frame) in [
        ("tcp", partial(16), gso(GsoKind::TcpV4, 100), &whole),
        ("udp", partial(6), gso(GsoKind::UdpL4, 100), &whole_udp),
        ("unfinished", partial(16), None, &whole),
        ("whole", Checksum::Complete, None, &whole),
        ("valid", Checksum::Valid, None, &whole_udp),
        ("mismatch", partial(16), gso(GsoKind::TcpV6, 100), &whole),
    ] {
        let header = VnetHdr {
            checksum,
            gso,
            hdr_len: 54,
        };
        write(
            "offload_segment",
            name,
            &[&header.encode()[..], frame].concat(),
        )?;
    }
    let mut tagged = whole.clone();
    tagged.splice(12..12, [0x81, 0x00, 0x00, 0x05]);
    let header = VnetHdr {
        checksum: partial(16),
        gso: gso(GsoKind::TcpV4, 100),
        hdr_len: 54,
    };
    let header = header.with_vlan_tag().encode();
    write(
        "offload_segment",
        "tagged",
        &[&header[..], &tagged].concat(),
    )
}

/// What the members of a room may do, as operations: the low two bits name the
/// connection, the next two say what happens there.
fn rooms(write: Write<'_>, frames: &[Vec<u8>]) -> Result<()> {
    let step = |operation: u8, bytes: &[u8]| {
        [&[operation][..], &(bytes.len() as u16).to_be_bytes(), bytes].concat()
    };
    let (datagram, control, other) = (0 << 2, 2 << 2, 3 << 2);
    for sender in 1..=3_u8 {
        let mut input = Vec::new();
        for frame in frames {
            let header = header(Kind::Frame, 1)?.encode();
            input.extend(step(datagram | sender, &[&header[..], frame].concat()));
        }
        input.truncate(4_000);
        write("relay_core_room", &format!("frames-{sender}"), &input)?;
    }
    let mut input = Vec::new();
    for frame in frames.iter().filter(|frame| frame.len() > 14) {
        let pair = [frame.clone(), frame.clone()];
        let header = header_of(&pair, 1)?.encode();
        let whole = [&header[..], &bundle(&pair)?].concat();
        input.extend(step(datagram | 1, &whole));
        input.extend(step(datagram | 1, &whole[..whole.len() - 1]));
    }
    input.truncate(4_000);
    write("relay_core_room", "bundles", &input)?;
    let ping = br#"{"type":"ping","nonce":7}"#;
    let ping = [&(ping.len() as u32).to_be_bytes()[..], ping].concat();
    let mut input = step(control | 1, &ping);
    input.extend(step(control | 2, &ping[..9]));
    input.extend(step(0xF0 | other | 2, &[1]));
    input.extend(step(control | 3, &[0xFF; 8]));
    input.extend(step(other | 1, &[]));
    input.extend(step(0xF0 | other, &[1]));
    write("relay_core_room", "control", &input)?;

    // Sealed frames and messages, and a host that lets people in and out.
    let mut input = Vec::new();
    for frame in frames {
        for kind in [Kind::SealedFrame, Kind::SealedFragment] {
            let header = header(kind, 1)?.encode();
            let sealed = [&header[..], &[0; 6], frame, &[0xEE; 16]].concat();
            input.extend(step(datagram | 1, &sealed));
        }
    }
    input.truncate(4_000);
    write("relay_core_room", "sealed", &input)?;
    let say = |number: u8, json: &str| {
        let framed = [&(json.len() as u32).to_be_bytes()[..], json.as_bytes()].concat();
        step(control | number, &framed)
    };
    let access = |approval: bool, banned: &[u8], approved: &[u8]| {
        let list = |numbers: &[u8]| {
            let quoted = numbers
                .iter()
                .map(|n| format!("\"{}\"", format!("{n:02x}").repeat(32)));
            quoted.collect::<Vec<_>>().join(",")
        };
        let (banned, approved) = (list(banned), list(approved));
        format!(
            r#"{{"type":"access","approval":{approval},"banned":[{banned}],"approved":[{approved}]}}"#
        )
    };
    let mut input = say(1, r#"{"type":"sealed","body":"c5c5"}"#);
    input.extend(say(2, r#"{"type":"sealed","peer":1,"body":"c5"}"#));
    for lists in [
        access(true, &[], &[1]),
        access(true, &[1], &[1, 2]),
        access(false, &[], &[]),
    ] {
        input.extend(say(3, &lists));
        for number in [1, 2] {
            input.extend(step(0xF0 | other, &[1]));
            input.extend(step(other | number, &[]));
        }
    }
    input.extend(say(3, r#"{"type":"remove","peer":1,"ban":true}"#));
    input.extend(step(other | 3, &[]));
    input.extend(step(other | 1, &[]));
    input.extend(step(other | 3, &[]));
    write("relay_core_room", "hosting", &input)
}

/// Messages, frames both ways, time and a reset, as steps of a session.
fn sessions(write: Write<'_>, frames: &[(&str, Vec<u8>)]) -> Result<()> {
    let step = |operation: u8, bytes: &[u8]| {
        [&[operation][..], &(bytes.len() as u16).to_be_bytes(), bytes].concat()
    };
    let (control, incoming, outgoing, other) = (0, 1, 2, 3);
    for (name, frame) in frames {
        let header = header(Kind::Frame, 2)?.encode();
        let mut input = step(incoming, &[&header[..], frame].concat());
        input.extend(step(outgoing, frame));
        write("client_session", name, &input)?;
        if frame.len() <= 14 {
            continue;
        }
        let pair = [frame.clone(), frame.clone()];
        let header = header_of(&pair, 2)?.encode();
        let mut input = step(incoming, &[&header[..], &bundle(&pair)?].concat());
        input.extend(step(0b100 | outgoing, frame));
        input.extend(step(outgoing, frame));
        write("client_session", &format!("two-{name}"), &input)?;
    }
    let ping = br#"{"type":"ping","nonce":7}"#;
    let ping = [&(ping.len() as u32).to_be_bytes()[..], ping].concat();
    let mut input = step(control, &ping);
    input.extend(step(control, &ping[..9]));
    input.extend(step(0xFC | other, &[1]));
    input.extend(step(other, &[]));
    input.extend(step(control, &[0xFF; 8]));
    input.extend(step(0xFC | other, &[1]));
    write("client_session", "control", &input)
}

/// The journal that version 0.1.0 wrote, and its lines without their sums.
fn journals(write: Write<'_>) -> Result<()> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../crates/lanparty-os/src/journal/journal-0.1.0.txt");
    let journal = std::fs::read(&path).with_context(|| path.display().to_string())?;
    write("os_journal", "as-written", &[&[0][..], &journal].concat())?;
    let bare: Vec<&[u8]> = journal
        .split(|byte| *byte == b'\n')
        .filter_map(|line| line.get(17..))
        .collect();
    write(
        "os_journal",
        "bare-lines",
        &[&[1][..], &bare.join(&b'\n')].concat(),
    )?;
    let last = br#"{"record":"planned","id":18446744073709551615,"boot":"first","undo":{}}"#;
    write("os_journal", "last-id", &[&[1][..], last].concat())
}

/// The control messages that `lanparty-ctrl` pins.
fn control(write: Write<'_>) -> Result<()> {
    let golden =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../crates/lanparty-ctrl/tests/v1/golden");
    let frame = |body: &[u8]| [&(body.len() as u32).to_be_bytes()[..], body].concat();
    let mut stream = 5_u16.to_be_bytes().to_vec();
    for entry in std::fs::read_dir(golden)? {
        let path = entry?.path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        let framed = frame(&std::fs::read(&path)?);
        write("ctrl_decode", &name, &[&[0, 3][..], &framed].concat())?;
        if matches!(&*name, "ping" | "pong" | "peer_left") {
            stream.extend(framed);
        }
    }
    stream.extend(frame(br#"{"type":"from_the_future","optional":true}"#));
    stream.extend(frame(br#"{"type":"from_the_future"}"#));
    write("ctrl_decode", "stream", &stream)?;
    write("ctrl_decode", "too-long", &[0, 0, 0, 1, 0, 1, b'{'])
}

/// One frame of each kind that the policy tells apart.
fn frames() -> Vec<(&'static str, Vec<u8>)> {
    let from_player = |to, ether_type, payload: &[u8]| eth_from(to, PLAYER.0, ether_type, payload);
    let mut tagged = from_player(
        SERVER,
        0x0800,
        &ipv4(17, PLAYER_IP, SERVER_IP, 1, &udp_of(5, 6, b"vlan")),
    );
    tagged.splice(12..12, [0x81, 0x00, 0x00, 0x05]);
    let mut priority = arp(1);
    priority.splice(12..12, [0x81, 0x00, 0xE0, 0x00]);
    let mut solicitation = vec![135, 0, 0, 0, 0, 0, 0, 0];
    solicitation.extend(link_local(9));
    solicitation.extend([1, 1]);
    solicitation.extend(PLAYER.0);
    let mut advertisement = vec![134, 0, 0, 0, 64, 0, 7, 8, 0, 0, 0, 0, 0, 0, 0, 0];
    advertisement.extend([3, 4, 64, 0xC0, 0, 0, 14, 16, 0, 0, 14, 16, 0, 0, 0, 0]);
    advertisement.extend([0x20, 1, 0xD, 0xB8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    let ipx = [
        0xFF, 0xFF, 0, 34, 0, 4, 0, 0, 0, 0, 255, 255, 255, 255, 255, 255, 4, 85,
    ];
    let ipx = [&ipx[..], &[0; 4], &PLAYER.0, &[4, 85, 1, 2, 3, 4]].concat();
    vec![
        ("arp-request", arp(1)),
        ("arp-reply", arp(2)),
        ("arp-tagged-priority", priority),
        ("vlan", tagged),
        ("tcp", tcp_from_player(0x18, &[], b"hello")),
        ("tcp-syn", tcp_from_player(0x02, &[2, 4, 5, 0xB4], &[])),
        (
            "udp-broadcast",
            from_player(
                BROADCAST,
                0x0800,
                &ipv4(
                    17,
                    PLAYER_IP,
                    [255; 4],
                    1,
                    &udp_of(27_015, 27_015, &[1; 20]),
                ),
            ),
        ),
        ("dhcp-discover", dhcp_request()),
        ("dhcp-offer", dhcp_answer(2)),
        ("dhcp-ack", dhcp_answer(5)),
        ("dhcp-nak", dhcp_answer(6)),
        (
            "igmp",
            from_player(
                [1, 0, 0x5E, 1, 2, 3],
                0x0800,
                &ipv4(
                    2,
                    PLAYER_IP,
                    [239, 1, 2, 3],
                    1,
                    &[0x16, 0, 0xF9, 0xF9, 239, 1, 2, 3],
                ),
            ),
        ),
        (
            "redirect",
            from_player(
                SERVER,
                0x0800,
                &ipv4(1, PLAYER_IP, SERVER_IP, 1, &[5, 1, 0, 0, 192, 168, 7, 66]),
            ),
        ),
        (
            "neighbour-solicitation",
            from_player(SERVER, 0x86DD, &icmpv6(1, 9, &mut solicitation)),
        ),
        (
            "router-advertisement",
            eth_from(
                [0x33, 0x33, 0, 0, 0, 1],
                SERVER,
                0x86DD,
                &icmpv6(9, 1, &mut advertisement),
            ),
        ),
        ("ipx", from_player(BROADCAST, 0x8137, &ipx)),
        ("ipx-802.3", from_player(BROADCAST, 34, &ipx)),
        (
            "wake-on-lan",
            from_player(
                BROADCAST,
                0x0842,
                &[&[0xFF; 6][..], &SERVER.repeat(16)].concat(),
            ),
        ),
        (
            "spanning-tree",
            from_player([1, 0x80, 0xC2, 0, 0, 0], 38, &[0x42, 0x42, 3, 0]),
        ),
        ("experimental", from_player(SERVER, 0x88B5, &[0; 46])),
        ("runt", vec![0xFF; 13]),
    ]
}

fn listed(frames: &[Vec<u8>]) -> Vec<u8> {
    let with_length = |frame: &Vec<u8>| [&(frame.len() as u16).to_be_bytes()[..], frame].concat();
    frames.iter().flat_map(with_length).collect()
}

fn eth(to: [u8; 6], ether_type: u16, payload: &[u8]) -> Vec<u8> {
    eth_from(to, PLAYER.0, ether_type, payload)
}

fn eth_from(to: [u8; 6], from: [u8; 6], ether_type: u16, payload: &[u8]) -> Vec<u8> {
    [&to[..], &from, &ether_type.to_be_bytes(), payload].concat()
}

fn arp(operation: u8) -> Vec<u8> {
    let mut payload = vec![0, 1, 8, 0, 6, 4, 0, operation];
    payload.extend(PLAYER.0);
    payload.extend(PLAYER_IP);
    payload.extend([0; 6]);
    payload.extend(SERVER_IP);
    eth(BROADCAST, 0x0806, &payload)
}

fn ipv4(protocol: u8, from: [u8; 4], to: [u8; 4], id: u16, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x45, 0];
    packet.extend((payload.len() as u16 + 20).to_be_bytes());
    packet.extend(id.to_be_bytes());
    packet.extend([0x40, 0, 64, protocol, 0, 0]);
    packet.extend(from);
    packet.extend(to);
    let checksum = !sum(&packet);
    packet[10..12].copy_from_slice(&checksum.to_be_bytes());
    packet.extend(payload);
    // The transport checksum, where the protocol has one over a pseudo-header.
    if let Some(at) = [(6, 36), (17, 26)].iter().find(|it| it.0 == protocol) {
        let len = (payload.len() as u16).to_be_bytes();
        let pseudo = [&packet[12..20], &[0, protocol], &len, &packet[20..]].concat();
        let checksum = !sum(&pseudo);
        packet[at.1..at.1 + 2].copy_from_slice(&checksum.to_be_bytes());
    }
    packet
}

fn udp_of(from: u16, to: u16, payload: &[u8]) -> Vec<u8> {
    let len = payload.len() as u16 + 8;
    let header = [from, to, len, 0].map(u16::to_be_bytes).concat();
    [&header[..], payload].concat()
}

fn udp(to: [u8; 6], from_port: u16, to_port: u16, id: u16, payload: &[u8]) -> Vec<u8> {
    let datagram = udp_of(from_port, to_port, payload);
    eth(to, 0x0800, &ipv4(17, PLAYER_IP, SERVER_IP, id, &datagram))
}

fn tcp_of(sequence: u32, flags: u8, options: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut segment = [40_000_u16, 445].map(u16::to_be_bytes).concat();
    segment.extend(sequence.to_be_bytes());
    segment.extend([0, 0, 0, 9, 0x50 + (options.len() as u8 / 4) * 16, flags]);
    segment.extend([1, 0, 0, 0, 0, 0]);
    segment.extend(options);
    segment.extend(payload);
    segment
}

fn tcp(to: [u8; 6], sequence: u32, id: u16, flags: u8, payload: &[u8]) -> Vec<u8> {
    let segment = tcp_of(sequence, flags, &[], payload);
    eth(to, 0x0800, &ipv4(6, PLAYER_IP, SERVER_IP, id, &segment))
}

fn tcp_from_player(flags: u8, options: &[u8], payload: &[u8]) -> Vec<u8> {
    let segment = tcp_of(1, flags, options, payload);
    eth(SERVER, 0x0800, &ipv4(6, PLAYER_IP, SERVER_IP, 1, &segment))
}

fn dhcp(op: u8, yours: [u8; 4], options: &[u8]) -> Vec<u8> {
    let mut message = vec![op, 1, 6, 0, 0xAA, 0xBB, 0xCC, 0xDD, 0, 0, 0, 0, 0, 0, 0, 0];
    message.extend(yours);
    message.extend([0; 8]);
    message.extend(PLAYER.0);
    message.extend([0; 202]);
    message.extend([0x63, 0x82, 0x53, 0x63]);
    message.extend(options);
    message.push(255);
    message
}

fn dhcp_request() -> Vec<u8> {
    let options = [53, 1, 1, 55, 4, 1, 3, 6, 121, 12, 2, b'p', b'c'];
    let datagram = udp_of(68, 67, &dhcp(1, [0; 4], &options));
    eth(BROADCAST, 0x0800, &ipv4(17, [0; 4], [255; 4], 1, &datagram))
}

fn dhcp_answer(kind: u8) -> Vec<u8> {
    let mut options = vec![53, 1, kind, 54, 4];
    options.extend(SERVER_IP);
    if kind != 6 {
        options.extend([51, 4, 0, 0, 14, 16, 1, 4, 255, 255, 255, 0, 3, 4]);
        options.extend(SERVER_IP);
        options.extend([
            6, 4, 1, 1, 1, 1, 121, 6, 0, 192, 168, 7, 9, 0, 15, 3, b'l', b'a', b'n',
        ]);
        options.extend([0, 0, 28, 4, 192, 168, 7, 255]);
    }
    let yours = if kind == 6 { [0; 4] } else { PLAYER_IP };
    let datagram = udp_of(67, 68, &dhcp(2, yours, &options));
    eth_from(
        PLAYER.0,
        SERVER,
        0x0800,
        &ipv4(17, SERVER_IP, PLAYER_IP, 1, &datagram),
    )
}

fn link_local(last: u8) -> [u8; 16] {
    [0xFE, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last]
}

fn icmpv6(from: u8, to: u8, body: &mut [u8]) -> Vec<u8> {
    let addresses = [link_local(from), link_local(to)].concat();
    let len = (body.len() as u16).to_be_bytes();
    let checksum = !sum(&[&addresses[..], &[0, 0], &len, &[0, 58, 0, 0], body].concat());
    body[2..4].copy_from_slice(&checksum.to_be_bytes());
    [&[0x60, 0, 0, 0][..], &len, &[58, 255], &addresses, body].concat()
}

/// RFC 1071 section 4.1.
fn sum(bytes: &[u8]) -> u16 {
    let mut sum = 0_u32;
    for pair in bytes.chunks(2) {
        sum += u32::from(pair[0]) << 8 | u32::from(pair.get(1).copied().unwrap_or(0));
    }
    while sum > 0xFFFF {
        sum = (sum & 0xFFFF) + (sum >> 16);
    }
    sum as u16
}
