//! A stranger's links: what can't be read is refused, and what was read can be written and reads the same.

use peartree::link::Link;

use crate::chance::Chance;
use crate::watch::each;

const LINKS: [&str; 6] = [
    "v1&p=I+climbed+up&c=I+fell+down&t=+an&u=+a&bos=0&dir=reversed&lens=own&table=final&view=neurons&layer=1&neuron=1:2",
    "v1&p=a&on=corrupted&e=31:892=0@all&e=2.h3=clean@last&off=0.attn=+-2@3,5&e=blocks.2.mlp.hook_pre[92]=mean:1.5@0,1",
    "v1&m=./models/small/&p=50+%25+%26+%22more%22+%231+%3D+a%2Bb%0A%E8%8B%B9%E6%9E%9C+%F0%9F%8D%8E%2E&layer=all&sort=direct",
    "v1&m=openai-community/gpt2@main&cn=31:892&ct=+an&data=hub:NeelNanda/pile-10k&key=content&pack=1&percent=12.5",
    "v1&data=folder:http://10.0.0.1/f/&conv=unembed&w=1:2&set=+an&set=%23281&k=+a&k=+an&find=mutual",
    "v1&m=https://example.org/model/&data=https://example.org/a.jsonl.gz&seed=18446744073709551615&bins=floor",
];
const PIECES: [&str; 20] = [
    "%",
    "%00",
    "%ff",
    "%F0%9F",
    "&",
    "=",
    "@",
    ":",
    "..",
    "//",
    "1e999",
    "-0",
    "NaN",
    "18446744073709551616",
    "\u{202e}",
    "+",
    "#",
    "javascript:",
    "é",
    "0,",
];

/// A link with pieces changed, doubled, exchanged with others'.
fn wild(chance: &mut Chance) -> String {
    let link = *chance.pick(&LINKS);
    let mut parts: Vec<String> = link.split('&').map(str::to_owned).collect();
    for _ in 0..chance.below(4) {
        let at = chance.below(parts.len());
        match chance.below(5) {
            0 => {
                let other = chance.pick(&LINKS).split('&').nth(1 + chance.below(5)).unwrap_or("");
                parts.insert(at.max(1).min(parts.len()), other.to_owned());
            }
            1 => {
                let places: Vec<usize> = parts[at].char_indices().map(|(place, _)| place).collect();
                let place = if places.is_empty() { 0 } else { *chance.pick(&places) };
                parts[at].insert_str(place, chance.pick::<&str>(&PIECES));
            }
            2 => {
                let (key, _) = parts[at].split_once('=').unwrap_or((&parts[at], ""));
                parts[at] = format!("{key}={}", chance.pick(&PIECES).repeat(chance.below(300)));
            }
            3 => {
                let twice = parts[at].clone();
                parts.extend(std::iter::repeat_n(twice, chance.below(80)));
            }
            _ => parts[at] = String::from_utf8_lossy(&chance.damage(parts[at].as_bytes())).into_owned(),
        }
    }
    let mut link = parts.join("&");
    if chance.once_in(2) {
        link = String::from_utf8_lossy(&chance.damage(link.as_bytes())).into_owned();
    }
    link
}

#[test]
fn no_link_does_harm() {
    each("links", |watch, chance, what| {
        let fragment = wild(chance);
        watch
            .tried(what, fragment.len(), || {
                let (link, refused) = Link::read(&fragment);
                let written = link.write().expect("what was read is short enough to be written");
                assert_eq!(Link::read(&written), (link, vec![]), "{fragment}");
                refused.iter().for_each(|refusal| assert!(!refusal.to_string().is_empty()));
                Ok(())
            })
            .unwrap();
    });
}

/// Each of them says what it is meant to.
#[test]
fn the_links_that_are_mutated_are_links() {
    for link in LINKS {
        let (read, _) = Link::read(link);
        assert_ne!(read, Link::default(), "{link}");
    }
}
