use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use anyhow::Result;

use crate::{Loaded, Options};

/// The networks of this process, each loaded once and kept while it is among the last that were asked for.
#[derive(Default)]
pub struct Networks {
    kept: Mutex<Vec<(String, Arc<Loaded>)>>,
    telling: bool,
}

impl fmt::Debug for Networks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Networks").finish_non_exhaustive()
    }
}

/// How many are kept.
const KEPT: usize = 4;

impl Networks {
    /// The same, with a line on stderr about each that is loaded.
    #[must_use]
    pub fn telling() -> Self {
        Self { telling: true, ..Self::default() }
    }

    /// What explains as it is asked. Whoever comes while it is loaded waits.
    ///
    /// # Errors
    /// Words that mean nothing, and networks that cannot be loaded.
    pub fn get(&self, asked: &str) -> Result<Arc<Loaded>> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let opened = match kept.iter().position(|(words, _)| words == asked) {
            Some(at) => kept.remove(at).1,
            None => {
                let start = Instant::now();
                let opened = Arc::new(Loaded::new(asked.parse::<Options>()?.args()?)?);
                if self.telling {
                    let seconds = start.elapsed().as_secs_f64();
                    eprintln!("loaded in {seconds:.2} s: {asked}");
                }
                opened
            }
        };
        kept.push((asked.into(), opened.clone()));
        if kept.len() > KEPT {
            kept.remove(0);
        }
        Ok(opened)
    }
}
