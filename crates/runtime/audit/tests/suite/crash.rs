//! What the power leaves behind.

use std::fs;

use cofferdam_audit::error::Error;
use cofferdam_audit::reader::Reader;
use cofferdam_audit::record::Event;

use crate::support::{Place, fill, record, written};

/// A log whose last flush is of one entry, not yet published: the files as a crash leaves them.
fn crashed(entries: u64) -> (Place, usize, Vec<u8>) {
    let place = Place::new();
    let (log, _) = place.open().unwrap();
    fill(&log, entries);
    log.publish().unwrap();
    let journal = || written(fs::read(place.file("journal")).unwrap());
    let before = journal().len();
    log.append(&record(entries)).unwrap();
    let after = journal();
    let checkpoint = fs::read(place.file("checkpoint")).unwrap();
    drop(log);
    fs::write(place.file("journal"), &after).unwrap();
    fs::write(place.file("checkpoint"), checkpoint).unwrap();
    (place, before, after)
}

#[test]
fn a_write_torn_at_any_byte_costs_only_itself_and_is_noted() {
    let (place, before, after) = crashed(5);
    let published = fs::read(place.file("checkpoint")).unwrap();
    for cut in before..after.len() {
        let mut journal = after[..cut].to_vec();
        // In every other journal zeros stood there before.
        journal.resize(cut + cut % 2 * 5000, 0);
        fs::write(place.file("journal"), journal).unwrap();
        fs::write(place.file("checkpoint"), &published).unwrap();
        let last = after[before..cut].iter().rposition(|byte| *byte != 0);
        let torn = last.map_or(0, |last| last as u64 + 1);
        assert_eq!(place.verify(None).torn, torn);

        let (log, opened) = place.open().unwrap();
        assert_eq!(opened.torn, torn, "{cut}");
        log.append(&record(77)).unwrap();
        drop(log);

        let report = place.verify(None);
        assert!(report.is_intact(), "{cut}: {report:?}");
        let reader = Reader::open(place.path()).unwrap();
        let records: Vec<_> = reader
            .entries(0)
            .map(|it| it.unwrap().record().unwrap())
            .collect();
        assert_eq!(records[..5], (0..5).map(record).collect::<Vec<_>>());
        match torn {
            0 => assert_eq!(records.len(), 6),
            torn => {
                assert!(
                    matches!(&records[5].event, Event::Recovered { bytes, .. } if *bytes == torn)
                );
                let kept = fs::read(place.file("torn-5")).unwrap();
                assert_eq!(kept, &after[before..before + torn as usize]);
                assert_eq!(records.len(), 7);
            }
        }
    }
}

#[test]
fn a_whole_write_that_nobody_published_is_kept() {
    let (place, _, _) = crashed(5);
    let (_log, opened) = place.open().unwrap();
    assert_eq!((opened.size, opened.torn), (6, 0));
}

#[test]
fn a_stop_between_a_full_bundle_and_its_tiles_is_made_good() {
    let place = Place::new();
    let (log, _) = place.open().unwrap();
    fill(&log, 255);
    log.publish().unwrap();
    let mut journal = written(fs::read(place.file("journal")).unwrap());
    drop(log);
    // The flush that makes the bundle full, as a stop right after it leaves it: taken from a copy.
    let copy = tempfile::tempdir().unwrap();
    copy_dir(place.path(), copy.path());
    let (log, _) =
        cofferdam_audit::log::Log::open(copy.path(), place.key(), Default::default()).unwrap();
    let size = journal.len();
    log.append(&record(255)).unwrap();
    drop(log);
    // The copy has a new journal by now; what was appended to the old one is made here again.
    assert!(
        !fs::read(copy.path().join("journal"))
            .unwrap()
            .starts_with(&journal[..size])
    );
    let frame = frame_of_one(&place, 255);
    journal.extend(frame);
    fs::write(place.file("journal"), journal).unwrap();

    assert!(place.verify(None).is_intact());
    let (log, opened) = place.open().unwrap();
    assert_eq!((opened.size, opened.torn), (256, 0));
    assert!(place.file("tile/0/000").exists() && place.file("tile/entries/000").exists());
    fill(&log, 10);
    drop(log);
    assert!(place.verify(None).is_intact());
}

