//! What a sink sees of a model's files, and what the loader holds meanwhile.

use candle_core::{DType, Tensor};
use serde_json::{Map, json};

use super::*;
use crate::model::weights::{EMBEDDING, parameters};

const CONFIG: &[u8] = br#"{"n_layer":2,"n_head":1,"n_embd":6,"n_positions":5,"vocab_size":9}"#;

/// Writes down what it is given, and drops it.
#[derive(Default)]
struct Seen {
    names: Vec<String>,
    /// Refuses all that come after so many.
    room: Option<usize>,
}

impl Sink for Seen {
    fn put(&mut self, name: &str, tensor: Tensor) -> Result<()> {
        if self.room == Some(self.names.len()) {
            return Err(Error::Unsupported("There is no room.".into()));
        }
        let numbers: Vec<f32> = tensor.flatten_all()?.to_vec1()?;
        let (shape, dtype) = (tensor.dims().to_vec(), tensor.dtype());
        assert_eq!((shape.as_slice(), dtype), (&*shape_of(name), DType::F32), "{name}");
        assert!(!self.names.iter().any(|other| other == name), "{name} comes twice");
        let is_zeros = numbers.iter().all(|&number| number == 0.0);
        assert!(numbers == numbers_of(name) || (name.ends_with(".bias") && is_zeros), "{name}: {numbers:?}");
        self.names.push(name.to_owned());
        Ok(())
    }
}

fn config() -> Config {
    Config::from_json(CONFIG).unwrap()
}

fn shape_of(name: &str) -> Vec<usize> {
    let name = if name == HEAD { EMBEDDING } else { name };
    parameters(&config()).find(|(own, _)| own == name).unwrap().1
}

/// Other numbers for every name.
fn numbers_of(name: &str) -> Vec<f32> {
    let first = name.bytes().fold(1, |sum: u32, byte| (sum * 31 + u32::from(byte)) % 9973);
    (0..shape_of(name).iter().product()).map(|at: usize| (first + at as u32) as f32).collect()
}

/// All parameters' names, the embedding first.
fn names() -> Vec<String> {
    parameters(&config()).map(|(name, _)| name).collect()
}

/// A file of these tensors in this order, with the numbers of those that they are named after.
fn file(tensors: &[(&str, &str)]) -> Vec<u8> {
    let (mut header, mut data) = (Map::new(), Vec::new());
    for &(name, like) in tensors {
        let start = data.len();
        data.extend(numbers_of(like).iter().flat_map(|number| number.to_le_bytes()));
        let (shape, offsets) = (shape_of(name), [start, data.len()]);
        header.insert(name.to_owned(), json!({"dtype": "F32", "shape": shape, "data_offsets": offsets}));
    }
    let header = serde_json::to_vec(&header).unwrap();
    [&(header.len() as u64).to_le_bytes()[..], &header, &data].concat()
}

/// A file of these tensors in this order.
fn plain_file(names: &[String]) -> Vec<u8> {
    file(&names.iter().map(|name| (name.as_str(), name.as_str())).collect::<Vec<_>>())
}

fn loader(sink: Seen) -> ModelLoader<Seen> {
    ModelLoader::from_files(&pair(CONFIG, None), WeightDtype::F32, sink).unwrap()
}

/// How many tensors the loader holds that no sink has: those that are read, and those that wait.
fn n_held(loader: &ModelLoader<Seen>) -> (usize, usize) {
    let n_open = match &loader.stage {
        Stage::Head(_) => 0,
        Stage::Tensors(reading) => reading.n_open(),
    };
    (n_open, [EMBEDDING, HEAD].into_iter().filter(|name| loader.settling.waiting(name).is_some()).count())
}

/// Reads files one after the other in small pieces; gives back the most tensors that waited at once.
fn read(loader: &mut ModelLoader<Seen>, files: &[Vec<u8>]) -> usize {
    let mut most = 0;
    for (index, file) in files.iter().enumerate() {
        loader.begin(&format!("{index}.safetensors"), file.len() as u64, None, files.len() > 1).unwrap();
        for bytes in file.chunks(50) {
            loader.push(bytes).unwrap();
            let (n_open, n_waiting) = n_held(loader);
            assert!(n_open <= 1, "{n_open} tensors are read at once");
            most = most.max(n_waiting);
        }
    }
    most
}

