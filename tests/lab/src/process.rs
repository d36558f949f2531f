//! A program that runs in a node, with its output kept.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use rustix::process::{Pid, Signal, kill_process};

use crate::{sandbox, wait};

/// A running program. Dropping it kills it.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `command` with its output in a log of the lab's.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub fn start(name: &str, mut command: Command) -> Result<Self> {
        let log = Path::new(sandbox::DIRECTORY).join(format!("{name}.log"));
        // A program that is started again starts a new log, or its old words
        // would be taken for its new ones.
        let output =
            File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        let child = command
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .with_context(|| format!("cannot start {name} ({command:?})"))?;
        Ok(Self {
            name: name.to_owned(),
            child,
            log,
        })
    }

    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// CPU time that the program and those that it started have used, in user
    /// and kernel mode.
    ///
    /// # Errors
    /// When the program has ended.
    pub fn cpu_time(&self) -> Result<Duration> {
        let cpu_time = cpu_time_of(self.child.id())?;
        let started = descendants(self.child.id());
        // One that has ended since counts no more.
        let started = started.into_iter().filter_map(|it| cpu_time_of(it).ok());
        Ok(cpu_time + started.sum::<Duration>())
    }

    /// Bytes of memory that the program and those that it started occupy.
    ///
    /// # Errors
    /// When the program has ended.
    pub fn resident(&self) -> Result<u64> {
        let resident = resident_of(self.child.id())?;
        let started = descendants(self.child.id());
        let started = started.into_iter().filter_map(|it| resident_of(it).ok());
        Ok(resident + started.sum::<u64>())
    }

    /// Everything that the program has printed so far.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read(&self.log)
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    /// Waits until the log contains `text`.
    ///
    /// # Errors
    /// When it does not in time, or the program ends before; with the log.
    pub fn wait_for(&mut self, text: &str, limit: Duration) -> Result<()> {
        let mut ended = None;
        let outcome = wait::until(&format!("{} to say {text:?}", self.name), limit, || {
            if self.log().contains(text) {
                return Some(true);
            }
            ended = self.child.try_wait().ok().flatten();
            ended.map(|_| false)
        });
        match outcome {
            Ok(true) => Ok(()),
            Ok(false) => Err(anyhow!(
                "{} ended ({}) before it said {text:?}; its log:\n{}",
                self.name,
                ended.map(|status| status.to_string()).unwrap_or_default(),
                self.log()
            )),
            Err(error) => Err(error.context(format!("log of {}:\n{}", self.name, self.log()))),
        }
    }

    /// The exit status once the program has ended.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Waits for the program to end by itself.
    ///
    /// # Errors
    /// When it has not within `limit`; with its log.
    pub fn wait(&mut self, limit: Duration) -> Result<ExitStatus> {
        let name = self.name.clone();
        wait::until(&format!("{name} to end"), limit, || self.ended())
            .with_context(|| format!("log of {name}:\n{}", self.log()))
    }

    /// Sends a signal; a program that has ended already is left alone.
    ///
    /// # Errors
    /// When the kernel refuses the signal.
    pub fn signal(&mut self, signal: Signal) -> Result<()> {
        if self.ended().is_some() {
            return Ok(());
        }
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        let pid = pid.context("the process has no PID")?;
        kill_process(pid, signal).with_context(|| format!("cannot signal {}", self.name))
    }

    /// Asks the program to end as Ctrl-C would, and waits for it.
    ///
    /// # Errors
    /// When it does not end within ten seconds.
    pub fn interrupt(&mut self) -> Result<ExitStatus> {
        self.signal(Signal::INT)?;
        self.wait(Duration::from_secs(10))
    }

    /// Ends the program without giving it a chance to clean up.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn kill(&mut self) -> Result<ExitStatus> {
        self.child.kill()?;
        Ok(self.child.wait()?)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _gone_already = self.child.kill();
        let _gone_already = self.child.wait();
    }
}

/// CPU time of one process, in user and kernel mode.
///
/// # Errors
/// When there is no such process.
pub fn cpu_time_of(pid: u32) -> Result<Duration> {
    let path = format!("/proc/{pid}/stat");
    let stat = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    // The name in parentheses may contain spaces (proc(5)).
    let fields = stat.rsplit(')').next().unwrap_or_default();
    let ticks: u64 = fields
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse::<u64>().ok())
        .sum();
    let per_second = rustix::param::clock_ticks_per_second();
    Ok(Duration::from_millis(ticks * 1_000 / per_second))
}

fn resident_of(pid: u32) -> Result<u64> {
    let path = format!("/proc/{pid}/status");
    let status = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    let kilobytes = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    Ok(kilobytes.with_context(|| format!("{path} names no memory"))? * 1_024)
}

/// Every process that this one started, and those that these did.
fn descendants(pid: u32) -> Vec<u32> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter();
    let children = threads.flatten().flatten().filter_map(|thread| {
        let path = thread.path().join("children");
        fs::read_to_string(path).ok()
    });
    let children: Vec<u32> = children
        .flat_map(|line| {
            let words = line.split_whitespace().map(str::parse);
            words.filter_map(Result::ok).collect::<Vec<_>>()
        })
        .collect();
    let further: Vec<u32> = children.iter().copied().flat_map(descendants).collect();
    [children, further].concat()
}
