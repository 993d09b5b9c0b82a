use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Result, bail, ensure};
use indicatif::ProgressFinish;
use segcam::models::Network;
use segcam_cli::scan::is_scan;
use segcam_cli::slide::{self, LARGE, Wanted};
use segcam_cli::write::Folder;
use segcam_tiles::TiffRows;

use super::args::{ExplainArgs, Save};
use super::figures::Run;
use super::{Finished, Talk};

/// `segcam explain` of a picture that is read by tiles; `None` of one that is not.
pub(crate) fn run(args: &ExplainArgs, talk: Talk) -> Result<Option<Finished>> {
    let large = || {
        let pixels = TiffRows::pixels(&args.input).ok().flatten();
        !is_scan(&args.input) && pixels.is_some_and(|pixels| pixels > LARGE)
    };
    if !args.tiles && !large() {
        return Ok(None);
    }
    let device = args.network.device.open()?;
    let source = args.network.source()?;
    let (model, network, windows) = source.open_apart(&device)?;
    let (Network::Image(explainer), Some(windows)) = (network, windows) else {
        ensure!(
            !args.tiles,
            "--tiles needs a network for images that is run over windows: give --window, such as 512x512"
        );
        return Ok(None);
    };
    expect_possible(args)?;
    let mut out = Folder::create(&args.out)?;
    out.clear_earlier_run()?;
    let bar = talk.bar(0).with_finish(ProgressFinish::AndClear);
    let sweep = Arc::new((AtomicUsize::new(0), AtomicUsize::new(1)));
    let (of_windows, told) = (bar.clone(), sweep.clone());
    let windows = windows.with_progress(move |done, all| {
        let (now, sweeps) = (told.0.load(Ordering::Relaxed), told.1.load(Ordering::Relaxed));
        of_windows.set_length((sweeps * all) as u64);
        let position = (now * all + done) as u64;
        // What an earlier run has done took this one no time.
        if position > of_windows.position() + 1 {
            of_windows.set_position(position);
            of_windows.reset_eta();
        }
        of_windows.set_position(position);
    });
    let stage = |now: usize, sweeps: usize| {
        sweep.0.store(now, Ordering::Relaxed);
        sweep.1.store(sweeps, Ordering::Relaxed);
        bar.set_message(["prediction", "maps", "averages"][now.min(2)]);
        bar.tick();
    };
    let (asked, style) =
        (args.question.asked(), args.draw.style(&args.input.display().to_string(), &model)?);
    let network = slide::Network {
        model: &model,
        explainer: &explainer,
        windows: &windows,
        files: &source.files()?,
        device: &device,
    };
    let prediction = args.draw.saves(Save::Prediction);
    let wanted = Wanted { input: &args.input, asked: &asked, style: &style, prediction };
    let mut report = slide::explain(&wanted, &network, &out, &stage)?;
    bar.finish_and_clear();
    report.notes.extend(args.network.taken().map(String::from));
    Run { report, out, talk }.finish(None).map(Some)
}

/// What needs the whole picture in memory.
fn expect_possible(args: &ExplainArgs) -> Result<()> {
    let saved = |save| args.draw.saves(save);
    let impossible = [
        (args.question.sets.is_given(), "--truth and --instances need"),
        (args.maps.certify, "--certify needs"),
        (args.maps.smooth.is_some(), "--smooth needs"),
        (args.draw.fuse.is_some(), "--fuse needs"),
        (saved(Save::Heat), "--save heat needs"),
        (saved(Save::Dicom), "--save dicom needs"),
        (args.html, "--html needs"),
    ];
    for (given, what) in impossible {
        if given {
            bail!(
                "{what} the whole picture in memory, and this one is read by tiles: drop it, or cut a part out"
            );
        }
    }
    ensure!(
        !saved(Save::Raw),
        "maps of a picture that is read by tiles are TIFF files: drop --save raw"
    );
    Ok(())
}
