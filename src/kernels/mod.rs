//! Arithmetic on embeddings, as fast as this machine allows and with the same meaning on every one.
//!
//! Each kernel has a slow twin in [`scalar`] that defines it, and faster forms that agree with the twin within the
//! rounding of `f32`. The form is chosen once per process. Scores that users see come from [`similarity_f32`],
//! which has the same bits in every form.

mod aligned;
mod attention;
mod dot;
mod gemm;
mod level;
mod math;
mod quantize;
#[cfg(feature = "rates")]
mod rates;
mod rowwise;
mod scalar;
mod simd;
mod similarity;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod twins;
#[cfg(target_arch = "x86_64")]
mod x86;

use std::fmt;
use std::sync::OnceLock;

use half::f16;

use crate::error::{Error, Result};

pub(crate) use aligned::{Aligned, row_stride};
pub(crate) use attention::{Attention, AttentionScratch};
pub(crate) use gemm::{MatrixS8, PackedF32, PackedS8, Rows, RowsMut, Then};
pub use level::InstructionLevel;
pub(crate) use quantize::Quantized;
#[cfg(feature = "rates")]
pub use rates::{Rate, kernel_rates};
pub(crate) use rowwise::LayerNorm;
pub(crate) use simd::IntegerSet;
#[cfg(target_arch = "x86_64")]
use simd::Vnni256;
pub(crate) use similarity::{inverse_norm_f16, similarity_f32};

/// Forces the instruction set down (to the [`InstructionLevel`] of that name, or the next one there is), to reproduce
/// another machine's results on this one.
const ISA_VARIABLE: &str = "MARCATO_ISA";

/// A set of vector instructions that this machine has: a value beyond `Portable` is the proof, so that calling a kernel
/// written for it is sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InstructionSet {
    #[cfg(target_arch = "x86_64")]
    Avx512(x86::Avx512),
    #[cfg(target_arch = "x86_64")]
    AvxVnni(Vnni256),
    #[cfg(target_arch = "x86_64")]
    Avx2(x86::Avx2),
    Portable,
}

/// Nothing is a request for the best.
fn check_request(name: &str) -> Result<()> {
    match name.parse::<InstructionLevel>() {
        Err(error) if !name.is_empty() => {
            Err(Error::misuse(format!("the environment variable {ISA_VARIABLE}: {error}")))
        }
        _ => Ok(()),
    }
}

impl InstructionSet {
    /// The set that every kernel of this process runs on: the best there is, or a lower one on request.
    pub(crate) fn chosen() -> Self {
        static CHOSEN: OnceLock<InstructionSet> = OnceLock::new();
        *CHOSEN.get_or_init(|| Self::choose(std::env::var(ISA_VARIABLE).ok().as_deref()))
    }

    /// The same, for whoever can refuse a request that names nothing.
    ///
    /// # Errors
    /// `Misuse` if [`ISA_VARIABLE`] is set to what is no level.
    pub(crate) fn requested() -> Result<Self> {
        let name = std::env::var_os(ISA_VARIABLE).unwrap_or_default();
        check_request(&name.to_string_lossy()).map(|()| Self::chosen())
    }

    /// The set of exactly this level.
    ///
    /// # Errors
    /// `Misuse` if this machine lacks it.
    pub(crate) fn at(level: InstructionLevel) -> Result<Self> {
        Self::ladder().into_iter().flatten().find(|set| set.level() == level).ok_or_else(|| {
            let names: Vec<&str> = Self::ladder().into_iter().flatten().map(Self::name).collect();
            Error::misuse(format!("this machine lacks the instructions of level {level}; it has {}", names.join(", ")))
        })
    }

    pub(crate) const fn level(self) -> InstructionLevel {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(_) => InstructionLevel::Avx512,
            #[cfg(target_arch = "x86_64")]
            Self::AvxVnni(_) => InstructionLevel::AvxVnni,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(_) => InstructionLevel::Avx2,
            Self::Portable => InstructionLevel::Portable,
        }
    }

    pub(crate) const fn name(self) -> &'static str {
        self.level().name()
    }

    /// The best available set that is not above `ceiling`; a name that we do not know sets no ceiling.
    fn choose(ceiling: Option<&str>) -> Self {
        let level = ceiling.and_then(|name| name.parse::<InstructionLevel>().ok());
        let skipped = InstructionLevel::ALL.into_iter().position(|rung| Some(rung) == level).unwrap_or(0);
        Self::ladder().into_iter().skip(skipped).flatten().next().unwrap_or(Self::Portable)
    }

    /// Best first, as [`InstructionLevel::ALL`]; a rung that this machine lacks is `None`.
    pub(crate) fn ladder() -> [Option<Self>; 4] {
        #[cfg(target_arch = "x86_64")]
        return [
            x86::Avx512::detect().map(Self::Avx512),
            x86::Avx2::detect().and_then(Vnni256::detect).map(Self::AvxVnni),
            x86::Avx2::detect().map(Self::Avx2),
            Some(Self::Portable),
        ];
        #[cfg(not(target_arch = "x86_64"))]
        [None, None, None, Some(Self::Portable)]
    }
}

impl fmt::Display for InstructionSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The inner products of `query` with the stored embeddings in `rows`, which lie one after another. Their last bits
/// depend on the machine, never on a row's neighbours.
pub(crate) fn dots_f16(query: &[f32], rows: &[f16], dots: &mut [f32]) {
    debug_assert_eq!(query.len() * dots.len(), rows.len(), "one place for each row");
    InstructionSet::chosen().dots_f16(query, rows, dots);
}

/// The same of rows that lie anywhere, bit for bit.
pub(crate) fn scattered_dots_f16(query: &[f32], rows: &[&[f16]], dots: &mut [f32]) {
    InstructionSet::chosen().scattered_dots_f16(query, rows, dots);
}

/// The same for one row.
#[cfg(test)]
pub(crate) fn dot_f16(query: &[f32], row: &[f16]) -> f32 {
    InstructionSet::chosen().dot_f16(query, row)
}
