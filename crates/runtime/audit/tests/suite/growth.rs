//! Appending, reading, proving, rotating.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Barrier};
use std::time::Duration;

use cofferdam_audit::checkpoint::SignedCheckpoint;
use cofferdam_audit::error::Error;
use cofferdam_audit::keep::Keep;
use cofferdam_audit::merkle::{is_consistent, leaf_hash};
use cofferdam_audit::proof::{Inclusion, prove, prove_growth};
use cofferdam_audit::reader::Reader;
use cofferdam_audit::record::{Decision, Event, Query, Record, Who};

use crate::support::{Place, fill, record};

#[test]
fn what_is_appended_is_read_in_order_and_verifies_at_every_size_around_a_tile() {
    for size in [0, 1, 2, 255, 256, 257, 511, 512, 700] {
        let place = Place::with_entries(size);
        let report = place.verify(None);
        assert!(report.is_intact(), "{size}: {report:?}");
        assert_eq!((report.size, report.torn, report.moved), (size, 0, 0));
        assert_eq!(report.published, Some(size));
        let reader = Reader::open(place.path()).unwrap();
        assert_eq!(reader.len(), size);
        let records: Vec<Record> = reader
            .entries(0)
            .map(|entry| entry.unwrap().record().unwrap())
            .collect();
        assert_eq!(records, (0..size).map(record).collect::<Vec<_>>());
        let last: Vec<u64> = reader.tail(3).map(|entry| entry.unwrap().index).collect();
        assert_eq!(last, (size.saturating_sub(3)..size).collect::<Vec<_>>());
    }
}

#[test]
fn appends_of_many_threads_share_flushes_and_each_has_its_own_index() {
    let place = Place::new();
    let (log, _) = place.open().unwrap();
    let (log, start) = (Arc::new(log), Arc::new(Barrier::new(16)));
    let threads: Vec<_> = (0..16)
        .map(|thread| {
            let (log, start) = (Arc::clone(&log), Arc::clone(&start));
            std::thread::spawn(move || {
                start.wait();
                (0..50)
                    .map(|number| log.append(&record(thread * 1000 + number)).unwrap())
                    .collect()
            })
        })
        .collect();
    let mut indices: Vec<u64> = threads
        .into_iter()
        .flat_map(|thread| -> Vec<u64> { thread.join().unwrap() })
        .collect();
    indices.sort_unstable();
    assert_eq!(indices, (0..800).collect::<Vec<_>>());
    drop(log);
    assert!(place.verify(None).is_intact());
}

#[test]
fn an_acknowledged_entry_can_be_read_at_once() {
    let place = Place::new();
    let (log, _) = place.open().unwrap();
    for number in 0..300 {
        let index = log.append(&record(number)).unwrap();
        let reader = Reader::open(place.path()).unwrap();
        let entry = reader.tail(1).next().unwrap().unwrap();
        assert_eq!(
            (entry.index, entry.record().unwrap()),
            (index, record(number))
        );
    }
    // A log that is being written verifies too.
    assert!(place.verify(None).is_intact());
}

#[test]
fn a_log_goes_on_where_it_stopped() {
    let place = Place::new();
    for round in 0..5u64 {
        let (log, opened) = place.open().unwrap();
        assert_eq!((opened.size, opened.torn), (round * 130, 0));
        fill(&log, 130);
    }
    let report = place.verify(None);
    assert!(report.is_intact(), "{report:?}");
    assert_eq!(report.size, 650);
}

#[test]
fn only_one_process_writes() {
    let place = Place::new();
    let (_log, _) = place.open().unwrap();
    assert!(matches!(place.open(), Err(Error::Locked(_))));
}

#[test]
fn a_log_of_another_key_is_not_opened() {
    let place = Place::with_entries(3);
    let other = Place::new();
    let opened = cofferdam_audit::log::Log::open(place.path(), other.key(), Default::default());
    assert!(matches!(opened, Err(Error::Corrupt(_))), "{opened:?}");
    let report =
        cofferdam_audit::verify::verify(place.path(), None, &other.key().verifying_key(), None);
    assert!(!report.unwrap().is_intact());
}

#[test]
fn every_entry_is_proved_to_other_people() {
    let place = Place::with_entries(600);
    let key = place.key().verifying_key();
    let reader = Reader::open(place.path()).unwrap();
    for index in [0, 1, 255, 256, 511, 512, 599] {
        let mut proof = prove(place.path(), index, &key).unwrap();
        assert_eq!(Inclusion::parse(&proof.to_text()).unwrap(), proof);
        let entry = reader.entries(index).next().unwrap().unwrap();
        proof.extra = Some(entry.bytes.clone());
        let again = Inclusion::parse(&proof.to_text()).unwrap();
        assert_eq!(again, proof);
        let checkpoint = again.check(&entry.bytes, &key).unwrap().checkpoint;
        assert_eq!(checkpoint.size, 600);
        assert!(matches!(
            again.check(b"another", &key),
            Err(Error::Corrupt(_))
        ));

        let hashes = proof.hashes.into_iter().map(tlog_tiles::Hash).collect();
        let root = tlog_tiles::Hash(checkpoint.root);
        let leaf = tlog_tiles::record_hash(&entry.bytes);
        tlog_tiles::check_record(&hashes, 600, root, index, leaf).unwrap();
    }
    assert!(matches!(
        prove(place.path(), 600, &key),
        Err(Error::NoEntry { .. })
    ));
}

