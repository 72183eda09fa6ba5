//! One file's tensors as its bytes go by: each is converted where it stays, and given away before the next one begins.

use std::collections::HashMap;

use super::convert::Converter;
use super::crc::Crc;
use super::safetensors::{Header, TensorInfo, header_bytes};
use super::settle::Settling;
use super::sink::Sink;
use super::weights::{EMBEDDING, HEAD, WeightDtype, canonical};
use crate::error::{Error, Result};

/// Where in the tensors the stream stands.
pub struct Reading {
    header: Header,
    /// How each of the model's parameters is held, by canonical name.
    parameters: HashMap<String, WeightDtype>,
    /// Bytes of data that have come.
    at: u64,
    /// The first tensor that has not begun.
    next: usize,
    /// Those that have: one, but for files in which several share their numbers.
    open: Vec<Open>,
}

/// A tensor that is being read.
struct Open {
    index: usize,
    converter: Converter,
    crc: Option<Crc>,
}

/// The name of the tensor that this one may be again.
pub fn twin(name: &str) -> &'static str {
    match name {
        EMBEDDING => HEAD,
        HEAD => EMBEDDING,
        _ => "",
    }
}

/// Whether two tensors, one of which may be the other again, are the same numbers of the file.
fn is_twin(one: &TensorInfo, other: &TensorInfo) -> bool {
    let place = |info: &TensorInfo| (info.start, info.end, info.dtype, info.shape.clone());
    canonical(&one.name) == twin(canonical(&other.name)) && place(one) == place(other)
}

/// Collects the header in `head`; takes what it uses off the front of `bytes`.
pub fn take_header(head: &mut Vec<u8>, bytes: &mut &[u8]) -> Result<Option<Header>> {
    let mut fill = |head: &mut Vec<u8>, len: usize| {
        let (used, rest) = bytes.split_at(len.saturating_sub(head.len()).min(bytes.len()));
        head.extend_from_slice(used);
        *bytes = rest;
    };
    fill(head, 8);
    let Some(first) = head.first_chunk::<8>() else { return Ok(None) };
    let whole = 8 + header_bytes(*first)?;
    fill(head, whole);
    if head.len() < whole { Ok(None) } else { Header::parse(&head[8..]).map(Some) }
}

impl Reading {
    /// From the file's table of contents; `held` says under which canonical name, and in which type, a tensor is to be held,
    /// if it is.
    pub fn new(header: Header, held: impl Fn(&TensorInfo) -> Option<(String, WeightDtype)>) -> Self {
        let parameters = header.tensors.iter().filter_map(held).collect();
        Reading { header, parameters, at: 0, next: 0, open: Vec::new() }
    }

    /// Whether the file holds this parameter.
    pub fn holds(&self, name: &str) -> bool {
        self.parameters.contains_key(name)
    }

    /// How many tensors are held here.
    #[cfg(test)]
    pub fn n_open(&self) -> usize {
        self.open.len()
    }

    /// Takes bytes for as many tensors as they are enough for. What is no parameter is skipped: mask buffers like
    /// `h.N.attn.bias`, optimizers' numbers.
    ///
    /// # Errors
    /// What is wrong with the numbers; the sink's.
    pub fn read<S: Sink>(&mut self, bytes: &mut &[u8], settling: &mut Settling<S>) -> Result<()> {
        loop {
            // what comes before the next tensor is whole and given away when memory is asked for that one
            let mut starts = self.header.tensors[self.next..].iter().map(|info| info.start);
            let stop = starts.find(|&start| start > self.at).unwrap_or(u64::MAX);
            let left = stop.min(self.header.data_bytes) - self.at;
            let (used, rest) = bytes.split_at(usize::try_from(left).map_or(bytes.len(), |left| left.min(bytes.len())));
            self.open_to(self.at + used.len() as u64, settling)?;
            self.fill(used, settling)?;
            *bytes = rest;
            if bytes.is_empty() || self.at == self.header.data_bytes {
                return Ok(());
            }
        }
    }

    /// Opens the parameters that begin before this place, and those of no bytes that lie at it.
    fn open_to<S: Sink>(&mut self, to: u64, settling: &Settling<S>) -> Result<()> {
        while let Some(info) = self.header.tensors.get(self.next)
            && (info.start < to || info.end <= to)
        {
            let name = canonical(&info.name);
            let is_shared = self.open.iter().any(|open| is_twin(&self.header.tensors[open.index], info));
            if let Some(&dtype) = self.parameters.get(name).filter(|_| !is_shared) {
                let converter = match settling.waiting(twin(name)) {
                    Some(twin) => Converter::beside(twin.clone(), info.clone(), dtype),
                    None => Converter::new(info.clone(), dtype)?,
                };
                self.open.push(Open { index: self.next, converter, crc: info.crc.map(|_| Crc::new()) });
            }
            self.next += 1;
        }
        Ok(())
    }

    /// Takes the next bytes for the tensors that are open; those that are whole go on.
    fn fill<S: Sink>(&mut self, used: &[u8], settling: &mut Settling<S>) -> Result<()> {
        let (from, to) = (self.at, self.at + used.len() as u64);
        let mut at = 0;
        while let Some(open) = self.open.get_mut(at) {
            let info = &self.header.tensors[open.index];
            let part = (info.start.max(from) - from) as usize..(info.end.min(to) - from) as usize;
            let part = used.get(part).unwrap_or_default();
            open.converter.push(part)?;
            if let Some(crc) = &mut open.crc {
                crc.push(part);
            }
            if info.end > to {
                at += 1;
                continue;
            }
            let whole = self.open.remove(at);
            self.close(whole, settling)?;
        }
        self.at = to;
        Ok(())
    }

    /// Passes on a tensor that is whole, under both names where two share its numbers.
    fn close<S: Sink>(&self, Open { index, converter, crc }: Open, settling: &mut Settling<S>) -> Result<()> {
        let info = &self.header.tensors[index];
        if crc.map(|crc| crc.sum()) != info.crc {
            let name = &info.name;
            return Err(Error::Weights(format!("is damaged: {name} has another checksum. Get the file again.")));
        }
        let tensor = converter.finish()?;
        if let Some(again) = self.header.tensors.iter().find(|other| is_twin(info, other)) {
            settling.take(canonical(&again.name), tensor.clone())?;
        }
        settling.take(canonical(&info.name), tensor)
    }

    /// What has not come, if something has not.
    ///
    /// # Errors
    /// Where the file ended.
    pub fn missing(&self) -> Result<(), String> {
        let is_whole = self.at == self.header.data_bytes;
        match self.header.tensors.iter().find(|info| info.end > self.at) {
            _ if is_whole => Ok(()),
            None => Err(format!("it ends {} bytes before its end", self.header.data_bytes - self.at)),
            Some(info) => {
                let left = info.end - info.start.max(self.at);
                Err(format!("it ends inside tensor {}, {left} bytes before its end", info.name))
            }
        }
    }
}
