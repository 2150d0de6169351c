//! `1_Pooling/config.json`: how the states of a text's tokens become one vector.

use serde_json::Value;

use super::inside;
use crate::error::{Error, Result};
use crate::model::files::ModelFiles;
use crate::model::keys::Keys;

/// One or more ways to pool, their vectors one after the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pooling {
    /// At least one.
    pub(crate) modes: Vec<PoolingMode>,
    /// Whether the tokens of a prompt are pooled with those of the text.
    pub(crate) include_prompt: bool,
}

/// The names are sentence-transformers'.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PoolingMode {
    /// The state of the first token.
    Cls,
    /// The largest of each column.
    Max,
    /// The mean over all tokens, special ones too.
    Mean,
    /// The sum, divided by the square root of the number of tokens.
    MeanSqrtLen,
    /// The mean weighted by position: 1 for the first token, 2 for the second, and so on.
    WeightedMean,
    /// The state of the last token.
    LastToken,
}

/// In the order in which the reference puts together what its older flags choose.
const MODES: [(PoolingMode, &str, &str); 6] = [
    (PoolingMode::Cls, "cls", "pooling_mode_cls_token"),
    (PoolingMode::Max, "max", "pooling_mode_max_tokens"),
    (PoolingMode::Mean, "mean", "pooling_mode_mean_tokens"),
    (PoolingMode::MeanSqrtLen, "mean_sqrt_len_tokens", "pooling_mode_mean_sqrt_len_tokens"),
    (PoolingMode::WeightedMean, "weightedmean", "pooling_mode_weightedmean_tokens"),
    (PoolingMode::LastToken, "lasttoken", "pooling_mode_lasttoken"),
];

/// The most modes of a concatenation: each once, and as many again.
const MAX_MODES: usize = 12;

impl PoolingMode {
    pub(crate) fn name(self) -> &'static str {
        MODES.iter().find(|(mode, ..)| *mode == self).map_or("", |(_, name, _)| name)
    }
}

impl Pooling {
    pub(super) fn parse(files: &ModelFiles, folder: &str, width: usize) -> Result<Self> {
        let file = inside(folder, "config.json");
        let mut keys = Keys::parse(&file, files.required(&file)?.as_slice())?;
        let key = if keys.has("embedding_dimension") { "embedding_dimension" } else { "word_embedding_dimension" };
        let dimension = keys.count(key, 1 << 14)?;
        if dimension != width {
            return Err(Error::model(format!("{file}: {key} is {dimension}, config.json implies {width}")));
        }
        let include_prompt = keys.flag("include_prompt", true)?;
        let mut flagged = Vec::new();
        for (mode, _, flag) in MODES {
            if keys.flag(flag, false)? {
                flagged.push(mode);
            }
        }
        // The newer key wins over the flags, as in the reference.
        let modes = match keys.take("pooling_mode") {
            None => flagged,
            Some(Value::Array(names)) => names.iter().map(|name| mode(&file, name)).collect::<Result<Vec<_>>>()?,
            Some(name) => vec![mode(&file, &name)?],
        };
        keys.finish(&[])?;
        match modes.len() {
            0 => Err(Error::model(format!("{file} chooses no pooling mode"))),
            1..=MAX_MODES => Ok(Self { modes, include_prompt }),
            count => {
                Err(Error::model(format!("{file}: \"pooling_mode\" lists {count} modes, {MAX_MODES} are the most")))
            }
        }
    }

    /// Numbers of a pooled vector.
    pub(crate) fn dimension(&self, width: usize) -> usize {
        self.modes.len() * width
    }

    /// The modes' names, `mean` or `cls+mean`.
    pub(crate) fn name(&self) -> String {
        self.modes.iter().map(|mode| mode.name()).collect::<Vec<_>>().join("+")
    }

    /// Whether the first token's state is all that is needed, of a text after a prompt of `prompt` tokens.
    pub(crate) fn is_cls_alone(&self, prompt: usize) -> bool {
        self.modes == [PoolingMode::Cls] && (self.include_prompt || prompt == 0)
    }
}

fn mode(file: &str, name: &Value) -> Result<PoolingMode> {
    let known = |text: &str| MODES.iter().find(|(_, name, _)| *name == text).map(|(mode, ..)| *mode);
    name.as_str().and_then(known).ok_or_else(|| {
        let all = MODES.map(|(_, name, _)| name).join(", ");
        Error::model(format!("{file}: \"pooling_mode\": {name} is not supported; {all} are"))
    })
}
