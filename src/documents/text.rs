//! What a file's first bytes say of it.

/// What a file in UTF-8 may begin with.
pub const MARK: &[u8] = b"\xef\xbb\xbf";

/// Whether a file's first bytes are text, so that a file which should be packed isn't.
pub fn is_text(head: &[u8]) -> bool {
    let controls = head.iter().any(|&byte| byte < b' ' && !byte.is_ascii_whitespace() || byte == 0x7f);
    let is_utf8 = match std::str::from_utf8(head) {
        Ok(_) => true,
        // the last character may be cut
        Err(error) => error.error_len().is_none(),
    };
    !controls && is_utf8
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn a_packed_head_is_no_text() {
        assert!(is_text(b"{\"text\": \"caf\xc3\xa9\"}\r\n") && is_text(b"caf\xc3") && is_text(b""));
        for bit in 0..8 {
            assert!(!is_text(&[0x1f ^ 1 << bit, 0x8b, 8, 0, 0, 0]), "bit {bit}");
            assert!(!is_text(&[0x28 ^ 1 << bit, 0xb5, 0x2f, 0xfd]), "bit {bit}");
        }
    }
}
