use std::collections::BTreeMap;

use anyhow::{Context, Result};
use segcam_batch::{Batch, Item};
use segcam_cli::html::batch::page;
use segcam_cli::summary::Results;
use segcam_cli::with_explainer;
use segcam_cli::write::Folder;

use super::super::{Talk, command};
use super::Opened;

impl Opened {
    /// Writes `report.html` beside the table.
    pub(super) fn write_report(&self, batch: &Batch, talk: Talk) -> Result<()> {
        let args = &self.args;
        let (items, _) = args.items()?;
        let items: BTreeMap<String, &Item> = items.iter().map(|item| (item.key(), item)).collect();
        let results = Results::open(&batch.table())?;
        let wait = talk.wait("report");
        let (mut page, chosen) = page(&results, &self.settings, args.measure.seed)?;
        page.command = command();
        with_explainer!(&self.network, explainer => {
            let work = self.work(explainer)?;
            page.show(&chosen, results.counts.inputs, |chosen, room| {
                let item = items.get(&chosen.input).context("it is no input any more")?;
                work.case(item, chosen, room)
            });
        });
        let file = page.file()?;
        wait.finish_and_clear();
        Folder::create(&args.out)?.write(&file)
    }
}
