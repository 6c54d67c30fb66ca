//! Names: a tenant's `db` is `cf-<owner>.db` in the engine, so that each tenant has names of their
//! own, and no name is ever a short id of somebody else's object.

use super::owner::{Owner, Tenant};

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

/// What the engine says, as a tenant may hear it: their own names without the prefix; and not at
/// all where it names an object of another.
#[must_use]
pub(crate) fn message(text: &str, tenant: &Tenant) -> String {
    let mut heard = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(PREFIX) {
        let (before, found) = rest.split_at(at);
        heard.push_str(before);
        let skip = match split(found) {
            Some((owner, _)) if owner == tenant.owner => PREFIX_LETTERS,
            Some(_) if !tenant.sees_all => {
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
    heard
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

    fn tenant(sees_all: bool) -> Tenant {
        let owner = Owner::of("i", "alice");
        Tenant {
            owner,
            principal: owner,
            sees_all,
        }
    }

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
        let hear = |text: &str, all| message(text, &tenant(all));
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
