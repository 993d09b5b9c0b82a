//! `segcam studio` without its terminal: a network, images, and a page that asks why.
//!
//! | part | what it does |
//! |---|---|
//! | [`http`] | requests in, responses out, a bound on everything |
//! | `guard` | refuses other pages, and whoever lacks the token |
//! | `api` | which request means what; the page uses nothing else |
//! | [`gallery`] | images by numbers of ours; uploads |
//! | `desk` | the one thread that computes, and keeps what it saw |
//! | `look` | what a page shows of an image |
//! | `parts` | sets that stand for several |
//! | `page` | the page's files |

mod api;
mod command;
mod desk;
pub mod gallery;
mod guard;
pub mod http;
pub(crate) mod look;
pub(crate) mod page;
mod parts;

use std::collections::{BTreeMap, VecDeque};
use std::net::TcpListener;
use std::path::Path;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Error, Result};
use segcam::burn::tensor::Device;
use segcam::pixels::SpecError;
use segcam::{CamError, Cancel};

use self::desk::{Answered, Desk, Done, Job, Order, Progress};
use self::gallery::Gallery;
use self::http::{Request, Response};
use self::look::Looked;
use crate::annotations::AnnotationFiles;
use crate::network::{Model, Source};
use crate::with_explainer;

pub(crate) use self::api::shown as about;
pub(crate) use self::command::of_network;
pub use self::guard::{Guard, token};

/// Maps of one question.
pub(crate) const MAPS: usize = 64;
/// Bytes of maps that are kept for pages to fetch, as long as there is one.
const KEPT: usize = 512 << 20;
/// Images whose pictures and labels are kept.
const LOOKS: usize = 12;
/// Pages that are waiting at a time.
const VIEWS: usize = 512;

/// What is known before anything is asked.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The network.
    pub source: Source,
    /// Annotations of the given images.
    pub truth: AnnotationFiles,
    /// Slice of scans for a network that takes images.
    pub slice: Option<usize>,
    /// The device, if it was named.
    pub device: Option<String>,
}

/// A network and images, ready to be asked by pages.
pub struct Studio {
    model: Arc<Model>,
    device: String,
    /// 2 or 3.
    sides: usize,
    gallery: Gallery,
    guard: Guard,
    orders: Mutex<Sender<Order>>,
    held: Mutex<Held>,
}

/// What pages wait for, and what they may fetch.
#[derive(Default)]
struct Held {
    views: BTreeMap<String, (Cancel, Arc<Progress>)>,
    looks: VecDeque<(String, Arc<Looked>)>,
    answers: VecDeque<Arc<Answered>>,
}

/// What was asked about is not kept any more.
#[derive(Debug, thiserror::Error)]
#[error("this answer is not kept any more: ask again")]
pub(crate) struct Forgotten;

/// Something of ours broke.
#[derive(Debug, thiserror::Error)]
#[error("internal error, please report it; the studio goes on")]
pub(crate) struct Broken;

impl std::fmt::Debug for Studio {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Studio")
            .field("model", &self.model.name)
            .field("gallery", &self.gallery)
            .finish_non_exhaustive()
    }
}

impl Studio {
    /// Opens the network and starts the thread that computes.
    ///
    /// # Errors
    /// Networks that cannot be opened.
    pub fn new(
        settings: Settings,
        device: &Device,
        gallery: Gallery,
        guard: Guard,
    ) -> Result<Self> {
        // Windows are counted for whoever waits for them.
        let waiting: Arc<Mutex<Option<Arc<Progress>>>> = Arc::default();
        let counted = waiting.clone();
        let (model, network) = settings.source.open_with_progress(device, move |done, all| {
            if let Some(progress) = &*lock(&counted) {
                progress.set(done, all);
            }
        })?;
        let windows = Arc::new(move |progress| *lock(&waiting) = progress);
        let (settings, model) = (Arc::new(settings), Arc::new(model));
        let (orders, jobs) = mpsc::channel();
        let sides = with_explainer!(network, explainer => {
            let (seen, asked, answers) = (vec![], VecDeque::new(), 0);
            let (model, device) = (model.clone(), device.clone());
            let desk = Desk { explainer, model, device, settings, windows, seen, asked, answers };
            let sides = desk.sides();
            let work = move || desk.work(&jobs);
            thread::Builder::new().name("desk".into()).spawn(work).context("no thread")?;
            sides
        });
        let device = segcam::device_name(device);
        let (orders, held) = (Mutex::new(orders), Mutex::default());
        Ok(Self { model, device, sides, gallery, guard, orders, held })
    }

    /// Answers whoever connects, until the listener fails.
    ///
    /// # Errors
    /// What the system says.
    pub fn serve(self, listener: &TcpListener) -> std::io::Result<()> {
        http::serve(listener, &Arc::new(self))
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        lock(&self.held)
    }

