//! `cargo xtask windows-zip`: what a Windows player downloads.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result, bail};
use lanparty_lab::packages;
use lanparty_lab::windows::cross_cargo;
use serde_json::Value;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use crate::cargo::{self, workspace};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Where to put the zip
    #[arg(long, value_name = "DIR", default_value = "target/dist")]
    out: PathBuf,
}

const PACKAGE: &str = "lanparty-client-win";
const TARGET: &str = "x86_64-pc-windows-gnu";
/// Beside the dependencies' own: what the compilers put into every program.
const RUNTIMES: [(&str, &str); 2] = [
    (
        "Rust's standard library",
        "/usr/share/doc/rust-web-src/copyright",
    ),
    (
        "mingw-w64's runtime",
        "/usr/share/doc/mingw-w64-common/copyright",
    ),
];
/// Names of files with licences and notices.
const LICENCE_FILES: [&str; 5] = ["LICENSE", "LICENCE", "COPYING", "COPYRIGHT", "NOTICE"];

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    packages::ensure(&[packages::WINDOWS])?;
    let program = build()?;
    refuse_foreign_paths(&program)?;
    refuse_foreign_libraries(&program)?;
    let licences = third_party_licences()?;
    let root = workspace();
    let out = root.join(&arguments.out);
    fs::create_dir_all(&out).with_context(|| format!("cannot make {}", out.display()))?;
    let name = format!("softlan-vpn-windows-{}", env!("CARGO_PKG_VERSION"));
    let path = out.join(format!("{name}.zip"));
    let read =
        |file: &str| fs::read(root.join(file)).with_context(|| format!("cannot read {file}"));
    let files = [
        (format!("{PACKAGE}.exe"), fs::read(&program)?),
        ("windows.md".to_owned(), read("docs/windows.md")?),
        // What the guide refers to.
        ("operating.md".to_owned(), read("docs/operating.md")?),
        (
            "troubleshooting.md".to_owned(),
            read("docs/troubleshooting.md")?,
        ),
        ("LICENSE-MIT".to_owned(), read("LICENSE-MIT")?),
        ("LICENSE-APACHE".to_owned(), read("LICENSE-APACHE")?),
        ("THIRD-PARTY-LICENCES.txt".to_owned(), licences.into_bytes()),
    ];
    let mut zip = ZipWriter::new(File::create(&path)?);
    for (file, content) in files {
        zip.start_file(format!("{name}/{file}"), SimpleFileOptions::default())?;
        zip.write_all(&content)?;
    }
    zip.finish()?;
    println!("{}", path.display());
    Ok(ExitCode::SUCCESS)
}

/// Builds the program as it is shipped.
fn build() -> Result<PathBuf> {
    let mut command = cross_cargo("build");
    command
        .args(["--release", "--package", PACKAGE])
        .env("CARGO_ENCODED_RUSTFLAGS", rust_flags()?.join("\u{1f}"))
        .env("CFLAGS_x86_64_pc_windows_gnu", c_flags()?.join(" "));
    cargo::status(&mut command, "the build for Windows")?;
    let release = workspace()
        .join("target/windows")
        .join(TARGET)
        .join("release");
    let name = format!("{PACKAGE}.exe");
    // Debugging information is four fifths of the file.
    let stripped = release.join("stripped").join(&name);
    fs::create_dir_all(release.join("stripped"))?;
    let mut strip = Command::new("x86_64-w64-mingw32-strip");
    strip.arg("-o").arg(&stripped).arg(release.join(name));
    cargo::status(&mut strip, "x86_64-w64-mingw32-strip")?;
    Ok(stripped)
}

/// Where this machine keeps sources, and what a program calls these places.
fn places() -> Result<[(PathBuf, &'static str); 3]> {
    let cargo_home = std::env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::home_dir().map(|home| home.join(".cargo")))
        .context("neither CARGO_HOME nor HOME is set")?;
    Ok([
        (workspace().to_owned(), "softlan-vpn"),
        (cargo_home.join("registry/src"), "crates"),
        (sysroot()?.join("lib/rustlib/src/rust"), "rust"),
    ])
}

fn sysroot() -> Result<PathBuf> {
    let output = Command::new("/usr/bin/rustc")
        .args(["--print", "sysroot"])
        .output()
        .context("cannot run /usr/bin/rustc")?;
    Ok(PathBuf::from(String::from_utf8(output.stdout)?.trim()))
}

fn rust_flags() -> Result<Vec<String>> {
    let mut flags = vec!["-Ctarget-feature=+crt-static".to_owned()];
    for (place, name) in places()? {
        for place in [
            fs::canonicalize(&place).unwrap_or_else(|_| place.clone()),
            place,
        ] {
            flags.push(format!("--remap-path-prefix={}={name}", place.display()));
        }
    }
    Ok(flags)
}

fn c_flags() -> Result<Vec<String>> {
    let places = places()?.into_iter();
    Ok(places
        .map(|(place, name)| format!("-ffile-prefix-map={}={name}", place.display()))
        .collect())
}

/// A program that is given away says nothing about the machine that built it.
fn refuse_foreign_paths(program: &Path) -> Result<()> {
    let bytes = fs::read(program).with_context(|| format!("cannot read {}", program.display()))?;
    let mut places: Vec<PathBuf> = places()?.into_iter().map(|(place, _)| place).collect();
    places.extend(std::env::home_dir());
    for place in places {
        let text = place.to_string_lossy().into_owned() + "/";
        if bytes
            .windows(text.len())
            .any(|window| window == text.as_bytes())
        {
            bail!("the program names {text}, a path of this machine");
        }
    }
    Ok(())
}

