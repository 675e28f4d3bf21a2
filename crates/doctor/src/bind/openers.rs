//! Which processes have a function's file open.

use crate::function::Function;
use crate::roots::{self, Roots};
use std::fs;
use std::path::{Path, PathBuf};

/// Processes that hold the function's character device or its group's file, by a descriptor or a
/// mapping, as `123 (name)`. Only root sees all processes; KVM can hold it with neither.
pub(super) fn of(roots: &Roots, function: &Function) -> Vec<String> {
    let device = function.character_device().map(|name| PathBuf::from("/dev/vfio/devices").join(name));
    let group = function.group().map(|name| PathBuf::from("/dev/vfio").join(name));
    let files: Vec<PathBuf> = device.into_iter().chain(group).collect();
    let processes = roots::names(&roots.proc);
    let mut numbers: Vec<u32> = processes.iter().filter_map(|name| name.parse().ok()).collect();
    numbers.sort_unstable();
    let holds = |number: &u32| {
        let folder = roots.proc.join(number.to_string());
        by_descriptor(&folder, &files) || by_mapping(&folder, &files)
    };
    let name = |number: u32| {
        let name = roots::text(&roots.proc.join(number.to_string()).join("comm")).unwrap_or_default();
        format!("process {number} ({name})")
    };
    numbers.into_iter().filter(holds).map(name).collect()
}

fn by_descriptor(process: &Path, files: &[PathBuf]) -> bool {
    let folder = process.join("fd");
    let opened = |name: String| fs::read_link(folder.join(name)).is_ok_and(|to| files.contains(&to));
    roots::names(&folder).into_iter().any(opened)
}

/// Mappings may outlive the descriptor.
fn by_mapping(process: &Path, files: &[PathBuf]) -> bool {
    let maps = roots::text(&process.join("maps")).unwrap_or_default();
    maps.lines().any(|line| files.iter().any(|file| file.to_str().is_some_and(|file| line.ends_with(file))))
}
