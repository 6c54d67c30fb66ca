//! Which container of a deployment the API under test runs in.

use crate::AssessError;
use cofferdam_posture::Deployment;

/// Containers that are assessed when it cannot be told which one the API is.
const MOST: usize = 16;

/// The containers that paths start in, and why these.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Chosen {
    /// Their names.
    pub(crate) names: Vec<String>,
    /// Why these, as a phrase.
    pub(crate) because: String,
    /// Whether it is a guess among several, so that a path through one of them is tentative.
    pub(crate) guess: bool,
}

/// Chooses: the one that the user named, else the only one, else the one that publishes `port`,
/// else all that it could be.
///
/// # Errors
/// When the user named one that no file describes.
pub(crate) fn choose(
    deployment: &Deployment,
    service: Option<&str>,
    port: Option<u16>,
) -> Result<Chosen, AssessError> {
    let names = || {
        deployment
            .workloads
            .iter()
            .map(|workload| workload.name.clone())
    };
    let sure = |name: &str, because: String| Chosen {
        names: vec![name.to_owned()],
        because,
        guess: false,
    };
    if let Some(name) = service {
        return match deployment.workload(name) {
            Some(_) => Ok(sure(name, format!("`{name}` was named with `--service`"))),
            None => Err(AssessError::NoService {
                name: name.to_owned(),
                known: match deployment.workloads.len() {
                    0 => "no container".to_owned(),
                    _ => names().collect::<Vec<_>>().join(", "),
                },
            }),
        };
    }
    if let [only] = deployment.workloads.as_slice() {
        let because = format!("`{}` is the only container", only.name);
        return Ok(sure(&only.name, because));
    }
    let publishing: Vec<String> = deployment
        .workloads
        .iter()
        .filter(|workload| {
            let mut published = workload.published.iter();
            port.is_some() && published.any(|published| published.host == port)
        })
        .map(|workload| workload.name.clone())
        .collect();
    if let ([one], Some(port)) = (publishing.as_slice(), port) {
        let because = format!(
            "`{one}` publishes port {port} (if it only passes requests on, name the API with `--service`)"
        );
        return Ok(sure(one, because));
    }
    let candidates: Vec<String> = if publishing.is_empty() {
        names().take(MOST).collect()
    } else {
        publishing
    };
    Ok(Chosen {
        because: match candidates.len() {
            0 => "the files describe no container".to_owned(),
            number => format!(
                "it could not be told which of {number} containers the API is: name it with `--service`"
            ),
        },
        guess: !candidates.is_empty(),
        names: candidates,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DeploymentFile;

    fn deployment(text: &str) -> Deployment {
        crate::options::read(&[DeploymentFile {
            name: "compose.yaml".to_owned(),
            text: text.to_owned(),
        }])
        .unwrap()
    }

    const TWO: &str =
        "services:\n  web:\n    image: a\n    ports: [\"8080:80\"]\n  db:\n    image: b\n";

    fn names(text: &str, service: Option<&str>, port: u16) -> (Vec<String>, bool) {
        let chosen = choose(&deployment(text), service, Some(port)).unwrap();
        (chosen.names, chosen.guess)
    }

    #[test]
    fn the_named_one_comes_before_the_one_that_publishes_the_port() {
        assert_eq!(names(TWO, Some("db"), 8080), (vec!["db".to_owned()], false));
        assert_eq!(names(TWO, None, 8080), (vec!["web".to_owned()], false));
    }

    #[test]
    fn the_only_one_is_taken_and_of_several_none_is_preferred() {
        let one = "services:\n  x:\n    image: a\n";
        assert_eq!(names(one, None, 1), (vec!["x".to_owned()], false));
        let all = vec!["web".to_owned(), "db".to_owned()];
        assert_eq!(names(TWO, None, 9999), (all, true));
    }

    #[test]
    fn a_service_that_is_not_there_is_an_error_that_names_those_that_are() {
        let error = choose(&deployment(TWO), Some("api"), None).unwrap_err();
        assert_eq!(
            error.to_string(),
            "no service `api` in the deployment files: they describe web, db"
        );
    }
}
