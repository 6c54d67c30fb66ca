//! Style rules that grey what falls when fixes are chosen. No script: a chosen fix is a checked box,
//! and `:has()` sees it.
//!
//! A path falls when one of the fixes that cut it is chosen; an edge or a station falls when every
//! drawn path through it does. In CSS a list inside one `:has()` is *or*, and a chain is *and*.

use super::graph::Graph;
use cofferdam_assess::Assessment;
use cofferdam_finding::State;
use std::fmt::Write;

/// The rules for this assessment. They name only indexes, never a text of the report.
pub(super) fn rules(assessment: &Assessment, graph: Option<&Graph>) -> String {
    let mut css = String::new();
    for index in 0..assessment.paths.len() {
        if let Some(condition) = condition(assessment, &[index]) {
            let path = format!("{condition} .p{index}");
            let _ = write!(
                css,
                "{path}>:not(summary){{opacity:.4}}{path} .fallen{{display:inline-block}}\
                 {path}>summary .title{{color:var(--faint);text-decoration:line-through}}"
            );
        }
    }
    if let Some(graph) = graph {
        for (index, edge) in graph.edges.iter().enumerate() {
            rule(
                &mut css,
                &condition(assessment, &edge.paths),
                &format!(":is(.edge.e{index},.sign.e{index}>text)"),
            );
        }
        for (index, station) in graph.stations.iter().enumerate() {
            // Where the attacker starts stays.
            if !station.start {
                rule(
                    &mut css,
                    &condition(assessment, &station.paths),
                    &format!(".n{index}"),
                );
            }
        }
    }
    for index in 0..assessment.fixes.len() {
        let scissors = format!(":root:has(#x{index}:checked) .scissors.f{index}");
        let _ = write!(
            css,
            "{scissors} rect{{fill:var(--cut)}}{scissors} use{{stroke:var(--card)}}\
             {scissors} .number{{fill:var(--card)}}"
        );
    }
    let level = assessment.fixed_level();
    let to_host: Vec<usize> = (0..assessment.paths.len())
        .filter(|index| {
            let path = &assessment.paths[*index];
            path.to == State::Host && path.confidence >= level
        })
        .collect();
    if let Some(all) = condition(assessment, &to_host) {
        let _ = write!(
            css,
            "{all} .open{{display:none}}{all} .closed{{display:block}}"
        );
    }
    css
}

fn rule(css: &mut String, condition: &Option<String>, what: &str) {
    if let Some(condition) = condition {
        let _ = write!(css, "{condition} {what}{{opacity:.3}}");
    }
}

/// When all of `paths` have fallen; `None` when one of them no fix cuts, or there are none.
fn condition(assessment: &Assessment, paths: &[usize]) -> Option<String> {
    if paths.is_empty() {
        return None;
    }
    let mut selector = ":root".to_owned();
    let level = assessment.fixed_level();
    for index in paths {
        let path = assessment.paths.get(*index)?;
        let id = &path.id;
        let cutting: Vec<String> = assessment
            .fixes
            .iter()
            .enumerate()
            .filter(|(_, fix)| fix.cuts.contains(id))
            .map(|(fix, _)| format!("#x{fix}:checked"))
            .collect();
        let tests = if !cutting.is_empty() {
            vec![format!(":has({})", cutting.join(","))]
        } else if path.to == State::Host && path.confidence >= level && !assessment.fixes.is_empty()
        {
            // A step with two ways falls when both are closed: the set cuts what none cuts alone.
            (0..assessment.fixes.len())
                .map(|fix| format!(":has(#x{fix}:checked)"))
                .collect()
        } else {
            return None;
        };
        for test in tests {
            // Paths that fall with the same fixes need the test once.
            if !selector.contains(&test) {
                selector.push_str(&test);
            }
        }
    }
    Some(selector)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    #[test]
    fn a_path_falls_with_any_of_its_fixes_and_an_edge_with_all_of_its_paths() {
        let assessment = fixture::vulnerable();
        assert_eq!(
            condition(&assessment, &[0]).as_deref(),
            Some(":root:has(#x0:checked,#x1:checked)")
        );
        assert_eq!(
            condition(&assessment, &[0, 1]).as_deref(),
            Some(":root:has(#x0:checked,#x1:checked):has(#x1:checked)")
        );
        assert_eq!(condition(&assessment, &[0, 2]), None);
        assert_eq!(condition(&assessment, &[]), None);
    }

    #[test]
    fn a_path_that_no_fix_cuts_alone_falls_with_the_whole_set() {
        let mut assessment = fixture::vulnerable();
        for fix in &mut assessment.fixes {
            fix.cuts.clear();
        }
        assert_eq!(
            condition(&assessment, &[0]).as_deref(),
            Some(":root:has(#x0:checked):has(#x1:checked)")
        );
        assert_eq!(
            condition(&assessment, &[1]),
            None,
            "the set does not cut tentative paths"
        );
    }
}
