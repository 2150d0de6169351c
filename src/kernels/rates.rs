//! How fast the kernels are by themselves, beside the most that the machine can do: what `benches/kernels.rs` prints.

use std::hint::black_box;
use std::time::{Duration, Instant};

use super::simd::{IntegerKernel, Integers, Kernel, Simd};
use super::{
    Aligned, Attention, AttentionScratch, InstructionLevel, InstructionSet, IntegerSet, LayerNorm, MatrixS8, PackedF32,
    PackedS8, Quantized, Rows, RowsMut, Then, row_stride,
};
use crate::error::Result;

/// How long each kernel is repeated; its best time counts, which on a shared machine is the steadiest.
const REPEATED: Duration = Duration::from_millis(150);

/// Independent sums in the loop that finds the peak: more than two multiplications of five cycles need.
const SUMS: usize = 24;

/// What a kernel did in its best run.
#[derive(Clone, Debug)]
pub struct Rate {
    /// Which kernel, and on what shape.
    pub name: String,
    /// Microseconds for each row of activations.
    pub row_micros: f64,
    /// Additions and multiplications per nanosecond, 0 where they are not what takes the time.
    pub giga_ops: f64,
    /// The most that registers alone reach, in the same numbers.
    pub peak: f64,
}

/// The rates of all kernels on the instructions of `level` over `rows` rows, one core.
///
/// # Errors
/// `Misuse` if this machine lacks the level.
pub fn kernel_rates(level: InstructionLevel, rows: usize) -> Result<Vec<Rate>> {
    let set = InstructionSet::at(level)?;
    let shapes = [(384, 1152), (384, 384), (384, 1536), (1536, 384), (768, 2304), (768, 768), (768, 3072), (3072, 768)];
    let mut rates = Vec::new();
    let peak = giga_ops(2.0 * (SUMS * 1000 * lanes(set)) as f64, best(|| set.run(PeakF32)));
    for (depth, columns) in shapes {
        for then in thens(depth, columns, Then::Gelu) {
            rates.push(product_f32(set, (rows, depth, columns), then, peak));
        }
    }
    if let Some(integers) = IntegerSet::within(set) {
        let products = 2 * integers.group() * SUMS * 1000 * lanes(set);
        let peak = giga_ops(products as f64, best(|| integers.run(PeakS8)));
        for (depth, columns) in shapes {
            for then in thens(depth, columns, Then::GeluCoarse) {
                rates.push(product_s8(set, integers, (rows, depth, columns), then, peak));
            }
        }
        rates.extend([384, 768, 1536, 3072].map(|width| quantize(set, integers, rows, width)));
    }
    rates.extend([384, 768].map(|width| layer_norm(set, rows, width)));
    for length in [8, 24, 93, 128, 256] {
        rates.push(attention(set, None, length, peak));
        rates.extend(IntegerSet::within(set).map(|integers| attention(set, Some(integers), length, 0.0)));
    }
    Ok(rates)
}

/// With a widening product also what becomes of it in a model: the activation.
fn thens(depth: usize, columns: usize, activation: Then) -> Vec<Then> {
    if columns == 4 * depth { vec![Then::Store, activation] } else { vec![Then::Add] }
}

/// Lanes of a register of sums.
const fn lanes(set: InstructionSet) -> usize {
    set.panel_columns() / super::simd::VECTORS
}

fn giga_ops(ops: f64, seconds: f64) -> f64 {
    ops / seconds / 1e9
}

/// The shortest of many runs, in seconds.
fn best(mut run: impl FnMut()) -> f64 {
    let (started, mut shortest) = (Instant::now(), f64::MAX);
    while started.elapsed() < REPEATED {
        let run_started = Instant::now();
        run();
        shortest = shortest.min(run_started.elapsed().as_secs_f64());
    }
    shortest
}

/// A thousand rounds of products that need nothing from memory.
struct PeakF32;

impl Kernel for PeakF32 {
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let (a, b) = (simd.splat(black_box(0.5)), simd.splat(black_box(0.25)));
        let mut sums = [simd.splat(0.0); SUMS];
        for _ in 0..1000 {
            sums.iter_mut().for_each(|sum| *sum = simd.mul_add(a, b, *sum));
        }
        black_box(simd.sum(sums.into_iter().fold(simd.splat(0.0), |all, sum| simd.add(all, sum))));
    }
}

struct PeakS8;

impl IntegerKernel for PeakS8 {
    #[inline(always)]
    fn run<I: Integers>(self, integers: I) {
        let simd = integers.floats();
        let (a, b) = (integers.splat(black_box([1; 4])), integers.splat(black_box([1; 4])));
        let mut sums = [integers.zero(); SUMS];
        for _ in 0..1000 {
            sums.iter_mut().for_each(|sum| *sum = integers.add_products(*sum, a, b));
        }
        let floats = sums.into_iter().map(|sum| integers.to_floats(sum));
        black_box(simd.sum(floats.fold(simd.splat(0.0), |all, sum| simd.add(all, sum))));
    }
}

