use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use burn_store::burn_pack::Tensor as Entry;
use burn_store::{ModuleSnapshot, ModuleStore, PytorchStore, SafetensorsStore};

/// What can go wrong with a file of weights.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WeightsError {
    /// The file's name does not say which format it has.
    #[error("{}: weights must be a .safetensors, .pth or .pt file", path.display())]
    UnknownFormat {
        /// The file.
        path: PathBuf,
    },

    /// The file cannot be opened.
    #[error("cannot open {}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },

    /// The file is not what its name says, or is damaged.
    #[error("cannot read weights from {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },

    /// The file holds the weights of another network. Names are those of the file.
    #[error("{} does not fit the network {model}: {}", path.display(), Differences(.missing, .unexpected, .misfits))]
    Mismatch {
        /// The file.
        path: PathBuf,
        /// The network.
        model: String,
        /// Entries the network needs and the file lacks.
        missing: Vec<String>,
        /// Entries of the file the network has no place for.
        unexpected: Vec<String>,
        /// Entries of another shape or number type.
        misfits: Vec<Misfit>,
    },

    /// A network that comes without weights was asked for without a file.
    #[error("{model} comes without weights: give a file of them, .safetensors, .pth or .pt")]
    Needed {
        /// The network.
        model: String,
    },
}

/// An entry that is there but does not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Misfit {
    /// Its name in the file.
    pub name: String,
    /// Type and shape the network needs.
    pub wanted: String,
    /// Type and shape in the file.
    pub given: String,
}

/// Loads the weights of a network from `.safetensors`, `.pth` or `.pt`.
///
/// `file_key` gives the name an entry has in the file, from the parameter's path in the module with
/// PyTorch's word at its end: `encoder.0.norm1.gamma` arrives as `encoder.0.norm1.weight`.
///
/// # Errors
/// A file that cannot be read; all missing, unexpected and mis-shaped entries in one
/// [`WeightsError::Mismatch`].
///
/// # Example
/// ```no_run
/// use std::path::Path;
/// use segcam_core::burn::tensor::Device;
/// use segcam_models::{UNetConfig, load_weights};
///
/// let unet = UNetConfig::new(1, 2).init(&Device::flex());
/// let unet = load_weights(unet, Path::new("unet.pth"), |path| format!("model.{path}"))?;
/// # Ok::<(), segcam_models::WeightsError>(())
/// ```
pub fn load_weights<M: ModuleSnapshot>(
    module: M,
    file: &Path,
    file_key: impl Fn(&str) -> String,
) -> Result<M, WeightsError> {
    let name = std::any::type_name::<M>();
    let name = name.rsplit("::").next().unwrap_or(name);
    Weights::open(file)?.load(name, module, file_key)
}

/// Named tensors read from a file or from memory.
pub(crate) struct Weights {
    path: PathBuf,
    entries: BTreeMap<String, Entry>,
}

impl Weights {
    /// Reads `.safetensors`, `.pth` or `.pt`, told apart by the extension.
    pub(crate) fn open(path: &Path) -> Result<Self, WeightsError> {
        std::fs::File::open(path)
            .and_then(|file| file.metadata())
            .map_err(|source| WeightsError::Open { path: path.into(), source })?;
        let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
        match extension.to_ascii_lowercase().as_str() {
            "safetensors" => Self::read(path, SafetensorsStore::from_file(path)),
            "pth" | "pt" => Self::read(path, PytorchStore::from_file(path)),
            _ => Err(WeightsError::UnknownFormat { path: path.into() }),
        }
    }

    /// Reads safetensors from memory; `name` stands for the path in errors.
    pub(crate) fn from_bytes(name: &str, bytes: &[u8]) -> Result<Self, WeightsError> {
        Self::read(Path::new(name), SafetensorsStore::from_bytes(Some(bytes.to_vec())))
    }

    fn read<S>(path: &Path, mut store: S) -> Result<Self, WeightsError>
    where
        S: ModuleStore,
        S::Error: std::error::Error + Send + Sync + 'static,
    {
        let entries = store
            .get_all_tensors()
            .map_err(|source| WeightsError::Read { path: path.into(), source: source.into() })?
            .iter()
            // A counter that PyTorch keeps for training only.
            .filter(|(name, _)| !name.ends_with("num_batches_tracked"))
            .map(|(name, entry)| (name.clone(), entry.clone()))
            .collect();
        Ok(Self { path: path.into(), entries })
    }

