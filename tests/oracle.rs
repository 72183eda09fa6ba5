//! Our figures against TransformerLens's, natively and in the browser.

mod common;

use common::{Oracle, ask, assert_close, greedy, model, pairs, session};
use peartree::engine::cpu::CpuEngine;
use peartree::engine::site::BlockSite;
use peartree::engine::{Activation, Engine, FinalNorm, Site, SiteSet, Unhurried, complete};
use peartree::protocol::{
    Answer, Generation, LensOptions, LensTable, LensTableOptions, LogitLens, PredictOptions, Prediction, Prompt,
    Request, TokenArgument,
};
use peartree::session::AnySession;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

fn predict(session: &AnySession, prompt: &str, top: usize) -> Prediction {
    let options = PredictOptions { prompt: Prompt::Text(prompt.into()), top, no_bos: false };
    match ask(session, Request::Predict(options)).unwrap() {
        Answer::Prediction(prediction) => prediction,
        other => panic!("{other:?}"),
    }
}

fn lens(session: &AnySession, oracle: &Oracle) -> LogitLens {
    let token = |key: &str| TokenArgument::Text(oracle.text(key).replace('Ġ', " "));
    let prompt = Prompt::Text(oracle.text("clean").into());
    let options = LensOptions { prompt, tokens: (token("token"), token("other")), no_bos: false };
    match ask(session, Request::Lens(options)).unwrap() {
        Answer::Lens(lens) => lens,
        other => panic!("{other:?}"),
    }
}

fn lens_table(session: &AnySession, prompt: &str, final_ln: bool) -> LensTable {
    let options = LensTableOptions { prompt: Prompt::Text(prompt.into()), final_ln, no_bos: false };
    match ask(session, Request::LensTable(options)).unwrap() {
        Answer::LensTable(table) => table,
        other => panic!("{other:?}"),
    }
}

#[test]
fn prompts_become_the_oracles_ids() {
    let session = session();
    for oracle in pairs() {
        for side in ["clean", "corrupted"] {
            let prediction = predict(&session, oracle.text(side), 1);
            assert_eq!(prediction.ids, oracle.ids(&format!("{side}_ids")));
            let shown: Vec<String> = prediction.tokens.iter().map(|token| token.replace(' ', "Ġ")).collect();
            if side == "clean" {
                assert_eq!(serde_json::json!(shown), oracle.json["clean_str_tokens"]);
            }
        }
    }
}

#[test]
fn last_logits_are_hugging_faces() {
    let session = session();
    for oracle in pairs() {
        for side in ["clean", "corrupted"] {
            let mut top = predict(&session, oracle.text(side), usize::MAX).top;
            top.sort_by_key(|candidate| candidate.id);
            let logits: Vec<f32> = top.iter().map(|candidate| candidate.logit).collect();
            assert_close("logits", &logits, &oracle.array(&format!("{side}_logits_raw_last")));
        }
    }
}

#[test]
fn likeliest_tokens_and_log_probabilities_are_the_oracles() {
    let session = session();
    for oracle in pairs() {
        for side in ["clean", "corrupted"] {
            let prediction = predict(&session, oracle.text(side), 10);
            let expected = oracle.json[format!("{side}_top10")].as_array().unwrap();
            let ids: Vec<u64> = expected.iter().map(|row| row[0].as_u64().unwrap()).collect();
            let probs: Vec<f32> = expected.iter().map(|row| row[2].as_f64().unwrap() as f32).collect();
            assert_eq!(prediction.top.iter().map(|c| u64::from(c.id)).collect::<Vec<_>>(), ids);
            assert_close("probs", &prediction.top.iter().map(|c| c.prob).collect::<Vec<_>>(), &probs);
            assert_close("logprobs", &prediction.logprobs, &oracle.numbers(&format!("{side}_next_log_prob")));
        }
    }
}

fn read(engine: &CpuEngine, ids: &[u32], site: Site) -> Activation {
    let sites = [site].into_iter().collect();
    let base = complete(engine.base(ids, None, &SiteSet::none(), &Unhurried)).unwrap();
    complete(engine.read(&base, &sites, 0, &Unhurried)).unwrap().at(site).unwrap().clone()
}

#[test]
fn log_probabilities_agree_at_every_position() {
    let oracle = &pairs()[0];
    let (ids, model) = (oracle.ids("clean_ids"), model());
    let engine = CpuEngine::new(model.config, model.weights);
    let resid = Site::Block(engine.config().n_layer - 1, BlockSite::ResidPost);
    let read = read(&engine, &ids, resid);
    let vocab = engine.config().vocab_size;
    let top = complete(engine.unembed_topk(&read, FinalNorm::Own, vocab, &Unhurried)).unwrap();
    let ours: Vec<f32> = top
        .into_iter()
        .flat_map(|mut row| {
            row.sort_by_key(|token| token.id);
            row.into_iter().map(|token| token.logprob)
        })
        .collect();
    assert_close("log_probs", &ours, &oracle.array("clean_log_probs"));
}

