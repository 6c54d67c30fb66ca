//! Whoever changes, removes, moves or cuts off a record is found.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use cofferdam_audit::log::{Log, Options};
use proptest::prelude::*;

use crate::support::{Place, fill};

/// Every file of a log that says something, by its path.
fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![dir.to_owned()];
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => open.push(path),
                false if path.ends_with("lock") => {}
                false => found.push(path),
            }
        }
    }
    found.sort();
    found
}

#[test]
fn a_changed_byte_in_any_file_is_found() {
    let place = Place::with_entries(300);
    assert!(place.verify(None).is_intact());
    let mut tried = 0;
    for path in files(place.path()) {
        let bytes = fs::read(&path).unwrap();
        // Every byte of the small files; of the large ones, each that is a multiple of a prime.
        let step = if bytes.len() > 2000 { 97 } else { 1 };
        for at in (0..bytes.len()).step_by(step) {
            let mut changed = bytes.clone();
            changed[at] ^= 0x20;
            fs::write(&path, &changed).unwrap();
            assert!(
                !place.verify(None).is_intact(),
                "byte {at} of `{}`",
                path.display()
            );
            tried += 1;
        }
        fs::write(&path, &bytes).unwrap();
    }
    assert!(tried > 1000, "{tried}");
    assert!(place.verify(None).is_intact());
}

#[test]
fn a_beginning_of_the_journal_that_nobody_signed_is_found_at_once() {
    use aws_lc_rs::digest::{SHA256, digest};
    let place = Place::with_entries(300);
    let path = place.file("journal");
    let sound = fs::read(&path).unwrap();
    for base in [0u64, 512, 1 << 40, 1 << 62, u64::MAX - 255] {
        let mut journal = sound.clone();
        journal[8..16].copy_from_slice(&base.to_be_bytes());
        let note = u32::from_be_bytes(journal[16..20].try_into().unwrap());
        let end = 20 + note as usize;
        let hash = digest(&SHA256, &journal[..end]);
        journal[end..end + 32].copy_from_slice(hash.as_ref());
        fs::write(&path, &journal).unwrap();
        assert!(!place.verify(None).is_intact(), "{base}");
    }
}

#[test]
fn a_file_that_was_removed_is_found() {
    let place = Place::with_entries(300);
    for path in files(place.path()) {
        let bytes = fs::read(&path).unwrap();
        fs::remove_file(&path).unwrap();
        assert!(!place.verify(None).is_intact(), "`{}`", path.display());
        fs::write(&path, bytes).unwrap();
    }
    fs::remove_file(place.file("checkpoint")).unwrap();
    assert!(place.open().is_err());
}

#[test]
fn tiles_of_every_level_of_a_large_log_are_held_to_be_there_and_right() {
    const COUNT: u64 = 256 * 256 + 300;
    let place = Place::new();
    let options = Options {
        queue: COUNT as usize,
        publish_every: Duration::from_secs(3600),
        ..Options::default()
    };
    let (log, _) = Log::open(place.path(), place.key(), options).unwrap();
    fill(&log, COUNT);
    // What the tiles of hashes must hold does not take the entries, and is looked at sooner without.
    log.rotate(COUNT, None).unwrap();
    drop(log);
    assert!(place.verify(None).is_intact());
    let size = COUNT + 1;
    let files = [
        "tile/0/123".to_owned(),
        format!("tile/0/257.p/{}", size % 256),
        "tile/1/000".to_owned(),
        "tile/1/001.p/1".to_owned(),
        "tile/2/000.p/1".to_owned(),
    ];
    for file in files {
        let path = place.file(&file);
        let sound = fs::read(&path).unwrap();
        let found = |what: &str| {
            assert!(!place.verify(None).is_intact(), "`{file}` {what}");
        };
        fs::remove_file(&path).unwrap();
        found("removed");
        for (bytes, what) in [
            (sound[..sound.len() - 32].to_vec(), "without its last hash"),
            (sound[..sound.len() - 1].to_vec(), "without its last byte"),
            ([&sound[..sound.len() - 1], b"?"].concat(), "changed"),
            ([&sound[..], &[0; 32]].concat(), "longer"),
            (Vec::new(), "empty"),
        ] {
            fs::write(&path, bytes).unwrap();
            found(what);
        }
        fs::write(&path, sound).unwrap();
    }
    assert!(place.verify(None).is_intact());
}

#[test]
fn a_file_in_place_of_the_next_full_tile_hides_nothing() {
    let place = Place::with_entries(300);
    for (next, partial) in [
        ("tile/0/001", "tile/0/001.p/44"),
        ("tile/1/000", "tile/1/000.p/1"),
        ("tile/0/001", "tile/entries/001.p/44"),
    ] {
        let (next, partial) = (place.file(next), place.file(partial));
        let sound = fs::read(&partial).unwrap();
        fs::write(&next, "").unwrap();
        fs::write(&partial, "changed").unwrap();
        assert!(!place.verify(None).is_intact(), "`{}`", partial.display());
        fs::remove_file(next).unwrap();
        fs::write(&partial, sound).unwrap();
    }
    assert!(place.verify(None).is_intact());
}