    /// Has a job done for a page, instead of what it asked before. Ends when the job does, or whoever
    /// asked is gone.
    fn order(&self, view: &str, job: Job, request: &Request<'_>) -> Result<Done, Response> {
        let (cancel, progress) = (Cancel::default(), Arc::new(Progress::default()));
        {
            let mut held = self.held();
            if held.views.len() >= VIEWS && !held.views.contains_key(view) {
                return Err(Response::error(503, "too many pages are waiting"));
            }
            let now = (cancel.clone(), progress.clone());
            if let Some((earlier, _)) = held.views.insert(view.to_string(), now) {
                earlier.cancel();
            }
        }
        let (reply, answer) = mpsc::sync_channel(1);
        let order = Order { job, cancel: cancel.clone(), progress: progress.clone(), reply };
        let sent = lock(&self.orders).send(order).is_ok();
        let done = loop {
            if !sent {
                break Err(Broken.into());
            }
            match answer.recv_timeout(Duration::from_millis(50)) {
                Ok(done) => break done,
                Err(RecvTimeoutError::Disconnected) => break Err(Broken.into()),
                Err(RecvTimeoutError::Timeout) if request.is_abandoned() => cancel.cancel(),
                Err(RecvTimeoutError::Timeout) => {}
            }
        };
        let mut held = self.held();
        // A later job of the same page is not this one.
        if held.views.get(view).is_some_and(|(_, last)| Arc::ptr_eq(last, &progress)) {
            held.views.remove(view);
        }
        if let Ok(Done::Answered(answered)) = &done {
            held.remember(answered);
        }
        done.map_err(|error| refusal(&error))
    }

    /// What the network sees in an image, if a page asked before.
    fn looked(&self, id: &str) -> Option<Arc<Looked>> {
        self.held().looks.iter().find(|(known, _)| known == id).map(|(_, looked)| looked.clone())
    }

    fn answered(&self, id: &str) -> Option<Arc<Answered>> {
        self.held().answers.iter().find(|answered| answered.report.id == id).cloned()
    }
}

impl Held {
    fn remember(&mut self, answered: &Arc<Answered>) {
        let image = answered.report.image.clone();
        self.saw(&image, &answered.looked);
        self.answers.push_back(answered.clone());
        let bytes = |answers: &VecDeque<Arc<Answered>>| -> usize {
            answers.iter().map(|answered| answered.bytes()).sum()
        };
        while self.answers.len() > 1 && bytes(&self.answers) > KEPT {
            self.answers.pop_front();
        }
    }

    fn saw(&mut self, id: &str, looked: &Arc<Looked>) {
        self.looks.retain(|(known, _)| known != id);
        self.looks.push_back((id.to_string(), looked.clone()));
        if self.looks.len() > LOOKS {
            self.looks.pop_front();
        }
    }
}

fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An error as an answer: its words, where in the text it is, and whose fault.
fn refusal(error: &Error) -> Response {
    let cam = error.downcast_ref::<CamError>();
    let spec = error.chain().find_map(|cause| cause.downcast_ref::<SpecError>());
    let status = match cam {
        Some(CamError::Cancelled) => 409,
        Some(CamError::Backend { .. }) => 500,
        _ if error.is::<Forgotten>() => 410,
        _ if error.is::<Broken>() => 500,
        _ => 422,
    };
    let words = match spec.and_then(|spec| spec.missing) {
        Some("annotation") => "this set needs an annotation: start with --truth".to_string(),
        Some("instances") => "this set needs instance ids: start with --instances".to_string(),
        _ => in_words(error),
    };
    let body = serde_json::json!({
        "error": words,
        "column": spec.map(|spec| spec.column),
        "cancelled": matches!(cam, Some(CamError::Cancelled)),
    });
    Response::json(&body).with_status(status)
}

/// Every cause once.
fn in_words(error: &Error) -> String {
    let mut words: Vec<String> = vec![];
    let say = |cause: &(dyn std::error::Error + 'static)| match cause.downcast_ref() {
        Some(error) => crate::explain::in_words(error),
        None => cause.to_string(),
    };
    for cause in error.chain().map(say) {
        match words.last_mut() {
            Some(last) if last.ends_with(&cause) => {}
            Some(last) if cause.starts_with(&*last) => *last = cause,
            _ => words.push(cause),
        }
    }
    words.join(": ")
}

/// An error that names an image as the page does: where uploads lie is nobody's business.
fn without_path(error: Error, path: &Path, name: &str) -> Error {
    let words = in_words(&error).replace(&path.display().to_string(), name);
    Error::msg(words)
}
