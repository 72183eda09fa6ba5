//! A file at an address, read by ranges: on a server, or dropped onto the page (a `blob:` address).
//!
//! Readers of documents ask for bytes and wait. In a worker they may: the page goes on meanwhile.

use std::cell::RefCell;
use std::io;

use js_sys::{ArrayBuffer, Uint8Array};
use wasm_bindgen::JsCast;
use web_sys::{XmlHttpRequest, XmlHttpRequestResponseType};

use crate::documents::Source;
use crate::error::{Error, Result};

/// Bytes asked for at once.
const PIECE_BYTES: u64 = 1 << 20;

pub struct Address {
    name: String,
    url: String,
    len_bytes: u64,
    /// The piece read last, and where it begins; a server without ranges has sent everything.
    piece: RefCell<(u64, Vec<u8>)>,
}

impl Address {
    /// # Errors
    /// [`Error::NotThere`], [`Error::Read`].
    pub fn open(name: &str, url: &str) -> Result<Self> {
        let read = |why: String| Error::Read { what: name.to_owned(), why };
        let answer = get(url, 0).map_err(|why| read(why.to_string()))?;
        let piece = match answer.status {
            404 | 410 => return Err(Error::NotThere { what: name.to_owned() }),
            // an empty file has no first byte
            416 => Answer { status: 200, bytes: Vec::new(), whole_bytes: None },
            0 | 200 | 206 => answer,
            status => return Err(read(format!("the server answered {status}. Check the address."))),
        };
        let len_bytes = piece.whole_bytes.unwrap_or(piece.bytes.len() as u64);
        Ok(Address { name: name.to_owned(), url: url.to_owned(), len_bytes, piece: RefCell::new((0, piece.bytes)) })
    }
}

impl Source for Address {
    fn name(&self) -> &str {
        &self.name
    }

    fn len_bytes(&self) -> u64 {
        self.len_bytes
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        let mut piece = self.piece.borrow_mut();
        let holds = |piece: &(u64, Vec<u8>)| (piece.0..piece.0 + piece.1.len() as u64).contains(&offset);
        if offset < self.len_bytes && !holds(&piece) {
            let start = offset / PIECE_BYTES * PIECE_BYTES;
            let answer = get(&self.url, start)?;
            if answer.status != 206 {
                return Err(io::Error::other(format!("the server answered {} half-way", answer.status)));
            }
            *piece = (start, answer.bytes);
        }
        let skip = offset.checked_sub(piece.0).and_then(|skip| usize::try_from(skip).ok());
        let rest = skip.and_then(|skip| piece.1.get(skip..)).unwrap_or(&[]);
        let n = rest.len().min(into.len());
        into[..n].copy_from_slice(&rest[..n]);
        Ok(n)
    }
}

struct Answer {
    status: u16,
    bytes: Vec<u8>,
    /// Of the whole file, where only a piece came.
    whole_bytes: Option<u64>,
}

/// One piece, waited for.
fn get(url: &str, start: u64) -> io::Result<Answer> {
    let failed = |_| io::Error::other("the file could not be had. Check the connection, or choose the file again");
    let request = XmlHttpRequest::new().map_err(failed)?;
    request.open_with_async("GET", url, false).map_err(failed)?;
    request.set_response_type(XmlHttpRequestResponseType::Arraybuffer);
    let range = format!("bytes={start}-{}", start + PIECE_BYTES - 1);
    request.set_request_header("Range", &range).map_err(failed)?;
    request.send().map_err(failed)?;
    let buffer: Option<ArrayBuffer> = request.response().ok().and_then(|response| response.dyn_into().ok());
    let total = request.get_response_header("Content-Range").ok().flatten();
    Ok(Answer {
        status: request.status().map_err(failed)?,
        bytes: buffer.map_or_else(Vec::new, |buffer| Uint8Array::new(&buffer).to_vec()),
        whole_bytes: total.and_then(|range| range.rsplit_once('/')?.1.parse().ok()),
    })
}
