//! Rows go where a plain array would have them.

#![allow(clippy::unwrap_used, reason = "a test may end by panicking")]

use super::*;

fn row(width: usize, number: usize) -> Vec<f16> {
    (0..width).map(|at| f16::from_f32(((number * 31 + at) % 2048) as f32)).collect()
}

/// Against an array, over the ends of several chunks, in both directions.
#[test]
fn rows_are_where_they_were_put() {
    for width in [1, 384, 1 << 16] {
        let mut matrix = Matrix::new(width);
        let count = 2 * matrix.rows_per_chunk + 3;
        let count = if width == 1 { count.min(5000) } else { count };
        let mut model: Vec<usize> = (0..count).collect();
        model.iter().for_each(|number| matrix.push(&row(width, *number)).unwrap());
        for removed in [0, count / 2, count - 3, 1, count - 5] {
            matrix.swap_remove(removed);
            model.swap_remove(removed);
        }
        let check = |matrix: &Matrix, model: &[usize]| {
            for (at, number) in model.iter().enumerate() {
                assert_eq!(matrix.row(at), row(width, *number), "row {at} of {width} numbers");
            }
            for size in [1, 100, 512] {
                let mut next = 0;
                for (first, numbers) in matrix.parts(size) {
                    assert_eq!(first, next);
                    let rows = numbers.len() / width;
                    assert!(rows * width == numbers.len() && (1..=size).contains(&rows));
                    next += rows;
                    assert_eq!(numbers.get(..width).unwrap(), matrix.row(first));
                }
                assert_eq!(next, model.len());
            }
        };
        check(&matrix, &model);
        while model.len() > matrix.rows_per_chunk / 2 {
            matrix.swap_remove(model.len() / 3);
            model.swap_remove(model.len() / 3);
        }
        check(&matrix, &model);
        assert_eq!(matrix.chunks.len(), model.len().div_ceil(matrix.rows_per_chunk));
    }
}

#[test]
fn chunks_begin_with_a_huge_page() {
    let mut matrix = Matrix::new(1 << 16);
    (0..2 * matrix.rows_per_chunk).for_each(|number| matrix.push(&row(1 << 16, number)).unwrap());
    assert!(matrix.parts(1000).all(|(_, numbers)| numbers.as_ptr().align_offset(HUGE_PAGE) == 0));
}
