//! Which commit this is, for what a storm says of itself. Without git, or outside of a checkout:
//! unknown.

use std::path::Path;
use std::process::Command;

fn main() {
    // The sources of all crates: a change to any makes the tree another one than its commit.
    println!("cargo:rerun-if-changed=..");
    for file in ["../../.git/HEAD", "../../.git/logs/HEAD"] {
        if Path::new(file).exists() {
            println!("cargo:rerun-if-changed={file}");
        }
    }
    println!("cargo:rustc-env=BARKEEP_COMMIT={}", commit().unwrap_or_else(|| "unknown".to_owned()));
}

fn commit() -> Option<String> {
    // A copy of the sources inside of somebody else's checkout is not that one's commit.
    Path::new("../../.git").exists().then_some(())?;
    let mut git = Command::new("git");
    git.args(["-C", "../..", "describe", "--always", "--abbrev=12", "--dirty", "--exclude=*"]);
    let output = git.output().ok().filter(|output| output.status.success())?;
    let text = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (!text.is_empty()).then_some(text)
}
