//! What Wireshark, which knows nothing of our code, finds wrong with frames.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use lanparty_proto::MacAddr;
use rustix::process::{Pid, Signal, kill_process};

use crate::node::Node;
use crate::party;

/// All but what the machine itself sends.
const RECEIVED: &str = "inbound";
/// The longest frame of a standard LAN with a VLAN tag.
const LONGEST: usize = 1_518;

/// A running capture of the frames that an interface receives. Some of the
/// first of a burst may be missing; the kernel's own counters miss none.
#[derive(Debug)]
pub struct Capture {
    dumpcap: Child,
    file: PathBuf,
}

/// What was captured.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// TCP segments and UDP datagrams whose checksum was verified.
    pub tcp: u64,
    pub udp: u64,
    /// Those with a VLAN tag, of all.
    pub tagged: u64,
    /// Frames that no stack should see, in Wireshark's words.
    pub bad: Vec<String>,
}

impl Capture {
    /// Begins to capture; `dumpcap` is a command that runs it where the
    /// interface is. What the machine itself sends is left out: its checksums
    /// are for the interface to finish.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start(dumpcap: Command, interface: &str, file: &Path) -> Result<Self> {
        Self::start_filtered(dumpcap, interface, file, RECEIVED)
    }

    fn start_filtered(
        mut dumpcap: Command,
        interface: &str,
        file: &Path,
        filter: &str,
    ) -> Result<Self> {
        let mut dumpcap = dumpcap
            // Short packets make a ring of small blocks, whose first gets lost
            // now and then.
            .args([
                "-q", "-s", "2000", "-B", "64", "-f", filter, "-i", interface, "-w",
            ])
            .arg(file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .context("cannot run dumpcap; it comes with the package tshark")?;
        let stderr = dumpcap.stderr.take().context("dumpcap has no output")?;
        let mut lines = BufReader::new(stderr).lines();
        let mut said = String::new();
        // Its second line.
        while !said.contains("File: ") {
            let Some(line) = lines.next() else {
                bail!("dumpcap ended: {said}");
            };
            said.push_str(&line?);
        }
        // It must be able to write the rest.
        thread::spawn(move || lines.for_each(drop));
        // It says so some milliseconds before it listens.
        thread::sleep(Duration::from_millis(300));
        Ok(Self {
            dumpcap,
            file: file.to_owned(),
        })
    }

    /// [`Self::start`] on a host of the lab.
    ///
    /// # Errors
    /// When it does not start.
    pub fn on(node: &Node, interface: &str) -> Result<Self> {
        let file = party::file(&format!("{}-{interface}.pcapng", node.name()));
        Self::start(node.command("dumpcap"), interface, &file)
    }

    /// [`Self::on`] for the frames from one address only: neighbours on the
    /// same machine may leave their checksums to a network card that is not
    /// there.
    ///
    /// # Errors
    /// When it does not start.
    pub fn of(sender: MacAddr, node: &Node, interface: &str) -> Result<Self> {
        let file = party::file(&format!("{}-{interface}.pcapng", node.name()));
        let filter = format!("{RECEIVED} and ether src {sender}");
        Self::start_filtered(node.command("dumpcap"), interface, &file, &filter)
    }

    /// Ends the capture and has every frame of it examined.
    ///
    /// # Errors
    /// When tshark fails.
    pub fn finish(mut self) -> Result<Found> {
        self.settle()?;
        let id = i32::try_from(self.dumpcap.id())
            .ok()
            .and_then(Pid::from_raw);
        kill_process(id.context("dumpcap has no id")?, Signal::INT)?;
        self.dumpcap.wait()?;
        examine(&self.file)
    }
}