    /// Shape of an entry, if it is there, as it is or below a prefix.
    pub(crate) fn shape(&self, name: &str) -> Option<Vec<usize>> {
        let below = format!(".{name}");
        let mut entries = self.entries.iter();
        let found = entries.find(|(entry, _)| *entry == name || entry.ends_with(&below));
        found.map(|(_, entry)| entry.shape.to_vec())
    }

    /// Training scripts save a network below a prefix (`state_dict.`, `module.`), at times beside an
    /// optimiser. If none of the wanted names is there as it is, but one is below a prefix, what lies
    /// below it is the network.
    fn unwrap(&mut self, wanted: &[String]) {
        if wanted.iter().any(|name| self.entries.contains_key(name)) {
            return;
        }
        let prefix_of = |entry: &String| -> Option<String> {
            let before = |name: &String| entry.strip_suffix(name.as_str()).map(str::to_string);
            wanted.iter().find_map(before).filter(|prefix| prefix.ends_with('.'))
        };
        let Some(prefix) = self.entries.keys().find_map(prefix_of) else { return };
        self.entries = std::mem::take(&mut self.entries)
            .into_iter()
            .filter_map(|(name, entry)| Some((name.strip_prefix(&prefix)?.to_string(), entry)))
            .collect();
    }

    /// Puts the weights into `module`. `file_key` gives the name a parameter has in the file, from
    /// its path in the module with PyTorch's names at the end (`weight`, `bias`).
    pub(crate) fn load<M: ModuleSnapshot>(
        mut self,
        model: &str,
        mut module: M,
        file_key: impl Fn(&str) -> String,
    ) -> Result<M, WeightsError> {
        let (mut missing, mut misfits, mut fitting) = (vec![], vec![], vec![]);
        let wanted = module.collect(None, None, true);
        let names: Vec<String> =
            wanted.iter().map(|entry| file_key(&pytorch_name(&entry.name))).collect();
        self.unwrap(&names);
        for (wanted, name) in wanted.into_iter().zip(names) {
            let Some(mut entry) = self.entries.remove(&name) else {
                missing.push(name);
                continue;
            };
            if (entry.dtype, &entry.shape) != (wanted.dtype, &wanted.shape) {
                misfits.push(Misfit { name, wanted: kind(&wanted), given: kind(&entry) });
                continue;
            }
            entry.name = wanted.name;
            fitting.push(entry);
        }
        let unexpected: Vec<String> = self.entries.into_keys().collect();
        if !(missing.is_empty() && misfits.is_empty() && unexpected.is_empty()) {
            let model = model.to_string();
            return Err(WeightsError::Mismatch {
                path: self.path,
                model,
                missing,
                unexpected,
                misfits,
            });
        }
        let result = module.apply(fitting, None, None, true);
        match result.errors.into_iter().next() {
            Some(error) => Err(WeightsError::Read { path: self.path, source: error.into() }),
            None => Ok(module),
        }
    }
}

fn kind(entry: &Entry) -> String {
    format!("{:?} {:?}", entry.dtype, entry.shape.to_vec())
}

/// burn calls some parameters otherwise than PyTorch does.
fn pytorch_name(path: &str) -> String {
    match path.rsplit_once('.') {
        Some((parent, "gamma" | "alpha")) => format!("{parent}.weight"),
        Some((parent, "beta")) => format!("{parent}.bias"),
        _ => path.to_string(),
    }
}

/// How many names of each kind an error message spells out; the error's fields hold all of them.
const SHOWN: usize = 3;

struct Differences<'a>(&'a [String], &'a [String], &'a [Misfit]);

impl fmt::Display for Differences<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let misfits: Vec<String> = self
            .2
            .iter()
            .map(|m| format!("{} (needs {}, has {})", m.name, m.wanted, m.given))
            .collect();
        let mut separator = "";
        for (what, names) in
            [("missing", self.0), ("unexpected", self.1), ("of another shape or type", &misfits)]
        {
            if names.is_empty() {
                continue;
            }
            let shown = &names[..names.len().min(SHOWN)];
            write!(f, "{separator}{} {what}: {}", names.len(), shown.join(", "))?;
            if names.len() > SHOWN {
                write!(f, " and {} more", names.len() - SHOWN)?;
            }
            separator = "; ";
        }
        Ok(())
    }
}
