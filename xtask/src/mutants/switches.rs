//! All faults of a crate in one build: each is an `if` that an environment variable takes, so that the
//! crate, and what depends on it, are compiled once and not once per fault.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::ops::Range;

use anyhow::{Context, Result};
use syn::spanned::Spanned;
use syn::visit::{Visit, visit_arm, visit_expr_binary, visit_expr_unary};
use syn::{Arm, ExprBinary, ExprUnary};

use super::{Genre, Mutant};

/// The variable with the number of the fault to be taken.
pub(super) const VARIABLE: &str = "SEGCAM_FAULT";

/// What the ifs ask: goes to the end of a crate's `lib.rs`.
pub(super) fn function() -> String {
    let number = format!("std::env::var({VARIABLE:?}).ok()?.parse().ok()");
    format!(
        "
pub(crate) fn fault(number: usize) -> bool {{
    static TAKEN: std::sync::OnceLock<Option<usize>> = std::sync::OnceLock::new();
    *TAKEN.get_or_init(|| {number}) == Some(number)
}}
"
    )
}

/// A file with its faults.
pub(super) struct Switched {
    pub(super) text: String,
    /// Where in `text` each fault is.
    places: Vec<Place>,
}

struct Place {
    fault: usize,
    /// The code with the fault.
    faulty: Range<usize>,
    /// With the `if`, and the code that it stands for.
    whole: Range<usize>,
}

/// What an error says of a fault.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Wrong {
    /// The code with this fault is no Rust.
    Fault(usize),
    /// This one cannot be an `if`.
    If(usize),
}

/// Text around a piece of the source.
struct Around {
    fault: usize,
    piece: Range<usize>,
    before: String,
    /// Where in `before` the fault is.
    faulty: Range<usize>,
    after: &'static str,
}

impl Switched {
    /// `text` with an `if` for each fault that can have one.
    pub(super) fn of(text: &str, faults: &[(usize, &Mutant)]) -> Result<Self> {
        let mut pieces = Pieces::default();
        pieces.visit_file(&syn::parse_file(text)?);
        let around = |(fault, mutant): &(usize, &Mutant)| pieces.around(text, *fault, mutant);
        let arounds: Result<Vec<_>> = faults.iter().map(around).collect();
        let mut arounds: Vec<Around> = arounds?.into_iter().flatten().collect();
        arounds.sort_by_key(|around| (around.piece.start, Reverse(around.piece.end)));

        let mut switched = Self { text: String::new(), places: vec![] };
        let mut open: Vec<(Around, usize)> = vec![];
        let mut copied = 0;
        for around in arounds {
            switched.close(&mut open, text, &mut copied, around.piece.start);
            switched.text.push_str(&text[copied..around.piece.start]);
            copied = around.piece.start;
            let from = switched.text.len();
            switched.text.push_str(&around.before);
            open.push((around, from));
        }
        switched.close(&mut open, text, &mut copied, text.len());
        switched.text.push_str(&text[copied..]);
        Ok(switched)
    }

    /// Ends the pieces that end at `at` or before it.
    fn close(
        &mut self,
        open: &mut Vec<(Around, usize)>,
        text: &str,
        copied: &mut usize,
        at: usize,
    ) {
        while let Some((around, from)) = open.pop_if(|(around, _)| around.piece.end <= at) {
            self.text.push_str(&text[*copied..around.piece.end]);
            *copied = around.piece.end;
            self.text.push_str(around.after);
            self.places.push(Place {
                fault: around.fault,
                faulty: from + around.faulty.start..from + around.faulty.end,
                whole: from..self.text.len(),
            });
        }
    }

    pub(super) fn has(&self, fault: usize) -> bool {
        self.places.iter().any(|place| place.fault == fault)
    }

    /// The fault that an error at `at` speaks of.
    pub(super) fn wrong_at(&self, at: usize) -> Option<Wrong> {
        let smallest = |range: fn(&Place) -> &Range<usize>| {
            let around = self.places.iter().filter(|place| range(place).contains(&at));
            around.min_by_key(|place| range(place).len()).map(|place| place.fault)
        };
        let fault = smallest(|place| &place.faulty).map(Wrong::Fault);
        fault.or_else(|| smallest(|place| &place.whole).map(Wrong::If))
    }
}

