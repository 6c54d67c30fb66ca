//! Names: a tenant's `db` is `cf-<owner>.db` in the engine, so that each tenant has names of their
//! own, and no name is ever a short id of somebody else's object.

use super::owner::Owner;

/// Letters that a name may have in the engine.
pub(crate) const LONGEST: usize = 255;

const PREFIX: &str = "cf-";

/// Letters of the prefix: `cf-`, the owner, a dot.
const PREFIX_LETTERS: usize = PREFIX.len() + 20 + 1;

/// The name in the engine of what an owner calls `name`.
#[must_use]
pub(crate) fn in_engine(owner: &Owner, name: &str) -> String {
    format!("{PREFIX}{owner}.{name}")
}

/// The owner and the tenant's name in a name of the engine; nothing where the broker did not give
/// it.
#[must_use]
pub(crate) fn split(engine_name: &str) -> Option<(Owner, &str)> {
    let (head, name) = engine_name.split_at_checked(PREFIX_LETTERS)?;
    let owner = head.strip_prefix(PREFIX)?.strip_suffix('.')?;
    Some((Owner::parse(owner).ok()?, name))
}

/// What the engine says, as a tenant may hear it: their own names without the prefix, the engine's
/// own directories as `…`; and not at all where it names an object of another.
#[must_use]
pub(crate) fn message(text: &str, own: &Owner, sees_all: bool) -> String {
    let mut heard = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(PREFIX) {
        let (before, found) = rest.split_at(at);
        heard.push_str(before);
        let skip = match split(found) {
            Some((owner, _)) if owner == *own => PREFIX_LETTERS,
            Some(_) if !sees_all => {
                return "the engine could not do it; its log has the reason".to_owned();
            }
            _ => {
                heard.push_str(PREFIX);
                PREFIX.len()
            }
        };
        rest = &found[skip..];
    }
    heard.push_str(rest);
    match sees_all {
        true => heard,
        false => without_directories(&heard),
    }
}

/// Where engines keep their things on the host, unless they are told otherwise.
const DIRECTORIES: [&str; 6] = [
    "/var/lib/docker/",
    "/var/lib/containerd/",
    "/var/lib/containers/",
    "/var/run/docker/",
    "/run/docker/",
    "/run/containerd/",
];

/// The same text with `…` for each path in one of these.
fn without_directories(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    let first = |text: &str| DIRECTORIES.iter().filter_map(|it| text.find(it)).min();
    while let Some(at) = first(rest) {
        let (before, path) = rest.split_at(at);
        let end = |letter: char| letter.is_whitespace() || "\"'`:,;()[]".contains(letter);
        shown.push_str(before);
        shown.push('…');
        rest = &path[path.find(end).unwrap_or(path.len())..];
    }
    shown.push_str(rest);
    shown
}

