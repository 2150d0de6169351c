//! The model that a collection was made with, found again by the name and the fingerprint that it kept.

use std::path::PathBuf;

use super::{BiEncoder, BiEncoderOptions, Encoder};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{ModelName, Models, Precision};

/// A model that was found by its name and is not loaded yet.
pub(crate) struct Recalled {
    name: String,
    fingerprint: String,
    /// Each revision that is on this machine, the most likely first.
    places: Vec<PathBuf>,
}

impl Recalled {
    /// Looks for the model without reading it.
    ///
    /// # Errors
    /// `NotFound` if it is not on this machine, `Misuse` if what it is called is not a model's name.
    pub(crate) fn find(name: &str, fingerprint: &str) -> Result<Self> {
        let parsed: ModelName = name.parse()?;
        let models = Models::from_env()?;
        let mut places: Vec<PathBuf> = models.find(&parsed).map(|found| found.path).into_iter().collect();
        for model in models.list() {
            if model.repository == parsed.repository() && !places.contains(&model.path) {
                places.push(model.path);
            }
        }
        if places.is_empty() {
            models.find(&parsed)?;
        }
        Ok(Self { name: name.to_owned(), fingerprint: fingerprint.to_owned(), places })
    }

    /// Loads it; never another than the one that was asked for.
    ///
    /// # Errors
    /// `Incompatible` if no revision of it has the fingerprint; as [`BiEncoder::open`].
    pub(crate) fn load(&self, options: &BiEncoderOptions) -> Result<BiEncoder> {
        let precisions = match options.engine.precision {
            // What a collection was made at is part of the fingerprint only.
            Precision::Auto => &[Precision::Auto, Precision::Int8][..],
            _ => &[options.engine.precision],
        };
        let mut failed = None;
        for place in &self.places {
            for precision in precisions {
                match options.clone().precision(*precision).open(place) {
                    Ok(encoder) if encoder.fingerprint() == self.fingerprint => return Ok(encoder),
                    Ok(_) => {}
                    // A revision that was never downloaded whole must not hide one that was.
                    Err(error) => failed = failed.or(Some(error)),
                }
            }
        }
        if let Some(error) = failed {
            return Err(error);
        }
        let short: String = self.fingerprint.chars().take(12).collect();
        Err(Error::new(
            ErrorKind::Incompatible,
            format!(
                "the collection was made with the encoder \"{}\" ({short}), and no revision of it on this machine is that \
                 one; get it with \"marcato model pull {}@REVISION\", or move the collection to another model with \"marcato reembed\"",
                self.name, self.name
            ),
        ))
    }
}
