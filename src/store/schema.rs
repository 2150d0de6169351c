//! The tables of the store, on one screen. Keys are plain integers and strings, values are sealed records: redb's own
//! rich types change their encoding between its versions.

use redb::TableDefinition;

/// `settings`, `lexical`, `state` and `fields`: what the collection is made with, and where it stands.
pub(super) const SETTINGS: TableDefinition<&str, &[u8]> = TableDefinition::new("settings");
/// RowId to passage.
pub(super) const PASSAGES: TableDefinition<u64, &[u8]> = TableDefinition::new("passages");
/// RowId to f16 embedding, apart from the text so that a scan of embeddings reads nothing else.
pub(super) const EMBEDDINGS: TableDefinition<u64, &[u8]> = TableDefinition::new("embeddings");
/// PassageId to RowId.
pub(super) const IDS: TableDefinition<&str, &[u8]> = TableDefinition::new("ids");
/// Seq to change.
pub(super) const CHANGES: TableDefinition<u64, &[u8]> = TableDefinition::new("changes");

/// Field, value and block of rows to the rows there that have the value; made with the first field index.
pub(super) const FIELDS: TableDefinition<&[u8], &[u8]> = TableDefinition::new("fields");

pub(super) const SETTINGS_KEY: &str = "settings";
pub(super) const STATE_KEY: &str = "state";
pub(super) const FIELDS_KEY: &str = "fields";
pub(super) const LEXICAL_KEY: &str = "lexical";
