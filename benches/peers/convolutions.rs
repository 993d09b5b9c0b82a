//! `peer-worker convolutions`: answers one JSON case per line with the time of one convolution, a median.

use std::collections::HashMap;
use std::io::{BufRead, Write};
use std::time::Instant;

use segcam_conv::Convolution;
use serde::Deserialize;

/// One after the other, as in a network; the median counts.
const CALLS: usize = 9;

#[derive(Deserialize)]
struct Case {
    /// `[1, channels, side, side]`
    input: Vec<usize>,
    /// `[out, in, kernel, kernel]`, of a transposed one `[in, out, kernel, kernel]`.
    weights: Vec<usize>,
    stride: usize,
    padding: usize,
    dilation: usize,
    transposed: bool,
}

pub(crate) fn serve() -> anyhow::Result<()> {
    println!("ready");
    let mut known = HashMap::new();
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        if !known.contains_key(&line) {
            let case: Case = serde_json::from_str(&line)?;
            let count = case.weights.iter().product();
            let scale = 1.0 / (count as f32 / case.weights[0] as f32).sqrt();
            let mut made = Convolution::new(&case.weights, numbers(count, scale))?;
            if case.transposed {
                made = made.transposed(&[0, 0])?;
            }
            made = made.stride(&[case.stride; 2])?.dilation(&[case.dilation; 2])?;
            made = made.padding(&[(case.padding, case.padding); 2])?;
            let x = numbers(case.input.iter().product(), 1.0);
            made.run(&case.input, &x)?;
            known.insert(line.clone(), (case.input, made, x));
        }
        let (input, convolution, x) = &known[&line];
        let mut times = [0.0; CALLS];
        for time in &mut times {
            let start = Instant::now();
            std::hint::black_box(convolution.run(input, x)?);
            *time = start.elapsed().as_secs_f64() * 1e3;
        }
        times.sort_by(f64::total_cmp);
        let (ms, plan) = (times[CALLS / 2], convolution.plan(input)?);
        let answer = serde_json::json!({
            "ms": ms, "algorithm": format!("{:?}", plan.algorithm), "gflop": plan.flops / 1e9,
        });
        println!("{answer}");
        std::io::stdout().flush()?;
    }
    Ok(())
}

/// Numbers as random as a timing needs.
fn numbers(count: usize, scale: f32) -> Vec<f32> {
    let mut state = 1u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..count).map(|_| next() * scale).collect()
}
