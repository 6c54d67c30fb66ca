//! The readers of `cofferdam-audit`: what a damaged or forged log's directory holds, and texts.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex, PoisonError};

use cofferdam_audit::checkpoint::SignedCheckpoint;
use cofferdam_audit::log::{Log, Options};
use cofferdam_audit::note::{SigningKey, VerifyingKey};
use cofferdam_audit::proof::{self, Inclusion};
use cofferdam_audit::reader::Reader;
use cofferdam_audit::record::{Event, Record};
use cofferdam_audit::verify::verify;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use crate::Target;

/// The targets of this file.
pub const TARGETS: &[Target] = &[
    Target {
        name: "audit_directory",
        run: directory,
        seeds: &[
            b"",
            b"\x00\x02\x00\x10\xff\0\0\0",
            b"\x04\0\0\0\x00\x00\x02\x00\x07\0\0\0\0\0\0\x01",
            b"\x01\x01\x00\x40\0\0\0\0\x02\x03\0\0\0\0\0\0\x06\x01\x00\x02\0\0\0\0",
        ],
    },
    Target {
        name: "audit_text",
        run: text,
        seeds: &[
            b"log.example\n1\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\n\xe2\x80\x94 log.example AAAAAAA=\n",
            b"log.example+0a0b0c0d+AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
            b"c2sp.org/tlog-proof@v1\nindex 3\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\nlog.example\n4\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\n\xe2\x80\x94 log.example AAAAAAA=\n",
            br#"{"time_ms":1,"event":"notice","text":"x"}"#,
        ],
    },
];

/// Entries of the log that is damaged: a full bundle and some in the journal.
const ENTRIES: usize = 260;

/// A sound log, its files as they were, and the last checkpoint.
struct Sound {
    dir: TempDir,
    files: BTreeMap<PathBuf, Vec<u8>>,
    key: VerifyingKey,
    last: SignedCheckpoint,
}

static SOUND: LazyLock<Mutex<Sound>> = LazyLock::new(|| {
    let dir = tempfile::tempdir().expect("a directory");
    let key = SigningKey::generate("log.example").expect("a key");
    let verifying = key.verifying_key();
    let (log, _) = Log::open(dir.path(), key, Options::default()).expect("a log");
    for index in 0..ENTRIES {
        let event = Event::Notice {
            text: format!("entry {index}"),
        };
        log.append(&Record { time_ms: 1, event }).expect("an entry");
    }
    let last = log.publish().expect("a checkpoint");
    drop(log);
    let mut files = BTreeMap::new();
    collect(dir.path(), dir.path(), &mut files);
    Mutex::new(Sound {
        dir,
        files,
        key: verifying,
        last,
    })
});

fn collect(root: &Path, at: &Path, files: &mut BTreeMap<PathBuf, Vec<u8>>) {
    for entry in fs::read_dir(at).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            collect(root, &path, files);
        } else {
            let name = path.strip_prefix(root).expect("below").to_owned();
            files.insert(name, fs::read(&path).expect("a file"));
        }
    }
}

/// A sound log with a few changes, eight bytes each. Whoever reads it comes to an end, and what
/// passes against the kept checkpoint is the log that was kept.
pub fn directory(data: &[u8]) {
    let sound = SOUND.lock().unwrap_or_else(PoisonError::into_inner);
    let mut files = sound.files.clone();
    for change in data.as_chunks::<8>().0.iter().take(32) {
        apply(&mut files, change);
    }
    write(&sound, &files);
    let dir = sound.dir.path();
    if let Ok(report) = verify(dir, None, &sound.key, Some(&sound.last.note))
        && report.is_intact()
    {
        let kept = &sound.last.checkpoint;
        assert!(report.size >= kept.size);
        assert!(report.size > kept.size || report.root == kept.root);
    }
    if let Ok(reader) = Reader::open(dir) {
        let count = reader.entries(0).filter_map(Result::ok).count();
        assert!(count as u64 <= reader.len());
        let _ = reader.tail(3).count();
    }
    if let Ok(inclusion) = proof::prove(dir, 3, &sound.key) {
        let _ = inclusion.check(b"entry", &sound.key);
    }
    let _ = proof::prove_growth(dir, 7, &sound.key);
    write(&sound, &sound.files);
}