#[test]
fn growth_is_proved_to_a_witness() {
    let place = Place::new();
    let key = place.key().verifying_key();
    let (log, _) = place.open().unwrap();
    fill(&log, 300);
    let old = log.publish().unwrap().checkpoint;
    fill(&log, 300);
    log.publish().unwrap();
    let (hashes, new) = prove_growth(place.path(), old.size, &key).unwrap();
    let SignedCheckpoint {
        checkpoint: new, ..
    } = new;
    assert!(is_consistent(
        old.size, old.root, new.size, new.root, &hashes
    ));
    assert!(!is_consistent(
        old.size,
        leaf_hash(b""),
        new.size,
        new.root,
        &hashes
    ));
}

#[test]
fn rotation_moves_entries_away_and_leaves_no_gap_in_the_proof() {
    let place = Place::new();
    let archive = tempfile::tempdir().unwrap();
    let (log, _) = place.open().unwrap();
    fill(&log, 700);
    let kept = log.publish().unwrap().note;
    assert_eq!(log.rotate(600, Some(archive.path())).unwrap(), 512);
    fill(&log, 100);
    drop(log);

    let report = place.verify(Some(&kept));
    assert!(report.is_intact(), "{report:?}");
    assert_eq!((report.size, report.moved), (801, 512));
    let reader = Reader::open(place.path()).unwrap();
    assert_eq!(reader.first(), 512);
    assert_eq!(reader.entries(0).next().unwrap().unwrap().index, 512);
    assert!(archive.path().join("tile/entries/000").exists());

    // An entry that was moved away still proves itself.
    let key = place.key().verifying_key();
    let moved = record(5).encode().unwrap();
    prove(place.path(), 5, &key)
        .unwrap()
        .check(&moved, &key)
        .unwrap();

    // The log opens, and goes on.
    let (log, opened) = place.open().unwrap();
    assert_eq!(opened.size, 801);
    fill(&log, 300);
    drop(log);
    assert!(place.verify(Some(&kept)).is_intact());
}

#[test]
fn what_the_archive_has_no_room_for_stays_and_moves_later() {
    let place = Place::new();
    let archive = tempfile::tempdir().unwrap();
    let (log, _) = place.open().unwrap();
    fill(&log, 800);
    // A directory in the way of the second bundle, as a full disk would be.
    let in_the_way = archive.path().join("tile/entries/001.new");
    std::fs::create_dir_all(&in_the_way).unwrap();
    let failed = log.rotate(768, Some(archive.path()));
    assert!(matches!(failed, Err(Error::Io { .. })), "{failed:?}");
    let reader = Reader::open(place.path()).unwrap();
    assert_eq!((reader.first(), reader.len()), (0, 800));
    let report = place.verify(None);
    assert!(report.is_intact() && report.moved == 0, "{report:?}");

    std::fs::remove_dir(in_the_way).unwrap();
    assert_eq!(log.rotate(768, Some(archive.path())).unwrap(), 768);
    // Nothing is left to move, and no record says otherwise.
    assert_eq!(log.rotate(768, Some(archive.path())).unwrap(), 768);
    assert_eq!(log.append(&record(0)).unwrap(), 801);
    drop(log);
    let report = place.verify(None);
    assert!(report.is_intact() && report.moved == 768, "{report:?}");
}

#[test]
fn a_publication_that_fails_is_told_until_one_succeeds() {
    let place = Place::new();
    let (log, _) = place.open().unwrap();
    assert_eq!(log.unpublished(), None);
    // A directory in the way of the new checkpoint, as a full disk would be.
    let in_the_way = place.file("checkpoint.new");
    std::fs::create_dir(&in_the_way).unwrap();
    log.append(&record(0)).unwrap();
    assert!(log.publish().is_err());
    let told = log.unpublished().unwrap();
    assert!(told.contains("checkpoint.new"), "{told}");
    std::fs::remove_dir(in_the_way).unwrap();
    log.publish().unwrap();
    assert_eq!(log.unpublished(), None);
}

#[test]
fn entries_that_nobody_said_were_moved_are_a_fault() {
    let place = Place::with_entries(700);
    std::fs::remove_file(place.file("tile/entries/000")).unwrap();
    let report = place.verify(None);
    assert_eq!(report.faults[0].index, Some(0), "{report:?}");
}

