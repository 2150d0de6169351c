//! Where is the model of that name? Directories on this machine only: nothing here knows of a network.
//!
//! Marcato's own folder is laid out as Hugging Face's cache is, so that one search serves both and either program can
//! read the other's: `models--<org>--<name>/refs/<revision>` holds a commit, `snapshots/<commit>/` its files.

mod name;
mod repository;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

pub use name::ModelName;

use crate::error::{Error, ErrorKind, Result};
use repository::{Repository, names};

/// Whose folder a model is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ModelSource {
    /// Marcato's own, filled by `marcato model pull`.
    Marcato,
    /// Hugging Face's cache, which is read and never written.
    HuggingFace,
}

impl ModelSource {
    /// `"marcato"` or `"huggingface"`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Marcato => "marcato",
            Self::HuggingFace => "huggingface",
        }
    }
}

/// A model on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LocalModel {
    /// `org/name`.
    pub repository: String,
    /// The commit that its files are of.
    pub commit: String,
    /// The branches and tags that are known to mean that commit, in alphabetical order.
    pub revisions: Vec<String>,
    /// Its directory, which [`BiEncoder::open`](crate::BiEncoder::open) takes.
    pub path: PathBuf,
    /// Whose folder that is in.
    pub source: ModelSource,
}

/// The folders in which models are found by name: Marcato's own, then Hugging Face's cache.
///
/// | folder | the first of these that is set |
/// |---|---|
/// | Marcato's own | `$MARCATO_HOME/models`; the user's data folder: `$XDG_DATA_HOME/marcato/models` or `~/.local/share/marcato/models`, on macOS `~/Library/Application Support/marcato/models`, on Windows `%LOCALAPPDATA%\marcato\models` |
/// | Hugging Face's cache | `$HF_HUB_CACHE`; `$HUGGINGFACE_HUB_CACHE`; `$HF_HOME/hub`; `$XDG_CACHE_HOME/huggingface/hub`; `~/.cache/huggingface/hub` |
///
/// An empty variable counts as not set, and a leading `~/` is the home directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Models {
    own: PathBuf,
    hub_cache: PathBuf,
}

impl Models {
    /// The folders that the environment names.
    ///
    /// # Errors
    /// `NotFound` if neither the variables nor a home directory are set.
    pub fn from_env() -> Result<Self> {
        Self::from_variables(|name| std::env::var_os(name))
    }

    /// Folders of your choice, laid out as Hugging Face's cache is.
    pub fn new(own: impl Into<PathBuf>, hub_cache: impl Into<PathBuf>) -> Self {
        Self { own: own.into(), hub_cache: hub_cache.into() }
    }

    pub(super) fn from_variables(variable: impl Fn(&str) -> Option<OsString>) -> Result<Self> {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let home = set(if cfg!(windows) { "USERPROFILE" } else { "HOME" });
        let path = |name: &str| {
            let path = set(name)?;
            match (path.strip_prefix("~"), &home) {
                (Ok(rest), Some(home)) => Some(home.join(rest)),
                _ => Some(path),
            }
        };
        let in_home = |inside: &str| home.as_ref().map(|home| home.join(inside));
        let data = || {
            if cfg!(windows) {
                path("LOCALAPPDATA")
            } else if cfg!(target_os = "macos") {
                in_home("Library/Application Support")
            } else {
                path("XDG_DATA_HOME").or_else(|| in_home(".local/share"))
            }
        };
        let own = path("MARCATO_HOME").or_else(|| Some(data()?.join("marcato")));
        let hugging_face = || {
            let cache = || path("XDG_CACHE_HOME").or_else(|| in_home(".cache"));
            Some(path("HF_HOME").or_else(|| Some(cache()?.join("huggingface")))?.join("hub"))
        };
        let hub_cache = path("HF_HUB_CACHE").or_else(|| path("HUGGINGFACE_HUB_CACHE")).or_else(hugging_face);
        let missing = |name| {
            Error::new(
                ErrorKind::NotFound,
                format!("there is no home directory to keep models in; set {name} to a folder"),
            )
        };
        Ok(Self {
            own: own.ok_or_else(|| missing("MARCATO_HOME"))?.join("models"),
            hub_cache: hub_cache.ok_or_else(|| missing("HF_HUB_CACHE"))?,
        })
    }

    /// Marcato's own folder; it need not exist.
    pub fn own(&self) -> &Path {
        &self.own
    }

    /// Hugging Face's cache; it need not exist.
    pub fn hub_cache(&self) -> &Path {
        &self.hub_cache
    }

    /// The model of that name and revision, Marcato's own before Hugging Face's.
    ///
    /// # Errors
    /// `NotFound`, with the places where it was looked for and the way to get it.
    pub fn find(&self, name: &ModelName) -> Result<LocalModel> {
        let mut others = Vec::new();
        for candidate in name.candidates() {
            for source in [ModelSource::Marcato, ModelSource::HuggingFace] {
                let known = Repository::read(self.root(source), &candidate.folder());
                match known
                    .commit(name.revision())
                    .and_then(|commit| known.model(candidate.repository(), commit, source))
                {
                    Some(model) => return Ok(model),
                    None => others
                        .extend(known.snapshots.iter().map(|commit| format!("{}@{commit}", candidate.repository()))),
                }
            }
        }
        let looked = format!("looked in {} and {}", self.own.display(), self.hub_cache.display());
        let remedy = if others.is_empty() {
            format!("get it with \"marcato model pull {name}\"")
        } else {
            format!("there is {}; say that, or \"marcato model pull {name}\"", others.join(", "))
        };
        Err(Error::new(ErrorKind::NotFound, format!("no model \"{name}\" on this machine ({looked}); {remedy}")))
    }

    /// Every model in Marcato's own folder, and what in Hugging Face's cache has the files of one; by folder and name.
    pub fn list(&self) -> Vec<LocalModel> {
        let mut models = Vec::new();
        for source in [ModelSource::Marcato, ModelSource::HuggingFace] {
            let root = self.root(source);
            for folder in names(root) {
                let Some(repository) = folder.strip_prefix("models--") else { continue };
                let known = Repository::read(root, &folder);
                let repository = repository.replacen("--", "/", 1);
                let model = |commit: &String| known.model(&repository, commit.clone(), source);
                models.extend(known.snapshots.iter().filter_map(model).filter(is_model));
            }
        }
        models
    }

    fn root(&self, source: ModelSource) -> &Path {
        match source {
            ModelSource::Marcato => &self.own,
            ModelSource::HuggingFace => &self.hub_cache,
        }
    }
}

/// The directory or artifact that `model` means: the path itself if something is there, else the model of that name.
pub(super) fn locate(model: &Path) -> Result<PathBuf> {
    if model.symlink_metadata().is_ok() {
        return Ok(model.to_owned());
    }
    let nothing = || format!("there is no directory or artifact {}", model.display());
    let Some(Ok(name)) = model.to_str().map(str::parse::<ModelName>) else {
        return Err(Error::new(ErrorKind::NotFound, nothing()).with_path(model));
    };
    match Models::from_env().and_then(|models| models.find(&name)) {
        Ok(found) => Ok(found.path),
        Err(error) => Err(Error::new(ErrorKind::NotFound, format!("{}, and {error}", nothing())).with_path(model)),
    }
}

/// Hugging Face's cache has data sets' cards, other formats and single configurations too.
fn is_model(model: &LocalModel) -> bool {
    let has = |file: &str| model.path.join(file).is_file();
    let is_whole = || has("config.json") && (has("model.safetensors") || has("model.safetensors.index.json"));
    model.source == ModelSource::Marcato || has("modules.json") || is_whole()
}
