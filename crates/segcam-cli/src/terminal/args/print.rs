//! Options that say how figures become files.

use segcam_cli::network::Model;
use segcam_cli::print::{MODEL, Print, SOFTWARE, SOURCE};

/// How figures become files.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct PrintArgs {
    /// Width of figures on paper: 85mm, 170mm or another; letters have 7 points there, and PNG files
    /// know their dots per inch
    #[arg(long, value_name = "MM", value_parser = millimetres)]
    figure_width: Option<f64>,

    /// Also write figures as SVG, with real text
    #[arg(long)]
    svg: bool,

    /// Also write figures as PDF, with text that can be selected; a page is as wide as its figure
    #[arg(long)]
    pdf: bool,

    /// What was typed, if not to this process.
    #[arg(skip)]
    pub(super) typed: Option<String>,
}

impl PrintArgs {
    /// What decides about the files.
    pub(crate) fn settings(&self) -> impl serde::Serialize + use<> {
        (self.figure_width, self.svg, self.pdf)
    }

    pub(crate) fn print(&self, input: &str, model: &Model) -> Print {
        let command = self.typed.clone().unwrap_or_else(|| command_line("segcam"));
        let about = [
            (SOFTWARE, format!("segcam {}", env!("CARGO_PKG_VERSION"))),
            (SOURCE, input.to_string()),
            (MODEL, model.name.clone()),
            ("Comment", command),
        ];
        let about = about.map(|(keyword, text)| (keyword.to_string(), text)).to_vec();
        Print { millimetres: self.figure_width, svg: self.svg, pdf: self.pdf, about }
    }
}

/// What was typed to this process. Where the program lies is nobody's business.
pub fn command_line(program: &str) -> String {
    let words = std::env::args_os().skip(1).map(|part| part.to_string_lossy().into_owned());
    std::iter::once(program.to_string()).chain(words).collect::<Vec<_>>().join(" ")
}

fn millimetres(text: &str) -> Result<f64, String> {
    let number = text.strip_suffix("mm").unwrap_or(text).trim().parse().ok();
    // Letters of 7 points need so much.
    let fits = |width: &f64| (35.0..=2000.0).contains(width);
    number.filter(fits).ok_or_else(|| "give millimetres from 35 to 2000: 85mm, 170mm".into())
}
