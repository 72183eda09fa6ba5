//! A safetensors file taken apart, and a model's logits: what tests of files need.

use peartree::model::Model;
use peartree::protocol::{Answer, PredictOptions, Prompt, Request};
use peartree::session::AnySession;
use serde_json::{Value, json};

use super::{WEIGHTS, ask};

pub const PROMPT: &str = "I climbed up the pear tree and picked a pear. I climbed up the apple tree and picked";

/// A safetensors file taken apart: its header and its data.
pub struct Parts {
    pub header: Value,
    pub data: Vec<u8>,
}

pub fn parts() -> Parts {
    Parts::of(WEIGHTS)
}

impl Parts {
    pub fn of(file: &[u8]) -> Parts {
        let end = 8 + u64::from_le_bytes(*file.first_chunk().unwrap()) as usize;
        Parts { header: serde_json::from_slice(&file[8..end]).unwrap(), data: file[end..].to_vec() }
    }

    pub fn file(&self) -> Vec<u8> {
        let header = serde_json::to_vec(&self.header).unwrap();
        let mut file = (header.len() as u64).to_le_bytes().to_vec();
        file.extend_from_slice(&header);
        file.extend_from_slice(&self.data);
        file
    }

    pub fn names(&self) -> Vec<String> {
        self.header.as_object().unwrap().keys().filter(|name| *name != "__metadata__").cloned().collect()
    }

    pub fn range(&self, name: &str) -> std::ops::Range<usize> {
        let at = |i: usize| self.header[name]["data_offsets"][i].as_u64().unwrap() as usize;
        at(0)..at(1)
    }

    /// With the embedding once more, as the unembedding.
    pub fn with_tied_head(mut self) -> Parts {
        let (whole, start) = (parts(), self.data.len());
        self.data.extend_from_slice(&whole.data[whole.range("wte.weight")]);
        let (shape, offsets) = (&whole.header["wte.weight"]["shape"], [start, self.data.len()]);
        self.header["lm_head.weight"] = json!({"dtype": "F32", "shape": shape, "data_offsets": offsets});
        self
    }

    /// The same tensors under other names and in another type.
    pub fn rewritten(&self, rename: impl Fn(&str) -> String, dtype: &str, narrow: impl Fn(f32) -> Vec<u8>) -> Parts {
        let (mut header, mut data) = (serde_json::Map::new(), Vec::new());
        for name in self.names() {
            let start = data.len();
            let values = self.data[self.range(&name)].as_chunks::<4>().0.iter().map(|&b| f32::from_le_bytes(b));
            data.extend(values.flat_map(&narrow));
            let shape = &self.header[&name]["shape"];
            header.insert(rename(&name), json!({"dtype": dtype, "shape": shape, "data_offsets": [start, data.len()]}));
        }
        Parts { header: header.into(), data }
    }
}

/// A file of every second tensor, by name.
pub fn half(which: usize) -> Vec<u8> {
    let whole = parts();
    let (mut header, mut data) = (serde_json::Map::new(), Vec::new());
    for name in whole.names().iter().skip(which).step_by(2) {
        let start = data.len();
        data.extend_from_slice(&whole.data[whole.range(name)]);
        let shape = &whole.header[name]["shape"];
        header.insert(name.clone(), json!({"dtype": "F32", "shape": shape, "data_offsets": [start, data.len()]}));
    }
    Parts { header: header.into(), data }.file()
}

