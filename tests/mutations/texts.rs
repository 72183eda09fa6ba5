//! Texts in every form that is read: plain, JSON, parquet, packed or not.

use std::io::Write;
use std::rc::Rc;
use std::time::{Duration, Instant};

use peartree::documents::{Documents, Memory, Next, Source, keys};
use peartree::error::{Error, Result};

use crate::chance::Chance;
use crate::watch::{Watch, each};

/// All texts of a file, one after the other, or what is wrong with it; what there is after so many steps, of which a small
/// file needs a few.
fn texts(name: &str, bytes: &[u8], key: Option<&str>) -> Result<String> {
    let file: Rc<dyn Source> = Rc::new(Memory::new(name, bytes));
    let mut documents = Documents::new([file]).under(key.map(str::to_owned));
    let mut texts = String::new();
    for _ in 0..200_000 {
        match documents.next_piece()? {
            Next::Text(piece) => texts.push_str(&piece.text),
            Next::Nothing => {}
            Next::End => break,
        }
    }
    Ok(texts)
}

/// The same, nothing kept.
fn read_through(name: &str, bytes: &[u8]) -> Result<()> {
    let mut documents = Documents::new([Rc::new(Memory::new(name, bytes)) as Rc<dyn Source>]);
    while documents.next_piece()? != Next::End {}
    Ok(())
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    gzip.write_all(bytes).unwrap();
    gzip.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    ruzstd::encoding::compress_to_vec(bytes, ruzstd::encoding::CompressionLevel::Fastest)
}

/// Written by `zstd` itself, with every kind of block and table: `tests/fixtures/README.md`.
const ZSTD: [(&str, &[u8]); 2] = [
    ("lines-19.txt.zst", include_bytes!("../fixtures/zstd/lines-19.txt.zst")),
    ("lines-3.txt.zst", include_bytes!("../fixtures/zstd/lines-3.txt.zst")),
];

/// Files of texts by their names.
fn files() -> Vec<(String, Vec<u8>)> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/parquet");
    let mut files: Vec<(String, Vec<u8>)> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), std::fs::read(path).unwrap()))
        .collect();
    files.sort();
    assert!(files.len() >= 16, "{} parquet files", files.len());
    let lines: String = (0..200)
        .map(|n| format!("{{\"text\":\"Line {n} of pears and {}.\",\"row\":{{\"text\":\"\\ud83c\\udf50\"}}}}\n", n * n))
        .collect();
    let list: Vec<String> = (0..50).map(|n| format!("pear {n} \u{e9} \"\\ \u{1f350}")).collect();
    let list = serde_json::to_vec(&list).unwrap();
    let plain: String = (0..200).map(|n| format!("Pear {n}, of {} or so.\r\n", n * n)).collect();
    // members, padding, frames to be skipped
    let members = [gzip(&plain.as_bytes()[..900]), gzip(b""), gzip(&plain.as_bytes()[900..]), vec![0; 40]].concat();
    let skipped = b"\x50\x2a\x4d\x18\x02\0\0\0xx";
    let frames = [skipped, &zstd(&plain.as_bytes()[..900])[..], &zstd(b""), skipped, &zstd(&plain.as_bytes()[900..])];
    let more = [
        ("a.jsonl.gz", gzip(lines.as_bytes())),
        ("a.jsonl.zst", zstd(lines.as_bytes())),
        ("a.json.gz", gzip(&list)),
        ("a.json.zst", zstd(&list)),
        ("a.txt.gz", members),
        ("a.txt.zst", frames.concat()),
        ("a.json", list),
        ("a.jsonl", lines.into_bytes()),
        ("a.txt", plain.into_bytes()),
    ];
    files.extend(more.map(|(name, bytes)| (name.to_owned(), bytes)));
    files.extend(ZSTD.map(|(name, bytes)| (name.to_owned(), bytes.to_vec())));
    files
}

