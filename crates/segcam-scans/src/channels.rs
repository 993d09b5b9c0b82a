//! Channels that lie between the axes of space.

/// Channel after channel, from values whose channels follow each other after every `block` of them.
pub(crate) fn channels_last(values: Vec<f32>, block: usize, channels: usize) -> Vec<f32> {
    if channels == 1 || block * channels == values.len() {
        return values;
    }
    let mut sorted = Vec::with_capacity(values.len());
    for channel in 0..channels {
        let start = channel * block;
        for group in values.chunks_exact(block * channels) {
            sorted.extend_from_slice(&group[start..start + block]);
        }
    }
    sorted
}
