//! What files of texts come to, and what is refused.

mod json;
mod packed;
mod parquet;

use std::io::Write;

use super::*;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

fn texts(name: &str, bytes: impl Into<Vec<u8>>) -> Result<Vec<String>> {
    under(None, name, bytes).map(|(texts, _)| texts)
}

/// The texts under a key, and how many bytes were no UTF-8.
fn under(key: Option<&str>, name: &str, bytes: impl Into<Vec<u8>>) -> Result<(Vec<String>, u64)> {
    let documents = Documents::new([Rc::new(Memory::new(name, bytes)) as Rc<dyn Source>]);
    let mut documents = documents.under(key.map(str::to_owned));
    Ok((documents.whole_texts()?, documents.replaced_bytes()))
}

fn refused(name: &str, bytes: impl Into<Vec<u8>>) -> String {
    texts(name, bytes).unwrap_err().to_string()
}

fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(bytes).unwrap();
    packed.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    ruzstd::encoding::compress_to_vec(bytes, ruzstd::encoding::CompressionLevel::Fastest)
}

#[test]
fn what_is_no_utf8_and_half_a_surrogate_pair_become_one_sign_and_bytes_are_counted() {
    let half = "{\"text\":\"x\\ud83dy\\ude00 \\ud83d\\ude00\"}";
    assert_eq!(under(None, "a.jsonl", half).unwrap(), (vec!["x\u{fffd}y\u{fffd} \u{1f600}".into()], 0));
    assert_eq!(under(None, "a.json", format!("[{half}]")).unwrap().0, ["x\u{fffd}y\u{fffd} \u{1f600}"]);
    let latin = b"{\"text\":\"caf\xe9 \xf0\x9f\x98 x\"}".to_vec();
    for (name, bytes) in [("a.jsonl", latin.clone()), ("a.json", latin.clone()), ("a.jsonl.gz", gz(&latin))] {
        assert_eq!(under(None, name, bytes).unwrap(), (vec!["caf\u{fffd} \u{fffd} x".into()], 4), "{name}");
    }
    assert_eq!(under(None, "a.txt", b"caf\xe9".to_vec()).unwrap(), (vec!["caf\u{fffd}".into()], 1));
}

#[test]
fn utf16_is_refused_by_its_name() {
    let wide: Vec<u8> = "A pear.".encode_utf16().flat_map(u16::to_le_bytes).collect();
    for bytes in [[&b"\xff\xfe"[..], &wide].concat(), wide] {
        assert!(refused("a.txt", bytes).contains("UTF-16"));
    }
}

#[test]
fn every_format_gives_its_texts() {
    assert_eq!(texts("a.txt", "One text.\n\nOf two paragraphs.").unwrap(), ["One text.\n\nOf two paragraphs."]);
    let lines = "{\"text\":\"a \\\"b\\\"\",\"meta\":{\"x\":1}}\n\n{\"id\":3,\"text\":\"\\u00e9\\n\"}";
    assert_eq!(texts("a.jsonl", lines).unwrap(), ["a \"b\"", "é\n"]);
    assert_eq!(texts("A.JSON", " [ \"a]\\\\\", \"\\\"b\\\"\" , \"\"]\n").unwrap(), ["a]\\", "\"b\"", ""]);
    assert_eq!(texts("a.json", "[]").unwrap(), [""; 0]);
}

#[test]
fn marks_and_nulls_are_no_texts() {
    for (name, bytes) in [("a.txt", "a"), ("a.json", "[\"a\"]"), ("a.jsonl", "{\"text\":\"a\"}\r\n{\"text\":null}\n")] {
        assert_eq!(texts(name, format!("\u{feff}{bytes}")).unwrap(), ["a"], "{name}");
        assert_eq!(texts(&format!("{name}.gz"), gz(format!("\u{feff}{bytes}").as_bytes())).unwrap(), ["a"], "{name}");
    }
    assert_eq!(texts("a.jsonl", "{\"text\":\"\"}").unwrap(), [""]);
}

#[test]
fn a_long_text_comes_in_pieces_between_words() {
    let text: String = (0..20_000).map(|n| format!("w{n}  x\n")).collect();
    let documents = Documents::new([Rc::new(Memory::new("a.txt", text.clone())) as Rc<dyn Source>]);
    let mut documents = documents.cut_at(Cut::Words);
    let (mut joined, mut n) = (String::new(), 0);
    loop {
        let piece = match documents.next_piece().unwrap() {
            Next::Text(piece) => piece,
            Next::Nothing => continue,
            Next::End => break,
        };
        assert_eq!(piece.starts, n == 0);
        if n > 0 {
            assert!(piece.text.starts_with(char::is_whitespace) && !joined.ends_with(char::is_whitespace));
        }
        joined.push_str(&piece.text);
        n += 1;
    }
    assert!(n > 5 && joined == text);
}

#[test]
fn damaged_files_are_refused_with_a_reason() {
    let cut = gz(&[b'a'; 10_000]);
    for (name, bytes) in [
        ("a.json", b"{\"text\":\"a\"".to_vec()),
        ("a.json", b"[\"a\"] 1".to_vec()),
        ("a.json", b"[\"a\",,\"b\"]".to_vec()),
        ("a.json", b"[\"a\"".to_vec()),
        ("a.json", b"[\"a\" \"b\"]".to_vec()),
        ("a.jsonl", b"{\"txt\":\"a\"}".to_vec()),
        ("a.txt.gz", cut[..cut.len() - 10].to_vec()),
        ("a.txt.gz", b"no gz\x01".to_vec()),
        ("a.txt.zst", b"no zst\x01".to_vec()),
        ("a.txt.gz", [gz(b"a"), b"more".to_vec()].concat()),
        ("a.txt.gz", [gz(b"a"), b"\0\0more".to_vec()].concat()),
        ("a.parquet", b"no parquet".to_vec()),
        ("a.parquet.gz", Vec::new()),
        ("a.pdf", Vec::new()),
    ] {
        assert!(matches!(texts(name, bytes), Err(Error::Read { .. })), "{name} was accepted");
    }
}
