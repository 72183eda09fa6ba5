//! Requests that don't give up at the first trouble: waiting, trying again, listening for a cancellation meanwhile.

use std::pin::pin;
use std::time::Duration;

use futures_util::future::{Either, select};

use super::fit::MOST_WEIGHTS_BYTES;
use super::storage::Device;
use super::wire::{Ask, Body, Head, Trouble, Wire};
use crate::engine::Control;
use crate::error::{Error, Result, StoreError};

/// How patient downloads are, and in what portions they come.
#[derive(Debug, Clone)]
pub struct Terms {
    /// Bytes that one request asks for. A hub counts requests: GPT-2 XL is 100 of these.
    pub piece_bytes: u64,
    /// Requests at once.
    pub in_flight: usize,
    /// Bytes of the weights that are asked for first, to look at their header.
    pub probe_bytes: u64,
    /// After so many new bytes the journal is written on.
    pub journal_bytes: u64,
    /// A connection on which nothing comes for so long is given up.
    pub stall: Duration,
    /// Troubles in a row, without a new byte between them, after which a download is given up.
    pub troubles: u32,
    /// The same for a server that has not answered yet: a wrong address needs no minute to be told.
    pub first_troubles: u32,
    /// Bytes of weights that the engine's memory can hold.
    pub most_weights_bytes: u64,
}

impl Default for Terms {
    fn default() -> Self {
        Terms {
            piece_bytes: 64 << 20,
            in_flight: 3,
            probe_bytes: 128 << 10,
            journal_bytes: 1 << 20,
            stall: Duration::from_secs(15),
            troubles: 12,
            first_troubles: 3,
            most_weights_bytes: MOST_WEIGHTS_BYTES,
        }
    }
}

const FIRST_WAIT: Duration = Duration::from_millis(400);
const LAST_WAIT: Duration = Duration::from_secs(10);
/// A cancellation is heard within this time.
const TICK: Duration = Duration::from_millis(200);
/// No model's `config.json` or `tokenizer.json` is larger.
const MOST_SMALL_BYTES: u64 = 64 << 20;

/// A network and what is needed to use it well.
pub struct Line<'a, W, D, C> {
    pub wire: &'a W,
    pub device: &'a D,
    pub control: &'a C,
    pub terms: &'a Terms,
}

impl<W: Wire, D: Device, C: Control> Line<'_, W, D, C> {
    /// Sends a request until it is answered with the file, or with what no trying again mends.
    ///
    /// # Errors
    /// [`StoreError`] naming `what`, [`Error::Cancelled`].
    pub async fn open(&self, what: &str, ask: &Ask<'_>, patience: &mut Patience) -> Result<(Head, W::Body)> {
        loop {
            let trouble = match self.patient(self.wire.get(ask)).await? {
                Err(trouble) => trouble,
                Ok((head, body)) => match judge(what, ask, &head)? {
                    None => return Ok((head, body)),
                    Some(trouble) => trouble,
                },
            };
            patience.bear(self, what, ask, trouble).await?;
        }
    }

    /// A small file as a whole.
    ///
    /// # Errors
    /// As [`Line::open`].
    pub async fn whole(&self, what: &str, ask: &Ask<'_>) -> Result<(Head, Vec<u8>)> {
        let mut patience = Patience::default();
        loop {
            let (head, mut body) = self.open(what, ask, &mut patience).await?;
            let mut bytes = Vec::new();
            let trouble = loop {
                match self.patient(body.next()).await? {
                    Ok(Some(chunk)) => bytes.extend_from_slice(&chunk),
                    // an answer may end early without anybody noticing
                    Ok(None) if head.length.is_some_and(|length| length > bytes.len() as u64) => break Trouble::Broken,
                    Ok(None) if is_page(&bytes) => return Err(page_instead(what, ask)),
                    Ok(None) => return Ok((head, bytes)),
                    Err(trouble) => break trouble,
                }
                self.control.breathe().await?;
                if bytes.len() as u64 > MOST_SMALL_BYTES {
                    return Err(StoreError::TooLong { what: what.into(), most: MOST_SMALL_BYTES }.into());
                }
            };
            patience.bear(self, what, ask, trouble).await?;
        }
    }

    /// Waits for the network, but not for ever.
    ///
    /// # Errors
    /// [`Error::Cancelled`]; what the network says, or [`Trouble::Stalled`], is inside.
    pub async fn patient<T>(&self, future: impl Future<Output = Result<T, Trouble>>) -> Result<Result<T, Trouble>> {
        let mut waited = Duration::ZERO;
        let mut future = pin!(future);
        loop {
            match select(future.as_mut(), pin!(self.device.sleep(TICK))).await {
                // what has come is handed on before anyone is asked whether it is still wanted
                Either::Left((result, _)) => return Ok(result),
                Either::Right(_) => waited += TICK,
            }
            self.control.breathe().await?;
            if waited >= self.terms.stall {
                return Ok(Err(Trouble::Stalled));
            }
        }
    }

    /// Waits for as long as it takes.
    ///
    /// # Errors
    /// [`Error::Cancelled`].
    pub async fn watchful<T>(&self, future: impl Future<Output = T>) -> Result<T> {
        let mut future = pin!(future);
        loop {
            if let Either::Left((value, _)) = select(future.as_mut(), pin!(self.device.sleep(TICK))).await {
                return Ok(value);
            }
            self.control.breathe().await?;
        }
    }
}

