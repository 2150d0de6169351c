//! The kernels of the CPU backend by themselves, beside what the machine can do at most, and how they make up a model.
//!
//!     cargo bench --bench kernels --features rates -- [avx512 | avx-vnni | avx2 | portable] [rows]
//!
//! One core. The peak is that of a loop over registers alone, so that clock, throttling and neighbours cancel.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a benchmark stops at the first failure")]

use std::time::Instant;

use marcato::{BiEncoder, Encoder, InstructionLevel, Rate, kernel_rates};

/// Words that are one token each; with the two special ones a passage has 93, as real ones have on average.
const WORDS: usize = 91;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let rows = arguments.iter().find_map(|argument| argument.parse().ok()).unwrap_or(256);
    let named = arguments.iter().find_map(|argument| argument.parse::<InstructionLevel>().ok());
    let levels =
        [InstructionLevel::Avx512, InstructionLevel::AvxVnni, InstructionLevel::Avx2, InstructionLevel::Portable];
    let level = named.unwrap_or_else(|| *levels.iter().find(|level| kernel_rates(**level, 1).is_ok()).unwrap());
    println!("{level}, {rows} rows, one core");
    let rates = kernel_rates(level, rows).unwrap();
    for Rate { name, row_micros, giga_ops, peak } in &rates {
        print!("{name:44} {row_micros:8.3} us/row");
        if *peak > 0.0 {
            println!(" {giga_ops:7.0} G/s, {:.2} of {peak:.0}", giga_ops / peak);
        } else if *giga_ops > 0.0 {
            println!(" {giga_ops:7.0} G/s");
        } else {
            println!();
        }
    }
    whole(level, &rates);
}

/// The built-in model over passages of one length, and what of its time the kernels account for.
fn whole(level: InstructionLevel, rates: &[Rate]) {
    let encoder = BiEncoder::options().threads(1).instructions(level).builtin().unwrap();
    let words = ["river", "house", "stone", "light", "music", "paper", "water", "green"];
    // The first two words are the text's number: what is there twice would be computed once.
    let word = |at: usize, number: usize| {
        words[match number {
            0 => at / 8 % 8,
            1 => at % 8,
            _ => (number * 5 + at * 3 + number * at) % 8,
        }]
    };
    let text = |at: usize| (0..WORDS).map(|number| word(at, number)).collect::<Vec<_>>().join(" ");
    let texts: Vec<String> = (0..64).map(text).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let mut best = f64::MAX;
    for _ in 0..5 {
        let started = Instant::now();
        encoder.encode_passages(&texts).unwrap();
        best = best.min(started.elapsed().as_secs_f64());
    }
    let tokens = (texts.len() * (WORDS + 2)) as f64;
    println!("\nall-MiniLM-L6-v2, int8, {} tokens a passage: {:.2} us/token", WORDS + 2, best * 1e6 / tokens);
    let of = |name: &str| rates.iter().find(|rate| rate.name.starts_with(name)).map_or(0.0, |rate| rate.row_micros);
    for (part, micros) in [
        ("queries, keys, values (as three of 384 -> 384)", 3.0 * of("int8 384 -> 384")),
        ("attention", of("attention of 93 tokens, rounded")),
        ("attention's output", of("int8 384 -> 384")),
        ("intermediate with GELU", of("int8 384 -> 1536, Gelu")),
        ("output", of("int8 1536 -> 384")),
        ("quantize", 3.0 * of("quantize 384") + of("quantize 1536")),
        ("LayerNorm", 2.0 * of("LayerNorm 384")),
    ] {
        println!("  {part:48} {:6.2} us/token over six layers", 6.0 * micros);
    }
}
