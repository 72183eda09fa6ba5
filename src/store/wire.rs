//! Asking a server for bytes: the question, what of the answer counts, and the trait that `fetch` stands behind.

use std::ops::Range;
use std::time::Duration;

use super::address::host_of;
use crate::protocol::is_commit;

/// A request.
#[derive(Clone)]
pub struct Ask<'a> {
    pub url: &'a str,
    /// These bytes of the file only.
    pub range: Option<Range<u64>>,
    /// Sent to the host of `url` alone: browsers drop it where the answer leads to another host.
    pub token: Option<&'a str>,
    /// What comes is kept by the store, so nobody else need keep it.
    pub is_kept: bool,
}

impl Ask<'_> {
    pub fn host(&self) -> &str {
        host_of(self.url)
    }
}

/// A network. What it delivers is not believed before it is checked.
#[allow(async_fn_in_trait)] // futures stay on the thread that made them
pub trait Wire {
    type Body: Body;

    /// Sends a request, following redirects; answers as soon as the answer's head is there.
    async fn get(&self, ask: &Ask<'_>) -> Result<(Head, Self::Body), Trouble>;
}

/// The bytes of an answer as they come. Dropping it ends the transfer.
#[allow(async_fn_in_trait)]
pub trait Body {
    /// The next bytes; none at the end.
    async fn next(&mut self) -> Result<Option<Vec<u8>>, Trouble>;
}

/// Why a request, or an answer half-way, came to nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// This device has no network.
    Offline,
    /// Nobody answered at that address.
    Unreachable,
    /// Somebody answers, but not to this page.
    CrossOrigin,
    /// One of the last two. An isolated page can't tell them apart.
    Silent,
    /// The connection broke.
    Broken,
    /// Nothing came for long.
    Stalled,
    /// The server has too much to do: 429 and 5xx.
    Busy { status: u16, retry_after: Option<Duration> },
}

impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Trouble::Offline => f.write_str("there is no network"),
            Trouble::Unreachable => f.write_str("it can't be reached"),
            Trouble::CrossOrigin => f.write_str("it does not answer to this page"),
            Trouble::Silent => f.write_str("it does not answer"),
            Trouble::Broken => f.write_str("the connection broke again and again"),
            Trouble::Stalled => f.write_str("the connection is open but nothing comes"),
            Trouble::Busy { status: 429, .. } => f.write_str("it asks for fewer requests (429)"),
            Trouble::Busy { status, .. } => write!(f, "it answers {status} again and again"),
        }
    }
}

/// What of an answer's head counts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Head {
    pub status: u16,
    /// Bytes of the body, where it comes as it is.
    pub length: Option<u64>,
    /// First byte of the body in the file, where the server says.
    pub start: Option<u64>,
    /// Bytes of the whole file.
    pub total: Option<u64>,
    /// Changes when the file does.
    pub etag: Option<String>,
    /// The hub's commit.
    pub commit: Option<String>,
    /// SHA-256 of the whole file as the hub knows it, in hex.
    pub sha256: Option<String>,
    /// A page for people.
    pub is_page: bool,
    pub retry_after: Option<Duration>,
}

/// A longer wait than this is told to the person rather than sat out.
const MOST_WAIT: Duration = Duration::from_secs(120);

impl Head {
    /// From an answer's status and headers, whose names are lower-case.
    pub fn read(status: u16, header: impl Fn(&str) -> Option<String>) -> Head {
        let number = |text: String| text.trim().parse::<u64>().ok();
        // a compressed body's length is not the file's
        let is_plain = header("content-encoding").is_none_or(|encoding| encoding == "identity");
        let length = header("content-length").and_then(number).filter(|_| is_plain);
        let (start, ranged_total) = header("content-range").map_or((None, None), |text| content_range(&text));
        let whole = if status == 200 { length } else { None };
        let sha256 = header("x-linked-etag").map(|etag| unquoted(&etag).to_ascii_lowercase());
        let seconds = |text: String| text.trim().parse().ok().map(Duration::from_secs);
        Head {
            status,
            length,
            start,
            total: ranged_total.or_else(|| header("x-linked-size").and_then(number)).or(whole),
            etag: header("etag").map(|etag| etag.trim().to_owned()).filter(|etag| !etag.is_empty()),
            // it is put into addresses, so no other text may pass for one
            commit: header("x-repo-commit").map(|text| text.trim().to_owned()).filter(|text| is_commit(text)),
            sha256: sha256.filter(|hash| is_sha256(hash)),
            is_page: header("content-type").is_some_and(|kind| kind.trim_start().starts_with("text/html")),
            retry_after: header("retry-after").and_then(seconds).map(|wait: Duration| wait.min(MOST_WAIT)),
        }
    }
}

pub fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn unquoted(etag: &str) -> &str {
    etag.trim().trim_start_matches("W/").trim_matches('"')
}

/// First byte and whole length in `bytes 0-99/1234`.
fn content_range(text: &str) -> (Option<u64>, Option<u64>) {
    let Some((range, total)) = text.trim().strip_prefix("bytes ").and_then(|rest| rest.split_once('/')) else {
        return (None, None);
    };
    (range.split_once('-').and_then(|(start, _)| start.trim().parse().ok()), total.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(status: u16, headers: &[(&str, &str)]) -> Head {
        Head::read(status, |name| headers.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).into()))
    }

    #[test]
    fn reads_what_the_hub_and_its_storage_say() {
        let hash = "0F".repeat(32);
        let head = head(
            206,
            &[
                ("content-range", "bytes 10-19/1234"),
                ("content-length", "10"),
                ("etag", "\"abc\""),
                ("x-linked-etag", &format!("\"{hash}\"")),
                ("x-repo-commit", "607a30d783dfa663caf39e06633721c8d4cfcd7e"),
            ],
        );
        assert_eq!((head.start, head.total, head.length), (Some(10), Some(1234), Some(10)));
        assert_eq!(head.etag.as_deref(), Some("\"abc\""));
        assert_eq!(head.sha256, Some("0f".repeat(32)));
        assert_eq!(head.commit.as_deref(), Some("607a30d783dfa663caf39e06633721c8d4cfcd7e"));
    }

    #[test]
    fn what_means_nothing_is_not_taken_for_something() {
        let odd = head(
            200,
            &[
                ("content-range", "bytes */12"),
                ("content-length", "many"),
                ("x-linked-etag", "\"0123\""),
                ("x-repo-commit", "../../evil"),
                ("retry-after", "Wed, 21 Oct 2026 07:28:00 GMT"),
            ],
        );
        assert_eq!(odd, Head { status: 200, total: Some(12), ..Head::default() });
        let zipped = head(200, &[("content-length", "100"), ("content-encoding", "gzip")]);
        assert_eq!((zipped.length, zipped.total), (None, None));
        assert_eq!(head(200, &[("content-length", "100")]).total, Some(100));
        assert_eq!(head(429, &[("retry-after", "999999")]).retry_after, Some(MOST_WAIT));
    }
}
