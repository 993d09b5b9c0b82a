//! Where a scan is not zero.

use crate::Scan;

/// First voxel and size of the smallest box with all voxels that are not 0 in some channel, if any is.
pub(crate) fn nonzero_box(scan: &Scan) -> Option<([usize; 3], [usize; 3])> {
    let [width, height, _] = scan.grid().size();
    let (mut first, mut last) = ([usize::MAX; 3], [0; 3]);
    for (place, _) in scan.values().iter().enumerate().filter(|(_, value)| **value != 0.0) {
        let voxel = place % scan.grid().voxels();
        let at = [voxel % width, voxel / width % height, voxel / width / height];
        first = std::array::from_fn(|axis| at[axis].min(first[axis]));
        last = std::array::from_fn(|axis| at[axis].max(last[axis]));
    }
    let size = |axis: usize| last[axis] + 1 - first[axis];
    (first[0] <= last[0]).then(|| (first, [size(0), size(1), size(2)]))
}

/// Voxels that are not 0 in some channel, and those that only a way through such voxels leads to from
/// outside of the scan, over the faces of voxels (`scipy.ndimage.binary_fill_holes`).
pub(crate) fn nonzero_filled(scan: &Scan) -> Vec<bool> {
    let size = scan.grid().size();
    let [width, height, _] = size;
    let mut inside = vec![true; scan.grid().voxels()];
    let zero = |voxel: usize| {
        let mut channels = scan.values()[voxel..].iter().step_by(scan.grid().voxels());
        channels.all(|value| *value == 0.0)
    };
    let at = |voxel: usize| [voxel % width, voxel / width % height, voxel / width / height];
    let border = |at: [usize; 3]| (0..3).any(|axis| at[axis] == 0 || at[axis] + 1 == size[axis]);
    let mut open: Vec<usize> = (0..inside.len()).filter(|voxel| border(at(*voxel))).collect();
    while let Some(voxel) = open.pop() {
        if !inside[voxel] || !zero(voxel) {
            continue;
        }
        inside[voxel] = false;
        for (axis, step) in [1, width, width * height].into_iter().enumerate() {
            let index = at(voxel)[axis];
            open.extend((index > 0).then(|| voxel - step));
            open.extend((index + 1 < size[axis]).then(|| voxel + step));
        }
    }
    inside
}