#[test]
fn a_search_finds_who_did_what() {
    let place = Place::new();
    let (log, _) = place.open().unwrap();
    for number in 0..400u64 {
        let who = Who {
            subject: format!("user-{}", number % 3),
            ..Who::default()
        };
        let decision = Decision {
            request: format!("r{number}"),
            who,
            action: "container.start".into(),
            ..Decision::default()
        };
        let event = if number % 5 == 0 {
            Event::Refused(decision)
        } else {
            Event::Intent(decision)
        };
        log.submit(
            &Record {
                time_ms: number,
                event,
            },
            |_| {},
        )
        .unwrap();
    }
    log.publish().unwrap();
    let reader = Reader::open(place.path()).unwrap();
    let query = Query {
        subject: Some("user-1".into()),
        refused: true,
        since_ms: Some(100),
        ..Query::default()
    };
    let found: Vec<u64> = reader
        .search(&query)
        .map(|found| found.unwrap().0)
        .collect();
    assert_eq!(
        found,
        (100..400)
            .filter(|n| n % 3 == 1 && n % 5 == 0)
            .collect::<Vec<_>>()
    );
}

#[test]
fn a_full_queue_says_so_instead_of_growing() {
    let place = Place::new();
    let options = cofferdam_audit::log::Options {
        queue: 2,
        ..Default::default()
    };
    let (log, _) = cofferdam_audit::log::Log::open(place.path(), place.key(), options).unwrap();
    // The first callback holds the writer until it is let go.
    let (hold, held) = std::sync::mpsc::channel::<()>();
    let (begun, begins) = std::sync::mpsc::channel::<()>();
    log.submit(&record(0), move |_| {
        begun.send(()).unwrap();
        let _ = held.recv();
    })
    .unwrap();
    begins.recv().unwrap();
    let refused = AtomicU64::new(0);
    for number in 1..10 {
        if let Err(Error::Busy) = log.submit(&record(number), |_| {}) {
            refused.fetch_add(1, Ordering::Relaxed);
        }
    }
    assert_eq!(refused.load(Ordering::Relaxed), 7);
    drop(hold);
    log.append(&record(10)).unwrap();
    drop(log);
    assert_eq!(place.verify(None).size, 4);
}

#[test]
fn what_nobody_waits_for_is_on_disk_before_what_somebody_waits_for() {
    let place = Place::new();
    let options = cofferdam_audit::log::Options {
        gather: Duration::from_secs(3600),
        ..Default::default()
    };
    let (log, _) = cofferdam_audit::log::Log::open(place.path(), place.key(), options).unwrap();
    let (told, hears) = std::sync::mpsc::channel();
    for number in 0..3 {
        let told = told.clone();
        log.submit_gathered(&record(number), move |index| told.send(index).unwrap())
            .unwrap();
    }
    assert_eq!(log.append(&record(3)).unwrap(), 3);
    let indices: Vec<u64> = hears.try_iter().map(Result::unwrap).collect();
    assert_eq!(indices, [0, 1, 2]);
    // What was in a hurry before lets nothing that comes after it be hasty.
    let journal = || std::fs::read(place.path().join("journal")).unwrap();
    let before = journal();
    let told = told.clone();
    log.submit_gathered(&record(4), move |index| told.send(index).unwrap())
        .unwrap();
    assert!(hears.recv_timeout(Duration::from_millis(50)).is_err());
    assert!(journal() == before);
    // Nor does closing wait, or lose anything.
    log.submit_gathered(&record(5), |_| {}).unwrap();
    drop(log);
    assert_eq!(place.verify(None).published, Some(6));
}

#[test]
fn what_nobody_waits_for_goes_to_the_disk_by_itself() {
    let place = Place::new();
    let (log, _) = place.open().unwrap();
    let (told, hears) = std::sync::mpsc::channel();
    log.submit_gathered(&record(0), move |index| told.send(index).unwrap())
        .unwrap();
    let index = hears.recv_timeout(Duration::from_secs(60)).unwrap();
    assert_eq!(index.unwrap(), 0);
}

