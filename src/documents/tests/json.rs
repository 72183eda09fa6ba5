//! JSON in its forms and keys.

use super::*;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

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
    let lines =
        "{\"text\":\"NaN \\\" NaN\",\"n\":NaN}\n{\"n\":[-Infinity,{\"m\":Infinity}],\"text\":\"b\"}\n{\"text\":NaN}\n";
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
    for line in ["{\"meta\":7}", "{\"meta\":\"a\"}", "{\"meta\":[{\"text\":\"a\"}]}", "{\"meta\":{\"txt\":\"a\"}}"] {
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
        assert!(steps >= if name.contains("jsonl") { 6 } else { 14 }, "{name}: {steps} steps");
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
