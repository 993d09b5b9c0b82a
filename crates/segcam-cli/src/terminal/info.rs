use anyhow::{Result, bail};
use segcam_cli::scan::describe;
use serde_json::{Map, Value, json};

use super::advice::in_words;
use super::args::InfoArgs;
use super::{Finished, Talk, say};

/// `segcam info`
pub(crate) fn run(args: &InfoArgs, talk: Talk) -> Result<Finished> {
    let mut failures = vec![];
    let mut all = vec![];
    for path in &args.paths {
        match describe(path) {
            Ok(lines) => all.push((path.display().to_string(), lines)),
            Err(error) => failures.push(in_words(&error)),
        }
    }
    match talk {
        Talk::Quiet => {}
        Talk::Json => {
            let object = |(path, lines): &(String, Vec<(&str, String)>)| {
                let path = [("path".to_string(), json!(path))].into_iter();
                let lines = lines.iter().map(|(name, text)| (name.to_string(), json!(text)));
                Value::Object(path.chain(lines).collect::<Map<_, _>>())
            };
            say(serde_json::to_string_pretty(&all.iter().map(object).collect::<Vec<_>>())?)?;
        }
        Talk::Tables => {
            for (path, lines) in &all {
                say(path)?;
                for (name, text) in lines {
                    say(format!("  {name:12} {text}"))?;
                }
            }
        }
    }
    if all.is_empty() && failures.len() == 1 {
        bail!(failures.remove(0));
    }
    Ok(Finished { failures, ..Finished::default() })
}
