//! The words that the grammar knows.

/// A countable noun.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Noun(pub &'static str);

impl Noun {
    /// The noun behind its indefinite article.
    pub fn an(self) -> String {
        an(self.0)
    }

    pub fn article(self) -> &'static str {
        article(self.0)
    }

    pub fn plural(self) -> String {
        let word = self.0;
        if let Some(stem) = word.strip_suffix('y').filter(|stem| !stem.ends_with(['a', 'e', 'o', 'u'])) {
            return format!("{stem}ies");
        }
        if word.ends_with("ch") || word.ends_with("sh") || word.ends_with('x') || word.ends_with('s') {
            return format!("{word}es");
        }
        match word {
            "wolf" => "wolves".into(),
            "knife" => "knives".into(),
            _ => format!("{word}s"),
        }
    }
}

/// Every word here is spelled as it sounds: a vowel letter at the start takes "an".
pub fn article(word: &str) -> &'static str {
    if word.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" }
}

pub fn an(word: &str) -> String {
    format!("{} {word}", article(word))
}

pub fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

/// A name with its pronouns.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Person {
    pub name: &'static str,
    pub she: bool,
}

impl Person {
    pub fn they(self) -> &'static str {
        if self.she { "she" } else { "he" }
    }

    pub fn cap(self) -> &'static str {
        if self.she { "She" } else { "He" }
    }

    pub fn them(self) -> &'static str {
        if self.she { "her" } else { "him" }
    }

    pub fn their(self) -> &'static str {
        if self.she { "her" } else { "his" }
    }

    pub fn themself(self) -> &'static str {
        if self.she { "herself" } else { "himself" }
    }
}

pub const SHE: [&str; 16] = [
    "Mary", "Anna", "Emma", "Alice", "Sarah", "Laura", "Julia", "Helen", "Clara", "Nora", "Ruth", "Grace", "Ellen",
    "Rosa", "Jane", "Lucy",
];
pub const HE: [&str; 16] = [
    "John", "Peter", "Tom", "David", "Henry", "Robert", "Oscar", "Simon", "Paul", "Mark", "Frank", "Arthur", "Victor",
    "Hugo", "James", "Adam",
];

/// What grows on a tree, with its colour.
pub const FRUITS: [(&str, &str); 19] = [
    ("apple", "red"),
    ("pear", "green"),
    ("lemon", "yellow"),
    ("orange", "orange"),
    ("cherry", "red"),
    ("plum", "purple"),
    ("banana", "yellow"),
    ("fig", "purple"),
    ("peach", "pink"),
    ("olive", "green"),
    ("apricot", "orange"),
    ("lime", "green"),
    ("almond", "brown"),
    ("walnut", "brown"),
    ("avocado", "green"),
    ("mango", "yellow"),
    ("coconut", "brown"),
    ("chestnut", "brown"),
    ("elderberry", "black"),
];

/// An animal, what it did, and where it lives.
pub const ANIMALS: [(&str, &str, &str); 28] = [
    ("tiger", "roared", "jungle"),
    ("elephant", "trumpeted", "jungle"),
    ("camel", "drank", "desert"),
    ("owl", "hooted", "forest"),
    ("otter", "swam", "river"),
    ("monkey", "climbed", "jungle"),
    ("ostrich", "ran", "desert"),
    ("lion", "roared", "desert"),
    ("eagle", "flew", "mountains"),
    ("antelope", "jumped", "desert"),
    ("zebra", "ran", "plain"),
    ("ape", "climbed", "jungle"),
    ("ant", "crawled", "forest"),
    ("bear", "growled", "mountains"),
    ("alligator", "swam", "river"),
    ("wolf", "howled", "forest"),
    ("donkey", "brayed", "farm"),
    ("octopus", "swam", "sea"),
    ("emu", "ran", "plain"),
    ("parrot", "sang", "jungle"),
    ("iguana", "slept", "desert"),
    ("snake", "hissed", "desert"),
    ("armadillo", "dug", "plain"),
    ("goat", "jumped", "mountains"),
    ("dog", "barked", "farm"),
    ("cat", "slept", "house"),
    ("eel", "swam", "sea"),
    ("oyster", "slept", "sea"),
];

