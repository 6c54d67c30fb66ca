//! The guards before the routes.

use cofferdam_guard::token::dpop::ProofPolicy;
use cofferdam_guard::token::{Algorithm, IssuerPolicy, PolicyError, Verifier};
use cofferdam_guard::{Guard, danger};

/// How many verified tokens each guard remembers.
const TOKENS: usize = 1_000;

/// One guard for most routes, and one for those that take DPoP as well.
#[derive(Debug, Clone)]
pub(crate) struct Guards {
    pub(crate) bearer: Guard,
    pub(crate) dpop: Guard,
}

impl Guards {
    /// Guards that accept the tokens of `policy`. `origin` is where clients reach the service.
    pub(crate) fn new(policy: &IssuerPolicy, origin: &str) -> Result<Self, PolicyError> {
        let guard = || {
            let verifier = Verifier::new([policy.clone()])?.cache(TOKENS);
            // A scan sends hundreds of bad tokens from one address, and each is to be judged. Who
            // would guess a signature is not helped by that.
            Ok(danger::without_throttle(Guard::new(verifier)).realm("containers"))
        };
        let proofs = ProofPolicy::default().algorithms([Algorithm::Es256, Algorithm::Rs256]);
        Ok(Self {
            bearer: guard()?,
            dpop: guard()?.dpop(origin, proofs),
        })
    }
}
