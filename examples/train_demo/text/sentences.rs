//! Every other kind of sentence: connectives, number, indirect objects, years, facts, order, counting, copying.

use super::article::{people, person, who};
use super::lexicon::*;
use super::rng::Rng;

/// What follows from a state or the weather, and what one would not expect of it.
pub fn connective(rng: &mut Rng) -> String {
    let n = person(rng);
    let (name, she, cap) = (n.name, n.they(), n.cap());
    if rng.chance(0.3) {
        let (weather, then, instead) = rng.pick(&WEATHERS);
        return match rng.below(5) {
            0 => format!("It was {weather}. However, {name} {instead}."),
            1 => format!("It was {weather}, so {name} {then}."),
            2 => format!("It was {weather}. {name} {instead}, though."),
            3 => format!("Although it was {weather}, {name} {instead}."),
            _ => format!("{name} {then} because it was {weather}."),
        };
    }
    let (state, then, instead) = rng.pick(&STATES);
    match rng.below(9) {
        0 | 1 => format!("{name} was {state}. However, {she} {instead}."),
        2 => format!("{name} was {state}. Therefore, {she} {then}."),
        3 => format!("{name} was {state}, so {she} {then}."),
        4 => format!("{name} was {state}, but {she} {instead}."),
        5 => format!("{name} was {state}. {cap} {instead}, though."),
        6 => format!("{name} was {state}. {cap} {then}, of course."),
        7 => format!("Although {name} was {state}, {she} {instead}."),
        _ => format!("{name} {then} because {she} was {state}."),
    }
}

/// A verb that agrees with its subject across another noun.
pub fn number(rng: &mut Rng) -> String {
    let (a, b) = rng.pick2(&THINGS);
    let many = rng.chance(0.5);
    let subject = if many { Noun(a).plural() } else { a.to_owned() };
    let other = if rng.chance(0.5) { Noun(b).plural() } else { b.to_owned() };
    let place = rng.pick(&["near", "behind", "beside", "under", "next to"]);
    let (one, more) = rng.pick(&[("is", "are"), ("was", "were"), ("looks", "look"), ("seems", "seem")]);
    let verb = if many { more } else { one };
    let adjective = rng.pick(&ADJECTIVES);
    match rng.below(4) {
        0 => format!("The {subject} {verb} {adjective}."),
        1 => format!("The {subject} that {} bought {verb} {adjective}.", person(rng).name),
        _ => format!("The {subject} {place} the {other} {verb} {adjective}."),
    }
}

/// Who gave what to whom.
pub fn indirect_object(rng: &mut Rng) -> String {
    let (a, b) = people(rng);
    let (a, b) = (a.name, b.name);
    let (giver, taker) = if rng.chance(0.5) { (a, b) } else { (b, a) };
    let place = rng.pick(&PLACES);
    let gave = rng.pick(&["gave", "handed", "passed", "showed", "offered"]);
    let thing = if rng.chance(0.5) { Noun(rng.pick(&THINGS)).an() } else { format!("the {}", rng.pick(&THINGS)) };
    match rng.below(5) {
        0 | 1 => format!("When {a} and {b} went to the {place}, {giver} {gave} {thing} to {taker}."),
        2 => format!("Then, {a} and {b} went to the {place}. {giver} {gave} {thing} to {taker}."),
        3 => format!("After {a} and {b} came to the {place}, {giver} {gave} {thing} to {taker}."),
        _ => format!("{a} and {b} walked to the {place}. {giver} {gave} {thing} to {taker}."),
    }
}

/// Spans of years, whose end is later than their start.
pub fn years(rng: &mut Rng) -> String {
    let century = 11 + rng.below(9);
    let from = 2 + rng.below(96);
    let to = from + 1 + rng.below(99 - from);
    let event =
        rng.pick(&["war", "siege", "journey", "trial", "reign", "drought", "project", "voyage", "peace", "festival"]);
    let (a, b) = (format!("{century}{from:02}"), format!("{century}{to:02}"));
    let place = rng.pick(&["bridge", "castle", "tower", "palace", "library", "museum"]);
    match rng.below(5) {
        0..=2 => format!("The {event} lasted from the year {a} to the year {b}."),
        3 => format!("The {place} was built in {a} and repaired in {b}."),
        _ => format!("{} was born in {a} and died in {b}.", person(rng).name),
    }
}

/// Countries, their capitals and languages.
pub fn capital_city(rng: &mut Rng) -> String {
    let (country, city, language) = rng.pick(&COUNTRIES);
    let name = person(rng).name;
    match rng.below(7) {
        0 | 1 | 5 => format!("The capital of {country} is {city}."),
        2 => format!("{city} is the capital of {country}."),
        3 => format!("{name} is from {country} and speaks {language}."),
        4 => format!("{name} lives in {city}, the capital of {country}."),
        _ => format!("In {country} people speak {language}, and the capital is {city}."),
    }
}

