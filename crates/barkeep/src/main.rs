//! The `barkeep` command: the only place that joins CPUs to devices.

mod aftermath;
mod assemble;
mod assemble_sim;
mod assemble_vfio;
mod batch;
mod bind;
mod cast;
mod cli;
mod conform;
mod control;
mod ctl;
mod diff;
mod doctor;
mod event_loop;
mod exit;
mod explain;
mod explore;
mod exporter;
mod guard;
mod guest;
mod guest_init;
mod handover;
mod here;
mod importer;
mod inside;
mod journal_file;
mod kernel_reports;
mod kernel_trace;
mod kernels;
mod lane;
mod leftovers;
mod lines;
mod matrix;
mod model;
mod noise;
mod notices;
mod outside;
mod pages;
mod proc_status;
mod recipe;
mod replay;
mod report_merge;
mod sandbox;
mod second;
mod show;
mod stderr_log;
mod storm;
mod terminal;
mod times;
mod times_in_lab;
mod trace;
mod typist;
mod version;
mod wall_clock;
mod world;

use barkeep_journal::Lane;
use clap::Parser;
use cli::{Cli, Command};
use exit::{Exit, UsageExt, wrong};
use std::process::ExitCode;

fn main() -> ExitCode {
    // Before anything else: as PID 1 of the lab the arguments are the kernel's, not ours.
    if barkeep_lab::inner::is_lab_init() {
        barkeep_lab::inner::init_main();
    }
    if guest_init::is_guest_init() {
        guest_init::main();
    }
    let cli = Cli::parse();
    stderr_log::set_up();
    match prepare(&cli).and_then(|()| dispatch(cli)) {
        Ok(exit) => exit.into(),
        Err(error) => {
            eprintln!("barkeep: {}", exit::told(&error));
            Exit::of(&error).into()
        }
    }
}

/// What has to be right before anything is done.
fn prepare(_cli: &Cli) -> anyhow::Result<()> {
    #[cfg(feature = "planted")]
    version::plant(_cli.plant.as_deref())?;
    barkeep_planted::check().usage("cannot plant a fault")
}

fn dispatch(cli: Cli) -> anyhow::Result<Exit> {
    match cli.command {
        Command::Run(options) => run(&options),
        Command::Replay { scenario, replay, options } => replay::replay(scenario, options, &replay),
        Command::Check { journal } => show::check(&journal),
        Command::Trace(options) => trace::trace(&options),
        Command::Explain(options) => explain::explain(&options),
        Command::Diff(options) => diff::diff(&options),
        Command::Lab(options) => outside::lab(&options),
        Command::Ctl(options) => ctl::ctl(&options),
        Command::Doctor(options) => doctor::doctor(&options),
        Command::Bind(options) => bind::bind(&options),
        Command::Unbind(options) => bind::unbind(&options),
        Command::Completions { shell } => pages::completions(shell),
        Command::Man { folder } => pages::man(&folder),
        Command::Conform(options) => conform::conform(&options),
        Command::Matrix(options) => matrix::matrix(&options),
        Command::Explore(options) => explore::explore(&options),
        Command::Exporter(options) => exporter::exporter(&options),
        Command::ExporterParty(options) => exporter::party(&options),
        Command::Storm(options) => storm::storm(&options),
        Command::Report { command } => report_merge::report(&command),
        Command::StormWorker(options) => storm::worker::work(&options),
        Command::StormEpisode(options) => storm::alone::episode(&options),
        Command::Batch { list } => batch::inside::carry_out(&list),
        Command::Handover(options) => handover::handover(&options),
        Command::HandoverConduct(options) => handover::inside::conduct(&options),
        Command::HandoverProcess { role } => handover::inside::process(role),
        Command::Inherit => inherit(),
        Command::ConformRecord(options) => conform::inside::record_here(&options),
    }
}

/// Holds a descriptor that it was started with, until its parent lets it go.
fn inherit() -> anyhow::Result<Exit> {
    barkeep_vfio::holders::serve_heir()?;
    Ok(Exit::Pass)
}

fn run(options: &cli::RunOptions) -> anyhow::Result<Exit> {
    let words = std::env::args_os().skip(1).map(|word| {
        word.into_string().map_err(|word| wrong(Exit::Usage, format!("{} is not UTF-8", word.display())))
    });
    run_with(options, words.collect::<anyhow::Result<_>>()?)
}

/// Carries it out where it is to be; `words` are those of the command line, for the emulator's inside.
fn run_with(options: &cli::RunOptions, words: Vec<String>) -> anyhow::Result<Exit> {
    let place = lane::place(options)?;
    if options.kill_after.is_some() && place != lane::Place::Emulator {
        return Err(wrong(
            Exit::Usage,
            "--kill-after is for --lane lab: only there is somebody left to look",
        ));
    }
    match place {
        lane::Place::Here(Lane::Model) => model::run(options),
        lane::Place::Here(lane) => here::run(options, lane),
        lane::Place::Emulator
            if options.times.is_some_and(|times| times > 1) || options.kill_after.is_some() =>
        {
            times_in_lab::run(options)
        }
        lane::Place::Emulator => outside::run_in_lab(options, &words),
    }
}
