//! Reading, computing and writing at the same time.

use std::sync::mpsc::{self, Receiver, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use crate::journal::Journal;
use crate::room::Room;
use crate::{BatchError, Finished, Item, Progress, Stop, Summary, Work, WorkError};

/// An input on its way.
struct Moving<'a, T> {
    item: &'a Item,
    contents: String,
    what: Result<T, WorkError>,
}

/// Threads that hand inputs on: one reads, some compute, and this one writes.
pub(crate) struct Pipeline<'a, W, P> {
    pub(crate) items: &'a [Item],
    pub(crate) known: Vec<Option<String>>,
    pub(crate) work: &'a W,
    pub(crate) progress: &'a P,
    pub(crate) stop: &'a Stop,
    pub(crate) ended: Mutex<Option<String>>,
}

impl<'a, W: Work, P: Fn(Progress) + Sync> Pipeline<'a, W, P> {
    pub(crate) fn run(
        &self,
        journal: &mut Journal,
        jobs: usize,
        memory: Option<usize>,
    ) -> Result<Summary, BatchError> {
        let mut summary = Summary::default();
        thread::scope(|scope| {
            // One waits between two steps, so that none waits for the other at each input.
            let (to_make, to_be_made) = mpsc::sync_channel(1);
            let (to_write, to_be_written) = mpsc::sync_channel(1);
            let reading = scope.spawn(move || self.read(&to_make));
            let (to_be_made, room) =
                (Arc::new(Mutex::new(to_be_made)), Arc::new(Room::new(memory)));
            for _ in 0..jobs {
                let (from, to, room) = (to_be_made.clone(), to_write.clone(), room.clone());
                scope.spawn(move || self.make(&from, &to, &room));
            }
            drop((to_be_made, to_write));
            let written = self.write(&to_be_written, journal, &mut summary);
            if written.is_err() {
                self.stop.ask();
            }
            // Whoever waits to hand something on goes home.
            drop(to_be_written);
            summary.known = reading.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            written
        })?;
        Ok(summary)
    }

    /// Reads what is not known, and counts what is.
    fn read(&self, to: &SyncSender<Moving<'a, W::Read>>) -> usize {
        let mut known = 0;
        for (item, before) in self.items.iter().zip(&self.known) {
            if self.stop.is_asked() {
                break;
            }
            let found = self.work.contents(item);
            if found.as_ref().is_ok_and(|(contents, _)| Some(contents) == before.as_ref()) {
                (self.progress)(Progress::Known(item));
                known += 1;
                continue;
            }
            let (contents, what) = match found {
                Ok((contents, found)) => (contents, self.work.read(item, found)),
                Err(error) => (String::new(), Err(error)),
            };
            if to.send(Moving { item, contents, what }).is_err() {
                break;
            }
        }
        known
    }

    fn make(
        &self,
        from: &Mutex<Receiver<Moving<'a, W::Read>>>,
        to: &SyncSender<Moving<'a, W::Made>>,
        room: &Room,
    ) {
        loop {
            let next = from.lock().unwrap_or_else(PoisonError::into_inner).recv();
            let Ok(Moving { item, contents, what }) = next else { break };
            let what = what.and_then(|read| {
                let _taken = room.take();
                self.work.make(item, read)
            });
            if to.send(Moving { item, contents, what }).is_err() {
                break;
            }
        }
    }

    fn write(
        &self,
        from: &Receiver<Moving<W::Made>>,
        journal: &mut Journal,
        summary: &mut Summary,
    ) -> Result<(), BatchError> {
        for Moving { item, contents, what } in from {
            let rows = what.and_then(|made| self.work.write(item, made));
            if let Err(WorkError::Item(error)) = &rows {
                (self.progress)(Progress::Failed(item, error));
                summary.failed.push((item.name.clone(), error.clone()));
            }
            let finished = match Finished::about(item, contents, rows) {
                Ok(finished) => finished,
                Err(reason) => {
                    let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
                    ended.get_or_insert(reason);
                    self.stop.ask();
                    return Ok(());
                }
            };
            journal.add(&item.key(), &finished.contents, &finished.rows)?;
            summary.computed += 1;
            (self.progress)(Progress::Done(item));
        }
        Ok(())
    }
}
