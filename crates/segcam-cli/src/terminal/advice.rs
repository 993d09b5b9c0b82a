use anyhow::Error;
use segcam::CamError;
use segcam::annotations::AnnotationError;
use segcam::models::WeightsError;
use segcam::pixels::SpecError;
use segcam::scans::ScanError;
use segcam_batch::BatchError;
use segcam_cli::explain;

/// An error in words, each said once, and the option that helps: the library knows of no options.
pub(crate) fn in_words(error: &Error) -> String {
    let mut words: Vec<String> = vec![];
    for cause in error.chain() {
        let mut cause = match cause.downcast_ref() {
            Some(error) => explain::in_words(error),
            None => cause.to_string(),
        };
        if ["unexpected end of file", "failed to fill whole buffer"].contains(&&*cause) {
            cause = "the file is cut off".into();
        }
        // Those who wrap an error often say what it says.
        match words.last_mut() {
            Some(last) if last.contains(&cause) => {}
            Some(last) if cause.starts_with(&*last) || names_it_too(last, &cause) => *last = cause,
            _ => words.push(cause),
        }
    }
    let mut words = words.join(": ");
    match error.downcast_ref() {
        Some(CamError::UnknownLayer { .. }) => {
            words += " (`segcam layers` with the same --model lists them)";
        }
        Some(CamError::ShapeMismatch { what: "the network's input", wanted, given })
            if wanted.len() == given.len() && wanted[..2] == given[..2] =>
        {
            let size: Vec<String> = wanted[2..].iter().map(ToString::to_string).collect();
            words += &format!(" (try --window {})", size.join("x"));
        }
        _ => {}
    }
    if let Some(sets) = error.chain().find_map(|cause| several_sets(cause.downcast_ref()?)) {
        words += &format!(" (several sets: --pixels {sets})");
    }
    match option(error).filter(|(option, _)| !words.contains(option)) {
        Some((option, value)) => format!("{words} (give {option} {value})"),
        None => words,
    }
}

/// Whether what follows `cannot use FILE` names the file again.
fn names_it_too(said: &str, cause: &str) -> bool {
    said.strip_prefix("cannot use ").is_some_and(|file| cause.contains(file))
}

/// Sets with a comma between them, as methods are given.
fn several_sets(spec: &SpecError) -> Option<String> {
    let comma = spec.text.chars().nth(spec.column.checked_sub(1)?) == Some(',');
    (comma && spec.wanted.ends_with("the end")).then(|| spec.text.replace(',', " "))
}

fn option(error: &Error) -> Option<(&'static str, &'static str)> {
    error.chain().find_map(|cause| {
        if let Some(spec) = cause.downcast_ref::<SpecError>() {
            return match spec.missing? {
                "annotation" => Some(("--truth", "FILE")),
                "instances" => Some(("--instances", "FILE")),
                _ => None,
            };
        }
        if let Some(BatchError::Earlier { .. }) = cause.downcast_ref() {
            return Some(("--out", "DIR, or --replace"));
        }
        match (cause.downcast_ref(), cause.downcast_ref()) {
            _ if matches!(cause.downcast_ref(), Some(ScanError::OtherGrid { .. })) => {
                Some(("--truth-resize", "for that"))
            }
            (Some(WeightsError::Needed { .. }), _) => Some(("--weights", "FILE")),
            (_, Some(AnnotationError::UnknownLabels { .. })) => {
                Some(("--ignore", "LABEL, or --truth-map FROM:TO,…,*:0, where * is all others"))
            }
            (_, Some(AnnotationError::NotLabels { .. })) => {
                Some(("--truth-map", "cityscapes-colours for their colours"))
            }
            _ => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;
    use segcam::CamError;

    #[test]
    fn what_a_programmer_would_call_is_not_said() {
        let error = CamError::Backend { reason: "out of memory".into() };
        let words = super::in_words(&anyhow!(error).context("in a.png"));
        assert!(words.starts_with("in a.png: the backend failed: out of memory"), "{words}");
        assert!(!words.contains("::"), "{words}");
    }

    #[test]
    fn sets_with_a_comma_between_them_are_told_apart() {
        let words = |text| {
            let set = segcam::pixels::Vocabulary::<4>::new().parse(text);
            super::in_words(&anyhow!(set.err().expect("no set")))
        };
        assert!(words("class,all").ends_with(" (several sets: --pixels class all)"));
        assert!(!words("dilate(class,all)").contains("several sets"));
        assert!(!words("class all").contains("several sets"));
    }

    #[test]
    fn nothing_is_said_twice() {
        let inner = anyhow!("no such file").context("cannot read a.png: no such file");
        let error = inner.context("cannot read a.png").context("cannot use a.png");
        assert_eq!(super::in_words(&error), "cannot read a.png: no such file");
        let inner = anyhow!("it is no image").context("cannot use a.png");
        assert_eq!(super::in_words(&inner), "cannot use a.png: it is no image");
    }
}
