//! Numbers and names as the page writes them: a real minus, thin spaces, the same places everywhere.

use crate::model::WeightDtype;

/// A no-break space as narrow as type sets between a number and its unit.
const THIN: &str = "\u{202f}";

/// `+1.09`, `−0.49`, `0.00`: a difference, its sign always said.
pub fn signed(value: f32) -> String {
    with_sign(format!("{:.2}", value.abs()), value)
}

/// `−0.49`, `1.09`.
pub fn number(value: f32) -> String {
    signed(value).trim_start_matches('+').to_owned()
}

/// A probability as `64.92 %`; what would round to nothing is `< 0.01 %`.
pub fn percent(probability: f32) -> String {
    match probability * 100.0 {
        p if p > 0.0 && p < 0.005 => format!("<{THIN}0.01{THIN}%"),
        p => format!("{p:.2}{THIN}%"),
    }
}

/// A share of a difference as `+54.1 %`; where there is none, a dash.
pub fn share(value: f32) -> String {
    if value.is_finite() {
        format!("{}{THIN}%", with_sign(format!("{:.1}", value.abs() * 100.0), value))
    } else {
        "–".to_owned()
    }
}

/// A share in whole per cent, without the sign of per cent: `+54`, `0`.
pub fn share_short(value: f32) -> String {
    with_sign(format!("{:.0}", value.abs() * 100.0), value)
}

/// Nothing but zeros has no sign.
fn with_sign(text: String, value: f32) -> String {
    match value {
        _ if text.bytes().all(|byte| byte == b'0' || byte == b'.') => text,
        v if v < 0.0 => format!("−{text}"),
        _ => format!("+{text}"),
    }
}

/// `50,257`.
pub fn whole(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 token`, `1,003 tokens`.
pub fn tokens(count: usize) -> String {
    format!("{} token{}", whole(count as u64), if count == 1 { "" } else { "s" })
}

/// `355 thousand`, `124 million`: how many parameters a model has.
pub fn rough(value: u64) -> String {
    match value {
        0..10_000 => whole(value),
        10_000..1_000_000 => format!("{:.0}{THIN}thousand", value as f64 / 1e3),
        1_000_000..100_000_000 => format!("{:.1}{THIN}million", value as f64 / 1e6),
        _ => format!("{:.0}{THIN}million", value as f64 / 1e6),
    }
}

/// `1.4 MB`, `548 MB`, `3.25 GB`.
pub fn bytes(value: f64) -> String {
    match value {
        v if v < 1e6 => format!("{:.0}{THIN}kB", v / 1e3),
        v if v < 1e8 => format!("{:.1}{THIN}MB", v / 1e6),
        v if v < 1e9 => format!("{:.0}{THIN}MB", v / 1e6),
        v if v < 1e11 => format!("{:.2}{THIN}GB", v / 1e9),
        v => format!("{:.0}{THIN}GB", v / 1e9),
    }
}

/// `40 s`, `2 min 40 s`, `1 h 05 min`.
pub fn duration(seconds: f64) -> String {
    let seconds = seconds.ceil() as u64;
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, s) => format!("{s}{THIN}s"),
        (0, min, s) => format!("{min}{THIN}min {s}{THIN}s"),
        (h, min, _) => format!("{h}{THIN}h {min:02}{THIN}min"),
    }
}

/// Enough of a commit's name to tell it from others.
pub fn commit(sha: &str) -> &str {
    sha.get(..8).unwrap_or(sha)
}

pub fn dtype(dtype: WeightDtype) -> &'static str {
    match dtype {
        WeightDtype::F32 => "f32",
        WeightDtype::F16 => "f16",
    }
}

/// The component after which point `index` of the residual stream stands: `embed`, `L0 attn`, `L0 mlp`, `L1 attn` …
pub fn component(index: usize) -> String {
    match (index.checked_sub(1), index % 2) {
        (None, _) => "embed".to_owned(),
        (Some(before), 1) => format!("L{} attn", before / 2),
        (Some(before), _) => format!("L{} mlp", before / 2),
    }
}

/// The layer of point `index`; none for the embedding.
pub fn layer(index: usize) -> Option<usize> {
    index.checked_sub(1).map(|before| before / 2)
}
