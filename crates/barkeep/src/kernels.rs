//! Which kernel a lab boots: a file, or the newest that `scripts/kernel` has built of a variant.

use crate::exit::{Exit, UsageExt, wrong};
use barkeep_real::importer;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// What is taken where nobody names one; the others have something missing, or something wrong.
const PLAIN: &str = "plain";

/// The kernel of the command line: a file's path, or a variant's name (`plain`, `debug`, `bug-…`).
/// Without one it is the newest plain one that has been built, however new others are.
///
/// # Errors
/// There is neither; with how to get it.
pub fn kernel(named: Option<&Path>) -> anyhow::Result<PathBuf> {
    choose(named, &cache().map(|cache| cache.join("kernels")).unwrap_or_default())
}

/// Whether the test importer's module lies beside a kernel.
pub fn has_importer(kernel: &Path) -> bool {
    kernel.with_file_name(IMPORTER).is_file()
}

/// The test importer's module for a kernel: `scripts/kernel` puts it beside the image.
///
/// # Errors
/// It is not there, or of another version than this program; with how to get it.
pub fn importer(kernel: &Path) -> anyhow::Result<PathBuf> {
    if has_importer(kernel) {
        let module = kernel.with_file_name(IMPORTER);
        let file = std::fs::read(&module).usage(format!("cannot read {}", module.display()))?;
        importer::fits(&file).usage(format!("{} will not do", module.display()))?;
        return Ok(module);
    }
    let what = format!(
        "the topology has a device of the test importer's, and there is no {IMPORTER} beside {}; scripts/kernel \
         --importer builds it for a kernel of the cache (of a variant, with --variant)",
        kernel.display()
    );
    Err(wrong(Exit::Usage, what))
}

/// As `scripts/lib.sh` has it.
fn cache() -> Option<PathBuf> {
    let directory = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let users = || directory("XDG_CACHE_HOME").or_else(|| Some(directory("HOME")?.join(".cache")));
    directory("BARKEEP_CACHE").or_else(|| Some(users()?.join("barkeep")))
}

fn choose(named: Option<&Path>, kernels: &Path) -> anyhow::Result<PathBuf> {
    let Some(named) = named else {
        return newest(kernels, PLAIN).ok_or_else(|| {
            wrong(Exit::Usage, "no kernel: build one with scripts/kernel, or give one with --kernel FILE")
        });
    };
    // Whatever has a slash in it, or is there, is a file; its own faults are told where it is read.
    let Some(variant) = variant(named).filter(|_| !named.exists()) else { return Ok(named.to_owned()) };
    newest(kernels, variant).ok_or_else(|| {
        let built = match built(kernels).as_slice() {
            [] => String::new(),
            some => format!(" (there are: {})", some.join(", ")),
        };
        let by = if variant == PLAIN { String::new() } else { format!(" --variant {variant}") };
        let what = format!("no kernel `{variant}`: it is no file, and no variant that has been built{built}");
        wrong(Exit::Usage, format!("{what}; scripts/kernel{by} builds one"))
    })
}

/// The name of a variant: one word, as `guest-kernel/variants` names its directories, or several with `+`.
fn variant(named: &Path) -> Option<&str> {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '+');
    named.to_str().filter(|name| !name.is_empty() && name.chars().all(fits))
}

/// The newest kernel of a variant; one that was built to be compared with is as old as can be.
fn newest(kernels: &Path, variant: &str) -> Option<PathBuf> {
    let of_it = entries(kernels).filter(|(_, of)| of == variant);
    let time = |path: &Path| path.metadata().and_then(|metadata| metadata.modified()).ok();
    let newest = of_it.max_by_key(|(path, _)| (time(path), path.clone()))?;
    Some(newest.0.join(IMAGE))
}

/// The variants there are kernels of, each once.
fn built(kernels: &Path) -> Vec<String> {
    let mut names: Vec<String> = entries(kernels).map(|(_, variant)| variant).collect();
    names.sort_unstable();
    names.dedup();
    names
}

