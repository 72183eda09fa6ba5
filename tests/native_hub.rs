//! `--model` with a hub's id, through the real program: a hub on this machine, its storage at another address.
#![cfg(not(target_arch = "wasm32"))]

mod common;

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use common::parts::halves;
use peartree::store::address::hex;
use sha2::{Digest, Sha256};

const COMMIT: &str = "607a30d783dfa663caf39e06633721c8d4cfcd7e";
const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/model-p");
const TOKEN: &str = "hf_not_to_be_told";

#[derive(Debug, Clone)]
struct Asked {
    path: String,
    range: Option<(usize, usize)>,
    token: Option<String>,
}

struct Answer {
    status: &'static str,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
    /// The connection breaks after so many bytes of the body.
    cut: Option<usize>,
}

fn answer(status: &'static str, headers: &[(&'static str, &str)], body: &[u8]) -> Answer {
    let headers = headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    Answer { status, headers, body: body.to_vec(), cut: None }
}

/// A server that answers until it is dropped.
struct Server {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    fn start(answers: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let is_over: Arc<AtomicBool> = Arc::default();
        let answers = Arc::new(answers);
        let (all, over) = (asked.clone(), is_over.clone());
        let thread = thread::spawn(move || {
            while !over.load(Ordering::Relaxed) {
                let Ok((stream, _)) = listener.accept() else {
                    thread::sleep(Duration::from_millis(5));
                    continue;
                };
                stream.set_nonblocking(false).unwrap();
                let (all, answers) = (all.clone(), answers.clone());
                // a client that goes away is no failure of the server's
                thread::spawn(move || serve(stream, &all, &*answers).ok());
            }
        });
        Server { address, asked, is_over, thread: Some(thread) }
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap();
    }
}

fn serve(stream: TcpStream, all: &Mutex<Vec<Asked>>, answers: &dyn Fn(&Asked) -> Answer) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut stream = stream;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let mut asked = Asked { path: line.split(' ').nth(1).unwrap().to_owned(), range: None, token: None };
        loop {
            let mut header = String::new();
            reader.read_line(&mut header)?;
            let Some((name, value)) = header.trim().split_once(": ") else { break };
            match name.to_ascii_lowercase().as_str() {
                "range" => {
                    let (from, to) = value.strip_prefix("bytes=").unwrap().split_once('-').unwrap();
                    asked.range = Some((from.parse().unwrap(), to.parse().unwrap()));
                }
                "authorization" => asked.token = Some(value.to_owned()),
                "accept-encoding" => panic!("files are wanted as they are: {value}"),
                _ => {}
            }
        }
        all.lock().unwrap().push(asked.clone());
        let Answer { status, headers, body, cut } = answers(&asked);
        write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {}\r\n", body.len())?;
        for (name, value) in headers {
            write!(stream, "{name}: {value}\r\n")?;
        }
        stream.write_all(b"\r\n")?;
        stream.write_all(&body[..cut.unwrap_or(body.len())])?;
        if cut.is_some() {
            return Ok(());
        }
    }
}

fn file(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(FOLDER).join(name)).unwrap()
}

/// Where the hub sends one on to for large files. It breaks off the second answer.
fn storage(weights: Vec<u8>) -> Server {
    let answered = Mutex::new(0);
    Server::start(move |asked| {
        let Some((from, to)) = asked.range else { return answer("200 OK", &[], &weights) };
        let to = to.min(weights.len() - 1);
        let range = format!("bytes {from}-{to}/{}", weights.len());
        let headers = [("Content-Range", range.as_str()), ("ETag", "\"stored\"")];
        let mut answer = answer("206 Partial Content", &headers, &weights[from..=to]);
        let mut answered = answered.lock().unwrap();
        *answered += 1;
        answer.cut = (*answered == 2).then_some(100_000);
        answer
    })
}

