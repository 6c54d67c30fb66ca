//! The demo: the lab, scanned by the same library as any other service, and what follows.

mod fixes;
mod gate;
mod keep;
mod record;
mod walk;

use crate::exit::Exit;
use crate::input::Failure;
use crate::output;
use crate::progress::{Mode, Progress};
use cofferdam_assess::{AssessOptions, Assessment, DeploymentFile, Fix};
use cofferdam_finding::Confidence;
use cofferdam_lab::{Hole, Lab, LabOptions, Switches};
use cofferdam_report::TerminalOptions;
use cofferdam_scan::{Identity, Level, ScanOptions, Secret, Target};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;
use tokio_util::sync::CancellationToken;

/// Tells the story. It ends well when everything that it claims was seen.
pub(crate) async fn tell(
    out: &Path,
    quiet: bool,
    keep: bool,
    cancel: CancellationToken,
) -> Result<Exit, Failure> {
    let story = Story {
        out,
        progress: Mode::here(quiet),
        cancel,
    };
    story.tell(keep).await
}

struct Story<'a> {
    out: &'a Path,
    progress: Mode,
    cancel: CancellationToken,
}

/// A heading, and whether what stood under it was seen.
struct Ledger(Vec<(String, bool)>);

impl Ledger {
    fn note(&mut self, seen: bool, what: String) -> Result<(), Failure> {
        let line = format!("   {} {what}\n", if seen { "✓" } else { "✗" });
        self.0.push((what, seen));
        output::print(&line)
    }
}

impl Story<'_> {
    async fn tell(&self, keep: bool) -> Result<Exit, Failure> {
        let started = Instant::now();
        let mut ledger = Ledger(Vec::new());
        heading("1  The vulnerable lab: every hole open")?;
        let lab = start(Switches::all_open())?;
        for (hole, reason) in lab.absent_holes() {
            output::print(&format!("   absent on this machine: {hole} ({reason})\n"))?;
        }
        let vulnerable = self.assess(&lab).await?;
        self.write("vulnerable", &vulnerable)?;
        output::print(&cofferdam_report::terminal(
            &vulnerable,
            &TerminalOptions {
                colour: true,
                ..TerminalOptions::default()
            },
        ))?;
        let paths = host_paths(&vulnerable);
        ledger.note(paths > 0, format!("{paths} paths from a token to the host"))?;

        heading("2  The last edge, walked in the lab alone")?;
        match walk::walk(&lab, &vulnerable).await {
            Ok(walked) => {
                for line in &walked.lines {
                    output::print(&format!("   {line}\n"))?;
                }
                ledger.note(walked.on_the_host, walked.outcome)?;
            }
            Err(reason) => ledger.note(false, format!("the path could not be walked: {reason}"))?,
        }
        drop(lab);

        heading("3  The fixes, one by one")?;
        self.apply(&vulnerable, &mut ledger).await?;

        heading("4  The hardened lab: every hole closed")?;
        let lab = start(Switches::all_closed())?;
        let gated = lab
            .gated()
            .ok_or_else(|| Failure::new("the hardened lab has no gate"))?;
        let kept = record::checkpoint(gated).map_err(Failure::new)?;
        let hardened = self.assess(&lab).await?;
        self.write("hardened", &hardened)?;
        let firm = firm(&hardened).count();
        ledger.note(firm == 0, format!("{firm} findings at `firm` or above"))?;
        let left = host_paths(&hardened);
        ledger.note(left == 0, format!("{left} paths to the host"))?;
        let (reached, all) = coverage(&hardened);
        ledger.note(
            reached * 10 >= all * 9,
            format!("{reached} of {all} operations reached"),
        )?;
        let grade = hardened
            .grade
            .map_or("–".to_owned(), |grade| grade.to_string());
        let score = hardened
            .score
            .map_or("–".to_owned(), |score| score.to_string());
        output::print(&format!("   score {score}/100 {grade}\n"))?;

        heading("5  The same step at the gate, and what the broker wrote down")?;
        match gate::try_again(&lab, gated).await {
            Ok(tried) => show(&mut ledger, &tried.lines, tried.claims)?,
            Err(reason) => ledger.note(false, format!("the gate could not be tried: {reason}"))?,
        }
        match record::read(&lab, gated, &kept).await {
            Ok(written) => show(&mut ledger, &written.lines, written.claims)?,
            Err(reason) => ledger.note(false, format!("the log could not be read: {reason}"))?,
        }
        drop(lab);

        let failed = ledger.0.iter().filter(|(_, seen)| !seen).count();
        let verdict = if failed == 0 {
            format!(
                "the story holds: {} of {} claims seen",
                ledger.0.len(),
                ledger.0.len()
            )
        } else {
            format!("{failed} of {} claims were not seen", ledger.0.len())
        };
        output::print(&format!(
            "\n{verdict}, in {:.0} s. Reports: {}\n",
            started.elapsed().as_secs_f64(),
            ["vulnerable", "hardened"]
                .map(|twin| self
                    .out
                    .join(twin)
                    .join("report.html")
                    .display()
                    .to_string())
                .join(", "),
        ))?;
        if keep {
            keep::keep(&self.cancel).await?;
        }
        Ok(if failed == 0 {
            Exit::Clean
        } else {
            Exit::Error
        })
    }

    /// Applies the fixes one after the other and scans after each; then leaves out one at a time.
    async fn apply(&self, vulnerable: &Assessment, ledger: &mut Ledger) -> Result<(), Failure> {
        let fixes = &vulnerable.fixes;
        let closed: Vec<BTreeSet<Hole>> = fixes
            .iter()
            .map(|fix| fixes::closed_by(fix, vulnerable))
            .collect();
        let mut switches = Switches::all_open();
        let mut last = None;
        for (number, (fix, holes)) in fixes.iter().zip(&closed).enumerate() {
            holes.iter().for_each(|hole| switches.close(*hole));
            let lab = start(switches.clone())?;
            let after = self.assess(&lab).await?;
            let left = host_paths(&after);
            let done = number + 1 == fixes.len();
            let what = format!("fix {}: {} → {left} paths left", number + 1, line(fix));
            ledger.note((left == 0) == done, what)?;
            last = Some(after);
        }
        if let Some(after) = last {
            let stale = fixes::left_over(fixes, vulnerable, &after);
            let mut what = "nothing is left that the fixes should have removed".to_owned();
            if !stale.is_empty() {
                let _ = write!(what, ": but {}", stale.join(", "));
            }
            ledger.note(stale.is_empty(), what)?;
        }
        // With one fix, leaving it out is where the story began; with two, leaving out the last is
        // where it was after the first.
        for left_out in 0..fixes.len().saturating_sub(1) {
            let mut switches = Switches::all_open();
            for (number, holes) in closed.iter().enumerate() {
                if number != left_out {
                    holes.iter().for_each(|hole| switches.close(*hole));
                }
            }
            let lab = start(switches)?;
            let left = host_paths(&self.assess(&lab).await?);
            ledger.note(
                left > 0,
                format!("without fix {}: {left} paths are back", left_out + 1),
            )?;
        }
        Ok(())
    }

    async fn assess(&self, lab: &Lab) -> Result<Assessment, Failure> {
        let progress = Arc::new(Progress::new(self.progress));
        let drawn = Arc::clone(&progress);
        let assessment = cofferdam_assess::assess(
            options(lab)?,
            move |event| drawn.event(&event),
            self.cancel.clone(),
        )
        .await
        .map_err(Failure::new)?;
        progress.finish();
        if assessment.complete {
            Ok(assessment)
        } else {
            let why = assessment
                .incomplete_because
                .as_deref()
                .unwrap_or("a scan was cut short");
            Err(Failure::new(format!("the demo did not end: {why}")))
        }
    }

    fn write(&self, twin: &str, assessment: &Assessment) -> Result<(), Failure> {
        let folder = self.out.join(twin);
        for (name, text) in [
            ("report.html", cofferdam_report::html(assessment)),
            ("report.json", cofferdam_report::json(assessment)),
            ("report.sarif", cofferdam_report::sarif(assessment)),
        ] {
            output::write_file(&folder.join(name), &text)?;
        }
        Ok(())
    }
}

