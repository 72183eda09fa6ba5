//! Patching, attribution and edits against TransformerLens's figures, natively and in the browser.

mod common;

use common::{Oracle, ask, assert_close, corpus, intervene, pairs, session};
use peartree::engine::{Unhurried, complete};
use peartree::error::Error;
use peartree::protocol::{
    Answer, AttributeOptions, Attribution, EditOptions, Edited, Event, GenerateOptions, LayerArgument, Neurons,
    NeuronsOptions, Partial, Patch, PatchOptions, PatchSite, Prompt, Request, TokenArgument,
};
use peartree::session::AnySession;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

fn tokens(oracle: &Oracle) -> (TokenArgument, TokenArgument) {
    let token = |key: &str| TokenArgument::Id(oracle.number(key) as u32);
    (token("token_id"), token("other_id"))
}

fn prompt(oracle: &Oracle, key: &str) -> Prompt {
    Prompt::Text(oracle.text(key).into())
}

fn patch(session: &AnySession, oracle: &Oracle, site: PatchSite, whole_layer: bool) -> Patch {
    let options = PatchOptions {
        clean: prompt(oracle, "clean"),
        corrupted: prompt(oracle, "corrupted"),
        tokens: tokens(oracle),
        site,
        whole_layer,
        no_bos: false,
    };
    match ask(session, Request::Patch(options)).unwrap() {
        Answer::Patch(patch) => patch,
        other => panic!("{other:?}"),
    }
}

fn neurons_of(oracle: &Oracle, layer: LayerArgument) -> Request {
    Request::Neurons(NeuronsOptions {
        clean: prompt(oracle, "clean"),
        corrupted: prompt(oracle, "corrupted"),
        tokens: tokens(oracle),
        layer,
        no_bos: false,
    })
}

fn neurons(session: &AnySession, oracle: &Oracle, layer: LayerArgument) -> Neurons {
    match ask(session, neurons_of(oracle, layer)).unwrap() {
        Answer::Neurons(neurons) => neurons,
        other => panic!("{other:?}"),
    }
}

fn all() -> LayerArgument {
    LayerArgument::Word("all".into())
}

fn edit(session: &AnySession, oracle: &Oracle, key: &str, set: &[&str]) -> Result<Edited, Error> {
    let options = EditOptions {
        prompt: prompt(oracle, key),
        tokens: tokens(oracle),
        set: set.iter().map(|text| text.to_string()).collect(),
        clean: Some(prompt(oracle, "clean")),
        corrupted: Some(prompt(oracle, "corrupted")),
        corpus: corpus(),
        top: 5,
        no_bos: false,
    };
    match ask(session, Request::Edit(options))? {
        Answer::Edited(edited) => Ok(edited),
        other => panic!("{other:?}"),
    }
}

#[test]
fn heat_maps_bars_and_heads_are_the_oracles() {
    let session = session();
    let cases = [
        (PatchSite::ResidPre, false, "patch_resid_pre"),
        (PatchSite::AttnOut, false, "patch_attn_out"),
        (PatchSite::MlpOut, false, "patch_mlp_out"),
        (PatchSite::ResidPre, true, "patch_resid_pre_all"),
        (PatchSite::AttnOut, true, "patch_attn_out_all"),
        (PatchSite::MlpOut, true, "patch_mlp_out_all"),
        (PatchSite::Heads, false, "patch_head"),
    ];
    for oracle in pairs() {
        for (site, whole_layer, key) in cases {
            let patch = patch(&session, &oracle, site, whole_layer);
            assert_close(key, &patch.values.values.0, &oracle.grid(key));
            assert_eq!(patch.values.is_list, whole_layer, "{key}");
            assert_close(
                "clean",
                &[patch.clean, patch.corrupted],
                &[oracle.number("clean_logit_diff"), oracle.number("corrupted_logit_diff")],
            );
        }
    }
}

#[test]
fn every_neuron_is_the_oracles() {
    let session = session();
    for oracle in pairs() {
        let found = neurons(&session, &oracle, all());
        assert_close("patch_neuron", &found.values.values.0, &oracle.array("patch_neuron"));
        assert_close("dla_neurons", &found.direct.values.0, &oracle.array("dla_neurons"));
        let layer = neurons(&session, &oracle, LayerArgument::One(2));
        let width = layer.values.columns;
        assert_eq!((layer.values.is_list, layer.values.values.0.len()), (true, width));
        assert_close("layer 2", &layer.values.values.0, &found.values.values.0[2 * width..3 * width]);
    }
}

#[test]
fn in_the_last_layer_the_direct_effect_is_nearly_all_there_is() {
    let session = session();
    let oracle = &pairs()[0];
    let found = neurons(&session, oracle, LayerArgument::One(3));
    // only the final LayerNorm's scale, which the direct effect holds still, lies between the two
    for (total, direct) in found.values.values.0.iter().zip(&found.direct_share.values.0) {
        assert!((total - direct).abs() <= 0.02 + 0.2 * total.abs(), "{total} in all, {direct} directly");
    }
}

