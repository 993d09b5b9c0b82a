//! Files in object stores that speak S3.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, mpsc};
use std::time::Duration;

use futures::TryStreamExt;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::buffered::BufWriter;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt, RetryConfig};
use segcam_batch::{Item, Listing, What};
use segcam_cli::batch::inputs;
use tokio::fs::File;
use tokio::io::AsyncWriteExt;
use tokio::runtime::{Builder, Runtime};

/// What is wrong with files in stores.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// An address that names nothing.
    #[error("cannot use {url}: wanted s3://BUCKET/NAME")]
    Address {
        /// The address.
        url: String,
    },

    /// A store that cannot be asked, as what `AWS_…` variables say of it makes no sense.
    #[error("cannot use the store of {url}: {}", in_a_line(reason))]
    Store {
        /// What was wanted of it.
        url: String,
        /// What is wrong.
        reason: object_store::Error,
    },

    /// What a store does not give or take.
    #[error("cannot {doing} {url}: {}", in_a_line(reason))]
    Object {
        /// What was done.
        doing: &'static str,
        /// To what.
        url: String,
        /// What the store said.
        reason: object_store::Error,
    },

    /// A file on this machine.
    #[error("cannot copy {url} to or from {}: {reason}", path.display())]
    File {
        /// The object.
        url: String,
        /// The file.
        path: PathBuf,
        /// What the system says.
        reason: io::Error,
    },

    /// A folder of a store without inputs.
    #[error("there are no inputs in {url} ({others} other objects)")]
    NoInputs {
        /// The folder.
        url: String,
        /// What else is there.
        others: usize,
    },
}

impl StoreError {
    /// Whether there is no such object: others may be there.
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Object { reason: object_store::Error::NotFound { .. }, .. })
    }
}

/// Stores say much.
fn in_a_line(reason: &object_store::Error) -> String {
    reason.to_string().split_whitespace().collect::<Vec<_>>().join(" ")
}

const SCHEME: &str = "s3://";

/// An object of a store or a folder of it: `s3://BUCKET/NAME`. Whose it is and where the store is say the usual
/// variables: `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_REGION`, `AWS_ENDPOINT_URL` and others.
#[derive(Debug, Clone)]
pub struct Place {
    store: Arc<AmazonS3>,
    bucket: String,
    name: object_store::path::Path,
}

/// Inputs of a folder in a store, and the marks of their contents as far as they are known.
pub(crate) type Found = (Listing, HashMap<String, String>);