fn start(switches: Switches) -> Result<Lab, Failure> {
    let options = LabOptions {
        switches,
        shell_helper: std::env::current_exe().ok(),
        ..LabOptions::default()
    };
    Lab::start(options).map_err(Failure::chain)
}

/// What a scan of the lab is told: what its owner could tell about any service.
fn options(lab: &Lab) -> Result<AssessOptions, Failure> {
    let target = Target::parse(&lab.base_url()).map_err(Failure::new)?;
    let mut scan = ScanOptions::new(target);
    scan.identities = lab
        .identities()
        .iter()
        .map(|(name, token)| Identity::new(name, token))
        .collect();
    scan.signing_key = Some(Secret::new(lab.signing_key_pem()));
    scan.level = Level::Active;
    scan.internal = true;
    let deployment = lab
        .deployment_files()
        .iter()
        .map(|path| {
            let name = path.file_name().unwrap_or(path.as_os_str());
            let name = name.to_string_lossy().into_owned();
            Ok(DeploymentFile {
                name,
                text: crate::input::text(path)?,
            })
        })
        .collect::<Result<_, Failure>>()?;
    Ok(AssessOptions {
        scan,
        deployment,
        service: None,
    })
}

/// Prints what was seen, and notes what was claimed.
fn show(
    ledger: &mut Ledger,
    lines: &[String],
    claims: impl IntoIterator<Item = (bool, String)>,
) -> Result<(), Failure> {
    for line in lines {
        output::print(&format!("   {line}\n"))?;
    }
    for (seen, claim) in claims {
        ledger.note(seen, claim)?;
    }
    Ok(())
}

fn heading(text: &str) -> Result<(), Failure> {
    let style = anstyle::Style::new().bold();
    output::print(&format!("\n{style}{text}{style:#}\n"))
}

fn firm(assessment: &Assessment) -> impl Iterator<Item = &cofferdam_finding::Finding> {
    assessment
        .findings
        .iter()
        .filter(|finding| finding.confidence >= Confidence::Firm)
}

/// The paths to the host that are at least firm.
fn host_paths(assessment: &Assessment) -> usize {
    assessment
        .paths_to_host()
        .filter(|path| path.confidence >= Confidence::Firm)
        .count()
}

fn coverage(assessment: &Assessment) -> (usize, usize) {
    let reached = assessment
        .operations
        .iter()
        .filter(|operation| operation.reached)
        .count();
    (reached, assessment.operations.len())
}

fn line(fix: &Fix) -> String {
    match &fix.place {
        Some(place) => format!("{place}: {}", fix.title),
        None => fix.title.clone(),
    }
}
