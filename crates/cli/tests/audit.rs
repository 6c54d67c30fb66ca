//! `cofferdam audit`: what it answers, end to end.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod common;
#[path = "common/engine.rs"]
mod engine;

use cofferdam_audit::log::{Log, Options};
use cofferdam_audit::note::SigningKey;
use cofferdam_audit::record::{Decision, Event, Record, Who};
use common::Cofferdam;
use serde_json::Value;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::atomic::{AtomicBool, Ordering};

/// A folder with a broker's configuration, its audit key, and its log below `state`.
struct Place {
    cofferdam: Cofferdam,
    key: String,
}

impl Place {
    fn new() -> Self {
        let cofferdam = Cofferdam::new();
        let made = cofferdam.run(&["audit", "new-key", "audit.example", "audit.key"]);
        assert_eq!(made.status.code(), Some(0), "{}", text(&made.stderr));
        let root = cofferdam.folder.path().display().to_string();
        cofferdam.file(
            "broker.toml",
            &format!(
                "state = \"{root}/state\"\naudit_key = \"{root}/audit.key\"\n\
                 socket = \"{root}/socket\"\nengine = \"/run/docker.sock\"\n\
                 [[issuer]]\nissuer = \"https://i\"\naudience = \"a\"\nkeys = \"{root}/keys\"\n"
            ),
        );
        std::fs::create_dir(cofferdam.folder.path().join("state")).unwrap();
        Self {
            cofferdam,
            key: text(&made.stdout).trim().to_owned(),
        }
    }

    fn dir(&self) -> PathBuf {
        self.cofferdam.folder.path().join("state/audit")
    }

    fn open(&self) -> Log {
        let secret =
            std::fs::read_to_string(self.cofferdam.folder.path().join("audit.key")).unwrap();
        let key = SigningKey::parse(&secret).unwrap();
        Log::open(&self.dir(), key, Options::default()).unwrap().0
    }

    /// A log of so many requests, two records each, closed.
    fn with_requests(count: u64) -> Self {
        let place = Self::new();
        let log = place.open();
        for number in 0..count {
            log.submit(&intent(number), |done| {
                let _index = done.unwrap();
            })
            .unwrap();
            log.submit(&outcome(number), |done| {
                let _index = done.unwrap();
            })
            .unwrap();
        }
        log.publish().unwrap();
        place
    }

    /// Runs `cofferdam audit` on the log.
    fn audit(&self, args: &[&str]) -> Output {
        let mut all = vec!["audit", args[0], "--config", "broker.toml"];
        all.extend(&args[1..]);
        self.cofferdam.run(&all)
    }

    fn json_lines(&self, args: &[&str]) -> Vec<Value> {
        let mut args = args.to_vec();
        args.push("--json");
        let output = self.audit(&args);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        text(&output.stdout)
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    fn code(&self, args: &[&str]) -> Option<i32> {
        self.audit(args).status.code()
    }
}

fn decision(number: u64) -> Decision {
    let subject = if number.is_multiple_of(3) {
        "bob"
    } else {
        "alice"
    };
    Decision {
        request: format!("r{number}"),
        who: Who {
            issuer: "https://idp.example".to_owned(),
            subject: subject.to_owned(),
            token_sha256: "ab".repeat(32),
            ..Who::default()
        },
        action: "container.create".to_owned(),
        objects: vec![format!("app-{number}")],
        policies: vec!["runner-create".to_owned()],
        ..Decision::default()
    }
}

fn intent(number: u64) -> Record {
    Record {
        time_ms: 1_795_521_600_000 + number * 1000,
        event: Event::Intent(decision(number)),
    }
}

fn outcome(number: u64) -> Record {
    Record {
        time_ms: 1_795_521_600_500 + number * 1000,
        event: Event::Outcome {
            request: format!("r{number}"),
            success: true,
            detail: "201".to_owned(),
            created: vec![format!("{number:064x}")],
        },
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Every file below a folder but the lock, which says nothing.
fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(files(&path)),
            false if path.ends_with("lock") => {}
            false => found.push(path),
        }
    }
    found.sort();
    found
}

#[test]
fn the_last_records_are_printed_for_people_and_for_programs() {
    let place = Place::with_requests(20);
    let output = text(&place.audit(&["tail", "-n", "2"]).stdout);
    assert_eq!(
        output,
        format!(
            "    38  2026-11-24T12:00:19.000Z  intent   alice  container.create  app-19  by runner-create  [r19]\n    \
             39  2026-11-24T12:00:19.500Z  done     201  made {:064x}  [r19]\n",
            19
        )
    );
    let lines = place.json_lines(&["tail", "-n", "3"]);
    assert_eq!(lines.len(), 3);
    assert_eq!(lines[1]["index"], 38);
    assert_eq!(lines[1]["event"], "intent");
    assert_eq!(lines[1]["who"]["subject"], "alice");
    assert_eq!(lines[2]["request"], "r19");
}

