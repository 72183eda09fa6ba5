//! A zip's table of contents, as far as members that are stored as they are need it.

use std::collections::HashMap;

use super::{Bytes, bad};
use crate::error::Result;

/// Far above what some hundred names take.
const MOST_TABLE_BYTES: u64 = 16 << 20;
/// The end's record, with the longest comment behind it.
const MOST_END_BYTES: u64 = 22 + 65535;

/// A member, by the table at the zip's end.
pub struct Member {
    /// Where its own header is.
    pub header: u64,
    pub bytes: u64,
    pub crc: u32,
    is_stored: bool,
}

/// All members by name.
pub async fn members(file: &impl Bytes, len: u64) -> Result<HashMap<String, Member>> {
    let (start, bytes) = table(file, len).await?;
    if bytes > MOST_TABLE_BYTES || start.checked_add(bytes).is_none_or(|end| end > len) {
        return Err(damaged());
    }
    let mut table = vec![0; bytes as usize];
    file.read_at(start, &mut table).await?;
    let mut members = HashMap::new();
    let mut rest = table.as_slice();
    while rest.starts_with(b"PK\x01\x02") {
        let (name, member, end) = member(rest).ok_or_else(damaged)?;
        if member.is_stored && member.header.checked_add(member.bytes).is_none_or(|end| end > len) {
            return Err(damaged());
        }
        members.insert(name, member);
        rest = &rest[end..];
    }
    Ok(members)
}

/// Where the table of contents is, and how long.
async fn table(file: &impl Bytes, len: u64) -> Result<(u64, u64)> {
    let tail = len.min(MOST_END_BYTES);
    let mut end = vec![0; tail as usize];
    file.read_at(len - tail, &mut end).await?;
    let at = end.windows(22).rposition(|window| window.starts_with(b"PK\x05\x06")).ok_or_else(cut)?;
    let record = &end[at..];
    let (bytes, start) = (u32_at(record, 12).ok_or_else(damaged)?, u32_at(record, 16).ok_or_else(damaged)?);
    if bytes != u32::MAX && start != u32::MAX {
        return Ok((start.into(), bytes.into()));
    }
    // the table of a large file is told by another record, whose place stands before this one
    let locator = at.checked_sub(20).map(|at| &end[at..]).filter(|bytes| bytes.starts_with(b"PK\x06\x07"));
    let place = locator.and_then(|locator| u64_at(locator, 8)).ok_or_else(damaged)?;
    let mut record = [0; 56];
    if place.checked_add(56).is_none_or(|end| end > len) {
        return Err(damaged());
    }
    file.read_at(place, &mut record).await?;
    match (record.starts_with(b"PK\x06\x06"), u64_at(&record, 40), u64_at(&record, 48)) {
        (true, Some(bytes), Some(start)) => Ok((start, bytes)),
        _ => Err(damaged()),
    }
}

/// The table's first member: its name, the member, and where the next one is.
fn member(table: &[u8]) -> Option<(String, Member, usize)> {
    let [name_len, extra_len, comment_len] = [28, 30, 32].map(|at| u16_at(table, at).map(usize::from));
    let (name_end, extra_end) = (46 + name_len?, 46 + name_len? + extra_len?);
    let (name, extra) = (table.get(46..name_end)?, table.get(name_end..extra_end)?);
    let end = extra_end + comment_len?;
    table.get(..end)?;
    let (mut packed, mut bytes) = (u64::from(u32_at(table, 20)?), u64::from(u32_at(table, 24)?));
    let mut header = u64::from(u32_at(table, 42)?);
    // in this order, and only those that don't fit
    let mut large = large_sizes(extra);
    for value in [&mut bytes, &mut packed, &mut header] {
        if *value == u64::from(u32::MAX) {
            *value = large.next()?;
        }
    }
    let is_stored = u16_at(table, 10)? == 0 && packed == bytes;
    let name = String::from_utf8_lossy(name).into_owned();
    Some((name, Member { header, bytes, crc: u32_at(table, 16)?, is_stored }, end))
}

/// The 64-bit sizes of a member's extra fields.
fn large_sizes(mut extra: &[u8]) -> impl Iterator<Item = u64> {
    let mut sizes: &[u8] = &[];
    while let (Some(kind), Some(len)) = (u16_at(extra, 0), u16_at(extra, 2)) {
        let Some(field) = extra.get(4..4 + usize::from(len)) else { break };
        if kind == 1 {
            sizes = field;
        }
        extra = &extra[4 + usize::from(len)..];
    }
    sizes.as_chunks::<8>().0.iter().map(|&bytes| u64::from_le_bytes(bytes))
}

/// Where a member's bytes begin: its own header has a name and fields of its own length.
pub async fn start(file: &impl Bytes, member: &Member) -> Result<u64> {
    if !member.is_stored {
        return Err(bad("has packed members, which PyTorch writes none of."));
    }
    let mut header = [0; 30];
    file.read_at(member.header, &mut header).await?;
    match (header.starts_with(b"PK\x03\x04"), u16_at(&header, 26), u16_at(&header, 28)) {
        (true, Some(name), Some(extra)) => Ok(member.header + 30 + u64::from(name) + u64::from(extra)),
        _ => Err(damaged()),
    }
}

/// A small member's bytes.
pub async fn read(file: &impl Bytes, member: &Member, most: u64) -> Result<Vec<u8>> {
    if member.bytes > most {
        return Err(damaged());
    }
    let mut bytes = vec![0; member.bytes as usize];
    file.read_at(start(file, member).await?, &mut bytes).await?;
    Ok(bytes)
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn cut() -> crate::error::Error {
    bad("is cut short: a zip ends with its table of contents.")
}

fn damaged() -> crate::error::Error {
    bad("is damaged: its table of contents leads nowhere.")
}
