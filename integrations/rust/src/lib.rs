//! Links native libraries that are distributed through OCI registries, from a
//! build script.
//!
//! ```no_run
//! // build.rs
//! fn main() {
//!     ocipkg::link_package("ghcr.io/acme/zlib:1.3").unwrap();
//! }
//! ```
//!
//! The work is done by the `ocipkg` program, which this crate runs: it finds the
//! package for cargo's target in its store, or gets it from the registry,
//! verifies it, and answers with the [directives] that make cargo link it. The
//! program is the one that `OCIPKG` names in the environment, else `ocipkg` on
//! `PATH`.
//!
//! On docs.rs, which has no network and links nothing, packages are left out.
//!
//! [directives]: https://doc.rust-lang.org/cargo/reference/build-scripts.html#outputs-of-the-build-script

#![forbid(unsafe_code)]
#![warn(missing_docs)]
// A whole build script is what a reader wants to copy.
#![allow(clippy::needless_doctest_main)]

mod error;
mod program;

pub use error::Error;

use program::Program;
use std::io::{self, Write};

/// The environment that decides which program, and which store and project, a
/// package comes from, and whether it may. A change of one of these runs the
/// build script again.
const ENVIRONMENT: [&str; 7] = [
    "OCIPKG",
    "OCIPKG_HOME",
    "OCIPKG_PROJECT",
    "OCIPKG_ALLOW_UNPINNED",
    "OCIPKG_LOCKED",
    "OCIPKG_FROZEN",
    "XDG_DATA_HOME",
];

/// Links the libraries of a package, such as `ghcr.io/acme/zlib:1.3`, into the
/// crate whose build script calls this. Static libraries are preferred; see
/// [`Package`] for a choice.
///
/// # Errors
///
/// The error is one line that says what to do next, in `{}` and in `{:?}`, so
/// that `unwrap` shows it well. Nothing is linked then, and a build script may
/// go on to find the library elsewhere.
pub fn link_package(name: &str) -> Result<(), Error> {
    Package::new(name).link()
}

/// A package to link, with options.
///
/// ```no_run
/// // build.rs
/// ocipkg::Package::new("ghcr.io/acme/zlib:1.3").shared(true).link().unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct Package {
    name: String,
    shared: bool,
}

impl Package {
    /// Names the package: `registry/repository:tag`, with or without
    /// `@sha256:…`.
    pub fn new(name: impl Into<String>) -> Self {
        Package {
            name: name.into(),
            shared: false,
        }
    }

    /// Chooses the package's shared libraries instead of its static ones. The
    /// program then finds them where they were at build time.
    #[must_use]
    pub fn shared(mut self, shared: bool) -> Self {
        self.shared = shared;
        self
    }

    /// Links the package, as [`link_package`] does.
    ///
    /// # Errors
    ///
    /// As [`link_package`].
    pub fn link(&self) -> Result<(), Error> {
        let mut out = io::stdout().lock();
        for name in ENVIRONMENT {
            writeln!(out, "cargo:rerun-if-env-changed={name}").map_err(Error::output)?;
        }
        if std::env::var_os("DOCS_RS").is_some() {
            return Ok(());
        }
        let target = std::env::var("TARGET").map_err(|_| Error::no_target())?;
        let directives = Program::from_env().link(self, &target)?;
        out.write_all(directives.as_bytes()).map_err(Error::output)
    }
}

/// The examples of the README are compiled as documentation tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
