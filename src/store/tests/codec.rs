//! Records: bytes that must never change, and bytes that must never be believed.

use half::f16;
use proptest::prelude::*;
use xxhash_rust::xxh3::Xxh3Default;

use super::super::codec::{
    Change, Fields, IndexedField, Kind, LexicalSettings, PassageRecord, Settings, State, seal, seal_embedding,
    seal_rows, unseal, unseal_embedding, unseal_rows,
};
use super::refused;
use crate::error::{ErrorKind, Result};
use crate::passage::RowId;
use crate::rows::Block;

const ROW: u64 = 0x0102;

fn passage() -> PassageRecord {
    PassageRecord { id: "a".into(), title: Some("T".into()), text: "é".into(), metadata: "{}".into() }
}

fn change() -> Change {
    Change { nonce: 0x1122_3344_5566_7788, added_from: 3, added_to: 5, removed: vec![1, 2] }
}

fn state() -> State {
    State { seq: 1, nonce: 2, next_row: 3, passages: 4 }
}

fn a_settings() -> Settings {
    Settings {
        uuid: *b"0123456789abcdef",
        dimension: 384,
        similarity: "dot".into(),
        fingerprint: "f".into(),
        encoder: "e".into(),
        index: "auto".into(),
    }
}

fn fields() -> Fields {
    Fields { nonce: 5, next: 7, indexed: vec![IndexedField { number: 6, names: vec!["year".into()] }] }
}

/// Of the block 2.
fn rows() -> Block {
    let mut rows = Block::default();
    [0x2_0000, 0x2_0003, 0x2_ffff].into_iter().for_each(|row| rows.insert(RowId(row)));
    rows
}

fn numbers() -> [f16; 3] {
    [f16::ONE, f16::from_f32(-2.0), f16::from_f32(0.1)]
}

type Reading = fn(&[u8]) -> Result<()>;

/// One record of each kind, sealed, with the reading that has to refuse it when it is damaged.
fn sealed() -> Vec<(Kind, Vec<u8>, Reading)> {
    vec![
        (Kind::Settings, seal(Kind::Settings, "settings", &a_settings()).unwrap(), |bytes| {
            unseal(Kind::Settings, "settings", bytes).map(|found: Settings| assert_eq!(found, a_settings()))
        }),
        (Kind::State, seal(Kind::State, "state", &state()).unwrap(), |bytes| {
            unseal(Kind::State, "state", bytes).map(|found: State| assert_eq!(found, state()))
        }),
        (Kind::Passage, seal(Kind::Passage, ROW, &passage()).unwrap(), |bytes| {
            unseal(Kind::Passage, ROW, bytes).map(|found: PassageRecord| assert_eq!(found, passage()))
        }),
        (Kind::Embedding, seal_embedding(ROW, &numbers()).unwrap(), |bytes| {
            unseal_embedding(ROW, bytes, 3).map(|found| assert_eq!(found, numbers()))
        }),
        (Kind::Id, seal(Kind::Id, "a", &ROW).unwrap(), |bytes| {
            unseal(Kind::Id, "a", bytes).map(|found: u64| assert_eq!(found, ROW))
        }),
        (Kind::Change, seal(Kind::Change, 9, &change()).unwrap(), |bytes| {
            unseal(Kind::Change, 9, bytes).map(|found: Change| assert_eq!(found, change()))
        }),
        (Kind::Fields, seal(Kind::Fields, "fields", &fields()).unwrap(), |bytes| {
            unseal(Kind::Fields, "fields", bytes).map(|found: Fields| assert_eq!(found, fields()))
        }),
        (Kind::FieldRows, seal_rows(b"key", &rows()).unwrap(), |bytes| {
            unseal_rows(b"key", 2, bytes).map(|found| assert_eq!(found, rows()))
        }),
        (Kind::Lexical, seal(Kind::Lexical, "lexical", &LexicalSettings::default()).unwrap(), |bytes| {
            unseal(Kind::Lexical, "lexical", bytes)
                .map(|found: LexicalSettings| assert_eq!(found, LexicalSettings::default()))
        }),
    ]
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The envelope as the module's table has it, written down a second time.
fn envelope(header: [u8; 4], length: u32, payload: &[u8], key: &[u8]) -> Vec<u8> {
    let mut bytes = [header.as_slice(), &length.to_le_bytes(), payload].concat();
    let mut hash = Xxh3Default::new();
    hash.update(key);
    hash.update(&bytes);
    bytes.extend(hash.digest().to_le_bytes());
    bytes
}

/// A collection of an older Marcato has these bytes. If this fails, the change needs a new version of the kind.
#[test]
fn the_bytes_of_every_kind_stay() {
    let expected = [
        // uuid, dimension, then four strings with their lengths.
        "01010000 3d000000 30313233343536373839616263646566 80010000 0300000000000000 646f74 0100000000000000 66 \
         0100000000000000 65 0400000000000000 6175746f 768cc477adfd1b0f",
        // seq, nonce, next_row, passages.
        "02010000 20000000 0100000000000000 0200000000000000 0300000000000000 0400000000000000 d162f3ed12f0d8da",
        // id, title, text, metadata.
        "03010000 27000000 0100000000000000 61 01 0100000000000000 54 0200000000000000 c3a9 0200000000000000 7b7d \
         e70112965fd5d9c4",
        "04010000 06000000 003c 00c0 662e 981addb565b6ef47",
        "05010000 08000000 0201000000000000 35b348a724a20c3b",
        // nonce, added_from, added_to, removed.
        "06010000 30000000 8877665544332211 0300000000000000 0500000000000000 0200000000000000 0100000000000000 \
         0200000000000000 5c68b4268d96edae",
        // nonce, next, indexed: number and names.
        "07010000 2c000000 0500000000000000 07000000 0100000000000000 06000000 0100000000000000 0400000000000000 \
         79656172 5f11a4819fbcb305",
        // A Roaring bitmap of one array: cookie, containers, key and cardinality - 1, offset, rows.
        "08010000 16000000 3a300000 01000000 0200 0200 10000000 0000 0300 ffff d44b7b0a96ec3941",
        // language.
        "09010000 0f000000 0700000000000000 656e676c697368 249808540d0eb598",
    ];
    let found: Vec<String> = sealed().iter().map(|(_, bytes, _)| hex(bytes)).collect();
    let expected: Vec<String> = expected.iter().map(|text| text.replace(' ', "")).collect();
    assert_eq!(found, expected);
}

#[test]
fn every_flipped_bit_is_noticed() {
    for (kind, bytes, read) in sealed() {
        read(&bytes).unwrap();
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            let error = refused(read(&damaged));
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{kind:?}, bit {bit}");
            assert!(error.to_string().contains(&format!("{kind:?} record")), "{error}");
            let remedy = if kind == Kind::FieldRows { "make it again" } else { "restore" };
            assert!(error.to_string().contains(remedy), "the remedy: {error}");
        }
    }
}

