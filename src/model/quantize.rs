//! Full weights to s8: symmetric, one scale per row, which is an output channel of a matrix or a word of the table.

/// Rows of `columns` numbers to s8 in -127..=127 and a scale each, so that `value * scale` is nearest to the number.
///
/// A row of zeros gets scale 0. Rounds half to even, the same on every machine.
pub(crate) fn quantize_rows(numbers: &[f32], columns: usize) -> (Vec<i8>, Vec<f32>) {
    let mut values = Vec::with_capacity(numbers.len());
    let mut scales = Vec::with_capacity(numbers.len() / columns.max(1));
    for row in numbers.chunks_exact(columns.max(1)) {
        let largest = row.iter().fold(0f32, |largest, number| largest.max(number.abs()));
        let scale = match largest / 127.0 {
            // The quotient of the largest f32 rounds up, and 127 times that is infinite.
            scale if (scale * 127.0).is_infinite() => scale.next_down(),
            scale => scale,
        };
        scales.push(scale);
        values.extend(row.iter().map(|number| nearest(number, scale)));
    }
    (values, scales)
}

#[expect(clippy::cast_possible_truncation, reason = "clamped to the range of s8")]
fn nearest(number: &f32, scale: f32) -> i8 {
    // Divided, not multiplied by a reciprocal: for a subnormal scale the reciprocal is infinite.
    if scale == 0.0 { 0 } else { (number / scale).round_ties_even().clamp(-127.0, 127.0) as i8 }
}

/// The numbers that s8 `values` and their row `scales` stand for.
pub(super) fn dequantize_rows(values: &[u8], scales: impl Iterator<Item = f32>, columns: usize) -> Vec<f32> {
    values
        .chunks_exact(columns.max(1))
        .zip(scales)
        .flat_map(|(row, scale)| row.iter().map(move |value| f32::from(value.cast_signed()) * scale))
        .collect()
}
