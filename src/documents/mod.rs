//! Texts out of files, one after the other: never a whole file in memory.
//!
//! `.txt` is one document; `.jsonl` has one in each line, `.json` too, or a list of texts or of objects; `.parquet` has a
//! column of them; `.gz` and `.zst` of the first three are unpacked on the way. Objects and columns are asked for `text`,
//! or for another key that was chosen.

mod json;
mod parquet;
mod pieces;
mod source;
mod text;
mod unpack;

use std::cell::Cell;
use std::collections::VecDeque;
use std::io::BufRead;
use std::rc::Rc;

use crate::error::{Error, Result};
use crate::model::tokenizer::cuts::Cut;
use json::Key;
use parquet::Counts;
pub use pieces::Piece;
use pieces::Pieces;
use source::SourceReader;
pub use source::{Memory, Source};
use text::Utf8;
use unpack::Packing;

/// Most bytes of one line or one value of JSON: more is some other kind of file.
const LONGEST_BYTES: u64 = 64 << 20;
/// What such a value may take of memory for any file, and for each of the file's bytes.
const ROOM_BYTES: u64 = 56 << 20;
const ROOM_SHARE: u64 = 3;

/// The documents of several files, in order.
pub struct Documents {
    files: VecDeque<Rc<dyn Source>>,
    open: Option<(String, Texts)>,
    /// What is left of the document that was read last.
    rest: Option<Pieces>,
    key: Key,
    cut: Cut,
    counts: Counts,
}

/// The texts of one file.
enum Texts {
    /// A whole file of plain text, already in pieces.
    Plain(pieces::TextFile),
    Json(json::Texts),
    Parquet(Box<parquet::Texts>),
}

/// What a reader has come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next<T = String> {
    Text(T),
    /// Nothing so far, but perhaps there is more: ask again.
    Nothing,
    End,
}

impl Documents {
    pub fn new(files: impl IntoIterator<Item = Rc<dyn Source>>) -> Self {
        let (files, cut) = (files.into_iter().collect(), Cut::Anywhere);
        Documents { files, open: None, rest: None, key: Key::default(), cut, counts: Counts::default() }
    }

    /// Looks for texts under another key than `text`.
    pub fn under(self, key: Option<String>) -> Self {
        Documents { key: Key(key), ..self }
    }

    /// Cuts long documents there only.
    pub fn cut_at(self, cut: Cut) -> Self {
        Documents { cut, ..self }
    }

    /// Where long documents are cut.
    pub fn cut(&self) -> Cut {
        self.cut
    }

    /// Counts the bytes read so far, of all files.
    pub fn read_bytes(&self) -> Rc<Cell<u64>> {
        self.counts.read.clone()
    }

    /// Bytes so far that were no UTF-8 and were replaced, of all files.
    pub fn replaced_bytes(&self) -> u64 {
        self.counts.replaced.get()
    }

    /// All texts that are left, whole, for who has room for them.
    ///
    /// # Errors
    /// As [`Self::next_piece`].
    pub fn whole_texts(&mut self) -> Result<Vec<String>> {
        let mut texts: Vec<String> = Vec::new();
        loop {
            match self.next_piece()? {
                Next::Text(piece) => match texts.last_mut() {
                    Some(text) if !piece.starts => text.push_str(&piece.text),
                    _ => texts.push(piece.text),
                },
                Next::Nothing => {}
                Next::End => return Ok(texts),
            }
        }
    }

    /// The next piece of text. Now and then there is none although there may be more, so that whoever reads can do
    /// something else.
    ///
    /// # Errors
    /// [`Error::Read`] naming the file and what is wrong with it.
    pub fn next_piece(&mut self) -> Result<Next<Piece>> {
        loop {
            let Some((name, texts)) = &mut self.open else {
                let Some(file) = self.files.pop_front() else { return Ok(Next::End) };
                let texts = self.texts(file.clone()).map_err(|why| unreadable(file.name(), why))?;
                self.open = Some((file.name().to_owned(), texts));
                continue;
            };
            if let Some(rest) = &mut self.rest {
                if let Some(piece) = rest.next(self.cut).map_err(|why| unreadable(name, why))? {
                    return Ok(Next::Text(piece));
                }
                self.rest = None;
            }
            let next = match texts {
                Texts::Plain(file) => match file.next_piece(self.cut) {
                    Ok(Some(piece)) => return Ok(Next::Text(piece)),
                    Ok(None) => Ok(Next::End),
                    Err(why) => Err(why),
                },
                Texts::Json(values) => values.next_text(),
                Texts::Parquet(column) => column.next_text(),
            };
            match next.map_err(|why| unreadable(name, why))? {
                Next::Text(text) => self.rest = Some(Pieces::new(text)),
                Next::Nothing => return Ok(Next::Nothing),
                Next::End => self.open = None,
            }
        }
    }

