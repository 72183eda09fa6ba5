//! The network of the command line: HTTP over sockets that block, and what a failure of them means.

use std::io::{ErrorKind, Read};
use std::time::Duration;

use ureq::config::AutoHeaderValue;
use ureq::http::{HeaderMap, Response};
use ureq::{Agent, BodyReader, Timeout};

use super::redirect;
use crate::store::wire::{Ask, Body, Head, Trouble, Wire};

const CONNECT: Duration = Duration::from_secs(15);
/// A server that answers slower than this answers nobody.
const HEAD: Duration = Duration::from_secs(30);
/// One read of a body.
const CHUNK_BYTES: usize = 128 << 10;

/// A client whose connections are used again.
pub struct Http(Agent);

impl Http {
    /// A connection on which nothing comes for as long as `stall` is given up.
    pub fn new(stall: Duration) -> Http {
        let config = Agent::config_builder()
            // the store judges statuses, and `redirect` where they lead
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            // lengths and ranges are those of the files themselves
            .accept_encoding(AutoHeaderValue::None)
            .user_agent(concat!("peartree/", env!("CARGO_PKG_VERSION")))
            .timeout_resolve(Some(CONNECT))
            .timeout_connect(Some(CONNECT))
            .timeout_recv_response(Some(HEAD))
            .timeout_per_read(Some(stall))
            .timeout_per_write(Some(stall));
        Http(config.build().new_agent())
    }

    fn send(&self, url: &str, ask: &Ask<'_>) -> Result<Response<ureq::Body>, Trouble> {
        let mut request = self.0.get(url);
        if let Some(range) = &ask.range {
            request = request.header("Range", format!("bytes={}-{}", range.start, range.end - 1));
        }
        if let Some(token) = ask.token.filter(|_| redirect::is_same_origin(ask.url, url)) {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        request.call().map_err(|error| trouble(&error))
    }
}

impl Wire for Http {
    type Body = Incoming;

    async fn get(&self, ask: &Ask<'_>) -> Result<(Head, Incoming), Trouble> {
        let mut url = ask.url.to_owned();
        let mut on_the_way: Vec<HeaderMap> = Vec::new();
        loop {
            let (parts, body) = self.send(&url, ask)?.into_parts();
            let status = parts.status.as_u16();
            let location = text(&parts.headers, "location").filter(|_| redirect::is_one(status));
            if let Some(next) = location.and_then(|location| redirect::target(&url, &location)) {
                on_the_way.push(parts.headers);
                if on_the_way.len() > redirect::MOST {
                    return Err(Trouble::Unreachable);
                }
                url = next;
                continue;
            }
            let header = |name: &str| {
                let earlier = on_the_way.iter().filter(|_| redirect::SAID_ON_THE_WAY.contains(&name));
                earlier.chain([&parts.headers]).find_map(|headers| text(headers, name))
            };
            return Ok((Head::read(status, header), Incoming(body.into_reader())));
        }
    }
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    Some(headers.get(name)?.to_str().ok()?.to_owned())
}

/// An answer's body.
pub struct Incoming(BodyReader<'static>);

impl Body for Incoming {
    async fn next(&mut self) -> Result<Option<Vec<u8>>, Trouble> {
        let mut chunk = vec![0; CHUNK_BYTES];
        let read = self.0.read(&mut chunk).map_err(|error| trouble(&error.into()))?;
        chunk.truncate(read);
        Ok((read > 0).then_some(chunk))
    }
}

/// What of a failure counts: whether there is anybody, whether it broke, whether nothing comes.
fn trouble(error: &ureq::Error) -> Trouble {
    match error {
        ureq::Error::Timeout(Timeout::Resolve | Timeout::Connect) => Trouble::Unreachable,
        ureq::Error::Timeout(_) => Trouble::Stalled,
        ureq::Error::Io(error) => match error.kind() {
            ErrorKind::NetworkDown | ErrorKind::NetworkUnreachable => Trouble::Offline,
            ErrorKind::TimedOut | ErrorKind::WouldBlock => Trouble::Stalled,
            ErrorKind::ConnectionReset
            | ErrorKind::ConnectionAborted
            | ErrorKind::BrokenPipe
            | ErrorKind::NotConnected
            | ErrorKind::UnexpectedEof => Trouble::Broken,
            // nobody listens, the name is nobody's (which has no kind of its own), the certificate is another's
            _ => Trouble::Unreachable,
        },
        ureq::Error::Protocol(_) | ureq::Error::BodyStalled => Trouble::Broken,
        _ => Trouble::Unreachable,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Error;

    use super::*;

    #[test]
    fn what_is_worth_many_tries_is_told_from_what_is_not() {
        let of = |kind: ErrorKind| trouble(&ureq::Error::Io(Error::from(kind)));
        assert_eq!(of(ErrorKind::UnexpectedEof), Trouble::Broken);
        assert_eq!(of(ErrorKind::ConnectionRefused), Trouble::Unreachable);
        assert_eq!(of(ErrorKind::NetworkUnreachable), Trouble::Offline);
        assert_eq!(trouble(&ureq::Error::Io(Error::other("no such name"))), Trouble::Unreachable);
        assert_eq!(trouble(&ureq::Error::Timeout(Timeout::PerRead)), Trouble::Stalled);
        assert_eq!(trouble(&ureq::Error::Timeout(Timeout::Connect)), Trouble::Unreachable);
    }
}