/// The files of [`half`], and what says which tensor lies in which.
pub fn halves() -> (Vec<(&'static str, Vec<u8>)>, Vec<u8>) {
    let names = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"];
    let map: serde_json::Map<String, Value> =
        parts().names().into_iter().enumerate().map(|(i, name)| (name, json!(names[i % 2]))).collect();
    (vec![(names[0], half(0)), (names[1], half(1))], json!({ "weight_map": map }).to_string().into_bytes())
}

pub fn logits(model: Model) -> Vec<f32> {
    let options = PredictOptions { prompt: Prompt::Text(PROMPT.into()), top: usize::MAX, no_bos: false };
    match ask(&AnySession::cpu("test".into(), model), Request::Predict(options)).unwrap() {
        Answer::Prediction(mut prediction) => {
            prediction.top.sort_by_key(|candidate| candidate.id);
            prediction.top.iter().map(|candidate| candidate.logit).collect()
        }
        other => panic!("{other:?}"),
    }
}

/// A pickle's instructions, as many as a state dictionary needs.
#[derive(Default)]
pub struct Pickler(pub Vec<u8>);

impl Pickler {
    pub fn op(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend_from_slice(bytes);
        self
    }

    pub fn text(&mut self, text: &str) -> &mut Self {
        self.op(b"X").op(&(text.len() as u32).to_le_bytes()).op(text.as_bytes())
    }

    pub fn int(&mut self, value: u64) -> &mut Self {
        self.op(b"\x8a\x08").op(&value.to_le_bytes())
    }

    pub fn ints(&mut self, values: &[u64]) -> &mut Self {
        self.op(b"(");
        for &value in values {
            self.int(value);
        }
        self.op(b"t")
    }

    /// A tensor whose numbers are the storage `key`'s.
    pub fn tensor(&mut self, name: &str, key: &str, shape: &[u64]) -> &mut Self {
        let numbers: u64 = shape.iter().product();
        let strides: Vec<u64> = (1..=shape.len()).map(|from| shape[from..].iter().product()).collect();
        self.text(name).op(b"ctorch._utils\n_rebuild_tensor_v2\n((").text("storage").op(b"ctorch\nFloatStorage\n");
        self.text(key).text("cpu").int(numbers).op(b"tQ").int(0).ints(shape).ints(&strides).op(b"\x89");
        self.op(b"ccollections\nOrderedDict\n)RtR")
    }
}

/// The model's tensors as PyTorch writes them, and their bytes by key.
pub fn pickled() -> (Vec<u8>, Vec<(String, Vec<u8>)>) {
    let parts = parts();
    let mut pickle = Pickler::default();
    // something that Python would run
    pickle.op(b"\x80\x02}(").text("hook").op(b"cos\nsystem\n").text("touch /tmp/never").op(b"\x85R");
    let mut storages = Vec::new();
    for (key, name) in parts.names().iter().enumerate() {
        let shape: Vec<u64> = serde_json::from_value(parts.header[name]["shape"].clone()).unwrap();
        pickle.tensor(name, &key.to_string(), &shape);
        storages.push((key.to_string(), parts.data[parts.range(name)].to_vec()));
    }
    // the head lies where the embedding does
    let wte = parts.names().iter().position(|name| name == "wte.weight").unwrap();
    pickle.tensor("lm_head.weight", &wte.to_string(), &[1257, 64]).op(b"u.");
    (pickle.0, storages)
}

/// The model in two files of PyTorch's, and the index that names them.
pub fn pickled_halves() -> (Vec<(&'static str, Vec<u8>)>, Vec<u8>) {
    const NAMES: [&str; 2] = ["pytorch_model-00001-of-00002.bin", "pytorch_model-00002-of-00002.bin"];
    let parts = parts();
    let names = parts.names();
    let half = |which: usize| {
        let mut pickle = Pickler::default();
        pickle.op(b"\x80\x02}(");
        let mut storages = Vec::new();
        for (key, name) in names.iter().enumerate().filter(|(key, _)| key % 2 == which) {
            let shape: Vec<u64> = serde_json::from_value(parts.header[name]["shape"].clone()).unwrap();
            pickle.tensor(name, &key.to_string(), &shape);
            storages.push((key.to_string(), parts.data[parts.range(name)].to_vec()));
        }
        pickle.op(b"u.");
        zipped_of((pickle.0, storages))
    };
    let map: serde_json::Map<String, Value> =
        names.iter().enumerate().map(|(key, name)| (name.clone(), NAMES[key % 2].into())).collect();
    let index = serde_json::json!({"metadata": {}, "weight_map": map}).to_string().into_bytes();
    (vec![(NAMES[0], half(0)), (NAMES[1], half(1))], index)
}

/// A zip of members that are stored as they are.
pub fn zip(members: &[(String, Vec<u8>)]) -> Vec<u8> {
    let (mut file, mut table) = (Vec::new(), Vec::new());
    for (name, bytes) in members {
        let mut crc = flate2::Crc::new();
        crc.update(bytes);
        let len = (bytes.len() as u32).to_le_bytes();
        let sizes = [&crc.sum().to_le_bytes()[..], &len, &len, &(name.len() as u16).to_le_bytes()].concat();
        let at = (file.len() as u32).to_le_bytes();
        // 3 bytes of padding, as an extra field has them
        file.extend(
            [b"PK\x03\x04\0\0\0\0\0\0\0\0\0\0", &sizes[..], b"\x03\0", name.as_bytes(), b"FB\0", bytes].concat(),
        );
        table.extend([b"PK\x01\x02\0\0\0\0\0\0\0\0\0\0\0\0", &sizes[..], &[0; 12], &at, name.as_bytes()].concat());
    }
    let n = (members.len() as u16).to_le_bytes();
    let (len, at) = ((table.len() as u32).to_le_bytes(), (file.len() as u32).to_le_bytes());
    [&file[..], &table, b"PK\x05\x06\0\0\0\0", &n, &n, &len, &at, b"\0\0"].concat()
}

pub fn zipped() -> Vec<u8> {
    zipped_of(pickled())
}

fn zipped_of((pickle, storages): (Vec<u8>, Vec<(String, Vec<u8>)>)) -> Vec<u8> {
    let data = storages.into_iter().map(|(key, bytes)| (format!("archive/data/{key}"), bytes));
    let order = ("archive/byteorder".to_owned(), b"little".to_vec());
    zip(&[("archive/data.pkl".to_owned(), pickle), order].into_iter().chain(data).collect::<Vec<_>>())
}
