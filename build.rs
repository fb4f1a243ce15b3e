//! Link settings a Node addon needs.

fn main() {
    napi_build::setup();
    // A worker that was the only one to load the addon unloads it when it ends; our threads and thread-locals must
    // not lose the code they run.
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("linux") {
        println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
    }
}