/// What an answer's status means: the file (none), a trouble that passes, or an error.
fn judge(what: &str, ask: &Ask<'_>, head: &Head) -> Result<Option<Trouble>> {
    let (what, host, status) = (what.to_owned(), ask.host().to_owned(), head.status);
    Err(match status {
        200 | 206 if head.is_page => return Err(page_instead(&what, ask)),
        200 | 206 => return Ok(None),
        408 | 429 | 500 | 502 | 503 | 504 => {
            return Ok(Some(Trouble::Busy { status, retry_after: head.retry_after }));
        }
        401 | 403 if ask.token.is_some() => StoreError::TokenRefused { what, host },
        401 | 403 => StoreError::NeedsToken { what, host },
        404 | 410 => StoreError::NotThere { what, host },
        _ => StoreError::BadAnswer { what, host, status },
    }
    .into())
}

fn page_instead(what: &str, ask: &Ask<'_>) -> Error {
    StoreError::PageInstead { what: what.to_owned(), host: ask.host().to_owned() }.into()
}

/// Whether a file's first bytes are those of a page for people.
pub fn is_page(bytes: &[u8]) -> bool {
    let text = bytes.trim_ascii_start();
    let begins = |with: &str| text.get(..with.len()).is_some_and(|start| start.eq_ignore_ascii_case(with.as_bytes()));
    begins("<!doctype") || begins("<html")
}

/// Counts the troubles since something last went well.
#[derive(Debug, Default)]
pub struct Patience {
    troubles: u32,
    /// The server has answered this page before.
    is_known: bool,
}

impl Patience {
    /// With a server that is known to answer, or not.
    pub fn with(is_known: bool) -> Self {
        Patience { troubles: 0, is_known }
    }

    /// Something came.
    pub fn renew(&mut self) {
        *self = Patience::with(true);
    }

    /// Waits before the next try: as long as the server asks, or twice as long as the last time and a little by
    /// chance, so that a class whose network comes back doesn't ask all at once.
    ///
    /// # Errors
    /// [`StoreError`] once there is no use in trying again, [`Error::Cancelled`].
    pub async fn bear<W: Wire, D: Device, C: Control>(
        &mut self,
        line: &Line<'_, W, D, C>,
        what: &str,
        ask: &Ask<'_>,
        trouble: Trouble,
    ) -> Result<()> {
        self.troubles += 1;
        let trouble = match trouble {
            Trouble::CrossOrigin | Trouble::Silent if self.is_known => Trouble::Unreachable,
            trouble => trouble,
        };
        let most = match trouble {
            Trouble::CrossOrigin | Trouble::Silent | Trouble::Unreachable | Trouble::Offline if !self.is_known => {
                line.terms.first_troubles
            }
            _ => line.terms.troubles,
        };
        if self.troubles >= most {
            return Err(final_word(what, ask, &trouble).into());
        }
        let doubled = FIRST_WAIT.saturating_mul(1 << (self.troubles - 1).min(16)).min(LAST_WAIT);
        let chosen = doubled.mul_f64(0.5 + 0.5 * line.device.chance());
        let asked = match trouble {
            Trouble::Busy { retry_after, .. } => retry_after.unwrap_or_default(),
            _ => Duration::ZERO,
        };
        line.watchful(line.device.sleep(chosen.max(asked))).await
    }
}

fn final_word(what: &str, ask: &Ask<'_>, trouble: &Trouble) -> StoreError {
    let (what, host) = (what.to_owned(), ask.host().to_owned());
    match trouble {
        Trouble::Offline => StoreError::Offline { what },
        Trouble::Unreachable => StoreError::Unreachable { what, host },
        Trouble::CrossOrigin => StoreError::CrossOrigin { what, host },
        Trouble::Silent => StoreError::Silent { what, host },
        Trouble::Broken | Trouble::Stalled | Trouble::Busy { .. } => {
            StoreError::GaveUp { what, host, why: trouble.to_string() }
        }
    }
}