pub const THINGS: [&str; 40] = [
    "key",
    "letter",
    "coin",
    "ring",
    "map",
    "lamp",
    "ticket",
    "bottle",
    "candle",
    "mirror",
    "basket",
    "blanket",
    "egg",
    "envelope",
    "ornament",
    "album",
    "icon",
    "urn",
    "umbrella",
    "onion",
    "book",
    "clock",
    "cup",
    "drum",
    "flag",
    "hat",
    "knife",
    "picture",
    "rope",
    "spoon",
    "table",
    "anchor",
    "axe",
    "arrow",
    "oar",
    "engine",
    "apron",
    "instrument",
    "alarm",
    "acorn",
];

/// Things that go into a box.
pub const SMALL: [&str; 16] = [
    "key", "letter", "coin", "ring", "map", "ticket", "candle", "egg", "envelope", "icon", "book", "cup", "knife",
    "spoon", "acorn", "onion",
];
pub const OPENED: [&str; 6] = ["letter", "envelope", "umbrella", "album", "book", "basket"];

/// A job, its tool, what one does, and where.
pub const JOBS: [(&str, &str, &str, &str); 24] = [
    ("archer", "arrow", "shoot", "field"),
    ("carpenter", "hammer", "build", "workshop"),
    ("woodcutter", "axe", "chop", "forest"),
    ("painter", "brush", "paint", "studio"),
    ("sailor", "anchor", "sail", "harbour"),
    ("gardener", "shovel", "dig", "garden"),
    ("blacksmith", "anvil", "forge", "smithy"),
    ("doctor", "needle", "heal", "hospital"),
    ("boatman", "oar", "row", "river"),
    ("teacher", "book", "teach", "school"),
    ("electrician", "adapter", "wire", "office"),
    ("cook", "oven", "cook", "kitchen"),
    ("farmer", "plough", "harvest", "farm"),
    ("engineer", "engine", "design", "factory"),
    ("musician", "guitar", "sing", "theatre"),
    ("pilot", "aeroplane", "fly", "airport"),
    ("tailor", "thread", "sew", "shop"),
    ("astronaut", "helmet", "explore", "station"),
    ("artist", "easel", "draw", "gallery"),
    ("baker", "whisk", "bake", "bakery"),
    ("fisher", "net", "fish", "lake"),
    ("organist", "organ", "play", "church"),
    ("miner", "lamp", "mine", "tunnel"),
    ("actor", "umbrella", "act", "theatre"),
];

/// A country, its capital, and its language.
pub const COUNTRIES: [(&str, &str, &str); 24] = [
    ("France", "Paris", "French"),
    ("Germany", "Berlin", "German"),
    ("Italy", "Rome", "Italian"),
    ("Spain", "Madrid", "Spanish"),
    ("Portugal", "Lisbon", "Portuguese"),
    ("England", "London", "English"),
    ("Austria", "Vienna", "German"),
    ("Poland", "Warsaw", "Polish"),
    ("Russia", "Moscow", "Russian"),
    ("Greece", "Athens", "Greek"),
    ("Egypt", "Cairo", "Arabic"),
    ("Japan", "Tokyo", "Japanese"),
    ("China", "Beijing", "Chinese"),
    ("Sweden", "Stockholm", "Swedish"),
    ("Norway", "Oslo", "Norwegian"),
    ("Denmark", "Copenhagen", "Danish"),
    ("Finland", "Helsinki", "Finnish"),
    ("Hungary", "Budapest", "Hungarian"),
    ("Turkey", "Ankara", "Turkish"),
    ("Ireland", "Dublin", "Irish"),
    ("Cuba", "Havana", "Spanish"),
    ("Peru", "Lima", "Spanish"),
    ("Kenya", "Nairobi", "Swahili"),
    ("Iran", "Tehran", "Persian"),
];

