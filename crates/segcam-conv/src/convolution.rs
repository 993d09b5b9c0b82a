use std::fmt;
use std::ops::Range;

use crate::geometry::{Geometry, cells};
use crate::plan::{Way, choose};
use crate::prepared::Prepared;
use crate::source::Source;
use crate::tasks::Finish;
use crate::weights::Weights;
use crate::{Algorithm, ConvError, Plan, Precision};

/// A convolution with its weights, which are prepared for an algorithm when it is first needed.
///
/// Inputs are `[batch, channels, sides…]`, with one to three sides, the last one contiguous. What is
/// computed is what PyTorch's `conv1d` to `conv3d` and `conv_transpose1d` to `conv_transpose3d`
/// compute (a cross-correlation).
///
/// `W` holds the weights: a list, a slice, or anything that lends one.
///
/// ```
/// use segcam_conv::Convolution;
///
/// // Two output channels from three input channels under 3 × 3 cells.
/// let weights = vec![0.1; 2 * 3 * 3 * 3];
/// let convolution = Convolution::new(&[2, 3, 3, 3], weights)?.padding(&[(1, 1), (1, 1)])?.bias(&[0.0, 1.0])?;
/// let image = vec![1.0; 3 * 8 * 8];
/// let out = convolution.run(&[1, 3, 8, 8], &image)?;
/// assert_eq!(convolution.output_shape(&[1, 3, 8, 8])?, [1, 2, 8, 8]);
/// assert!((out[9] - 2.7).abs() < 1e-6); // 27 cells under the kernel
/// assert!((out[0] - 1.2).abs() < 1e-6); // 12 of them inside the image
/// # Ok::<(), segcam_conv::ConvError>(())
/// ```
pub struct Convolution<W = Vec<f32>> {
    weights: W,
    shape: Vec<usize>,
    bias: Option<Vec<f32>>,
    stride: Vec<usize>,
    padding: Vec<(usize, usize)>,
    dilation: Vec<usize>,
    groups: usize,
    transposed: bool,
    output_padding: Vec<usize>,
    precision: Precision,
    weight_limit: usize,
    prepared: Prepared,
}

impl<W> fmt::Debug for Convolution<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Convolution")
            .field("weights", &self.shape)
            .field("stride", &self.stride)
            .field("padding", &self.padding)
            .field("dilation", &self.dilation)
            .field("groups", &self.groups)
            .field("transposed", &self.transposed)
            .field("output_padding", &self.output_padding)
            .field("precision", &self.precision)
            .finish_non_exhaustive()
    }
}

impl<W: AsRef<[f32]>> Convolution<W> {
    /// Weights `[out, in/groups, kernel…]`: no bias, no padding, stride and dilation 1, one group.
    ///
    /// # Errors
    /// [`ConvError::WeightShape`], [`ConvError::Length`], [`ConvError::TooLarge`].
    pub fn new(shape: &[usize], weights: W) -> Result<Self, ConvError> {
        if !(3..=5).contains(&shape.len()) || shape.contains(&0) {
            return Err(ConvError::WeightShape { shape: shape.to_vec() });
        }
        length("weights", weights.as_ref().len(), cells(shape)?)?;
        let sides = shape.len() - 2;
        Ok(Self {
            weights,
            shape: shape.to_vec(),
            bias: None,
            stride: vec![1; sides],
            padding: vec![(0, 0); sides],
            dilation: vec![1; sides],
            groups: 1,
            transposed: false,
            output_padding: vec![0; sides],
            precision: Precision::default(),
            weight_limit: usize::MAX,
            prepared: Prepared::default(),
        })
    }

    /// One number that is added to each output channel. Give groups first.
    ///
    /// # Errors
    /// [`ConvError::Length`].
    pub fn bias(mut self, bias: &[f32]) -> Result<Self, ConvError> {
        length("bias", bias.len(), self.output_channels())?;
        self.bias = Some(bias.to_vec());
        Ok(self)
    }

    /// Steps between the cells under the kernel's first cell, for each side.
    ///
    /// # Errors
    /// [`ConvError::Sides`], [`ConvError::Zero`].
    pub fn stride(mut self, stride: &[usize]) -> Result<Self, ConvError> {
        self.stride = self.steps("a stride", stride)?;
        Ok(self.unprepared())
    }

    /// Zeros before and after the input, for each side. A transposed convolution leaves out as many
    /// cells of its output.
    ///
    /// # Errors
    /// [`ConvError::Sides`].
    pub fn padding(mut self, padding: &[(usize, usize)]) -> Result<Self, ConvError> {
        self.sides("padding", padding.len())?;
        self.padding = padding.to_vec();
        Ok(self)
    }

