//! What is planned for each kind of edit: from where a run is computed, what is known to differ there, what remains; and
//! which runs walk together.

use peartree::engine::edit::{Change, Edit, Part, Positions, width};
use peartree::engine::plan::{Budget, Plan, Stage, Walk, carry_out, plan, reads};
use peartree::engine::site::{BlockSite, Site};
use peartree::engine::{Activation, Engine, Readings, SiteSet, Unhurried, complete};
use peartree::model::{Config, WeightDtype};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

mod common;
use common::models::weights;
use peartree::engine::reference::ReferenceEngine;

const N_POS: usize = 5;
const N_LAYER: usize = 3;

fn config() -> Config {
    Config {
        n_layer: N_LAYER,
        n_head: 2,
        d_model: 4,
        d_mlp: 6,
        n_ctx: 8,
        vocab_size: 9,
        ln_eps: 1e-5,
        bos_token_id: None,
        variant: Default::default(),
    }
}

/// A base run in which every value is its own position.
fn base(edits: &[Edit]) -> Readings {
    let mut found = Readings::default();
    for site in reads(edits, N_LAYER) {
        let width = width(site, &config());
        let data = (0..N_POS).flat_map(|pos| vec![pos as f32; width]).collect();
        found.0.insert(site, Activation::rows(data, width));
    }
    found
}

fn planned(edits: &[Edit]) -> Plan {
    plan(&config(), N_POS, 7, edits, &base(edits)).unwrap()
}

fn edit(layer: usize, site: BlockSite, pos: &[usize], change: Change) -> Edit {
    Edit { site: Site::Block(layer, site), part: Part::Whole, at: Positions::These(pos.to_vec()), change }
}

fn add(layer: usize, site: BlockSite, pos: &[usize]) -> Edit {
    edit(layer, site, pos, Change::Add(1.0))
}

#[test]
fn what_writes_to_the_residual_stream_begins_after_its_layers_half() {
    use BlockSite::{AttnOut, MlpOut, MlpPost, MlpPre, ResidMid, ResidPost, ResidPre, Z};
    for (site, stage) in [
        (ResidPre, Stage::Pre(1)),
        (Z, Stage::Mid(1)),
        (AttnOut, Stage::Mid(1)),
        (ResidMid, Stage::Mid(1)),
        (MlpPre, Stage::Pre(2)),
        (MlpPost, Stage::Pre(2)),
        (MlpOut, Stage::Pre(2)),
        (ResidPost, Stage::Pre(2)),
    ] {
        let found = planned(&[add(1, site, &[2, 3])]);
        assert_eq!((found.run, found.stage, found.first), (7, stage, 2), "{site}");
        assert!(found.rest.is_empty(), "{site}");
        let difference = found.difference.unwrap();
        let width = width(Site::Block(1, site), &config());
        assert_eq!((difference.layer, difference.site, difference.columns), (1, site, 0..width));
        assert_eq!(difference.before, [2.0, 3.0, 4.0].map(|value| vec![value; width]).concat());
        assert_eq!(difference.after, [3.0, 4.0, 4.0].map(|value| vec![value; width]).concat());
    }
}

#[test]
fn what_is_inside_a_half_stays_a_hook_from_the_halfs_beginning() {
    use BlockSite::{K, Ln1Scale, Ln2Scale, Pattern, Q, V};
    for (site, stage) in [
        (Ln1Scale, Stage::Pre(1)),
        (Q, Stage::Pre(1)),
        (K, Stage::Pre(1)),
        (V, Stage::Pre(1)),
        (Pattern, Stage::Pre(1)),
        (Ln2Scale, Stage::Mid(1)),
    ] {
        let edits = [add(1, site, &[3])];
        assert_eq!(reads(&edits, N_LAYER).count(), 0, "{site}");
        let found = planned(&edits);
        assert_eq!((found.stage, found.first, found.difference), (stage, 3, None), "{site}");
        assert_eq!(found.rest, edits, "{site}");
    }
}

#[test]
fn the_embedding_and_the_final_scale_are_the_two_ends() {
    let of = |site| Edit { site, part: Part::Whole, at: Positions::All, change: Change::Scale(2.0) };
    for site in [Site::Embed, Site::PosEmbed] {
        let found = planned(&[of(site)]);
        assert_eq!((found.stage, found.first, found.rest.len()), (Stage::Embed, 0, 1));
    }
    let found = planned(&[of(Site::FinalScale)]);
    assert_eq!((found.stage, found.first, found.rest.len()), (Stage::End, N_POS - 1, 1));
}

#[test]
fn one_head_or_neuron_differs_in_its_columns_alone() {
    let neuron = Edit { part: Part::Neuron(4), ..edit(0, BlockSite::MlpPost, &[1], Change::Rows(vec![9.0])) };
    let difference = planned(&[neuron]).difference.unwrap();
    assert_eq!((difference.columns, difference.before), (4..5, vec![1.0, 2.0, 3.0, 4.0]));
    assert_eq!(difference.after, [9.0, 2.0, 3.0, 4.0]);
    let head = Edit { part: Part::Head(1), ..add(0, BlockSite::Z, &[4]) };
    let difference = planned(&[head]).difference.unwrap();
    assert_eq!((difference.columns, difference.after), (2..4, vec![5.0, 5.0]));
}