#[test]
fn a_log_that_grew_by_whole_bundles_past_its_checkpoint_opens_again() {
    for (published, more) in [(1, 600), (250, 400), (300, 300), (513, 700)] {
        let place = Place::new();
        let (log, _) = place.open().unwrap();
        fill(&log, published);
        log.publish().unwrap();
        fill(&log, more);
        // By the time that this one is on disk, the tiles of those before it are.
        log.append(&record(0)).unwrap();
        // As a kill leaves it.
        let copy = tempfile::tempdir().unwrap();
        copy_dir(place.path(), copy.path());
        let opened = cofferdam_audit::log::Log::open(copy.path(), place.key(), Default::default());
        let (log, opened) = opened.unwrap();
        assert_eq!((opened.size, opened.torn), (published + more + 1, 0));
        drop(log);
        let key = place.key().verifying_key();
        let report = cofferdam_audit::verify::verify(copy.path(), None, &key, None).unwrap();
        assert!(report.is_intact(), "{report:?}");
    }
}

/// The frame that appends `record(number)` to the log of `number` entries.
fn frame_of_one(place: &Place, number: u64) -> Vec<u8> {
    use aws_lc_rs::digest::{SHA256, digest};
    use cofferdam_audit::checkpoint::Checkpoint;
    use cofferdam_audit::merkle::{Edge, leaf_hash};
    let mut edge = Edge::default();
    (0..=number).for_each(|at| edge.push(leaf_hash(&record(at).encode().unwrap())));
    let note = Checkpoint::sign(number + 1, edge.root(), &place.key()).note;
    let entry = record(number).encode().unwrap();
    let mut body = (entry.len() as u16).to_be_bytes().to_vec();
    body.extend(&entry);
    body.extend(note.as_bytes());
    let mut frame = b"CFB1".to_vec();
    frame.extend((body.len() as u32).to_be_bytes());
    frame.extend(1u32.to_be_bytes());
    frame.extend(&body);
    let hash = digest(&SHA256, &frame);
    frame.extend(hash.as_ref());
    frame
}

fn copy_dir(from: &std::path::Path, to: &std::path::Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_dir(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn a_log_that_was_cut_back_behind_its_checkpoint_is_not_opened() {
    let (place, before, after) = crashed(5);
    let (log, _) = place.open().unwrap();
    log.publish().unwrap();
    drop(log);
    fs::write(place.file("journal"), &after[..before]).unwrap();
    assert!(matches!(place.open(), Err(Error::Corrupt(_))));
    assert!(!place.verify(None).is_intact());
}

#[test]
fn a_missing_journal_is_not_taken_for_a_new_log() {
    let place = Place::with_entries(3);
    fs::remove_file(place.file("journal")).unwrap();
    assert!(matches!(place.open(), Err(Error::Corrupt(_))));
    assert!(!place.verify(None).is_intact());
}

#[test]
fn a_clock_that_steps_back_takes_nothing_from_the_proof_and_is_seen_in_the_records() {
    let place = Place::new();
    let (log, _) = place.open().unwrap();
    let times = [1_000, 5_000_000, 2_000, 0, u64::MAX, 3_000];
    for time_ms in times {
        let record = cofferdam_audit::record::Record {
            time_ms,
            ..record(time_ms)
        };
        log.append(&record).unwrap();
    }
    drop(log);
    assert!(place.verify(None).is_intact());
    let reader = Reader::open(place.path()).unwrap();
    let read: Vec<u64> = reader
        .entries(0)
        .map(|entry| entry.unwrap().record().unwrap().time_ms)
        .collect();
    // In the order in which they were written, whatever the clock said.
    assert_eq!(read, times);
    let between = cofferdam_audit::record::Query {
        since_ms: Some(1_000),
        until_ms: Some(3_000),
        ..Default::default()
    };
    assert_eq!(reader.search(&between).count(), 2);
}
