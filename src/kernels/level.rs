//! Levels of vector instructions, as a user names them.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};

/// A level of vector instructions that the CPU backend has kernels for. The best one that the machine has is the default.
///
/// Vectors of different levels differ by rounding: by less than 1e-5 in `f32`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum InstructionLevel {
    /// AVX-512, with VNNI for products of 8-bit numbers where the machine has it.
    Avx512,
    /// AVX2 and FMA, with AVX-VNNI for products of 8-bit numbers.
    AvxVnni,
    /// AVX2 and FMA.
    Avx2,
    /// No instructions beyond those that every machine of the architecture has; 8-bit weights are widened to `f32`.
    Portable,
}

impl InstructionLevel {
    /// Every level, best first.
    pub(super) const ALL: [Self; 4] = [Self::Avx512, Self::AvxVnni, Self::Avx2, Self::Portable];

    /// `"avx512"`, `"avx-vnni"`, `"avx2"` or `"portable"`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Avx512 => "avx512",
            Self::AvxVnni => "avx-vnni",
            Self::Avx2 => "avx2",
            Self::Portable => "portable",
        }
    }
}

impl fmt::Display for InstructionLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for InstructionLevel {
    type Err = Error;

    /// # Errors
    /// `Misuse` for a name that is none of [`name`](Self::name).
    fn from_str(name: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|level| level.name() == name).ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            Error::misuse(format!("\"{name}\" is no level of instructions; the levels are {names}"))
        })
    }
}
