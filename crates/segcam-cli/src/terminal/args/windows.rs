//! Options that say through which windows a network sees its input.

use segcam::UnknownName;
use segcam::models::{Blend, WindowRecipe};

const WINDOWS: &str = "Windows (or [windows] in net.toml beside net.onnx)";

/// Through which windows a network sees its input.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct WindowArgs {
    /// Run the network over windows of this size and explain what it says of the whole: 512x512, or
    /// 96x96x96 of a volume
    #[arg(long, help_heading = WINDOWS, value_name = "SIZE", value_parser = size)]
    window: Option<Size>,

    /// The part of a window that the next one covers, too [default: 0.25, of nn-unet 0.5]
    #[arg(long, help_heading = WINDOWS, value_name = "PART")]
    overlap: Option<f64>,

    /// How windows are blended: constant or gaussian as MONAI does, or nn-unet [default: constant]
    #[arg(long, help_heading = WINDOWS, value_name = "HOW", value_parser = blend)]
    blend: Option<Blend>,

    /// Average each window over all flips of these sides, from 0: the first one of SIZE [default: none;
    /// without numbers all]
    #[arg(long, help_heading = WINDOWS, value_name = "SIDE", num_args = 0.., value_delimiter = ',')]
    mirror: Option<Vec<usize>>,
}

#[derive(Debug, Clone)]
struct Size(Vec<usize>);

fn size(text: &str) -> Result<Size, String> {
    let side = |text: &str| text.parse().ok().filter(|side| (1..=1 << 16).contains(side));
    let sides: Option<Vec<usize>> = text.split('x').map(side).collect();
    let sides = sides.filter(|sides| (2..=3).contains(&sides.len()));
    sides
        .map(Size)
        .ok_or_else(|| "give rows x columns, or slices x rows x columns: 96x96x96".into())
}

fn blend(text: &str) -> Result<Blend, UnknownName> {
    match text {
        "constant" => Ok(Blend::Constant),
        "gaussian" => Ok(Blend::Gaussian),
        "nn-unet" | "nnunet" => Ok(Blend::NnUnet),
        other => Err(UnknownName::new("blending", other, ["constant", "gaussian", "nn-unet"])),
    }
}

impl WindowArgs {
    pub(crate) fn recipe(&self) -> WindowRecipe {
        let size = self.window.as_ref().map(|Size(size)| size.clone());
        let sides = size.as_ref().map_or(2, Vec::len);
        let mirror = self.mirror.clone().map(|mirror| match mirror[..] {
            [] => (0..sides).collect(),
            _ => mirror,
        });
        WindowRecipe { size, overlap: self.overlap, blend: self.blend, mirror }
    }
}