    fn texts(&self, file: Rc<dyn Source>) -> std::result::Result<Texts, String> {
        let reader = |packing: Option<Packing>| -> std::result::Result<Box<dyn BufRead>, String> {
            let bytes = SourceReader::new(file.clone(), self.counts.read.clone());
            let bytes: Box<dyn std::io::Read> = match packing {
                Some(packing) => packing.unpack(bytes, file.len_bytes())?,
                None => Box::new(bytes),
            };
            Ok(Box::new(Utf8::new(bytes, self.counts.replaced.clone())?))
        };
        let name = file.name().to_lowercase();
        let (inner, packing) = Packing::of(&name);
        let json = |is_lines: bool| {
            let most = longest_value(file.len_bytes(), packing);
            Ok(Texts::Json(json::Texts::new(reader(packing)?, self.key.clone(), is_lines, most)))
        };
        match inner.rsplit_once('.').map_or("", |(_, extension)| extension) {
            "txt" => Ok(Texts::Plain(pieces::TextFile::new(reader(packing)?))),
            "jsonl" | "ndjson" => json(true),
            "json" => json(false),
            "parquet" if packing.is_none() => {
                Ok(Texts::Parquet(Box::new(parquet::Texts::open(file.clone(), &self.key, self.counts.clone())?)))
            }
            "parquet" => Err("a parquet file is packed inside already. Unpack it, then give it as .parquet.".into()),
            _ => Err("its name ends in none of .txt, .jsonl, .json and .parquet (or .gz or .zst after them).".into()),
        }
    }
}

/// Under which keys, or in which columns, a file has texts; none where it is text itself.
///
/// # Errors
/// [`Error::Read`] naming the file and what is wrong with it.
pub fn keys(file: Rc<dyn Source>) -> Result<Vec<String>> {
    if file.name().to_lowercase().ends_with(".parquet") {
        return parquet::keys(&*file).map_err(|why| unreadable(file.name(), why));
    }
    let keys = match Documents::new([]).texts(file.clone()) {
        Ok(Texts::Json(mut values)) => values.keys(),
        Ok(_) => Ok(Vec::new()),
        Err(why) => Err(why),
    };
    keys.map_err(|why| unreadable(file.name(), why))
}

