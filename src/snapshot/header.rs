//! The header of a snapshot: whose view it is, of which moment, and made how.

use xxhash_rust::xxh3::xxh3_64;

use super::Reason;
use crate::error::{Error, Result};
use crate::similarity::Similarity;

const MAGIC: [u8; 8] = *b"MARCVIEW";
pub(super) const FORMAT: u16 = 3;
/// Magic, version and length: what every version begins with.
pub(super) const PREFIX: usize = 12;
/// The header without the engine's name.
const FIXED: usize = 72;

/// What a snapshot says of its view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) collection: [u8; 16],
    pub(crate) lineage: u64,
    pub(crate) seq: u64,
    pub(crate) count: u64,
    pub(crate) dimension: u32,
    pub(crate) similarity: Similarity,
    pub(crate) expansion_search: u32,
    /// By how many hundredths the view had grown since its search expansion was chosen.
    pub(crate) growth: u8,
    pub(crate) engine: String,
}

/// What a snapshot has to be of use to this collection. That the log has `lineage` at `seq` is for the caller to check:
/// a store restored from a backup may have gone another way since.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Expected<'a> {
    pub(crate) collection: [u8; 16],
    pub(crate) dimension: u32,
    pub(crate) similarity: Similarity,
    pub(crate) engine: &'a str,
}

pub(super) fn encode(header: &Header) -> Result<Vec<u8>> {
    let name = header.engine.as_bytes();
    let too_long = |_| Error::misuse("an engine's name must fit a snapshot's header");
    let length = u16::try_from(FIXED + name.len()).map_err(too_long)?;
    let name_length = u16::try_from(name.len()).map_err(too_long)?;
    let mut bytes = Vec::with_capacity(FIXED + name.len());
    bytes.extend(MAGIC);
    bytes.extend(FORMAT.to_le_bytes());
    bytes.extend(length.to_le_bytes());
    bytes.extend(header.dimension.to_le_bytes());
    bytes.extend([similarity_code(header.similarity), header.growth]);
    bytes.extend(name_length.to_le_bytes());
    bytes.extend(header.expansion_search.to_le_bytes());
    bytes.extend(header.collection);
    bytes.extend(header.lineage.to_le_bytes());
    bytes.extend(header.seq.to_le_bytes());
    bytes.extend(header.count.to_le_bytes());
    bytes.extend(name);
    bytes.extend(xxh3_64(&bytes).to_le_bytes());
    Ok(bytes)
}

/// From the prefix alone. A version that we do not know is believed only once its header's checksum is found right.
pub(super) fn header_length(prefix: &[u8]) -> Result<usize, Reason> {
    let mut fields = Fields(prefix);
    if fields.take()? != MAGIC {
        return Err(Reason::Torn("it does not begin as a snapshot does"));
    }
    let _version = fields.u16()?;
    let length = usize::from(fields.u16()?);
    if length < PREFIX + 8 { Err(Reason::Torn("the length of its header is wrong")) } else { Ok(length) }
}

pub(super) fn decode(bytes: &[u8]) -> Result<Header, Reason> {
    let (fields, checksum) = bytes.split_last_chunk::<8>().ok_or(Reason::Torn("it is cut short"))?;
    if xxh3_64(fields) != u64::from_le_bytes(*checksum) {
        return Err(Reason::Torn("the checksum of its header is wrong"));
    }
    let mut fields = Fields(fields);
    let _magic: [u8; 8] = fields.take()?;
    match fields.u16()? {
        FORMAT => {}
        older @ ..FORMAT => return Err(Reason::Older(older)),
        newer => return Err(Reason::Newer(newer)),
    }
    let _header_length = fields.u16()?;
    let dimension = fields.u32()?;
    let [similarity, growth] = fields.take()?;
    let similarity = match similarity {
        0 => Similarity::Cosine,
        1 => Similarity::Dot,
        _ => return Err(Reason::Torn("its similarity is unknown")),
    };
    let name_length = usize::from(fields.u16()?);
    let expansion_search = fields.u32()?;
    let collection = fields.take()?;
    let (lineage, seq, count) = (fields.u64()?, fields.u64()?, fields.u64()?);
    let name = std::str::from_utf8(fields.0).ok().filter(|name| name.len() == name_length);
    let engine = name.ok_or(Reason::Torn("the name of its engine is wrong"))?.to_owned();
    Ok(Header { collection, lineage, seq, count, dimension, similarity, expansion_search, growth, engine })
}

pub(super) fn check(header: &Header, expected: &Expected<'_>) -> Result<(), Reason> {
    if header.collection != expected.collection {
        return Err(Reason::Foreign);
    }
    let found = (header.dimension, header.similarity, header.engine.as_str());
    let wanted = (expected.dimension, expected.similarity, expected.engine);
    if found != wanted {
        let describe = |(dimension, similarity, engine)| format!("{engine}, dimension {dimension}, {similarity}");
        return Err(Reason::OtherParameters { expected: describe(wanted), found: describe(found) });
    }
    Ok(())
}

/// The bytes of a header, or of another part, that are not yet taken.
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl Fields<'_> {
    pub(super) fn take<const N: usize>(&mut self) -> Result<[u8; N], Reason> {
        let (field, rest) = self.0.split_first_chunk().ok_or(Reason::Torn("it is cut short"))?;
        self.0 = rest;
        Ok(*field)
    }

    fn u16(&mut self) -> Result<u16, Reason> {
        self.take().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Result<u32, Reason> {
        self.take().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Result<u64, Reason> {
        self.take().map(u64::from_le_bytes)
    }
}

const fn similarity_code(similarity: Similarity) -> u8 {
    match similarity {
        Similarity::Cosine => 0,
        Similarity::Dot => 1,
    }
}
