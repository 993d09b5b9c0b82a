use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context, Error, Result, anyhow};
use clap::{CommandFactory, FromArgMatches, Parser};
use segcam_cli::terminal::{BatchArgs, usage_in_one_line};

/// The options of `segcam batch` as a shell takes them, the folder that paths are seen from, and what
/// was typed. It travels as a text, `--from /data --typed 'segcam-cluster batch …' --model net.onnx --certify`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options(Vec<String>);

#[derive(Debug, Parser)]
#[command(name = "segcam batch", no_binary_name = true)]
struct Words {
    #[arg(long)]
    from: Option<PathBuf>,

    #[arg(long)]
    typed: Option<String>,

    #[command(flatten)]
    batch: BatchArgs,
}

impl Options {
    /// Options as they were typed in a folder, as part of a whole command, and what they say there.
    ///
    /// # Errors
    /// Options that `segcam batch` does not have, and a folder whose name is no UTF-8.
    pub fn new(words: &[String], folder: &Path, command: &str) -> Result<(Self, BatchArgs)> {
        let typed = parse(Words::command(), words)?.batch;
        let name = folder.to_str();
        let name = name.with_context(|| format!("{} is no UTF-8", folder.display()))?;
        let where_and_what = ["--from", name, "--typed", command].map(String::from);
        Ok((Self(where_and_what.into_iter().chain(words.to_vec()).collect()), typed))
    }

    /// The options, with paths seen from their folder.
    ///
    /// # Errors
    /// Options that `segcam batch` does not have, in one line.
    pub fn args(&self) -> Result<BatchArgs> {
        // A function is told its input otherwise.
        let words = Words::command().mut_arg("input", |arg| arg.required(false).default_value("."));
        let Words { from, typed, batch } = parse(words, &self.0)?;
        let batch = match from {
            Some(from) => batch.seen_from(&from),
            None => batch,
        };
        // A query has no command: its options are what was typed.
        Ok(batch.typed(typed.unwrap_or_else(|| format!("segcam batch {self}"))))
    }
}

fn parse(command: clap::Command, words: &[String]) -> Result<Words> {
    let found = command.try_get_matches_from(words);
    let found = found.and_then(|found| Words::from_arg_matches(&found));
    found.map_err(|error| anyhow!(usage_in_one_line(&error.to_string())))
}

impl fmt::Display for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = shlex::try_join(self.0.iter().map(String::as_str)).map_err(|_| fmt::Error)?;
        f.write_str(&words)
    }
}

impl FromStr for Options {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        shlex::split(text).map(Self).with_context(|| format!("a quote is open in: {text}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_travel_as_a_text() -> Result<()> {
        let words = ["--input", "a b", "--class", "it's", "--out", "/there"].map(String::from);
        let (asked, typed) =
            Options::new(&words, Path::new("/data set"), "segcam-cluster batch …")?;
        assert_eq!(asked.to_string().parse::<Options>()?, asked);
        assert!(format!("{typed:?}").contains(r#"input: "a b""#), "{typed:?}");
        let args = format!("{:?}", asked.args()?);
        assert!(args.contains(r#"input: "/data set/a b""#), "{args}");
        assert!(args.contains(r#"out: "/there""#), "{args}");
        assert!(args.contains("it's"), "{args}");
        assert!(args.contains(r#"typed: Some("segcam-cluster batch …")"#), "{args}");
        let stored =
            "--from /there --input s3://bucket/a --out s3://bucket/b".parse::<Options>()?;
        let args = format!("{:?}", stored.args()?);
        assert!(args.contains(r#"input: "s3://bucket/a""#), "{args}");
        assert!(args.contains(r#"out: "s3://bucket/b""#), "{args}");
        Ok(())
    }

    #[test]
    fn wrong_options_are_said_in_a_line() {
        assert!(
            Options::new(&["--certify".into()], Path::new("/"), "").is_err(),
            "there is no input"
        );
        for wrong in ["--wrong", "'open", "--jobs 0"] {
            let error = wrong.parse().and_then(|asked: Options| asked.args());
            let error = error.err().map(|error| error.to_string()).unwrap_or_default();
            assert!(!error.is_empty() && !error.contains('\n'), "{wrong}: {error:?}");
        }
    }
}
