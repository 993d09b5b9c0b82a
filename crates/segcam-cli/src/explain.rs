//! The third step: questions become maps.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Instant;

use segcam::burn::tensor::{Device, Tensor};
use segcam::engine::GraphError;
use segcam::{CamError, Certificate, Explanation, Observation, Request, Smoothing, guarded};

use crate::ask::{Figure, Question, Targets};

/// How maps are made, beside what is asked.
#[derive(Debug, Clone, Default)]
pub struct How {
    /// Whether each map gets a certificate.
    pub certify: bool,
    /// Changed inputs over which maps are averaged.
    pub smooth: Option<Smoothing>,
}

/// A map and what was found out about it.
#[derive(Debug, Clone)]
pub struct Map<const D: usize> {
    /// The map.
    pub found: Explanation<D>,
    /// What is exactly true of it, if that was asked.
    pub certificate: Option<Certificate>,
    /// The time that it took.
    pub seconds: f64,
}

/// A figure's maps.
#[derive(Debug)]
pub struct Answer<'a, const D: usize> {
    /// The figure.
    pub figure: &'a Figure<D>,
    /// What was asked, and its maps in the order of [`Question::requests`]; or why nothing can be
    /// asked.
    pub maps: Maps<D>,
}

/// The maps of a figure, or why there are none.
pub type Maps<const D: usize> = Result<(Targets<D>, Vec<Result<Map<D>, CamError>>), CamError>;

impl<const D: usize> Answer<'_, D> {
    /// The error that will come again, whatever else is asked: the device is lost.
    pub fn lost(&self) -> Option<&CamError> {
        let errors: Vec<&CamError> = match &self.maps {
            Ok((_, maps)) => maps.iter().filter_map(|map| map.as_ref().err()).collect(),
            Err(error) => vec![error],
        };
        errors.into_iter().find(|error| is_lost(error))
    }
}

/// Whether the device does not answer any more.
pub fn is_lost(error: &CamError) -> bool {
    matches!(error, CamError::Backend { .. } | CamError::Graph(GraphError::Read { .. }))
}

/// An error for those who type: the library's own words tell programmers which functions to call.
pub fn in_words(error: &CamError) -> String {
    match error {
        CamError::Backend { reason } => format!(
            "the backend failed: {reason}. If memory ran out, ask for fewer layers at a time or give \
             --window; if another machine computes, see that `segcam serve` runs there"
        ),
        CamError::NoPath { layer } => format!(
            "layer `{layer}` does not influence the score: it must lie before the class scores"
        ),
        CamError::DuplicateLayer { name } => format!("two layers are named `{name}`"),
        other => other.to_string(),
    }
}

/// Whether the device does not even answer what is simple.
pub fn is_gone(device: &Device) -> bool {
    guarded(|| Ok::<_, CamError>(Tensor::<1>::zeros([1], device).into_data())).is_err()
}

/// The answers in the order of the figures, computed as they are taken; figures share what they have in
/// common. `made` is called after each map.
pub fn explain<'a, const D: usize>(
    question: &'a Question<D>,
    seen: &'a Observation<D>,
    how: &'a How,
    made: impl Fn() + 'a,
) -> impl Iterator<Item = Answer<'a, D>> {
    // Requests are taken in advance: many figures at a time share their passes.
    let targets = Rc::new(RefCell::new(VecDeque::new()));
    let waiting = targets.clone();
    let asked = question.figures.iter().flat_map(move |figure| {
        let found = question.targets(figure, seen);
        let requests = found.as_ref().map_or(vec![], |found| question.requests(found));
        waiting.borrow_mut().push_back(found);
        requests
    });
    let mut found: Box<dyn Iterator<Item = _> + 'a> = match &how.smooth {
        None => Box::new(seen.explain_all(asked)),
        Some(smooth) => {
            Box::new(asked.map(|request: Request<'a, D>| smooth.explain(seen, &request)))
        }
    };
    let next = move || {
        let start = Instant::now();
        let map = found.next()?.and_then(|found| {
            let certificate = how.certify.then(|| seen.certify(&found)).transpose()?;
            Ok(Map { found, certificate, seconds: start.elapsed().as_secs_f64() })
        });
        made();
        Some(map)
    };
    let mut maps = std::iter::from_fn(next).peekable();
    let each = question.layers.len() * question.methods.len();
    question.figures.iter().map(move |figure| {
        if targets.borrow().is_empty() {
            maps.peek();
        }
        let targets = targets.borrow_mut().pop_front().unwrap_or(Err(CamError::Cancelled));
        let maps = targets.map(|targets| (targets, maps.by_ref().take(each).collect()));
        Answer { figure, maps }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Who types knows options, and no functions.
    #[test]
    fn the_program_names_no_function() {
        let name = || "mid".to_string();
        for (error, option) in [
            (CamError::Backend { reason: "out of memory".into() }, "--window"),
            (CamError::FixedWeights, "random"),
            (CamError::NoPath { layer: name() }, "mid"),
            (CamError::DuplicateLayer { name: name() }, "mid"),
        ] {
            let words = in_words(&error);
            assert!(!words.contains("::") && words.contains(option), "{words}");
        }
        let panicked = CamError::Panicked { what: "method `x`".into(), reason: "no atlas".into() };
        assert_eq!(in_words(&panicked), "method `x` panicked: no atlas");
        assert!(!is_lost(&panicked), "other maps can be made");
        assert!(
            in_words(&CamError::Backend { reason: "out of memory".into() })
                .contains("out of memory")
        );
    }
}
