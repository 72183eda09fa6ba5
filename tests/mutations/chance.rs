//! What is done to files, always the same for the same seed.

use serde_json::{Value, json};

/// The kinds of inputs, and how many of each are tried with all other tests.
const KINDS: [(&str, usize); 14] = [
    ("tokenizer.json", 1400),
    ("precompiled maps", 300),
    ("vocab and merges", 200),
    ("small files", 300),
    ("config.json", 300),
    ("safetensors", 500),
    ("indexes and parts", 300),
    ("pytorch_model.bin", 250),
    ("texts", 4000),
    ("packed bytes", 2000),
    ("checkpoints", 300),
    ("tables", 300),
    ("published folders", 200),
    ("links", 10_000),
];

/// How many inputs of a kind: a few with all other tests, or its share of as many as one says.
pub fn inputs(kind: &str) -> usize {
    let usual = KINDS.iter().find(|(other, _)| *other == kind).expect("a kind that is listed").1;
    let all: usize = KINDS.iter().map(|(_, usual)| usual).sum();
    match std::env::var("MUTATIONS").ok().and_then(|all| all.parse::<usize>().ok()) {
        Some(wanted) => (wanted * usual).div_ceil(all),
        None => usual,
    }
}

pub fn seed() -> u64 {
    std::env::var("MUTATION_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1)
}

pub struct Chance(u64);

impl Chance {
    /// The chances of one input of a kind.
    pub fn of(kind: &str, number: usize) -> Self {
        let start = kind.bytes().fold(seed(), |all, byte| all.wrapping_mul(31).wrapping_add(u64::from(byte)));
        let mut chance = Chance((start ^ (number as u64) << 20).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        // neighbours begin alike
        for _ in 0..8 {
            chance.below(2);
        }
        chance
    }

    pub fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end.max(1) as u64) as usize
    }

    /// One time in so many.
    pub fn once_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    pub fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }

    /// Some bytes of a file changed, doubled or lost, or all after some place.
    pub fn damage(&mut self, file: &[u8]) -> Vec<u8> {
        let mut file = file.to_vec();
        for _ in 0..=self.below(3) {
            let (at, len) = (self.below(file.len()), 1 + self.below(8));
            let end = (at + len).min(file.len());
            match self.below(5) {
                0 => file.truncate(at),
                1 => drop(file.drain(at..end)),
                2 => {
                    let twice = file[at..end].to_vec();
                    file.splice(at..at, twice);
                }
                3 if at < end => file[at] = self.below(256) as u8,
                _ if at < end => file[at] ^= 1 << self.below(8),
                _ => (),
            }
            if file.is_empty() {
                break;
            }
        }
        file
    }

    /// A value somewhere in `json` put in another's place, or taken out.
    pub fn change(&mut self, json: &Value) -> Value {
        let mut changed = json.clone();
        for _ in 0..=self.below(2) {
            let odd = self.odd();
            let mut at = &mut changed;
            loop {
                let n = at.as_object().map_or(0, serde_json::Map::len) + at.as_array().map_or(0, Vec::len);
                let is_end = n == 0 || self.below(4) == 0;
                match at {
                    _ if is_end => {
                        *at = odd;
                        break;
                    }
                    Value::Object(map) => {
                        let key = map.keys().nth(self.below(n)).cloned().unwrap_or_default();
                        if self.below(8) == 0 {
                            map.remove(&key);
                            break;
                        }
                        at = &mut map[&key];
                    }
                    Value::Array(list) => {
                        let index = self.below(n);
                        if self.below(8) == 0 {
                            list.remove(index);
                            break;
                        }
                        at = &mut list[index];
                    }
                    _ => break,
                }
            }
        }
        changed
    }

    /// JSON's values or its bytes.
    pub fn damage_json(&mut self, json: &Value) -> Vec<u8> {
        let changed =
            if self.once_in(2) { self.change(json) } else { return self.damage(json.to_string().as_bytes()) };
        changed.to_string().into_bytes()
    }

    fn odd(&mut self) -> Value {
        let texts = ["", " ", "a", "\u{2581}", "é", "^", "x*", "(?=a)", "\\b", "(", "(?=a\\K)", "</w>", "\0", "ĠĠ"];
        let kinds = ["Replace", "Strip", "Sequence", "Precompiled", "ByteLevel", "Metaspace", "BPE", "Unigram", "NFKC"];
        let numbers =
            [json!(0), json!(-1), json!(1), json!(7), json!(u32::MAX), json!(u64::MAX), json!(1e300), json!(0.5)];
        match self.below(8) {
            0 => Value::Null,
            1 => json!(self.below(2) == 0),
            2 => json!([]),
            3 => json!({}),
            4 => json!(kinds[self.below(kinds.len())]),
            5 => json!({"Regex": texts[self.below(texts.len())]}),
            6 => numbers[self.below(numbers.len())].clone(),
            _ => json!(texts[self.below(texts.len())]),
        }
    }
}
