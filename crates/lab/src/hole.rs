//! The holes, one switch each.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

macro_rules! holes {
    ($($(#[$doc:meta])* $variant:ident = $id:literal,)*) => {
        /// One way in which the lab can be wrong. What each is, what proves it and what closes it
        /// stands in [the manifest](crate::manifest).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Hole { $($(#[$doc])* $variant,)* }

        impl Hole {
            /// Every hole.
            pub const ALL: &'static [Hole] = &[$(Hole::$variant),*];

            /// The name in the manifest and on command lines.
            pub const fn id(self) -> &'static str {
                match self { $(Hole::$variant => $id),* }
            }
        }
    };
}

holes! {
    /// The handler runs when there is no `Authorization`.
    TokenMissing = "token-missing",
    /// Any text that is not empty counts as a token.
    TokenMalformed = "token-malformed",
    /// The payload is decoded and the signature never looked at.
    TokenSignature = "token-signature",
    /// A token whose signature part is empty passes.
    TokenUnsigned = "token-unsigned",
    /// `alg: none` is an algorithm.
    TokenAlgNone = "token-alg-none",
    /// The public key in PEM is accepted as an HMAC secret.
    TokenKeyConfusion = "token-key-confusion",
    /// `exp` is not checked.
    TokenExpired = "token-expired",
    /// `aud` is not checked.
    TokenAudience = "token-audience",
    /// `iss` is not checked.
    TokenIssuer = "token-issuer",
    /// The scope that the operation declares is not checked.
    TokenScope = "token-scope",
    /// The scope is looked for as a substring.
    TokenScopeSubstring = "token-scope-substring",
    /// A token bound to a key passes without a proof.
    TokenUnbound = "token-unbound",
    /// `nbf` is not checked.
    TokenNotBefore = "token-not-before",
    /// API tokens are numbered.
    TokenGuessable = "token-guessable",
    /// Bad API tokens may be tried without end.
    TokenThrottle = "token-throttle",
    /// A token in the query counts.
    TokenInQuery = "token-in-query",
    /// An answer repeats the caller's token.
    TokenInAnswer = "token-in-answer",
    /// An error message repeats the caller's token.
    TokenInError = "token-in-error",
    /// A container of another tenant is shown.
    ObjectCrossTenantRead = "object-cross-tenant-read",
    /// Labels of another tenant's container can be changed.
    ObjectCrossTenantWrite = "object-cross-tenant-write",
    /// The administrators' list is open to everybody with a token.
    FunctionAdmin = "function-admin",
    /// A path parameter is joined to a directory as it comes.
    PathTraversal = "path-traversal",
    /// A URL parameter is fetched, wherever it leads.
    ServerSideRequest = "server-side-request",
    /// The same with method, headers and body of the caller's choice.
    ServerSideRequestFull = "server-side-request-full",
    /// A parameter becomes part of a shell's command line.
    CommandInjection = "command-injection",
    /// The engine's API is passed through.
    RuntimeApi = "runtime-api",
    /// Undeclared members of a job definition reach the engine.
    InputDeserialization = "input-deserialization",
    /// An answer carries the service's secrets.
    ExposeSecret = "expose-secret",
    /// The assistant's tools act with the service's own rights.
    AgentContainerTool = "agent-container-tool",
    /// The engine's socket is mounted into the service's container.
    RuntimeSocket = "runtime-socket",
    /// The service runs as root.
    RunsAsRoot = "runs-as-root",
    /// The host's root is mounted.
    HostMount = "host-mount",
    /// The container is privileged.
    Privileged = "privileged",
    /// The container shares the host's process namespace.
    HostPid = "host-pid",
    /// The container shares the host's network namespace.
    HostNetwork = "host-network",
    /// The container has CAP_SYS_ADMIN.
    DangerousCapability = "dangerous-capability",
    /// No seccomp filter.
    SeccompUnconfined = "seccomp-unconfined",
    /// No AppArmor profile.
    AppArmorUnconfined = "apparmor-unconfined",
    /// Processes may gain privileges.
    NewPrivileges = "new-privileges",
    /// Secrets stand in the environment.
    SecretsInEnvironment = "secrets-in-environment",
    /// A service-account token is mounted that the service does not need.
    ServiceAccountToken = "service-account-token",
    /// The engine runs as root, and root in its containers is root of the host.
    EngineRootful = "engine-rootful",
    /// The engine's API is served on TCP to the container's network.
    EngineTcp = "engine-tcp",
    /// The metadata service answers a plain GET.
    MetadataService = "metadata-service",
}

impl fmt::Display for Hole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.id())
    }
}

/// A name that no hole has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no hole of the lab")]
pub struct UnknownHole(pub String);

impl FromStr for Hole {
    type Err = UnknownHole;

    fn from_str(text: &str) -> Result<Self, UnknownHole> {
        let found = Hole::ALL.iter().find(|hole| hole.id() == text);
        found.copied().ok_or_else(|| UnknownHole(text.to_owned()))
    }
}

/// Which holes are open.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Switches(BTreeSet<Hole>);

impl Switches {
    /// The vulnerable twin.
    pub fn all_open() -> Self {
        Hole::ALL.iter().copied().collect()
    }

    /// The hardened twin.
    pub fn all_closed() -> Self {
        Self::default()
    }

    /// The hardened twin with one hole.
    pub fn only(hole: Hole) -> Self {
        [hole].into_iter().collect()
    }

    /// Opens a hole.
    pub fn open(&mut self, hole: Hole) {
        self.0.insert(hole);
    }

    /// Closes a hole.
    pub fn close(&mut self, hole: Hole) {
        self.0.remove(&hole);
    }

    /// Closes every hole that a fix of the edge data, such as `F.app.path`, closes; answers which of
    /// them were open.
    pub fn apply_fix(&mut self, fix: &str) -> Vec<Hole> {
        let closed: Vec<_> = self
            .iter()
            .filter(|hole| hole.planted().fixes.iter().any(|each| each == fix))
            .collect();
        for hole in &closed {
            self.close(*hole);
        }
        closed
    }

    /// Whether a hole is open.
    pub fn is_open(&self, hole: Hole) -> bool {
        self.0.contains(&hole)
    }

    /// The open holes.
    pub fn iter(&self) -> impl Iterator<Item = Hole> {
        self.0.iter().copied()
    }
}

impl FromIterator<Hole> for Switches {
    fn from_iter<I: IntoIterator<Item = Hole>>(holes: I) -> Self {
        Self(holes.into_iter().collect())
    }
}
