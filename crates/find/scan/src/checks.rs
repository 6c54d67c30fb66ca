//! Every check, one file each: `category.short-name` is `checks/category/short_name.rs`.
//!
//! A file has four parts: the doc comment, which is the published page and has the headings *What
//! it finds*, *Why it matters*, *How it is proved*, *How to fix* and *References*; `META`; the logic,
//! an `async fn run(cx: &Context) -> Result<Outcome, Halt>` with its helpers; and `samples()`, small
//! services that it must and must not report.

use crate::Check;

/// Makes the modules and the list from one enumeration of `category::short_name`.
macro_rules! checks {
    ($($category:ident { $($name:ident,)* })*) => {
        $(mod $category { $(pub(super) mod $name;)* })*

        /// Every check, in the order in which they run.
        pub static ALL: &[Check] = &[$($(Check {
            meta: &$category::$name::META,
            run: |cx| Box::pin($category::$name::run(cx)),
            source: include_str!(concat!("checks/", stringify!($category), "/", stringify!($name), ".rs")),
            #[cfg(test)]
            samples: $category::$name::samples,
        },)*)*];

        #[cfg(test)]
        const FILES: &[&str] = &[$($(concat!(stringify!($category), "/", stringify!($name), ".rs"),)*)*];
    };
}

checks! {
    object {
        cross_tenant_read,
        cross_tenant_write,
    }
    function {
        admin,
    }
    reach {
        path_traversal,
        server_side_request,
        runtime_api,
        command_injection,
    }
    input {
        deserialization,
        mass_assignment,
    }
    expose {
        secret,
    }
    agent {
        container_tool,
    }
    token {
        missing,
        malformed,
        signature,
        unsigned,
        alg_none,
        key_confusion,
        weak_secret,
        expired,
        not_before,
        audience,
        issuer,
        scope,
        scope_substring,
        unbound,
        in_query,
        in_answer,
        in_error,
        guessable,
        throttle,
    }
}

/// What is run alone and after everything else. The model's tools may start and stop what the other
/// checks look at. The last two send many bad tokens, and a service that locks such a sender out
/// must not lock out the others.
pub(crate) const LAST: [&str; 3] = ["agent.container-tool", "token.guessable", "token.throttle"];

/// The check with this id.
pub fn find(id: &str) -> Option<&'static Check> {
    ALL.iter().find(|check| check.meta.id == id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::path::Path;

    const HEADINGS: [&str; 5] = [
        "# What it finds",
        "# Why it matters",
        "# How it is proved",
        "# How to fix",
        "# References",
    ];

    #[test]
    fn ids_are_unique_and_name_their_file() {
        let mut seen = BTreeSet::new();
        for (check, file) in ALL.iter().zip(FILES) {
            let id = check.meta.id;
            assert!(seen.insert(id), "{id} is there twice");
            assert_eq!(
                format!("{}.rs", id.replace('.', "/").replace('-', "_")),
                *file
            );
            assert_eq!(find(id).unwrap().meta.id, id);
        }
    }

    #[test]
    fn every_page_has_a_title_and_the_five_headings_in_order() {
        for check in ALL {
            let page = check.page();
            assert!(
                !page.starts_with('#') && !page.trim().is_empty(),
                "{}",
                check.meta.id
            );
            let mut rest = page.as_str();
            for heading in HEADINGS {
                let at = rest.find(heading);
                assert!(at.is_some(), "{}: no `{heading}`", check.meta.id);
                rest = &rest[at.unwrap() + heading.len()..];
            }
        }
    }

    #[test]
    fn no_file_in_the_folder_is_unlisted() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/checks");
        let mut listed: BTreeSet<String> = FILES.iter().map(|file| (*file).to_owned()).collect();
        for category in std::fs::read_dir(&root).unwrap() {
            let category = category.unwrap();
            for file in std::fs::read_dir(category.path()).unwrap() {
                let name = format!(
                    "{}/{}",
                    category.file_name().to_string_lossy(),
                    file.unwrap().file_name().to_string_lossy()
                );
                assert!(listed.remove(&name), "{name} is not in the list of checks");
            }
        }
        assert!(listed.is_empty(), "{listed:?}");
    }
}