#[test]
fn a_sink_sees_each_parameter_once_and_whole_as_soon_as_it_is_there() {
    let names = names();
    let file = plain_file(&names);
    let mut piecemeal = loader(Seen::default());
    // nothing waits: the embedding, which comes first, is the first to go
    assert_eq!(read(&mut piecemeal, std::slice::from_ref(&file)), 0);
    assert_eq!(piecemeal.finish().unwrap().weights.names, names);
    let at_once = Model::read(CONFIG, None, &file, WeightDtype::F32, Seen::default()).unwrap();
    assert_eq!(at_once.weights.names, names);
}

#[test]
fn of_all_tensors_only_the_embedding_and_a_head_beside_it_wait_for_each_other() {
    let names = names();
    let own: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), name.as_str())).collect();
    for (like, is_tied) in [(EMBEDDING, true), (HEAD, false)] {
        let mut last = own.clone();
        last.push((HEAD, like));
        let mut first = own.clone();
        first[0] = (HEAD, like);
        first.push(own[0]);
        for tensors in [last, first] {
            let mut loader = loader(Seen::default());
            assert_eq!(read(&mut loader, &[file(&tensors)]), 1);
            let model = loader.finish().unwrap();
            assert_eq!(model.config.variant.tie_word_embeddings, is_tied);
            let head = (!is_tied).then(|| HEAD.to_owned());
            let right: Vec<_> = names[1..].iter().chain(&names[..1]).cloned().chain(head).collect();
            assert_eq!(model.weights.names, right, "{like}");
        }
    }
}

#[test]
fn in_parts_the_embedding_waits_to_the_end_unless_it_is_known_that_no_head_comes() {
    let names = names();
    let files = [plain_file(&names[..9]), plain_file(&names[9..])];
    let mut unknown = loader(Seen::default());
    assert_eq!(read(&mut unknown, &files), 1);
    assert_eq!(unknown.finish().unwrap().weights.names.last().unwrap(), EMBEDDING);
    let mut known = loader(Seen::default());
    known.foresee(false);
    assert_eq!(read(&mut known, &files), 0);
    assert_eq!(known.finish().unwrap().weights.names, names);
    for head_first in [true, false] {
        let mut files = vec![plain_file(&names), file(&[(HEAD, EMBEDDING)])];
        if head_first {
            files.reverse();
        }
        let mut loader = loader(Seen::default());
        loader.foresee(true);
        assert_eq!(read(&mut loader, &files), 1);
        let model = loader.finish().unwrap();
        assert!(model.config.variant.tie_word_embeddings && model.notes.is_empty());
        assert_eq!(model.weights.names.len(), names.len());
    }
}

#[test]
fn lacking_biases_come_as_zeros_at_the_end() {
    let (biases, weights): (Vec<_>, Vec<_>) = names().into_iter().partition(|name| name.ends_with("c_fc.bias"));
    let model = Model::read(CONFIG, None, &plain_file(&weights), WeightDtype::F32, Seen::default()).unwrap();
    assert_eq!(model.weights.names, [weights, biases].concat());
    assert!(model.notes[0].contains("without mlp.c_fc.bias"));
}

#[test]
fn what_is_refused_in_the_middle_has_given_what_came_before() {
    let names = names();
    let mut file = plain_file(&names);
    let before = parameters(&config()).take(3).map(|(_, shape)| 4 * shape.iter().product::<usize>()).sum::<usize>();
    let data = file.len() - parameters(&config()).map(|(_, shape)| 4 * shape.iter().product::<usize>()).sum::<usize>();
    let at = data + before;
    file[at..at + 4].copy_from_slice(&f32::NAN.to_le_bytes());
    let mut damaged = loader(Seen::default());
    let error = damaged.push(&file).unwrap_err().to_string();
    assert!(error.contains(&format!("element 0 of {}", names[3])), "{error}");
    let mut full = loader(Seen { room: Some(2), ..Seen::default() });
    assert_eq!(full.push(&plain_file(&names)).unwrap_err().to_string(), "There is no room.");
}
