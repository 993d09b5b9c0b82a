//! What lies beside a network's file.

use std::path::Path;

use anyhow::Result;
use segcam::models::{Blend, Card};
use segcam::onnx::OnnxFile;
use segcam::scans::{NnUnetConfiguration, NnUnetPlans};

/// The files that [`nnunet`] reads.
pub(crate) const SIDECARS: [&str; 2] = ["plans.json", "dataset.json"];

/// What the `plans.json` and `dataset.json` of nnU-Net beside a file say of its classes, its windows and how
/// it wants scans. `None` if there are none.
pub(crate) fn nnunet(
    path: &Path,
    file: &OnnxFile,
    card: &mut Card,
    notes: &mut Vec<String>,
) -> Result<Option<NnUnetConfiguration>> {
    let folder = path.parent().unwrap_or(Path::new(""));
    if !folder.join("plans.json").is_file() {
        return Ok(None);
    }
    let plans = NnUnetPlans::open(folder)?;
    let name = if file.rank() == 4 { "2d" } else { "3d_fullres" };
    let configuration = plans.configuration(name)?;
    card.classes = plans.classes().to_vec();
    card.windows.size = Some(configuration.patch_size().to_vec());
    card.windows.blend = Some(Blend::NnUnet);
    notes.push(format!(
        "prepared and seen as nnU-Net's {name} in plans.json says, without its mirrored passes (--mirror)"
    ));
    Ok(Some(configuration))
}

/// Names of the files in which an ONNX file keeps weights: its entries of key `location`.
pub(crate) fn external_files(onnx: &[u8]) -> Vec<String> {
    const KEY: &[u8] = b"\x0a\x08location\x12";
    let mut files: Vec<String> = vec![];
    let found = onnx.windows(KEY.len()).enumerate().filter(|(_, window)| *window == KEY);
    for (at, _) in found {
        // A varint of one or two bytes, then so many bytes of text.
        let rest = &onnx[at + KEY.len()..];
        let (length, text) = match *rest {
            [low @ 0..0x80, ref text @ ..] => (usize::from(low), text),
            [low, high @ 0..0x80, ref text @ ..] => {
                (usize::from(low & 0x7f) | usize::from(high) << 7, text)
            }
            _ => continue,
        };
        let name = text.get(..length).and_then(|text| std::str::from_utf8(text).ok());
        files.extend(name.map(String::from));
    }
    files.sort();
    files.dedup();
    files
}

#[cfg(test)]
mod tests {
    #[test]
    fn weights_that_lie_in_other_files_are_found() {
        let long = "w".repeat(300);
        let mut onnx = b"..\x0a\x08location\x12\x08net.data..".to_vec();
        onnx.extend(b"\x0a\x08location\x12\xac\x02");
        onnx.extend(long.as_bytes());
        onnx.extend(b"\x0a\x08location\x12\xffcut off");
        assert_eq!(super::external_files(&onnx), ["net.data", &long]);
    }
}
