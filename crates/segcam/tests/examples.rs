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
