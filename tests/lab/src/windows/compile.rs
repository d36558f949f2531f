//! Compiling the rig's own sources with mingw.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

const COMPILER: &str = "x86_64-w64-mingw32-gcc";
const OBJDUMP: &str = "x86_64-w64-mingw32-objdump";
const NM: &str = "x86_64-w64-mingw32-nm";

/// Headers of the driver kit, from the package mingw-w64-x86-64-dev.
const DDK: &str = "-I/usr/x86_64-w64-mingw32/include/ddk";
/// Where Wine's own libraries are.
pub(super) const WINE_LIBRARIES: &str = "/usr/lib/x86_64-linux-gnu/wine/x86_64-windows";

const COMMON: &[&str] = &[
    "-O2",
    "-Wall",
    "-Wextra",
    "-Werror",
    // The headers declare as imports what the stand-ins define.
    "-Wno-attributes",
    "-D_WIN32_WINNT=0x0A00",
    // mingw's own library would have to be there at run time.
    "-static-libgcc",
];

/// Compiles everything below `sources` into `out`.
pub(super) fn all(sources: &Path, out: &Path) -> Result<()> {
    driver(sources, out)?;
    rig(sources, out)?;
    plain_library(sources, out, "bcryptprimitives", "-ladvapi32")?;
    covering_library(sources, out, "cfgmgr32", &["-ladvapi32"])?;
    covering_library(sources, out, "iphlpapi", &["-lws2_32"])
}

fn driver(sources: &Path, out: &Path) -> Result<()> {
    compile(|command| {
        command
            .args([DDK, "-ffreestanding", "-shared", "-nostdlib", "-s"])
            .args(["-Wl,--subsystem,native", "-Wl,--entry,DriverEntry"])
            .args(["-Wl,--image-base,0x140000000", "-Wl,--dynamicbase"])
            .arg("-o")
            .arg(out.join("faketap.sys"))
            .arg(sources.join("driver/faketap.c"))
            .args(["-lntoskrnl", "-lhal"])
    })
}

fn rig(sources: &Path, out: &Path) -> Result<()> {
    compile(|command| {
        command
            .args(["-municode", "-s", "-o"])
            .arg(out.join("rig.exe"))
            .args(["main", "cable", "probe"].map(|name| sources.join(format!("rig/{name}.c"))))
    })
}

fn plain_library(sources: &Path, out: &Path, name: &str, library: &str) -> Result<()> {
    compile(|command| {
        command
            .args(["-shared", "-s", "-o"])
            .arg(out.join(format!("{name}.dll")))
            .arg(sources.join(format!("shims/{name}.c")))
            .arg(library)
    })
}

/// A library of Wine's with some functions replaced: what our source defines
/// is ours, every other export is forwarded to Wine's library, which lies
/// beside it under another name.
fn covering_library(sources: &Path, out: &Path, name: &str, libraries: &[&str]) -> Result<()> {
    let object = out.join(format!("{name}.o"));
    compile(|command| {
        command
            .args(["-c", "-o"])
            .arg(&object)
            .arg(sources.join(format!("shims/{name}.c")))
    })?;
    let wines = Path::new(WINE_LIBRARIES).join(format!("{name}.dll"));
    let renamed = format!("{name}_wine");
    copy_as_native(&wines, &out.join(format!("{renamed}.dll")))?;
    let own = defined(&object)?;
    let forwarded: Vec<String> = exported(&wines)?
        .difference(&own)
        .map(|export| format!("{export}={renamed}.{export}"))
        .collect();
    let definition = out.join(format!("{name}.def"));
    let own: Vec<String> = own.into_iter().collect();
    fs::write(
        &definition,
        format!(
            "LIBRARY {name}.dll\nEXPORTS\n{}\n{}\n",
            own.join("\n"),
            forwarded.join("\n")
        ),
    )?;
    compile(|command| {
        command
            .args(["-shared", "-s", "-o"])
            .arg(out.join(format!("{name}.dll")))
            .args([&object, &definition])
            .args(libraries)
    })
}

/// Copies a library without the mark at offset 64 by which Wine knows its own
/// and would insist on their names.
fn copy_as_native(from: &Path, to: &Path) -> Result<()> {
    let mut bytes =
        fs::read(from).with_context(|| format!("cannot read Wine's {}", from.display()))?;
    let mark = bytes
        .get_mut(64..80)
        .context("Wine's library is too short")?;
    mark.fill(0);
    fs::write(to, bytes)?;
    Ok(())
}

fn defined(object: &Path) -> Result<BTreeSet<String>> {
    let listing = run(Command::new(NM)
        .args(["--defined-only", "--extern-only"])
        .arg(object))?;
    Ok(listing
        .lines()
        .filter_map(|line| line.split_once(" T "))
        .map(|(_, name)| name.to_owned())
        .collect())
}

fn exported(library: &Path) -> Result<BTreeSet<String>> {
    let listing = run(Command::new(OBJDUMP).arg("--private-headers").arg(library))?;
    Ok(exports_in(&listing))
}

fn exports_in(listing: &str) -> BTreeSet<String> {
    listing
        .lines()
        .skip_while(|line| !line.starts_with("[Ordinal/Name Pointer]"))
        .skip(1)
        .take_while(|line| !line.trim().is_empty())
        .filter_map(|line| line.split_once("] ").map(|(_, name)| name.trim()))
        // Decorated names of 32-bit Windows, which a .def file cannot spell.
        .filter(|name| !name.contains('@'))
        .map(str::to_owned)
        .collect()
}

fn compile(arguments: impl FnOnce(&mut Command) -> &mut Command) -> Result<()> {
    let mut command = Command::new(COMPILER);
    command.args(COMMON);
    run(arguments(&mut command))?;
    Ok(())
}

fn run(command: &mut Command) -> Result<String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot run {command:?}"))?;
    if !output.status.success() {
        bail!(
            "{command:?} failed:\n{}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_names_that_objdump_lists() {
        let listing = "The Export Tables\n\n[Ordinal/Name Pointer] Table\n\t[   0] AddIPAddress\n\t[  12] GetIfTable2\n\t[  13] _PfDeleteLog@0\n\n\nThe Function Table\n\t[   0] NotThis\n";
        let names: Vec<String> = exports_in(listing).into_iter().collect();
        assert_eq!(names, ["AddIPAddress", "GetIfTable2"]);
    }
}
