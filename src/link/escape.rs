//! Text inside a fragment: spaces as `+`, what addresses give a meaning to as `%XX`, the rest as it is.

/// Characters that stay themselves: none of them ends an address where people write one in running text.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_.~!*,:/?@=".contains(&byte)
}

pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for &byte in text.as_bytes() {
        match byte {
            b' ' => escaped.push('+'),
            byte if is_plain(byte) => escaped.push(char::from(byte)),
            byte => push_code(&mut escaped, byte),
        }
    }
    escaped
}

/// None where a `%` is followed by no code, or the bytes are no text.
pub fn unescape(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
                digit(rest.next()?)? << 4 | digit(rest.next()?)?
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

/// Mail programs and chats leave a last full stop out of an address, so the last character is one they take.
pub fn guard_end(fragment: &mut String) {
    match fragment.pop() {
        Some('+') => push_code(fragment, b' '),
        Some(last) if last.is_ascii_alphanumeric() || last == '=' => fragment.push(last),
        Some(last) if last.is_ascii() => push_code(fragment, last as u8),
        Some(last) => fragment.push(last),
        None => {}
    }
}

fn push_code(text: &mut String, byte: u8) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    text.push('%');
    text.push(char::from(DIGITS[usize::from(byte >> 4)]));
    text.push(char::from(DIGITS[usize::from(byte & 15)]));
}
