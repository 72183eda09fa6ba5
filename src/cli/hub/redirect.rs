//! Where an answer sends one on to, and whether a token may go along: a client's own following looks at the host without
//! its port, and drops what the hub says of a file on the way.

/// More than any hub needs.
pub const MOST: usize = 8;

/// What the hub says of a file where it sends one on to its storage, which doesn't know it.
pub const SAID_ON_THE_WAY: [&str; 3] = ["x-repo-commit", "x-linked-etag", "x-linked-size"];

pub fn is_one(status: u16) -> bool {
    matches!(status, 301 | 302 | 303 | 307 | 308)
}

/// The address that `location` means in an answer from `url`; none for what isn't one, or is less safe.
pub fn target(url: &str, location: &str) -> Option<String> {
    let origin = origin(url);
    let scheme = url.split_once("://")?.0;
    let to = location.trim().split('#').next()?;
    let has_scheme = |scheme: &str| to.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme));
    if has_scheme("https://") || has_scheme("http://") && scheme == "http" {
        return Some(to.to_owned());
    }
    if to.contains("://") && !to.starts_with('/') || to.is_empty() {
        return None;
    }
    if to.starts_with("//") {
        return Some(format!("{scheme}:{to}"));
    }
    if to.starts_with('/') {
        return Some(format!("{origin}{to}"));
    }
    let path = url[origin.len()..].split('?').next().unwrap_or_default();
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    Some(format!("{origin}{folder}/{to}"))
}

/// Whether what is meant for `a` may be told to `b`: scheme, host and port are the same.
pub fn is_same_origin(a: &str, b: &str) -> bool {
    origin(a).eq_ignore_ascii_case(origin(b))
}

/// `scheme://host:port` as it is written.
fn origin(url: &str) -> &str {
    let start = url.find("://").map_or(0, |at| at + 3);
    let len = url[start..].find(['/', '?', '#']).unwrap_or(url.len() - start);
    &url[..start + len]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations_are_read_against_the_address_that_gave_them() {
        let from = "https://hub.example:8443/a/resolve/main/config.json?x=/y";
        for (location, to) in [
            ("https://cdn.example/f?sig=1#top", Some("https://cdn.example/f?sig=1")),
            ("/b/config.json", Some("https://hub.example:8443/b/config.json")),
            ("//cdn.example/f", Some("https://cdn.example/f")),
            ("other.json", Some("https://hub.example:8443/a/resolve/main/other.json")),
            ("/b?to=http://c", Some("https://hub.example:8443/b?to=http://c")),
            ("http://cdn.example/f", None),
            ("ftp://cdn.example/f", None),
            ("", None),
        ] {
            assert_eq!(target(from, location).as_deref(), to, "{location:?}");
        }
        assert_eq!(target("http://localhost:1", "http://a/b").as_deref(), Some("http://a/b"));
        assert_eq!(target("http://localhost:1", "b").as_deref(), Some("http://localhost:1/b"));
    }

    #[test]
    fn another_port_scheme_or_user_is_another_origin() {
        let hub = "https://hub.example/a";
        assert!(is_same_origin(hub, "https://HUB.example/b?c"));
        for other in [
            "https://hub.example:8443/a",
            "http://hub.example/a",
            "https://x@hub.example/a",
            "https://hub.example.evil/a",
        ] {
            assert!(!is_same_origin(hub, other), "{other}");
        }
    }
}
