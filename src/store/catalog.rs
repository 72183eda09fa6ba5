//! The GPT-2s that most people look for, known without asking a hub, and whether a device can run a model.

use super::fit::MOST_WEIGHTS_BYTES;
use crate::model::{Config, WeightDtype};
use crate::protocol::{Need, Room};

/// A model of the hub's, as its `config.json` describes it.
pub struct Known {
    pub repo: &'static str,
    n_layer: usize,
    n_head: usize,
    d_model: usize,
    /// Of all its files, nearly: the hub says exactly how much when it is asked.
    pub download_bytes: u64,
}

/// From the smallest to the largest.
pub const KNOWN: [Known; 5] = [
    known("distilbert/distilgpt2", [6, 12, 768], 354_000_000),
    known("openai-community/gpt2", [12, 12, 768], 550_000_000),
    known("openai-community/gpt2-medium", [24, 16, 1024], 1_521_000_000),
    known("openai-community/gpt2-large", [36, 20, 1280], 3_249_000_000),
    known("openai-community/gpt2-xl", [48, 25, 1600], 6_433_000_000),
];

/// Stanford's, from CRFM: GPT-2 in two sizes, each trained from five seeds, on OpenWebText.
pub const STANFORD: [Known; 10] = [
    small("stanford-crfm/alias-gpt2-small-x21"),
    small("stanford-crfm/battlestar-gpt2-small-x49"),
    small("stanford-crfm/caprica-gpt2-small-x81"),
    small("stanford-crfm/darkmatter-gpt2-small-x343"),
    small("stanford-crfm/expanse-gpt2-small-x777"),
    medium("stanford-crfm/arwen-gpt2-medium-x21"),
    medium("stanford-crfm/beren-gpt2-medium-x49"),
    medium("stanford-crfm/celebrimbor-gpt2-medium-x81"),
    medium("stanford-crfm/durin-gpt2-medium-x343"),
    medium("stanford-crfm/eowyn-gpt2-medium-x777"),
];

const fn small(repo: &'static str) -> Known {
    known(repo, [12, 12, 768], 513_000_000)
}

const fn medium(repo: &'static str) -> Known {
    known(repo, [24, 16, 1024], 1_447_000_000)
}

const fn known(repo: &'static str, [n_layer, n_head, d_model]: [usize; 3], download_bytes: u64) -> Known {
    Known { repo, n_layer, n_head, d_model, download_bytes }
}

impl Known {
    /// The id without the organisation.
    pub fn name(&self) -> &'static str {
        self.repo.split_once('/').map_or(self.repo, |(_, name)| name)
    }

    /// GPT-2's hyperparameters, the same for all sizes but for the three.
    pub fn config(&self) -> Config {
        Config {
            n_layer: self.n_layer,
            n_head: self.n_head,
            d_model: self.d_model,
            d_mlp: 4 * self.d_model,
            n_ctx: 1024,
            vocab_size: 50257,
            ln_eps: 1e-5,
            bos_token_id: Some(50256),
            variant: Default::default(),
        }
    }
}

/// Whether a device can run a model.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Verdict {
    Runs,
    /// Nothing forbids it, but the device has hardly more memory than the weights take.
    Tight {
        needed: u64,
        device: u64,
    },
    /// No engine's memory holds the weights, of whatever type.
    TooLarge {
        needed: u64,
        most: u64,
    },
    /// The browser has no room for the files.
    NoRoom {
        needed: u64,
        free: u64,
    },
}

/// Judges a model by what its weights take (`needs`), by what of it is still to come (`to_download` bytes), by the
/// device's memory and by the browser's room, as far as these are known.
pub fn verdict(needs: &[Need], to_download: u64, device: Option<u64>, room: Option<&Room>) -> Verdict {
    let least = needs.iter().map(|need| need.bytes).min().unwrap_or(0);
    if !needs.iter().any(|need| need.fits) {
        return Verdict::TooLarge { needed: least, most: MOST_WEIGHTS_BYTES };
    }
    if let Some(free) = room.and_then(Room::free)
        && free < to_download
    {
        return Verdict::NoRoom { needed: to_download, free };
    }
    match device {
        // a run needs room beside the weights, and so does the rest of the machine
        Some(device) if least + least / 2 > device => Verdict::Tight { needed: least, device },
        _ => Verdict::Runs,
    }
}

/// From this size on, f16 is what most will want: half the memory, and figures as good.
const LARGE_PARAMETERS: u64 = 300_000_000;

/// The type to load a model's weights in unless somebody says otherwise.
pub fn usual_dtype(needs: &[Need], parameters: u64) -> WeightDtype {
    let f32_fits = needs.iter().any(|need| need.dtype == WeightDtype::F32 && need.fits);
    if f32_fits && parameters < LARGE_PARAMETERS { WeightDtype::F32 } else { WeightDtype::F16 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::weights::n_parameters;
    use crate::store::fit::needs;

    const GB: u64 = 1_000_000_000;

    #[test]
    fn the_known_models_have_the_papers_sizes() {
        let counts: Vec<u64> = KNOWN.iter().map(|known| n_parameters(&known.config())).collect();
        assert_eq!(counts, [81_912_576, 124_439_808, 354_823_168, 774_030_080, 1_557_611_200]);
        let stanford: Vec<u64> = STANFORD.iter().map(|known| n_parameters(&known.config())).collect();
        assert_eq!((&stanford[..5], &stanford[5..]), (&[counts[1]; 5][..], &[counts[2]; 5][..]));
        for (known, count) in KNOWN.iter().zip(counts).chain(STANFORD.iter().zip(stanford)) {
            // the files hold little beside the weights, in f32
            let rest = known.download_bytes - 4 * count;
            assert!((1_000_000..220_000_000).contains(&rest), "{}: {rest} bytes beside the weights", known.name());
        }
    }

    #[test]
    fn the_small_ones_load_in_f32_and_the_others_in_f16() {
        let usual = |known: &Known| usual_dtype(&needs(&known.config()), n_parameters(&known.config()));
        let f32s: Vec<&str> = KNOWN.iter().filter(|k| usual(k) == WeightDtype::F32).map(Known::name).collect();
        assert_eq!(f32s, ["distilgpt2", "gpt2"]);
    }

    #[test]
    fn says_why_a_device_can_not_run_a_model() {
        let [small, xl] = [&KNOWN[1], &KNOWN[4]].map(|known| needs(&known.config()));
        assert_eq!(verdict(&small, GB, None, None), Verdict::Runs);
        let room = Room { used: 9 * GB, quota: Some(10 * GB), persisted: false, transient: false };
        assert_eq!(verdict(&xl, 6 * GB, None, Some(&room)), Verdict::NoRoom { needed: 6 * GB, free: GB });
        assert_eq!(verdict(&xl, 0, Some(8 * GB), Some(&room)), Verdict::Runs, "what is kept needs no more room");
        assert!(matches!(verdict(&xl, 0, Some(4 * GB), None), Verdict::Tight { device, .. } if device == 4 * GB));
        let huge = Config { n_layer: 96, d_model: 3200, d_mlp: 12800, ..KNOWN[4].config() };
        assert!(matches!(verdict(&needs(&huge), 0, None, None), Verdict::TooLarge { most: MOST_WEIGHTS_BYTES, .. }));
    }
}
