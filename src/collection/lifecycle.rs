//! From nothing to an open collection, and back: create, open, close.
//!
//! A collection is a directory with `store.redb`, the truth, and `views/`, which may be deleted whenever nobody has
//! the collection open.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};

#[cfg(feature = "usearch")]
use super::behind::{self, Phase};
use super::choice::{DefaultEncoder, EncoderChoice};
use super::commit::Queue;
use super::filtered::Remembered;
use super::holder::{self, Holder};
#[cfg(feature = "lexical")]
use super::lexical_view::LexicalView;
use super::options::{CollectionOptions, Index};
#[cfg(feature = "usearch")]
use super::recover::load_if_due;
use super::recover::{checkpoint, recover};
use super::{Collection, Inner};
use crate::error::{Error, ErrorKind, Result};
use crate::medium::{Medium, make_directories};
use crate::progress::{Progress, Stage};
use crate::similarity::Similarity;
use crate::store::{LexicalSettings, Settings, Store, random_nonce};

const STORE_FILE: &str = "store.redb";

pub(super) fn store_path(directory: &Path) -> PathBuf {
    directory.join(STORE_FILE)
}

/// Whether there is a collection in `directory`, sound or not.
pub(super) fn exists(medium: &dyn Medium, directory: &Path) -> Result<bool> {
    medium.exists(&store_path(directory)).or_else(|source| match source.kind() {
        // A file in the directory's place: whoever makes or opens a collection there says so.
        io::ErrorKind::NotADirectory => Ok(false),
        _ => Err(Error::io("look for a collection in", directory, source)),
    })
}

pub(super) fn create(options: CollectionOptions, directory: &Path) -> Result<Collection> {
    refuse_collection(&*options.medium, directory)?;
    let settings = new_settings(&options)?;
    make_directory(&*options.medium, directory)?;
    let store = Store::create(&options.medium, &store_path(directory), settings, &lexical_settings(&options))?;
    index_fields(&store, &options)?;
    assemble(options, store, Some(directory))
}

/// A directory for a new collection, with nothing else in it.
pub(super) fn make_directory(medium: &dyn Medium, directory: &Path) -> Result<()> {
    refuse_collection(medium, directory)?;
    make_directories(medium, directory).map_err(|source| match source.kind() {
        io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory => {
            Error::misuse(format!("{} is a file; a collection is a directory of its own", directory.display()))
                .with_path(directory)
        }
        _ => Error::io("make the collection", directory, source),
    })?;
    refuse_foreign_files(medium, directory)
}

pub(super) fn in_memory(options: CollectionOptions) -> Result<Collection> {
    let settings = new_settings(&options)?;
    let store = Store::in_memory(&settings, &lexical_settings(&options))?;
    index_fields(&store, &options)?;
    assemble(options, store, None)
}

fn index_fields(store: &Store, options: &CollectionOptions) -> Result<()> {
    options.index_fields.iter().try_for_each(|field| store.create_field_index(field).map(drop))
}

pub(super) fn open(mut options: CollectionOptions, directory: &Path, read_only: bool) -> Result<Collection> {
    if !exists(&*options.medium, directory)? {
        return Err(no_collection(directory));
    }
    let store = open_store(&mut options, directory, read_only)?;
    check_settings(&mut options, store.settings(), directory)?;
    // Beside the views, which take longer to read than the store takes to open.
    if options.preload {
        options.encoder.preload();
    }
    assemble(options, store, Some(directory))
}

pub(super) fn no_collection(directory: &Path) -> Error {
    let message = format!("there is no collection in {}; create one, or check the path", directory.display());
    Error::new(ErrorKind::NotFound, message).with_path(directory)
}

pub(super) fn open_store(options: &mut CollectionOptions, directory: &Path, read_only: bool) -> Result<Store> {
    let path = store_path(directory);
    if read_only {
        Store::open_read_only(&path)
    } else {
        let on_progress = &mut options.on_progress;
        Store::open(&options.medium, &path, &mut |percent| {
            if let Some(on_progress) = on_progress {
                // A store half mended is no use to anybody: this stage cannot be stopped.
                let _ = on_progress(Progress { stage: Stage::Repair, done: percent, total: 100 });
            }
        })
    }
    .map_err(|error| holder::named(error, directory))
}

fn refuse_collection(medium: &dyn Medium, directory: &Path) -> Result<()> {
    if exists(medium, directory)? {
        return Err(
            Error::misuse(format!("{} is a collection already; open it", directory.display())).with_path(directory)
        );
    }
    Ok(())
}