/// The compiler's own libraries are in the program: nobody has them beside it.
fn refuse_foreign_libraries(program: &Path) -> Result<()> {
    let bytes = fs::read(program)?;
    for library in [
        "libgcc_s_seh-1.dll",
        "libwinpthread-1.dll",
        "libstdc++-6.dll",
    ] {
        if bytes
            .windows(library.len())
            .any(|window| window == library.as_bytes())
        {
            bail!("the program needs {library}, which Windows does not have");
        }
    }
    Ok(())
}

/// One text with the licences of everything that is in the program.
fn third_party_licences() -> Result<String> {
    let output = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["metadata", "--format-version=1", "--locked"])
        .args(["--filter-platform", TARGET])
        .current_dir(workspace())
        .output()
        .context("cannot run cargo metadata")?;
    let metadata: Value = serde_json::from_slice(&output.stdout)
        .context("cargo metadata prints something else than JSON")?;
    let mut text =
        String::from("The program contains works of these authors, under these licences.\n");
    // Equal texts are printed once, below the names of all that they are for.
    let mut texts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for package in linked_packages(&metadata)? {
        let field = |name: &str| package[name].as_str().unwrap_or_default();
        let title = format!("{} {}", field("name"), field("version"));
        let _ = write!(text, "\n{title}: {}", field("license"));
        let directory = Path::new(field("manifest_path")).parent();
        let files = licence_files(directory.context("a manifest without a directory")?)?;
        if files.is_empty() {
            let _ = write!(text, " (no text in the package; {})", field("repository"));
        }
        for file in files {
            texts.entry(file).or_default().push(title.clone());
        }
    }
    for (what, path) in RUNTIMES {
        let _ = write!(text, "\n{what}");
        let licence = fs::read_to_string(path).with_context(|| format!("cannot read {path}"))?;
        texts.entry(licence).or_default().push(what.to_owned());
    }
    text.push('\n');
    for (licence, packages) in texts {
        let line = "-".repeat(80);
        let _ = write!(
            text,
            "\n{line}\n{}\n{line}\n\n{}\n",
            packages.join(", "),
            licence.trim()
        );
    }
    Ok(text)
}

/// The packages that end up in the program, without the workspace's own.
fn linked_packages(metadata: &Value) -> Result<Vec<&Value>> {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let packages = metadata["packages"].as_array().context("no packages")?;
    let nodes: BTreeMap<String, Value> = list(&metadata["resolve"]["nodes"])
        .into_iter()
        .map(|node| (node["id"].as_str().unwrap_or_default().to_owned(), node))
        .collect();
    let root = packages
        .iter()
        .find(|package| package["name"] == PACKAGE)
        .and_then(|package| package["id"].as_str())
        .context("the program is not in the workspace")?;
    let mut seen = BTreeSet::new();
    let mut waiting = vec![root.to_owned()];
    while let Some(id) = waiting.pop() {
        if !seen.insert(id.clone()) {
            continue;
        }
        let dependencies = nodes
            .get(&id)
            .map(|node| list(&node["deps"]))
            .unwrap_or_default();
        // Build scripts and tests are not in the program.
        let linked = dependencies.into_iter().filter(|dependency| {
            list(&dependency["dep_kinds"])
                .iter()
                .any(|kind| kind["kind"].is_null())
        });
        waiting
            .extend(linked.filter_map(|dependency| Some(dependency["pkg"].as_str()?.to_owned())));
    }
    let foreign = |package: &&Value| {
        !package["source"].is_null() && package["id"].as_str().is_some_and(|id| seen.contains(id))
    };
    Ok(packages.iter().filter(foreign).collect())
}

fn licence_files(directory: &Path) -> Result<Vec<String>> {
    let entries =
        fs::read_dir(directory).with_context(|| format!("cannot list {}", directory.display()))?;
    let mut paths: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .to_uppercase();
            path.is_file() && LICENCE_FILES.iter().any(|start| name.starts_with(start))
        })
        .collect();
    paths.sort();
    let read = |path: PathBuf| {
        fs::read(&path)
            .map(|bytes| String::from_utf8_lossy(&bytes).replace("\r\n", "\n"))
            .with_context(|| format!("cannot read {}", path.display()))
    };
    paths.into_iter().map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn build_scripts_and_our_own_crates_need_no_licence_text() {
        let metadata = serde_json::json!({
            "packages": [
                {"id": "own", "name": PACKAGE, "source": null},
                {"id": "used", "name": "used", "source": "registry"},
                {"id": "deep", "name": "deep", "source": "registry"},
                {"id": "script", "name": "script", "source": "registry"},
            ],
            "resolve": {"nodes": [
                {"id": "own", "deps": [
                    {"pkg": "used", "dep_kinds": [{"kind": null}]},
                    {"pkg": "script", "dep_kinds": [{"kind": "build"}]},
                ]},
                {"id": "used", "deps": [{"pkg": "deep", "dep_kinds": [{"kind": null}]}]},
            ]},
        });
        let names: Vec<&str> = linked_packages(&metadata)
            .unwrap()
            .into_iter()
            .filter_map(|package| package["name"].as_str())
            .collect();
        assert_eq!(names, ["used", "deep"]);
    }
}
