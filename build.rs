//! Link settings a Node addon needs.

use std::{env, fs, path::Path};

/// What a service runs, by what needs it first.
const ORDER: &str = "src/code-order.txt";

/// For linkers that read no scripts, and for profilers that know one section of code.
const NO_ORDER: &str = "COUNTERSIGN_NO_CODE_ORDER";

/// The digest of the sources, by the scripts that build the addon: see scripts/sources.js.
const SOURCES: &str = "COUNTERSIGN_SOURCES";

/// Assembly has no section for each function: the files that P-256 and SHA-256 need.
const ASSEMBLY: [&str; 5] = ["*-p256-*", "*-p256_beeu-*", "*-bignum_montinv_p256*", "*-sha256-*", "*-x86_64-mont.o"];

fn main() {
    napi_build::setup();
    println!("cargo:rerun-if-changed={ORDER}");
    println!("cargo:rerun-if-env-changed={NO_ORDER}");
    println!("cargo:rerun-if-env-changed={SOURCES}");
    let kind = kind_of_build();
    let sources = env::var(SOURCES).unwrap_or_else(|_| "unknown".to_owned());
    println!("cargo:rustc-env=COUNTERSIGN_BUILD=countersign addon: {kind} build of sources {sources}.");
    if env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("linux") {
        // A worker that was the only one to load the addon unloads it when it ends; our threads and thread-locals must
        // not lose the code they run.
        println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
        if kind == "quick" || env::var_os(NO_ORDER).is_some() {
            return;
        }
        let script = Path::new(&env::var("OUT_DIR").expect("cargo sets it")).join("code-order.ld");
        let names = fs::read_to_string(ORDER).expect("it lies beside this file");
        fs::write(&script, side_by_side(&names)).expect("cargo gives a directory that can be written to");
        println!("cargo:rustc-cdylib-link-arg=-Wl,-T,{}", script.display());
    }
}

/// By what the profile makes of the code: only a release may reach users, and scripts refuse the others.
fn kind_of_build() -> &'static str {
    let setting = |name| env::var(name).expect("cargo sets it");
    match (setting("PROFILE").as_str(), setting("OPT_LEVEL").as_str()) {
        ("release", "s") => "release",
        ("release", _) => "trial",
        _ => "quick",
    }
}

/// The kernel maps code sixteen pages at a time. A service needs a sixth of ours: in a section of its own that is what it
/// has in memory, and not all of it.
fn side_by_side(names: &str) -> String {
    let mut inputs = vec!["*(.text.startup .text.startup.* .text.exit .text.exit.*)".to_owned()];
    inputs.extend(ASSEMBLY.map(|file| format!("{file}(.text)")));
    let functions = names.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    inputs.extend(functions.map(|name| format!("*(.text.{name} .text.{name}.* .text.unlikely.{name})")));
    format!("SECTIONS {{ .text.first : {{\n{}\n}} }}\nINSERT AFTER .plt;\n", inputs.join("\n"))
}