impl Capture {
    /// Waits until what was sent last has got through the kernel's ring and
    /// dumpcap's own buffer.
    fn settle(&self) -> Result<()> {
        let mut length = 0;
        let mut unchanged = 0;
        while unchanged < 5 {
            thread::sleep(Duration::from_millis(200));
            let now = std::fs::metadata(&self.file)?.len();
            unchanged = if now == length { unchanged + 1 } else { 0 };
            length = now;
        }
        Ok(())
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        let _ended_already = self.dumpcap.kill();
        let _ended_already = self.dumpcap.wait();
    }
}

const FIELDS: [&str; 8] = [
    "frame.len",
    "vlan.id",
    "ip.checksum.status",
    "tcp.checksum",
    "tcp.checksum.status",
    "udp.checksum.status",
    "_ws.malformed",
    "_ws.expert.severity",
];
/// Wireshark's number for a finding of severity "error".
const ERROR: &str = "8388608";

fn examine(file: &Path) -> Result<Found> {
    let mut tshark = Command::new("tshark");
    tshark.args(["-n", "-T", "fields", "-E", "separator=|", "-r"]);
    tshark.arg(file);
    for preference in [
        "ip.check_checksum",
        "tcp.check_checksum",
        "udp.check_checksum",
    ] {
        tshark.args(["-o", &format!("{preference}:TRUE")]);
    }
    // Segments that a capture missed or reordered are no fault of a frame, and
    // nothing is to be guessed from what it carries.
    tshark.args(["-o", "tcp.analyze_sequence_numbers:FALSE"]);
    tshark.args([
        "-d",
        "tcp.port==1-65535,data",
        "-d",
        "udp.port==1-65535,data",
    ]);
    tshark.args(FIELDS.iter().flat_map(|field| ["-e", field]));
    let output = tshark
        .stdin(Stdio::null())
        .output()
        .context("cannot run tshark")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "tshark failed: {said}");
    Ok(read(&String::from_utf8_lossy(&output.stdout)))
}

fn read(table: &str) -> Found {
    let mut found = Found::default();
    for line in table.lines() {
        let mut fields = line.split('|');
        let mut next = || fields.next().unwrap_or_default();
        let [length, tag, ip, sum, tcp, udp, malformed, severity] = std::array::from_fn(|_| next());
        // Linux writes ones in place of zeros in TCP too when it finishes a
        // checksum itself (CSUM_MANGLED_0), and receivers take it: the two are
        // equal in one's complement. Wireshark objects.
        let tcp = if sum == "0xffff" { "1" } else { tcp };
        found.tcp += u64::from(is_good(tcp));
        found.udp += u64::from(is_good(udp));
        found.tagged += u64::from(!tag.is_empty());
        let is_bad = [ip, tcp, udp].into_iter().any(is_wrong)
            || !malformed.is_empty()
            || severity.split(',').any(|severity| severity == ERROR)
            || length.parse().is_ok_and(|length: usize| length > LONGEST);
        if is_bad {
            found.bad.push(line.to_owned());
        }
    }
    found
}

/// Older releases print numbers, newer ones words.
fn is_good(status: &str) -> bool {
    matches!(status, "1" | "Good")
}

fn is_wrong(status: &str) -> bool {
    // A packet in an ICMP error has a status of its own, behind a comma.
    status
        .split(',')
        .any(|status| matches!(status, "0" | "Bad"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_and_bad_frames_are_told_apart() {
        let found = read(
            "1514||1|0x1|1|||\n1518|5|1|0x2|1|||\n90|||||1||\n60|||||3||4194304\n66||1|0xffff|0|||\n",
        );
        assert_eq!((found.tcp, found.udp, found.tagged), (3, 1, 1));
        assert!(found.bad.is_empty(), "{found:?}");
        for bad in [
            "1514||0|0x1|1|||",
            "1514||1|0x1|0|||",
            "90||1|||0||",
            "1514||1|0x1|1||1|",
            "1514||1|0x1|1|||8388608",
            "1519||1|0x1|1|||",
        ] {
            assert_eq!(read(bad).bad, [bad]);
        }
    }
}
