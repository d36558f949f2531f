//! Joins the adapters of two hosts of the lab by nothing but our own way from
//! receiving to sending, for `cargo xtask bench --only tap`:
//! `pump PID PID [--no-offload]`, with a process in each network namespace.

#[cfg(target_os = "linux")]
fn main() -> anyhow::Result<()> {
    linux::main()
}

#[cfg(not(target_os = "linux"))]
fn main() {}

#[cfg(target_os = "linux")]
#[expect(clippy::print_stdout, reason = "the bench waits for a line")]
mod linux {
    use std::fs::File;
    use std::os::fd::AsFd as _;

    use anyhow::{Context as _, Result};
    use lanparty_client_tap::{Adapter as _, FromTap, Tap, TapOptions};
    use lanparty_proto::MacAddr;
    use rustix::event::{PollFd, PollFlags, poll};
    use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

    /// As many as the player's driver takes at a time.
    const BUDGET: usize = 32;

    pub(super) fn main() -> Result<()> {
        let arguments: Vec<String> = std::env::args().skip(1).collect();
        let offload = !arguments.iter().any(|argument| argument == "--no-offload");
        let mut hosts = arguments
            .iter()
            .filter(|argument| !argument.starts_with("--"));
        let mut next = |last| open(hosts.next().context("two process ids")?, last, offload);
        let mut pair = [next(1)?, next(2)?];
        println!("joined");
        loop {
            let [a, b] = &mut pair;
            let mut fds = [PollFd::new(a, PollFlags::IN), PollFd::new(b, PollFlags::IN)];
            poll(&mut fds, None)?;
            forward(a, b)?;
            forward(b, a)?;
        }
    }

    fn open(process: &str, last: u8, offload: bool) -> Result<Tap> {
        let namespace = File::open(format!("/proc/{process}/ns/net"))?;
        move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))?;
        let mut tap = Tap::open(&TapOptions {
            name: "tap0".to_owned(),
            mac: MacAddr([0x02, 0, 0x5e, 0x10, 0, last]),
            mtu: 1_344,
            offload,
        })?;
        tap.set_carrier(true)?;
        Ok(tap)
    }

    fn forward(from: &mut Tap, to: &mut Tap) -> Result<()> {
        from.receive(BUDGET, &mut |received| {
            if let FromTap::Frame(frame) = received {
                to.send(frame);
            }
        })?;
        // What a full queue refuses is lost, as on any LAN.
        to.flush();
        Ok(())
    }
}