/// A name that nobody has chosen, such as `calm_harbor`; after some tries one with a number. `taken`
/// says whether the owner has it already.
#[must_use]
pub(crate) fn made_up(taken: impl Fn(&str) -> bool) -> String {
    let mut attempt = 0u32;
    loop {
        // Without a source of random numbers the names come in a fixed order, which `taken` ends.
        let random = getrandom::u64()
            .unwrap_or_else(|_| u64::from(attempt).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let [a, b, rest @ ..] = random.to_le_bytes();
        let words = format!(
            "{}_{}",
            ADJECTIVES[usize::from(a) % ADJECTIVES.len()],
            NOUNS[usize::from(b) % NOUNS.len()]
        );
        let name = match attempt {
            0..8 => words,
            _ => format!(
                "{words}{}",
                u32::from_le_bytes([rest[0], rest[1], rest[2], 0])
            ),
        };
        if !taken(&name) {
            return name;
        }
        attempt = attempt.wrapping_add(1);
    }
}

const ADJECTIVES: [&str; 64] = [
    "able", "agile", "ample", "apt", "bold", "brave", "bright", "brisk", "broad", "calm", "clear",
    "clever", "cool", "crisp", "deep", "deft", "eager", "early", "even", "exact", "fair", "fast",
    "fine", "firm", "fresh", "gentle", "glad", "grand", "happy", "hardy", "honest", "keen", "kind",
    "light", "lively", "lucid", "mellow", "mild", "neat", "nimble", "noble", "patient", "plain",
    "proud", "quick", "quiet", "ready", "sharp", "silent", "smooth", "sober", "solid", "sound",
    "spry", "stable", "steady", "still", "sunny", "swift", "tidy", "trim", "warm", "wise", "witty",
];

const NOUNS: [&str; 64] = [
    "anchor", "barge", "basin", "bay", "beacon", "berth", "bollard", "bridge", "buoy", "caisson",
    "canal", "canoe", "cape", "channel", "cliff", "coast", "coral", "cove", "crane", "creek",
    "current", "dam", "delta", "dike", "dock", "dune", "eddy", "ferry", "fjord", "gannet", "gull",
    "harbor", "heron", "inlet", "island", "jetty", "keel", "kelp", "lagoon", "lake", "levee",
    "lock", "marsh", "mast", "moat", "otter", "pier", "pond", "port", "quay", "raft", "reef",
    "ridge", "river", "rudder", "sail", "seal", "shoal", "shore", "sluice", "strait", "tern",
    "tide", "weir",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_the_engine_is_taken_apart_as_it_was_put_together() {
        let owner = Owner::of("i", "alice");
        let engine = in_engine(&owner, "db.1");
        assert_eq!(split(&engine), Some((owner, "db.1")));
        for other in ["db", "cf-", "cf-abc.db", "cf-éaaaaaaaaaaaaaaaaaaa.db", ""] {
            assert_eq!(split(other), None, "{other}");
        }
    }

    #[test]
    fn a_message_has_no_prefix_and_nothing_of_others() {
        let own = in_engine(&Owner::of("i", "alice"), "db");
        let other = in_engine(&Owner::of("i", "bob"), "db");
        let hear = |text: &str, all| message(text, &Owner::of("i", "alice"), all);
        assert_eq!(
            hear(
                &format!("The name \"/{own}\" is in use, /{own}; cf-x"),
                false
            ),
            "The name \"/db\" is in use, /db; cf-x"
        );
        assert!(!hear(&format!("{own} {other}"), false).contains("cf-"));
        assert_eq!(hear(&format!("{own} {other}"), true), format!("db {other}"));
    }

    #[test]
    fn a_message_has_no_directory_of_the_engine() {
        let own = Owner::of("i", "alice");
        let data = in_engine(&own, "data");
        for (said, heard) in [
            (
                format!(
                    "error mounting \"/var/lib/docker/volumes/{data}/_data\" to rootfs at \"/d\": x"
                ),
                "error mounting \"…\" to rootfs at \"/d\": x",
            ),
            (
                "open /run/containerd/a: no (/var/lib/docker/b), /var/lib/dockerfile".to_owned(),
                "open …: no (…), /var/lib/dockerfile",
            ),
            ("stat /var/lib/docker/overlay2/é".to_owned(), "stat …"),
        ] {
            assert_eq!(message(&said, &own, false), heard);
        }
        let said = "stat /var/lib/docker/x";
        assert_eq!(message(said, &own, true), said);
    }

    #[test]
    fn a_made_up_name_is_one_that_is_free() {
        let tries = std::cell::Cell::new(0);
        let name = made_up(|_| {
            tries.set(tries.get() + 1);
            tries.get() < 20
        });
        assert_eq!(tries.get(), 20);
        assert!(
            cofferdam_action::name::ContainerName::parse(&name).is_ok(),
            "{name}"
        );
        assert!(name.ends_with(|letter: char| letter.is_ascii_digit()));
    }
}