#[test]
fn a_search_finds_whole_requests_by_either_of_their_records() {
    let place = Place::with_requests(300);
    let indexes = |args: &[&str]| -> Vec<u64> {
        place
            .json_lines(args)
            .iter()
            .map(|line| line["index"].as_u64().unwrap())
            .collect()
    };
    assert_eq!(indexes(&["search", "--request", "r7"]), [14, 15]);
    assert_eq!(indexes(&["search", "--object", "app-200"]), [400, 401]);
    let made = format!("{:064x}", 200);
    assert_eq!(indexes(&["search", "--object", &made]), [400, 401]);
    assert_eq!(indexes(&["search", "--subject", "bob"]).len(), 200);
    assert_eq!(
        indexes(&["search", "--subject", "bob", "--object", "app-1"]),
        [0u64; 0]
    );
    let until = ["search", "--until", "2026-11-24T12:00:02Z"];
    assert_eq!(indexes(&until), [0, 1, 2, 3]);
    assert_eq!(indexes(&["search", "--refused"]), [0u64; 0]);
    assert_eq!(place.code(&["search", "--since", "yesterday"]), Some(2));
}

#[test]
fn a_log_that_is_followed_prints_what_is_appended() {
    let place = Place::with_requests(1);
    let log = place.open();
    let args = ["audit", "tail", "-f", "-n", "1", "--config", "broker.toml"];
    let mut child = place.cofferdam.command(&args).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.next().unwrap().unwrap().contains("[r0]"));
    for number in 1..4 {
        log.append(&intent(number)).unwrap();
        let line = lines.next().unwrap().unwrap();
        assert!(line.contains(&format!("[r{number}]")), "{line}");
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_record_is_proved_to_somebody_who_has_the_key_alone() {
    let place = Place::with_requests(300);
    assert_eq!(text(&place.audit(&["key"]).stdout).trim(), place.key);
    assert_eq!(place.code(&["prove", "r150", "--out", "intent"]), Some(0));
    assert_eq!(
        place.code(&["prove", "r150", "--outcome", "--out", "outcome"]),
        Some(0)
    );
    assert_eq!(place.code(&["prove", "599", "--out", "last"]), Some(0));
    assert_eq!(place.code(&["prove", "r300"]), Some(2));
    let check = |file: &str, key: &str| {
        let args = ["audit", "verify", "--proof", file, "--key", key, "--json"];
        place.cofferdam.run(&args)
    };
    for (file, index) in [("intent", 300), ("outcome", 301), ("last", 599)] {
        let output = check(file, &place.key);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        let record: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(record["index"], index);
    }
    let other = place
        .cofferdam
        .run(&["audit", "new-key", "audit.example", "other.key"]);
    assert_eq!(
        check("intent", text(&other.stdout).trim()).status.code(),
        Some(1)
    );

    // Any changed character of the proof is found, wherever it is.
    let proof = std::fs::read_to_string(place.cofferdam.folder.path().join("intent")).unwrap();
    for at in (0..proof.len()).step_by(41) {
        let mut changed = proof.clone().into_bytes();
        changed[at] ^= 1;
        std::fs::write(place.cofferdam.folder.path().join("changed"), changed).unwrap();
        let output = check("changed", &place.key);
        assert_ne!(output.status.code(), Some(0), "byte {at}");
    }
}

#[test]
fn a_log_verifies_while_it_is_written() {
    let place = Place::with_requests(200);
    let log = place.open();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0.. {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                log.append(&intent(number)).unwrap();
                if number % 50 == 0 {
                    log.publish().unwrap();
                }
            }
        });
        let mut said = Vec::new();
        for _ in 0..20 {
            let kept = place.audit(&["checkpoint"]).stdout;
            place.cofferdam.file("kept", &text(&kept));
            let output = place.audit(&["verify", "--against", "kept"]);
            if output.status.code() != Some(0) {
                said.push(text(&output.stdout));
            }
        }
        // Before the judgement, or a failure would leave the writer running.
        stop.store(true, Ordering::Relaxed);
        assert!(said.is_empty(), "{said:?}");
    });
}

