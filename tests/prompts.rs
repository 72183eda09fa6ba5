//! Prompts, tokens and options as people type them, wrong ones included.

mod common;

use common::{CONFIG, WEIGHTS, ask, greedy, session};
use peartree::error::{Error, Result};
use peartree::model::{Model, WeightDtype};
use peartree::protocol::{Answer, GenerateOptions, PredictOptions, Prediction, Prompt, Request, Token};
use peartree::session::AnySession;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

fn predict(session: &AnySession, prompt: Prompt, no_bos: bool) -> Result<Prediction> {
    match ask(session, Request::Predict(PredictOptions { prompt, top: 3, no_bos }))? {
        Answer::Prediction(prediction) => Ok(prediction),
        other => panic!("{other:?}"),
    }
}

fn text(prompt: &str) -> Prompt {
    Prompt::Text(prompt.into())
}

fn token(session: &AnySession, argument: &str) -> Result<Token> {
    match ask(session, Request::Token { text: argument.into() })? {
        Answer::Token(token) => Ok(token),
        other => panic!("{other:?}"),
    }
}

fn options() -> GenerateOptions {
    greedy(text("I climbed up the apple tree and picked"), 12)
}

fn generate(session: &AnySession, options: GenerateOptions) -> Result<Vec<u32>> {
    match ask(session, Request::Generate(options))? {
        Answer::Generation(generation) => Ok(generation.ids),
        other => panic!("{other:?}"),
    }
}

#[test]
fn text_gets_the_end_of_text_token_in_front_and_ids_do_not() {
    let session = session();
    let with = predict(&session, text(" an apple"), false).unwrap();
    let without = predict(&session, text(" an apple"), true).unwrap();
    assert_eq!((with.ids[0], &with.tokens[0][..]), (1256, "<|endoftext|>"));
    assert_eq!(with.ids[1..], without.ids);
    assert_eq!(predict(&session, Prompt::Ids(without.ids.clone()), false).unwrap(), without);
}

#[test]
fn an_empty_prompt_is_refused() {
    let session = session();
    for empty in [text(""), Prompt::Ids(vec![])] {
        assert!(matches!(predict(&session, empty, false), Err(Error::EmptyPrompt)));
    }
}

#[test]
fn a_prompt_beyond_the_context_is_refused_and_nothing_is_cut() {
    let session = session();
    let fits = predict(&session, Prompt::Ids(vec![5; 128]), false).unwrap();
    assert_eq!((fits.ids.len(), fits.logprobs.len()), (128, 127));
    let error = predict(&session, Prompt::Ids(vec![5; 2000]), false).unwrap_err();
    assert!(matches!(error, Error::PromptTooLong { len: 2000, n_ctx: 128 }));
    assert!(error.to_string().contains("2000") && error.to_string().contains("128"), "{error}");
}

#[test]
fn an_id_outside_the_vocabulary_is_refused() {
    let session = session();
    for id in [1257, u32::MAX] {
        assert!(matches!(predict(&session, Prompt::Ids(vec![1, id]), false), Err(Error::UnknownId { .. })));
    }
}

#[test]
fn any_text_runs_and_its_tokens_spell_it_again() {
    let session = session();
    for prompt in
        ["🍐🌳 pear", "שלום עולם", "تفاحة", "a\u{0301}\u{200d}\u{feff}", "\u{0}\u{7f}", "  \n\t ", "日本語", "�"]
    {
        let prediction = predict(&session, text(prompt), true).unwrap();
        assert_eq!(
            ask(
                &session,
                Request::Predict(PredictOptions { prompt: Prompt::Ids(prediction.ids.clone()), top: 3, no_bos: false })
            )
            .unwrap(),
            Answer::Prediction(prediction.clone())
        );
        let vocabulary = common::model().vocabulary;
        assert_eq!(vocabulary.join(&prediction.ids), prompt);
    }
}

#[test]
fn a_token_argument_is_one_token_or_explained() {
    let session = session();
    assert_eq!(token(&session, " an").unwrap(), Token { id: 259, token: " an".into() });
    assert_eq!(token(&session, "#259").unwrap(), Token { id: 259, token: " an".into() });
    let error = token(&session, " an apple").unwrap_err();
    assert!(matches!(&error, Error::NotOneToken { pieces, .. } if pieces == &["\" an\"", "\" apple\""]), "{error}");
    assert!(error.to_string().contains("2 tokens"), "{error}");
    assert!(matches!(token(&session, ""), Err(Error::EmptyToken)));
    assert!(matches!(token(&session, "#9999"), Err(Error::UnknownId { id: 9999, vocab: 1257 })));
    assert!(matches!(token(&session, "#99999999999"), Err(Error::BadTokenId { .. })));
    assert_eq!(token(&session, "#").unwrap().token, "#");
}

#[test]
fn without_a_tokenizer_ids_work_and_text_is_explained() {
    let session =
        AnySession::cpu("ids only".into(), Model::from_bytes(CONFIG, None, WEIGHTS, WeightDtype::F32).unwrap());
    let prediction = predict(&session, Prompt::Ids(vec![1256, 40]), false).unwrap();
    assert_eq!(prediction.tokens, ["#1256", "#40"]);
    assert!(matches!(predict(&session, text("hello"), false), Err(Error::NoTokenizer)));
    assert!(matches!(token(&session, " an"), Err(Error::NoTokenizer)));
    assert_eq!(token(&session, "8").unwrap(), token(&session, "#8").unwrap());
    assert!(matches!(token(&session, "99999"), Err(Error::UnknownId { .. })));
    assert_eq!(token(&session, "#40").unwrap().id, 40);
}

#[test]
fn sampling_follows_its_seed_and_its_limits() {
    let session = session();
    let hot = |seed| GenerateOptions { temperature: 2.0, seed, ..options() };
    assert_eq!(generate(&session, hot(1)).unwrap(), generate(&session, hot(1)).unwrap());
    assert_ne!(generate(&session, hot(1)).unwrap(), generate(&session, hot(2)).unwrap());
    let greedy = generate(&session, options()).unwrap();
    assert_eq!(greedy.len(), 12);
    assert_eq!(generate(&session, GenerateOptions { top_k: Some(1), ..hot(3) }).unwrap(), greedy);
    assert_eq!(generate(&session, GenerateOptions { top_p: Some(1e-6), ..hot(3) }).unwrap(), greedy);
    assert_eq!(generate(&session, GenerateOptions { top_k: Some(5000), ..hot(3) }).unwrap().len(), 12);
}

#[test]
fn options_out_of_range_are_refused_by_name() {
    let session = session();
    let cases = [
        ("max", GenerateOptions { max: 0, ..options() }),
        ("max", GenerateOptions { max: 121, ..options() }),
        ("temperature", GenerateOptions { temperature: -1.0, ..options() }),
        ("temperature", GenerateOptions { temperature: f64::NAN, ..options() }),
        ("top-k", GenerateOptions { top_k: Some(0), ..options() }),
        ("top-p", GenerateOptions { top_p: Some(0.0), ..options() }),
        ("top-p", GenerateOptions { top_p: Some(1.5), ..options() }),
    ];
    for (name, options) in cases {
        match generate(&session, options) {
            Err(Error::BadOption { option, .. }) => assert_eq!(option, name),
            other => panic!("{name}: {other:?}"),
        }
    }
}