/// Damaged as it is, or damaged before it was packed, with the right checksum.
fn damage(chance: &mut Chance, name: &str, file: &[u8]) -> Vec<u8> {
    let inner = |chance: &mut Chance| {
        // read as plain text
        let name = name.replace("json", "txt").replace("txtl", "txt");
        let text = Documents::new([Rc::new(Memory::new(name, file)) as Rc<dyn Source>]).whole_texts().unwrap();
        chance.damage(text.concat().as_bytes())
    };
    match name.rsplit_once('.').map(|(_, packing)| packing) {
        Some("gz") if chance.once_in(3) => gzip(&inner(chance)),
        Some("zst") if chance.once_in(3) => zstd(&inner(chance)),
        _ => chance.damage(file),
    }
}

#[test]
fn texts_that_are_damaged_give_texts_or_a_reason_within_bounds() {
    let files = files();
    each("texts", |watch, chance, what| {
        let (name, file) = chance.pick(&files);
        let damaged = damage(chance, name, file);
        let key = *chance.pick(&[None, None, None, Some("row.text"), Some("title")]);
        let what = format!("{what}, {name}");
        let read = watch.tried(&what, damaged.len(), || {
            let names = keys(Rc::new(Memory::new(name.as_str(), &damaged[..])));
            texts(name, &damaged, key).and(names).map(drop)
        });
        assert!(matches!(read, Ok(_) | Err(Error::Read { .. })), "{what}: {read:?}");
    });
}

/// Bytes changed in place behind a file's first few, so that what is damaged reaches the program that unpacks it.
fn damage_inside(chance: &mut Chance, file: &[u8], end: usize) -> Vec<u8> {
    let mut damaged = file.to_vec();
    for _ in 0..=chance.below(4) {
        let at = 8 + chance.below(end - 8);
        match chance.below(3) {
            0 => damaged[at] = chance.below(256) as u8,
            1 => damaged[at] ^= 1 << chance.below(8),
            _ => {
                let n = chance.below(40).min(end - at);
                damaged[at..at + n].fill_with(|| chance.below(256) as u8);
            }
        }
    }
    damaged
}

/// Every packing that is read, with and without checksums. Where there is one, no other text is given in silence.
#[test]
fn packed_bytes_that_are_damaged_give_texts_or_a_reason() {
    let is_packed = |name: &str| {
        ["brotli", "lz4", "snappy", "gzip", "zstd", ".gz", ".zst"].iter().any(|packing| name.contains(packing))
    };
    let files: Vec<_> = files().into_iter().filter(|(name, _)| is_packed(name)).collect();
    assert!(files.len() >= 14, "{}", files.len());
    each("packed bytes", |watch, chance, what| {
        let (name, file) = chance.pick(&files);
        // a parquet file's pages come before what says where they lie
        let end = if name.ends_with(".parquet") { file.len() / 2 } else { file.len() };
        let damaged = damage_inside(chance, file, end);
        let what = format!("{what}, {name}");
        let read = watch.tried(&what, damaged.len(), || texts(name, &damaged, None));
        assert!(matches!(read, Ok(_) | Err(Error::Read { .. })), "{what}: {read:?}");
        let has_checksums = !name.ends_with(".parquet") && !name.contains("lines-3");
        if let (true, Ok(found)) = (has_checksums, read) {
            assert!(found == texts(name, file, None).unwrap(), "{what}: other texts, and nothing was said");
        }
    });
}

/// A file of one part over and over, of which no more is in memory.
struct Repeated {
    name: &'static str,
    start: Vec<u8>,
    part: Vec<u8>,
    times: usize,
}

impl Source for Repeated {
    fn name(&self) -> &str {
        self.name
    }

