//! What is fuzzed, as plain functions: libFuzzer calls them with what it finds, `cargo test` with
//! the kept corpus and with what chance makes of it.
//!
//! A target must not panic, and must not take long; what else must hold it asserts itself.

pub mod action;
pub mod audit;
pub mod docker;
pub mod posture;
pub mod report;
pub mod scan;
pub mod token;
pub mod wire;

/// A target by name, its function, and what chance starts from.
pub struct Target {
    /// The name of the binary and of the folder of its corpus.
    pub name: &'static str,
    /// The function.
    pub run: fn(&[u8]),
    /// Inputs that are valid, so that what is made of them comes far.
    pub seeds: &'static [&'static [u8]],
}

/// Every target.
pub fn targets() -> impl Iterator<Item = &'static Target> {
    [
        action::TARGETS,
        audit::TARGETS,
        docker::TARGETS,
        posture::TARGETS,
        report::TARGETS,
        scan::TARGETS,
        token::TARGETS,
        wire::TARGETS,
    ]
    .into_iter()
    .flatten()
}

/// An input of several files: they are cut at lines of `%%%%`.
pub fn parts(data: &[u8]) -> impl Iterator<Item = &[u8]> {
    const CUT: &[u8] = b"\n%%%%\n";
    let mut rest = Some(data);
    std::iter::from_fn(move || {
        let data = rest?;
        match data.windows(CUT.len()).position(|window| window == CUT) {
            Some(at) => {
                rest = Some(&data[at + CUT.len()..]);
                Some(&data[..at])
            }
            None => rest.take(),
        }
    })
}
