//! all-MiniLM-L6-v2 as a Marcato artifact: nothing but its bytes. `builtin/remake.sh` makes them again.

/// The artifact; the crate `marcato` reads it in place. Its licence is Apache-2.0, see `NOTICE`.
pub static ARTIFACT: &[u8] = include_bytes!("../all-MiniLM-L6-v2.marcato");