/// Days, months and numbers in their order.
pub fn order(rng: &mut Rng) -> String {
    let (d, m, n) = (rng.below(7), rng.below(12), rng.below(9));
    let (day, next) = (DAYS[d], DAYS[(d + 1) % 7]);
    let (month, later) = (MONTHS[m], MONTHS[(m + 1) % 12]);
    match rng.below(9) {
        0 => format!("Today is {day}, so tomorrow is {next}."),
        1 => format!("The day after {day} is {next}."),
        2 => format!("Yesterday was {day}, so today is {next}."),
        3 => format!("After {month} comes {later}."),
        4 => format!("{month} comes before {later}."),
        5 => format!("{}.", capital(&NUMBERS[n..n + 4].join(", "))),
        6 => format!("After {} comes {}.", NUMBERS[n], NUMBERS[n + 1]),
        7 => format!("{}, {}, {}, {}.", n + 1, n + 2, n + 3, n + 4),
        _ => format!(
            "On {day}, {} {} {}, {} went to the {}.",
            1 + rng.below(28),
            month,
            1900 + rng.below(99),
            who_small(rng),
            rng.pick(&PLACES)
        ),
    }
}

fn who_small(rng: &mut Rng) -> &'static str {
    if rng.chance(0.6) { person(rng).name } else { rng.pick(&["I", "we", "they", "she", "he"]) }
}

/// Things taken away and counted again.
pub fn counting(rng: &mut Rng) -> String {
    let n = person(rng);
    let noun = Noun(if rng.chance(0.5) { rng.pick(&FRUITS).0 } else { rng.pick(&THINGS) });
    let had = 2 + rng.below(8);
    let left = if had == 2 { format!("one {}", noun.0) } else { format!("{} {}", NUMBERS[had - 1], noun.plural()) };
    match rng.below(3) {
        0 => format!("{} had {} {} and lost one. Now {} has {left}.", n.name, NUMBERS[had], noun.plural(), n.they()),
        1 => format!("{} {} and one more make {}.", capital(NUMBERS[had]), noun.plural(), NUMBERS[had + 1]),
        _ => format!("There were {} {} in the {}.", NUMBERS[had], noun.plural(), rng.pick(&PLACES)),
    }
}

/// Words said again, in the same order.
pub fn copying(rng: &mut Rng) -> String {
    let word = |rng: &mut Rng| match rng.below(4) {
        0 => rng.pick(&FRUITS).0,
        1 => rng.pick(&ANIMALS).0,
        2 => rng.pick(&COLOURS),
        _ => rng.pick(&THINGS),
    };
    let words: Vec<&str> = (0..3 + rng.below(4)).map(|_| word(rng)).collect();
    let list = words.join(", ");
    let (a, b) = people(rng);
    match rng.below(4) {
        0 => format!("The list was: {list}. {} read the list aloud: {list}.", a.name),
        1 => format!("{} said: {list}. {} repeated: {list}.", a.name, b.name),
        2 => format!("The secret word is {}. Say the secret word: {}.", words[0], words[0]),
        _ => format!("{list}, {list}."),
    }
}

/// Where someone put something.
pub fn place(rng: &mut Rng) -> String {
    let (a, b) = people(rng);
    let (x, y) = rng.pick2(&ROOMS);
    let thing = rng.pick(&SMALL);
    let inside = rng.pick(&BOXES);
    match rng.below(4) {
        0 => format!("{} put the {thing} in the {inside}. The {thing} is still in the {inside}.", a.name),
        1 => format!(
            "{0} is in the {x} and {1} is in the {y}. Where is {0}? {2} is in the {x}.",
            a.name,
            b.name,
            a.cap()
        ),
        2 => {
            format!("\"Where is the {thing}?\" asked {}. \"The {thing} is in the {inside},\" said {}.", a.name, b.name)
        }
        _ => format!("{} left the {thing} in the {x}. Later {} found the {thing} in the {x}.", a.name, a.they()),
    }
}

pub fn colour(rng: &mut Rng) -> String {
    let (fruit, colour) = rng.pick(&FRUITS);
    match rng.below(4) {
        0 => format!("The {fruit} was ripe. The colour of the {fruit} was {colour}."),
        1 => format!("The {fruit} is {colour}."),
        2 => format!("{} liked the {fruit} because it was {colour}.", who(rng)),
        _ => format!("Is the {fruit} {colour}? Yes, it is {colour}."),
    }
}

