//! The system's DHCP clients against a real and hostile dnsmasq, in network
//! namespaces of this test's own threads.
#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    dead_code,
    reason = "helpers of tests, outside of test functions; the modules are the program's own"
)]

#[path = "../src/dhcp/mod.rs"]
mod dhcp;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;

use dhcp::{DhcpClient, Kind};
use lanparty_player::address::LeaseEvent;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

#[test]
fn udhcpc_reports_a_lease_and_changes_nothing_else() {
    leases_without_side_effects(Kind::Udhcpc);
}

#[test]
fn dhclient_reports_a_lease_and_changes_nothing_else() {
    leases_without_side_effects(Kind::Dhclient);
}

#[test]
fn dhcpcd_reports_a_lease_and_changes_nothing_else() {
    leases_without_side_effects(Kind::Dhcpcd);
}

/// The server offers a router, name servers, a search domain, static routes
/// and an MTU; all that may come of it is a report of the address.
fn leases_without_side_effects(kind: Kind) {
    let Some((client, dnsmasq)) = ready(kind) else {
        return;
    };
    thread::scope(|scope| {
        let machine = scope.spawn(|| {
            enter_namespace();
            let _server = hostile_server(&dnsmasq);
            let before = machine_state();
            let directory = tempfile::tempdir().unwrap();
            let private = directory.path().join("dhcp");
            let own = Path::new(env!("CARGO_BIN_EXE_lanparty-client"));
            let mut running =
                DhcpClient::start((kind, &client), own, "lanplcli", &private).unwrap();

            let log = || fs::read_to_string(private.join("client.log")).unwrap();
            let event = wait_for_lease(&running).unwrap_or_else(|| panic!("{}", log()));
            let LeaseEvent::Bound(prefix) = event else {
                panic!("{event:?}: {}", log());
            };
            assert!(prefix.to_string().starts_with("10.99.0."), "{prefix}");
            assert_eq!(prefix.length, 24);
            assert!(running.ended().is_none());
            let after = machine_state();
            assert_eq!(after.resolv_conf, before.resolv_conf);
            assert_eq!(after.outside(), before.outside());
            assert!(!after.routes.contains("via 10.99"), "{after:?}");
            drop(running);
            assert!(!private.exists());
            // Its arguments name the hook. Brackets keep pgrep from finding the
            // shell that runs it.
            let marker = private.to_str().unwrap().replacen('/', "[/]", 1);
            assert_eq!(
                sh(&format!("pgrep -f '{marker}' || true")),
                "",
                "it still runs"
            );
        });
        machine.join().unwrap();
    });
}

#[test]
fn a_client_ends_with_the_program_that_started_it() {
    let Some((client, _)) = ready(Kind::Udhcpc) else {
        return;
    };
    thread::scope(|scope| {
        let machine = scope.spawn(|| {
            enter_namespace();
            sh("ip link add lanplcli type veth peer name lanplsrv; ip link set lanplcli up");
            let own = env!("CARGO_BIN_EXE_lanparty-client");
            let parent = Command::new("sh")
                .args([
                    "-c",
                    "\"$0\" run-dhcp-client $$ \"$1\" -f -i lanplcli >/dev/null & echo $!; wait",
                ])
                .args([Path::new(own), &client])
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn();
            let mut parent = parent.unwrap();
            let mut line = String::new();
            let stdout = parent.stdout.take().unwrap();
            std::io::BufRead::read_line(&mut std::io::BufReader::new(stdout), &mut line).unwrap();
            let process = PathBuf::from("/proc").join(line.trim()).join("exe");
            let udhcpc = fs::canonicalize(&client).unwrap();
            let is_udhcpc = || fs::read_link(&process).is_ok_and(|exe| exe == udhcpc);
            until(is_udhcpc);
            parent.kill().unwrap();
            parent.wait().unwrap();
            until(|| fs::read_link(&process).is_err());
        });
        machine.join().unwrap();
    });
}

fn until(condition: impl Fn() -> bool) {
    for _ in 0..200 {
        if condition() {
            return;
        }
        thread::sleep(std::time::Duration::from_millis(25));
    }
    panic!("waited in vain");
}

#[derive(Debug)]
struct Machine {
    resolv_conf: Vec<u8>,
    routes: String,
}

impl Machine {
    fn outside(&self) -> Vec<&str> {
        let lines = self.routes.lines();
        lines.filter(|line| !line.contains("lanplcli")).collect()
    }
}

