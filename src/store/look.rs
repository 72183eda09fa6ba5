//! A file of weights before it is downloaded: its table of contents, compared with the model's config.

use std::cell::RefCell;

use super::storage::{Device, StoredFile};
use super::transfer::{Halt, Transfer};
use super::wire::Wire;
use crate::engine::Control;
use crate::error::{Error, Result, StoreError};
use crate::model::Expected;
use crate::model::layout::{Form, Layout};
use crate::model::pytorch::{self, Bytes};
use crate::model::safetensors::{Header, header_bytes};
use crate::model::weights::canonical;

/// What a file holds.
pub struct Contents {
    /// Bytes of the whole file.
    pub bytes: u64,
    pub header: Header,
}

/// Gets a file's header and compares it with the model's config, of which files are `expected`, before
/// anything else of the file is fetched.
///
/// # Errors
/// [`crate::error::Error::Weights`] for a damaged file or another model's; as [`Transfer::reach`].
pub async fn look<W: Wire, D: Device, C: Control, F: StoredFile>(
    transfer: &Transfer<'_, W, D, C, F>,
    layout: &Layout,
    expected: &mut Expected,
) -> Result<Contents, Halt> {
    transfer.probe().await?;
    let (header, bytes) = match layout.form {
        Form::Pickle => look_into_pickle(transfer).await?,
        Form::Safetensors => look_into_safetensors(transfer).await?,
    };
    let said = transfer.facts.borrow_mut().bytes.replace(bytes).unwrap_or(bytes);
    expected.check(transfer.what(), said, &header, bytes, layout.is_index)?;
    Ok(Contents { bytes, header })
}

/// Element type of the token embedding, and by custom of all weights; none where it lies in another file.
pub fn file_dtype(header: &Header) -> Option<&'static str> {
    let wte = header.tensors.iter().find(|tensor| canonical(&tensor.name) == "wte.weight");
    wte.map(|tensor| tensor.dtype.name())
}

/// The header of a safetensors file, and how long the file is.
async fn look_into_safetensors<W: Wire, D: Device, C: Control, F: StoredFile>(
    transfer: &Transfer<'_, W, D, C, F>,
) -> Result<(Header, u64), Halt> {
    let (file, in_file) = (transfer.file, |error: Error| error.in_file(transfer.what()));
    let mut first = [0; 8];
    file.read_at(0, &mut first).await?;
    let len = header_bytes(first).map_err(in_file)?;
    let begin = 8 + len as u64;
    transfer.reach(begin).await?;
    if transfer.front() < begin {
        return Err(
            in_file(Error::Weights("is cut short: it ends inside its header. Get the file again.".into())).into()
        );
    }
    let mut json = vec![0; len];
    file.read_at(8, &mut json).await?;
    let header = Header::parse(&json).map_err(in_file)?;
    let bytes = begin + header.data_bytes;
    Ok((header, bytes))
}

/// The table of contents of a file of PyTorch's, which lies at its end, and how long the file is.
async fn look_into_pickle<W: Wire, D: Device, C: Control, F: StoredFile>(
    transfer: &Transfer<'_, W, D, C, F>,
) -> Result<(Header, u64), Halt> {
    let Some(bytes) = transfer.bytes() else {
        let (what, host) = (transfer.what().to_owned(), transfer.host().to_owned());
        let why = "it does not say how long the file is".to_owned();
        return Err(StoreError::GaveUp { what, host, why }.into());
    };
    let reaching = Reaching { transfer, halt: RefCell::default() };
    let contents = pytorch::rough_contents(&reaching, bytes).await;
    match (contents, reaching.halt.into_inner()) {
        (_, Some(halt)) => Err(halt),
        (contents, None) => Ok((contents.map_err(|error| error.in_file(transfer.what()))?, bytes)),
    }
}

/// A file on its way, of which whatever is read comes first.
struct Reaching<'a, 'b, W: Wire, D, C, F> {
    transfer: &'a Transfer<'b, W, D, C, F>,
    halt: RefCell<Option<Halt>>,
}

impl<W: Wire, D: Device, C: Control, F: StoredFile> Bytes for Reaching<'_, '_, W, D, C, F> {
    async fn read_at(&self, at: u64, into: &mut [u8]) -> Result<()> {
        match self.transfer.reach_in(at..at + into.len() as u64).await {
            Ok(()) => self.transfer.file.read_at(at, into).await,
            Err(Halt::Failed(error)) => Err(error),
            Err(halt) => {
                self.halt.replace(Some(halt));
                Err(Error::Cancelled)
            }
        }
    }
}
