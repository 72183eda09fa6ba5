//! Thrift's compact protocol, as far as parquet's footers and page headers need it.

/// Structs and lists inside one another, at most: parquet's own go 8 deep.
const DEEPEST: usize = 24;

/// Values of one struct and all that is inside it, at most, and more for so many of the file's bytes each: a footer of a
/// thousand row groups of ten columns has 300,000.
const MOST_VALUES: u64 = 400_000;
const BYTES_A_VALUE: u64 = 128;

/// What may still come of a struct.
struct Left {
    depth: usize,
    values: u64,
}

impl Left {
    fn deeper<T>(&mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        self.depth = self.depth.checked_sub(1)?;
        let value = read(self);
        self.depth += 1;
        value
    }
}

/// A value, whatever it is for.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Bool(bool),
    Number(i64),
    Bytes(Vec<u8>),
    List(Vec<Value>),
    Struct(Struct),
    /// What parquet has no use for here: doubles, sets, maps.
    Other,
}

/// A struct's fields by their number.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Struct(Box<[(i16, Value)]>);

impl Struct {
    fn get(&self, field: i16) -> Option<&Value> {
        self.0.iter().rev().find(|(number, _)| *number == field).map(|(_, value)| value)
    }
}

impl Struct {
    pub fn number(&self, field: i16) -> Option<i64> {
        match self.get(field)? {
            Value::Number(number) => Some(*number),
            _ => None,
        }
    }

    pub fn size(&self, field: i16) -> Option<usize> {
        usize::try_from(self.number(field)?).ok()
    }

    pub fn bool(&self, field: i16) -> Option<bool> {
        match self.get(field)? {
            Value::Bool(is) => Some(*is),
            _ => None,
        }
    }

    pub fn text(&self, field: i16) -> Option<&str> {
        match self.get(field)? {
            Value::Bytes(bytes) => std::str::from_utf8(bytes).ok(),
            _ => None,
        }
    }

    pub fn structure(&self, field: i16) -> Option<&Struct> {
        match self.get(field)? {
            Value::Struct(inner) => Some(inner),
            _ => None,
        }
    }

    pub fn list(&self, field: i16) -> &[Value] {
        match self.get(field) {
            Some(Value::List(values)) => values,
            _ => &[],
        }
    }

    pub fn structs(&self, field: i16) -> impl Iterator<Item = &Struct> {
        self.list(field).iter().filter_map(|value| match value {
            Value::Struct(inner) => Some(inner),
            _ => None,
        })
    }
}

/// Reads a struct off the front of `bytes`, in a file that is so long; none if they are no such thing.
pub fn read(bytes: &mut &[u8], file_bytes: u64) -> Option<Struct> {
    let mut left = Left { depth: DEEPEST, values: MOST_VALUES + file_bytes / BYTES_A_VALUE };
    left.deeper(|left| structure(bytes, left))
}

fn structure(bytes: &mut &[u8], left: &mut Left) -> Option<Struct> {
    let (mut fields, mut field) = (Vec::new(), 0i16);
    loop {
        let head = byte(bytes)?;
        if head == 0 {
            return Some(Struct(fields.into()));
        }
        field = match head >> 4 {
            0 => i16::try_from(zigzag(varint(bytes)?)).ok()?,
            step => field.checked_add(i16::from(step))?,
        };
        let value = match head & 15 {
            kind @ (1 | 2) => {
                left.values = left.values.checked_sub(1)?;
                Value::Bool(kind == 1)
            }
            kind => value(bytes, kind, left)?,
        };
        fields.push((field, value));
    }
}

fn value(bytes: &mut &[u8], kind: u8, left: &mut Left) -> Option<Value> {
    left.values = left.values.checked_sub(1)?;
    Some(match kind {
        1 | 2 => Value::Bool(byte(bytes)? == 1),
        3 => Value::Number(i64::from(byte(bytes)? as i8)),
        4..=6 => Value::Number(zigzag(varint(bytes)?)),
        7 => {
            take(bytes, 8)?;
            Value::Other
        }
        8 => {
            let len = usize::try_from(varint(bytes)?).ok()?;
            Value::Bytes(take(bytes, len)?.to_vec())
        }
        9 | 10 => left.deeper(|left| list(bytes, left))?,
        11 => left.deeper(|left| map(bytes, left))?,
        12 => Value::Struct(left.deeper(|left| structure(bytes, left))?),
        _ => return None,
    })
}

fn list(bytes: &mut &[u8], left: &mut Left) -> Option<Value> {
    let head = byte(bytes)?;
    let len = match head >> 4 {
        15 => usize::try_from(varint(bytes)?).ok()?,
        len => usize::from(len),
    };
    // every value takes a byte at least
    if len > bytes.len() {
        return None;
    }
    (0..len).map(|_| value(bytes, head & 15, left)).collect::<Option<_>>().map(Value::List)
}

fn map(bytes: &mut &[u8], left: &mut Left) -> Option<Value> {
    let len = usize::try_from(varint(bytes)?).ok()?;
    if len > 0 {
        let kinds = byte(bytes)?;
        if len > bytes.len() {
            return None;
        }
        for _ in 0..len {
            value(bytes, kinds >> 4, left)?;
            value(bytes, kinds & 15, left)?;
        }
    }
    Some(Value::Other)
}

fn byte(bytes: &mut &[u8]) -> Option<u8> {
    Some(take(bytes, 1)?[0])
}

/// The next `n` bytes.
pub fn take<'a>(bytes: &mut &'a [u8], n: usize) -> Option<&'a [u8]> {
    let (first, rest) = bytes.split_at_checked(n)?;
    *bytes = rest;
    Some(first)
}

/// Seven bits a byte, the lowest first.
pub fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let next = byte(bytes)?;
        value |= u64::from(next & 127) << shift;
        if next < 128 {
            return Some(value);
        }
    }
    None
}

pub fn zigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}
