//! gzip and Zstandard: parts, padding, damage, and what unpacks to nothing for long.

use super::*;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// The same wherever nothing is unpacked for long: before the first text, inside a value, behind the last.
#[test]
fn a_long_stretch_that_unpacks_to_nothing_is_read_in_steps() {
    let zeros = vec![0; 3 << 20];
    let members = gz(b"").repeat(20_000);
    // stored blocks of no bytes in one member
    let blocks = [&gz(b"")[..10], &[0, 0, 0, 0xff, 0xff].repeat(100_000), &[1, 0, 0, 0xff, 0xff], &[0; 8]].concat();
    let frames = zstd(b"").repeat(4000);
    let skipped = b"\x50\x2a\x4d\x18\x02\0\0\0xx".repeat(4000);
    let long = [&b"\x50\x2a\x4d\x18\0\0\x80\0"[..], &vec![7; 1 << 23]].concat();
    let gzip = [zeros, members, blocks].map(|nothing| ("gz", nothing));
    let zstandard = [frames, skipped, long].map(|nothing| ("zst", nothing));
    for (case, (packing, nothing)) in gzip.into_iter().chain(zstandard).enumerate() {
        for (inner, parts) in [
            ("txt", ["", "one ", "text"]),
            ("jsonl", ["", "{\"text\":\"one ", "text\"}\n"]),
            ("json", ["", "[\"one ", "text\"]"]),
        ] {
            let [start, middle, end] =
                parts.map(|part| if packing == "gz" { gz(part.as_bytes()) } else { zstd(part.as_bytes()) });
            let packed = [&start, &nothing, &middle, &nothing, &end, &nothing].map(|part| &part[..]).concat();
            let mut documents =
                Documents::new([Rc::new(Memory::new(format!("a.{inner}.{packing}"), packed)) as Rc<dyn Source>]);
            let (mut text, mut steps) = (String::new(), 0);
            loop {
                match documents.next_piece().unwrap() {
                    Next::Text(piece) => text.push_str(&piece.text),
                    Next::Nothing => steps += 1,
                    Next::End => break,
                }
            }
            assert_eq!(text, "one text", "case {case}, {inner}");
            assert!(steps >= 12, "case {case}, {inner}: {steps} steps");
        }
    }
}

#[test]
fn keys_are_not_looked_for_without_end() {
    let (start, text) = (gz(b""), gz(b"{\"text\":\"a\"}"));
    let keys = |zeros: usize| {
        let packed = [&start, &vec![0; zeros], &text].map(|part| &part[..]).concat();
        keys(Rc::new(Memory::new("a.jsonl.gz", packed))).unwrap()
    };
    assert_eq!(keys(1 << 19), ["text"]);
    assert_eq!(keys(5 << 20), [""; 0]);
}

#[test]
fn packed_files_are_unpacked_part_by_part() {
    let mut two = gz(b"[\"a\",");
    two.extend(gz(b"\"b\"]"));
    assert_eq!(texts("a.json.gz", two).unwrap(), ["a", "b"]);
    let text = "word ".repeat(100_000);
    let pack =
        |text: &str| ruzstd::encoding::compress_to_vec(text.as_bytes(), ruzstd::encoding::CompressionLevel::Fastest);
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
