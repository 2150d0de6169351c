//! From logits to scores.

use crate::error::{Error, Result};

/// The function that turns a cross-encoder's logits into its scores.
///
/// Both ascend, so that it changes no ranking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ScoreActivation {
    /// The logits themselves, of any size.
    Identity,
    /// `1 / (1 + exp(-logit))`, between 0 and 1.
    Sigmoid,
}

impl ScoreActivation {
    /// `"identity"` or `"sigmoid"`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Sigmoid => "sigmoid",
        }
    }

    /// What a model declares by the path of a Python class; without that sentence-transformers takes the sigmoid of one
    /// label and several as they are.
    pub(super) fn declared(class: Option<&str>, labels: usize) -> Result<Self> {
        let Some(class) = class else {
            return Ok(if labels == 1 { Self::Sigmoid } else { Self::Identity });
        };
        match class {
            "torch.nn.Identity" | "torch.nn.modules.linear.Identity" => Ok(Self::Identity),
            "torch.nn.Sigmoid" | "torch.nn.modules.activation.Sigmoid" => Ok(Self::Sigmoid),
            _ => Err(Error::model(format!(
                "the model declares the activation \"{class}\", which is not supported; torch.nn.Identity and \
                 torch.nn.Sigmoid are, and another can be chosen when it is opened"
            ))),
        }
    }

    pub(super) fn apply(self, logits: &mut [f32]) {
        match self {
            Self::Identity => {}
            Self::Sigmoid => logits.iter_mut().for_each(|logit| *logit = 1.0 / (1.0 + (-*logit).exp())),
        }
    }
}