/// Numbers in -1..=1 that look random.
fn numbers(count: usize) -> Vec<f32> {
    (0..count).map(|at| (at as f32 * 0.754_877).fract().mul_add(2.0, -1.0)).collect()
}

fn rate(name: String, rows: usize, seconds: f64, ops: f64, peak: f64) -> Rate {
    Rate { name, row_micros: seconds * 1e6 / rows as f64, giga_ops: giga_ops(ops, seconds), peak }
}

fn product_f32(set: InstructionSet, (rows, depth, columns): (usize, usize, usize), then: Then, peak: f64) -> Rate {
    let packed = PackedF32::new(set, depth, &[(&numbers(depth * columns), &numbers(columns))]);
    let (stride, out_stride) = (row_stride(depth, 16), row_stride(packed.columns(), 16));
    let (a, mut out) = (numbers(rows * stride), Aligned::<f32>::zeros(rows * out_stride));
    let seconds = best(|| {
        let out = RowsMut { numbers: out.as_mut_slice(), stride: out_stride };
        packed.multiply(Rows { numbers: &a, stride, count: rows }, 0..packed.panels(), out, then);
    });
    rate(format!("f32 {depth} -> {columns}, {then:?}"), rows, seconds, 2.0 * (rows * depth * columns) as f64, peak)
}

fn product_s8(
    set: InstructionSet,
    integers: IntegerSet,
    (rows, depth, columns): (usize, usize, usize),
    then: Then,
    peak: f64,
) -> Rate {
    let values: Vec<u8> = (0..depth * columns).map(|at| (at * 37 % 251) as u8).collect();
    let (scales, bias) = (vec![0.01; columns], numbers(columns));
    let packed = PackedS8::new(integers, depth, &[MatrixS8 { values: &values, scales: &scales, bias: &bias }]);
    let (stride, out_stride) = (row_stride(depth, 16), row_stride(packed.columns(), 16));
    let (a, mut out) = (numbers(rows * stride), Aligned::<f32>::zeros(rows * out_stride));
    let mut quantized = Quantized::default();
    quantized.fill(set, integers, Rows { numbers: &a, stride, count: rows }, depth);
    let seconds = best(|| {
        let out = RowsMut { numbers: out.as_mut_slice(), stride: out_stride };
        packed.multiply(&quantized, 0..packed.panels(), out, then);
    });
    rate(format!("int8 {depth} -> {columns}, {then:?}"), rows, seconds, 2.0 * (rows * depth * columns) as f64, peak)
}

fn quantize(set: InstructionSet, integers: IntegerSet, rows: usize, width: usize) -> Rate {
    let stride = row_stride(width, 16);
    let (a, mut quantized) = (numbers(rows * stride), Quantized::default());
    let seconds = best(|| quantized.fill(set, integers, Rows { numbers: &a, stride, count: rows }, width));
    rate(format!("quantize {width}"), rows, seconds, 0.0, 0.0)
}

fn layer_norm(set: InstructionSet, rows: usize, width: usize) -> Rate {
    let stride = row_stride(width, 16);
    let (mut a, norm) = (numbers(rows * stride), LayerNorm::new(&vec![1.0; width], &vec![0.0; width], 1e-12));
    let seconds = best(|| norm.apply(set, RowsMut { numbers: &mut a, stride }, rows));
    rate(format!("LayerNorm {width}"), rows, seconds, 0.0, 0.0)
}

/// Of MiniLM's twelve heads of 32 numbers, one sequence.
fn attention(set: InstructionSet, integers: Option<IntegerSet>, length: usize, peak: f64) -> Rate {
    let (heads, width) = (12, 32);
    let columns = heads * width;
    let (stride, out_stride) = (row_stride(3 * columns, 16), row_stride(columns, 16));
    let (projections, mut context) = (numbers(length * stride), Aligned::<f32>::zeros(length * out_stride));
    let mut scratch = AttentionScratch::default();
    let part =
        |part: usize| Rows { numbers: projections.get(part * columns..).unwrap_or_default(), stride, count: length };
    let seconds = best(|| {
        let context = RowsMut { numbers: context.as_mut_slice(), stride: out_stride };
        let (queries, keys, values) = (part(0), part(1), part(2));
        let attention = Attention { heads, width, queries, keys, values, context, scratch: &mut scratch };
        match integers {
            Some(integers) => attention.apply_rounded(integers),
            None => attention.apply(set),
        }
    });
    let form = if integers.is_some() { "rounded to 16 bits" } else { "f32" };
    let ops = 4.0 * (length * length * columns) as f64;
    rate(format!("attention of {length} tokens, {form}"), length, seconds, ops, peak)
}
