//! A sandbox leaves nothing behind, however it ends.

use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::Result;
use lanparty_lab::{Node, sandbox, wait};

const TOKEN: &str = "LANPARTY_LAB_TEST_TOKEN";

/// Not a test of its own: the sandbox that the test below kills.
#[test]
#[ignore = "run by a_killed_sandbox_takes_everything_with_it"]
fn a_sandbox_that_sleeps() {
    sandbox::test(|| {
        let _node = Node::new("sleeper")?;
        std::thread::sleep(Duration::from_secs(60));
        Ok(())
    });
}

/// Processes whose environment carries the token, wherever they are.
fn alive(token: &str) -> Vec<String> {
    let mark = format!("{TOKEN}={token}");
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    processes
        .filter(|process| {
            let environment = fs::read(process.path().join("environ")).unwrap_or_default();
            environment
                .split(|byte| *byte == 0)
                .any(|entry| entry == mark.as_bytes())
        })
        .map(|process| process.file_name().to_string_lossy().into_owned())
        .collect()
}

#[test]
fn a_killed_sandbox_takes_everything_with_it() -> Result<()> {
    if !sandbox::available() {
        return Ok(());
    }
    let token = format!("{}", std::process::id());
    let mut outer = Command::new(std::env::current_exe()?)
        .args([
            "a_sandbox_that_sleeps",
            "--exact",
            "--ignored",
            "--nocapture",
        ])
        .env(TOKEN, &token)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let limit = Duration::from_secs(10);
    // The outer process, unshare, the inner process and the host's anchor.
    wait::until("the sandbox to start", limit, || {
        (alive(&token).len() >= 4).then_some(())
    })?;
    outer.kill()?;
    outer.wait()?;
    wait::until("everything inside to end", limit, || {
        alive(&token).is_empty().then_some(())
    })
}
