//! What is measured between two prompts: the corrupted one, patches by layer, position, head and neuron.

use super::figure::{Figure, Sweep, Typed};
use crate::link::{FIRST_CORRUPTED, Layer, Order};
use crate::protocol::{Answer, Attribution, Event, Neurons, Patch, PatchSite, Prediction};

/// The maps, in the order in which they stand on the page.
pub const SITES: [PatchSite; 4] = [PatchSite::ResidPre, PatchSite::AttnOut, PatchSite::MlpOut, PatchSite::Heads];
/// The sites that are also patched at all positions of a layer.
pub const LAYER_SITES: [PatchSite; 2] = [PatchSite::AttnOut, PatchSite::MlpOut];

/// Which figure of this part an answer belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patched {
    /// The corrupted prompt's prediction.
    Contrast,
    /// Direct logit attribution of the clean run (0) and the corrupted one (1).
    Attribution(usize),
    /// One of [`LAYER_SITES`].
    Layers(usize),
    /// One of [`SITES`].
    Map(usize),
    Neurons,
}

#[derive(Clone, PartialEq)]
pub struct Patching {
    pub corrupted: Typed,
    /// Patches go from the corrupted run into the clean one.
    pub reversed: bool,
    pub contrast: Figure<Prediction>,
    pub attributions: [Figure<Attribution>; 2],
    pub layers: [Figure<Sweep<Patch>>; 2],
    pub maps: [Figure<Sweep<Patch>>; 4],
    pub neurons: Figure<Sweep<Neurons>>,
    /// The layer that a person chose.
    pub layer: Option<Layer>,
    /// The layer that `neurons` is about: the one chosen, or the MLP that does most.
    pub shown_layer: Option<Layer>,
    /// The sweep of every layer is long, so a person has to start it.
    pub all_asked: bool,
    pub neuron: Option<(usize, usize)>,
    pub order: Order,
}

impl Default for Patching {
    fn default() -> Self {
        Patching {
            corrupted: FIRST_CORRUPTED.into(),
            reversed: false,
            contrast: Figure::waiting(),
            attributions: [Figure::waiting(), Figure::waiting()],
            layers: [Figure::waiting(), Figure::waiting()],
            maps: [Figure::waiting(), Figure::waiting(), Figure::waiting(), Figure::waiting()],
            neurons: Figure::waiting(),
            layer: None,
            shown_layer: None,
            all_asked: false,
            neuron: None,
            order: Order::Index,
        }
    }
}

impl Patching {
    /// Shows the layer chosen, or else the MLP whose patch at all positions brings back most. The first MLP goes last:
    /// it works on the tokens themselves, so that patching it is nearly the same as changing the prompt.
    pub(super) fn settle_layer(&mut self) {
        let busiest = || {
            let mlps = self.layers[1].current().filter(|mlps| mlps.is_complete())?;
            let shares = mlps.values().iter().enumerate().filter(|(_, share)| share.is_finite());
            let later: Vec<_> = shares.skip(usize::from(mlps.values().len() > 1)).collect();
            later.into_iter().max_by(|a, b| a.1.total_cmp(b.1)).map(|(layer, _)| Layer::One(layer))
        };
        let layer = self.layer.or_else(busiest).or(self.shown_layer);
        if layer != self.shown_layer {
            self.shown_layer = layer;
            self.all_asked = false;
        }
    }

    pub fn hear(&mut self, which: Patched, edition: u32, events: Vec<Event>) {
        match which {
            Patched::Contrast | Patched::Attribution(_) => {
                events.into_iter().for_each(|event| self.hear_one(which, edition, event));
            }
            Patched::Layers(which) => self.layers[which].hear_sweep(edition, events),
            Patched::Map(which) => self.maps[which].hear_sweep(edition, events),
            Patched::Neurons => self.neurons.hear_sweep(edition, events),
        }
    }

    fn hear_one(&mut self, which: Patched, edition: u32, event: Event) {
        match which {
            Patched::Contrast => self.contrast.hear(edition, event, |answer| match answer {
                Answer::Prediction(prediction) => Some(prediction),
                _ => None,
            }),
            Patched::Attribution(side) => self.attributions[side].hear(edition, event, |answer| match answer {
                Answer::Attribution(attribution) => Some(attribution),
                _ => None,
            }),
            Patched::Layers(_) | Patched::Map(_) | Patched::Neurons => {}
        }
    }

    /// Ends a sweep by a person's wish, or takes it up again.
    pub fn stop(&mut self, which: Patched, stop: bool) {
        fn turn<T>(figure: &mut Figure<T>, stop: bool) {
            if stop { figure.stop() } else { figure.go_on() }
        }
        match which {
            Patched::Contrast | Patched::Attribution(_) => {}
            Patched::Layers(which) => turn(&mut self.layers[which], stop),
            Patched::Map(which) => turn(&mut self.maps[which], stop),
            Patched::Neurons => turn(&mut self.neurons, stop),
        }
    }
}
