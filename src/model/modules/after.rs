//! The modules that a pooled vector goes through: Dense, LayerNorm, Normalize, in the order that the model has them in.

use serde_json::json;

use super::{Entry, inside};
use crate::error::{Error, Result};
use crate::model::config::Activation;
use crate::model::files::ModelFiles;
use crate::model::keys::Keys;

/// The longest vector between modules.
const MAX_DIMENSION: usize = 1 << 16;

/// One step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Module {
    Dense(Dense),
    LayerNorm(LayerNorm),
    /// To unit length.
    Normalize,
}

/// A product with a matrix, and a function of each number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Dense {
    folder: String,
    pub(crate) inputs: usize,
    pub(crate) outputs: usize,
    pub(crate) bias: bool,
    pub(crate) activation: Activation,
}

/// PyTorch's, whose epsilon is 1e-5.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LayerNorm {
    folder: String,
    pub(crate) dimension: usize,
}

/// The steps of `entries` for a pooled vector of `dimension`.
pub(super) fn parse(files: &ModelFiles, entries: &[Entry], mut dimension: usize) -> Result<Vec<Module>> {
    let mut modules = Vec::new();
    for entry in entries {
        let module = match entry.kind.as_str() {
            "Dense" => Module::Dense(Dense::parse(files, &entry.folder)?),
            "LayerNorm" => Module::LayerNorm(LayerNorm::parse(files, &entry.folder)?),
            "Normalize" => {
                check_normalize(files, &entry.folder)?;
                Module::Normalize
            }
            // In training only.
            "Dropout" => continue,
            _ => {
                return Err(Error::model(format!(
                    "modules.json: module \"{}\" is not supported after Pooling; Dense, LayerNorm and Normalize are",
                    entry.class
                )));
            }
        };
        let takes = module.inputs(dimension);
        if takes != dimension {
            return Err(Error::model(format!(
                "{}: takes {takes} numbers, but the module before it gives {dimension}",
                inside(&entry.folder, "config.json")
            )));
        }
        dimension = module.dimension(dimension);
        modules.push(module);
    }
    Ok(modules)
}

impl Module {
    fn inputs(&self, given: usize) -> usize {
        match self {
            Self::Dense(dense) => dense.inputs,
            Self::LayerNorm(norm) => norm.dimension,
            Self::Normalize => given,
        }
    }

    /// Numbers of the vector that comes out, of `given` that go in.
    pub(crate) fn dimension(&self, given: usize) -> usize {
        match self {
            Self::Dense(dense) => dense.outputs,
            Self::LayerNorm(_) | Self::Normalize => given,
        }
    }

    /// The folder of its weights, if it has any.
    pub(in crate::model) fn folder(&self) -> Option<&str> {
        match self {
            Self::Dense(dense) => Some(&dense.folder),
            Self::LayerNorm(norm) => Some(&norm.folder),
            Self::Normalize => None,
        }
    }

    /// The names and shapes of its tensors.
    pub(in crate::model) fn tensors(&self) -> Vec<(String, Vec<usize>)> {
        match self {
            Self::Dense(dense) => {
                let bias = dense.bias.then(|| (dense.tensor("linear.bias"), vec![dense.outputs]));
                let matrix = (dense.tensor("linear.weight"), vec![dense.outputs, dense.inputs]);
                std::iter::once(matrix).chain(bias).collect()
            }
            Self::LayerNorm(norm) => {
                ["norm.weight", "norm.bias"].map(|name| (norm.tensor(name), vec![norm.dimension])).to_vec()
            }
            Self::Normalize => Vec::new(),
        }
    }
}

impl Dense {
    fn parse(files: &ModelFiles, folder: &str) -> Result<Self> {
        let file = inside(folder, "config.json");
        let mut keys = Keys::parse(&file, files.required(&file)?.as_slice())?;
        let activation = keys.optional_text("activation_function")?;
        let dense = Self {
            folder: folder.to_owned(),
            inputs: keys.count("in_features", MAX_DIMENSION)?,
            outputs: keys.count("out_features", MAX_DIMENSION)?,
            bias: keys.flag("bias", true)?,
            // The reference's default where the key is absent.
            activation: activation.map_or(Ok(Activation::Tanh), |class| parse_class(&file, &class))?,
        };
        only_sentence_embedding(&mut keys)?;
        keys.only("use_residual", &json!(false))?;
        keys.finish(&[])?;
        Ok(dense)
    }

    /// What the weights call its tensor.
    pub(crate) fn tensor(&self, name: &str) -> String {
        tensor(&self.folder, name)
    }
}

impl LayerNorm {
    fn parse(files: &ModelFiles, folder: &str) -> Result<Self> {
        let file = inside(folder, "config.json");
        let mut keys = Keys::parse(&file, files.required(&file)?.as_slice())?;
        let dimension = keys.count("dimension", MAX_DIMENSION)?;
        keys.finish(&[])?;
        Ok(Self { folder: folder.to_owned(), dimension })
    }

    /// What the weights call its tensor.
    pub(crate) fn tensor(&self, name: &str) -> String {
        tensor(&self.folder, name)
    }
}

/// What the weights call a tensor of a module's own file: each module has one, with the same names in it.
pub(in crate::model) fn tensor(folder: &str, name: &str) -> String {
    format!("{folder}.{name}")
}

/// Older versions write no file for it.
fn check_normalize(files: &ModelFiles, folder: &str) -> Result<()> {
    let file = inside(folder, "config.json");
    // In the model's own folder that is the encoder's.
    if folder.is_empty() {
        return Ok(());
    }
    let Some(bytes) = files.optional(&file)? else { return Ok(()) };
    let mut keys = Keys::parse(&file, bytes.as_slice())?;
    only_sentence_embedding(&mut keys)?;
    keys.finish(&[])
}

fn only_sentence_embedding(keys: &mut Keys) -> Result<()> {
    keys.only("module_input_name", &json!("sentence_embedding"))?;
    keys.only("module_output_name", &json!("sentence_embedding"))
}

/// The function of a class of `torch.nn`, made without arguments.
fn parse_class(file: &str, class: &str) -> Result<Activation> {
    let kind = ["torch.nn.modules.activation.", "torch.nn.modules.linear.", "torch.nn."]
        .iter()
        .find_map(|module| class.strip_prefix(module));
    match kind {
        Some("Identity") => Ok(Activation::Identity),
        Some("GELU") => Ok(Activation::Gelu),
        Some("ReLU") => Ok(Activation::Relu),
        Some("Sigmoid") => Ok(Activation::Sigmoid),
        Some("SiLU") => Ok(Activation::Silu),
        Some("Tanh") => Ok(Activation::Tanh),
        _ => Err(Error::model(format!(
            "{file}: \"activation_function\": \"{class}\" is not supported; Identity, GELU, ReLU, Sigmoid, SiLU and Tanh of torch.nn are"
        ))),
    }
}
