//! The targets on stable Rust: the kept corpus, and a while of chance.
//!
//! `FUZZ_SECONDS` is how long chance has for each target, 0.2 by default, and
//! `FUZZ_TARGET` what the names of the targets begin with, all by default. A failing input is in the panic's
//! message; put it into `corpus/<target>/` with the fix.

use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::{Duration, Instant};

use cofferdam_fuzz::{Target, targets};

/// SplitMix64: reproducible, and good enough to choose bytes.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }
}

fn run(target: &Target, input: &[u8]) {
    let start = Instant::now();
    if let Err(payload) = catch_unwind(AssertUnwindSafe(|| (target.run)(input))) {
        let message = payload
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| payload.downcast_ref::<&str>().copied())
            .unwrap_or_default();
        let mut shown = String::new();
        input
            .iter()
            .for_each(|byte| write!(shown, "{byte:02x}").expect("a string"));
        // The hook that keeps the tries quiet would keep this quiet as well.
        drop(std::panic::take_hook());
        panic!("{} fails on {shown}: {message}", target.name);
    }
    assert!(
        start.elapsed() < Duration::from_secs(2),
        "{} takes too long",
        target.name
    );
}

/// What parsers stumble over.
const WORDS: [&[u8]; 18] = [
    b"\\u0000",
    b"\\ud800",
    b"{",
    b"}",
    b"[",
    b"\"",
    b".",
    b"=",
    b"1e400",
    b"null",
    b"\xff",
    b"%5f",
    b"\n%%%%\n",
    b"\n",
    b"/",
    b"$ref",
    b"&a ",
    b"18446744073709551615",
];

/// The largest input.
const LARGEST: usize = 1 << 16;

/// The input with one word in its middle, again and again: what is quadratic takes too long then.
fn swollen(input: &[u8], word: &[u8]) -> Vec<u8> {
    let (before, after) = input.split_at(input.len() / 2);
    let count = LARGEST.saturating_sub(input.len()) / word.len();
    [before, &word.repeat(count), after].concat()
}

fn mutate(chance: &mut Chance, inputs: &[Vec<u8>]) -> Vec<u8> {
    let mut input = inputs[chance.below(inputs.len())].clone();
    for _ in 0..=chance.below(8) {
        let at = chance.below(input.len() + 1);
        match chance.below(6) {
            0 if at < input.len() => input[at] = chance.next() as u8,
            1 if at < input.len() => drop(input.remove(at)),
            2 => input.insert(at, chance.next() as u8),
            3 => drop(input.splice(at..at, WORDS[chance.below(WORDS.len())].iter().copied())),
            4 => {
                let end = (at + chance.below(40)).min(input.len());
                let part = input[at..end].to_vec();
                let to = chance.below(input.len() + 1);
                input.splice(to..to, part);
            }
            _ => {
                let other = &inputs[chance.below(inputs.len())];
                let from = chance.below(other.len() + 1);
                input.truncate(at);
                input.extend_from_slice(&other[from..]);
            }
        }
    }
    input.truncate(1 << 14);
    input
}

#[test]
fn no_input_breaks_a_target() {
    let seconds = std::env::var("FUZZ_SECONDS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(0.2);
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    let only = std::env::var("FUZZ_TARGET").unwrap_or_default();
    std::panic::set_hook(Box::new(|_| {}));
    for target in targets().filter(|target| target.name.starts_with(&only)) {
        let mut inputs: Vec<Vec<u8>> = target.seeds.iter().map(|seed| seed.to_vec()).collect();
        if let Ok(folder) = std::fs::read_dir(corpus.join(target.name)) {
            for entry in folder {
                inputs.push(std::fs::read(entry.expect("an entry").path()).expect("a file"));
            }
        }
        for input in &inputs {
            run(target, input);
        }
        for word in WORDS.iter().chain(target.seeds).filter(|it| !it.is_empty()) {
            run(target, &swollen(target.seeds[0], word));
            run(target, &swollen(b"", word));
        }
        let mut chance = Chance(0xC0FF_EE00);
        let end = Instant::now() + Duration::from_secs_f64(seconds);
        let mut count = 0u64;
        while Instant::now() < end {
            run(target, &mutate(&mut chance, &inputs));
            count += 1;
        }
        println!("{}: {count} inputs", target.name);
    }
}
