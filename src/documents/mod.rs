//! Texts out of files, one after the other: never a whole file in memory.
//!
//! `.txt` is one document, `.jsonl` has one in each line's `text`, `.json` is a list of strings, `.parquet` has a
//! column `text`; `.gz` and `.zst` of the first three are unpacked on the way.

mod json;
mod parquet;
mod pieces;
mod source;
mod text;
mod unpack;

use std::cell::Cell;
use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read};
use std::rc::Rc;

use crate::error::{Error, Result};
use pieces::Pieces;
pub use pieces::{Piece, cut};
use source::SourceReader;
pub use source::{Memory, Source};
use unpack::Packing;

/// Most bytes of one line or one string: more is some other kind of file.
const LONGEST_BYTES: usize = 64 << 20;

/// The documents of several files, in order.
pub struct Documents {
    files: VecDeque<Rc<dyn Source>>,
    open: Option<(String, Texts)>,
    /// What is left of the document that was read last.
    rest: Option<Pieces>,
    read_bytes: Rc<Cell<u64>>,
}

/// The texts of one file.
enum Texts {
    /// A whole file of plain text, already in pieces.
    Plain(pieces::TextFile),
    Lines(Box<dyn BufRead>),
    List(json::List),
    Parquet(parquet::Texts),
}

impl Documents {
    pub fn new(files: impl IntoIterator<Item = Rc<dyn Source>>) -> Self {
        Documents { files: files.into_iter().collect(), open: None, rest: None, read_bytes: Rc::default() }
    }

    /// Bytes read so far, of all files.
    pub fn read_bytes(&self) -> u64 {
        self.read_bytes.get()
    }

    /// The next piece of text; none after the last file's end.
    ///
    /// # Errors
    /// [`Error::Read`] naming the file and what is wrong with it.
    pub fn next_piece(&mut self) -> Result<Option<Piece>> {
        loop {
            if let Some(piece) = self.rest.as_mut().and_then(Pieces::next) {
                return Ok(Some(piece));
            }
            self.rest = None;
            let Some((name, texts)) = &mut self.open else {
                let Some(file) = self.files.pop_front() else { return Ok(None) };
                let texts = Texts::open(file.clone(), &self.read_bytes).map_err(|why| unreadable(file.name(), why))?;
                self.open = Some((file.name().to_owned(), texts));
                continue;
            };
            let read = match texts {
                Texts::Plain(file) => match file.next_piece() {
                    Ok(Some(piece)) => return Ok(Some(piece)),
                    Ok(None) => Ok(None),
                    Err(why) => Err(why),
                },
                Texts::Lines(lines) => json::next_line(lines),
                Texts::List(list) => list.next_string(),
                Texts::Parquet(column) => column.next_text(),
            };
            match read {
                Ok(Some(text)) => self.rest = Some(Pieces::new(text)),
                Ok(None) => self.open = None,
                Err(why) => return Err(unreadable(name, why)),
            }
        }
    }
}

impl Texts {
    fn open(file: Rc<dyn Source>, read_bytes: &Rc<Cell<u64>>) -> std::result::Result<Self, String> {
        let name = file.name().to_lowercase();
        let bytes = SourceReader::new(file.clone(), read_bytes.clone());
        let (name, packing) = Packing::of(&name);
        let reader: Box<dyn std::io::Read> = match packing {
            Some(packing) => packing.unpack(bytes, file.len_bytes())?,
            None => Box::new(bytes),
        };
        let reader = Box::new(BufReader::with_capacity(1 << 18, without_mark(reader).map_err(|e| broken(&e))?));
        match name.rsplit_once('.').map_or("", |(_, extension)| extension) {
            "txt" => Ok(Texts::Plain(pieces::TextFile::new(reader))),
            "jsonl" | "ndjson" => Ok(Texts::Lines(reader)),
            "json" => Ok(Texts::List(json::List::new(reader))),
            "parquet" if name.len() == file.name().len() => {
                Ok(Texts::Parquet(parquet::Texts::open(file, read_bytes.clone())?))
            }
            "parquet" => Err("a parquet file is packed inside already. Unpack it, then give it as .parquet.".into()),
            _ => Err("its name ends in none of .txt, .jsonl, .json and .parquet (or .gz or .zst after them).".into()),
        }
    }
}