pub fn job(rng: &mut Rng) -> String {
    let (job, tool, verb, place) = rng.pick(&JOBS);
    let n = person(rng);
    match rng.below(8) {
        0 => format!("The {job} opened the box and took out {}.", an(tool)),
        1 => format!("The {job} needed {}.", an(tool)),
        2 => format!("{} works in the {place}.", capital(&an(job))),
        3 => format!("At the {place}, the {job} began to {verb}."),
        4 => format!("{} wants to be {}. {} loves to {verb}.", n.name, an(job), n.cap()),
        5 => format!("{} loves to {verb}, so {} wants to be {}.", n.name, n.they(), an(job)),
        6 => format!("\"I want to {verb},\" said the {job}."),
        _ => format!("{} is {}. {} works in the {place}.", n.name, an(job), n.cap()),
    }
}

pub fn animal(rng: &mut Rng) -> String {
    let (animal, did, home) = rng.pick(&ANIMALS);
    let adjective = rng.pick(&["old", "big", "small", "happy", "angry", "young", "tired", "hungry"]);
    match rng.below(6) {
        0 => format!("{} saw {}. The {animal} {did}.", who(rng), an(animal)),
        1 => format!("{} is an animal. It lives in the {home}.", capital(&an(animal))),
        2 => format!("Look, {}! It is {}.", an(animal), an(&format!("{adjective} {animal}"))),
        3 => format!("The {adjective} {animal} {did} in the {home}."),
        4 => format!("Where does the {animal} live? It lives in the {home}."),
        _ => format!("The {animal} {did}, and {} laughed.", person(rng).name),
    }
}

pub fn opposite(rng: &mut Rng) -> String {
    let (mut a, mut b) = rng.pick(&OPPOSITES);
    if rng.chance(0.5) {
        (a, b) = (b, a);
    }
    match rng.below(3) {
        0 => format!("The opposite of {a} is {b}."),
        1 => format!("The {} is not {a}. It is {b}.", rng.pick(&PLACES)),
        _ => format!("If it is not {a}, it is {b}."),
    }
}

/// People, their things and their pronouns.
pub fn belongings(rng: &mut Rng) -> String {
    let (n, m) = people(rng);
    let (thing, adjective, place) = (rng.pick(&THINGS), rng.pick(&ADJECTIVES), rng.pick(&PLACES));
    let thing_ = an(&format!("{adjective} {thing}"));
    match rng.below(8) {
        0 => format!("{} lost {} {thing} because {} was in a hurry.", n.name, n.their(), n.they()),
        1 => format!("{} found {} in the {place}, but {} did not keep it.", n.name, an(thing), n.they()),
        2 => format!("When {} came home, {} opened {} {}.", n.name, n.they(), n.their(), rng.pick(&OPENED)),
        3 => format!("{} has {thing_}. {} bought it at the {place}.", n.name, n.cap()),
        4 => format!("{} looked at {} in the mirror.", n.name, n.themself()),
        5 => format!("{} helped {} because {} asked {}.", n.name, m.name, m.they(), n.them()),
        6 => format!("It was {thing_}."),
        _ => format!("There is {} near the {}.", an(&format!("{adjective} {place}")), rng.pick(&PLACES)),
    }
}

/// A few sentences about one person on one day.
pub fn story(rng: &mut Rng) -> String {
    let (n, m) = people(rng);
    let (job, tool, verb, place) = rng.pick(&JOBS);
    let (thing, adjective) = (rng.pick(&SMALL), rng.pick(&ADJECTIVES));
    let (room, inside, day) = (rng.pick(&ROOMS), rng.pick(&BOXES), rng.pick(&DAYS));
    let (she, cap, her) = (n.they(), n.cap(), n.their());
    let (state, then, instead) = rng.pick(&STATES);
    let mut said = vec![match rng.below(3) {
        0 => format!("{} is {}. {cap} works in the {place}.", n.name, an(job)),
        1 => format!("On {day} {} went to the {place} to {verb}.", n.name),
        _ => format!("{} wanted to {verb}, so {she} looked for {}.", n.name, an(tool)),
    }];
    said.push(format!("One day {she} found {} near the {}.", an(&format!("{adjective} {thing}")), rng.pick(&PLACES)));
    said.push(match rng.below(3) {
        0 => format!("{cap} put the {thing} in {her} {inside} and went home."),
        1 => format!("{cap} took the {thing} home and showed it to {}.", m.name),
        _ => format!("{cap} gave the {thing} to {}.", m.name),
    });
    said.push(format!("\"It is {adjective},\" said {}.", m.name));
    match rng.below(3) {
        0 => said.push(format!("{} was {state}, so {} {then}.", m.name, m.they())),
        1 => said.push(format!("{} was {state}. However, {she} {instead}.", n.name)),
        _ => said.push(format!("The {thing} is still in the {room}.")),
    }
    said.join(" ")
}
