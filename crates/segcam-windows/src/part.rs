use segcam_core::burn::tensor::Tensor;

/// Where a window lies: it may reach beyond the image on all sides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// The window's first pixel on the image.
    pub(crate) start: Vec<isize>,
    pub(crate) size: Vec<usize>,
}

/// One run of the network: a window, and the sides that are flipped before the network sees it.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    pub(crate) place: Place,
    pub(crate) flips: Vec<usize>,
}

impl Place {
    /// The first pixel on the image, how many pixels there are on it, and how many of the window come
    /// before, along one side.
    fn along(&self, side: usize, image: usize) -> (usize, usize, usize) {
        let (start, size) = (self.start[side], self.size[side] as isize);
        let (from, to) = (start.max(0), (start + size).min(image as isize));
        (from as usize, (to - from).max(0) as usize, (from - start) as usize)
    }

    /// Calls `row` for each row of the window that lies on the image: where it begins in the window and
    /// on the image, and how long it is.
    pub(crate) fn each_row(&self, image: &[usize], mut row: impl FnMut(usize, usize, usize)) {
        let sides = image.len();
        let along: Vec<_> = (0..sides).map(|side| self.along(side, image[side])).collect();
        let outer: usize = along[..sides - 1].iter().map(|(_, length, _)| length).product();
        for index in 0..outer {
            let (mut rest, mut from, mut to) = (index, 0, 0);
            let (mut in_window, mut on_image) = (self.size[sides - 1], image[sides - 1]);
            for side in (0..sides - 1).rev() {
                let (first, length, before) = along[side];
                let at = rest % length;
                rest /= length;
                from += (before + at) * in_window;
                to += (first + at) * on_image;
                in_window *= self.size[side];
                on_image *= image[side];
            }
            let (first, length, before) = along[sides - 1];
            row(from + before, to + first, length);
        }
    }

    /// The window of a picture `[N, C, …]`, zero beyond it.
    pub(crate) fn cut<const D: usize>(&self, picture: &Tensor<D>) -> Tensor<D> {
        let image = picture.dims();
        (2..D).fold(picture.clone(), |window, dim| {
            let (first, length, before) = self.along(dim - 2, image[dim]);
            let after = self.size[dim - 2] - before - length;
            let window = window.narrow(dim, first, length);
            if before + after == 0 {
                return window;
            }
            let zeros = |side: usize| {
                let mut shape = window.dims();
                shape[dim] = side;
                Tensor::zeros(shape, (&window.device(), window.dtype()))
            };
            let parts = [zeros(before), window.clone(), zeros(after)];
            Tensor::cat(parts.into_iter().filter(|part| part.dims()[dim] > 0).collect(), dim)
        })
    }
}

impl Part {
    /// What the network sees of a picture.
    pub(crate) fn cut<const D: usize>(&self, picture: &Tensor<D>) -> Tensor<D> {
        self.flipped(self.place.cut(picture))
    }

    /// Flips, or flips back.
    pub(crate) fn flipped<const D: usize>(&self, window: Tensor<D>) -> Tensor<D> {
        self.flips.iter().fold(window, |window, side| window.flip([side + 2]))
    }
}
