//! How a program ends: one line for what went wrong, and an exit code.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};

use anyhow::Result;
use clap::Parser;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::{Finished, advice, say};

/// Runs a program from what was typed. It ends with 2 if that is wrong or nothing could be done, with 1 if
/// something broke inside of it, and with what [`Finished`] says.
pub fn program<A: Parser>(run: fn(A) -> Result<Finished>) -> ExitCode {
    let args = match A::try_parse() {
        Ok(args) => args,
        Err(error) if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            let _ = say(error.to_string().trim_end());
            return ExitCode::from(2);
        }
        Err(error) if !error.use_stderr() => {
            let _ = say(error.to_string().trim_end());
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("error: {}{}", usage_in_one_line(&error.to_string()), meant(&error));
            return ExitCode::from(2);
        }
    };
    // Panics inside a backend become errors on their way up; only what arrives here is ours.
    static PANIC: Mutex<String> = Mutex::new(String::new());
    std::panic::set_hook(Box::new(|panic| {
        *PANIC.lock().unwrap_or_else(PoisonError::into_inner) = panic.to_string();
    }));
    match catch_unwind(AssertUnwindSafe(|| run(args))) {
        Ok(Ok(Finished { failures, code })) => {
            failures.iter().for_each(|failure| eprintln!("error: {}", in_one_line(failure)));
            ExitCode::from(code.unwrap_or(if failures.is_empty() { 0 } else { 2 }))
        }
        Ok(Err(error)) => {
            eprintln!("error: {}", in_one_line(&advice::in_words(&error)));
            ExitCode::from(2)
        }
        Err(_) => {
            let panic = PANIC.lock().unwrap_or_else(PoisonError::into_inner);
            eprintln!("internal error, please report it: {}", in_one_line(&panic));
            ExitCode::FAILURE
        }
    }
}

fn in_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// clap explains a wrong command line over several paragraphs: keep what was wrong and the tips.
pub fn usage_in_one_line(text: &str) -> String {
    let text = text.trim_start_matches("error: ");
    let said: Vec<&str> = text
        .lines()
        .map(str::trim)
        .take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more information"))
        .filter(|line| !line.is_empty())
        .collect();
    let words: Vec<String> = said.iter().flat_map(|line| line.split(' ')).map(shortened).collect();
    format!("{} (see --help)", words.join(" ").replace(" tip: ", "; "))
}

/// A file that was given without its option.
fn meant(error: &clap::Error) -> String {
    let unknown =
        error.get(ContextKind::InvalidArg).filter(|_| error.kind() == ErrorKind::UnknownArgument);
    match unknown {
        Some(ContextValue::String(word)) if Path::new(word).exists() => {
            format!("; did you mean --input {}?", shortened(word))
        }
        _ => String::new(),
    }
}

/// clap repeats what was typed, however long.
fn shortened(word: &str) -> String {
    const LONG: usize = 120;
    match word.char_indices().nth(LONG) {
        Some((end, _)) => format!("{}…", &word[..end]),
        None => word.to_string(),
    }
}
