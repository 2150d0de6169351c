//! Models by their names, and from a hub on loopback.
//!
//! - `pulling`: what goes well, whatever happens on the way
//! - `refusals`: what a hub can get wrong; nothing of it is kept
//! - `keeping`: list, info, verify, remove, in both folders
//! - `finding`: which model a name means, and the model that a collection was made with
//! - `mock`: the hub

mod finding;
mod keeping;
mod mock;
mod pulling;
mod refusals;