pub const PLACES: [&str; 18] = [
    "market", "village", "castle", "bridge", "valley", "beach", "library", "museum", "station", "tower", "palace",
    "garden", "school", "office", "shop", "park", "river", "store",
];
pub const ROOMS: [&str; 8] = ["kitchen", "garden", "attic", "hall", "cellar", "office", "library", "bedroom"];
pub const BOXES: [&str; 8] = ["box", "basket", "drawer", "bag", "pocket", "cupboard", "chest", "jar"];
pub const ADJECTIVES: [&str; 24] = [
    "old",
    "new",
    "big",
    "small",
    "ugly",
    "pretty",
    "empty",
    "heavy",
    "light",
    "ancient",
    "modern",
    "odd",
    "nice",
    "broken",
    "expensive",
    "cheap",
    "enormous",
    "tiny",
    "beautiful",
    "unusual",
    "useful",
    "dirty",
    "clean",
    "interesting",
];
pub const COLOURS: [&str; 8] = ["red", "green", "yellow", "orange", "purple", "pink", "brown", "black"];
pub const DAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
pub const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
pub const NUMBERS: [&str; 13] =
    ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"];
pub const OPPOSITES: [(&str, &str); 16] = [
    ("hot", "cold"),
    ("big", "small"),
    ("old", "young"),
    ("rich", "poor"),
    ("fast", "slow"),
    ("high", "low"),
    ("wet", "dry"),
    ("hard", "soft"),
    ("light", "dark"),
    ("full", "empty"),
    ("good", "bad"),
    ("happy", "sad"),
    ("early", "late"),
    ("open", "closed"),
    ("strong", "weak"),
    ("clean", "dirty"),
];

/// How someone was, what follows from it, and what one would not expect.
pub const STATES: [(&str, &str, &str); 16] = [
    ("tired", "went to bed", "kept working"),
    ("hungry", "ate some bread", "ate nothing"),
    ("thirsty", "drank some water", "drank nothing"),
    ("ill", "stayed at home", "went to school"),
    ("afraid", "ran away", "stayed there"),
    ("late", "ran all the way", "walked slowly"),
    ("angry", "shouted", "spoke softly"),
    ("cold", "put on a coat", "went swimming"),
    ("rich", "bought a big house", "lived in a small house"),
    ("poor", "lived in a small house", "bought a big house"),
    ("busy", "worked all day", "played all day"),
    ("sad", "began to cry", "began to laugh"),
    ("happy", "began to laugh", "began to cry"),
    ("sleepy", "closed the book", "kept reading"),
    ("bored", "left early", "stayed until the end"),
    ("careful", "made no mistakes", "made many mistakes"),
];
pub const WEATHERS: [(&str, &str, &str); 6] = [
    ("raining", "stayed inside", "went for a walk"),
    ("snowing", "lit a fire", "swam in the lake"),
    ("getting dark", "went home", "went on playing"),
    ("getting late", "said goodbye", "stayed for dinner"),
    ("getting cold", "closed the window", "opened the window"),
    ("freezing", "put on a coat", "took off the coat"),
];

/// Every word of the lists above, as often as it stands there.
pub fn words() -> impl Iterator<Item = &'static str> {
    let phrases = (SHE.into_iter().chain(HE).chain(PLACES).chain(ROOMS).chain(BOXES).chain(ADJECTIVES).chain(COLOURS))
        .chain(DAYS)
        .chain(MONTHS)
        .chain(NUMBERS)
        .chain(THINGS)
        .chain(FRUITS.into_iter().map(|f| f.0))
        .chain(ANIMALS.into_iter().flat_map(|a| [a.0, a.1, a.2]))
        .chain(JOBS.into_iter().flat_map(|j| [j.0, j.1, j.2, j.3]))
        .chain(COUNTRIES.into_iter().flat_map(|c| [c.0, c.1, c.2]))
        .chain(OPPOSITES.into_iter().flat_map(|o| [o.0, o.1]))
        .chain(STATES.into_iter().chain(WEATHERS).flat_map(|s| [s.0, s.1, s.2]));
    phrases.flat_map(|phrase| phrase.split(' '))
}
