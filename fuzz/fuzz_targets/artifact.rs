//! An artifact, and bare safetensors: a model or an error.
#![no_main]

use marcato::{BiEncoder, CrossEncoder, Encoder, ModelKind};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.marcato");
    std::fs::write(&path, bytes).unwrap();
    let path = path.to_str().unwrap();
    let _ = ModelKind::of(path);
    if let Ok(model) = BiEncoder::open(path) {
        let _ = model.encode_passages(&["a text"]);
    }
    let _ = CrossEncoder::open(path);
});