#[test]
fn what_is_too_old_or_too_much_is_to_be_moved_in_whole_bundles() {
    let place = Place::with_entries(2000);
    let reader = Reader::open(place.path()).unwrap();
    // The times of these entries are their numbers.
    let first = |age: Option<u64>, entries: Option<u64>, now: u64, bundles: u64| {
        let age = age.map(Duration::from_millis);
        let keep = Keep { age, entries };
        keep.first(&reader, now, bundles).unwrap()
    };
    for (age, entries, now, bundles, expected) in [
        (None, None, 5000, 99, 0),
        (Some(1000), None, 1255, 99, 0),
        (Some(1000), None, 1256, 99, 256),
        (Some(1000), None, 2000, 99, 768),
        (Some(0), None, 9999, 99, 1792),
        (Some(u64::MAX), None, 9999, 99, 0),
        (None, Some(1745), 0, 99, 0),
        (None, Some(1744), 0, 99, 256),
        (None, Some(0), 0, 99, 1792),
        (None, Some(0), 0, 2, 512),
        (Some(1000), Some(1744), 0, 99, 256),
        (Some(1000), Some(1744), 2000, 99, 768),
    ] {
        let told = first(age, entries, now, bundles);
        assert_eq!(told, expected, "{age:?} {entries:?} {now} {bundles}");
    }
}

#[test]
fn what_was_moved_is_read_and_verified_where_the_archive_is_named() {
    let place = Place::new();
    let archive = tempfile::tempdir().unwrap();
    let key = place.key().verifying_key();
    let (log, _) = place.open().unwrap();
    fill(&log, 1000);
    log.rotate(512, Some(archive.path())).unwrap();
    drop(log);
    let reader = Reader::open(place.path()).unwrap();
    let reader = reader.with_archive(Some(archive.path()));
    assert_eq!(reader.first(), 0);
    // What the archive has is not to be moved again.
    let keep = Keep {
        age: None,
        entries: Some(0),
    };
    assert_eq!(keep.first(&reader, 0, 0).unwrap(), 512);
    assert_eq!(keep.first(&reader, 0, 1).unwrap(), 768);
    let read: Vec<Record> = reader
        .entries(0)
        .take(1000)
        .map(|entry| entry.unwrap().record().unwrap())
        .collect();
    assert_eq!(read, (0..1000).map(record).collect::<Vec<_>>());

    let verify =
        || cofferdam_audit::verify::verify(place.path(), Some(archive.path()), &key, None).unwrap();
    let report = verify();
    assert!(report.is_intact(), "{report:?}");
    assert_eq!((report.moved, report.archived), (0, 512));
    let moved = archive.path().join("tile/entries/001");
    let mut bytes = std::fs::read(&moved).unwrap();
    bytes[100] ^= 1;
    std::fs::write(&moved, &bytes).unwrap();
    assert!(!verify().is_intact());
    // What the archive has lost is still proved by its hashes.
    std::fs::remove_file(&moved).unwrap();
    let report = verify();
    assert!(report.is_intact(), "{report:?}");
    assert_eq!((report.moved, report.archived), (256, 256));
}

#[test]
fn whoever_reads_while_the_log_is_rotated_goes_on_with_what_is_still_here() {
    let place = Place::new();
    let (log, _) = place.open().unwrap();
    fill(&log, 1000);
    log.publish().unwrap();
    let reader = Reader::open(place.path()).unwrap();
    let mut entries = reader.entries(10);
    assert_eq!(entries.next().unwrap().unwrap().index, 10);
    log.rotate(700, None).unwrap();
    let read: Vec<u64> = entries.map(|entry| entry.unwrap().index).collect();
    assert_eq!(read, (11..256).chain(512..1000).collect::<Vec<_>>());
    // A bundle that is gone from the middle is no rotation.
    fill(&log, 1000);
    log.publish().unwrap();
    std::fs::remove_file(place.file("tile/entries/005")).unwrap();
    let reader = Reader::open(place.path()).unwrap();
    let last = reader.entries(1025).last();
    let failed = reader.entries(1025).any(|entry| entry.is_err());
    assert!(failed, "{last:?}");
}

#[test]
fn a_log_is_not_its_own_archive() {
    let place = Place::new();
    let (log, _) = place.open().unwrap();
    fill(&log, 600);
    let other = tempfile::tempdir().unwrap();
    let link = other.path().join("link");
    std::os::unix::fs::symlink(place.path(), &link).unwrap();
    for into in [place.path(), &link] {
        let refused = log.rotate(512, Some(into));
        assert!(matches!(refused, Err(Error::Io { .. })), "{refused:?}");
    }
    drop(log);
    assert_eq!(Reader::open(place.path()).unwrap().first(), 0);
    assert!(place.verify(None).is_intact());
}

#[test]
fn a_log_verifies_while_it_is_rotated() {
    let place = Place::new();
    let archive = tempfile::tempdir().unwrap();
    let (log, _) = place.open().unwrap();
    fill(&log, 4000);
    let rotating = std::thread::scope(|scope| {
        let rotating = scope.spawn(|| {
            for bundle in 1..=15 {
                log.rotate(bundle * 256, Some(archive.path())).unwrap();
            }
        });
        while !rotating.is_finished() {
            let report = place.verify(None);
            assert!(report.is_intact(), "{report:?}");
        }
        rotating.join()
    });
    rotating.unwrap();
    assert_eq!(place.verify(None).moved, 15 * 256);
}
