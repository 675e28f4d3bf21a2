//! `completions` and `man`: what the doc comments of the command line say, for a shell and for `man`.

use crate::cli::Cli;
use crate::exit::{Exit, UsageExt};
use crate::version::VERSION;
use clap::{Command, CommandFactory};
use clap_complete::Shell;
use clap_mangen::Man;
use std::fs;
use std::io::{self, Write};
use std::path::Path;

/// Prints completions.
///
/// # Errors
/// None so far: a reader that is gone has read enough.
pub fn completions(shell: Shell) -> anyhow::Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut shown(Cli::command()), "barkeep", &mut script);
    let _ = io::stdout().write_all(&script);
    Ok(Exit::Pass)
}

/// Writes a page for each command, as `barkeep-lab.1`.
///
/// # Errors
/// They cannot be written.
pub fn man(folder: &Path) -> anyhow::Result<Exit> {
    let what = || format!("cannot write man pages to {}", folder.display());
    fs::create_dir_all(folder).usage(what())?;
    // With this, each subcommand knows its whole name.
    let mut command = shown(Cli::command());
    command.build();
    write_pages(&command, folder).usage(what())?;
    Ok(Exit::Pass)
}

fn write_pages(command: &Command, folder: &Path) -> io::Result<()> {
    let name = command.get_display_name().unwrap_or(command.get_name()).to_owned();
    let mut page = Vec::new();
    Man::new(command.clone())
        .title(name.to_uppercase())
        .source(format!("barkeep {VERSION}"))
        .render(&mut page)?;
    fs::write(folder.join(format!("{name}.1")), page)?;
    command.get_subcommands().try_for_each(|subcommand| write_pages(subcommand, folder))
}

/// The command without the subcommands that are only for itself: clap leaves hidden ones out of the help, and
/// nowhere else.
fn shown(command: Command) -> Command {
    let about = command.get_about().cloned().unwrap_or_default();
    let long = command.get_long_about().cloned().unwrap_or_default();
    let subcommands = command.get_subcommands().filter(|subcommand| !subcommand.is_hide_set());
    let shown =
        Command::new("barkeep").version(VERSION).propagate_version(true).disable_help_subcommand(true);
    shown.about(about).long_about(long).subcommands(subcommands.cloned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_that_is_for_people_has_a_page_and_no_other() {
        let folder = tempfile::tempdir().unwrap();
        man(folder.path()).unwrap();
        let names = |command: &Command| command.get_subcommands().filter(|s| !s.is_hide_set()).count();
        let command = Cli::command();
        let nested: usize = command.get_subcommands().map(names).sum();
        let pages = fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(pages, 1 + names(&command) + nested);
        let page = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
        assert!(page("barkeep.1").contains("Exit status: 0 pass"));
        assert!(
            page("barkeep-bind.1").contains("Give a device to vfio")
                && page("barkeep-bind.1").contains("dry")
        );
        assert!(page("barkeep-report-merge.1").contains("junit"));
    }

    #[test]
    fn completions_know_options_and_no_hidden_command() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut shown(Cli::command()), "barkeep", &mut script);
            let script = String::from_utf8(script).unwrap();
            assert!(script.contains("look-only") && script.contains("unbind"), "{shell}");
            assert!(!script.contains("storm-worker") && !script.contains("handover-conduct"), "{shell}");
        }
    }
}
