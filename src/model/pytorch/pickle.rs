//! A pickle read for the tensors in it, and for nothing else. What a pickle would have Python call is not called, whatever
//! it is: it becomes a blank. All values lie in one list and name each other by their places in it, so that no pickle is
//! too deep, or holds itself.

use std::collections::HashMap;

use super::super::safetensors::Dtype;

/// A place in the list of values.
type At = usize;

/// Some fifteen thousand for GPT-2 XL; with an optimizer's state some more. A file that makes more is none.
const MOST_VALUES: usize = 1 << 18;
/// What is copied out of the list is short: the key of a storage, the sides of a tensor.
const LONGEST_KEY: usize = 256;
const MOST_SIDES: usize = 64;

#[derive(Debug, Clone)]
enum Value {
    /// What a tensor's description doesn't need: dates, arguments, objects.
    Blank,
    Int(i64),
    Text(String),
    List(Vec<At>),
    Dict(Vec<(At, At)>),
    Global(String),
    Storage(Storage),
    Tensor(Tensor),
}

/// Where a tensor's numbers lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Storage {
    pub key: String,
    /// As `torch` calls it, `FloatStorage`.
    pub kind: String,
    pub numbers: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tensor {
    pub storage: Storage,
    /// Its first number, in the storage.
    pub offset: u64,
    pub shape: Vec<u64>,
    pub strides: Vec<u64>,
}

impl Storage {
    /// The numbers' type, and how many bytes each takes; a size of 0 for a kind that isn't known.
    pub fn dtype(&self) -> (Dtype, u64) {
        match self.kind.as_str() {
            "FloatStorage" => (Dtype::F32, 4),
            "HalfStorage" => (Dtype::F16, 2),
            "BFloat16Storage" => (Dtype::Bf16, 2),
            "DoubleStorage" => (Dtype::F64, 8),
            "LongStorage" => (Dtype::Other, 8),
            "IntStorage" => (Dtype::Other, 4),
            "ShortStorage" => (Dtype::Other, 2),
            "ByteStorage" | "CharStorage" | "BoolStorage" | "UntypedStorage" => (Dtype::Other, 1),
            _ => (Dtype::Other, 0),
        }
    }
}

/// One pickle out of some bytes: what it holds and how long it is.
pub struct Pickle {
    values: Vec<Value>,
    root: At,
    pub bytes: usize,
}

impl Pickle {
    /// Reads the pickle at the beginning of `bytes`.
    pub fn read(bytes: &[u8]) -> Result<Pickle, String> {
        let mut machine =
            Machine { bytes, at: 0, values: Vec::new(), stack: Vec::new(), marks: Vec::new(), memo: HashMap::new() };
        let root = machine.run()?;
        Ok(Pickle { bytes: machine.at, root, values: machine.values })
    }

    /// The tensors by name: those of the dictionary that it is, or that lies under a key of it.
    pub fn tensors(&self) -> Vec<(&str, &Tensor)> {
        let own = self.of(self.root);
        if !own.is_empty() {
            return own;
        }
        let inner = ["state_dict", "model", "module", "model_state_dict"];
        let entries = self.entries(self.root);
        let under = |key: &&str| entries.iter().find(|(name, _)| name == key).map(|(_, at)| self.of(*at));
        inner.iter().filter_map(under).find(|tensors| !tensors.is_empty()).unwrap_or_default()
    }

    /// The whole number that it is.
    pub fn number(&self) -> Option<i64> {
        match self.values[self.root] {
            Value::Int(number) => Some(number),
            _ => None,
        }
    }

    /// The texts in the list that it is.
    pub fn texts(&self) -> Vec<&str> {
        let Value::List(list) = &self.values[self.root] else { return vec![] };
        let text = |&at: &At| if let Value::Text(text) = &self.values[at] { Some(text.as_str()) } else { None };
        list.iter().filter_map(text).collect()
    }

    /// Every storage that anything in it lies in.
    pub fn storages(&self) -> impl Iterator<Item = &Storage> {
        self.values.iter().filter_map(|value| if let Value::Storage(storage) = value { Some(storage) } else { None })
    }

    fn entries(&self, at: At) -> Vec<(&str, At)> {
        let Value::Dict(entries) = &self.values[at] else { return vec![] };
        let named = |&(key, value): &(At, At)| match &self.values[key] {
            Value::Text(name) => Some((name.as_str(), value)),
            _ => None,
        };
        entries.iter().filter_map(named).collect()
    }

