//! Through which windows a network sees its input.

use anyhow::{Result, bail};
use segcam::models::{Blend, Pretrained, WindowRecipe};
use segcam::windows::Windows;

/// What is said of windows through which a network sees less than it was trained to.
pub(crate) fn seams(known: Pretrained, windows: &Windows) -> Option<String> {
    let (margin, narrowest) = (known.margin()?, *windows.size().iter().min()?);
    (narrowest <= 2 * margin).then(|| {
        format!(
            "{known} was trained on whole volumes and looks {margin} voxels far: windows of {narrowest} show \
             seams, so leave --window out, or give one of at least {}",
            4 * margin
        )
    })
}

/// What the command line says of windows, and where it says nothing the network's card. `None` without a
/// size.
pub(crate) fn windows(
    asked: &WindowRecipe,
    card: Option<&WindowRecipe>,
) -> Result<Option<Windows>> {
    let none = WindowRecipe::default();
    let card = card.unwrap_or(&none);
    let Some(size) = asked.size.clone().or_else(|| card.size.clone()) else {
        if asked != &none {
            bail!("windows need a size: give --window, such as 96x96x96");
        }
        return Ok(None);
    };
    let windows = match asked.blend.or(card.blend).unwrap_or(Blend::Constant) {
        Blend::NnUnet => Windows::nnunet(size),
        Blend::Gaussian => Windows::monai(size).gaussian(),
        _ => Windows::monai(size),
    };
    let windows = match asked.overlap.or(card.overlap) {
        Some(overlap) => windows.with_overlap(overlap),
        None => windows,
    };
    let mirror = asked.mirror.clone().or_else(|| card.mirror.clone());
    Ok(Some(windows.mirrored(mirror.unwrap_or_default())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_that_show_seams_are_said() {
        let of = |known, side| seams(known, &Windows::monai([side; 3]));
        let said = of(Pretrained::MeshNet, 64).expect("a note");
        assert!(said.contains("46 voxels far") && said.contains("at least 184"), "{said}");
        assert_eq!(of(Pretrained::MeshNet, 184), None);
        assert_eq!(of(Pretrained::LesionsMeshNet, 48), None);
    }
}
