//! The main job: everything that `cargo xtask party --once` checks, with the
//! player on Windows.

use anyhow::{Context as _, Result, ensure};
use lanparty_lab::party::{self, HOME_ROUTER, TAP};
use lanparty_lab::windows::{Adapter, story};
use lanparty_lab::{PartyOptions, checks, sandbox, traffic};

use crate::evening::Evening;

#[test]
fn a_player_on_windows_plays_on_the_lan() {
    sandbox::test(|| story(|rig| all_pass(&Evening::joined(rig)?)));
}

#[test]
fn windows_and_linux_play_together_in_a_sealed_room_by_the_invite_alone() {
    sandbox::test(|| {
        story(|rig| {
            let options = PartyOptions {
                keyed: true,
                players: vec!["alice", "bob"],
                ..PartyOptions::default()
            };
            let mut evening = Evening::begin_at(rig, options, &[Adapter::ordinary()])?;
            evening.party.start_player(1)?;
            evening.join(&[])?;
            evening.lease()?;
            all_pass(&evening)
        })
    });
}

fn all_pass(evening: &Evening) -> Result<()> {
    let checks = checks::run(&evening.party, |check| {
        eprintln!("{} {}: {}", check.passed, check.name, check.value);
    });
    let failed: Vec<_> = checks.iter().filter(|check| !check.passed).collect();
    ensure!(failed.is_empty(), "{failed:#?}\n{}", evening.picture());
    ensure!(checks.len() >= 15, "only {} checks ran", checks.len());
    Ok(())
}

#[test]
fn the_status_names_adapter_address_and_gateway() {
    sandbox::test(|| {
        story(|rig| {
            let evening = Evening::joined(rig)?;
            let node = evening.node()?;
            let address = node.ipv4(TAP)?.context("no address")?;
            let mac = node.mac(TAP)?.to_string();
            ensure!(
                party::leases().contains(&mac),
                "the LAN's lease is not for {mac}: {}",
                party::leases()
            );
            let first = u8::from_str_radix(mac.get(..2).unwrap_or_default(), 16)?;
            ensure!(first & 3 == 2, "{mac} is not a locally administered MAC");
            let status = lanparty_lab::wait::until(
                "the status to show the late lease",
                crate::evening::PATIENCE,
                || {
                    let status = evening.windows.status(node).ok()?;
                    status
                        .to_string()
                        .contains(&address.to_string())
                        .then_some(status)
                },
            )?;
            let text = status.to_string().to_lowercase();
            ensure!(text.contains(&mac), "no MAC in {status}");
            ensure!(
                status
                    .pointer("/gateway")
                    .is_some_and(|gateway| !gateway.is_null()),
                "no gateway in {status}"
            );
            Ok(())
        })
    });
}

#[test]
fn stopping_undoes_every_change() {
    sandbox::test(|| {
        story(|rig| {
            let mut evening = Evening::begin(rig, &[Adapter::ordinary()])?;
            let before = evening.network()?;
            evening.join(&[])?;
            evening.lease()?;
            ensure!(
                evening.network()? != before,
                "the client changed nothing, so this proves nothing"
            );
            let node = &evening.party.players[0].node;
            let pin = node.sh(&format!("ip route get {}", party::RELAY))?;
            ensure!(pin.contains("dev wan0"), "the relay is not pinned: {pin}");
            let default = node.sh("ip route show default")?;
            ensure!(
                default == evening.party.players[0].default_route,
                "{default}"
            );
            traffic::ping(node, HOME_ROUTER.into(), 3)?;
            evening.windows.stop(node)?;
            evening.forget_lease()?;
            let after = evening.network()?;
            ensure!(
                after == before,
                "before:\n{before}\nafter:\n{after}\nchanges:\n{}",
                evening.changes()
            );
            Ok(())
        })
    });
}