    fn len_bytes(&self) -> u64 {
        (self.start.len() + self.part.len() * self.times) as u64
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> std::io::Result<usize> {
        let at = offset as usize;
        let rest = match at.checked_sub(self.start.len()) {
            None => &self.start[at..],
            Some(at) if at < self.part.len() * self.times => &self.part[at % self.part.len()..],
            Some(_) => &[],
        };
        let n = rest.len().min(into.len());
        into[..n].copy_from_slice(&rest[..n]);
        Ok(n)
    }
}

/// A gigabyte of padding, a million empty members or frames: read in steps, each of which is short.
#[test]
fn what_unpacks_to_nothing_for_very_long_is_read_in_short_steps() {
    let mut watch = Watch::new("nothing for long");
    let start = gzip(b"a text");
    let blocks = [&gzip(b"")[..10], &[0, 0, 0, 0xff, 0xff].repeat(200_000), &[1, 0, 0, 0xff, 0xff], &[0; 8]].concat();
    let skipped = [&b"\x50\x2a\x4d\x18\0\0\x10\0"[..], &vec![7; 1 << 20]].concat();
    for (what, name, start, part, times) in [
        ("zeros", "zeros.txt.gz", start.clone(), vec![0; 1 << 20], 1024),
        ("members", "members.txt.gz", start.clone(), gzip(b""), 1_000_000),
        ("blocks", "blocks.txt.gz", start, blocks, 100),
        ("frames", "frames.txt.zst", zstd(b"a text"), zstd(b""), 1_000_000),
        ("skipped frames", "skipped.txt.zst", zstd(b"a text"), b"\x50\x2a\x4d\x18\x02\0\0\0xx".to_vec(), 1_000_000),
        ("long skipped frames", "long.txt.zst", zstd(b"a text"), skipped, 1024),
    ] {
        let file = Rc::new(Repeated { name, start, part, times });
        let mut documents = Documents::new([file as Rc<dyn Source>]);
        // each time measured against no file at all
        let longest = watch.tried(what, 0, || {
            let mut longest = Duration::ZERO;
            loop {
                let start = Instant::now();
                let next = documents.next_piece().unwrap();
                longest = longest.max(start.elapsed());
                if next == Next::End {
                    return Ok(longest);
                }
            }
        });
        let longest = longest.unwrap();
        println!("{what}: {longest:?}");
        assert!(longest < Duration::from_secs(5), "{what}: a step of {longest:?}");
    }
}

#[test]
fn texts_that_unpack_to_very_much_stay_within_bounds() {
    let mut watch = Watch::new("bombs");
    let gzip = |bytes: &mut dyn Iterator<Item = Vec<u8>>| {
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        bytes.for_each(|bytes| packed.write_all(&bytes).unwrap());
        packed.finish().unwrap()
    };
    let chunk = |byte: u8| vec![byte; 1 << 20];
    let value = |mib: usize, start: &'static str, fill: &'static str| {
        let fill = fill.repeat((1 << 20) / fill.len());
        let body = std::iter::repeat_n(fill.into_bytes(), mib);
        gzip(&mut std::iter::once(start.as_bytes().to_vec()).chain(body).chain([b"\"}]".to_vec()]))
    };
    let bombs = [
        ("blank.jsonl.gz", gzip(&mut std::iter::repeat_n(chunk(b'\n'), 128))),
        ("spaces.json.gz", gzip(&mut std::iter::repeat_n(chunk(b' '), 128))),
        ("line.jsonl.gz", value(90, "{\"text\":\"", "a")),
        ("escapes.jsonl.gz", value(13, "{\"text\":\"", "\\n")),
        ("string.json.gz", value(90, "[\"", "a")),
        ("nested.json.gz", value(90, "", "[")),
        ("keys.jsonl.gz", value(12, "{\"text\":\"", "\",\"a\":\"")),
        ("bad.txt.gz", gzip(&mut std::iter::repeat_n(chunk(0xff), 64))),
        ("word.txt.gz", gzip(&mut std::iter::repeat_n(chunk(b'a'), 64))),
    ];
    for (name, file) in bombs {
        let _ = watch.tried(name, file.len(), || read_through(name, &file));
    }
}