#[test]
fn every_cut_and_every_tail_is_noticed() {
    for (kind, bytes, read) in sealed() {
        for length in 0..bytes.len() {
            assert_eq!(refused(read(&bytes[..length])).kind(), ErrorKind::Corrupt, "{kind:?} cut to {length}");
        }
        let longer = [bytes.as_slice(), b"\0"].concat();
        assert_eq!(refused(read(&longer)).kind(), ErrorKind::Corrupt, "{kind:?} with one byte more");
    }
}

#[test]
fn a_record_is_refused_under_another_key_or_kind() {
    let bytes = seal(Kind::Passage, 1, &passage()).unwrap();
    assert!(unseal::<PassageRecord>(Kind::Passage, 1, &bytes).is_ok());
    assert_eq!(refused(unseal::<PassageRecord>(Kind::Passage, 2, &bytes)).kind(), ErrorKind::Corrupt);
    let bytes = seal(Kind::Id, "a", &1u64).unwrap();
    assert_eq!(refused(unseal::<u64>(Kind::Id, "b", &bytes)).kind(), ErrorKind::Corrupt);
    assert_eq!(refused(unseal::<u64>(Kind::Change, "a", &bytes)).kind(), ErrorKind::Corrupt);
    let bytes = seal_embedding(7, &numbers()).unwrap();
    assert_eq!(refused(unseal_embedding(8, &bytes, 3)).kind(), ErrorKind::Corrupt);
    let bytes = seal_rows(b"key", &rows()).unwrap();
    let error = refused(unseal_rows(b"\x01\xff", 2, &bytes));
    assert!(error.to_string().contains("record [01, ff]"), "which one: {error}");
}

#[test]
fn a_newer_version_is_told_from_damage() {
    let bytes = envelope([5, 2, 0, 0], 8, &ROW.to_le_bytes(), b"a");
    let error = refused(unseal::<u64>(Kind::Id, "a", &bytes));
    assert_eq!(error.kind(), ErrorKind::Incompatible);
    for part in ["\"a\"", "version 2", "newer Marcato"] {
        assert!(error.to_string().contains(part), "{error}");
    }
    let older = envelope([5, 0, 0, 0], 8, &ROW.to_le_bytes(), b"a");
    assert_eq!(refused(unseal::<u64>(Kind::Id, "a", &older)).kind(), ErrorKind::Corrupt);
    let current = envelope([5, 1, 0, 0], 8, &ROW.to_le_bytes(), b"a");
    assert_eq!(unseal::<u64>(Kind::Id, "a", &current).unwrap(), ROW, "the helper of this test is right");
}

