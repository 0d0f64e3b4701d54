use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::process::ExitStatus;

/// Why a package was not linked, in one line.
pub struct Error {
    message: String,
    source: Option<io::Error>,
}

impl Error {
    pub(crate) fn no_target() -> Self {
        Error::new("linking a package: TARGET is not in the environment; call this from a build script, which cargo runs".into())
    }

    pub(crate) fn start(program: &OsStr, from_env: bool, source: io::Error) -> Self {
        let program = program.to_string_lossy();
        let message = if source.kind() != io::ErrorKind::NotFound {
            format!("running {program}: {source}; check the program that OCIPKG or PATH leads to")
        } else if from_env {
            format!("running {program}: OCIPKG names it, but it is not there; correct OCIPKG, or unset it and install ocipkg: {INSTALL}")
        } else {
            format!("running {program}: the program is not on PATH; install it with {INSTALL} or name it in OCIPKG")
        };
        Error {
            message,
            source: Some(source),
        }
    }

    /// The program failed; its own last line is the reason.
    pub(crate) fn failed(package: &str, status: ExitStatus, said: &str) -> Self {
        let reason = said.lines().map(str::trim).rfind(|line| !line.is_empty());
        Error::new(match reason {
            Some(reason) => format!("linking {package}: {reason}"),
            None => format!("linking {package}: ocipkg gave no reason ({status}); run `ocipkg link {package}` to see more"),
        })
    }

    pub(crate) fn answer(program: &OsStr, line: &str) -> Self {
        let program = program.to_string_lossy();
        Error::new(format!("running {program}: it answered {line:?} and not a cargo directive; check that OCIPKG or PATH leads to ocipkg"))
    }

    pub(crate) fn output(source: io::Error) -> Self {
        Error {
            message: format!("printing directives for cargo: {source}"),
            source: Some(source),
        }
    }

    fn new(message: String) -> Self {
        Error {
            message,
            source: None,
        }
    }
}

const INSTALL: &str = "`go install github.com/ocipkg/ocipkg/cmd/ocipkg@latest`";

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// The same as `Display`: `unwrap` prints this form.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|err| err as _)
    }
}
