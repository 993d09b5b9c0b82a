//! Parts of a run for several machines.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};

use crate::{BatchError, Item};

/// One of several parts of a run, `3/16`: which inputs belong to it depends on their names alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    number: u64,
    of: u64,
}

impl Shard {
    /// Whether an input belongs to this part.
    pub fn holds(&self, item: &Item) -> bool {
        let hash = Sha256::digest(item.key());
        let first = hash.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte));
        first % self.of == self.number - 1
    }
}

impl FromStr for Shard {
    type Err = BatchError;

    fn from_str(text: &str) -> Result<Self, BatchError> {
        let numbers = text
            .split_once('/')
            .and_then(|(number, of)| Some((number.trim().parse().ok()?, of.trim().parse().ok()?)));
        numbers
            .filter(|(number, of)| (1..=*of).contains(number))
            .map(|(number, of)| Self { number, of })
            .ok_or_else(|| BatchError::Shard { given: text.into() })
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, self.of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_input_belongs_to_one_shard() {
        let shards: Vec<Shard> =
            (1..=7).filter_map(|number| format!("{number}/7").parse().ok()).collect();
        assert_eq!(shards.len(), 7);
        let mut sizes = [0; 7];
        for number in 0..7000 {
            let item = Item::new(format!("folder/{number}.png"));
            let mine: Vec<usize> = (0..7).filter(|&at| shards[at].holds(&item)).collect();
            assert_eq!(mine.len(), 1);
            sizes[mine[0]] += 1;
        }
        assert!(sizes.iter().all(|size| (850..1150).contains(size)), "{sizes:?}");
        for wrong in ["0/4", "5/4", "1", "a/b", "1/0", "-1/3"] {
            assert!(wrong.parse::<Shard>().is_err(), "{wrong}");
        }
    }
}
