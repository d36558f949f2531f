//! What the bench compares with does work.

#![expect(
    clippy::print_stdout,
    reason = "a skipped test must be seen in the test's output"
)]

use anyhow::Result;
use lanparty_lab::tunnel::Kind;
use lanparty_lab::{PartyOptions, sandbox, traffic};

fn carries(kind: Kind) -> Result<()> {
    if let Some(why) = kind.missing() {
        println!("SKIPPED {}: {why}", kind.name());
        return Ok(());
    }
    let tunnel = kind.start(PartyOptions::default())?;
    let (host, host_address) = tunnel.host();
    let (alice, alice_address) = tunnel.player(0)?;
    let (bob, bob_address) = tunnel.player(1)?;
    for (from, to) in [
        (alice, host_address),
        (alice, bob_address),
        (host, alice_address),
    ] {
        traffic::ping(from, to.into(), 5)?;
    }
    traffic::ping(bob, host_address.into(), 5)?;
    Ok(())
}

#[test]
fn openvpn_connects_players_and_a_lan() {
    sandbox::test(|| carries(Kind::OpenVpn));
}

#[test]
fn softether_connects_players_and_a_lan() {
    sandbox::test(|| carries(Kind::SoftEther));
}

#[test]
fn vxlan_connects_players_and_a_lan() {
    sandbox::test(|| carries(Kind::Vxlan));
}

#[test]
fn ours_connects_players_and_a_lan() {
    sandbox::test(|| carries(Kind::Sealed));
}
