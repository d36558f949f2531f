//! Strangers at the relay's door: floods from forged addresses, and attempts
//! to use the relay against others.

use std::net::Ipv4Addr;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use lanparty_lab::flood::{Spoofer, addresses, initials, nonsense};
use lanparty_lab::packet::RawSocket;
use lanparty_lab::party::{HOST1, RELAY, WAN};
use lanparty_lab::{Node, Party, PartyOptions, sandbox, traffic};

const PORT: u16 = 443;
/// RFC 9000 section 8.1.
const AMPLIFICATION: u64 = 3;
/// Past the relay's deadline for a handshake and the last of its probes.
const ALL_ANSWERS: Duration = Duration::from_secs(8);
const IPV4_AND_UDP: usize = 28;
const ETHERNET: usize = 14;

fn spoofer(party: &Party, node: &Node) -> Result<Spoofer> {
    Spoofer::aim(node, WAN, party.relay_node.mac(WAN)?, RELAY, PORT)
}

/// UDP payload bytes that the relay sent to `victim`, as far as a frame tells.
fn from_relay_to(frame: &[u8], victim: Ipv4Addr) -> Option<u64> {
    let is_udp = frame.get(12..14)? == [8, 0] && *frame.get(23)? == 17;
    let relevant = is_udp
        && frame.get(26..30)? == RELAY.octets()
        && frame.get(30..34)? == victim.octets()
        && frame.get(34..36)? == PORT.to_be_bytes();
    let length = u16::from_be_bytes([*frame.get(16)?, *frame.get(17)?]);
    let padding = frame.len() < ETHERNET + usize::from(length);
    (relevant && !padding)
        .then(|| u64::from(length).saturating_sub(u64::try_from(IPV4_AND_UDP).unwrap_or(0)))
}

#[test]
fn a7_the_relay_sends_a_forged_source_at_most_three_times_what_it_was_sent() {
    sandbox::test(|| {
        let mut party = Party::build(PartyOptions {
            players: vec!["mallory", "victim"],
            ..PartyOptions::default()
        })?;
        party.start_relay()?;
        let [mallory, victim] = &party.players[..] else {
            anyhow::bail!("nobody came")
        };
        let spoofer = spoofer(&party, &mallory.node)?;
        let mut kinds = nonsense()?;
        // Some are answered at once, the later ones by a Retry.
        kinds.push(("an Initial", initials(300)?));
        let ear = RawSocket::open(&victim.node, WAN)?;
        let mut victims = Vec::new();
        for (number, (name, datagrams)) in (100..).zip(&kinds) {
            let address = Ipv4Addr::new(198, 51, 100, number);
            victim
                .node
                .sh(&format!("ip addr add {address}/24 dev {WAN}"))?;
            // A victim that complains would end what we want to count.
            let mut sent = 0;
            for datagram in datagrams {
                spoofer.send(address, 4_433, datagram)?;
                sent += u64::try_from(datagram.len())?;
            }
            victims.push((*name, address, sent));
        }
        let answers = ear.collect(ALL_ANSWERS, |frame| {
            victims
                .iter()
                .any(|(_, address, _)| from_relay_to(frame, *address).is_some())
        });
        let mut heard = 0;
        for (name, address, sent) in victims {
            let received: u64 = answers
                .iter()
                .filter_map(|frame| from_relay_to(frame, address))
                .sum();
            eprintln!("{name}: {sent} bytes sent, {received} bytes reflected");
            ensure!(
                received <= AMPLIFICATION * sent,
                "{name}: {received} bytes for {sent}"
            );
            heard += received;
        }
        ensure!(
            heard > 0,
            "the relay answered nothing, so nothing was shown"
        );
        Ok(())
    });
}

/// Loss in percent of `count` pings at 10 ms, and the words of `ping`.
fn loss(node: &Node, count: u32) -> Result<(f64, String)> {
    let said = node.sh(&format!("ping -q -i 0.01 -c {count} -W 2 {HOST1} || true"))?;
    let before = said
        .split("% packet loss")
        .next()
        .and_then(|before| before.split_whitespace().last())
        .context("ping said nothing of loss")?;
    let percent = before.parse().with_context(|| said.clone())?;
    Ok((percent, said))
}

#[test]
fn a9_a_party_does_not_notice_a_flood_of_handshakes_from_forged_addresses() {
    sandbox::test(|| {
        let mut party = Party::build(PartyOptions {
            players: vec!["mallory", "bob"],
            ..PartyOptions::default()
        })?;
        party.start_dnsmasq()?;
        party.start_relay()?;
        party.start_gateway()?;
        party.start_player(1)?;
        let bob = &party.players[1];
        bob.address()?;
        traffic::ping(&bob.node, HOST1.into(), 5)?;
        let spoofer = spoofer(&party, &party.players[0].node)?;
        let payloads = initials(5_000)?;
        let sources = addresses(2_000);

        let (idle, _) = loss(&bob.node, 200)?;
        ensure!(idle < 1.0, "{idle} % are lost without any flood");
        let (sent, (lost, said)) = thread::scope(|scope| {
            let flood =
                scope.spawn(|| spoofer.flood(&payloads, &sources, 5_000, Duration::from_secs(8)));
            thread::sleep(Duration::from_secs(1));
            let lost = loss(&bob.node, 500);
            let sent = flood.join().ok().context("a thread panicked")??;
            anyhow::Ok((sent, lost?))
        })?;
        eprintln!("{} Initials; {said}", sent.datagrams);
        ensure!(sent.datagrams > 20_000, "the flood was {sent:?} only");
        ensure!(lost < 1.0, "{lost} % lost under the flood: {said}");

        // What the strangers left is gone, and a newcomer gets in.
        thread::sleep(Duration::from_secs(6));
        let connections = party.rooms()?["relay"]["connections"].clone();
        ensure!(connections == 2, "{connections} connections are left");
        party.start_player(0)?;
        Ok(())
    });
}
