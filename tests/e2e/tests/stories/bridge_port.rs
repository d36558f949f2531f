//! A gateway PC whose NIC is in a Linux bridge already.

use lanparty_lab::{Party, PartyOptions, sandbox};

#[test]
fn every_check_of_the_party_passes_with_a_bridge_for_interface() {
    sandbox::test(|| {
        let party = Party::start(PartyOptions {
            gateway_bridge: true,
            ..PartyOptions::default()
        })?;
        let mac = party.gateway_node.mac("party0")?;
        crate::party::all_pass(&party)?;
        anyhow::ensure!(
            party.gateway_node.mac("party0")? == mac,
            "the bridge changed its MAC address, so the gateway PC would lose its lease"
        );
        Ok(())
    });
}
