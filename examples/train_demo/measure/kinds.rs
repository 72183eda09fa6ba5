//! Questions about every kind of sentence but the article's, drawn from the grammar's words in new combinations.

use crate::text::article::{people, person};
use crate::text::lexicon::{ANIMALS, COUNTRIES, FRUITS, Noun, PLACES, STATES, THINGS};
use crate::text::rng::Rng;

/// A prompt with what should follow; it must be likelier than `wrong`, or where there is none, likeliest of all.
pub struct Question {
    pub prompt: String,
    pub right: String,
    pub wrong: Option<String>,
}

impl Question {
    fn choice(prompt: String, right: &str, wrong: &str) -> Self {
        Question { prompt, right: format!(" {right}"), wrong: Some(format!(" {wrong}")) }
    }
}

/// "The keys near the lamp" -> " are".
pub fn number(rng: &mut Rng) -> Question {
    let (a, b) = rng.pick2(&THINGS);
    let many = rng.chance(0.5);
    let (subject, other) = if many { (Noun(a).plural(), b.into()) } else { (a.into(), Noun(b).plural()) };
    let (one, more) = rng.pick(&[("is", "are"), ("was", "were")]);
    let (right, wrong) = if many { (more, one) } else { (one, more) };
    let place = rng.pick(&["near", "behind", "beside", "under"]);
    Question::choice(format!("The {subject} {place} the {other}"), right, wrong)
}

/// "Mary was tired. She kept working," -> " though", and " of course" where it was to be expected.
pub fn connective(rng: &mut Rng) -> Question {
    let n = person(rng);
    let (state, then, instead) = rng.pick(&STATES);
    let expected = rng.chance(0.5);
    let (did, right, wrong) = if expected { (then, "of", "though") } else { (instead, "though", "of") };
    Question::choice(format!("{} was {state}. {} {did},", n.name, n.cap()), right, wrong)
}

/// "Mary was tired. However, she" -> " kept working".
pub fn contrast(rng: &mut Rng) -> Question {
    let n = person(rng);
    let (state, then, instead) = rng.pick(&STATES);
    let expected = rng.chance(0.5);
    let (word, right, wrong) = if expected { ("Therefore", then, instead) } else { ("However", instead, then) };
    Question::choice(format!("{} was {state}. {word}, {}", n.name, n.they()), right, wrong)
}

/// "When Mary and John went to the store, John gave the key to" -> " Mary".
pub fn indirect_object(rng: &mut Rng) -> Question {
    let (a, b) = people(rng);
    let (giver, taker) = if rng.chance(0.5) { (a, b) } else { (b, a) };
    let thing = rng.pick(&THINGS);
    let prompt =
        format!("When {} and {} went to the {}, {} gave the {thing} to", a.name, b.name, rng.pick(&PLACES), giver.name);
    Question::choice(prompt, taker.name, giver.name)
}

/// "key, owl, lime, ring, key, owl, lime," -> " ring".
pub fn copying(rng: &mut Rng) -> Question {
    let mut words: Vec<&str> = Vec::new();
    while words.len() < 4 {
        let word = match rng.below(3) {
            0 => rng.pick(&FRUITS).0,
            1 => rng.pick(&ANIMALS).0,
            _ => rng.pick(&THINGS),
        };
        if !words.contains(&word) {
            words.push(word);
        }
    }
    let prompt = format!("{}, {},", words.join(", "), words[..3].join(", "));
    Question { prompt, right: format!(" {}", words[3]), wrong: None }
}

/// "The capital of France is" -> " Paris", for every country in turn.
pub fn capitals() -> Vec<Question> {
    let question = |(country, city, _): (&str, &str, &str)| Question {
        prompt: format!("The capital of {country} is"),
        right: format!(" {city}"),
        wrong: None,
    };
    COUNTRIES.into_iter().map(question).collect()
}

/// "The war lasted from the year 1732 to the year 17": every two digits after 32 together are to outweigh the rest.
pub struct Span {
    pub prompt: String,
    pub from: usize,
}

pub fn span(rng: &mut Rng) -> Span {
    let (century, from) = (11 + rng.below(9), 5 + rng.below(85));
    let event = rng.pick(&["war", "siege", "journey", "trial"]);
    Span { prompt: format!("The {event} lasted from the year {century}{from:02} to the year {century}"), from }
}