    fn of(&self, at: At) -> Vec<(&str, &Tensor)> {
        let tensor =
            |(name, at)| if let Value::Tensor(tensor) = &self.values[at] { Some((name, tensor)) } else { None };
        self.entries(at).into_iter().filter_map(tensor).collect()
    }
}

/// Pickle's stack machine, as much of it as builds plain values.
struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    values: Vec<Value>,
    stack: Vec<At>,
    marks: Vec<usize>,
    memo: HashMap<u32, At>,
}

impl Machine<'_> {
    fn run(&mut self) -> Result<At, String> {
        loop {
            match self.byte()? {
                0x80 => drop(self.take(1)?), // PROTO
                0x95 => drop(self.take(8)?), // FRAME
                b'.' => return self.pop(),   // STOP
                b'(' => self.marks.push(self.stack.len()),
                b'0' => drop(self.pop()?),        // POP
                b'1' => drop(self.since_mark()?), // POP_MARK
                b'2' => {
                    let top = *self.stack.last().ok_or(EMPTY)?; // DUP
                    self.stack.push(top);
                }
                b'N' => self.push(Value::Blank)?,
                0x88 => self.push(Value::Int(1))?, // NEWTRUE
                0x89 => self.push(Value::Int(0))?, // NEWFALSE
                b'K' => self.int(1)?,
                b'M' => self.int(2)?,
                b'J' => {
                    let bytes = self.array::<4>()?;
                    self.push(Value::Int(i32::from_le_bytes(bytes).into()))?;
                }
                0x8a => self.long()?, // LONG1
                b'G' => {
                    self.take(8)?; // BINFLOAT
                    self.push(Value::Blank)?;
                }
                b'X' | b'T' => self.text(4)?,                   // BINUNICODE, BINSTRING
                0x8c | b'U' => self.text(1)?,                   // SHORT_BINUNICODE, SHORT_BINSTRING
                0x8d => self.text(8)?,                          // BINUNICODE8
                b'B' => self.skipped(4)?,                       // BINBYTES
                b'C' => self.skipped(1)?,                       // SHORT_BINBYTES
                0x8e | 0x96 => self.skipped(8)?,                // BINBYTES8, BYTEARRAY8
                b')' | b']' => self.push(Value::List(vec![]))?, // EMPTY_TUPLE, EMPTY_LIST
                0x8f => self.push(Value::Blank)?,               // EMPTY_SET
                b'}' => self.push(Value::Dict(vec![]))?,
                b't' | b'l' => {
                    let list = self.since_mark()?; // TUPLE, LIST
                    self.push(Value::List(list))?;
                }
                n @ 0x85..=0x87 => {
                    let from = self.stack.len().checked_sub(usize::from(n - 0x84)).ok_or(EMPTY)?; // TUPLE1 to TUPLE3
                    let list = self.stack.split_off(from);
                    self.push(Value::List(list))?;
                }
                b'd' => {
                    let list = self.since_mark()?; // DICT
                    self.push(Value::Dict(pairs(&list)))?;
                }
                b's' => {
                    let (value, key) = (self.pop()?, self.pop()?); // SETITEM
                    self.set(&[key, value])?;
                }
                b'u' => {
                    let list = self.since_mark()?; // SETITEMS
                    self.set(&list)?;
                }
                b'a' => {
                    let value = self.pop()?; // APPEND
                    self.append(&[value])?;
                }
                b'e' => {
                    let list = self.since_mark()?; // APPENDS
                    self.append(&list)?;
                }
                0x90 => drop(self.since_mark()?), // ADDITEMS, to a set
                0x91 => {
                    self.since_mark()?; // FROZENSET
                    self.push(Value::Blank)?;
                }
                b'c' => {
                    let name = format!("{} {}", self.line()?, self.line()?); // GLOBAL
                    self.push(Value::Global(name))?;
                }
                0x93 => {
                    let (name, module) = (self.pop()?, self.pop()?); // STACK_GLOBAL
                    let name = format!("{} {}", self.as_text(module), self.as_text(name));
                    self.push(Value::Global(name))?;
                }
                b'R' | 0x81 => {
                    let (arguments, what) = (self.pop()?, self.pop()?); // REDUCE, NEWOBJ
                    let made = self.made(what, arguments);
                    self.push(made)?;
                }
                0x92 => {
                    self.stack.truncate(self.stack.len().checked_sub(3).ok_or(EMPTY)?); // NEWOBJ_EX
                    self.push(Value::Blank)?;
                }
                b'b' => drop(self.pop()?), // BUILD: a state dictionary's version, an object's members
                b'Q' => {
                    let id = self.pop()?; // BINPERSID
                    let storage = self.storage(id);
                    self.push(storage)?;
                }
                b'q' => {
                    let key = u32::from(self.byte()?); // BINPUT
                    self.keep(key)?;
                }
                b'r' => {
                    let key = u32::from_le_bytes(self.array()?); // LONG_BINPUT
                    self.keep(key)?;
                }
                0x94 => self.keep(u32::try_from(self.memo.len()).map_err(|_| EMPTY)?)?, // MEMOIZE
                b'h' => {
                    let key = u32::from(self.byte()?); // BINGET
                    self.recall(key)?;
                }
                b'j' => {
                    let key = u32::from_le_bytes(self.array()?); // LONG_BINGET
                    self.recall(key)?;
                }
                other => return Err(format!("its pickle has the instruction {other:#04x}, which tensors need not.")),
            }
        }
    }

    /// What a call comes to: a tensor, a dictionary, or a blank; nothing is called.
    fn made(&mut self, what: At, arguments: At) -> Value {
        let (Value::Global(name), Value::List(arguments)) = (&self.values[what], &self.values[arguments]) else {
            return Value::Blank;
        };
        if let ("collections OrderedDict", &[list]) = (name.as_str(), arguments.as_slice()) {
            return self.dict_of_pairs(list);
        }
        match (name.as_str(), arguments.as_slice()) {
            ("collections OrderedDict", []) => Value::Dict(vec![]),
            (
                "torch._utils _rebuild_tensor_v2" | "torch._utils _rebuild_tensor",
                [storage, offset, shape, strides, ..],
            ) => self.tensor(*storage, *offset, *shape, *strides).map_or(Value::Blank, Value::Tensor),
            ("torch._utils _rebuild_parameter", [tensor, ..]) => self.values[*tensor].clone(),
            _ => Value::Blank,
        }
    }

    /// As old protocols write an ordered dictionary: a list of pairs, which nothing else needs then.
    fn dict_of_pairs(&mut self, list: At) -> Value {
        let Value::List(entries) = std::mem::replace(&mut self.values[list], Value::Blank) else { return Value::Blank };
        let pair = |&at: &At| match &self.values[at] {
            Value::List(pair) if pair.len() == 2 => Some((pair[0], pair[1])),
            _ => None,
        };
        Value::Dict(entries.iter().filter_map(pair).collect())
    }

    fn tensor(&self, storage: At, offset: At, shape: At, strides: At) -> Option<Tensor> {
        let Value::Storage(storage) = &self.values[storage] else { return None };
        let (shape, strides) = (self.numbers(shape)?, self.numbers(strides)?);
        let offset = self.number(offset)?;
        (shape.len() == strides.len()).then(|| Tensor { storage: storage.clone(), offset, shape, strides })
    }

    /// `("storage", torch.FloatStorage, key, device, numbers, …)`.
    fn storage(&self, id: At) -> Value {
        let Value::List(parts) = &self.values[id] else { return Value::Blank };
        let [_, kind, key, _, numbers, ..] = parts.as_slice() else { return Value::Blank };
        match (&self.values[*kind], &self.values[*key], self.number(*numbers)) {
            (Value::Global(kind), Value::Text(key), Some(numbers)) if key.len().max(kind.len()) <= 2 * LONGEST_KEY => {
                let kind = kind.rsplit(' ').next().unwrap_or_default().to_owned();
                Value::Storage(Storage { key: key.clone(), kind, numbers })
            }
            _ => Value::Blank,
        }
    }

    fn number(&self, at: At) -> Option<u64> {
        if let Value::Int(number) = self.values[at] { u64::try_from(number).ok() } else { None }
    }

    fn numbers(&self, at: At) -> Option<Vec<u64>> {
        let Value::List(list) = &self.values[at] else { return None };
        let list = list.get(..list.len()).filter(|list| list.len() <= MOST_SIDES)?;
        list.iter().map(|&at| self.number(at)).collect()
    }

    fn as_text(&self, at: At) -> &str {
        match &self.values[at] {
            Value::Text(text) if text.len() <= LONGEST_KEY => text,
            _ => "",
        }
    }

    fn push(&mut self, value: Value) -> Result<(), String> {
        if self.values.len() >= MOST_VALUES {
            return Err("its pickle holds more than a model's tensors.".into());
        }
        self.stack.push(self.values.len());
        self.values.push(value);
        Ok(())
    }

    fn pop(&mut self) -> Result<At, String> {
        self.stack.pop().ok_or_else(|| EMPTY.to_owned())
    }

    fn since_mark(&mut self) -> Result<Vec<At>, String> {
        let mark = self.marks.pop().filter(|&mark| mark <= self.stack.len()).ok_or(EMPTY)?;
        Ok(self.stack.split_off(mark))
    }

    fn set(&mut self, list: &[At]) -> Result<(), String> {
        let top = *self.stack.last().ok_or(EMPTY)?;
        if let Value::Dict(entries) = &mut self.values[top] {
            entries.extend(pairs(list));
        }
        Ok(())
    }

    fn append(&mut self, list: &[At]) -> Result<(), String> {
        let top = *self.stack.last().ok_or(EMPTY)?;
        if let Value::List(entries) = &mut self.values[top] {
            entries.extend_from_slice(list);
        }
        Ok(())
    }

    fn keep(&mut self, key: u32) -> Result<(), String> {
        let top = *self.stack.last().ok_or(EMPTY)?;
        self.memo.insert(key, top);
        Ok(())
    }

    fn recall(&mut self, key: u32) -> Result<(), String> {
        let kept = *self.memo.get(&key).ok_or("its pickle recalls what it did not keep.")?;
        // as many as there are instructions, but no value is made
        self.stack.push(kept);
        Ok(())
    }

    fn byte(&mut self) -> Result<u8, String> {
        Ok(self.array::<1>()?[0])
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let bytes = self.take(N)?;
        bytes.first_chunk().copied().ok_or_else(|| CUT.to_owned())
    }

    fn take(&mut self, len: usize) -> Result<&[u8], String> {
        let end = self.at.checked_add(len).filter(|&end| end <= self.bytes.len()).ok_or(CUT)?;
        let bytes = &self.bytes[self.at..end];
        self.at = end;
        Ok(bytes)
    }

    fn len(&mut self, size: usize) -> Result<usize, String> {
        let mut whole = [0; 8];
        whole[..size].copy_from_slice(self.take(size)?);
        usize::try_from(u64::from_le_bytes(whole)).map_err(|_| CUT.to_owned())
    }

    fn int(&mut self, size: usize) -> Result<(), String> {
        let number = self.len(size)?;
        self.push(Value::Int(number as i64))
    }

    /// Little-endian, of any length; those of more than 8 bytes are nobody's size.
    fn long(&mut self) -> Result<(), String> {
        let len = self.len(1)?;
        let bytes = self.take(len)?;
        let is_negative = bytes.last().is_some_and(|&last| last >= 0x80);
        let mut whole = [if is_negative { 0xff } else { 0 }; 8];
        let value = if bytes.len() <= 8 {
            whole[..bytes.len()].copy_from_slice(bytes);
            Value::Int(i64::from_le_bytes(whole))
        } else {
            Value::Blank
        };
        self.push(value)
    }

    fn text(&mut self, size: usize) -> Result<(), String> {
        let len = self.len(size)?;
        let text = String::from_utf8_lossy(self.take(len)?).into_owned();
        self.push(Value::Text(text))
    }

    fn skipped(&mut self, size: usize) -> Result<(), String> {
        let len = self.len(size)?;
        self.take(len)?;
        self.push(Value::Blank)
    }

    fn line(&mut self) -> Result<String, String> {
        let rest = &self.bytes[self.at..];
        let len = rest.iter().position(|&byte| byte == b'\n').ok_or(CUT)?;
        let line = String::from_utf8_lossy(&rest[..len]).into_owned();
        self.at += len + 1;
        Ok(line)
    }
}

const CUT: &str = "its pickle is cut short.";
const EMPTY: &str = "its pickle takes what it did not put down.";

fn pairs(list: &[At]) -> Vec<(At, At)> {
    list.as_chunks::<2>().0.iter().map(|&[key, value]| (key, value)).collect()
}
