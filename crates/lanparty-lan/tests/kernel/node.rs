//! Machines of a small LAN: network namespaces without names, each held by a
//! thread, so that nothing is left behind however a test ends.

use std::process::Command;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use lanparty_os::netlink::{LinkChange, Netlink};
use lanparty_os::tap::{Tap, TapOptions};
use lanparty_proto::MacAddr;
use rustix::thread::UnshareFlags;

type Job = Box<dyn FnOnce() + Send>;

/// One machine; closures run in its network namespace.
pub(crate) struct Node {
    jobs: Option<SyncSender<Job>>,
    thread: Option<JoinHandle<()>>,
    task: i32,
}

impl Node {
    /// `None`, with a message, where namespaces cannot be made.
    pub(crate) fn new() -> Option<Self> {
        let (jobs, queue) = sync_channel::<Job>(0);
        let (report, reported) = sync_channel(1);
        let thread = std::thread::spawn(move || {
            // SAFETY: NEWNET changes nothing that other threads share with
            // this one.
            let result = unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNET) };
            report
                .send(result.map(|()| rustix::thread::gettid().as_raw_nonzero().get()))
                .unwrap();
            while let Ok(job) = queue.recv() {
                job();
            }
        });
        match reported.recv().unwrap() {
            Ok(task) => {
                let node = Self {
                    jobs: Some(jobs),
                    thread: Some(thread),
                    task,
                };
                node.ip("link set lo up");
                Some(node)
            }
            Err(errno) => {
                eprintln!("skipped: cannot make a network namespace ({errno}); run as root");
                None
            }
        }
    }

    pub(crate) fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        let (result, done) = sync_channel(1);
        let job = Box::new(move || result.send(work()).unwrap());
        self.jobs.as_ref().unwrap().send(job).unwrap();
        done.recv().expect("the work on the node panicked")
    }

    pub(crate) fn ip(&self, arguments: &str) {
        self.program("ip", arguments);
    }

    pub(crate) fn program(&self, program: &'static str, arguments: &str) {
        let arguments = arguments.to_owned();
        self.run(move || {
            let status = Command::new(program)
                .args(arguments.split(' '))
                .status()
                .unwrap();
            assert!(status.success(), "{program} {arguments}");
        });
    }

    /// Lays a cable from `own` here to `other_name` there.
    pub(crate) fn connect(&self, own: &str, other: &Self, other_name: &str) {
        let task = other.task;
        self.ip(&format!(
            "link add {own} type veth peer name {other_name} netns {task}"
        ));
        self.ip(&format!("link set {own} up"));
        other.ip(&format!("link set {other_name} up"));
    }

    pub(crate) fn address(&self, interface: &str, prefix: &str) {
        self.ip(&format!("addr add {prefix} dev {interface}"));
    }

    /// A player's adapter, without offloads: what it is given must be finished.
    pub(crate) fn tap(&self, mac: MacAddr, prefix: &str) -> Tap {
        let tap = self.run(move || {
            let tap = Tap::create(&TapOptions {
                name: "t0".to_owned(),
                ..TapOptions::default()
            })
            .unwrap();
            let mut netlink = Netlink::open().unwrap();
            let index = netlink.link_by_name("t0").unwrap().unwrap().index;
            netlink
                .change_link(
                    index,
                    &LinkChange {
                        mac: Some(mac),
                        up: Some(true),
                        ..LinkChange::default()
                    },
                )
                .unwrap();
            tap
        });
        self.address("t0", prefix);
        tap
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        drop(self.jobs.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Calls `done` until it is true, at most for ten seconds.
pub(crate) fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = now() + Duration::from_secs(10);
    while !done() {
        assert!(now() < deadline, "still waiting: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[expect(clippy::disallowed_methods, reason = "the test waits for the kernel")]
pub(crate) fn now() -> Instant {
    Instant::now()
}
