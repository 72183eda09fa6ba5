//! Sentences whose article follows from a noun given earlier: the story that the demo model is there to tell.
//!
//! Every sentence here ends in "a NOUN." or "an NOUN.", and the noun was named before. Some nouns never stand in some of
//! these templates in training ([`held_out`]), so that agreement can be told from memory.

use super::lexicon::{ANIMALS, FRUITS, HE, Noun, PLACES, Person, SHE, THINGS};
use super::rng::Rng;

/// Writes a sentence up to its article, for a noun.
type Text = fn(&mut Rng, Noun) -> String;

/// A kind of sentence whose last noun phrase is settled by what stands before it.
pub struct Template {
    pub name: &'static str,
    /// Which nouns make sense in it.
    pub kinds: &'static [Kind],
    text: Text,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Fruit,
    Animal,
    Thing,
}

const ANY: &[Kind] = &[Kind::Fruit, Kind::Animal, Kind::Thing];
const GOODS: &[Kind] = &[Kind::Fruit, Kind::Thing];

pub const TEMPLATES: [Template; 9] = [
    Template { name: "tree", kinds: &[Kind::Fruit], text: tree },
    Template { name: "stall", kinds: GOODS, text: stall },
    Template { name: "gift", kinds: GOODS, text: gift },
    Template { name: "lost", kinds: GOODS, text: lost },
    Template { name: "drew", kinds: ANY, text: drew },
    Template { name: "read", kinds: ANY, text: read },
    Template { name: "where", kinds: ANY, text: fetched },
    Template { name: "dream", kinds: ANY, text: dream },
    Template { name: "zoo", kinds: &[Kind::Animal], text: zoo },
];

const CLIMBED: [&str; 5] = ["climbed up", "walked to", "ran to", "looked up at", "went to"];
const PICKED: [&str; 5] = ["picked", "found", "took", "saw", "ate"];

pub fn person(rng: &mut Rng) -> Person {
    let she = rng.chance(0.5);
    Person { name: rng.pick(if she { &SHE } else { &HE }), she }
}

/// Two people with different names.
pub fn people(rng: &mut Rng) -> (Person, Person) {
    let a = person(rng);
    loop {
        let b = person(rng);
        if b.name != a.name {
            return (a, b);
        }
    }
}

/// Somebody, as a sentence starts: "I", "They", "Mary".
pub fn who(rng: &mut Rng) -> &'static str {
    if rng.chance(0.4) { person(rng).name } else { rng.pick(&["I", "I", "We", "They", "She", "He"]) }
}

fn tree(rng: &mut Rng, noun: Noun) -> String {
    format!("{} {} the {} tree and {}", who(rng), rng.pick(&CLIMBED), noun.0, rng.pick(&PICKED))
}

fn stall(rng: &mut Rng, noun: Noun) -> String {
    let place = rng.pick(&["at the market", "in the shop", "on the table", "in the basket"]);
    let lead = ["There were many", "There were five", "We saw some"];
    format!(
        "{} {} {place}, and {} {}",
        rng.pick(&lead),
        noun.plural(),
        some_one(rng),
        rng.pick(&["bought", "took", "chose"])
    )
}

/// Somebody in the middle of a sentence.
fn some_one(rng: &mut Rng) -> &'static str {
    if rng.chance(0.4) { person(rng).name } else { rng.pick(&["I", "we", "they", "she", "he"]) }
}

fn gift(rng: &mut Rng, noun: Noun) -> String {
    let (a, b) = people(rng);
    let verb = rng.pick(&["likes", "loves", "collects"]);
    format!(
        "{} {verb} {}, so {} {} {}",
        a.name,
        noun.plural(),
        b.name,
        rng.pick(&["gave", "bought", "brought"]),
        a.them()
    )
}

fn lost(rng: &mut Rng, noun: Noun) -> String {
    let n = person(rng);
    let verb = rng.pick(&["lost", "dropped", "sold"]);
    let place = rng.pick(&["shop", "market", "store"]);
    format!("{} {verb} the {}, so {} went to the {place} and bought", n.name, noun.0, n.they())
}

fn drew(rng: &mut Rng, noun: Noun) -> String {
    let looked = rng.pick(&["looked at the", "thought about the", "remembered the"]);
    format!("{} {looked} {} for a long time and then {}", who(rng), noun.0, rng.pick(&["drew", "painted"]))
}

