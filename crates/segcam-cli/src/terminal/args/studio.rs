//! Options of `segcam studio`.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::{NetworkArgs, SetArgs};

#[derive(Debug, clap::Args)]
#[command(
    after_help = "The page is served to this machine only, and loads nothing from elsewhere. With --listen \
others can connect who have the token that is printed; there is no encryption, so go through SSH where \
you can.

Examples:
  segcam studio                                     # drop images onto the page
  segcam studio nuclei/ --truth masks/
  segcam studio street.png --model espnet --weights espnet.pth
  segcam studio scan.nii.gz --model net.onnx --window 96x96x96"
)]
pub(crate) struct StudioArgs {
    /// Images, scans, arrays, or folders of them
    #[arg(value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,

    #[command(flatten)]
    pub(crate) network: NetworkArgs,

    #[command(flatten)]
    pub(crate) sets: SetArgs,

    /// Slice of scans, from 0, for a network that takes images
    #[arg(long, value_name = "N")]
    pub(crate) slice: Option<usize>,

    /// Port of this machine; 0 takes a free one [default: 7272, or a free one]
    #[arg(long, value_name = "N", conflicts_with = "listen")]
    pub(crate) port: Option<u16>,

    /// Address and port for other machines, too, as numbers: 0.0.0.0:7272
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) listen: Option<SocketAddr>,

    /// Ask for a token on this machine, too, as others may use it
    #[arg(long)]
    pub(crate) token: bool,

    /// Do not open the browser
    #[arg(long)]
    pub(crate) no_open: bool,
}
