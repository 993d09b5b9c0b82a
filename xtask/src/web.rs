//! `cargo xtask web`: the page without a server, see `crates/segcam-web` and `docs/web.md`.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::{root, studio, target};

const TARGET: &str = "wasm32-unknown-unknown";
/// Vectors of 128 bits, which every browser has since 2021 (Safari since 2023).
const FLAGS: (&str, &str) =
    ("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS", "-C target-feature=+simd128");

/// Builds the page and tests it; or one of both, or how long it takes.
pub(crate) fn run(parts: &[String]) -> Result<()> {
    let all: Vec<&str> = parts.iter().map(String::as_str).collect();
    let parts = if all.is_empty() { vec!["build", "test"] } else { all };
    for part in parts {
        match part {
            "build" => build()?,
            "test" => test()?,
            "time" => {
                crate::cargo("build --release --bin segcam", &[])?;
                let page = built()?;
                let node = studio::node()?;
                let environment = [("SEGCAM_WEB", &*page)];
                studio::script("web-time.mjs", None, "release/segcam", &node, &environment)?;
            }
            other => bail!("`{other}` is none of build, test, time"),
        }
    }
    Ok(())
}

/// Where the finished page lies.
fn page() -> PathBuf {
    target().join("web/page")
}

fn build() -> Result<()> {
    ensure!(
        has_standard_library()?,
        "this Rust has no standard library for WebAssembly: `rustup target add {TARGET}`, or of Debian's \
         Rust the package libstd-rust-dev-wasm32"
    );
    let folder = target().join("web");
    let mut cargo = Command::new(env!("CARGO"));
    // Nobody else needs a module, so the crate does not ask for one itself.
    cargo.args(["rustc", "--release", "--locked", "--package", "segcam-web"]);
    cargo.args(["--lib", "--crate-type", "cdylib"]);
    cargo.args(["--target", TARGET, "--target-dir"]).arg(&folder);
    crate::run(&mut cargo, &[FLAGS])?;
    let module = folder.join(TARGET).join("release/segcam_web.wasm");
    let page = page();
    if page.exists() {
        std::fs::remove_dir_all(&page)?;
    }
    std::fs::create_dir_all(&page)?;
    let mut bind = Command::new(bindgen(&folder)?);
    bind.args(["--target", "web", "--remove-name-section", "--remove-producers-section"]);
    bind.arg("--out-dir").arg(&page).arg(&module);
    crate::run(&mut bind, &[])?;
    assemble(&page)?;
    let size = std::fs::metadata(page.join("segcam_web_bg.wasm"))?.len();
    eprintln!("xtask: {} ({:.1} MB of WebAssembly)", page.display(), size as f64 / 1e6);
    Ok(())
}

fn has_standard_library() -> Result<bool> {
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".into());
    let arguments = ["--print", "target-libdir", "--target", TARGET];
    let output = Command::new(&rustc).args(arguments).output().context(rustc)?;
    Ok(Path::new(String::from_utf8(output.stdout)?.trim()).is_dir())
}

/// The program that writes the JavaScript around the module. Both must be of one version.
fn bindgen(folder: &Path) -> Result<PathBuf> {
    let lock = std::fs::read_to_string(root().join("Cargo.lock"))?;
    let mut lines = lock.lines().skip_while(|line| *line != "name = \"wasm-bindgen\"").skip(1);
    let version = lines.next().and_then(|line| line.split('"').nth(1));
    let version = version.context("Cargo.lock does not know wasm-bindgen")?;
    let tools = folder.join("tools");
    let own = tools.join("bin/wasm-bindgen");
    let wanted = format!("wasm-bindgen {version}");
    for known in [PathBuf::from("wasm-bindgen"), own.clone()] {
        let said = Command::new(&known).arg("--version").output();
        if said.is_ok_and(|said| String::from_utf8_lossy(&said.stdout).trim() == wanted) {
            return Ok(known);
        }
    }
    let mut install = Command::new(env!("CARGO"));
    install.args(["install", "wasm-bindgen-cli", "--version", version, "--root"]).arg(&tools);
    install.arg("--target-dir").arg(folder.join("tools-target"));
    crate::run(&mut install, &[])?;
    Ok(own)
}

/// The studio's page, whose `api.js` asks a worker instead of a server.
fn assemble(page: &Path) -> Result<()> {
    let studio = root().join("crates/segcam-cli/src/studio/page");
    let web = root().join("crates/segcam-web/page");
    const NOT_HERE: [&str; 3] = ["index.html", "openapi.json", "tsconfig.json"];
    for entry in std::fs::read_dir(&studio)? {
        let name = entry?.file_name();
        let name = name.to_string_lossy();
        if NOT_HERE.contains(&&*name) || name.starts_with("report.") {
            continue;
        }
        let to = if name == "api.js" { "server.js" } else { &name };
        std::fs::copy(studio.join(&*name), page.join(to))?;
    }
    for entry in std::fs::read_dir(&web)? {
        let entry = entry?;
        std::fs::copy(entry.path(), page.join(entry.file_name()))?;
    }
    std::fs::copy(studio.join("tsconfig.json"), page.join("tsconfig.json"))?;
    std::fs::write(page.join("index.html"), index(&studio)?)?;
    // What wasm-bindgen writes is not ours to check.
    let module = page.join("segcam_web.js");
    let written = std::fs::read_to_string(&module)?;
    std::fs::write(&module, format!("// @ts-nocheck\n{written}"))?;
    Ok(())
}

/// The studio's `index.html` with another beginning, and nothing but its own files allowed.
fn index(studio: &Path) -> Result<String> {
    const MAIN: &str = r#"<script type="module" src="main.js"></script>"#;
    const START: &str = concat!(
        r#"<meta http-equiv="Content-Security-Policy" content="default-src 'none'; script-src 'self' "#,
        r#"'wasm-unsafe-eval'; worker-src 'self'; connect-src 'self'; style-src 'self' 'unsafe-inline'; "#,
        r#"img-src 'self' blob: data:">"#,
        "\n",
        r#"<script type="module" src="start.js"></script>"#
    );
    let html = std::fs::read_to_string(studio.join("index.html"))?;
    ensure!(html.contains(MAIN), "index.html does not load main.js: {MAIN}");
    Ok(html.replace(MAIN, START).replace("<title>segcam studio", "<title>segcam"))
}

/// The page, which must be there.
fn built() -> Result<PathBuf> {
    let page = page();
    let there = page.join("segcam_web_bg.wasm").exists();
    ensure!(there, "build the page first: `cargo xtask web build`");
    Ok(page)
}

/// Types, then the page in a browser beside the program.
fn test() -> Result<()> {
    let page = built()?;
    let node = studio::node()?;
    let mut tsc = Command::new(node.join("node_modules/.bin/tsc"));
    crate::run(tsc.args(["--skipLibCheck", "-p"]).arg(&page), &[])?;
    crate::cargo("build --bin segcam", &[])?;
    studio::script("web.mjs", None, "debug/segcam", &node, &[("SEGCAM_WEB", &page)])
}