#[test]
fn old_records_move_away_once_the_broker_is_stopped_and_the_log_still_verifies() {
    let place = Place::with_requests(300);
    let kept = place.audit(&["checkpoint"]).stdout;
    place.cofferdam.file("kept", &text(&kept));
    let rotate = [
        "rotate",
        "--before",
        "2026-11-24T12:04:59Z",
        "--into",
        "old",
    ];
    let log = place.open();
    let output = place.audit(&rotate);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("stop the broker first"));
    drop(log);
    let output = place.audit(&rotate);
    assert_eq!(
        text(&output.stdout),
        "moved 512 records; the first that is here is 512\n"
    );
    assert_eq!(place.code(&["verify", "--against", "kept"]), Some(0));
    assert_eq!(place.json_lines(&["search", "--request", "r299"]).len(), 2);

    // What is not here any more is said, and read where the archive is named.
    let search = |more: &[&str]| {
        let mut args = vec!["search", "--request", "r1"];
        args.extend(more);
        let output = place.audit(&args);
        assert_eq!(output.status.code(), Some(0));
        (text(&output.stdout).lines().count(), text(&output.stderr))
    };
    let (found, said) = search(&[]);
    assert_eq!(found, 0);
    assert!(said.contains("records below 512 were moved away"), "{said}");
    let recent = search(&["--since", "2026-11-24T12:04:59Z"]);
    assert_eq!(recent, (0, String::new()));
    assert_eq!(search(&["--archive", "old"]), (2, String::new()));
    for which in ["3", "r1"] {
        let refused = place.audit(&["prove", which]);
        assert_eq!(refused.status.code(), Some(2));
        let said = text(&refused.stderr);
        assert!(said.contains("--archive DIR"), "{said}");
        let proved = place.audit(&["prove", which, "--archive", "old", "--out", "proof"]);
        assert_eq!(proved.status.code(), Some(0), "{}", text(&proved.stderr));
        let check = ["audit", "verify", "--proof", "proof", "--key", &place.key];
        assert_eq!(place.cofferdam.run(&check).status.code(), Some(0));
    }
    let verified = |more: &[&str]| {
        let mut args = vec!["verify", "--against", "kept"];
        args.extend(more);
        text(&place.audit(&args).stdout)
    };
    let said = verified(&[]);
    assert!(said.contains("512 entries were moved away"), "{said}");
    let said = verified(&["--archive", "old"]);
    assert!(
        said.contains("512 entries were moved to the archive, and checked there"),
        "{said}"
    );
    assert_eq!(place.code(&["verify", "--archive", "nowhere"]), Some(2));

    // The configuration of a broker that rotates by itself says where it moves them.
    let config = place.cofferdam.folder.path().join("broker.toml");
    let audit = "[audit]\nkeep = \"90d\"\narchive = \"old\"\n";
    let with = std::fs::read_to_string(&config).unwrap() + audit;
    std::fs::write(config, with).unwrap();
    assert_eq!(search(&[]), (2, String::new()));
    assert!(verified(&[]).contains("checked there"));
    // An archive that has been put away, or is another's, leaves the log as it is.
    std::fs::rename(
        place.cofferdam.folder.path().join("old"),
        place.cofferdam.folder.path().join("away"),
    )
    .unwrap();
    let (found, said) = search(&[]);
    assert!(found == 0 && said.contains("records below 512"), "{said}");
    assert_eq!(place.code(&["verify"]), Some(0));
}

#[test]
fn a_log_is_not_rotated_by_somebody_whose_files_the_broker_could_not_open() {
    let place = Place::with_requests(300);
    let other = 64_002;
    if std::os::unix::fs::chown(place.dir(), Some(other), None).is_err() {
        // And only root is to be kept from this.
        let test = "a log of another user's is not rotated";
        engine::say_skipped(test, "only root can give a directory away");
        return;
    }
    let before = files(&place.dir());
    let output = place.audit(&["rotate", "--before", "0s", "--into", "old"]);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("sudo -u"), "{said}");
    assert_eq!(files(&place.dir()), before);
    assert!(!place.cofferdam.folder.path().join("old").exists());
}

/// Numbers that look random and are the same in every run (xorshift).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }
}

