use crate::means::Means;

/// How far one sweep over all rows of windows has come: the rows that later windows will add to, and
/// what was added up. As bytes it can be kept and gone on with.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sweep {
    /// The next row of windows.
    pub(crate) step: usize,
    /// Of each channel or map the rows that are not finished.
    pub(crate) rows: Vec<f32>,
    /// Of each question.
    pub(crate) scores: Vec<Score>,
    /// Of each map.
    pub(crate) tallies: Vec<Tally>,
}

/// What is known of a question.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Score {
    /// The logits of its class, summed over its pixels.
    pub score: f64,
    /// How many pixels there are.
    pub pixels: usize,
}

/// What is known of a map.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Tally {
    pub(crate) reached: bool,
    pub(crate) total: f64,
    pub(crate) magnitude: f64,
    pub(crate) range: Option<(f64, f64)>,
    pub(crate) means: Means,
}

impl Tally {
    /// Smallest and largest value of the map.
    pub fn range(&self) -> (f64, f64) {
        self.range.unwrap_or_default()
    }

    /// What the cells of the layer add up to in all windows.
    pub fn total(&self) -> f64 {
        self.total
    }

    /// How large a value can be through rounding alone.
    pub fn rounding(&self) -> f64 {
        64.0 * f64::from(f32::EPSILON) * self.magnitude
    }

    /// Whether the layer reaches the score.
    pub fn is_reached(&self) -> bool {
        self.reached
    }

    pub(crate) fn take(&mut self, rows: &[f32]) {
        let (low, high) = self.range.unwrap_or((f64::INFINITY, f64::NEG_INFINITY));
        let low = rows.iter().fold(low, |low, value| low.min(f64::from(*value)));
        let high = rows.iter().fold(high, |high, value| high.max(f64::from(*value)));
        self.range = (!rows.is_empty()).then_some((low, high)).or(self.range);
    }
}

impl Sweep {
    /// How many rows of windows are done.
    pub fn done(&self) -> usize {
        self.step
    }

    /// Scores of the questions that were asked, in their order.
    pub fn scores(&self) -> &[Score] {
        &self.scores
    }

    /// What is known of the maps that were asked for, in their order.
    pub fn tallies(&self) -> &[Tally] {
        &self.tallies
    }

    /// As bytes for [`from_bytes`](Self::from_bytes).
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut numbers = vec![self.step as f64, self.scores.len() as f64];
        numbers.extend(self.scores.iter().flat_map(|score| [score.score, score.pixels as f64]));
        numbers.push(self.tallies.len() as f64);
        for Tally { reached, total, magnitude, range, means } in &self.tallies {
            let (low, high) = range.unwrap_or((f64::NAN, f64::NAN));
            numbers.extend([f64::from(u8::from(*reached)), *total, *magnitude, low, high]);
            numbers.extend([means.cells as f64, means.sums.len() as f64]);
            numbers.extend(means.sums.iter().chain(&means.magnitudes));
        }
        let count = (numbers.len() as u64).to_le_bytes();
        let numbers = numbers.into_iter().flat_map(f64::to_le_bytes);
        let rows = self.rows.iter().flat_map(|value| value.to_le_bytes());
        count.into_iter().chain(numbers).chain(rows).collect()
    }

    /// `None` of bytes that are not of a sweep.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (count, rest) = bytes.split_first_chunk::<8>()?;
        let length = usize::try_from(u64::from_le_bytes(*count)).ok()?.checked_mul(8)?;
        let (numbers, rows) = rest.split_at_checked(length)?;
        let (numbers, (rows, cut_off)) = (numbers.as_chunks::<8>().0, rows.as_chunks::<4>());
        let mut numbers = numbers.iter().map(|number| f64::from_le_bytes(*number));
        let mut next = || numbers.next();
        let step = next()? as usize;
        let scores = (0..next()? as usize)
            .map(|_| Some(Score { score: next()?, pixels: next()? as usize }))
            .collect::<Option<_>>()?;
        let many = next()? as usize;
        let tally = |_| {
            let (reached, total, magnitude) = (next()? == 1.0, next()?, next()?);
            let range = Some((next()?, next()?)).filter(|(low, _)| !low.is_nan());
            let (cells, channels) = (next()? as usize, next()? as usize);
            let sums = (0..channels).map(|_| next()).collect::<Option<_>>()?;
            let magnitudes = (0..channels).map(|_| next()).collect::<Option<_>>()?;
            let means = Means { cells, sums, magnitudes };
            Some(Tally { reached, total, magnitude, range, means })
        };
        let tallies = (0..many).map(tally).collect::<Option<_>>()?;
        let rows = rows.iter().map(|value| f32::from_le_bytes(*value)).collect();
        cut_off.is_empty().then_some(Self { step, rows, scores, tallies })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_bring_a_sweep_back() {
        let means = Means { cells: 4, sums: vec![0.1, -2.0], magnitudes: vec![1.0, 3.0] };
        let range = Some((-0.1, 1e-7));
        let tally = Tally { reached: true, total: 0.3, magnitude: 2.0, range, means };
        let sweep = Sweep {
            step: 3,
            rows: vec![1.5, -0.1],
            scores: vec![Score { score: 1.0 / 3.0, pixels: 12 }],
            tallies: vec![tally, Tally::default()],
        };
        let bytes = sweep.to_bytes();
        assert_eq!(Sweep::from_bytes(&bytes), Some(sweep));
        assert_eq!(Sweep::from_bytes(&Sweep::default().to_bytes()), Some(Sweep::default()));
        for cut in (0..bytes.len() - 8).chain([bytes.len() - 1]) {
            assert_eq!(Sweep::from_bytes(&bytes[..cut]), None, "{cut}");
        }
    }
}