    /// Steps between the cells under the kernel, for each side.
    ///
    /// # Errors
    /// [`ConvError::Sides`], [`ConvError::Zero`].
    pub fn dilation(mut self, dilation: &[usize]) -> Result<Self, ConvError> {
        self.dilation = self.steps("a dilation", dilation)?;
        Ok(self.unprepared())
    }

    /// Groups of channels that are convolved by themselves; as many groups as channels is a
    /// depthwise convolution.
    ///
    /// # Errors
    /// [`ConvError::Zero`], [`ConvError::Groups`].
    pub fn groups(mut self, groups: usize) -> Result<Self, ConvError> {
        if groups == 0 {
            return Err(ConvError::Zero { option: "a number of groups" });
        }
        let (what, channels) =
            if self.transposed { ("input", self.shape[0]) } else { ("output", self.shape[0]) };
        if !channels.is_multiple_of(groups) {
            return Err(ConvError::Groups { what, channels, groups });
        }
        self.groups = groups;
        Ok(self.unprepared())
    }

    /// The transposed convolution: what takes an output's gradient back to the input, from weights
    /// `[in, out/groups, kernel…]`. The output padding adds cells at the ends, for each side.
    ///
    /// # Errors
    /// [`ConvError::Sides`].
    pub fn transposed(mut self, output_padding: &[usize]) -> Result<Self, ConvError> {
        self.sides("an output padding", output_padding.len())?;
        self.output_padding = output_padding.to_vec();
        self.transposed = true;
        Ok(self.unprepared())
    }

    /// How far results may be from exact convolution.
    #[must_use]
    pub fn precision(mut self, precision: Precision) -> Self {
        self.precision = precision;
        self
    }

    /// Most bytes that prepared weights may take before they are prepared for direct convolution
    /// instead, which takes as many as the weights themselves (rounded up to 8 output channels).
    #[must_use]
    pub fn weight_limit(mut self, bytes: usize) -> Self {
        self.weight_limit = bytes;
        self
    }

    /// `[batch, channels, sides…]` of the output.
    ///
    /// # Errors
    /// [`ConvError::InputShape`], [`ConvError::NoOutput`], [`ConvError::OutputPadding`],
    /// [`ConvError::TooLarge`].
    pub fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>, ConvError> {
        let geometry = self.geometry(input)?;
        let sides = self.shape.len() - 2;
        let mut shape = vec![input[0], self.output_channels()];
        shape.extend(&geometry.output[3 - sides..]);
        Ok(shape)
    }

    /// How an input is convolved, and what memory that takes.
    ///
    /// # Errors
    /// As [`output_shape`](Self::output_shape).
    pub fn plan(&self, input: &[usize]) -> Result<Plan, ConvError> {
        let geometry = self.geometry(input)?.flattened();
        Ok(self.way(&geometry, None).describe(&geometry))
    }

    /// The output for an input.
    ///
    /// # Errors
    /// As [`output_shape`](Self::output_shape), and [`ConvError::Length`].
    pub fn run(&self, shape: &[usize], x: &[f32]) -> Result<Vec<f32>, ConvError> {
        let mut out = vec![0.0; self.geometry(shape)?.output_length()];
        self.run_into(shape, x, &mut out)?;
        Ok(out)
    }

