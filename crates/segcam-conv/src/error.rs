/// Why a convolution cannot be computed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConvError {
    /// The shape of the weights is none of a convolution.
    #[error(
        "weights of shape {shape:?}: a convolution has [out, in/groups, kernel…] with 1 to 3 kernel sides, \
         none of them zero (a transposed one [in, out/groups, kernel…])"
    )]
    WeightShape {
        /// The shape that was given.
        shape: Vec<usize>,
    },
    /// A list of numbers has another length than its shape says.
    #[error("{what} of {given} numbers, where {wanted} are wanted")]
    Length {
        /// What the list is.
        what: &'static str,
        /// Numbers given.
        given: usize,
        /// Numbers wanted.
        wanted: usize,
    },
    /// An option has another number of sides than the kernel.
    #[error("{option} for {given} sides, but the kernel has {wanted}")]
    Sides {
        /// The option's name.
        option: &'static str,
        /// Sides given.
        given: usize,
        /// Sides of the kernel.
        wanted: usize,
    },
    /// A stride, a dilation or the number of groups is zero.
    #[error("{option} of 0: the smallest is 1")]
    Zero {
        /// The option's name.
        option: &'static str,
    },
    /// The channels cannot be divided into groups.
    #[error("{channels} {what} channels cannot be divided into {groups} groups")]
    Groups {
        /// Which channels.
        what: &'static str,
        /// How many there are.
        channels: usize,
        /// Groups asked for.
        groups: usize,
    },
    /// The input has another shape than the weights ask for.
    #[error(
        "an input of shape {given:?}, where [batch, {channels}, …] with {sides} sides is wanted"
    )]
    InputShape {
        /// The input's shape.
        given: Vec<usize>,
        /// Channels wanted.
        channels: usize,
        /// Sides wanted.
        sides: usize,
    },
    /// Nothing is left of the input.
    #[error(
        "no output along side {side}: the input has {input} cells and {padding} of padding, \
         but the kernel covers {kernel}"
    )]
    NoOutput {
        /// Which side, counted from 0.
        side: usize,
        /// Cells of the input.
        input: usize,
        /// Cells of padding, on both ends together.
        padding: usize,
        /// Cells under the kernel, its dilation included.
        kernel: usize,
    },
    /// The output padding adds whole steps.
    #[error(
        "an output padding of {given} along side {side}: it must be smaller than the stride or the \
         dilation, and needs a transposed convolution"
    )]
    OutputPadding {
        /// Which side, counted from 0.
        side: usize,
        /// The padding given.
        given: usize,
    },
    /// Parts of an input do not fit beside each other.
    #[error(
        "an input of parts of shapes {shapes:?}, where [batch, channels, sides…] that differ in nothing but their \
         channels are wanted"
    )]
    Parts {
        /// The parts' shapes.
        shapes: Vec<Vec<usize>>,
    },
    /// A region is empty, or does not lie within the input.
    #[error("a region of {given:?}, where some cells of an input of {sides:?} cells are wanted")]
    Region {
        /// The region's cells along each side.
        given: Vec<std::ops::Range<usize>>,
        /// The input's cells along each side.
        sides: Vec<usize>,
    },
    /// A shape has more cells than can be counted.
    #[error("a shape of {shape:?} has more cells than can be addressed")]
    TooLarge {
        /// The shape.
        shape: Vec<usize>,
    },
}
