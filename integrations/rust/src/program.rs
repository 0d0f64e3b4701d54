//! Running the `ocipkg` program.

use crate::{Error, Package};
use std::ffi::OsString;
use std::io::{self, Write};
use std::process::Command;

/// The program, and whether the user named it.
pub(crate) struct Program {
    path: OsString,
    from_env: bool,
}

impl Program {
    /// What `OCIPKG` names, else `ocipkg` on `PATH`.
    pub(crate) fn from_env() -> Self {
        match std::env::var_os("OCIPKG") {
            Some(path) if !path.is_empty() => Program {
                path,
                from_env: true,
            },
            _ => Program {
                path: "ocipkg".into(),
                from_env: false,
            },
        }
    }

    /// Returns cargo's directives for a package. What the program says on its
    /// way goes to the build script's standard error.
    pub(crate) fn link(&self, package: &Package, target: &str) -> Result<String, Error> {
        let mut command = Command::new(&self.path);
        command.args(["link", "--format", "cargo", "--target", target]);
        if package.shared {
            command.arg("--shared");
        }
        command.arg(&package.name);

        let output = command
            .output()
            .map_err(|err| Error::start(&self.path, self.from_env, err))?;
        // Cargo shows this with -vv, and when the build script fails; where it
        // cannot be written, nobody reads it.
        let _ = io::stderr().write_all(&output.stderr);
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(Error::failed(&package.name, output.status, &said));
        }
        self.directives(output.stdout)
    }

    /// Checks that the program's answer is one: `OCIPKG` may name anything.
    fn directives(&self, answer: Vec<u8>) -> Result<String, Error> {
        let mut text = String::from_utf8(answer)
            .map_err(|err| Error::answer(&self.path, &String::from_utf8_lossy(err.as_bytes())))?;
        if let Some(line) = text.lines().find(|line| !line.starts_with("cargo:")) {
            return Err(Error::answer(&self.path, line));
        }
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        Ok(text)
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    /// The script that stands for the program; the package's name tells it what
    /// to do.
    fn link(name: &str) -> Result<String, Error> {
        fake().link(&Package::new(name), "riscv64gc-unknown-linux-gnu")
    }

    fn fake() -> Program {
        Program {
            path: concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fake-ocipkg").into(),
            from_env: true,
        }
    }

    /// Checks that an error is one line, the same in both forms, with `words`.
    fn assert_says(err: &Error, words: &[&str]) {
        let text = err.to_string();
        assert_eq!(text, format!("{err:?}"));
        assert!(!text.contains('\n'), "several lines: {text}");
        for word in words {
            assert!(text.contains(word), "no {word:?} in {text:?}");
        }
    }

    #[test]
    fn directives_are_returned_as_they_are() {
        assert_eq!(
            link("localhost:5000/good:1").unwrap(),
            "cargo:rustc-env=FAKE_ARGS=link --format cargo --target riscv64gc-unknown-linux-gnu localhost:5000/good:1\n"
        );
    }

    #[test]
    fn shared_libraries_are_asked_for_by_a_flag() {
        let package = Package::new("localhost:5000/good:1").shared(true);
        let directives = fake().link(&package, "t").unwrap();
        assert!(directives.contains("--target t --shared localhost"));
    }

    #[test]
    fn a_package_without_libraries_needs_no_directives() {
        assert_eq!(link("localhost:5000/empty:1").unwrap(), "");
    }

    #[test]
    fn a_failure_has_the_last_line_that_the_program_said() {
        let err = link("localhost:5000/missing:1").unwrap_err();
        assert_says(
            &err,
            &[
                "localhost:5000/missing:1",
                "there is no tag 1; the tags are 2, 3",
            ],
        );
        assert!(!err.to_string().contains("getting"), "progress in {err}");
    }

    #[test]
    fn a_silent_failure_has_the_exit_status() {
        assert_says(
            &link("localhost:5000/silent:1").unwrap_err(),
            &["silent:1", "exit status: 8"],
        );
    }

    #[test]
    fn another_program_is_told_by_its_answer() {
        assert_says(
            &link("localhost:5000/chatty:1").unwrap_err(),
            &["fake-ocipkg", "hello there", "OCIPKG"],
        );
        assert_says(
            &link("localhost:5000/binary:1").unwrap_err(),
            &["fake-ocipkg", "OCIPKG"],
        );
    }

    #[test]
    fn a_missing_program_says_how_to_install_it() {
        for from_env in [false, true] {
            let program = Program {
                path: "no-such-ocipkg".into(),
                from_env,
            };
            let err = program
                .link(&Package::new("localhost/a:1"), "t")
                .unwrap_err();
            let install = "go install github.com/ocipkg/ocipkg/cmd/ocipkg@latest";
            assert_says(&err, &["no-such-ocipkg", install, "OCIPKG"]);
        }
    }

    #[test]
    fn a_program_that_cannot_be_run_is_named() {
        let program = Program {
            path: env!("CARGO_MANIFEST_DIR").into(),
            from_env: true,
        };
        let err = program
            .link(&Package::new("localhost/a:1"), "t")
            .unwrap_err();
        assert_says(&err, &[env!("CARGO_MANIFEST_DIR")]);
        assert!(std::error::Error::source(&err).is_some());
    }
}