#[test]
fn a_sweep_tells_its_estimates_first_and_then_every_exact_figure_once() {
    let session = session();
    let oracle = &pairs()[0];
    let mut events = Vec::new();
    let answer = complete(session.answer(&neurons_of(oracle, all()), &Unhurried, |event| events.push(event))).unwrap();
    let Answer::Neurons(neurons) = answer else { panic!("neurons answers with neurons") };
    let Some(Event::Partial(Partial::NeuronsEstimate(first))) = events.first() else { panic!("no estimate first") };
    assert_eq!(first.estimate, neurons.estimate);
    assert!(first.values.values.0.iter().all(|value| value.is_nan()), "figures before they are known");
    let mut told = vec![f32::NAN; neurons.values.values.0.len()];
    for event in &events {
        if let Event::Partial(Partial::Exact { first, figures }) = event {
            for (place, figure) in told[*first..].iter_mut().zip(&figures.0) {
                assert!(place.is_nan(), "told twice");
                *place = *figure;
            }
        }
    }
    assert_eq!(told, neurons.values.values.0);
}

#[test]
fn direct_attribution_is_the_oracles() {
    let session = session();
    for oracle in pairs() {
        let options = AttributeOptions { prompt: prompt(&oracle, "clean"), tokens: tokens(&oracle), no_bos: false };
        let Answer::Attribution(found) = ask(&session, Request::Attribute(options)).unwrap() else {
            panic!("attribute answers with an attribution")
        };
        let Attribution { embed, pos_embed, attn, mlp, heads, bias, total } = found;
        // hook_embed, hook_pos_embed, then each layer's attention and MLP
        let layers = attn.iter().zip(&mlp).flat_map(|(attn, mlp)| [*attn, *mlp]);
        let ours: Vec<f32> = [embed, pos_embed].into_iter().chain(layers).collect();
        assert_close("dla_components", &ours, &oracle.numbers("dla_components"));
        assert_close("dla_heads", &heads.concat(), &oracle.grid("dla_heads"));
        assert_close("sum", &[ours.iter().sum::<f32>() + bias], &[total]);
        assert_close("total", &[total], &[oracle.number("clean_logit_diff")]);
        assert_close("bias", &[bias], &[oracle.number("lens_bias")]);
    }
}

#[test]
fn edits_of_a_neuron_are_the_oracles() {
    let session = session();
    let (oracle, intervene) = (&pairs()[0], intervene());
    let mean = intervene["mean_act"].as_f64().unwrap();
    let cases = [
        ("clean", "2:137=zero@all".to_owned(), "zero_all_clean"),
        ("clean", "2:137=0@last".to_owned(), "zero_last_clean"),
        ("clean", format!("2:137=mean={mean}@all"), "mean_all_clean"),
        ("clean", format!("2:137={mean}@last"), "mean_last_clean"),
        ("clean", "2:137=mean".to_owned(), "mean_all_clean"),
        ("clean", "2:137=mean@last".to_owned(), "mean_last_clean"),
        ("corrupted", "2:137=0".to_owned(), "zero_all_corrupted"),
        ("corrupted", format!("2:137=mean:{mean}@all"), "mean_all_corrupted"),
    ];
    let same = |after: &peartree::protocol::Outcome, expected: &serde_json::Value| {
        assert_close("logit_diff", &[after.diff], &[expected["logit_diff"].as_f64().unwrap() as f32]);
        let top = expected["top5"].as_array().unwrap();
        let probs: Vec<f32> = top.iter().map(|row| row[2].as_f64().unwrap() as f32).collect();
        assert_close("top5", &after.top.iter().map(|token| token.prob).collect::<Vec<_>>(), &probs);
        assert_eq!(u64::from(after.top[0].id), top[0][0].as_u64().unwrap());
    };
    for (side, text, key) in cases {
        let edited = edit(&session, oracle, side, &[&text]).unwrap();
        same(&edited.after, &intervene[key]);
        assert_close("before", &[edited.before.diff], &[oracle.number(&format!("{side}_logit_diff"))]);
    }
    for steered in intervene["steer_last_clean"].as_array().unwrap() {
        let text = format!("2:137={}@last", steered["value"]);
        same(&edit(&session, oracle, "clean", &[&text]).unwrap().after, steered);
    }
}

#[test]
fn putting_the_clean_run_back_in_gives_the_clean_prediction() {
    let session = session();
    let oracle = &pairs()[0];
    let edited = edit(&session, oracle, "corrupted", &["0.resid_pre=clean"]).unwrap();
    assert_close("all of it", &[edited.after.diff], &[oracle.number("clean_logit_diff")]);
    let neuron = edit(&session, oracle, "corrupted", &["2:137=clean@all"]).unwrap();
    let width = session.info().config.d_mlp;
    let share = oracle.array("patch_neuron")[2 * width + 137];
    let (clean, corrupted) = (oracle.number("clean_logit_diff"), oracle.number("corrupted_logit_diff"));
    assert_close("one neuron", &[(neuron.after.diff - corrupted) / (clean - corrupted)], &[share]);
}

