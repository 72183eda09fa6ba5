//! Links come back as they went, and nothing that a stranger writes into one does harm.

use proptest::prelude::*;

use super::*;

#[test]
fn a_fresh_page_s_link_is_short_and_readable() {
    let link = Link::default().write().unwrap();
    assert_eq!(
        link,
        "v1&p=I+climbed+up+the+pear+tree+and+picked+a+pear.+I+climbed+up+the+apple+tree+and+picked\
         &c=I+climbed+up+the+pear+tree+and+picked+a+pear.+I+climbed+up+the+lemon+tree+and+picked&t=+an&u=+a"
    );
    assert_eq!(Link::read(&link), (Link::default(), vec![]));
    assert_eq!(Link::read(""), (Link::default(), vec![]));
}

#[test]
fn says_everything_there_is() {
    let link = Link {
        model: Model::Folder("./models/small/".into()),
        prompt: "50 % & \"more\" #1 = a+b\n苹果 🍎.".into(),
        corrupted: String::new(),
        bos: false,
        pair: [" he's".into(), "#281".into()],
        reversed: true,
        lens: LensShown::Own,
        table_final_ln: true,
        view: Some(View::Neurons),
        layer: Some(Layer::All),
        neuron: Some((31, 892)),
        order: Order::Direct,
        edit_corrupted: true,
        edits: ["31:892=0@all", "2.h3=clean@last", "0.attn=+-2@3,5"]
            .into_iter()
            .zip([true, false, true])
            .map(|(text, on)| Switched { edit: text.parse().unwrap(), on })
            .collect(),
        congruence: congruence::Part { neuron: Some((2, 3)), ..Default::default() },
        corpus: corpus::Part {
            neuron: Some((31, 892)),
            token: Some(" an".into()),
            data: Some("hub:NeelNanda/pile-10k".into()),
            bins: crate::protocol::Bins::Notebook,
            pack: true,
            percent: 12.5,
            seed: 7,
            key: Some("content".into()),
        },
    };
    let written = link.write().unwrap();
    assert!(written.contains("&e=31:892=0@all&off=2.h3=clean@last&"), "{written}");
    assert_eq!(Link::read(&written), (link, vec![]));
}

#[test]
fn a_link_doesn_t_end_in_what_mail_programs_cut_off() {
    for (token, end) in [("a.", "a%2E"), ("b ", "b%20"), ("c!", "c%21"), ("", "u=")] {
        let link = Link { pair: [" an".into(), token.into()], ..Link::default() };
        let written = link.write().unwrap();
        assert!(written.ends_with(end), "{written}");
        assert_eq!(Link::read(&written), (link, vec![]));
    }
}

#[test]
fn refuses_each_wild_piece_and_honours_the_rest() {
    let (link, refused) = Link::read(
        "v1&p=Hello&colour=red&bos=maybe&layer=99999999999999999999&neuron=1:-2&view=%00&t=%zz&u=%ff&p=again\
         &e=rm+-rf&e=1:2=NaN&e=1:2=0&dir=reversed&sort=&<script>",
    );
    assert_eq!(link.prompt, "Hello");
    assert!(link.reversed);
    assert_eq!(link.edits.len(), 1);
    let expected = Link { prompt: "Hello".into(), reversed: true, edits: link.edits.clone(), ..Link::default() };
    assert_eq!(link, expected);
    assert_eq!(refused.len(), 12, "{refused:#?}");
    for refusal in &refused {
        let said = refusal.to_string();
        assert!(said.ends_with("left out.") || said.ends_with("used."), "{said}");
    }
}

#[test]
fn refuses_whole_what_is_no_link_of_this_page() {
    for (fragment, expected) in [
        ("prompt", Refusal::NoLink),
        ("p=Hello", Refusal::NoLink),
        ("v2&p=Hello", Refusal::Version("v2".into())),
        ("V1&p=Hello", Refusal::NoLink),
    ] {
        assert_eq!(Link::read(fragment), (Link::default(), vec![expected]));
    }
    let long = format!("v1&p={}", "a".repeat(MAX_BYTES));
    assert_eq!(Link::read(&long), (Link::default(), vec![Refusal::TooLong(MAX_BYTES + 5)]));
}

#[test]
fn lengths_and_counts_are_limited_both_ways() {
    let long = Link { prompt: "a".repeat(MAX_PROMPT + 1), ..Link::default() };
    assert_eq!(long.write(), None);
    let (link, refused) = Link::read(&format!("v1&c={}&bos=0", "a".repeat(MAX_PROMPT + 1)));
    assert_eq!(refused, [Refusal::TooMuch { what: "corrupted prompt", most: MAX_PROMPT }]);
    assert_eq!(link, Link { bos: false, ..Link::default() });
    let (link, refused) = Link::read(&format!("v1{}", "&e=1:2=0".repeat(MAX_EDITS + 9)));
    assert_eq!(refused, [Refusal::TooManyEdits]);
    assert_eq!(link.edits.len(), MAX_EDITS);
    assert!(read_edit(&format!("1:2=0@{}", "1,".repeat(MAX_EDIT) + "1")).is_err());
}