/// Leaves off the mark of UTF-8, which is no part of a text.
fn without_mark(mut bytes: impl std::io::Read) -> std::io::Result<impl std::io::Read> {
    let mut head = Vec::new();
    (&mut bytes).take(text::MARK.len() as u64).read_to_end(&mut head)?;
    if head == text::MARK {
        head.clear();
    }
    Ok(std::io::Cursor::new(head).chain(bytes))
}

fn unreadable(name: &str, why: String) -> Error {
    Error::Read { what: name.to_owned(), why }
}

/// What a failed read means for a person.
fn broken(error: &std::io::Error) -> String {
    format!("{error}. Is the file whole?")
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn texts(name: &str, bytes: impl Into<Vec<u8>>) -> Result<Vec<String>> {
        let mut documents = Documents::new([Rc::new(Memory::new(name, bytes)) as Rc<dyn Source>]);
        let mut texts: Vec<String> = Vec::new();
        while let Some(piece) = documents.next_piece()? {
            match texts.last_mut() {
                Some(text) if !piece.starts => text.push_str(&piece.text),
                _ => texts.push(piece.text),
            }
        }
        Ok(texts)
    }

    fn gz(bytes: &[u8]) -> Vec<u8> {
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all(bytes).unwrap();
        packed.finish().unwrap()
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
        for (name, bytes) in
            [("a.txt", "a"), ("a.json", "[\"a\"]"), ("a.jsonl", "{\"text\":\"a\"}\r\n{\"text\":null}\n")]
        {
            assert_eq!(texts(name, format!("\u{feff}{bytes}")).unwrap(), ["a"], "{name}");
            assert_eq!(
                texts(&format!("{name}.gz"), gz(format!("\u{feff}{bytes}").as_bytes())).unwrap(),
                ["a"],
                "{name}"
            );
        }
        assert_eq!(texts("a.jsonl", "{\"text\":\"\"}").unwrap(), [""]);
    }

    #[test]
    fn packed_files_are_unpacked_part_by_part() {
        let mut two = gz(b"[\"a\",");
        two.extend(gz(b"\"b\"]"));
        assert_eq!(texts("a.json.gz", two).unwrap(), ["a", "b"]);
        let text = "word ".repeat(100_000);
        let pack = |text: &str| {
            ruzstd::encoding::compress_to_vec(text.as_bytes(), ruzstd::encoding::CompressionLevel::Fastest)
        };
        let mut two = pack(&text);
        two.extend(pack("end"));
        assert_eq!(texts("a.txt.zst", two).unwrap(), [text + "end"]);
    }

    #[test]
    fn padding_skipped_frames_and_what_is_not_packed_are_read() {
        assert_eq!(texts("a.txt.gz", [gz(b"a"), gz(b"b"), vec![0; 512]].concat()).unwrap(), ["ab"]);
        assert_eq!(texts("a.jsonl.gz", "{\"text\":\"a\"}\n").unwrap(), ["a"]);
        assert_eq!(texts("a.txt.gz", "").unwrap(), [""]);
        let frame = zstd(b"a");
        let skipped = b"\x50\x2a\x4d\x18\x02\0\0\0xx";
        assert_eq!(texts("a.txt.zst", [skipped, &frame[..], skipped, &frame].concat()).unwrap(), ["aa"]);
        assert!(texts("a.txt.zst", [&frame[..], &skipped[..9]].concat()).is_err());
        // a window of 2 GiB, for one byte stored as it is
        assert_eq!(texts("a.txt.zst", b"\x28\xb5\x2f\xfd\0\xa8\x09\0\0a").unwrap(), ["a"]);
    }

    fn zstd(bytes: &[u8]) -> Vec<u8> {
        ruzstd::encoding::compress_to_vec(bytes, ruzstd::encoding::CompressionLevel::Fastest)
    }

    /// Wherever a bit of a packed text is turned over, the text is the same or none.
    #[test]
    fn no_flipped_bit_of_a_packed_file_goes_unseen() {
        let text: String = (0..300).map(|n| format!("Line {n} of apples and {} pears.\n", n * n)).collect();
        let gzip = [gz(&text.as_bytes()[..4000]), gz(&text.as_bytes()[4000..])].concat();
        for (name, packed) in [("a.txt.gz", gzip), ("a.txt.zst", zstd(text.as_bytes()))] {
            for bit in (0..8 * packed.len()).step_by(5) {
                let mut damaged = packed.clone();
                damaged[bit / 8] ^= 1 << (bit % 8);
                if let Ok(found) = texts(name, damaged) {
                    assert!(found == [text.clone()], "{name}: bit {bit} changed the text in silence");
                }
            }
        }
    }

    #[test]
    fn a_window_beyond_what_the_file_could_need_is_refused() {
        // blocks of one byte repeated, 128 KiB each, with a window of 2 GiB
        let mut bomb = b"\x28\xb5\x2f\xfd\0\xa8".to_vec();
        (0..2000).for_each(|_| bomb.extend(b"\x02\0\x10a"));
        bomb.extend(b"\x03\0\x10a");
        let error = texts("a.txt.zst", bomb).unwrap_err().to_string();
        assert!(error.contains("MB of memory"), "{error}");
    }

    #[test]
    fn a_long_text_comes_in_pieces_between_words() {
        let text: String = (0..20_000).map(|n| format!("w{n}  x\n")).collect();
        let mut documents = Documents::new([Rc::new(Memory::new("a.txt", text.clone())) as Rc<dyn Source>]);
        let (mut joined, mut n) = (String::new(), 0);
        while let Some(piece) = documents.next_piece().unwrap() {
            assert_eq!(piece.starts, n == 0);
            if n > 0 {
                assert!(piece.text.starts_with(char::is_whitespace) && !joined.ends_with(char::is_whitespace));
            }
            joined.push_str(&piece.text);
            n += 1;
        }
        assert!(n > 5 && joined == text);
    }

    /// Written by pyarrow 26.0.1: `tests/fixtures/README.md`.
    const PARQUET: [(&str, &[u8]); 6] = [
        ("plain", include_bytes!("../../tests/fixtures/parquet/plain.parquet")),
        ("snappy", include_bytes!("../../tests/fixtures/parquet/snappy.parquet")),
        ("gzip-v2", include_bytes!("../../tests/fixtures/parquet/gzip-v2.parquet")),
        ("delta-lengths", include_bytes!("../../tests/fixtures/parquet/delta-lengths.parquet")),
        ("zstd-v2-dictionary", include_bytes!("../../tests/fixtures/parquet/zstd-v2-dictionary.parquet")),
        ("snappy-dictionary-nulls", include_bytes!("../../tests/fixtures/parquet/snappy-dictionary-nulls.parquet")),
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
        assert_eq!(read(include_bytes!("../../tests/fixtures/parquet/delta-texts.parquet")).unwrap(), 60);
        assert_eq!(read(include_bytes!("../../tests/fixtures/parquet/empty-group.parquet")).unwrap(), 3);
        assert_eq!(read(include_bytes!("../../tests/fixtures/parquet/empty-page.parquet")).unwrap(), 3);
        let other = read(include_bytes!("../../tests/fixtures/parquet/other-column.parquet")).unwrap_err().to_string();
        assert!(other.contains("\"system\"") && other.contains("\"conversations\""), "{other}");
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

    #[test]
    fn damaged_files_are_refused_with_a_reason() {
        let cut = gz(&[b'a'; 10_000]);
        for (name, bytes) in [
            ("a.txt", vec![b'a', 0xff]),
            ("a.json", b"{\"text\":\"a\"}".to_vec()),
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
}