#[test]
fn a_changed_entry_is_named() {
    let place = Place::with_entries(300);
    let path = place.file("tile/entries/000");
    let text = fs::read(&path).unwrap();
    let at = text
        .windows(9)
        .position(|window| window == b"entry 123")
        .unwrap();
    let mut changed = text.clone();
    changed[at + 8] = b'4';
    fs::write(&path, changed).unwrap();
    let report = place.verify(None);
    assert_eq!(report.faults[0].index, Some(123), "{report:?}");
}

#[test]
fn entries_that_were_removed_moved_or_added_are_found_even_with_their_hashes_made_anew() {
    let place = Place::with_entries(300);
    let bundle = place.file("tile/entries/000");
    let tile = place.file("tile/0/000");
    let original = fs::read(&bundle).unwrap();
    let mut entries: Vec<&[u8]> = Vec::new();
    let mut rest = &original[..];
    while let Some((length, after)) = rest.split_first_chunk::<2>() {
        let (entry, after) = after.split_at(usize::from(u16::from_be_bytes(*length)));
        entries.push(entry);
        rest = after;
    }
    let write = |entries: &[&[u8]]| {
        let bundle_bytes: Vec<u8> = entries
            .iter()
            .flat_map(|entry| [&(entry.len() as u16).to_be_bytes()[..], entry].concat())
            .collect();
        fs::write(&bundle, bundle_bytes).unwrap();
        let hashes: Vec<u8> = entries
            .iter()
            .flat_map(|entry| cofferdam_audit::merkle::leaf_hash(entry))
            .collect();
        fs::write(&tile, hashes).unwrap();
    };
    let mut swapped = entries.clone();
    swapped.swap(10, 11);
    let mut replaced = entries.clone();
    replaced[200] = b"{}";
    let mut removed = entries.clone();
    removed.remove(7);
    let mut doubled = entries.clone();
    doubled[8] = doubled[7];
    for tampered in [swapped, replaced, removed, doubled] {
        write(&tampered);
        assert!(!place.verify(None).is_intact());
        assert!(
            place.open().is_err(),
            "a log that was tampered with is not written"
        );
    }
    write(&entries);
    assert!(place.verify(None).is_intact());
}

#[test]
fn a_log_that_was_put_back_shows_against_a_kept_checkpoint() {
    let place = Place::new();
    let (log, _) = place.open().unwrap();
    fill(&log, 10);
    log.publish().unwrap();
    let saved: Vec<(PathBuf, Vec<u8>)> = files(place.path())
        .into_iter()
        .map(|path| (path.clone(), fs::read(&path).unwrap()))
        .collect();
    fill(&log, 10);
    let kept = log.publish().unwrap().note;
    drop(log);
    assert!(place.verify(Some(&kept)).is_intact());

    for path in files(place.path()) {
        fs::remove_file(path).unwrap();
    }
    for (path, bytes) in saved {
        fs::write(path, bytes).unwrap();
    }
    // By itself the older state is a good log; that is what checkpoints are kept elsewhere for.
    assert!(place.verify(None).is_intact());
    let report = place.verify(Some(&kept));
    assert!(
        report.faults[0]
            .what
            .contains("20 entries, and there are 10"),
        "{report:?}"
    );
}

#[test]
fn a_log_that_was_written_anew_with_its_own_key_shows_against_a_kept_checkpoint() {
    let place = Place::with_entries(10);
    let kept = fs::read_to_string(place.file("checkpoint")).unwrap();
    for path in files(place.path()) {
        fs::remove_file(path).unwrap();
    }
    fs::remove_dir_all(place.file("tile")).unwrap();
    let (log, _) = place.open().unwrap();
    fill(&log, 9);
    log.append(&crate::support::record(999)).unwrap();
    drop(log);
    assert!(place.verify(None).is_intact());
    let report = place.verify(Some(&kept));
    assert!(
        report.faults[0].what.contains("do not have the root"),
        "{report:?}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn however_a_log_is_filled_closed_and_published_it_verifies(
        rounds in prop::collection::vec((0u64..200, any::<bool>(), any::<bool>()), 1..6)
    ) {
        let place = Place::new();
        let mut size = 0;
        let mut kept: Option<String> = None;
        for (count, publish, rotate) in rounds {
            let (log, opened) = place.open().unwrap();
            prop_assert_eq!(opened.size, size);
            fill(&log, count);
            size += count;
            if publish {
                kept = Some(log.publish().unwrap().note);
            }
            if rotate && log.rotate(size, None).unwrap() > 0 {
                size = cofferdam_audit::reader::Reader::open(place.path()).unwrap().len();
            }
        }
        let report = place.verify(kept.as_deref());
        prop_assert!(report.is_intact(), "{:?}", report);
        prop_assert_eq!(report.size, size);
    }
}