#[test]
fn an_edit_takes_the_value_of_the_prompt_that_it_names() {
    let session = session();
    let oracle = &pairs()[0];
    for name in ["clean", "corrupted"] {
        // a run that takes its own values is itself
        let own = edit(&session, oracle, name, &[&format!("1.resid_pre={name}@all")]).unwrap();
        assert_close("the same run", &[own.after.diff], &[own.before.diff]);
    }
    let whole = edit(&session, oracle, "clean", &["0.resid_pre=corrupted@all"]).unwrap();
    assert_close("the other run", &[whole.after.diff], &[oracle.number("corrupted_logit_diff")]);
}

#[test]
fn generation_follows_the_edits() {
    let session = session();
    let oracle = &pairs()[0];
    let write = |set: &[&str]| {
        let options = GenerateOptions {
            prompt: prompt(oracle, "clean"),
            max: 6,
            temperature: 0.0,
            top_k: None,
            top_p: None,
            seed: 0,
            set: set.iter().map(|text| text.to_string()).collect(),
            clean: None,
            corrupted: None,
            corpus: vec![],
            no_bos: false,
        };
        match ask(&session, Request::Generate(options)).unwrap() {
            Answer::Generation(generation) => generation,
            other => panic!("{other:?}"),
        }
    };
    assert!(write(&[]).text.starts_with(" an apple"));
    assert!(write(&["2:137=0@all"]).text.starts_with(" a "), "{}", write(&["2:137=0@all"]).text);
    // an edit that changes nothing changes nothing
    assert_eq!(write(&["2:137=*1@all", "0.attn=+0"]), write(&[]));
}

#[test]
fn prompts_of_different_length_are_patched_where_they_meet() {
    let session = session();
    let oracle = &pairs()[0];
    let clean = oracle.ids("clean_ids");
    let mut longer = oracle.ids("corrupted_ids");
    let differs = clean.iter().zip(&longer).position(|(a, b)| a != b).unwrap();
    longer.insert(differs, longer[differs]);
    let options = PatchOptions {
        clean: Prompt::Ids(clean.clone()),
        corrupted: Prompt::Ids(longer.clone()),
        tokens: tokens(oracle),
        site: PatchSite::ResidPre,
        whole_layer: false,
        no_bos: false,
    };
    let Answer::Patch(patch) = ask(&session, Request::Patch(options)).unwrap() else { panic!("patch answers") };
    let rows: Vec<&[f32]> = patch.values.values.0.chunks_exact(longer.len()).collect();
    assert_eq!(rows.len(), session.info().config.n_layer);
    for row in &rows {
        assert!(row[..differs].iter().all(|&value| value == 0.0), "before the difference nothing can change");
        assert!(row[differs..differs + 2].iter().all(|value| value.is_nan()), "no counterpart, no figure");
        assert!(row[differs + 2..].iter().all(|value| value.is_finite()));
    }
    let last = rows.last().unwrap().last().unwrap();
    assert!(*last > 0.5, "the last position's residual before the last layer carries most: {last}");
}

#[test]
fn what_can_t_be_patched_is_refused_by_name() {
    let session = session();
    let oracle = &pairs()[0];
    let same = NeuronsOptions {
        clean: prompt(oracle, "clean"),
        corrupted: prompt(oracle, "clean"),
        tokens: tokens(oracle),
        layer: all(),
        no_bos: false,
    };
    assert!(matches!(ask(&session, Request::Neurons(same)), Err(Error::SamePrompts)));
    for layer in [LayerArgument::One(4), LayerArgument::Word("two".into())] {
        let error = ask(&session, neurons_of(oracle, layer)).unwrap_err();
        assert!(matches!(error, Error::BadOption { option: "layer", .. }), "{error}");
    }
    for set in ["4:0=0", "0:256=0", "0.h4=0", "2:137=0@20", "2:137=0@all@all", "x", "2.attn[1]=0", "blocks.0.nothing=1"]
    {
        let error = edit(&session, oracle, "clean", &[set]).unwrap_err();
        assert!(matches!(error, Error::BadOption { option: "set", .. }), "{set}: {error}");
    }
    let equal = EditOptions {
        prompt: prompt(oracle, "clean"),
        tokens: tokens(oracle),
        set: vec!["2:137=clean".into()],
        clean: None,
        corrupted: None,
        corpus: vec![],
        top: 5,
        no_bos: false,
    };
    assert!(matches!(ask(&session, Request::Edit(equal)), Err(Error::BadOption { option: "set", .. })));
}
