//! One query with a hundred passages of a hundred tokens, through cross-encoders of the shapes of ms-marco-MiniLM-L6
//! and ms-marco-TinyBERT-L2.
//!
//!     cargo bench --bench rerank
//!
//! Their weights are random, which makes no difference to the time.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a benchmark stops at the first failure")]

mod corpus;

use std::collections::BTreeMap;
use std::fs;
use std::num::NonZero;
use std::path::Path;
use std::time::Instant;

use marcato::{CrossEncoder, Precision};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde_json::json;

const PASSAGES: usize = 100;
/// Words of a passage: with the query's tokens and the special ones about a hundred tokens.
const WORDS: usize = 70;
const ROUNDS: usize = 7;
const VOCABULARY: usize = 30_522;

struct Shape {
    name: &'static str,
    layers: usize,
    width: usize,
    heads: usize,
    inner: usize,
}

const SHAPES: [Shape; 2] = [
    Shape { name: "MiniLM-L6", layers: 6, width: 384, heads: 12, inner: 1536 },
    Shape { name: "TinyBERT-L2", layers: 2, width: 128, heads: 2, inner: 512 },
];

fn main() {
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    let words = corpus::words();
    let passage = |n: usize| words.iter().cycle().skip(n * 37).take(WORDS).copied().collect::<Vec<_>>().join(" ");
    let passages: Vec<String> = (0..PASSAGES).map(passage).collect();
    for shape in SHAPES {
        let folder = tempfile::tempdir().unwrap();
        shape.write(folder.path());
        for (precision, threads) in [Precision::F32, Precision::Int8].into_iter().flat_map(|p| [(p, 1), (p, cores)]) {
            let encoder = CrossEncoder::options().precision(precision).threads(threads).open(folder.path()).unwrap();
            let mut seconds: Vec<f64> = (0..=ROUNDS)
                .map(|_| {
                    let started = Instant::now();
                    assert_eq!(encoder.rank("how big is London", &passages, usize::MAX).unwrap().len(), PASSAGES);
                    started.elapsed().as_secs_f64()
                })
                .skip(1)
                .collect();
            seconds.sort_by(f64::total_cmp);
            let median = seconds[ROUNDS / 2];
            println!(
                "{:12} {:5} {:12} {threads} threads: {:7.1} ms, {:6.0} pairs/s",
                shape.name,
                precision.name(),
                encoder.instruction_set(),
                median * 1e3,
                PASSAGES as f64 / median
            );
        }
    }
}

impl Shape {
    /// A model of this shape in `directory`, with the built-in model's tokenizer.
    fn write(&self, directory: &Path) {
        let config = json!({
            "architectures": ["BertForSequenceClassification"], "model_type": "bert", "hidden_act": "gelu",
            "num_hidden_layers": self.layers, "hidden_size": self.width, "num_attention_heads": self.heads,
            "intermediate_size": self.inner, "vocab_size": VOCABULARY, "max_position_embeddings": 512,
            "type_vocab_size": 2, "layer_norm_eps": 1e-12, "pad_token_id": 0, "id2label": {"0": "LABEL_0"},
        });
        fs::write(directory.join("config.json"), config.to_string()).unwrap();
        let artifact = SafeTensors::deserialize(marcato_builtin::ARTIFACT).unwrap();
        fs::write(directory.join("tokenizer.json"), artifact.tensor("file:tokenizer.json").unwrap().data()).unwrap();
        let mut state = 7u64;
        let tensors: BTreeMap<String, (Vec<usize>, Vec<u8>)> = self
            .tensors()
            .into_iter()
            .map(|(name, shape)| {
                let mut number = || {
                    // Knuth's multiplicative generator, to about the spread of real weights.
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    ((state >> 40) as f32 / (1u64 << 24) as f32 - 0.5) / 8.0
                };
                let bytes = (0..shape.iter().product::<usize>()).flat_map(|_| number().to_le_bytes()).collect();
                (name, (shape, bytes))
            })
            .collect();
        let views = tensors
            .iter()
            .map(|(name, (shape, bytes))| (name, TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap()));
        fs::write(directory.join("model.safetensors"), safetensors::serialize(views, None).unwrap()).unwrap();
    }

    fn tensors(&self) -> Vec<(String, Vec<usize>)> {
        let (width, inner) = (self.width, self.inner);
        let mut tensors = vec![
            ("bert.embeddings.word_embeddings.weight".to_owned(), vec![VOCABULARY, width]),
            ("bert.embeddings.position_embeddings.weight".to_owned(), vec![512, width]),
            ("bert.embeddings.token_type_embeddings.weight".to_owned(), vec![2, width]),
            ("classifier.weight".to_owned(), vec![1, width]),
            ("classifier.bias".to_owned(), vec![1]),
        ];
        let mut linear = |name: String, shape: [usize; 2]| {
            tensors.push((format!("{name}.weight"), shape.to_vec()));
            tensors.push((format!("{name}.bias"), vec![shape[0]]));
        };
        linear("bert.pooler.dense".to_owned(), [width, width]);
        for layer in 0..self.layers {
            let at = |name: &str| format!("bert.encoder.layer.{layer}.{name}");
            for part in ["self.query", "self.key", "self.value", "output.dense"] {
                linear(at(&format!("attention.{part}")), [width, width]);
            }
            linear(at("intermediate.dense"), [inner, width]);
            linear(at("output.dense"), [width, inner]);
        }
        let parts = |layer| ["attention.output", "output"].map(|part| format!("bert.encoder.layer.{layer}.{part}"));
        let norms = (0..self.layers).flat_map(parts);
        for name in norms.chain(["bert.embeddings".to_owned()]) {
            tensors.push((format!("{name}.LayerNorm.weight"), vec![width]));
            tensors.push((format!("{name}.LayerNorm.bias"), vec![width]));
        }
        tensors
    }
}
