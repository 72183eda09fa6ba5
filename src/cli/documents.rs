//! Documents from files on the disk.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::{check_file, unreadable};
use crate::documents::{Documents, Source};
use crate::error::Result;

/// The texts in all of the files, in order.
///
/// # Errors
/// [`Error::Read`](crate::error::Error::Read) naming the file and what is wrong with it.
pub fn read(files: &[PathBuf]) -> Result<Vec<String>> {
    let sources = files.iter().map(|path| Ok(Rc::new(Disk::open(path)?) as Rc<dyn Source>));
    let mut documents = Documents::new(sources.collect::<Result<Vec<_>>>()?);
    let texts = documents.whole_texts()?;
    tell_replaced(documents.replaced_bytes());
    Ok(texts)
}

/// Says how much of what was read stands for something else.
pub fn tell_replaced(bytes: u64) {
    if bytes > 0 {
        eprintln!("peartree: {bytes} bytes that are no UTF-8 were replaced by U+FFFD");
    }
}

/// A file on the disk.
pub struct Disk {
    name: String,
    file: File,
    bytes: u64,
}

impl Disk {
    pub fn open(path: &Path) -> Result<Self> {
        check_file(path)?;
        let file = File::open(path).map_err(|e| unreadable(path, &e))?;
        let bytes = file.metadata().map_err(|e| unreadable(path, &e))?.len();
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        Ok(Disk { name, file, bytes })
    }
}

impl Source for Disk {
    fn name(&self) -> &str {
        &self.name
    }

    fn len_bytes(&self) -> u64 {
        self.bytes
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        use std::io::{Read, Seek, SeekFrom};
        let mut file = &self.file;
        file.seek(SeekFrom::Start(offset))?;
        file.read(into)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn only_files_are_read() {
        let pipe = std::env::temp_dir().join(format!("peartree-pipe-{}.txt", std::process::id()));
        let made = std::process::Command::new("mkfifo").arg(&pipe).status().is_ok_and(|status| status.success());
        assert!(made);
        for path in [Path::new("/dev/zero"), Path::new("/dev/null"), Path::new("/tmp"), &pipe] {
            let why = |error: crate::error::Error| error.to_string();
            for said in [Disk::open(path).err().map(why), super::super::read_file(path).err().map(why)] {
                assert!(said.as_ref().is_some_and(|said| said.contains("it is no file")), "{said:?}");
            }
            assert!(read(&[path.to_owned()]).is_err());
        }
        std::fs::remove_file(pipe).unwrap();
    }

    #[test]
    fn texts_of_every_kind_come_whole() {
        let path = std::env::temp_dir().join(format!("peartree-texts-{}.jsonl", std::process::id()));
        let long = "pear ".repeat(30_000);
        std::fs::write(&path, format!("\u{feff}{{\"text\":\"{long}\"}}\r\n\r\n{{\"text\":null}}\n{{\"text\":\"\"}}\n"))
            .unwrap();
        assert_eq!(read(std::slice::from_ref(&path)).unwrap(), [long, String::new()]);
        std::fs::remove_file(path).unwrap();
    }
}
