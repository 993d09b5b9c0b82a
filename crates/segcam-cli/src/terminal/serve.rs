use anyhow::Result;

use super::args::ServeArgs;

/// `segcam serve`: until Ctrl+C.
#[cfg(feature = "remote")]
pub(crate) fn run(args: &ServeArgs) -> Result<()> {
    use anyhow::{Context, anyhow};
    use segcam::burn::server::{RemoteServer, WebSocketTransport};

    use crate::terminal::say;

    let listen = || format!("cannot listen on {}", args.listen);
    let listener = std::net::TcpListener::bind(&args.listen).with_context(listen)?;
    let name = format!("remote:ws://{}", listener.local_addr().with_context(listen)?);
    let device = args.device.open()?;
    say(format!("{} is now the device {name}", segcam::device_name(&device)))?;
    let served = RemoteServer::new([device]).serve(WebSocketTransport::from_listener(listener));
    served.map_err(|error| anyhow!("{error}"))
}

/// `segcam serve` where burn's server is left out.
#[cfg(not(feature = "remote"))]
pub(crate) fn run(_: &ServeArgs) -> Result<()> {
    anyhow::bail!(
        "`segcam serve` is not in this build: add the feature `remote` \
         (`cargo install --path crates/segcam-cli --locked --features remote`)"
    )
}
