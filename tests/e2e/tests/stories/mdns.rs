//! Zeroconf: a service on the LAN is found by a player, and the reverse, with
//! the real avahi.

use std::time::Duration;

use anyhow::Result;
use lanparty_lab::party::{LAN, TAP, file};
use lanparty_lab::{Node, Party, PartyOptions, Process, sandbox, wait};

/// A message bus and avahi on one host, bound to one interface.
fn avahi(node: &Node, interface: &str) -> Result<[Process; 2]> {
    let directory = file(&format!("{}-avahi", node.name()));
    std::fs::create_dir_all(&directory)?;
    let bus = directory.join("bus.conf");
    std::fs::write(
        &bus,
        "<busconfig><type>system</type><listen>unix:path=/run/dbus/system_bus_socket</listen>\
         <auth>EXTERNAL</auth><policy context=\"default\"><allow user=\"*\"/><allow own=\"*\"/>\
         <allow send_destination=\"*\"/><allow eavesdrop=\"true\"/></policy></busconfig>",
    )?;
    let configuration = directory.join("avahi.conf");
    std::fs::write(
        &configuration,
        format!(
            "[server]\nhost-name={}\nallow-interfaces={interface}\nuse-ipv6=no\n[wide-area]\nenable-wide-area=no\n",
            node.name()
        ),
    )?;
    node.sh("mkdir -p /run/dbus /run/avahi-daemon")?;
    let mut command = node.command("dbus-daemon");
    command
        .arg(format!("--config-file={}", bus.display()))
        .args(["--nofork", "--nopidfile"]);
    let dbus = node.spawn_command(command, "dbus")?;
    wait::until("the message bus", Duration::from_secs(5), || {
        node.sh("test -S /run/dbus/system_bus_socket").ok()
    })?;
    let mut command = node.command("avahi-daemon");
    command
        .args(["--no-drop-root", "--no-chroot", "--no-rlimits", "-f"])
        .arg(&configuration);
    let mut avahi = node.spawn_command(command, "avahi")?;
    avahi.wait_for("Server startup complete", Duration::from_secs(15))?;
    Ok([dbus, avahi])
}

fn finds(seeker: &Node, service: &str) -> Result<()> {
    wait::until(
        &format!("{} to find {service}", seeker.name()),
        Duration::from_secs(20),
        || {
            let found = seeker
                .sh("avahi-browse --terminate --parsable --resolve _game._udp")
                .ok()?;
            found
                .lines()
                .any(|line| line.starts_with('=') && line.contains(service))
                .then_some(())
        },
    )
}

#[test]
fn avahi_finds_services_across_the_tunnel_both_ways() {
    sandbox::test(|| {
        let party = Party::start(PartyOptions {
            players: vec!["alice"],
            ..PartyOptions::default()
        })?;
        let alice = &party.players[0];
        alice.address()?;
        let _lan = avahi(&party.host1, LAN)?;
        let _player = avahi(&alice.node, TAP)?;
        let publish = |node: &Node, name: &str| {
            let mut command = node.command("avahi-publish");
            command.args(["--service", name, "_game._udp", "27960"]);
            node.spawn_command(command, "publish")
        };
        let _server = publish(&party.host1, "arena-on-the-lan")?;
        let _guest = publish(&alice.node, "arena-of-alice")?;
        finds(&alice.node, "arena-on-the-lan")?;
        finds(&party.host1, "arena-of-alice")
    });
}
