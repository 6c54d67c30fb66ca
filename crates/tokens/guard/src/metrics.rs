//! Counting outcomes for Prometheus (feature `prometheus`).

use prometheus::{IntCounterVec, Opts, Registry};

use crate::guard::Outcome;

/// The counter `cofferdam_guard_requests_total` with the labels `route`, `method` and `verdict`.
///
/// Its labels have no value that a client could choose: the route is the declared pattern, a method
/// that no route has is `other`.
#[derive(Clone, Debug)]
pub struct Metrics {
    requests: IntCounterVec,
}

impl Metrics {
    /// Registers the counter.
    ///
    /// # Errors
    /// Where the registry has a metric of that name.
    pub fn new(registry: &Registry) -> prometheus::Result<Metrics> {
        let options = Opts::new(
            "cofferdam_guard_requests_total",
            "Requests by what the guard decided about them.",
        );
        let requests = IntCounterVec::new(options, &["route", "method", "verdict"])?;
        registry.register(Box::new(requests.clone()))?;
        Ok(Metrics { requests })
    }

    /// What to give to [`crate::Guard::observer`].
    pub fn observer(&self) -> impl Fn(&Outcome<'_>) + Send + Sync + 'static {
        let requests = self.requests.clone();
        move |outcome| {
            let method = match outcome.method {
                "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE" | "OPTIONS" => outcome.method,
                _ => "other",
            };
            let labels = [outcome.route.unwrap_or("none"), method, outcome.verdict];
            requests.with_label_values(&labels).inc();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_are_counted_by_route_and_never_by_what_a_client_sends() {
        let registry = Registry::new();
        let observer = Metrics::new(&registry).unwrap().observer();
        let outcome = Outcome {
            route: Some("/x/{id}"),
            method: "GET",
            verdict: "granted",
            status: None,
            issuer: None,
            client_id: None,
        };
        observer(&outcome);
        observer(&Outcome {
            method: "X-EVIL",
            route: None,
            ..outcome
        });
        let mut lines = Vec::new();
        for family in registry.gather() {
            for metric in family.get_metric() {
                let labels = metric
                    .get_label()
                    .iter()
                    .map(|label| label.value().to_owned());
                lines.push((labels.collect::<Vec<_>>(), metric.get_counter().get_value()));
            }
        }
        let expected = |labels: [&str; 3]| (labels.map(str::to_owned).to_vec(), 1.0);
        // In the order of the labels' names.
        assert_eq!(
            lines,
            [
                expected(["GET", "/x/{id}", "granted"]),
                expected(["other", "none", "granted"])
            ]
        );
    }
}
