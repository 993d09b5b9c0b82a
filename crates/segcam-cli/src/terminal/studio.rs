use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use anyhow::{Context, Result};
use segcam_cli::studio::gallery::{Gallery, Limits};
use segcam_cli::studio::http::is_loopback;
use segcam_cli::studio::{Guard, Settings, Studio, token};

use super::args::StudioArgs;
use super::{Talk, say};

/// The usual port.
const PORT: u16 = 7272;

/// `segcam studio`: until Ctrl+C.
pub(crate) fn run(args: &StudioArgs, talk: Talk) -> Result<()> {
    let here = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let wanted = args.listen.unwrap_or(here(args.port.unwrap_or(PORT)));
    let named = args.listen.is_some() || args.port.is_some();
    let listener = TcpListener::bind(wanted).or_else(|error| match named {
        true => Err(error),
        // The usual port may be that of another studio.
        false => TcpListener::bind(here(0)),
    });
    let listener = listener.with_context(|| format!("cannot listen on {wanted}"))?;
    let address = listener.local_addr().context("cannot listen")?;
    let gallery = Gallery::new(&args.paths, Limits::default())?;
    let settings = Settings {
        source: args.network.source()?,
        truth: args.sets.files()?,
        slice: args.slice,
        device: args.network.device.name().map(String::from),
    };
    let device = args.network.device.open()?;
    let secret = (args.token || !is_loopback(&address)).then(token);
    let words = secret.as_ref().map(|token| format!("?token={token}")).unwrap_or_default();
    let page = format!("http://{address}/{words}");
    let studio = Studio::new(settings, &device, gallery, Guard::new(address, secret))?;
    if talk != Talk::Quiet {
        say(format!("segcam studio: {page} (Ctrl+C ends it)"))?;
    }
    if !args.no_open && open::that_detached(&page).is_err() {
        eprintln!("no browser could be opened: open {page} yourself");
    }
    studio.serve(&listener).context("the studio stopped")
}