const IMAGE: &str = "bzImage";
const IMPORTER: &str = "barkeep_importer.ko";

/// Every kernel of the cache, with its variant (`scripts/kernel` writes it into `recipe`).
fn entries(kernels: &Path) -> impl Iterator<Item = (PathBuf, String)> {
    let found = std::fs::read_dir(kernels).into_iter().flatten().filter_map(Result::ok);
    found.filter_map(|entry| {
        let path = entry.path();
        // What a build has not finished yet begins with a dot.
        let whole = path.join(IMAGE).is_file() && !hidden(path.file_name()?);
        let recipe = std::fs::read_to_string(path.join("recipe")).ok().filter(|_| whole)?;
        let variant = recipe.lines().find_map(|line| line.strip_prefix("variant "))?.to_owned();
        Some((path, variant))
    })
}

fn hidden(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(b".")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, File};
    use std::time::{Duration, SystemTime};

    /// A cache with one kernel for each `(hash, variant, age in seconds)`.
    fn cache(kernels: &[(&str, &str, u64)]) -> tempfile::TempDir {
        let cache = tempfile::tempdir().unwrap();
        for (hash, variant, age) in kernels {
            let kernel = cache.path().join(hash);
            fs::create_dir(&kernel).unwrap();
            fs::write(kernel.join("recipe"), format!("recipe 2\nsource x\nvariant {variant}\n")).unwrap();
            fs::write(kernel.join(IMAGE), "").unwrap();
            let time = SystemTime::now() - Duration::from_secs(*age);
            File::open(&kernel).unwrap().set_modified(time).unwrap();
        }
        cache
    }

    fn chosen(named: Option<&str>, cache: &tempfile::TempDir) -> Result<String, String> {
        let kernel = choose(named.map(Path::new), cache.path()).map_err(|error| format!("{error:#}"))?;
        let kernel = kernel.strip_prefix(cache.path()).unwrap_or(&kernel);
        Ok(kernel.to_string_lossy().into_owned())
    }

    #[test]
    fn without_a_name_it_is_the_newest_plain_one() {
        let kernels = [("a", "plain", 30), ("b", "plain", 20), ("c", "debug", 10), ("d", "bug-x", 0)];
        assert_eq!(chosen(None, &cache(&kernels)).unwrap(), "b/bzImage");
        let error = chosen(None, &cache(&kernels[2..])).unwrap_err();
        assert!(error.contains("scripts/kernel"), "{error}");
    }

    #[test]
    fn a_variant_is_named_by_its_directory() {
        let kernels = [("a", "debug", 30), ("b", "debug", 20), ("c", "plain", 10), (".tmp.1", "debug", 0)];
        let cache = cache(&kernels);
        assert_eq!(chosen(Some("debug"), &cache).unwrap(), "b/bzImage");
        assert_eq!(chosen(Some("plain"), &cache).unwrap(), "c/bzImage");
    }

    #[test]
    fn what_has_not_been_built_is_told_with_the_command_that_builds_it() {
        let cache = cache(&[("a", "plain", 0), ("b", "plain", 0)]);
        let error = chosen(Some("bug-x"), &cache).unwrap_err();
        for part in ["bug-x", "there are: plain)", "scripts/kernel --variant bug-x builds one"] {
            assert!(error.contains(part), "{error}");
        }
        let empty = tempfile::tempdir().unwrap();
        let error = chosen(Some("plain"), &empty).unwrap_err();
        assert!(error.contains("scripts/kernel builds one"), "{error}");
    }

    #[test]
    fn a_path_stays_what_it_is() {
        let cache = cache(&[("a", "debug", 0)]);
        for path in ["./debug", "/no/such/file", "bzImage", "Debug", ""] {
            assert_eq!(chosen(Some(path), &cache).unwrap(), path);
        }
    }
}