/// A hub with one model, `org/p`, whose large file lies at `storage`.
fn hub(storage: &Server) -> Server {
    let stored = format!("{}/blobs/1?signature=x", storage.url());
    let weights = file("model.safetensors");
    let (size, sha256) = (weights.len(), hex(&Sha256::digest(&weights)));
    Server::start(move |asked| {
        let path = asked.path.as_str();
        let commit = ("X-Repo-Commit", COMMIT);
        if path == "/api/models/org/p/revision/main?blobs=true" || path.contains(&format!("/revision/{COMMIT}?")) {
            let lfs = format!(r#"{{"sha256":"{sha256}","size":{size}}}"#);
            let small = r#"{"rfilename":"config.json"},{"rfilename":"tokenizer.json"}"#;
            let json =
                format!(r#"{{"siblings":[{small},{{"rfilename":"model.safetensors","size":{size},"lfs":{lfs}}}]}}"#);
            return answer("200 OK", &[], json.as_bytes());
        }
        // what was renamed is still found under its old name
        if let Some(rest) = path.strip_prefix("/old/p/") {
            return answer("307 Temporary Redirect", &[("Location", &format!("/org/p/{rest}"))], b"moved");
        }
        let file_name = path.strip_prefix("/org/p/resolve/").and_then(|rest| rest.split_once('/'));
        match file_name.filter(|(revision, _)| [COMMIT, "main"].contains(revision)) {
            Some((_, "model.safetensors")) => {
                let etag = format!("\"{sha256}\"");
                let said = [("Location", stored.as_str()), ("X-Linked-Etag", &etag), commit];
                answer("302 Found", &said, b"elsewhere")
            }
            Some((_, name @ ("config.json" | "tokenizer.json"))) => {
                answer("200 OK", &[commit, ("ETag", "\"small\""), ("Content-Type", "text/plain")], &file(name))
            }
            _ => answer("404 Not Found", &[("X-Error-Code", "EntryNotFound")], b"Entry not found"),
        }
    })
}

/// A folder that goes when the test is over.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Scratch {
        let path = std::env::temp_dir().join(format!("peartree-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Scratch(path)
    }

    fn kept(&self) -> Vec<PathBuf> {
        let models = std::fs::read_dir(self.0.join("models"));
        models.map(|models| models.map(|model| model.unwrap().path()).collect()).unwrap_or_default()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // a test that fails has more to say than this
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn peartree(hub: &str, cache: &Scratch, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_peartree"));
    command.args(arguments).current_dir(&cache.0).env("HF_ENDPOINT", hub).env("PEARTREE_CACHE", &cache.0);
    command.env_remove("HF_TOKEN").env("NO_PROXY", "127.0.0.1").env_remove("RUST_BACKTRACE");
    command.output().unwrap()
}

#[track_caller]
fn printed(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// One line, and the status of what a person can mend.
#[track_caller]
fn refusal(output: &Output) -> String {
    let said = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!((output.status.code(), said.lines().count(), output.stdout.len()), (Some(2), 1, 0), "{said}");
    assert!(said.starts_with("peartree: "), "{said}");
    said
}

fn predict(model: &str) -> [&str; 6] {
    ["predict", "--prompt", "Hello", "--json", "--model", model]
}

#[test]
fn a_model_is_downloaded_once_and_then_needs_no_hub() {
    let cache = Scratch::new("once");
    let storage = storage(file("model.safetensors"));
    let hub = hub(&storage);
    let from_folder = printed(&peartree("http://127.0.0.1:1", &cache, &predict(FOLDER)));
    assert_eq!(printed(&peartree(&hub.url(), &cache, &predict("org/p"))), from_folder);

    let ranges: Vec<_> = storage.asked().iter().map(|asked| asked.range.unwrap().0).collect();
    assert!(ranges.len() >= 3 && ranges.is_sorted(), "{ranges:?}");
    let url = hub.url();
    drop((hub, storage));
    assert_eq!(printed(&peartree(&url, &cache, &predict("org/p"))), from_folder);
    assert_eq!(printed(&peartree(&url, &cache, &predict(&format!("org/p@{COMMIT}")))), from_folder);
    assert!(refusal(&peartree(&url, &cache, &predict("org/p@other"))).contains("can't be reached"));

    let [model] = &cache.kept()[..] else { panic!("{:?}", cache.kept()) };
    let mut names: Vec<_> = std::fs::read_dir(model).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["config.json", "manifest.json", "model.safetensors", "tokenizer.json"]);
    assert_eq!(std::fs::read(model.join("model.safetensors")).unwrap(), file("model.safetensors"));
}

#[test]
fn of_two_programs_one_downloads_and_the_other_waits() {
    let cache = Scratch::new("two");
    let storage = storage(file("model.safetensors"));
    let hub = hub(&storage);
    let run = || printed(&peartree(&hub.url(), &cache, &predict("org/p")));
    let (first, second) = thread::scope(|scope| {
        let other = scope.spawn(run);
        (run(), other.join().unwrap())
    });
    assert_eq!(first, second);
    // the header, what broke off, and the rest
    assert_eq!(storage.asked().len(), 3);
    assert_eq!(cache.kept().len(), 1);
}

#[test]
fn what_a_hub_lacks_is_told_in_a_line() {
    let cache = Scratch::new("lacks");
    let storage = storage(Vec::new());
    let hub = hub(&storage);
    let said = refusal(&peartree(&hub.url(), &cache, &predict("org/other")));
    assert!(said.contains("has no config.json"), "{said}");
    assert!(refusal(&peartree(&hub.url(), &cache, &predict("org/p@no revision"))).contains("is no revision"));
    assert!(refusal(&peartree("hub.example", &cache, &predict("org/p"))).contains("must begin with https://"));
    let asked = hub.asked().len();
    for path in ["./org", "../org", "/org/p", "org/"] {
        assert!(refusal(&peartree(&hub.url(), &cache, &predict(path))).contains("Check the path"));
    }
    assert_eq!(hub.asked().len(), asked, "a path was asked for at the hub");
    assert!(cache.kept().is_empty());
}

#[test]
fn other_bytes_than_the_hub_says_are_refused_and_not_kept() {
    let cache = Scratch::new("bytes");
    let mut weights = file("model.safetensors");
    *weights.last_mut().unwrap() ^= 1;
    let wrong = storage(weights);
    let said = refusal(&peartree(&hub(&wrong).url(), &cache, &predict("org/p")));
    assert!(said.contains("is not what its source says"), "{said}");
    assert!(cache.kept().is_empty());
    let right = storage(file("model.safetensors"));
    printed(&peartree(&hub(&right).url(), &cache, &predict("org/p")));
}

#[test]
fn a_token_goes_to_the_hub_alone_and_is_written_nowhere() {
    let cache = Scratch::new("token");
    let storage = storage(file("model.safetensors"));
    let hub = hub(&storage);
    let mut command = Command::new(env!("CARGO_BIN_EXE_peartree"));
    command.args(predict("old/p")).current_dir(&cache.0).env("HF_ENDPOINT", hub.url()).env("PEARTREE_CACHE", &cache.0);
    let output = command.env("HF_TOKEN", TOKEN).env("NO_PROXY", "127.0.0.1").output().unwrap();
    printed(&output);
    let bearer = format!("Bearer {TOKEN}");
    assert!(hub.asked().iter().all(|asked| asked.token.as_deref() == Some(&bearer)), "{:?}", hub.asked());
    assert!(!storage.asked().is_empty() && storage.asked().iter().all(|asked| asked.token.is_none()));
    let holds = |bytes: &[u8]| bytes.windows(TOKEN.len()).any(|part| part == TOKEN.as_bytes());
    assert!(!holds(&output.stdout) && !holds(&output.stderr));
    for entry in std::fs::read_dir(&cache.kept()[0]).unwrap() {
        assert!(!holds(&std::fs::read(entry.unwrap().path()).unwrap()));
    }
}

#[test]
fn tables_are_made_of_a_hubs_model() {
    let cache = Scratch::new("tables");
    let storage = storage(file("model.safetensors"));
    let hub = hub(&storage);
    for (model, out) in [("org/p", "hub.safetensors"), (FOLDER, "folder.safetensors")] {
        printed(&peartree(&hub.url(), &cache, &["tables", "--model", model, "--out", out]));
    }
    let table = |name: &str| std::fs::read(cache.0.join(name)).unwrap();
    assert_eq!(table("hub.safetensors"), table("folder.safetensors"));
}

/// A hub with one model, `org/parts`, of these files. What is asked of the second one past its header is refused as long
/// as `is_closed`.
fn hub_in_parts(files: Vec<(&'static str, Vec<u8>)>, is_closed: Arc<AtomicBool>) -> Server {
    let siblings: Vec<String> = files
        .iter()
        .map(|(name, bytes)| match name.ends_with(".json") {
            true => format!(r#"{{"rfilename":"{name}"}}"#),
            false => {
                let (size, sha256) = (bytes.len(), hex(&Sha256::digest(bytes)));
                format!(r#"{{"rfilename":"{name}","lfs":{{"sha256":"{sha256}","size":{size}}}}}"#)
            }
        })
        .collect();
    let metadata = format!(r#"{{"siblings":[{}]}}"#, siblings.join(","));
    Server::start(move |asked| {
        let commit = ("X-Repo-Commit", COMMIT);
        if asked.path.starts_with("/api/models/org/parts/") {
            return answer("200 OK", &[], metadata.as_bytes());
        }
        let name = asked.path.rsplit('/').next().unwrap();
        let Some((_, bytes)) = files.iter().find(|(known, _)| *known == name) else {
            return answer("404 Not Found", &[], b"no");
        };
        let Some((from, to)) = asked.range else { return answer("200 OK", &[commit], bytes) };
        if from > 0 && name == PARTS[1] && is_closed.load(Ordering::Relaxed) {
            return answer("401 Unauthorized", &[], b"no");
        }
        let to = to.min(bytes.len() - 1);
        let range = format!("bytes {from}-{to}/{}", bytes.len());
        answer("206 Partial Content", &[commit, ("Content-Range", &range), ("ETag", "\"x\"")], &bytes[from..=to])
    })
}

const PARTS: [&str; 2] = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"];

fn files_in_parts() -> Vec<(&'static str, Vec<u8>)> {
    let (parts, index) = halves();
    let mut files = vec![("config.json", file("config.json")), ("tokenizer.json", file("tokenizer.json"))];
    files.push(("model.safetensors.index.json", index));
    files.extend(parts);
    files
}

#[test]
fn a_model_in_parts_is_downloaded_and_gone_on_with_in_its_second_part() {
    let cache = Scratch::new("parts");
    let is_closed = Arc::new(AtomicBool::new(true));
    let hub = hub_in_parts(files_in_parts(), is_closed.clone());
    assert!(refusal(&peartree(&hub.url(), &cache, &predict("org/parts"))).contains(PARTS[1]));
    let first = hub.asked().len();
    is_closed.store(false, Ordering::Relaxed);
    let from_folder = printed(&peartree("http://127.0.0.1:1", &cache, &predict(FOLDER)));
    assert_eq!(printed(&peartree(&hub.url(), &cache, &predict("org/parts"))), from_folder);
    let again: Vec<_> =
        hub.asked()[first..].iter().filter_map(|asked| Some((asked.path.clone(), asked.range?))).collect();
    assert!(again.iter().all(|(path, (from, _))| path.ends_with(PARTS[1]) && *from > 0), "{again:?}");
    let url = hub.url();
    drop(hub);
    assert_eq!(printed(&peartree(&url, &cache, &predict("org/parts"))), from_folder);
    for (name, bytes) in files_in_parts() {
        assert!(std::fs::read(cache.kept()[0].join(name)).unwrap() == bytes, "{name}");
    }
}

#[test]
fn inspect_asks_a_hub_for_no_more_than_headers() {
    let cache = Scratch::new("inspect");
    let storage = storage(file("model.safetensors"));
    let one = hub(&storage);
    let inspect = |url: &str, model: &str| -> serde_json::Value {
        serde_json::from_str(&printed(&peartree(url, &cache, &["inspect", model, "--json"]))).unwrap()
    };
    let seen = inspect(&one.url(), "org/p");
    let weights = file("model.safetensors");
    assert_eq!(seen["hash"], hex(&Sha256::digest(&weights)));
    assert_eq!((&seen["tokenizer"]["bos"], &seen["refused"]), (&1256.into(), &serde_json::json!([])));
    let line = serde_json::json!({"name": "model.safetensors", "bytes": weights.len(), "dtype": "f32"});
    assert!(seen["files"].as_array().unwrap().contains(&line), "{seen}");
    let [asked] = &storage.asked()[..] else { panic!("{:?}", storage.asked()) };
    assert!(asked.range.unwrap().1 < weights.len() / 2);
    assert!(cache.kept().is_empty());

    let open = Arc::new(AtomicBool::new(false));
    let parts = hub_in_parts(files_in_parts(), open.clone());
    let seen = inspect(&parts.url(), "org/parts");
    let names: Vec<_> = seen["files"].as_array().unwrap().iter().map(|file| file["name"].as_str().unwrap()).collect();
    assert_eq!(&names[2..], ["model.safetensors.index.json", PARTS[0], PARTS[1]]);
    assert_eq!(seen["refused"], serde_json::json!([]));
    // kept, it is the same
    printed(&peartree(&parts.url(), &cache, &predict("org/parts")));
    let url = parts.url();
    drop(parts);
    assert_eq!(inspect(&url, "org/parts")["hash"], seen["hash"]);

    let mut wrong = files_in_parts();
    wrong[4].1.truncate(1000);
    let refused = inspect(&hub_in_parts(wrong, open.clone()).url(), "org/parts")["refused"].to_string();
    assert!(refused.contains(PARTS[1]) && refused.contains("cut short"), "{refused}");
    let adapter = vec![("config.json", file("config.json")), ("adapter_model.bin", vec![1])];
    let bare = Scratch::new("inspect-bare");
    let hub = hub_in_parts(adapter, open);
    let output = printed(&peartree(&hub.url(), &bare, &["inspect", "org/parts"]));
    assert!(output.contains("refused: ") && output.contains("an adapter"), "{output}");
}
