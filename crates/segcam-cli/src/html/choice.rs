//! Which inputs of many a report shows.

/// The maps of one class and pixel set of an input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// What tells the input from others.
    pub input: String,
    /// The class.
    pub class: usize,
    /// The pixel set, or the part of one.
    pub set: String,
}

/// A map that may be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Whose it is.
    pub subject: Subject,
    /// Its method.
    pub method: String,
    /// Its layer.
    pub layer: String,
    /// Why it should be looked at; nothing of those that fill what room there is.
    pub why: Option<String>,
}

/// An input that is shown, and the maps that it is shown for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chosen {
    /// What tells the input from others.
    pub input: String,
    /// Of each of its figures at least one.
    pub maps: Vec<Candidate>,
}

/// Inputs of a report: each is computed once more.
const INPUTS: usize = 12;
/// Figures of an input: each has all layers and methods.
pub(super) const FIGURES: usize = 4;

/// The first inputs in the order of the candidates, with the first figures of each.
pub(crate) fn choose(candidates: impl IntoIterator<Item = Candidate>) -> Vec<Chosen> {
    let mut chosen: Vec<Chosen> = vec![];
    for candidate in candidates {
        let input = &candidate.subject.input;
        match chosen.iter().position(|known| known.input == *input) {
            Some(known) => chosen[known].add(candidate),
            None if chosen.len() < INPUTS => {
                chosen.push(Chosen { input: input.clone(), maps: vec![candidate] });
            }
            None => {}
        }
    }
    chosen
}

impl Chosen {
    fn add(&mut self, candidate: Candidate) {
        let known = self.is_of(candidate.subject.class, &candidate.subject.set);
        let room = self.figures() < FIGURES;
        if (known && candidate.why.is_some()) || (!known && room) {
            self.maps.push(candidate);
        }
    }

    fn figures(&self) -> usize {
        let first = |at: usize| self.maps[..at].iter().all(|m| m.subject != self.maps[at].subject);
        (0..self.maps.len()).filter(|at| first(*at)).count()
    }

    /// Whether a figure is shown.
    pub(crate) fn is_of(&self, class: usize, set: &str) -> bool {
        self.maps.iter().any(|map| map.subject.class == class && map.subject.set == set)
    }

    /// Whether a map is the reason for which its input is shown.
    pub(crate) fn is_for(&self, method: &str, layer: &str) -> bool {
        self.maps.iter().any(|map| map.method == method && map.layer == layer)
    }

    /// Why it is shown, each reason once.
    pub(crate) fn why(&self) -> Vec<String> {
        let reasons = self.maps.iter().filter_map(|map| {
            let why = map.why.as_ref()?;
            Some(format!("{why}: {}, {} at {}", map.subject.set, map.method, map.layer))
        });
        crate::ask::without_repeats(reasons.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(input: usize, set: &str, why: Option<&str>) -> Candidate {
        let subject = Subject { input: input.to_string(), class: 1, set: set.into() };
        let (method, layer) = ("seg-grad-cam".into(), "mid".into());
        Candidate { subject, method, layer, why: why.map(Into::into) }
    }

    #[test]
    fn the_first_inputs_are_shown_with_their_first_figures() {
        let maps = (0..40).flat_map(|input| {
            ["a", "b", "c", "d", "e", "a"].map(|set| map(input, set, Some("large")))
        });
        let chosen = choose(std::iter::once(map(30, "e", Some("small"))).chain(maps));
        assert_eq!(chosen.len(), INPUTS);
        assert_eq!((chosen[0].input.as_str(), chosen[1].input.as_str()), ("30", "0"));
        assert!(chosen.iter().all(|one| one.figures() == FIGURES));
        assert!(chosen[0].is_of(1, "e") && chosen[0].is_of(1, "a") && !chosen[0].is_of(1, "d"));
        assert_eq!(chosen[0].why()[0], "small: e, seg-grad-cam at mid");
        let chosen = choose([map(1, "a", None), map(1, "a", None), map(1, "b", None)]);
        assert_eq!(chosen[0].maps.len(), 2, "what fills is there once");
        assert!(chosen[0].why().is_empty());
    }
}