fn apply(files: &mut BTreeMap<PathBuf, Vec<u8>>, change: &[u8; 8]) {
    let [op, file, high, low, value @ ..] = *change;
    let names: Vec<PathBuf> = files.keys().cloned().collect();
    let Some(name) = names.get(usize::from(file) % names.len().max(1)) else {
        return;
    };
    let journal = Path::new("journal");
    let at = usize::from(u16::from_be_bytes([high, low]));
    let bytes = files.get_mut(name).expect("a file of the list");
    match op % 8 {
        0 if !bytes.is_empty() => {
            let at = at % bytes.len();
            bytes[at] = value[0];
        }
        1 => bytes.truncate(at % (bytes.len() + 1)),
        2 => drop(files.remove(name)),
        3 => bytes.extend_from_slice(&value),
        // Another base, with a head that is whole.
        4 => {
            if let Some(journal) = files.get_mut(journal) {
                let [a, b, c, d] = value;
                set(journal, 8, &[a, b, 0, 0, 0, 0, c, d]);
                seal(journal);
            }
        }
        // Another note in a head that is whole.
        5 => {
            if let Some(journal) = files.get_mut(journal) {
                set(journal, 20 + at % 200, &value);
                seal(journal);
            }
        }
        6 => {
            let copy = bytes.clone();
            let to = names[at % names.len()].clone();
            files.insert(to, copy);
        }
        // A frame more, whole as its hash says.
        _ => {
            if let Some(journal) = files.get_mut(journal) {
                let body = vec![value[0]; at % 600];
                let mut frame = b"CFB1".to_vec();
                frame.extend_from_slice(&(body.len() as u32).to_be_bytes());
                frame.extend_from_slice(&u32::from_be_bytes(value).to_be_bytes());
                frame.extend_from_slice(&body);
                let hash = Sha256::digest(&frame);
                frame.extend_from_slice(&hash);
                journal.extend_from_slice(&frame);
            }
        }
    }
}

fn set(bytes: &mut [u8], at: usize, value: &[u8]) {
    if let Some(place) = bytes.get_mut(at..at + value.len()) {
        place.copy_from_slice(value);
    }
}

/// Makes the head of a journal whole again.
fn seal(journal: &mut [u8]) {
    let length = journal
        .get(16..20)
        .and_then(|it| <[u8; 4]>::try_from(it).ok())
        .map(u32::from_be_bytes);
    let end = 20 + length.unwrap_or_default() as usize;
    if journal.len() >= end + 32 {
        let hash = Sha256::digest(&journal[..end]);
        journal[end..end + 32].copy_from_slice(&hash);
    }
}

/// Writes what differs from the sound log, or is missing of it.
fn write(sound: &Sound, files: &BTreeMap<PathBuf, Vec<u8>>) {
    for name in sound.files.keys() {
        let path = sound.dir.path().join(name);
        match files.get(name) {
            Some(bytes) if fs::read(&path).is_ok_and(|there| there == *bytes) => {}
            Some(bytes) => fs::write(&path, bytes).expect("a file"),
            None => drop(fs::remove_file(&path)),
        }
    }
}

/// Notes, keys, proofs and records.
pub fn text(data: &[u8]) {
    if let Ok(record) = Record::decode(data)
        && let Ok(bytes) = record.encode()
    {
        assert_eq!(Record::decode(&bytes).expect("a record"), record);
    }
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let sound = SOUND.lock().unwrap_or_else(PoisonError::into_inner);
    // Nobody has signed anything.
    assert!(SignedCheckpoint::open(text, &sound.key).is_err());
    let _ = VerifyingKey::parse(text);
    let _ = SigningKey::parse(text);
    if let Ok(proof) = Inclusion::parse(text) {
        assert_eq!(
            Inclusion::parse(&proof.to_text()).as_ref().ok(),
            Some(&proof)
        );
        assert!(proof.check(b"entry", &sound.key).is_err());
        // The same proof for what was signed.
        let proof = Inclusion {
            note: sound.last.note.clone(),
            ..proof
        };
        assert!(proof.check(b"entry", &sound.key).is_err());
    }
}
