use segcam_core::{CamError, Layer};

/// The layers to look at first: the bottleneck and the last map before the class scores.
///
/// The bottleneck is the layer with most channels; of several the smallest map.
///
/// # Example
/// ```
/// use segcam_core::Layer;
/// use segcam_onnx::auto_layers;
///
/// let layer = |name: &str, shape: [usize; 4]| Layer { name: name.into(), shape: shape.into() };
/// let layers =
///     [layer("enc", [1, 8, 32, 32]), layer("mid", [1, 64, 4, 4]), layer("dec", [1, 8, 32, 32])];
/// assert_eq!(auto_layers(&layers), ["mid", "dec"]);
/// ```
pub fn auto_layers(layers: &[Layer]) -> Vec<String> {
    let area = |layer: &Layer| layer.shape.iter().skip(2).product::<usize>();
    let maps = || layers.iter().filter(|layer| layer.shape.len() > 2);
    let deepest = maps().max_by_key(|layer| (layer.shape[1], std::cmp::Reverse(area(layer))));
    let mut names: Vec<String> =
        deepest.into_iter().chain(maps().next_back()).map(|layer| layer.name.clone()).collect();
    names.dedup();
    names
}

/// The name of the layer that `wanted` means: its whole name, or an end of it that no other layer
/// has.
///
/// # Errors
/// [`CamError::AmbiguousLayer`] if several layers end so. What no layer ends in is handed back, for
/// the observation to say what there is.
///
/// # Example
/// ```
/// use segcam_onnx::find_layer;
///
/// let names = ["/enc/Relu_output_0", "/dec/Relu_output_0"];
/// assert_eq!(find_layer(names, "dec/Relu_output_0")?, "/dec/Relu_output_0");
/// assert!(find_layer(names, "Relu_output_0").is_err());
/// # Ok::<(), segcam_core::CamError>(())
/// ```
pub fn find_layer<'a>(
    names: impl IntoIterator<Item = &'a str>,
    wanted: &str,
) -> Result<String, CamError> {
    let ending: Vec<&str> = names.into_iter().filter(|name| name.ends_with(wanted)).collect();
    match ending[..] {
        _ if ending.contains(&wanted) => Ok(wanted.to_string()),
        [] => Ok(wanted.to_string()),
        [only] => Ok(only.to_string()),
        _ => Err(CamError::AmbiguousLayer {
            wanted: wanted.to_string(),
            known: ending.into_iter().map(String::from).collect(),
        }),
    }
}
