"""Where ITK has an image, as this crate has it."""

import numpy as np


def itk_affine(image):
    """RAS+ from ITK's LPS, of the first three axes."""
    sides = image.GetDimension()
    axes = np.array(image.GetDirection()).reshape(sides, sides) * image.GetSpacing()
    out = np.eye(4)
    n = min(sides, 3)
    out[:n, :n] = axes[:n, :n]
    out[:n, 3] = image.GetOrigin()[:n]
    return np.diag([-1, -1, 1, 1]) @ out
