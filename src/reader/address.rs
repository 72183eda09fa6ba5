//! A file at an address, read by ranges: on a server, or dropped onto the page (a `blob:` address).
//!
//! Readers of documents ask for bytes and wait. In a worker they may: the page goes on meanwhile.

use std::cell::RefCell;
use std::io;

use js_sys::{ArrayBuffer, Uint8Array};
use wasm_bindgen::{JsCast, JsValue};
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
        let piece = match get(url, Some((0, PIECE_BYTES))) {
            // a server that has its files unpacked on the way counts in packed bytes, and a part of them is nothing: the
            // browser fails then, or gives what is no range of anything
            Ok(piece) if piece.is_encoded && piece.status == 206 => get(url, None),
            Err(_) => get(url, None),
            piece => piece,
        };
        let piece = checked(name, piece)?;
        let len_bytes = match (piece.status, piece.whole_bytes) {
            (206, Some(len_bytes)) => len_bytes,
            // a server that doesn't let pages see how long the whole is
            (206, None) => length(url).ok_or_else(|| read("the server doesn't say how long it is.".into()))?,
            _ => piece.bytes.len() as u64,
        };
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
            let answer = get(&self.url, Some((start, PIECE_BYTES)))?;
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

/// A whole file, of those that are small.
///
/// # Errors
/// [`Error::NotThere`], [`Error::Read`].
pub fn whole(name: &str, url: &str) -> Result<Vec<u8>> {
    checked(name, get(url, None)).map(|answer| answer.bytes)
}

/// A piece of a file.
///
/// # Errors
/// [`Error::NotThere`], [`Error::Read`].
pub fn range(name: &str, url: &str, start: u64, bytes: u64) -> Result<Vec<u8>> {
    let answer = checked(name, get(url, Some((start, bytes))))?;
    if answer.status == 206 {
        return Ok(answer.bytes);
    }
    // a server without ranges has sent everything
    let range = usize::try_from(start).ok().zip(usize::try_from(start + bytes).ok());
    let piece = range.and_then(|(start, end)| answer.bytes.get(start..end));
    piece.map(<[u8]>::to_vec).ok_or_else(|| Error::Read { what: name.to_owned(), why: "it is too short.".into() })
}

struct Answer {
    status: u16,
    bytes: Vec<u8>,
    /// Of the whole file, where only a piece came.
    whole_bytes: Option<u64>,
    /// Whether the browser has unpacked it.
    is_encoded: bool,
}

/// What a server's answer means for a person.
fn checked(name: &str, answer: io::Result<Answer>) -> Result<Answer> {
    let read = |why: String| Error::Read { what: name.to_owned(), why };
    match answer.map_err(|why| read(why.to_string()))? {
        Answer { status: 404 | 410, .. } => Err(Error::NotThere { what: name.to_owned() }),
        // an empty file has no first byte
        Answer { status: 416, .. } => {
            Ok(Answer { status: 200, bytes: Vec::new(), whole_bytes: None, is_encoded: false })
        }
        answer @ Answer { status: 0 | 200 | 206, .. } => Ok(answer),
        Answer { status: status @ (401 | 403), .. } => {
            Err(read(format!("the server answered {status}: it is private, or has terms to be accepted first.")))
        }
        Answer { status, .. } => Err(read(format!("the server answered {status}. Check the address."))),
    }
}

fn failed(_: JsValue) -> io::Error {
    io::Error::other("the file could not be had. Check the connection, or choose the file again")
}

/// A file, or a piece of it (its start and most bytes), waited for.
fn get(url: &str, piece: Option<(u64, u64)>) -> io::Result<Answer> {
    let request = XmlHttpRequest::new().map_err(failed)?;
    request.open_with_async("GET", url, false).map_err(failed)?;
    request.set_response_type(XmlHttpRequestResponseType::Arraybuffer);
    if let Some((start, bytes)) = piece {
        request.set_request_header("Range", &format!("bytes={start}-{}", start + bytes - 1)).map_err(failed)?;
    }
    request.send().map_err(failed)?;
    let buffer: Option<ArrayBuffer> = request.response().ok().and_then(|response| response.dyn_into().ok());
    // asking for a header that a server keeps to itself makes the browser write to the console
    let headers = request.get_all_response_headers().unwrap_or_default().to_lowercase();
    let total = if headers.contains("content-range") { request.get_response_header("Content-Range") } else { Ok(None) };
    Ok(Answer {
        status: request.status().map_err(failed)?,
        is_encoded: headers.contains("content-encoding:"),
        bytes: buffer.map_or_else(Vec::new, |buffer| Uint8Array::new(&buffer).to_vec()),
        whole_bytes: total.ok().flatten().and_then(|range| range.rsplit_once('/')?.1.parse().ok()),
    })
}

/// How long a file is, by its header alone.
fn length(url: &str) -> Option<u64> {
    let request = XmlHttpRequest::new().ok()?;
    request.open_with_async("HEAD", url, false).ok()?;
    request.send().ok()?;
    request.get_response_header("Content-Length").ok()??.parse().ok()
}