#[test]
fn leaves_out_what_the_model_doesn_t_have() {
    let config = Config {
        n_layer: 4,
        n_head: 4,
        d_model: 64,
        d_mlp: 256,
        n_ctx: 256,
        vocab_size: 2048,
        ln_eps: 1e-5,
        bos_token_id: None,
        variant: Default::default(),
    };
    let (mut link, _) = Link::read("v1&layer=4&neuron=3:256");
    assert_eq!(link.fit(&config).len(), 2);
    assert_eq!(link, Link::default());
    let (mut link, _) = Link::read("v1&layer=3&neuron=3:255");
    assert_eq!(link.fit(&config), []);
    assert_eq!((link.layer, link.neuron), (Some(Layer::One(3)), Some((3, 255))));
}

fn a_text(most: usize) -> impl Strategy<Value = String> {
    proptest::collection::vec(any::<char>(), 0..most).prop_map(|chars| chars.into_iter().collect())
}

fn an_edit() -> impl Strategy<Value = Switched> {
    let place = prop_oneof![
        (0..99usize, 0..9999usize).prop_map(|(layer, neuron)| format!("{layer}:{neuron}")),
        (0..99usize, 0..99usize).prop_map(|(layer, head)| format!("{layer}.h{head}")),
        (0..99usize, prop_oneof![Just("attn"), Just("mlp"), Just("resid_pre")])
            .prop_map(|(layer, name)| format!("{layer}.{name}")),
    ];
    let value = prop_oneof![
        Just("clean".to_owned()),
        Just("zero".to_owned()),
        (prop_oneof![Just(""), Just("+"), Just("*"), Just("mean:")], -1e6f32..1e6)
            .prop_map(|(kind, value)| format!("{kind}{value}")),
    ];
    let at = prop_oneof![Just("all".to_owned()), Just("last".to_owned()), (0..99usize).prop_map(|at| at.to_string())];
    (place, value, at, any::<bool>())
        .prop_map(|(place, value, at, on)| Switched { edit: format!("{place}={value}@{at}").parse().unwrap(), on })
}

fn a_link() -> impl Strategy<Value = Link> {
    let model = prop_oneof![
        Just(Model::Demo),
        Just(Model::Files),
        "[a-z./%& ]{1,20}".prop_map(|name| match name.as_str() {
            "demo" | "files" => Model::Demo,
            _ => Model::read(&name),
        })
    ];
    let word = |n: usize| 0..n;
    let layer = prop_oneof![Just(None), Just(Some(Layer::All)), (0..999usize).prop_map(|l| Some(Layer::One(l)))];
    let neuron = proptest::option::of((0..999usize, 0..99999usize));
    let edits = proptest::collection::vec(an_edit(), 0..MAX_EDITS);
    let texts = (a_text(80), a_text(80), a_text(8), a_text(8));
    let words = (word(View::ALL.len() + 1), word(LensShown::ALL.len()), word(Order::ALL.len()));
    (model, texts, words, layer, neuron, edits, any::<[bool; 4]>()).prop_map(
        |(model, (prompt, corrupted, first, second), (view, lens, order), layer, neuron, edits, flags)| Link {
            model,
            prompt,
            corrupted,
            bos: flags[0],
            pair: [first, second],
            reversed: flags[1],
            lens: LensShown::ALL[lens],
            table_final_ln: flags[2],
            view: View::ALL.get(view).copied(),
            layer,
            neuron,
            order: Order::ALL[order],
            edit_corrupted: flags[3],
            edits,
            congruence: congruence::Part::default(),
            corpus: corpus::Part { neuron, pack: flags[3], ..Default::default() },
        },
    )
}

proptest! {
    #[test]
    fn every_state_comes_back(link in a_link()) {
        if let Some(written) = link.write() {
            prop_assert!(written.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'#'));
            prop_assert_eq!(Link::read(&written), (link, vec![]));
        }
    }

    #[test]
    fn no_fragment_does_harm(fragment in ".{0,300}") {
        check(&fragment);
    }

    #[test]
    fn no_fragment_of_known_keys_does_harm(
        parts in proptest::collection::vec((0..KEYS.len(), "[%+=&a-f0-9:.*@é ]{0,12}|.{0,12}"), 0..12)
    ) {
        let parts: Vec<String> = parts.into_iter().map(|(key, value)| format!("{}={value}", KEYS[key])).collect();
        check(&format!("v1&{}", parts.join("&")));
    }
}

/// Whatever was read can be written, and reads the same.
fn check(fragment: &str) {
    let (link, _) = Link::read(fragment);
    let written = link.write().expect("what was read is short enough to be written");
    assert_eq!(Link::read(&written), (link, vec![]));
}