/// A directory with other things in it is more likely a mistyped path than a place for a collection.
fn refuse_foreign_files(medium: &dyn Medium, directory: &Path) -> Result<()> {
    for (name, _) in medium.names(directory).map_err(|source| Error::io("list", directory, source))? {
        // What an interrupted creation leaves behind.
        if name != "store.new" && name != "views" && name != holder::FILE {
            return Err(Error::misuse(format!(
                "{} holds other files (such as {}); give the collection a directory of its own",
                directory.display(),
                Path::new(&name).display()
            ))
            .with_path(directory));
        }
    }
    Ok(())
}

pub(super) fn new_settings(options: &CollectionOptions) -> Result<Settings> {
    let (dimension, similarity, fingerprint, encoder) = match (&options.encoder, options.embeddings) {
        (EncoderChoice::Absent, Some((dimension, similarity))) => (dimension, similarity, String::new(), String::new()),
        (EncoderChoice::Absent, None) => {
            return Err(Error::misuse("a new collection needs an encoder, or the dimension of your own embeddings"));
        }
        (choice, _) => {
            let encoder = choice.get()?;
            // No fingerprint is the mark of collections without an encoder.
            if encoder.fingerprint().is_empty() {
                return Err(Error::misuse(format!(
                    "the encoder \"{}\" has no fingerprint; give it one",
                    encoder.name()
                )));
            }
            (encoder.dimension(), encoder.similarity(), encoder.fingerprint().to_owned(), encoder.name().to_owned())
        }
    };
    if !(1..=crate::index::MAX_DIMENSION).contains(&dimension) {
        return Err(Error::misuse(format!(
            "embeddings may have 1 to {} numbers, not {dimension}",
            crate::index::MAX_DIMENSION
        )));
    }
    Ok(Settings {
        uuid: (u128::from(random_nonce()) << 64 | u128::from(random_nonce())).to_le_bytes(),
        dimension: u32::try_from(dimension).unwrap_or(u32::MAX),
        similarity: similarity.name().to_owned(),
        fingerprint,
        encoder,
        index: options.index.name().to_owned(),
    })
}

fn lexical_settings(options: &CollectionOptions) -> LexicalSettings {
    LexicalSettings { language: options.language.map_or_else(String::new, |language| language.name().to_owned()) }
}

/// A collection never mixes two models (invariant M2).
fn check_settings(options: &mut CollectionOptions, settings: &Settings, directory: &Path) -> Result<()> {
    let incompatible = |message: String| Err(Error::new(ErrorKind::Incompatible, message).with_path(directory));
    let place = directory.display();
    if let Some((dimension, similarity)) = options.embeddings {
        let stored = (settings.dimension as usize, settings.similarity.as_str());
        if stored != (dimension, similarity.name()) || !settings.fingerprint.is_empty() {
            let made = if settings.fingerprint.is_empty() { "embeddings" } else { "the embeddings of an encoder," };
            return incompatible(format!(
                "{place} was made for {made} of {} numbers compared by {}, not {dimension} by {similarity}",
                stored.0, stored.1
            ));
        }
    }
    if settings.fingerprint.is_empty() {
        if options.encoder.is_explicit() {
            return incompatible(format!(
                "{place} was made for embeddings of the caller's own; open it without an encoder"
            ));
        }
        options.encoder = EncoderChoice::Absent;
        return Ok(());
    }
    let short = |fingerprint: &str| fingerprint.chars().take(12).collect::<String>();
    let made = format!("{place} was made with the encoder \"{}\" ({})", settings.encoder, short(&settings.fingerprint));
    match &options.encoder {
        EncoderChoice::Absent => Ok(()),
        EncoderChoice::Given(encoder) if encoder.fingerprint() == settings.fingerprint => Ok(()),
        EncoderChoice::Given(encoder) => incompatible(format!(
            "{made}, not the one given ({}); open it with that encoder, or move the collection to another with reembed",
            short(encoder.fingerprint())
        )),
        EncoderChoice::Default(_) if DefaultEncoder::builtin_fingerprint()?.as_ref() == Some(&settings.fingerprint) => {
            Ok(())
        }
        EncoderChoice::Default(default) => {
            match EncoderChoice::recall(default, &settings.encoder, &settings.fingerprint) {
                Ok(recalled) => {
                    options.encoder = recalled;
                    Ok(())
                }
                // What an application or a directory calls its model is no name on the hub: nothing to look for.
                Err(error) if error.kind() == ErrorKind::Misuse => incompatible(format!(
                    "{made}; open it with that encoder, or move the collection to another with reembed"
                )),
                Err(error) => {
                    incompatible(format!("{made}, which was not found; {error}, or open it with that encoder"))
                }
            }
        }
    }
}