    /// [`run`](Self::run) followed by a ReLU, which costs no further pass through memory.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn run_rectified(&self, shape: &[usize], x: &[f32]) -> Result<Vec<f32>, ConvError> {
        let mut out = vec![0.0; self.geometry(shape)?.output_length()];
        self.checked(shape, x, &mut out, (None, true))?;
        Ok(out)
    }

    /// The output for an input that was not put together: tensors `[batch, channels, sides…]` whose channels
    /// follow one another. `rectified` as in [`run_rectified`](Self::run_rectified).
    ///
    /// ```
    /// use segcam_conv::Convolution;
    ///
    /// let sum = Convolution::new(&[1, 3, 1], vec![1.0, 10.0, 100.0])?;
    /// let (one, two) = ([1.0, 2.0], [3.0, 4.0, 5.0, 6.0]);
    /// let out = sum.run_joined(&[(&[1, 1, 2], &one), (&[1, 2, 2], &two)], false)?;
    /// assert_eq!(out, sum.run(&[1, 3, 2], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0])?);
    /// # Ok::<(), segcam_conv::ConvError>(())
    /// ```
    ///
    /// # Errors
    /// As [`run`](Self::run), and [`ConvError::Parts`].
    pub fn run_joined(
        &self,
        parts: &[(&[usize], &[f32])],
        rectified: bool,
    ) -> Result<Vec<f32>, ConvError> {
        let shape = joined(parts)?;
        let g = self.geometry(&shape)?;
        for (shape, numbers) in parts {
            length("a part of an input", numbers.len(), cells(shape)?)?;
        }
        let mut out = vec![0.0; g.output_length()];
        let parts: Vec<_> = parts.iter().map(|(shape, numbers)| (shape[1], *numbers)).collect();
        let finish = Finish { bias: self.bias.as_deref(), rectified };
        self.compute(g, finish, Source(&parts), &mut out, None);
        Ok(out)
    }

    /// The part of the output that a region of the input reaches, for an input that is zero outside of
    /// it: its cells along each side, and the sums of products there, which are zero everywhere else;
    /// neither bias nor rectification is applied. The costs are those of the region alone.
    ///
    /// `shape` is that of the whole input, `x` has `[batch, channels, sides…]` of the region.
    ///
    /// ```
    /// use segcam_conv::Convolution;
    ///
    /// let blur = Convolution::new(&[1, 1, 3], vec![0.25, 0.5, 0.25])?.padding(&[(1, 1)])?;
    /// let (cells, values) = blur.run_within(&[1, 1, 1000], &[500..501], &[4.0])?;
    /// assert_eq!((cells, values), (vec![499..502], vec![1.0, 2.0, 1.0]));
    /// # Ok::<(), segcam_conv::ConvError>(())
    /// ```
    ///
    /// # Errors
    /// As [`run`](Self::run), and [`ConvError::Region`].
    pub fn run_within(
        &self,
        shape: &[usize],
        region: &[Range<usize>],
        x: &[f32],
    ) -> Result<(Vec<Range<usize>>, Vec<f32>), ConvError> {
        let whole = self.geometry(shape)?;
        let fits =
            |(range, side): (&Range<usize>, &usize)| range.start < range.end && range.end <= *side;
        if region.len() + 2 != shape.len() || !region.iter().zip(&shape[2..]).all(fits) {
            return Err(ConvError::Region { given: region.to_vec(), sides: shape[2..].to_vec() });
        }
        let (g, cells) = whole.within(region);
        let mut out = vec![0.0; g.output_length()];
        length("a region", x.len(), g.input_length())?;
        if !out.is_empty() {
            let parts = [(g.groups * g.inputs, x)];
            self.compute(g, Finish::default(), Source(&parts), &mut out, None);
        }
        Ok((cells, out))
    }

    /// Writes the output for an input; whatever was in `out` is overwritten.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn run_into(&self, shape: &[usize], x: &[f32], out: &mut [f32]) -> Result<(), ConvError> {
        self.checked(shape, x, out, (None, false))
    }

    /// [`run`](Self::run) by an algorithm of one's choice, to compare them. Convolutions that
    /// Winograd's do not serve are computed directly.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn run_by(
        &self,
        algorithm: Algorithm,
        shape: &[usize],
        x: &[f32],
    ) -> Result<Vec<f32>, ConvError> {
        let mut out = vec![0.0; self.geometry(shape)?.output_length()];
        self.checked(shape, x, &mut out, (Some(algorithm), false))?;
        Ok(out)
    }

    fn checked(
        &self,
        shape: &[usize],
        x: &[f32],
        out: &mut [f32],
        (algorithm, rectified): (Option<Algorithm>, bool),
    ) -> Result<(), ConvError> {
        let g = self.geometry(shape)?;
        length("an input", x.len(), g.input_length())?;
        length("an output", out.len(), g.output_length())?;
        let finish = Finish { bias: self.bias.as_deref(), rectified };
        let parts = [(g.groups * g.inputs, x)];
        self.compute(g, finish, Source(&parts), out, algorithm);
        Ok(())
    }

    fn compute(
        &self,
        g: Geometry,
        finish: Finish,
        x: Source,
        out: &mut [f32],
        algorithm: Option<Algorithm>,
    ) {
        let mirrored = self.transposed && !g.transposed;
        let weights =
            Weights { values: self.weights.as_ref(), exchanged: self.transposed, mirrored };
        let g = g.flattened();
        self.prepared.run(self.way(&g, algorithm), &g, weights, finish, x, out);
    }

    fn way(&self, g: &Geometry, algorithm: Option<Algorithm>) -> Way {
        let algorithm = match algorithm {
            Some(wanted) if crate::winograd::serves(g) => wanted,
            Some(_) => Algorithm::Direct,
            None => choose(g, self.precision, self.weight_limit),
        };
        Way::of(g, algorithm, rayon::current_num_threads())
    }

    fn input_channels(&self) -> usize {
        if self.transposed { self.shape[0] } else { self.shape[1] * self.groups }
    }

    fn output_channels(&self) -> usize {
        if self.transposed { self.shape[1] * self.groups } else { self.shape[0] }
    }

    fn geometry(&self, input: &[usize]) -> Result<Geometry, ConvError> {
        let sides = self.shape.len() - 2;
        let channels = self.input_channels();
        if input.len() != sides + 2 || input[1] != channels || input.contains(&0) {
            return Err(ConvError::InputShape { given: input.to_vec(), channels, sides });
        }
        cells(input)?;
        let mut g = Geometry {
            batch: input[0],
            groups: self.groups,
            inputs: channels / self.groups,
            outputs: self.output_channels() / self.groups,
            input: [1; 3],
            output: [1; 3],
            kernel: [1; 3],
            stride: [1; 3],
            dilation: [1; 3],
            padding: [0; 3],
            transposed: self.transposed,
        };
        for side in 0..sides {
            let at = 3 - sides + side;
            g.input[at] = input[side + 2];
            g.kernel[at] = self.shape[side + 2];
            g.stride[at] = self.stride[side];
            g.dilation[at] = self.dilation[side];
            let (cells, first) = self.along(side, input[side + 2], self.shape[side + 2])?;
            g.output[at] = cells;
            g.padding[at] = first;
        }
        if self.transposed && g.stride == [1; 3] {
            // The same as a convolution with mirrored weights.
            for at in 0..3 {
                g.padding[at] = ((g.kernel[at] - 1) * g.dilation[at]) as isize - g.padding[at];
            }
            g.transposed = false;
        }
        let mut output = vec![g.batch, self.output_channels()];
        output.extend(g.output);
        cells(&output)?;
        Ok(g)
    }

    /// Cells of the output along a side, and the padding before the input.
    fn along(&self, side: usize, input: usize, kernel: usize) -> Result<(usize, isize), ConvError> {
        let too_large = || ConvError::TooLarge { shape: vec![input, kernel] };
        let (stride, dilation) = (self.stride[side], self.dilation[side]);
        let (before, after) = self.padding[side];
        let padding = before.checked_add(after).ok_or_else(too_large)?;
        let reach = (kernel - 1).checked_mul(dilation).ok_or_else(too_large)?;
        let first = isize::try_from(before).map_err(|_| too_large())?;
        let no_output =
            ConvError::NoOutput { side, input, padding, kernel: reach.saturating_add(1) };
        let extra = self.output_padding[side];
        if extra > 0 && (!self.transposed || extra >= stride.max(dilation)) {
            return Err(ConvError::OutputPadding { side, given: extra });
        }
        let cells = if self.transposed {
            let whole = (input - 1).checked_mul(stride).and_then(|cells| cells.checked_add(reach));
            let whole =
                whole.and_then(|cells| cells.checked_add(1 + extra)).ok_or_else(too_large)?;
            whole.checked_sub(padding).filter(|cells| *cells > 0).ok_or(no_output)?
        } else {
            let padded = input.checked_add(padding).ok_or_else(too_large)?;
            padded.checked_sub(reach + 1).ok_or(no_output)? / stride + 1
        };
        Ok((cells, first))
    }

    /// What was prepared for other options is not used for these.
    fn unprepared(self) -> Self {
        Self { prepared: Prepared::default(), ..self }
    }

    fn sides(&self, option: &'static str, given: usize) -> Result<(), ConvError> {
        let wanted = self.shape.len() - 2;
        if given == wanted { Ok(()) } else { Err(ConvError::Sides { option, given, wanted }) }
    }

    fn steps(&self, option: &'static str, steps: &[usize]) -> Result<Vec<usize>, ConvError> {
        self.sides(option, steps.len())?;
        if steps.contains(&0) {
            return Err(ConvError::Zero { option });
        }
        Ok(steps.to_vec())
    }
}

/// The shape of parts whose channels follow one another.
fn joined(parts: &[(&[usize], &[f32])]) -> Result<Vec<usize>, ConvError> {
    let shapes = || ConvError::Parts { shapes: parts.iter().map(|part| part.0.to_vec()).collect() };
    let (first, _) = parts.first().ok_or_else(shapes)?;
    let mut whole = first.to_vec();
    let channels = whole.get_mut(1).ok_or_else(shapes)?;
    for (shape, _) in &parts[1..] {
        let alike = shape.len() == first.len() && shape[0] == first[0] && shape[2..] == first[2..];
        *channels = channels
            .checked_add(*shape.get(1).filter(|_| alike).ok_or_else(shapes)?)
            .ok_or_else(shapes)?;
    }
    Ok(whole)
}

fn length(what: &'static str, given: usize, wanted: usize) -> Result<(), ConvError> {
    if given == wanted { Ok(()) } else { Err(ConvError::Length { what, given, wanted }) }
}
