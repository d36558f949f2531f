//! UDP of every size up to a full Ethernet frame.

use anyhow::ensure;
use lanparty_lab::party::HOST1;
use lanparty_lab::{Party, PartyOptions, sandbox, traffic};

/// The largest payload that fits a 1,500-byte IPv4 packet.
const FULL: usize = 1_472;

#[test]
fn udp_of_64_to_1472_bytes_arrives_unchanged_both_ways() {
    sandbox::test(|| {
        let party = Party::start(PartyOptions::default())?;
        let alice = &party.players[0];
        let address = alice.address()?;
        for (number, size) in [64, 160, 576, 1_200, 1_316, 1_317, 1_400, FULL]
            .into_iter()
            .enumerate()
        {
            let port = 7200 + u16::try_from(number)?;
            let count = 10;
            let up = traffic::udp(&alice.node, &party.host1, (HOST1, port).into(), size, count)?;
            let down = traffic::udp(
                &party.host1,
                &alice.node,
                (address, port + 100).into(),
                size,
                count,
            )?;
            ensure!(
                (up, down) == (count, count),
                "{size} bytes: {up} up, {down} down of {count}"
            );
        }
        Ok(())
    });
}
