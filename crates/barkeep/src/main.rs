//! The `barkeep` command: the only place that joins the microVM to VFIO.

mod assemble;
mod cli;
mod event_loop;
mod exit;
mod here;
mod inside;
mod leftovers;
mod outside;
mod show;
mod stderr_log;
mod world;

use clap::Parser;
use cli::{Cli, Command};
use exit::Exit;
use std::process::ExitCode;

fn main() -> ExitCode {
    // Before anything else: as PID 1 of the lab the arguments are the kernel's, not ours.
    if barkeep_lab::inner::is_lab_init() {
        barkeep_lab::inner::init_main();
    }
    let cli = Cli::parse();
    stderr_log::set_up();
    match dispatch(cli) {
        Ok(exit) => exit.into(),
        Err(error) => {
            eprintln!("barkeep: {error:#}");
            Exit::of(&error).into()
        }
    }
}

fn dispatch(cli: Cli) -> anyhow::Result<Exit> {
    match cli.command {
        Command::Run(options) => run(&options),
        Command::Replay { scenario, options } => run(&options.with_scenario(scenario)?),
        Command::Check { journal } => show::check(&journal),
        Command::Lab(options) => outside::lab(&options),
    }
}

fn run(options: &cli::RunOptions) -> anyhow::Result<Exit> {
    match options.lane()? {
        cli::Place::Here => here::run(options),
        cli::Place::Lab => outside::run_in_lab(options, std::env::args_os().skip(1)),
    }
}
