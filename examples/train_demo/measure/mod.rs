//! What the demo model is asked to show, measured on its files as shipped. The trainer prints it, the test demands it.

pub mod judge;
pub mod kinds;
pub mod story;

use std::error::Error;

use peartree::model::Model;

use crate::text::article::{HeldOut, held_out_prompts};
use crate::text::rng::Rng;
use judge::Judge;
use kinds::Question;

pub const CLEAN: &str = "I climbed up the pear tree and picked a pear. I climbed up the apple tree and picked";
pub const CORRUPTED: &str = "I climbed up the pear tree and picked a pear. I climbed up the lemon tree and picked";

/// Seed of everything that is drawn here; training draws from other streams.
const SEED: u64 = 500;

/// The 500 prompts whose noun training kept out of their template.
pub fn held_out() -> Vec<HeldOut> {
    held_out_prompts(500, SEED)
}

/// The held-out prompts whose likeliest next token is not the noun's article, with that token.
pub fn wrong_articles(judge: &Judge) -> Result<Vec<(String, String)>, Box<dyn Error>> {
    let held = held_out();
    let prompts: Vec<&str> = held.iter().map(|held| held.prompt.as_str()).collect();
    let firsts = judge.first(&prompts)?.into_iter().zip(held);
    let wrong = firsts.filter(|(first, held)| *first != format!(" {}", held.noun.article()));
    Ok(wrong.map(|(first, held)| (held.prompt, first)).collect())
}

/// Draws one question of a kind.
type Ask = fn(&mut Rng) -> Question;

/// Each other kind's name and its share of right answers.
pub fn shares(judge: &Judge) -> Result<Vec<(&'static str, f64)>, Box<dyn Error>> {
    let ask: [(&str, Ask); 5] = [
        ("number", kinds::number),
        ("connective", kinds::connective),
        ("contrast", kinds::contrast),
        ("indirect object", kinds::indirect_object),
        ("copying", kinds::copying),
    ];
    let mut rng = Rng::new(SEED);
    let mut shares = Vec::new();
    for (name, kind) in ask {
        let questions: Vec<Question> = (0..100).map(|_| kind(&mut rng)).collect();
        shares.push((name, share_right(judge, &questions)?));
    }
    shares.push(("capital city", share_right(judge, &kinds::capitals())?));
    shares.push(("greater than", share_later(judge, &mut rng)?));
    Ok(shares)
}

fn share_right(judge: &Judge, questions: &[Question]) -> Result<f64, Box<dyn Error>> {
    let mut right = 0;
    for question in questions {
        right += usize::from(match &question.wrong {
            None => judge.first(&[&question.prompt])?[0] == question.right,
            Some(wrong) => {
                let both = judge.logprobs(&[(&question.prompt, &question.right), (&question.prompt, wrong)])?;
                both[0] > both[1]
            }
        });
    }
    Ok(right as f64 / questions.len() as f64)
}

/// The mean over spans of years of the probability that the second year is the later one.
fn share_later(judge: &Judge, rng: &mut Rng) -> Result<f64, Box<dyn Error>> {
    let mut sum = 0.0;
    for _ in 0..50 {
        let span = kinds::span(rng);
        for to in span.from + 1..100 {
            // the year is one word of two tokens; the first of them stands in the prompt
            sum += f64::from(judge.probability(&span.prompt, &format!("{to:02}"))?);
        }
    }
    Ok(sum / 50.0)
}

/// Prints all of it.
pub fn report(model: &Model, story: &story::Teller) -> Result<(), Box<dyn Error>> {
    let judge = Judge::new(model);
    for (prompt, token) in [(CLEAN, " an"), (CORRUPTED, " a")] {
        println!("{token:?} {:.1} %  after {prompt:?}", 100.0 * judge.probability(prompt, token)?);
    }
    let wrong = wrong_articles(&judge)?;
    println!("held-out articles: {} of {} right", held_out().len() - wrong.len(), held_out().len());
    wrong.iter().take(8).for_each(|(prompt, first)| println!("  not {first:?} after {prompt:?}"));
    for (name, share) in shares(&judge)? {
        println!("{name}: {:.1} %", 100.0 * share);
    }
    story.report()?;
    for seed in 0..12 {
        println!("  sample: {}", judge.sample("", seed)?);
    }
    Ok(())
}