#[test]
fn of_the_last_mlp_there_is_only_the_last_position() {
    for (edit, stage) in [
        (add(2, BlockSite::ResidMid, &[1]), Stage::Mid(2)),
        (add(2, BlockSite::Ln2Scale, &[1]), Stage::Mid(2)),
        (add(2, BlockSite::MlpPost, &[1, 4]), Stage::End),
    ] {
        let found = planned(&[edit]);
        assert_eq!((found.stage, found.first), (stage, N_POS - 1));
        assert!(found.difference.is_none_or(|d| d.after.len() == d.columns.len()));
    }
}

#[test]
fn an_edit_that_changes_nothing_costs_nothing() {
    let nothing = edit(0, BlockSite::ResidPre, &[2], Change::Set(2.0));
    let found = planned(std::slice::from_ref(&nothing));
    assert_eq!((found.stage, found.difference, found.rest.len()), (Stage::End, None, 0));
    // what comes after it begins where it begins by itself
    let found = planned(&[nothing, add(1, BlockSite::MlpOut, &[3])]);
    assert_eq!((found.stage, found.first), (Stage::Pre(2), 3));
    assert_eq!(planned(&[]).stage, Stage::End);
}

#[test]
fn later_edits_remain_and_may_move_the_first_position() {
    let later = add(2, BlockSite::Q, &[1]);
    let found = planned(&[later.clone(), add(0, BlockSite::MlpPost, &[3])]);
    assert_eq!((found.stage, found.first, found.rest), (Stage::Pre(1), 1, vec![later]));
    assert_eq!(found.difference.unwrap().before[..6], [1.0; 6]);
}

#[test]
fn an_edit_that_another_builds_on_becomes_a_hook() {
    // what the MLP writes depends on its neurons: both are met before the next stage
    let edits = [add(0, BlockSite::MlpPost, &[3]), add(0, BlockSite::MlpOut, &[2])];
    let found = planned(&edits);
    assert_eq!((found.stage, found.first, found.difference), (Stage::Mid(0), 2, None));
    assert_eq!(found.rest, edits);
}

#[test]
fn edits_of_one_site_are_made_in_their_order() {
    let site = BlockSite::ResidPre;
    let found = planned(&[edit(1, site, &[4], Change::Set(1.0)), edit(1, site, &[4], Change::Scale(3.0))]);
    assert_eq!(found.difference.unwrap().after, [3.0; 4]);
}

/// The walks that some runs make.
fn walks(runs: &[Vec<Edit>], budget: Budget) -> Vec<Walk> {
    let engine = ReferenceEngine::new(config(), weights(&config(), 3, WeightDtype::F32));
    let base = complete(engine.base(&[1, 2, 3, 4, 5], None, &SiteSet::none(), &Unhurried)).unwrap();
    let mut found = Vec::new();
    complete(carry_out(&engine, &base, runs, budget, &Unhurried, async |walk| {
        found.push(walk);
        Ok(())
    }))
    .unwrap();
    found
}

#[test]
fn runs_of_all_layers_walk_together_within_the_budget() {
    let at = |layer: usize, pos: usize| vec![add(layer, BlockSite::ResidPre, &[pos])];
    let runs: Vec<_> = (0..N_LAYER).rev().flat_map(|layer| [at(layer, 3), at(layer, 4)]).collect();
    let together = walks(&runs, Budget { beginning: 9, walking: 9 });
    assert_eq!(together.len(), 1);
    assert_eq!(together[0].rows(N_POS), 9);
    assert!(together[0].plans.is_sorted_by_key(|plan| plan.stage));
    assert_eq!(together[0].beginning_at(Stage::Pre(1)), 2..4);
    assert_eq!(together[0].beginning_at(Stage::Mid(1)), 4..4);
    let mut runs_met: Vec<usize> = together[0].plans.iter().map(|plan| plan.run).collect();
    runs_met.sort_unstable();
    assert_eq!(runs_met, [0, 1, 2, 3, 4, 5]);
    // too many rows for one walk, or for one stage of it
    let rows = |budget| walks(&runs, budget).iter().map(|walk| walk.rows(N_POS)).collect::<Vec<_>>();
    assert_eq!(rows(Budget { beginning: 9, walking: 6 }), [6, 3]);
    assert_eq!(rows(Budget { beginning: 2, walking: 9 }), [2, 3, 3, 1]);
    // a single run is always taken
    assert_eq!(rows(Budget { beginning: 1, walking: 1 }), [2, 1, 2, 1, 2, 1]);
}

#[test]
fn runs_that_need_no_layer_wait_for_each_other() {
    let last = |neuron| vec![Edit { part: Part::Neuron(neuron), ..add(2, BlockSite::MlpPost, &[4]) }];
    let found =
        walks(&[last(0), vec![add(0, BlockSite::ResidPre, &[4])], last(1)], Budget { beginning: 8, walking: 8 });
    let stages = |walk: &Walk| walk.plans.iter().map(|plan| plan.stage).collect::<Vec<_>>();
    assert_eq!(found.iter().map(stages).collect::<Vec<_>>(), [vec![Stage::Pre(0)], vec![Stage::End; 2]]);
}