impl Place {
    /// If the path is an address of a store: the place there.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn of(path: &Path) -> Result<Option<Self>, StoreError> {
        let url = path.to_str().filter(|path| path.starts_with(SCHEME));
        url.map(Self::open).transpose()
    }

    /// A place of a store; nobody is asked whether it is there.
    ///
    /// # Errors
    /// What is no address, and variables that make no sense.
    pub fn open(url: &str) -> Result<Self, StoreError> {
        let wrong = || StoreError::Address { url: url.into() };
        let place = url.strip_prefix(SCHEME).ok_or_else(wrong)?;
        let (bucket, name) = place.split_once('/').unwrap_or((place, ""));
        let name = object_store::path::Path::parse(name.trim_end_matches('/'));
        let name = name.ok().filter(|_| !bucket.is_empty()).ok_or_else(wrong)?;
        let store = store(bucket);
        let store = store.map_err(|reason| StoreError::Store { url: url.into(), reason })?;
        Ok(Self { store, bucket: bucket.into(), name })
    }

    /// Its address.
    pub fn url(&self) -> String {
        format!("{SCHEME}{}/{}", self.bucket, self.name)
    }

    /// Its bucket, and the store behind it.
    pub(crate) fn bucket(&self) -> (String, Arc<AmazonS3>) {
        (format!("{SCHEME}{}", self.bucket), self.store.clone())
    }

    /// The last part of its name.
    pub(crate) fn file_name(&self) -> &str {
        self.name.filename().unwrap_or(&self.bucket)
    }

    /// What is called so below it.
    ///
    /// # Errors
    /// Names that cannot be.
    pub fn join(&self, name: &str) -> Result<Self, StoreError> {
        let url = format!("{}/{name}", self.url().trim_end_matches('/'));
        let wrong = |_| StoreError::Address { url: url.clone() };
        let below = object_store::path::Path::parse(name).map_err(wrong)?;
        let name = self.name.parts().chain(below.parts()).collect();
        Ok(Self { name, ..self.clone() })
    }

    /// A folder for it on this machine, below another one.
    pub(crate) fn folder(&self, above: &Path) -> PathBuf {
        let parts = self.name.parts().map(|part| part.as_ref().to_string());
        std::iter::once(self.bucket.clone())
            .chain(parts)
            .fold(above.into(), |at, part| at.join(part))
    }

    fn wrong<'a>(&'a self, doing: &'static str) -> impl Fn(object_store::Error) -> StoreError + 'a {
        move |reason| StoreError::Object { doing, url: self.url(), reason }
    }

    /// Copies the object into a file. Returns the mark of its contents: see [`mark`](Self::mark).
    ///
    /// # Errors
    /// What the store or the system says.
    pub fn fetch(&self, to: &Path) -> Result<String, StoreError> {
        let (place, to) = (self.clone(), to.to_path_buf());
        wait(async move {
            let wrong = place.wrong("read");
            let of_file = |reason| StoreError::File { url: place.url(), path: to.clone(), reason };
            let object = place.store.get(&place.name).await.map_err(&wrong)?;
            let mark = mark(&object.meta);
            let mut file = File::create(&to).await.map_err(of_file)?;
            let mut parts = object.into_stream();
            while let Some(part) = parts.try_next().await.map_err(&wrong)? {
                file.write_all(&part).await.map_err(of_file)?;
            }
            file.flush().await.map_err(of_file)?;
            Ok(mark)
        })
    }

    /// Makes a file an object, as a whole or not at all; the same twice does no harm.
    ///
    /// # Errors
    /// What the store or the system says.
    pub fn put(&self, from: &Path) -> Result<(), StoreError> {
        let (place, from) = (self.clone(), from.to_path_buf());
        wait(async move {
            let wrong = |reason| StoreError::File { url: place.url(), path: from.clone(), reason };
            let mut file = File::open(&from).await.map_err(wrong)?;
            let mut object = BufWriter::new(place.store.clone(), place.name.clone());
            let copied = tokio::io::copy(&mut file, &mut object).await;
            let done = match copied {
                Ok(_) => object.shutdown().await,
                Err(error) => Err(error),
            };
            done.map_err(|error| match error.downcast() {
                Ok(reason) => place.wrong("write")(reason),
                Err(reason) => wrong(reason),
            })
        })
    }

    /// What tells the contents of the object from others: its ETag, or, where the store has none, when it was
    /// written and how long it is. Nothing if there is no such object.
    ///
    /// # Errors
    /// What the store says.
    pub fn mark(&self) -> Result<Option<String>, StoreError> {
        let place = self.clone();
        match wait(async move { place.store.head(&place.name).await.map_err(place.wrong("read")) })
        {
            Ok(meta) => Ok(Some(mark(&meta))),
            Err(error) if error.is_missing() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The inputs in this folder and below it, by their names, with their marks as far as the store tells them.
    pub(crate) fn list(&self) -> Result<Found, StoreError> {
        let place = self.clone();
        let mut objects = wait(async move {
            let found = place.store.list(Some(&place.name)).try_collect::<Vec<_>>().await;
            found.map_err(place.wrong("list"))
        })?;
        objects.sort_unstable_by(|a, b| a.location.cmp(&b.location));
        let (mut listing, mut marks) = (Listing::default(), HashMap::new());
        let what = inputs(Path::new(""));
        for object in &objects {
            let url = format!("{SCHEME}{}/{}", self.bucket, object.location);
            let below = object.location.prefix_match(&self.name).into_iter().flatten();
            let below: Vec<_> = below.map(|part| part.as_ref().to_string()).collect();
            // One object by its own name.
            let own = || object.location.filename().unwrap_or_default().to_string();
            let name = if below.is_empty() { own() } else { below.join("/") };
            match what(Path::new(&name)) {
                What::Input => {
                    // Some stores tell it only of one object at a time.
                    if object.e_tag.is_some() {
                        marks.insert(url.clone(), mark(object));
                    }
                    let mut item = Item::new(url);
                    (item.number, item.name) = (listing.items.len(), name);
                    listing.items.push(item);
                }
                What::Other => listing.others += 1,
                What::Hidden => {}
            }
        }
        if listing.items.is_empty() {
            return Err(StoreError::NoInputs { url: self.url(), others: listing.others });
        }
        Ok((listing, marks))
    }
}

fn mark(object: &ObjectMeta) -> String {
    let tag = object.e_tag.as_deref().map(|tag| tag.trim_matches('"').to_string());
    tag.unwrap_or_else(|| format!("{} {}", object.last_modified.to_rfc3339(), object.size))
}

/// The store of a bucket: one for all that ask, as it keeps connections.
fn store(bucket: &str) -> object_store::Result<Arc<AmazonS3>> {
    static STORES: Mutex<Option<HashMap<String, Arc<AmazonS3>>>> = Mutex::new(None);
    let mut stores = STORES.lock().unwrap_or_else(PoisonError::into_inner);
    let stores = stores.get_or_insert_default();
    if let Some(known) = stores.get(bucket) {
        return Ok(known.clone());
    }
    let retry = RetryConfig {
        max_retries: 5,
        retry_timeout: Duration::from_secs(60),
        ..RetryConfig::default()
    };
    let store = AmazonS3Builder::from_env().with_bucket_name(bucket).with_retry(retry).build()?;
    let store = Arc::new(store);
    stores.insert(bucket.into(), store.clone());
    Ok(store)
}

/// Waits for what a store does, on whatever thread: a runtime of its own does it.
fn wait<T: Send + 'static>(
    what: impl Future<Output = Result<T, StoreError>> + Send + 'static,
) -> Result<T, StoreError> {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    let runtime = RUNTIME.get_or_init(|| {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build();
        runtime.expect("the system gives a thread")
    });
    let (to, from) = mpsc::sync_channel(1);
    runtime.spawn(async move {
        let _ = to.send(what.await);
    });
    from.recv().expect("it does not panic")
}
