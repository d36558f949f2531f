//! A relay process that does not outlive its test.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_lanparty-relay");
const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) struct Relay {
    process: Child,
    pub(crate) address: SocketAddr,
    log: Receiver<String>,
}

/// Where one relay's keys and certificate are, across its restarts.
pub(crate) struct Home(TempDir);

impl Home {
    pub(crate) fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.0.path().join("state")
    }

    pub(crate) fn certificate(&self) -> PathBuf {
        self.0.path().join("relay.der")
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }
}

/// Runs the program to its end.
pub(crate) fn output(arguments: &[&str]) -> Output {
    Command::new(PROGRAM).args(arguments).output().unwrap()
}

impl Relay {
    pub(crate) fn start(home: &Home) -> Self {
        Self::start_on(home, "127.0.0.1:0")
    }

    pub(crate) fn start_on(home: &Home, listen: &str) -> Self {
        Self::start_logging(home, listen, "")
    }

    pub(crate) fn start_logging(home: &Home, listen: &str, filter: &str) -> Self {
        let certificate = home.certificate();
        let arguments = ["--dev-cert-der-out", certificate.to_str().unwrap()];
        Self::spawn(home, listen, &arguments, filter)
    }

    pub(crate) fn spawn(home: &Home, listen: &str, arguments: &[&str], filter: &str) -> Self {
        let mut process = Command::new(PROGRAM)
            .args(["--listen", listen, "--state-dir"])
            .arg(home.state())
            .args(arguments)
            .env("LANPARTY_LOG", filter)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, log) = sync_channel(10_000);
        let stderr = BufReader::new(process.stderr.take().unwrap());
        thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                let _ = sender.try_send(line);
            }
        });
        let address = loop {
            let line = log
                .recv_timeout(PATIENCE)
                .expect("the relay says where it listens");
            if let Some((_, rest)) = line.split_once("listening on UDP ") {
                break rest.split(' ').next().unwrap().parse().unwrap();
            }
        };
        Self {
            process,
            address,
            log,
        }
    }

    /// The next line of the log that has this in it.
    pub(crate) fn logged(&self, part: &str) -> String {
        loop {
            let line = self.log.recv_timeout(PATIENCE).expect("the relay logs it");
            if line.contains(part) {
                return line;
            }
        }
    }

    /// Every line of the log up to the one that has this in it.
    pub(crate) fn logged_until(&self, part: &str) -> Vec<String> {
        let mut lines = Vec::new();
        loop {
            let line = self.log.recv_timeout(PATIENCE).expect("the relay logs it");
            let is_last = line.contains(part);
            lines.push(line);
            if is_last {
                return lines;
            }
        }
    }

    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.process), signal).unwrap();
    }

    /// As a crash would end it.
    pub(crate) fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    pub(crate) fn wait(&mut self) -> ExitStatus {
        let begin = Instant::now();
        loop {
            if let Some(status) = self.process.try_wait().unwrap() {
                return status;
            }
            assert!(begin.elapsed() < PATIENCE, "the relay does not end");
            thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
