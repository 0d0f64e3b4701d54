//! A real cargo builds and runs a crate whose build script uses this one.
#![cfg(unix)]

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

const PACKAGE: &str = env!("CARGO_MANIFEST_DIR");

/// Builds and runs a program with the body of a build script's `main`.
fn cargo_run(name: &str, build_script: &str, program: &str, envs: &[(&str, &str)]) -> Output {
    let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::create_dir_all(dir.join("src")).unwrap();
    let manifest = format!(
        "[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2021\"\n\n\
         [build-dependencies]\nocipkg = {{ path = {PACKAGE:?} }}\n\n[workspace]\n"
    );
    fs::write(dir.join("Cargo.toml"), manifest).unwrap();
    fs::write(
        dir.join("build.rs"),
        format!("fn main() {{ {build_script} }}"),
    )
    .unwrap();
    fs::write(
        dir.join("src/main.rs"),
        "fn main() { println!(\"{:?}\", option_env!(\"FAKE_ARGS\")); }",
    )
    .unwrap();
    Command::new(env!("CARGO"))
        .args(["run", "--offline", "--quiet"])
        .current_dir(&dir)
        .env("CARGO_TARGET_DIR", dir.join("target"))
        .env("OCIPKG", program)
        .env("RUST_BACKTRACE", "0")
        .env_remove("DOCS_RS")
        .env_remove("FAKE_ARGS")
        .envs(envs.iter().copied())
        .output()
        .unwrap()
}

fn fake() -> String {
    format!("{PACKAGE}/tests/fake-ocipkg")
}

#[test]
fn cargo_takes_the_directives_of_the_program() {
    let script = "ocipkg::link_package(\"localhost:5000/good:1\").unwrap();";
    let output = cargo_run("takes-directives", script, &fake(), &[]);
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(
        said.starts_with("Some(\"link --format cargo --target "),
        "{said}"
    );
    assert!(said.ends_with(" localhost:5000/good:1\")\n"), "{said}");
}

#[test]
fn unwrap_shows_the_reason_in_one_line() {
    let script = "ocipkg::link_package(\"localhost:5000/missing:1\").unwrap();";
    let output = cargo_run("shows-reason", script, &fake(), &[]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success());
    assert!(
        said.contains(
            "value: linking localhost:5000/missing:1: there is no tag 1; the tags are 2, 3"
        ),
        "{said}"
    );
}

#[test]
fn a_build_script_may_go_on_after_an_error() {
    let script = "if ocipkg::link_package(\"localhost:5000/good:1\").is_err() { println!(\"cargo:rustc-env=FAKE_ARGS=other\"); }";
    let output = cargo_run("goes-on", script, "/no/such/ocipkg", &[]);
    assert_eq!(
        String::from_utf8(output.stdout).unwrap(),
        "Some(\"other\")\n"
    );
}

#[test]
fn nothing_is_run_on_docs_rs() {
    let script = "ocipkg::link_package(\"localhost:5000/good:1\").unwrap();";
    let output = cargo_run("docs-rs", script, "/no/such/ocipkg", &[("DOCS_RS", "1")]);
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "None\n");
}

#[test]
fn another_program_runs_the_build_script_again() {
    let script = "ocipkg::link_package(\"localhost:5000/good:1\").unwrap();";
    assert!(cargo_run("runs-again", script, &fake(), &[])
        .status
        .success());
    assert!(!cargo_run("runs-again", script, "/no/such/ocipkg", &[])
        .status
        .success());
}

#[test]
fn outside_a_build_script_there_is_no_target() {
    let err = ocipkg::link_package("localhost:5000/good:1").unwrap_err();
    assert!(err.to_string().contains("build script"), "{err}");
}