fn machine_state() -> Machine {
    Machine {
        resolv_conf: fs::read("/etc/resolv.conf").unwrap_or_default(),
        routes: sh("ip route show table all; ip -6 route show table main"),
    }
}

fn wait_for_lease(client: &DhcpClient) -> Option<LeaseEvent> {
    for _ in 0..20 {
        let mut fds = [PollFd::from_borrowed_fd(client.fd(), PollFlags::IN)];
        let second = Timespec {
            tv_sec: 1,
            tv_nsec: 0,
        };
        poll(&mut fds, Some(&second)).unwrap();
        match client.receive() {
            Some(LeaseEvent::NoAnswer) | None => {}
            event => return event,
        }
    }
    None
}

/// Another machine on the same cable.
struct Server {
    dnsmasq: Child,
    /// Keeps the server's namespace.
    anchor: Child,
}

impl Drop for Server {
    fn drop(&mut self) {
        for child in [&mut self.dnsmasq, &mut self.anchor] {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
}

fn hostile_server(dnsmasq: &Path) -> Server {
    let anchor = Command::new("unshare")
        .args(["--net", "sleep", "infinity"])
        .spawn()
        .unwrap();
    let pid = anchor.id();
    until(|| {
        let own = fs::read_link("/proc/thread-self/ns/net").unwrap();
        let exe = fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default();
        fs::read_link(format!("/proc/{pid}/ns/net")).is_ok_and(|theirs| theirs != own)
            && exe.ends_with("sleep")
    });
    sh(&format!(
        "ip link add lanplcli type veth peer name lanplsrv netns {pid}
         ip link set lanplcli up
         ip link add lanplhome type veth peer name lanplisp
         for end in lanplhome lanplisp; do echo 1 >/proc/sys/net/ipv6/conf/$end/disable_ipv6; done
         ip link set lanplisp up; ip link set lanplhome up
         ip addr add 192.168.1.50/24 dev lanplhome
         ip route add default via 192.168.1.1
         nsenter -t {pid} -n ip addr add 10.99.0.1/24 dev lanplsrv
         nsenter -t {pid} -n ip link set lanplsrv up"
    ));
    let dnsmasq = Command::new("nsenter")
        .args(["-t", &pid.to_string(), "-n"])
        .arg(dnsmasq)
        .args(["--no-daemon", "--conf-file=/dev/null", "--port=0", "--user=root"])
        .args(["--dhcp-authoritative", "--no-ping", "--pid-file=", "--leasefile-ro"])
        .args(["--interface=lanplsrv", "--dhcp-range=10.99.0.100,10.99.0.150,10m"])
        .args(["--dhcp-option-force=option:router,10.99.0.1"])
        .args(["--dhcp-option-force=option:dns-server,10.99.0.1"])
        .args(["--dhcp-option-force=option:domain-search,evil.example"])
        .args(["--dhcp-option-force=option:classless-static-route,0.0.0.0/1,10.99.0.1,128.0.0.0/1,10.99.0.1"])
        .args(["--dhcp-option-force=option:mtu,576"])
        .args(["--dhcp-option-force=252,http://evil.example/wpad.dat"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    Server { dnsmasq, anchor }
}

/// What the test needs, or the reason to skip it.
fn ready(kind: Kind) -> Option<(PathBuf, PathBuf)> {
    let find = |program: &str| {
        ["/usr/sbin", "/sbin", "/usr/bin", "/bin"]
            .map(|directory| Path::new(directory).join(program))
            .into_iter()
            .find(|path| path.is_file())
    };
    if !rustix::process::geteuid().is_root() {
        eprintln!("SKIPPED {kind}: network namespaces need root");
        return None;
    }
    let (Some(client), Some(dnsmasq)) = (find(kind.program()), find("dnsmasq")) else {
        eprintln!(
            "SKIPPED {kind}: needs {kind} and dnsmasq (packages udhcpc, isc-dhcp-client, dhcpcd-base, dnsmasq-base)"
        );
        return None;
    };
    Some((client, dnsmasq))
}

fn enter_namespace() {
    lanparty_lab::namespace::enter_empty().unwrap();
    sh("ip link set lo up");
}

fn sh(line: &str) -> String {
    let output = Command::new("sh").args(["-ec", line]).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{line}: {error}");
    String::from_utf8(output.stdout).unwrap()
}