pub(super) fn assemble(mut options: CollectionOptions, store: Store, directory: Option<&Path>) -> Result<Collection> {
    let settings = store.settings();
    let similarity: Similarity = settings.similarity.parse()?;
    let index: Index = settings.index.parse()?;
    let dimension = settings.dimension as usize;
    // Before the views are read, which may take long: whoever comes meanwhile is told too.
    let holder = directory.filter(|_| !store.is_read_only()).map(Holder::claim);
    let recovered = recover(&mut options, &store, directory)?;
    let inner = Arc::new(Inner {
        _holder: holder,
        #[cfg(feature = "lexical")]
        lexical: LexicalView::open(&store, &recovered.live.reader, similarity, directory),
        live: RwLock::new(recovered.live),
        queue: Queue::default(),
        writing: Mutex::new(recovered.tail),
        #[cfg(feature = "usearch")]
        behind: Arc::default(),
        remembered: Remembered::default(),
        encoder: options.encoder,
        dimension,
        similarity,
        index,
        directory: directory.map(Path::to_owned),
        report: Mutex::new(recovered.report),
        store,
    });
    let collection = Collection::of(inner);
    #[cfg(feature = "usearch")]
    behind::begin(&collection.0, recovered.file);
    Ok(collection)
}

impl Clone for Collection {
    fn clone(&self) -> Self {
        Self::of(Arc::clone(&self.0))
    }
}

#[cfg(feature = "usearch")]
impl Drop for Collection {
    fn drop(&mut self) {
        self.0.behind.handle_gone();
    }
}

impl Collection {
    fn of(inner: Arc<Inner>) -> Self {
        #[cfg(feature = "usearch")]
        inner.behind.handle_made();
        Self(inner)
    }

    /// Brings the files of the indexes up to date, so that opening takes no time. Waits for an index that is being loaded or
    /// made anew.
    ///
    /// # Errors
    /// `Io` or `Full` if a file cannot be written. No passage depends on it.
    pub fn flush(&self) -> Result<()> {
        self.0.wait_for_index();
        let mut tail = self.0.writing.lock();
        #[cfg(feature = "lexical")]
        self.0.lexical.save(&self.0, 1)?;
        checkpoint(&self.0, &mut tail, false)
    }

    /// Brings the files of the indexes up to date if that saves more time at the next opening than it takes now, and lets
    /// go of this handle. Waits for an index that is being made anew. The last handle to go releases the collection to
    /// others.
    ///
    /// Dropping the last handle does the same, but does not wait for an index that is being made, and tells no error.
    ///
    /// # Errors
    /// As [`flush`](Self::flush).
    pub fn close(self) -> Result<()> {
        let inner = &*self.0;
        if !inner.is_loading() || inner.is_due() {
            inner.wait_for_index();
        }
        let mut tail = inner.writing.lock();
        #[cfg(feature = "lexical")]
        inner.lexical.save_if_due(inner)?;
        checkpoint(inner, &mut tail, true)
    }
}

impl Inner {
    /// Until the graph is there that was lost, or is loaded.
    pub(super) fn wait_for_index(&self) {
        #[cfg(feature = "usearch")]
        self.behind.wait_for(Phase::Over);
    }

    /// Until the graph is there, or known to be lost.
    pub(super) fn wait_while_loading(&self) {
        #[cfg(feature = "usearch")]
        self.behind.wait_for(Phase::Making);
    }

    fn is_loading(&self) -> bool {
        #[cfg(feature = "usearch")]
        return self.behind.is_loading();
        #[cfg(not(feature = "usearch"))]
        false
    }

    fn is_due(&self) -> bool {
        let passages = self.live.read().reader.state().passages;
        !self.store.is_read_only() && self.writing.lock().is_due(passages)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // Whoever opens the collection next must not find the mark of a load that is under way.
        #[cfg(feature = "usearch")]
        self.behind.wait_for(Phase::Placing);
        let mut tail = self.writing.lock();
        #[cfg(feature = "lexical")]
        self.lexical.close(self);
        // Nothing is lost if either fails: the view is replayed or rebuilt from the store.
        #[cfg(feature = "usearch")]
        let _ = load_if_due(self, &mut tail);
        let _ = checkpoint(self, &mut tail, true);
    }
}
