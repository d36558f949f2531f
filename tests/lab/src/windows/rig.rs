//! What `cargo xtask windows` builds once.

use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash as _, Hasher as _};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};

use super::compile::{self, WINE_LIBRARIES};
use super::prefix::{self, WINE};

/// Counts up when the template is made differently.
const FORMAT: u32 = 1;
const TARGET: &str = "x86_64-pc-windows-gnu";

/// A rig that is ready to be used.
#[derive(Clone, Debug)]
pub struct Rig {
    directory: PathBuf,
}

fn workspace() -> &'static Path {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().and_then(Path::parent).unwrap_or(manifest)
}

/// Everything about Windows, apart from `target/debug` because another
/// compiler writes it.
fn target() -> PathBuf {
    workspace().join("target/windows")
}

/// Where the cross-built programs are.
#[must_use]
pub fn programs() -> PathBuf {
    target().join(TARGET).join("debug")
}

/// Where it is said why there is no rig.
#[must_use]
pub fn skipped() -> PathBuf {
    target().join("skipped")
}

impl Rig {
    /// The rig, if it has been built.
    ///
    /// # Errors
    /// The reason why there is none, as a sentence.
    pub fn find() -> Result<Self> {
        let rig = Self {
            directory: target().join("rig"),
        };
        if let Ok(reason) = fs::read_to_string(skipped()) {
            bail!("{}", reason.trim());
        }
        ensure!(
            rig.stamp_file().is_file(),
            "the Windows rig is not built; run `cargo xtask windows`"
        );
        Ok(rig)
    }

    pub(super) fn template(&self) -> PathBuf {
        self.directory.join("template")
    }

    fn stamp_file(&self) -> PathBuf {
        self.directory.join("stamp")
    }

    /// A cross-built program.
    ///
    /// # Errors
    /// When it has not been built.
    pub fn program(&self, name: &str) -> Result<PathBuf> {
        let path = programs().join(format!("{name}.exe"));
        ensure!(
            path.is_file(),
            "{name}.exe is not built; run `cargo xtask windows`"
        );
        Ok(path)
    }
}

/// Builds what is missing or older than its sources, and says what it does.
///
/// # Errors
/// When a compiler or Wine fails; with what it said.
pub fn build(say: impl Fn(&str)) -> Result<Rig> {
    let rig = Rig {
        directory: target().join("rig"),
    };
    let sources = workspace().join("tests/windows");
    let stamp = stamp(&sources)?;
    if fs::read_to_string(rig.stamp_file()).is_ok_and(|present| present == stamp) {
        return Ok(rig);
    }
    if rig.directory.exists() {
        fs::remove_dir_all(&rig.directory)?;
    }
    let objects = rig.directory.join("objects");
    fs::create_dir_all(&objects)?;
    say("compiling the stand-in driver and libraries");
    compile::all(&sources, &objects)?;
    say("making the template prefix");
    let template = prefix::create(&rig.template())?;
    template.shut_down();
    slim(&rig.template())?;
    install(&objects, &template.drive_c())?;
    register_driver(&rig.template())?;
    fs::write(rig.stamp_file(), stamp)?;
    Ok(rig)
}

/// Changes with every source of the rig and with Wine.
fn stamp(sources: &Path) -> Result<String> {
    let mut hasher = DefaultHasher::new();
    FORMAT.hash(&mut hasher);
    let wine = Command::new(WINE)
        .arg("--version")
        .output()
        .context("cannot run Wine")?;
    wine.stdout.hash(&mut hasher);
    let mut files = Vec::new();
    for directory in fs::read_dir(sources)? {
        for file in fs::read_dir(directory?.path())? {
            files.push(file?.path());
        }
    }
    files.sort();
    for file in files {
        file.hash(&mut hasher);
        fs::read(&file)?.hash(&mut hasher);
    }
    Ok(format!("{:016x}", hasher.finish()))
}