#[test]
fn lengths_that_lie_are_refused_without_allocating() {
    let refused_as_damaged = |header, length, payload: &[u8]| {
        let bytes = envelope(header, length, payload, &ROW.to_le_bytes());
        let error = refused(unseal::<PassageRecord>(Kind::Passage, ROW, &bytes));
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    };
    let whole = bincode::encode_to_vec(passage(), bincode::config::legacy()).unwrap();
    let length = whole.len() as u32;
    for wrong in [0, 1, length - 1, length + 1, length + 8, u32::MAX] {
        refused_as_damaged([3, 1, 0, 0], wrong, &whole);
    }
    refused_as_damaged([3, 1, 1, 0], length, &whole);
    refused_as_damaged([3, 1, 0, 1], length, &whole);
    refused_as_damaged([3, 1, 0, 0], 0, b"");
    // Strings that promise more than there is, up to more than any machine has.
    for promised in [2, 1 << 20, 1 << 33, 1 << 60, u64::MAX] {
        refused_as_damaged([3, 1, 0, 0], 9, &[&promised.to_le_bytes(), b"a".as_slice()].concat());
    }
    // A sound record with something behind it.
    refused_as_damaged([3, 1, 0, 0], length + 1, &[whole.as_slice(), b"x"].concat());
    // Text that is no UTF-8.
    refused_as_damaged([3, 1, 0, 0], 9, &[&1u64.to_le_bytes(), b"\xff".as_slice()].concat());
}

#[test]
fn a_list_that_promises_too_much_is_refused() {
    for promised in [3u64, 1 << 33, u64::MAX / 8 + 1, u64::MAX] {
        let numbers = [1u64, 2, 3, promised, 7, 7].map(u64::to_le_bytes).concat();
        let bytes = envelope([6, 1, 0, 0], 48, &numbers, &ROW.to_le_bytes());
        assert_eq!(refused(unseal::<Change>(Kind::Change, ROW, &bytes)).kind(), ErrorKind::Corrupt);
    }
}

#[test]
fn an_embedding_of_another_width_is_refused() {
    let bytes = seal_embedding(ROW, &numbers()).unwrap();
    for width in [0, 2, 4] {
        assert_eq!(refused(unseal_embedding(ROW, &bytes, width)).kind(), ErrorKind::Corrupt, "{width}");
    }
    let odd = envelope([4, 1, 0, 0], 7, &[0; 7], &ROW.to_le_bytes());
    assert_eq!(refused(unseal_embedding(ROW, &odd, 3)).kind(), ErrorKind::Corrupt);
}

#[test]
fn a_record_beyond_the_limit_is_refused_before_it_is_stored() {
    let large = PassageRecord { text: "x".repeat(64 << 20), ..passage() };
    let error = refused(seal(Kind::Passage, ROW, &large));
    assert_eq!(error.kind(), ErrorKind::Misuse);
    let wide = vec![f16::ONE; (32 << 20) + 1];
    assert_eq!(refused(seal_embedding(ROW, &wide)).kind(), ErrorKind::Misuse);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    #[test]
    fn records_come_back_as_they_were(
        row: u64, id in ".*", title: Option<String>, text in ".*", removed: Vec<u64>, bits: Vec<u16>,
    ) {
        let record = PassageRecord { id: id.clone(), title, text, metadata: "{}".into() };
        let bytes = seal(Kind::Passage, row, &record).unwrap();
        prop_assert_eq!(unseal::<PassageRecord>(Kind::Passage, row, &bytes).unwrap(), record);

        let bytes = seal(Kind::Id, id.as_str(), &row).unwrap();
        prop_assert_eq!(unseal::<u64>(Kind::Id, id.as_str(), &bytes).unwrap(), row);

        let record = Change { removed, ..change() };
        let bytes = seal(Kind::Change, row, &record).unwrap();
        prop_assert_eq!(unseal::<Change>(Kind::Change, row, &bytes).unwrap(), record);

        let embedding: Vec<f16> = bits.iter().map(|bits| f16::from_bits(*bits)).collect();
        let bytes = seal_embedding(row, &embedding).unwrap();
        let back = unseal_embedding(row, &bytes, embedding.len()).unwrap();
        prop_assert_eq!(back.iter().map(|value| value.to_bits()).collect::<Vec<_>>(), bits);
    }

    #[test]
    fn no_bytes_make_reading_panic(bytes: Vec<u8>, payload: Vec<u8>, row: u64) {
        let _ = unseal::<PassageRecord>(Kind::Passage, row, &bytes);
        // Behind a right checksum, as after a bug of our own.
        let sealed = envelope([3, 1, 0, 0], payload.len() as u32, &payload, &row.to_le_bytes());
        let _ = unseal::<PassageRecord>(Kind::Passage, row, &sealed);
        let sealed = envelope([1, 1, 0, 0], payload.len() as u32, &payload, &row.to_le_bytes());
        let _ = unseal::<Settings>(Kind::Settings, row, &sealed);
        let sealed = envelope([6, 1, 0, 0], payload.len() as u32, &payload, &row.to_le_bytes());
        let _ = unseal::<Change>(Kind::Change, row, &sealed);
    }
}
