// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Builds the probe guest with the C compiler that links Rust programs anyway.

use std::env;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Freestanding, integer instructions only, and nothing in the output that varies by machine.
const FLAGS: &[&str] = &[
    "-m64",
    "-std=gnu11",
    "-Os",
    "-Wall",
    "-Wextra",
    "-ffreestanding",
    "-fno-pic",
    "-no-pie",
    "-mno-red-zone",
    "-mgeneral-regs-only",
    "-fno-stack-protector",
    "-fcf-protection=none",
    "-fno-asynchronous-unwind-tables",
    "-fno-ident",
    // A loop over a device's registers must not become one call of memset.
    "-fno-tree-loop-distribute-patterns",
    "-nostdlib",
    "-static",
    "-Wl,-n,--build-id=none,--no-warn-rwx-segments,-z,noexecstack,--strip-all",
];

fn main() -> Result<(), Box<dyn Error>> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let source = root.join("../../guest-kernel/probe");
    let image = PathBuf::from(env::var("OUT_DIR")?).join("probe.elf");

    println!("cargo::rerun-if-changed={}", source.display());
    println!("cargo::rerun-if-env-changed=CC");
    let files = files_to_compile(&source)?;
    compile(&source, &files, &image)
}

/// In a fixed order, since it decides where in the image each function lies.
fn files_to_compile(source: &Path) -> Result<Vec<String>, Box<dyn Error>> {
    let mut files = Vec::new();
    let entries = fs::read_dir(source).map_err(|e| format!("{}: {e}", source.display()))?;
    for entry in entries {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name.ends_with(".c") || name.ends_with(".S") {
            files.push(name);
        }
    }
    files.sort();
    Ok(files)
}

fn compile(source: &Path, files: &[String], image: &Path) -> Result<(), Box<dyn Error>> {
    let compiler = env::var("CC").unwrap_or_else(|_| "cc".to_owned());
    let status = Command::new(&compiler)
        .current_dir(source)
        .args(FLAGS)
        .arg("-T")
        .arg("link.ld")
        .args(files)
        .arg("-o")
        .arg(image)
        .status()
        .map_err(|e| {
            format!(
                "the probe guest needs a C compiler for x86-64, and `{compiler}` did not start: \
                 {e}. Install gcc (with binutils), or name another in CC"
            )
        })?;
    if !status.success() {
        return Err(format!(
            "`{compiler}` could not build the probe guest ({status}); its messages are above. \
             It must be a gcc or clang that makes x86-64 ELF files"
        )
        .into());
    }
    Ok(())
}
