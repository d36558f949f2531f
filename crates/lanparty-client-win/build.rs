//! Puts the manifest and the version into the Windows program.

fn main() {
    println!("cargo::rerun-if-changed=resources");
    // embed-resource looks at the target itself and does nothing elsewhere.
    let version = env!("CARGO_PKG_VERSION");
    let numbers = version.split('.').collect::<Vec<_>>().join(",");
    let macros = [
        format!("VERSION={version}"),
        format!("VERSION_NUMBERS={numbers},0"),
    ];
    embed_resource::compile_for(
        "resources/lanparty-client-win.rc",
        ["lanparty-client-win"],
        &macros,
    )
    .manifest_required()
    .expect("the resource compiler windres, of the package that has the linker");
}