/// Most bytes of one value of JSON, in a file that is so long: what reads it takes four times as much and some more.
fn longest_value(file_bytes: u64, packing: Option<Packing>) -> usize {
    let (room, share) = match packing {
        // its window takes the rest
        Some(Packing::Zstandard) => (ROOM_BYTES - unpack::WINDOW_BYTES, ROOM_SHARE - unpack::WINDOW_SHARE),
        _ => (ROOM_BYTES, ROOM_SHARE),
    };
    let room = file_bytes.saturating_mul(share).saturating_add(room);
    (room.saturating_mul(4) / 17).min(LONGEST_BYTES) as usize
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

    #[test]
    fn json_is_read_in_the_habits_of_those_who_write_it() {
        let lines = "{\"text\":\"a\"}\r\n\n{\"text\":null}\n  {\"text\":\"b\"}";
        for name in ["a.json", "a.jsonl", "a.ndjson"] {
            assert_eq!(texts(name, lines).unwrap(), ["a", "b"], "{name}");
            let list = "[{\"n\":[1,\"]\"],\"text\":\"a\"},\n null, {\"text\":\"b\\\"]\"} ,\"c\"]\n";
            assert_eq!(texts(name, list).unwrap(), ["a", "b\"]", "c"], "{name}");
        }
        assert_eq!(texts("a.json", "{\n  \"text\": \"a\"\n}\n{\"text\":\n\"b\"}").unwrap(), ["a", "b"]);
        assert_eq!(texts("a.json", " \n").unwrap(), [""; 0]);
    }

    #[test]
    fn what_python_writes_for_no_numbers_is_null() {
        let lines = "{\"text\":\"NaN \\\" NaN\",\"n\":NaN}\n{\"n\":[-Infinity,{\"m\":Infinity}],\"text\":\"b\"}\n{\"text\":NaN}\n";
        for name in ["a.jsonl", "a.json"] {
            assert_eq!(texts(name, lines).unwrap(), ["NaN \" NaN", "b"], "{name}");
            assert_eq!(texts(name, "[\"a\",NaN,{\"text\":\"b\",\"n\":NaN}]").unwrap(), ["a", "b"], "{name}");
        }
        assert!(refused("a.jsonl", "{\"text\":\"a\",\"n\":nan}").contains("in line 1"));
        let why = under(Some("body"), "a.jsonl", "{\"a\":\"a\",\"n\":NaN}").unwrap_err().to_string();
        assert!(why.contains("Under these there are texts: \"a\""), "{why}");
    }

    #[test]
    fn marks_between_files_and_lone_returns_are_no_part_of_a_text() {
        let two = "\u{feff}{\"text\":\"a\"}\n\u{feff}{\"text\":\"\u{feff}b\"}\n\u{feff}";
        for name in ["a.jsonl", "a.json"] {
            assert_eq!(texts(name, two).unwrap(), ["a", "\u{feff}b"], "{name}");
            assert_eq!(texts(name, "{\"text\":\"a\"}\r{\"text\":\"b\"}\r").unwrap(), ["a", "b"], "{name}");
        }
    }

    #[test]
    fn a_key_inside_another_is_read_under_both_names() {
        let lines = "{\"meta\":{\"text\":\"a\",\"n\":1},\"id\":2}\n{\"meta\":null}\n{\"meta\":{\"text\":null}}\n{\"meta.text\":\"b\"}";
        assert_eq!(under(Some("meta.text"), "a.jsonl", lines).unwrap().0, ["a", "b"]);
        assert_eq!(keys(Rc::new(Memory::new("a.jsonl", lines))).unwrap(), ["meta.text"]);
        for line in ["{\"meta\":7}", "{\"meta\":\"a\"}", "{\"meta\":[{\"text\":\"a\"}]}", "{\"meta\":{\"txt\":\"a\"}}"]
        {
            assert!(under(Some("meta.text"), "a.jsonl", line).is_err(), "{line}");
        }
    }

    #[test]
    fn errors_in_json_name_their_line() {
        let bad = refused("a.jsonl", "{\"text\":\"a\"}\n\n{\"text\":7}\n");
        assert!(bad.contains("in line 3, invalid type: integer `7`, expected a text."), "{bad}");
        let bad = refused("a.json", "[\n\"a\",\n\n7]");
        assert!(bad.contains("in line 4"), "{bad}");
        let cut = refused("a.jsonl", "{\"text\":\"a\"}\n{\"text\":\"b");
        assert!(cut.contains("in line 2, EOF"), "{cut}");
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
    fn another_key_is_read_if_it_is_asked_for_and_otherwise_named() {
        let line = "{\"content\":\"a\",\"n\":1,\"title\":\"t\",\"tags\":[\"x\"]}";
        for (name, bytes) in [("a.jsonl", line.to_owned()), ("a.json", format!("[{line}]"))] {
            assert_eq!(under(Some("content"), name, &*bytes).unwrap().0, ["a"]);
            for key in [None, Some("n2")] {
                let why = under(key, name, &*bytes).unwrap_err().to_string();
                assert!(why.contains("\"content\", \"title\".") && why.contains("in line 1"), "{why}");
            }
            let file = Rc::new(Memory::new(name, bytes));
            assert_eq!(keys(file).unwrap(), ["content", "title"]);
        }
    }

    /// How often a reader lets others run while it reads a file that is packed so small.
    #[test]
    fn a_long_stretch_without_a_text_is_read_in_steps() {
        let blank = "\n \r\n".repeat(2 << 20);
        for (name, bytes) in [("a.jsonl.gz", blank.clone()), ("a.json.gz", format!("[{blank}\"a\"{blank},\"b\"]"))] {
            let packed = gz(bytes.as_bytes());
            assert!(packed.len() < bytes.len() / 100);
            let mut documents = Documents::new([Rc::new(Memory::new(name, packed)) as Rc<dyn Source>]);
            let mut steps = 0;
            while documents.next_piece().unwrap() != Next::End {
                steps += 1;
            }
            assert!(steps >= 6, "{steps} steps");
        }
        let nulls = "{\"text\":null}\n".repeat(100);
        let mut documents = Documents::new([Rc::new(Memory::new("a.jsonl", nulls)) as Rc<dyn Source>]);
        assert!((0..100).all(|_| documents.next_piece().unwrap() == Next::Nothing));
    }

    #[test]
    fn a_value_is_as_long_as_the_file_allows() {
        let long = |mib: usize| gz(format!("{{\"text\":\"{}\"}}", "a".repeat(mib << 20)).as_bytes());
        assert_eq!(texts("a.jsonl.gz", long(12)).unwrap()[0].len(), 12 << 20);
        for name in ["a.jsonl.gz", "a.json.gz"] {
            assert!(refused(name, long(15)).contains("is longer than 13 MiB"));
        }
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

    /// Written by pyarrow 26.0.1: `tests/fixtures/README.md`.
    const PARQUET: [(&str, &[u8]); 10] = [
        ("brotli", include_bytes!("../../tests/fixtures/parquet/brotli.parquet")),
        ("lz4-raw", include_bytes!("../../tests/fixtures/parquet/lz4-raw.parquet")),
        ("large-string", include_bytes!("../../tests/fixtures/parquet/large-string.parquet")),
        ("string-view", include_bytes!("../../tests/fixtures/parquet/string-view.parquet")),
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
    fn a_column_inside_another_is_read_under_both_names_and_never_for_another() {
        let files: [&[u8]; 2] = [
            include_bytes!("../../tests/fixtures/parquet/nested-v1.parquet"),
            include_bytes!("../../tests/fixtures/parquet/nested-v2.parquet"),
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
}
