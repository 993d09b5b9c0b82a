//! The project's pages as they are read: on GitHub, the guide as rustdoc, too, and a crate's first page on crates.io.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace")
}

/// What stands for the root where a page is not read beside its files.
const ELSEWHERE: [&str; 3] = [
    "https://github.com/segcam/segcam/blob/main/",
    "https://github.com/segcam/segcam/tree/main/",
    "https://raw.githubusercontent.com/segcam/segcam/main/",
];

fn pages(folder: &Path) -> Vec<PathBuf> {
    files(folder, ".md")
}

fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = vec![];
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        if path.is_dir() && !name.starts_with('.') && name != "target" && name != "node_modules" {
            found.extend(files(&path, ending));
        } else if name.ends_with(ending) {
            found.push(path);
        }
    }
    found
}

/// A page without the code between fences.
fn prose(text: &str) -> String {
    let mut code = false;
    let lines = text.lines().filter(|line| {
        let fence = line.trim_start().starts_with("```");
        code ^= fence;
        !code && !fence
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Lines that rustdoc hides in code, and GitHub shows.
fn hidden(text: &str) -> Vec<&str> {
    let mut language = None;
    let lines = text.lines().filter(|line| {
        if let Some(fence) = line.trim_start().strip_prefix("```") {
            language = if language.is_some() { None } else { Some(fence) };
            return false;
        }
        // Without a language, and with words of rustdoc's, code is Rust.
        let rust = language.is_some_and(|words: &str| {
            words.split(',').any(|word| ["", "rust", "no_run", "ignore"].contains(&word.trim()))
        });
        rust && (line.trim() == "#" || line.trim_start().starts_with("# "))
    });
    lines.collect()
}

/// What a heading is called in links, on GitHub and by rustdoc.
fn anchors(text: &str) -> Vec<String> {
    let headings = text.lines().filter_map(|line| line.strip_prefix('#'));
    let anchor = |heading: &str| {
        let heading = heading.trim_start_matches('#').trim().to_lowercase();
        let kept = heading.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    };
    headings.map(anchor).collect()
}

/// Where the links and pictures of some prose lead.
fn targets(prose: &str) -> Vec<&str> {
    let after = |at: usize| {
        let rest = &prose[at + 2..];
        &rest[..rest.find([')', ' ', '\n']).unwrap_or(rest.len())]
    };
    prose.match_indices("](").map(|(at, _)| after(at)).collect()
}

/// What is wrong with a page's links.
fn wrong(page: &Path, text: &str, is_rustdoc: bool) -> Vec<String> {
    let text = prose(text);
    let mut wrong = vec![];
    for target in targets(&text) {
        let ours = ELSEWHERE.iter().find_map(|start| target.strip_prefix(*start));
        if ours.is_none() && target.starts_with("http") {
            continue;
        }
        let inside = ours.unwrap_or(target);
        let (file, anchor) = inside.split_once('#').unwrap_or((inside, ""));
        let path = match file {
            "" => page.to_path_buf(),
            file if ours.is_some() => root().join(file),
            file => page.parent().expect("a folder").join(file),
        };
        if is_rustdoc && ours.is_none() && !file.is_empty() {
            wrong.push(format!("{target} is no page of rustdoc"));
        } else if !path.exists() {
            wrong.push(format!("{target} leads nowhere"));
        } else if !anchor.is_empty() {
            let there = if file.is_empty() { text.clone() } else { read(&path) };
            if !anchors(&prose(&there)).iter().any(|known| known == anchor) {
                wrong.push(format!("{target} is no heading"));
            }
        }
    }
    for (at, _) in text.match_indices("[`") {
        let Some(length) = text[at..].find("`]") else { continue };
        let (words, rest) = (&text[at..at + length + 2], &text[at + length + 2..]);
        // A bracket with a link is a link.
        if !words[2..].contains(['[', '\n']) && !rest.starts_with(['(', '[', ':']) {
            wrong.push(format!("{words} is a link in rustdoc only"));
        }
    }
    wrong
}

fn read(page: &Path) -> String {
    fs::read_to_string(page).expect("a page")
}

#[test]
fn every_link_leads_somewhere() {
    let pages = pages(root());
    assert!(pages.len() > 25, "{pages:?}");
    let mut all = vec![];
    for page in pages {
        let wrong = wrong(&page, &read(&page), page.ends_with("GUIDE.md"));
        all.extend(wrong.into_iter().map(|what| format!("{}: {what}", page.display())));
    }
    assert!(all.is_empty(), "{}", all.join("\n"));
}

/// Pages that rustdoc takes are read on GitHub, too.
#[test]
fn no_code_has_hidden_lines() {
    let found = |text: &str| hidden(text).len();
    assert_eq!(found("# A heading\n```sh\n# a comment\n```\n```rust\n#[test]\nlet a = 1;\n```"), 0);
    assert_eq!(found("```rust\nfirst()?;\n# Ok::<(), Error>(())\n```\n# A heading"), 1);
    assert_eq!(found("```no_run\n    # use a::b;\n#\n```"), 2);
    let others = ["segcam-conv/README.md"];
    for page in pages(root()) {
        let text = read(&page);
        let excused = others.iter().any(|other| page.ends_with(other));
        assert!(excused || hidden(&text).is_empty(), "{}: {:?}", page.display(), hidden(&text));
    }
}

/// What people copy names devices and features that there are.
#[test]
fn lines_to_type_name_devices_that_there_are() {
    let guide = read(&root().join("crates/segcam/GUIDE.md"));
    let after = |option: &str| -> Vec<String> {
        let words = guide.split(option).skip(1).filter_map(|rest| rest.split_whitespace().next());
        words.map(|word| word.trim_end_matches(['`', ')', ',']).to_string()).collect()
    };
    let devices = after("--device ");
    for device in devices.iter().filter(|name| !name.starts_with("remote:")) {
        let found = segcam::device(device);
        assert!(!matches!(found, Err(segcam::DeviceError::Unknown(_))), "{device}");
    }
    assert!(devices.len() >= 7, "Linux, macOS, Windows, remote: {devices:?}");
    let manifest = read(&root().join("crates/segcam-cli/Cargo.toml"));
    for feature in after("--features ") {
        assert!(manifest.contains(&format!("\n{feature} = [")), "{feature}");
    }
}

/// Rows that an empty line cuts off their table: they are read as text.
fn rows_without_a_table(text: &str) -> Vec<String> {
    let text = prose(text);
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let is_ruler = |line: &str| line.starts_with('|') && line.chars().all(|c| "|-: ".contains(c));
    let blocks = lines.split(|line| !line.starts_with('|'));
    let headless = blocks
        .filter(|rows| !rows.is_empty() && !rows.get(1).is_some_and(|second| is_ruler(second)));
    headless.map(|rows| format!("{} is in no table", rows[0])).collect()
}

/// Lines of the libraries' sources that name an option of a program, comments aside: an error of a library
/// is read by those who typed no command.
fn options_in(source: &str) -> Vec<&str> {
    let said = source.lines().filter(|line| {
        let line = line.trim_start();
        let named = line
            .match_indices("--")
            .any(|(at, _)| line[at + 2..].starts_with(|c: char| c.is_ascii_lowercase()));
        // Commands of other programs may be what works.
        named
            && !line.starts_with("//")
            && !["cargo", "vips"].iter().any(|other| line.contains(other))
    });
    said.collect()
}

#[test]
fn every_table_is_whole() {
    let rows = |page: PathBuf| {
        rows_without_a_table(&read(&page))
            .into_iter()
            .map(move |row| format!("{}: {row}", page.display()))
    };
    let all: Vec<String> = pages(root()).into_iter().flat_map(rows).collect();
    assert!(all.is_empty(), "{}", all.join("\n"));
}

#[test]
fn no_library_names_an_option_of_the_program() {
    let mut folders = vec![];
    for entry in fs::read_dir(root().join("crates")).expect("a folder").flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if !["segcam-cli", "segcam-cluster", "segcam-web"].contains(&name.as_str()) {
            folders.push(entry.path().join("src"));
        }
    }
    let sources: Vec<PathBuf> = folders.iter().flat_map(|folder| files(folder, ".rs")).collect();
    assert!(sources.len() > 200, "{}", sources.len());
    for path in sources {
        let source = read(&path);
        assert!(options_in(&source).is_empty(), "{}: {:?}", path.display(), options_in(&source));
    }
    assert_eq!(options_in("#[error(\"give a file (--weights FILE)\")]\n// --weights").len(), 1);
}

#[test]
fn a_table_in_two_is_found() {
    let found = |text: &str| rows_without_a_table(text).len();
    assert_eq!(found("| a | b |\n|---|:-:|\n| 1 | 2 |\n\ntext"), 0);
    assert_eq!(found("| a | b |\n|---|---|\n\n| 1 | 2 |\n| 3 | 4 |"), 1);
    assert_eq!(found("- | a |\n\n  | a | b |\n  |---|---|\n  | 1 | 2 |\n\n  | 3 | 4 |"), 1);
    assert_eq!(found("```\n| a |\n```"), 0);
}

#[test]
fn what_is_wrong_is_found() {
    let page = root().join("README.md");
    let found = |text: &str, is_rustdoc| wrong(&page, text, is_rustdoc).len();
    assert_eq!(found("# A b\n[x](#a-b), [`y`](docs/models.md), [z](https://a.b)", false), 0);
    assert_eq!(found("[x](docs/nowhere.md)", false), 1);
    assert_eq!(found("[x](#b)", false), 1);
    assert_eq!(found("[x](docs/models.md#nothing)", false), 1);
    assert_eq!(found("see [`Layers::name`] and go on", false), 1);
    assert_eq!(found("```\n[`Layers`] [x](nowhere)\n```", false), 0);
    assert_eq!(found("[x](docs/models.md)", true), 1);
    let there = ELSEWHERE[0];
    assert_eq!(found(&format!("[x]({there}docs/models.md), ![y]({there}docs)"), true), 0);
    assert_eq!(found(&format!("[x]({there}docs/nowhere.md)"), true), 1);
    assert_eq!(found(&format!("[x]({there}docs/models.md#nothing)"), false), 1);
}

/// What a crate's manifest lacks to be found and read on crates.io and docs.rs. `package` is what cargo knows of it.
fn lacks(package: &Value) -> Vec<String> {
    let mut lacks = vec![];
    for field in ["description", "repository", "license"] {
        if package[field].as_str().is_none_or(str::is_empty) {
            lacks.push(format!("no {field}"));
        }
    }
    let words = |value: &Value| -> Vec<String> {
        let words = value.as_array().into_iter().flatten().filter_map(Value::as_str);
        words.map(str::to_string).collect()
    };
    let keywords = words(&package["keywords"]);
    if !(1..=5).contains(&keywords.len()) || keywords.iter().any(|word| word.len() > 20) {
        lacks.push(format!("crates.io takes 1 to 5 keywords of at most 20 letters: {keywords:?}"));
    }
    if words(&package["categories"]).is_empty() {
        lacks.push("no categories".into());
    }
    let docs = &package["metadata"]["docs"]["rs"];
    let has_features = package["features"].as_object().is_some_and(|features| !features.is_empty());
    if has_features && docs["all-features"] != true && !docs["features"].is_array() {
        lacks.push("docs.rs is not told which features to build".into());
    }
    // On crates.io a page from outside of the folder has no links and pictures that lead somewhere.
    let folder = Path::new(package["manifest_path"].as_str().expect("a path")).parent();
    match (package["readme"].as_str(), folder) {
        (Some(name), Some(folder)) if !name.contains('/') && folder.join(name).exists() => {
            let page = read(&folder.join(name));
            let prose = prose(&page);
            let relative = targets(&prose)
                .into_iter()
                .filter(|target| !["http", "#"].iter().any(|start| target.starts_with(start)));
            lacks.extend(relative.map(|target| format!("{target} is a path in the readme")));
        }
        _ => lacks.push("no readme in its folder".into()),
    }
    lacks
}

#[test]
fn crates_are_ready_to_be_read() {
    let mut metadata = Command::new(env!("CARGO"));
    metadata.args(["metadata", "--offline", "--no-deps", "--format-version=1"]);
    let output = metadata.current_dir(root()).output().expect("cargo");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    // `publish = false` is a list without registries.
    let published: Vec<&Value> = packages.iter().filter(|one| one["publish"].is_null()).collect();
    assert!(published.len() >= 16, "{}", published.len());
    let all = published.iter().flat_map(|package| {
        lacks(package).into_iter().map(move |what| format!("{}: {what}", package["name"]))
    });
    let all: Vec<String> = all.collect();
    assert!(all.is_empty(), "{}", all.join("\n"));

    let mut poor = published[0].clone();
    assert!(lacks(&poor).is_empty());
    poor["description"] = "".into();
    poor["keywords"] = vec!["a-keyword-that-is-longer"].into();
    poor["categories"] = Value::Array(vec![]);
    poor["metadata"] = Value::Null;
    poor["features"] = serde_json::json!({ "a": [] });
    poor["readme"] = "../../README.md".into();
    assert_eq!(lacks(&poor).len(), 5);
}

/// The code of pages that is said to be that of an example.
#[test]
fn code_of_examples_is_what_they_are() {
    let of_crate = |file: &str| read(&root().join("crates/segcam").join(file));
    let everything = of_crate("examples/own_everything.rs");
    let (_, many) = everything.split_once("// ANCHOR: many\n").expect("a start");
    let (many, _) = many.split_once("// ANCHOR_END: many").expect("an end");
    assert!(of_crate("GUIDE.md").contains(many), "GUIDE.md has another `maps`:\n{many}");
    let readme = of_crate("README.md");
    let code = readme.split("```rust\n").nth(1).and_then(|rest| rest.split("```").next());
    let code = code.expect("code");
    assert!(of_crate("examples/own_model.rs").contains(code), "not in own_model.rs:\n{code}");
}

/// Each package that a command builds, once for every set of features that it is built with.
fn built(what: &str) -> BTreeSet<String> {
    let mut tree = Command::new(env!("CARGO"));
    tree.args(["tree", "--offline", "--prefix=none", "--format={p} with {f}"]);
    let output = tree.args(what.split(' ')).current_dir(root()).output().expect("cargo");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8(output.stdout).expect("text");
    // What was printed before is marked.
    lines.lines().map(|line| line.trim_end_matches(" (*)").to_string()).collect()
}

/// README's two commands: a feature that only a dev-dependency turns on would build whatever stands on
/// it a second time, up to all of burn.
#[test]
fn cargo_test_builds_nothing_of_cargo_run_again() {
    let readme = read(&root().join("README.md"));
    assert!(
        readme.contains("\ncargo run --bin segcam") && readme.contains("\ncargo test --workspace")
    );
    // Of a workspace, `cargo run` takes the features of all members, too.
    let run = built("--workspace --edges no-dev");
    let test = built("--workspace --edges normal,build,dev");
    assert!(run.len() > 200 && test.len() > run.len());
    let again: Vec<&String> = run.difference(&test).collect();
    assert!(again.is_empty(), "built again with other features: {again:#?}");
}

/// Whoever turns on a feature of the facade later goes on with the burn that is there.
#[test]
fn no_feature_builds_burn_again() {
    let name = |package: &String| package.split(" with ").next().map(String::from);
    // The core stands on burn and little else.
    let burn: BTreeSet<_> =
        built("-p segcam-core --edges no-dev --features flex").iter().map(name).collect();
    let with = |features: &str| {
        let flex = "-p segcam --edges no-dev --no-default-features --features flex";
        let mut built = built(&format!("{flex},{features}"));
        built.retain(|package| !package.starts_with("segcam") && burn.contains(&name(package)));
        built
    };
    let alone = with("");
    assert!(alone.iter().any(|package| package.starts_with("burn-core ")) && alone.len() > 100);
    for feature in ["metrics", "models", "onnx", "render", "scans", "serde"] {
        let more = with(feature);
        let again: Vec<&String> = alone.difference(&more).collect();
        assert!(again.is_empty(), "`{feature}` builds again: {again:#?}");
    }
}
