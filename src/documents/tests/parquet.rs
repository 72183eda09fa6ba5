//! Columns of texts.

use super::*;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// Written by pyarrow 26.0.1: `tests/fixtures/README.md`.
const PARQUET: [(&str, &[u8]); 10] = [
    ("brotli", include_bytes!("../../../tests/fixtures/parquet/brotli.parquet")),
    ("lz4-raw", include_bytes!("../../../tests/fixtures/parquet/lz4-raw.parquet")),
    ("large-string", include_bytes!("../../../tests/fixtures/parquet/large-string.parquet")),
    ("string-view", include_bytes!("../../../tests/fixtures/parquet/string-view.parquet")),
    ("plain", include_bytes!("../../../tests/fixtures/parquet/plain.parquet")),
    ("snappy", include_bytes!("../../../tests/fixtures/parquet/snappy.parquet")),
    ("gzip-v2", include_bytes!("../../../tests/fixtures/parquet/gzip-v2.parquet")),
    ("delta-lengths", include_bytes!("../../../tests/fixtures/parquet/delta-lengths.parquet")),
    ("zstd-v2-dictionary", include_bytes!("../../../tests/fixtures/parquet/zstd-v2-dictionary.parquet")),
    ("snappy-dictionary-nulls", include_bytes!("../../../tests/fixtures/parquet/snappy-dictionary-nulls.parquet")),
];

#[test]
fn parquet_files_give_their_texts() {
    let numbered =
        |i: usize| format!("Document {i}: {}{}", "pear ".repeat(i % 7), if i.is_multiple_of(5) { "é" } else { "" });
    let numbered: Vec<String> = (0..300).map(numbered).collect();
    let few = ["an apple", "a pear", "a plum"];
    let few: Vec<&str> = few.into_iter().cycle().take(225).collect();
    for (name, bytes) in PARQUET {
        let texts = texts(&format!("{name}.parquet"), bytes).unwrap();
        if name.contains("dictionary") {
            assert_eq!(texts, few, "{name}");
        } else {
            assert_eq!(texts, numbered, "{name}");
        }
    }
}

#[test]
fn prefixes_empty_groups_and_empty_pages_are_read_and_no_other_column() {
    let read = |bytes: &[u8]| texts("a.parquet", bytes).map(|texts| texts.len());
    assert_eq!(read(include_bytes!("../../../tests/fixtures/parquet/delta-texts.parquet")).unwrap(), 60);
    assert_eq!(read(include_bytes!("../../../tests/fixtures/parquet/empty-group.parquet")).unwrap(), 3);
    assert_eq!(read(include_bytes!("../../../tests/fixtures/parquet/empty-page.parquet")).unwrap(), 3);
    let other = read(include_bytes!("../../../tests/fixtures/parquet/other-column.parquet")).unwrap_err().to_string();
    assert!(other.contains("\"system\"") && other.contains("\"conversations\""), "{other}");
}

#[test]
fn a_column_inside_another_is_read_under_both_names_and_never_for_another() {
    let files: [&[u8]; 2] = [
        include_bytes!("../../../tests/fixtures/parquet/nested-v1.parquet"),
        include_bytes!("../../../tests/fixtures/parquet/nested-v2.parquet"),
    ];
    for file in files {
        let (inner, _) = under(Some("row.text"), "a.parquet", file).unwrap();
        assert_eq!((inner.len(), &inner[0][..11], &inner[19][..11]), (20, "Document 0:", "Document 37"));
        assert_eq!(under(Some("title"), "a.parquet", file).unwrap().0.len(), 40);
        for key in [None, Some("chat"), Some("row"), Some("chat.list.element.text"), Some("row.n")] {
            let why = under(key, "a.parquet", file).unwrap_err().to_string();
            assert!(why.contains("Its columns: \"chat\", \"row\", \"title\", \"row.text\"."), "{why}");
        }
        assert_eq!(keys(Rc::new(Memory::new("a.parquet", file))).unwrap(), ["row.text", "title"]);
    }
}

#[test]
fn damaged_parquet_files_are_refused_or_read_and_never_panic() {
    for (name, bytes) in PARQUET {
        for at in (0..bytes.len()).step_by(7) {
            let mut damaged = bytes.to_vec();
            damaged[at] ^= 0x55;
            let _ = texts("a.parquet", damaged);
        }
        assert!(texts("a.parquet", &bytes[..bytes.len() - 9]).is_err(), "{name}");
    }
}
