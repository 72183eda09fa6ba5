//! What a file of parquet may take of memory: three times its size and some more, as every file.

/// What any file may take, and for each of its bytes. The rest of 64 MB is for what comes after: pieces, tokens.
const ROOM_BYTES: u64 = 52 << 20;
const ROOM_SHARE: u64 = 3;
/// Whatever the file's size: a browser's program can't set aside more at once.
const MOST_BYTES: u64 = if cfg!(target_arch = "wasm32") { 3 << 29 } else { 64 << 30 };

/// What is left while something is held.
#[derive(Debug, Clone, Copy)]
pub struct Room {
    most: u64,
    held: u64,
}

impl Room {
    /// For a file that is so long.
    pub fn of(file_bytes: u64) -> Self {
        Room { most: file_bytes.saturating_mul(ROOM_SHARE).saturating_add(ROOM_BYTES).min(MOST_BYTES), held: 0 }
    }

    /// What is left while so many bytes are held besides.
    pub fn besides(self, bytes: usize) -> Self {
        Room { held: self.held.saturating_add(bytes as u64), ..self }
    }

    pub fn left(&self) -> u64 {
        self.most.saturating_sub(self.held)
    }

    /// # Errors
    /// There isn't so much left.
    pub fn fits(&self, bytes: u64) -> Result<(), String> {
        if bytes <= self.left() {
            return Ok(());
        }
        Err(format!(
            "one of its pages takes {} MB of memory, and {} are the most for a file of this size. Write it with smaller pages \
             (pyarrow: data_page_size and write_batch_size).",
            bytes.saturating_add(self.held) / 1_000_000,
            self.most / 1_000_000
        ))
    }
}