#[test]
fn whatever_is_changed_cut_off_put_in_or_removed_is_found() {
    let place = Place::with_requests(300);
    let kept = place.audit(&["checkpoint"]).stdout;
    place.cofferdam.file("kept", &text(&kept));
    let verify = || place.audit(&["verify", "--against", "kept"]);
    assert_eq!(verify().status.code(), Some(0));
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    let mut tried = 0;
    for path in files(&place.dir()) {
        let sound = std::fs::read(&path).unwrap();
        let mut try_bytes = |bytes: Option<&[u8]>, what: &str| {
            match bytes {
                Some(bytes) => std::fs::write(&path, bytes).unwrap(),
                None => std::fs::remove_file(&path).unwrap(),
            }
            let output = verify();
            assert_eq!(
                output.status.code(),
                Some(1),
                "{what} of `{}` was not found: {}{}",
                path.display(),
                text(&output.stdout),
                text(&output.stderr)
            );
            tried += 1;
        };
        for _ in 0..6 {
            let at = numbers.below(sound.len());
            let mut bytes = sound.clone();
            bytes[at] ^= 1 << numbers.below(8);
            try_bytes(Some(&bytes), &format!("a flipped bit in byte {at}"));

            let (from, to) = (numbers.below(sound.len()), numbers.below(sound.len()));
            let mut bytes = sound.clone();
            bytes.swap(from, to);
            if bytes != sound {
                try_bytes(
                    Some(&bytes),
                    &format!("bytes {from} and {to} in one another's place"),
                );
            }

            let at = numbers.below(sound.len());
            let mut bytes = sound.clone();
            bytes.remove(at);
            try_bytes(Some(&bytes), &format!("byte {at} removed"));
            bytes.insert(at, sound[at]);
            bytes.insert(at, sound[at].wrapping_add(1));
            try_bytes(Some(&bytes), &format!("a byte more at {at}"));

            let at = numbers.below(sound.len());
            try_bytes(
                Some(&sound[..at]),
                &format!("what is after byte {at} cut off"),
            );
        }
        try_bytes(Some(&[]), "all");
        try_bytes(None, "the whole");
        std::fs::write(&path, &sound).unwrap();
    }
    assert!(tried > 100, "{tried}");
    assert_eq!(verify().status.code(), Some(0));
}

#[test]
fn an_older_state_of_the_whole_log_shows_against_a_kept_checkpoint() {
    let place = Place::with_requests(20);
    let old: Vec<(PathBuf, Vec<u8>)> = files(&place.dir())
        .into_iter()
        .map(|path| (path.clone(), std::fs::read(&path).unwrap()))
        .collect();
    let log = place.open();
    log.append(&intent(20)).unwrap();
    drop(log);
    let kept = place.audit(&["checkpoint"]).stdout;
    place.cofferdam.file("kept", &text(&kept));
    for path in files(&place.dir()) {
        std::fs::remove_file(path).unwrap();
    }
    for (path, bytes) in old {
        std::fs::write(path, bytes).unwrap();
    }
    let alone = place.audit(&["verify"]);
    assert_eq!(alone.status.code(), Some(0));
    assert!(text(&alone.stdout).contains("not compared with a kept checkpoint"));
    let output = place.audit(&["verify", "--against", "kept"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        text(&output.stdout).contains("the kept checkpoint has 41 entries, and there are 40"),
        "{}",
        text(&output.stdout)
    );
}

#[test]
fn a_changed_record_is_named_by_its_number() {
    let place = Place::with_requests(300);
    let path = place.dir().join("tile/entries/000");
    let bytes = std::fs::read(&path).unwrap();
    let at = bytes.windows(7).position(|it| it == b"app-100").unwrap();
    let mut changed = bytes;
    changed[at + 6] = b'1';
    std::fs::write(&path, changed).unwrap();
    let output = place.audit(&["verify", "--json"]);
    assert_eq!(output.status.code(), Some(1));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["intact"], false);
    assert_eq!(report["faults"][0]["index"], 200);
}

#[test]
fn without_a_log_a_key_or_sense_the_answer_is_2() {
    let place = Place::with_requests(1);
    assert_eq!(
        place.cofferdam.run(&["audit", "tail"]).status.code(),
        Some(2)
    );
    let dir = place.dir().display().to_string();
    let run = |args: &[&str]| place.cofferdam.run(args).status.code();
    assert_eq!(run(&["audit", "tail", "--log", &dir]), Some(0));
    assert_eq!(run(&["audit", "verify", "--log", &dir]), Some(2));
    assert_eq!(
        run(&["audit", "verify", "--log", &dir, "--key", &place.key]),
        Some(0)
    );
    assert_eq!(
        run(&["audit", "verify", "--log", "nowhere", "--key", &place.key]),
        Some(2)
    );
    assert_eq!(
        run(&["audit", "verify", "--log", &dir, "--key", "nothing"]),
        Some(2)
    );
    assert_eq!(run(&["audit", "verify", "--proof", "x"]), Some(2));
    place.cofferdam.file("kept", "no note\n");
    assert_eq!(place.code(&["verify", "--against", "kept"]), Some(2));
}