/// Where the expressions of a file are, by where their operators (of an arm: it itself) begin.
#[derive(Default)]
struct Pieces {
    operations: HashMap<usize, Range<usize>>,
    /// The end of the pattern, and the guard.
    arms: HashMap<usize, (usize, Option<Range<usize>>)>,
}

impl Pieces {
    fn around(&self, text: &str, fault: usize, mutant: &Mutant) -> Result<Option<Around>> {
        let span = mutant.range(text).context("a span outside of its file")?;
        let taken = format!("crate::fault({fault})");
        let around = |piece, start: String, faulty: &str, end: &str, after| Around {
            fault,
            piece,
            faulty: start.len()..start.len() + faulty.len(),
            before: start + faulty + end,
            after,
        };
        let instead = |piece, faulty: &str| {
            around(piece, format!("(if {taken} {{ "), faulty, " } else { ", " })")
        };
        let by = &mutant.replacement;
        Ok(match mutant.genre {
            Genre::FnValue => Some(around(span, format!("if {taken} {{ return "), by, "; } ", "")),
            Genre::BinaryOperator | Genre::UnaryOperator => {
                self.operations.get(&span.start).map(|whole| {
                    let (left, right) =
                        (&text[whole.start..span.start], &text[span.end..whole.end]);
                    instead(whole.clone(), &format!("{left}{by}{right}"))
                })
            }
            Genre::MatchArmGuard => Some(instead(span, by)),
            Genre::MatchArm => self.arms.get(&span.start).map(|arm| match arm {
                (_, Some(guard)) => around(guard.clone(), format!("!{taken} && ("), "", "", ")"),
                (end, None) => around(*end..*end, format!(" if !{taken}"), "", "", ""),
            }),
            Genre::Other => None,
        })
    }
}

impl<'ast> Visit<'ast> for Pieces {
    fn visit_expr_binary(&mut self, binary: &'ast ExprBinary) {
        self.operations.insert(binary.op.span().byte_range().start, binary.span().byte_range());
        visit_expr_binary(self, binary);
    }

    fn visit_expr_unary(&mut self, unary: &'ast ExprUnary) {
        self.operations.insert(unary.op.span().byte_range().start, unary.span().byte_range());
        visit_expr_unary(self, unary);
    }

    fn visit_arm(&mut self, arm: &'ast Arm) {
        let guard = arm.guard.as_ref().map(|(_, guard)| guard.span().byte_range());
        self.arms.insert(arm.span().byte_range().start, (arm.pat.span().byte_range().end, guard));
        visit_arm(self, arm);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_ifs_around_what_they_replace() {
        let text = "fn é(a: i32) -> bool {\n    a + 1 > -2 && a < 3\n}\n";
        let mutant = |genre: &str, replacement: &str, columns: [usize; 2]| -> Mutant {
            let [start, end] =
                columns.map(|column| format!(r#"{{"line": 2, "column": {column}}}"#));
            let span = format!(r#"{{"start": {start}, "end": {end}}}"#);
            let value = format!(r#""genre": "{genre}", "replacement": "{replacement}""#);
            let mutant =
                format!(r#"{{"file": "", "name": "", "function": null, {value}, "span": {span}}}"#);
            serde_json::from_str(&mutant).expect("a mutant")
        };
        let faults = [
            mutant("BinaryOperator", "-", [7, 8]),
            mutant("FnValue", "true", [5, 24]),
            mutant("UnaryOperator", "", [13, 14]),
            mutant("BinaryOperator", "||", [16, 18]),
        ];
        let faults: Vec<_> = faults.iter().enumerate().collect();
        let switched = Switched::of(text, &faults).expect("Rust");
        let expected = "fn é(a: i32) -> bool {\n    \
            if crate::fault(1) { return true; } \
            (if crate::fault(3) { a + 1 > -2 || a < 3 } else { \
            (if crate::fault(0) { a - 1 } else { a + 1 }) > \
            (if crate::fault(2) { 2 } else { -2 }) && a < 3 })\n}\n";
        assert_eq!(switched.text, expected);
        let at = |word: &str| switched.wrong_at(switched.text.find(word).expect("the word"));
        assert_eq!(at("true"), Some(Wrong::Fault(1)));
        assert_eq!(at("crate::fault(1)"), Some(Wrong::If(1)));
        assert_eq!(at("a - 1"), Some(Wrong::Fault(0)));
        assert_eq!(at("a < 3 })"), Some(Wrong::If(3)));
        assert_eq!(at("fn"), None);
    }
}
