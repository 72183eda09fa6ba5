//! Whether a model fits: its weights into the engine's memory, its files into the browser's room.

use crate::error::{Result, StoreError};
use crate::model::Config;
use crate::model::weights::sum;
use crate::protocol::{Need, Room, WeightDtype};

/// What the weights may take of the 4 GiB at which a wasm memory ends; the rest is for running the model.
pub const MOST_WEIGHTS_BYTES: u64 = 7 << 29;

/// Bytes of a model's weights in memory.
pub fn weights_bytes(config: &Config, dtype: WeightDtype) -> u64 {
    sum(config, |shape, numbers| numbers.saturating_mul(dtype.of_parameter(shape).bytes()))
}

/// What the weights take in each type.
pub fn needs(config: &Config) -> Vec<Need> {
    let need = |dtype: WeightDtype| {
        let bytes = weights_bytes(config, dtype);
        Need { dtype, bytes, fits: bytes <= MOST_WEIGHTS_BYTES }
    };
    [WeightDtype::F32, WeightDtype::F16].map(need).to_vec()
}

/// Refuses a model that the engine's memory, `most` bytes, can't hold, before it is downloaded.
///
/// # Errors
/// [`StoreError::TooLarge`] saying what would fit.
pub fn in_memory(what: &str, config: &Config, dtype: WeightDtype, most: u64) -> Result<()> {
    let needed = weights_bytes(config, dtype);
    if needed <= most {
        return Ok(());
    }
    let half = weights_bytes(config, WeightDtype::F16);
    let instead = if half <= most {
        format!("Load it in f16, which takes {:.2} GB.", half as f64 / 1e9)
    } else {
        "Choose a smaller model: gpt2-xl is the largest that fits, in f16.".to_owned()
    };
    Err(StoreError::TooLarge { what: what.into(), dtype: name(dtype), needed, most, instead }.into())
}

fn name(dtype: WeightDtype) -> &'static str {
    match dtype {
        WeightDtype::F32 => "f32",
        WeightDtype::F16 => "f16",
    }
}

/// Refuses a download that the browser has no room for, before it begins.
///
/// # Errors
/// [`StoreError::NoRoom`].
pub fn in_room(what: &str, needed: u64, room: &Room) -> Result<()> {
    match room.free() {
        Some(free) if free < needed => Err(StoreError::NoRoom { what: what.into(), needed, free }.into()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(n_layer: usize, n_head: usize, d_model: usize) -> Config {
        let json = format!(
            r#"{{"model_type":"gpt2","n_layer":{n_layer},"n_head":{n_head},"n_embd":{d_model},"n_positions":1024,"vocab_size":50257}}"#
        );
        Config::from_json(json.as_bytes()).unwrap()
    }

    #[test]
    fn says_what_fits_and_what_would() {
        let [small, large, xl] = [config(12, 12, 768), config(36, 20, 1280), config(48, 25, 1600)];
        assert_eq!(weights_bytes(&small, WeightDtype::F32), 124_439_808 * 4);
        let fits = |config: &Config| needs(config).iter().map(|need| need.fits).collect::<Vec<_>>();
        assert_eq!((fits(&small), fits(&large), fits(&xl)), (vec![true, true], vec![true, true], vec![false, true]));
        let refused = in_memory("gpt2-xl", &xl, WeightDtype::F32, MOST_WEIGHTS_BYTES).unwrap_err().to_string();
        assert!(in_memory("gpt2-xl", &xl, WeightDtype::F32, u64::MAX).is_ok());
        assert!(refused.contains("6.23 GB") && refused.contains("Load it in f16, which takes 3.1"), "{refused}");
        let huge = config(96, 25, 3200);
        let huge = in_memory("huge", &huge, WeightDtype::F16, MOST_WEIGHTS_BYTES).unwrap_err().to_string();
        assert!(huge.contains("Choose a smaller model"), "{huge}");
    }

    #[test]
    fn sizes_are_counted_past_what_32_bits_can_say() {
        // 137 GB, of which 32 bits see 3 MB
        let wide = config(48, 16, 16384);
        assert_eq!(
            weights_bytes(&wide, WeightDtype::F32),
            4 * (48 * (12 * 16384 * 16384 + 13 * 16384) + 51283 * 16384)
        );
        assert!(!needs(&wide).iter().any(|need| need.fits));
        // the largest that a config can ask for is counted, and takes no memory to count
        let most = config(1 << 20, 1, 1 << 18);
        assert!(weights_bytes(&most, WeightDtype::F16) > 1 << 60 && !needs(&most)[1].fits);
    }

    #[test]
    fn an_unknown_quota_is_no_reason_to_refuse() {
        let room = Room { used: 900, quota: Some(1000), persisted: false, transient: false };
        assert!(in_room("a", 100, &room).is_ok() && in_room("a", 101, &room).is_err());
        assert!(in_room("a", u64::MAX, &Room::default()).is_ok());
    }
}
