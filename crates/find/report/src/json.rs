//! The model as JSON. The schema is `docs/reference/report.schema.json`.

use crate::visible;
use cofferdam_assess::Assessment;

/// Renders `assessment` as indented JSON with a line feed at its end.
///
/// The data are those of the model. Control and format characters are written as JSON escapes, so
/// that the file can be shown on a terminal as it is.
pub fn json(assessment: &Assessment) -> String {
    #[expect(
        clippy::expect_used,
        reason = "the model has only string keys and no serializer of its own that could fail"
    )]
    let text = serde_json::to_string_pretty(assessment).expect("the model becomes JSON");
    visible::json(&text) + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;
    use serde_json::{Value, json};

    const SCHEMA: &str = include_str!("../../../../docs/reference/report.schema.json");

    fn schema() -> jsonschema::Validator {
        let schema: Value = serde_json::from_str(SCHEMA).unwrap();
        jsonschema::draft202012::meta::validate(&schema).unwrap();
        jsonschema::draft202012::new(&schema).unwrap()
    }

    fn written(assessment: &Assessment) -> Value {
        serde_json::from_str(&json(assessment)).unwrap()
    }

    #[test]
    fn every_report_is_valid_by_the_committed_schema() {
        let schema = schema();
        for assessment in fixture::all() {
            let report = written(&assessment);
            let errors: Vec<String> = schema
                .iter_errors(&report)
                .map(|error| format!("{}: {error}", error.instance_path()))
                .collect();
            assert!(errors.is_empty(), "{errors:#?}");
        }
    }

    #[test]
    fn the_schema_refuses_what_is_no_report_and_allows_members_of_later_versions() {
        let schema = schema();
        let report = written(&fixture::vulnerable());
        for name in report.as_object().unwrap().keys() {
            if matches!(
                name.as_str(),
                "deployment" | "assumed" | "incomplete_because"
            ) {
                continue;
            }
            let mut less = report.clone();
            less.as_object_mut().unwrap().remove(name);
            assert!(!schema.is_valid(&less), "without `{name}`");
        }
        let mut more = report.clone();
        more["later"] = json!({"x": 1});
        more["findings"][0]["later"] = json!(true);
        more["paths"][0]["steps"][0]["later"] = json!([]);
        assert!(schema.is_valid(&more));
        for (pointer, wrong) in [
            ("/score", json!(101)),
            ("/grade", json!("E")),
            ("/started", json!(17)),
            ("/findings/0/severity", json!("severe")),
            ("/findings/0/evidence", json!([])),
            ("/findings/0/fingerprint", json!("http://127.0.0.1:4711")),
            ("/paths/0/steps", json!([])),
            ("/paths/0/confidence", json!("sure")),
            ("/operations/0/reached", json!("yes")),
        ] {
            let mut bad = report.clone();
            *bad.pointer_mut(pointer).unwrap() = wrong;
            assert!(!schema.is_valid(&bad), "{pointer}");
        }
    }

    #[test]
    fn the_model_comes_back_as_it_went() {
        for assessment in fixture::all() {
            let text = json(&assessment);
            assert!(!text.chars().any(visible::is_invisible));
            assert_eq!(
                serde_json::from_str::<Assessment>(&text).unwrap(),
                assessment
            );
        }
    }
}
