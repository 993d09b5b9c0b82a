//! The three programs that judge the API stay short.

fn lines_of_user_code(source: &str) -> usize {
    let (_, program) = source.split_once("// ANCHOR: program").expect("a start");
    let (program, _) = program.split_once("// ANCHOR_END: program").expect("an end");
    program.lines().filter(|line| !line.trim().is_empty()).count()
}

#[test]
fn examples_stay_short() {
    for (source, most) in [
        (include_str!("../examples/own_model.rs"), 25),
        (include_str!("../examples/new_method.rs"), 15),
        (include_str!("../examples/new_pixel_set.rs"), 12),
    ] {
        let lines = lines_of_user_code(source);
        assert!(lines <= most, "{lines} lines, at most {most}:\n{source}");
    }
}

/// Whoever has `segcam` has all that an example needs.
#[test]
fn examples_import_nothing_but_segcam() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/examples");
    let files: Vec<_> = std::fs::read_dir(folder).expect("a folder").flatten().collect();
    assert!(files.len() >= 6, "{files:?}");
    for file in files {
        let source = std::fs::read_to_string(file.path()).expect("a program");
        let others = source.lines().filter_map(|line| line.strip_prefix("use "));
        let others =
            others.filter(|path| !["segcam::", "std::"].iter().any(|own| path.starts_with(own)));
        let others: Vec<&str> = others.collect();
        assert!(others.is_empty(), "{}: {others:?}", file.path().display());
    }
}
