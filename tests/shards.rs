//! The command line at scale: several workers at once, one of them killed and started again, their folders merged.
#![cfg(not(target_arch = "wasm32"))]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

/// A folder of this test's own, removed at its end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    fn join(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn peartree(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_peartree"));
    command.args(arguments).args(["--json", "--threads", "1"]).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

#[track_caller]
fn output(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output
}

const DATA: &str = "tests/fixtures/model-p/corpus.json";
const PAIR: &str = "1:220: an";
/// So often that a worker is killed between two checkpoints, not before the first.
const OFTEN: &str = "0.001";

/// Every file of a folder with its bytes.
fn files(folder: &str) -> Vec<(String, Vec<u8>)> {
    let entry = |entry: std::io::Result<fs::DirEntry>| {
        let path = entry.unwrap().path();
        (path.file_name().unwrap().to_string_lossy().into_owned(), fs::read(path).unwrap())
    };
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(entry).collect();
    files.sort();
    files
}

#[test]
fn workers_of_which_one_is_killed_merge_to_one_run() {
    let folder = Folder::new("shards");
    let (one, merged) = (folder.join("one"), folder.join("merged"));
    let whole = output(&mut peartree(&["corpus", "--data", DATA, "--neurons", PAIR, "--out", &one]));
    let shard = |i: usize| {
        let (out, i) = (folder.join(&format!("shard-{i}")), format!("{i}/3"));
        peartree(&["corpus", "--data", DATA, "--neurons", PAIR, "--out", &out, "--shard", &i, "--checkpoint", OFTEN])
    };
    let mut workers: Vec<Child> = (0..3).map(|i| shard(i).spawn().unwrap()).collect();
    // killed as soon as it has something to go on from
    let checkpoint = folder.join("shard-1/checkpoint.bin");
    while !Path::new(&checkpoint).exists() && workers[1].try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_micros(200));
    }
    workers[1].kill().unwrap();
    let killed = workers.remove(1).wait_with_output().unwrap();
    let was_cut_short = !killed.status.success();
    for worker in workers {
        assert!(worker.wait_with_output().unwrap().status.success());
    }
    if was_cut_short {
        assert!(
            !Path::new(&folder.join("shard-1/corpus.json")).exists(),
            "an index stands in a folder that isn't whole"
        );
    }
    output(&mut shard(1));
    let dirs = [2, 0, 1].map(|i| folder.join(&format!("shard-{i}")));
    let answer = output(&mut peartree(&["merge", &dirs[0], &dirs[1], &dirs[2], "--out", &merged]));
    assert_eq!(String::from_utf8(answer.stdout).unwrap(), String::from_utf8(whole.stdout).unwrap());
    assert!(files(&merged) == files(&one), "the merged folder differs from one run's");
    // what is whole is not computed again
    let again = output(&mut peartree(&["corpus", "--data", DATA, "--neurons", PAIR, "--out", &one]));
    assert!(!again.stdout.is_empty());
}

#[test]
fn shards_that_do_not_belong_together_are_refused() {
    let folder = Folder::new("strangers");
    let (a, b, out) = (folder.join("a"), folder.join("b"), folder.join("out"));
    output(&mut peartree(&["corpus", "--data", DATA, "--neurons", PAIR, "--out", &a, "--shard", "0/2"]));
    output(&mut peartree(&["corpus", "--data", DATA, "--neurons", PAIR, "--out", &b, "--shard", "1/3"]));
    for dirs in [[&a, &b], [&a, &a]] {
        let refused = peartree(&["merge", dirs[0], dirs[1], "--out", &out]).output().unwrap();
        assert_eq!(refused.status.code(), Some(2));
        assert!(String::from_utf8_lossy(&refused.stderr).contains("can't be merged"));
    }
}
