//! The main job: everything that `cargo xtask party --once` checks.

use anyhow::{Result, ensure};
use lanparty_lab::party::HOST1;
use lanparty_lab::{Party, PartyOptions, checks, sandbox, traffic};

#[test]
fn every_check_of_the_party_passes() {
    sandbox::test(|| {
        let party = Party::start(PartyOptions::default())?;
        all_pass(&party)
    });
}

pub(crate) fn all_pass(party: &Party) -> Result<()> {
    let checks = checks::run(party, |check| {
        eprintln!("{} {}: {}", check.passed, check.name, check.value)
    });
    let failed: Vec<_> = checks.iter().filter(|check| !check.passed).collect();
    ensure!(failed.is_empty(), "{failed:#?}");
    ensure!(checks.len() >= 15, "only {} checks ran", checks.len());
    Ok(())
}

/// The switch's veth ports keep their default GRO and TSO, so the gateway
/// meets superframes with unfinished checksums on its packet socket.
#[test]
fn two_hundred_megabytes_arrive_unchanged_both_ways() {
    sandbox::test(|| {
        let party = Party::start(PartyOptions::default())?;
        let [alice, ..] = &party.players[..] else {
            anyhow::bail!("nobody came")
        };
        for host in [&party.host1, &party.gateway_node] {
            let offloads = host.sh("ethtool -k eth0")?;
            ensure!(
                offloads.contains("tcp-segmentation-offload: on"),
                "{offloads}"
            );
        }
        let bytes = 200_000_000;
        let up = traffic::copy(&alice.node, &party.host1, (HOST1, 7000).into(), bytes)?;
        let down = traffic::copy(
            &party.host1,
            &alice.node,
            (alice.address()?, 7001).into(),
            bytes,
        )?;
        eprintln!("up: {up}; down: {down}");
        Ok(())
    });
}

#[test]
fn ctrl_c_ends_every_program_cleanly_and_undoes_what_they_changed() {
    sandbox::test(|| {
        let mut party = Party::build(PartyOptions::default())?;
        let picture = |party: &Party| -> Result<Vec<String>> {
            let nodes = [
                &party.gateway_node,
                &party.players[0].node,
                &party.players[1].node,
            ];
            nodes
                .map(|node| {
                    node.sh(
                        "ip -br link; ip -br addr | grep -v fe80; ip route show table all; ip rule",
                    )
                })
                .into_iter()
                .collect()
        };
        // Neighbour discovery settles addresses on its own for a moment.
        std::thread::sleep(std::time::Duration::from_secs(2));
        let before = picture(&party)?;
        party.start_dnsmasq()?;
        party.start_relay()?;
        party.start_gateway()?;
        party.start_player(0)?;
        party.start_player(1)?;
        party.players[0].address()?;
        party.stop()?;
        ensure!(
            picture(&party)? == before,
            "before: {before:#?}\nafter: {:#?}",
            picture(&party)?
        );
        Ok(())
    });
}
