use crate::geometry::Geometry;

/// An input, whose channels may come as several tensors: for each its channels and its numbers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Source<'a>(pub(crate) &'a [(usize, &'a [f32])]);

impl<'a> Source<'a> {
    /// One slice along the depth of one channel of one image.
    pub(crate) fn slice(
        self,
        g: &Geometry,
        image: usize,
        mut channel: usize,
        depth: usize,
    ) -> &'a [f32] {
        let [depths, height, width] = g.input;
        let mut parts = self.0.iter();
        let (channels, numbers) = loop {
            match parts.next() {
                Some((channels, _)) if channel >= *channels => channel -= channels,
                Some(part) => break part,
                None => return &[],
            }
        };
        let slice = (image * channels + channel) * depths + depth;
        &numbers[slice * height * width..][..height * width]
    }
}