/// Wine copies its 700 MB of libraries into every prefix; links to where they
/// came from do as well, and a story then copies 13 MB.
fn slim(template: &Path) -> Result<()> {
    let windows = template.join("drive_c/windows");
    // Only 64-bit programs run here.
    let _not_there = fs::remove_dir_all(windows.join("syswow64"));
    let system32 = windows.join("system32");
    for entry in fs::read_dir(&system32)? {
        let entry = entry?;
        let origin = Path::new(WINE_LIBRARIES).join(entry.file_name());
        link_if_same(&entry.path(), &origin)?;
    }
    // The side-by-side copies have the same names as their originals.
    for assembly in fs::read_dir(windows.join("winsxs"))?.flatten() {
        for file in fs::read_dir(assembly.path())
            .into_iter()
            .flatten()
            .flatten()
        {
            link_if_same(
                &file.path(),
                &Path::new(WINE_LIBRARIES).join(file.file_name()),
            )?;
        }
    }
    Ok(())
}

fn link_if_same(copy: &Path, origin: &Path) -> Result<()> {
    let same = copy.is_file() && origin.is_file() && fs::read(copy)? == fs::read(origin)?;
    if same {
        fs::remove_file(copy)?;
        symlink(origin, copy)?;
    }
    Ok(())
}

fn install(objects: &Path, drive_c: &Path) -> Result<()> {
    let system32 = drive_c.join("windows/system32");
    for library in [
        "bcryptprimitives",
        "cfgmgr32",
        "cfgmgr32_wine",
        "iphlpapi",
        "iphlpapi_wine",
    ] {
        let file = format!("{library}.dll");
        let place = system32.join(&file);
        // It may be a link to Wine's own, which must not be written through.
        let _not_there = fs::remove_file(&place);
        fs::copy(objects.join(&file), place)?;
    }
    fs::copy(
        objects.join("faketap.sys"),
        system32.join("drivers/faketap.sys"),
    )?;
    fs::copy(objects.join("rig.exe"), drive_c.join("rig.exe"))?;
    Ok(())
}

/// The driver starts with the machine: Wine's service manager reads services
/// that somebody else registered only when it starts itself.
fn register_driver(template: &Path) -> Result<()> {
    let path = template.join("system.reg");
    let mut registry = fs::read_to_string(&path).context("the template has no registry")?;
    registry.push_str(
        r#"
[System\\CurrentControlSet\\Services\\faketap] 1
"DisplayName"="faketap"
"ErrorControl"=dword:00000001
"ImagePath"="C:\\windows\\system32\\drivers\\faketap.sys"
"Start"=dword:00000002
"Type"=dword:00000001
"#,
    );
    fs::write(path, registry)?;
    Ok(())
}

/// Cargo of the distribution, set up for Windows. It is another compiler than
/// the workspace's, because that one cannot get a standard library for Windows
/// where only the distribution's packages can be installed.
#[must_use]
pub fn cross_cargo(verb: &str) -> Command {
    let mut command = Command::new("/usr/bin/cargo");
    command
        .current_dir(workspace())
        .args([verb, "-Z", "build-std=std,panic_unwind,test"])
        .args(["--target", TARGET])
        // Building a standard library and denying warnings are unstable there.
        .env("RUSTC_BOOTSTRAP", "1")
        // The distribution has no clippy for this compiler.
        .args(["-Z", "warnings", "--config", "build.warnings='deny'"])
        .env("RUSTC", "/usr/bin/rustc")
        .env("RUSTDOC", "/usr/bin/rustdoc")
        .env(
            "CARGO_TARGET_X86_64_PC_WINDOWS_GNU_LINKER",
            "x86_64-w64-mingw32-gcc",
        )
        .env("CARGO_TARGET_DIR", target())
        .env_remove("RUSTUP_TOOLCHAIN");
    command
}

/// Runs the body of a story that needs the rig, inside a sandbox; without a
/// rig it is skipped, and says so.
///
/// # Errors
/// Whatever the body returns.
pub fn story(body: impl FnOnce(&Rig) -> Result<()>) -> Result<()> {
    match Rig::find() {
        Ok(rig) => body(&rig),
        Err(reason) => {
            print_skip(&format!("{reason:#}"));
            Ok(())
        }
    }
}

#[expect(
    clippy::print_stderr,
    reason = "a skipped test must be seen in the test's output"
)]
fn print_skip(reason: &str) {
    eprintln!("SKIPPED: {reason}");
}