#[test]
fn the_lens_agrees_in_both_conventions_at_every_point() {
    let session = session();
    for oracle in pairs() {
        let lens = lens(&session, &oracle);
        let bias = oracle.number("lens_bias");
        let notebook: Vec<f32> = oracle.numbers("lens_notebook").iter().map(|figure| figure + bias).collect();
        assert_close("final_ln", &lens.final_ln, &notebook);
        assert_close("own_ln", &lens.own_ln, &oracle.numbers("lens_own"));
        assert_eq!(lens.labels.len(), lens.own_ln.len());
        assert_eq!(
            (lens.labels[0].as_str(), lens.labels[3].as_str()),
            ("blocks.0.hook_resid_pre", "blocks.1.hook_resid_mid")
        );
        assert_eq!(lens.labels.last().unwrap(), "final");
        let ends = [lens.final_ln.last().unwrap(), lens.own_ln.last().unwrap()].map(|end| *end);
        assert_close("ends", &ends, &[oracle.number("clean_logit_diff"); 2]);
    }
}

#[test]
fn the_lens_tables_last_column_is_the_oracles_top_token() {
    let session = session();
    for oracle in pairs() {
        let table = lens_table(&session, oracle.text("clean"), false);
        let n_pos = table.tokens.len();
        assert_eq!(table.ids.0.len(), table.labels.len() * n_pos);
        for (point, top5) in oracle.json["lens_own_top5"].as_array().unwrap().iter().enumerate() {
            let at = point * n_pos + n_pos - 1;
            assert_eq!(u64::from(table.ids.0[at]), top5[0][0].as_u64().unwrap(), "point {point}");
            assert_close("prob", &[table.probs.0[at]], &[top5[0][2].as_f64().unwrap() as f32]);
        }
        // the two conventions meet where the real LayerNorm stands
        let notebook = lens_table(&session, oracle.text("clean"), true);
        let last_row = (table.labels.len() - 1) * n_pos..;
        assert_eq!(table.ids.0[last_row.clone()], notebook.ids.0[last_row.clone()]);
        assert_close("last row", &table.probs.0[last_row.clone()], &notebook.probs.0[last_row]);
        assert!(table.ids != notebook.ids || table.probs != notebook.probs, "the conventions differ below the end");
    }
}

#[test]
fn the_final_scale_is_the_oracles() {
    for oracle in pairs() {
        let (ids, model) = (oracle.ids("clean_ids"), model());
        let engine = CpuEngine::new(model.config, model.weights);
        let scale = read(&engine, &ids, Site::FinalScale).data.last().copied().unwrap();
        assert_close("scale", &[scale], &[oracle.number("final_ln_scale")]);
    }
}

#[test]
fn neurons_are_the_oracles() {
    let oracle = &pairs()[0];
    let model = model();
    let engine = CpuEngine::new(model.config, model.weights);
    let site = Site::Block(2, BlockSite::MlpPost);
    for side in ["clean", "corrupted"] {
        let ids = oracle.ids(&format!("{side}_ids"));
        let activations = read(&engine, &ids, site);
        let planted: Vec<f32> = (0..ids.len()).map(|pos| activations.row(pos)[137]).collect();
        assert_close("neuron 2:137", &planted, &oracle.numbers(&format!("best_neuron_{side}_act")));
    }
}

#[test]
fn greedy_generation_with_the_cache_is_the_oracles() {
    let session = session();
    for oracle in pairs() {
        let (ids, prompt) = (oracle.ids("greedy_ids"), oracle.ids("clean_ids"));
        let options = greedy(Prompt::Text(oracle.text("clean").into()), ids.len() - prompt.len());
        let Answer::Generation(Generation { ids: new, text }) = ask(&session, Request::Generate(options)).unwrap()
        else {
            panic!("generate answers with a generation")
        };
        assert_eq!(new, ids[prompt.len()..]);
        assert_eq!(format!("{}{text}", oracle.text("clean")), oracle.text("greedy_text"));
    }
}

#[test]
fn a_batch_gives_each_row_what_it_gets_alone() {
    let oracle = &pairs()[0];
    let rows = [oracle.ids("clean_ids"), oracle.ids("corrupted_ids")];
    let model = model();
    let engine = CpuEngine::new(model.config, model.weights);
    let together = complete(engine.last_resid(&[&rows[0], &rows[1]], &[], &Unhurried)).unwrap();
    for (index, row) in rows.iter().enumerate() {
        let alone = complete(engine.last_resid(&[row], &[], &Unhurried)).unwrap();
        assert_close("row", together.row(index), &alone.data);
    }
}
