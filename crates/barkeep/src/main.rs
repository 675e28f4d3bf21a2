//! The `barkeep` command: the only place that joins CPUs to devices.

mod assemble;
mod assemble_sim;
mod assemble_vfio;
mod batch;
mod cast;
mod cli;
mod conform;
mod event_loop;
mod exit;
mod explore;
mod handover;
mod here;
mod inside;
mod journal_file;
mod lane;
mod leftovers;
mod lines;
mod matrix;
mod model;
mod notices;
mod outside;
mod proc_status;
mod show;
mod stderr_log;
mod times;
mod times_in_lab;
mod world;

use barkeep_journal::Lane;
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
        Command::Conform(options) => conform::conform(&options),
        Command::Matrix(options) => matrix::matrix(&options),
        Command::Explore(options) => explore::explore(&options),
        Command::Batch { list } => batch::inside::carry_out(&list),
        Command::Handover(options) => handover::handover(&options),
        Command::HandoverConduct(options) => handover::inside::conduct(&options),
        Command::HandoverProcess { role } => handover::inside::process(role),
        Command::ConformRecord(options) => conform::inside::record_here(&options),
    }
}

fn run(options: &cli::RunOptions) -> anyhow::Result<Exit> {
    match lane::place(options)? {
        lane::Place::Here(Lane::Model) => model::run(options),
        lane::Place::Here(lane) => here::run(options, lane),
        lane::Place::Emulator if options.times.is_some_and(|times| times > 1) => times_in_lab::run(options),
        lane::Place::Emulator => outside::run_in_lab(options, std::env::args_os().skip(1)),
    }
}
