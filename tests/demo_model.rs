//! What the shipped demo model must show, measured on the files in `www/demo` as a visitor gets them.

#[path = "../examples/train_demo/measure/mod.rs"]
#[allow(dead_code)] // the trainer uses all of it
mod measure;
#[path = "../examples/train_demo/text/mod.rs"]
#[allow(dead_code)]
mod text;

use std::fs;
use std::path::PathBuf;

use measure::judge::Judge;
use measure::{CLEAN, CORRUPTED, neurons};
use peartree::model::tokenizer::Prompt;
use peartree::model::{Model, Tokenizer, WeightDtype};

fn read(name: &str) -> Vec<u8> {
    fs::read(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("www/demo").join(name)).unwrap()
}

fn demo() -> Model {
    let (config, tokenizer, weights) = (read("config.json"), read("tokenizer.json"), read("model.safetensors"));
    Model::from_bytes(&config, Some(&tokenizer), &weights, WeightDtype::F32).unwrap()
}

#[test]
fn is_small_and_has_a_context_to_type_in() {
    assert!(read("model.safetensors").len() + read("tokenizer.json").len() <= 6_000_000);
    let config = demo().config;
    assert!((2000..=4000).contains(&config.vocab_size));
    assert!(config.n_ctx >= 256);
}

#[test]
fn tells_the_posts_story() {
    let model = demo();
    let judge = Judge::new(&model);
    assert!(judge.probability(CLEAN, " an").unwrap() > 0.5);
    assert!(judge.probability(CORRUPTED, " a").unwrap() > 0.5);
}

#[test]
fn gives_the_article_of_nouns_it_never_saw_there() {
    let held = measure::held_out();
    assert_eq!(held.len(), 500);
    let vowels = held.iter().filter(|held| held.noun.article() == "an").count();
    assert!((150..=350).contains(&vowels), "one answer for all would do: {vowels} of 500 are \"an\"");
    let wrong = measure::wrong_articles(&Judge::new(&demo())).unwrap();
    assert!(wrong.len() <= 25, "{} of 500 wrong, for example {:?}", wrong.len(), wrong[0]);
}

#[test]
fn training_text_keeps_the_held_out_pairs_out() {
    let held = measure::held_out();
    let mut rng = text::rng::Rng::new(77);
    let documents: Vec<String> = (0..20_000).map(|_| text::document(&mut rng)).collect();
    let whole = documents.join("\n");
    for held in &held {
        let last = held.prompt.rfind(". ").map_or(held.prompt.as_str(), |at| &held.prompt[at + 2..]);
        // "where" and "zoo" run over two sentences, so their ends say nothing
        if last.len() < held.prompt.len() {
            continue;
        }
        let sentence = format!("{} {}.", held.prompt, held.noun.an());
        assert!(!whole.contains(&sentence), "{sentence}");
    }
    for noun in held.iter().map(|held| held.noun) {
        assert!(whole.contains(&format!(" {}.", noun.an())), "{} never stands behind its article", noun.0);
    }
}

/// The least share of right answers; chance is a half for all that choose between two.
const LEAST: [(&str, f64); 4] = [("number", 0.9), ("connective", 0.75), ("contrast", 0.8), ("capital city", 0.9)];

#[test]
fn knows_the_other_kinds_of_sentence() {
    let model = demo();
    let shares = measure::shares(&Judge::new(&model)).unwrap();
    for (kind, least) in LEAST {
        let share = shares.iter().find(|(name, _)| *name == kind).unwrap().1;
        assert!(share >= least, "{kind}: {share}");
    }
}

#[test]
fn one_neuron_carries_the_article() {
    let model = demo();
    let ranking = neurons::ranking(&model, CLEAN, CORRUPTED, " an", " a").unwrap();
    let (best, next) = (&ranking.neurons[0], &ranking.neurons[1]);
    assert_eq!(ranking.neurons.len(), model.config.n_layer * model.config.d_mlp);
    assert!(best.recovers >= 0.3, "layer {} neuron {}: {}", best.layer, best.index, best.recovers);
    assert!(best.recovers >= 3.0 * next.recovers, "{} and then {}", best.recovers, next.recovers);
}

#[test]
fn its_tokenizer_gives_every_text_back() {
    let model = demo();
    let tokenizer = Tokenizer::from_json(&read("tokenizer.json")).unwrap();
    assert_eq!(tokenizer.end_of_text(), Some(model.config.vocab_size as u32 - 1));
    let every_byte: String = (0..=0x2ff).filter_map(char::from_u32).collect();
    let texts =
        [CLEAN, &every_byte, "", " ", "\n\n  \t", "naïve 🍐 梨 كمثرى e\u{301}", "1732, 99% x_1", "DON'T don't I'll"];
    for text in texts {
        let ids = tokenizer.encode(text).unwrap();
        assert_eq!(tokenizer.decode(&ids).unwrap(), text);
    }
    for token in [" an", " a", " apple", " pear", " lemon", " Mary", " Paris", " though"] {
        assert_eq!(tokenizer.encode(token).unwrap().len(), 1, "{token:?}");
    }
    let year = model.vocabulary.prompt_ids(&Prompt::Text(" 1732".into()), false).unwrap();
    assert_eq!(year.iter().map(|&id| model.vocabulary.text(id)).collect::<Vec<_>>(), [" 17", "32"]);
}