fn read(rng: &mut Rng, noun: Noun) -> String {
    let n = person(rng);
    let how = rng.pick(&["had heard about", "had read about", "knew a lot about"]);
    format!("{} {how} {}, but {} had never {}", n.name, noun.plural(), n.they(), rng.pick(&["seen", "found"]))
}

fn fetched(rng: &mut Rng, noun: Noun) -> String {
    let (a, b) = people(rng);
    let place = rng.pick(&PLACES);
    let back = rng.pick(&["came back with", "returned with"]);
    format!("\"Where are the {}?\" asked {}. {} went to the {place} and {back}", noun.plural(), a.name, b.name)
}

fn dream(rng: &mut Rng, noun: Noun) -> String {
    let n = person(rng);
    let day = rng.pick(&["all day", "every day", "all evening"]);
    format!("{} talked about {} {day}, and at night {} dreamed of", n.name, noun.plural(), n.they())
}

fn zoo(rng: &mut Rng, noun: Noun) -> String {
    let at = rng.pick(&["At the zoo", "In the forest", "Near the river"]);
    format!(
        "{at} {} looked for the {}. At last {} saw",
        some_one(rng),
        noun.plural(),
        rng.pick(&["we", "they", "someone"])
    )
}

/// The nouns of a kind.
pub fn nouns(kind: Kind) -> Vec<Noun> {
    match kind {
        Kind::Fruit => FRUITS.iter().map(|f| Noun(f.0)).collect(),
        Kind::Animal => ANIMALS.iter().map(|a| Noun(a.0)).collect(),
        Kind::Thing => THINGS.iter().map(|&t| Noun(t)).collect(),
    }
}

/// The nouns that make sense in a template.
pub fn nouns_of(template: &Template) -> Vec<Noun> {
    template.kinds.iter().flat_map(|&kind| nouns(kind)).collect()
}

/// Whether `noun` is kept out of a template's sentences in training: about a fifth of all pairs, by the noun's letters.
/// The post's own nouns are trained on.
pub fn held_out(template: &Template, noun: Noun) -> bool {
    if template.name == "tree" && ["pear", "apple", "lemon"].contains(&noun.0) {
        return false;
    }
    let letters = template.name.bytes().chain(noun.0.bytes());
    let hash =
        letters.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    (hash >> 32) % 5 == 0
}

/// One sentence for training, or a few that say the same of different nouns, as the post's prompt does.
pub fn sentence(rng: &mut Rng) -> String {
    // the post's template is the one that has to be told best
    let template = if rng.chance(0.3) { &TEMPLATES[0] } else { &TEMPLATES[rng.below(TEMPLATES.len())] };
    let times = if template.name == "tree" { rng.pick(&[1, 1, 2, 2, 3]) } else { rng.pick(&[1, 1, 1, 2]) };
    let nouns: Vec<Noun> = nouns_of(template).into_iter().filter(|&noun| !held_out(template, noun)).collect();
    let fill = Rng::new(rng.draw());
    let mut used = Vec::new();
    while used.len() < times {
        let noun = rng.pick(&nouns);
        if !used.contains(&noun) {
            used.push(noun);
        }
    }
    let said = used.iter().map(|&noun| format!("{} {}.", (template.text)(&mut fill.clone(), noun), noun.an()));
    said.collect::<Vec<_>>().join(" ")
}

/// A prompt that ends before the article of a noun that training kept out of its template.
pub struct HeldOut {
    pub prompt: String,
    pub noun: Noun,
}

/// `n` different prompts with held-out nouns; every second one follows a trained noun's sentence of the same template.
pub fn held_out_prompts(n: usize, seed: u64) -> Vec<HeldOut> {
    let mut rng = Rng::new(seed);
    let mut prompts: Vec<HeldOut> = Vec::with_capacity(n);
    while prompts.len() < n {
        let template = &TEMPLATES[rng.below(TEMPLATES.len())];
        let (held, trained): (Vec<Noun>, Vec<Noun>) =
            nouns_of(template).into_iter().partition(|&noun| held_out(template, noun));
        if held.is_empty() || trained.is_empty() {
            continue;
        }
        let noun = rng.pick(&held);
        let before = rng.pick(&trained);
        let fill = Rng::new(rng.draw());
        let mut prompt = (template.text)(&mut fill.clone(), noun);
        if prompts.len() % 2 == 1 {
            prompt = format!("{} {}. {prompt}", (template.text)(&mut fill.clone(), before), before.an());
        }
        if prompts.iter().all(|other| other.prompt != prompt) {
            prompts.push(HeldOut { prompt, noun });
        }
    }
    prompts
}
