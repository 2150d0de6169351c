//! Passages and tokens per second by length of text and number of threads, and the time of one query.
//!
//!     cargo bench --bench encode -- [DIR]      a model's directory, as f32 and as int8; the built-in model if left out
//!
//! `marcato bench` measures a model on texts of your own.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a benchmark stops at the first failure")]

mod corpus;

use std::num::NonZero;
use std::time::{Duration, Instant};

use marcato::{BiEncoder, Encoder, Precision};

/// Tokens that each measurement encodes at least.
const TOKENS: usize = 16_000;
const ROUNDS: usize = 5;

fn main() {
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    let directory = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    for threads in if cores == 1 { vec![1] } else { vec![1, cores] } {
        let options = BiEncoder::options().threads(threads);
        match &directory {
            None => measure(&options.builtin().unwrap(), threads),
            Some(path) => {
                for precision in [Precision::F32, Precision::Int8] {
                    measure(&options.clone().precision(precision).open(path).unwrap(), threads);
                }
            }
        }
    }
}

fn measure(encoder: &BiEncoder, threads: usize) {
    let info = encoder.info();
    println!("{}, {}, {}, {threads} threads", info.name, info.precision.name(), encoder.instruction_set());
    let words = corpus::words();
    for length in [8, 32, 64, 128, info.max_tokens] {
        // Words have a token and a bit, so a text of as many words is cut off at `length` tokens or near it.
        let text = |n: usize| words.iter().cycle().skip(n * 37).take(length).copied().collect::<Vec<_>>().join(" ");
        let texts: Vec<String> = (0..TOKENS.div_ceil(length)).map(text).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let tokens: usize = texts.iter().map(|text| encoder.count_tokens(text).unwrap()).sum();
        encoder.encode_passages(&texts[..texts.len().min(64)]).unwrap();
        let seconds =
            median((0..ROUNDS).map(|_| timed(|| drop(encoder.encode_passages(&texts).unwrap())))).as_secs_f64();
        let one = median((0..50).map(|n| timed(|| drop(encoder.encode_queries(&[texts[n % texts.len()]]).unwrap()))));
        println!(
            "  {:5.1} tokens a text: {:7.0} texts/s, {:7.0} tokens/s; one alone {:.2} ms",
            tokens as f64 / texts.len() as f64,
            texts.len() as f64 / seconds,
            tokens as f64 / seconds,
            one.as_secs_f64() * 1e3
        );
    }
}

fn timed(work: impl FnOnce()) -> Duration {
    let started = Instant::now();
    work();
    started.elapsed()
}

fn median(times: impl Iterator<Item = Duration>) -> Duration {
    let mut times: Vec<Duration> = times.collect();
    times.sort();
    times[times.len() / 2]
}
