//! `--kernel-trace`: the kernel's own steps between those of the run.

use crate::cli::RunOptions;
use crate::exit::{Exit, UsageExt, wrong};
use barkeep_journal::{Journal, Lane};
use barkeep_ktrace::KernelTrace;

/// Whether the lane has a kernel that could be traced, if that is asked for.
///
/// # Errors
/// It has none.
pub fn is_for(options: &RunOptions, lane: Lane) -> anyhow::Result<()> {
    match lane {
        Lane::Model | Lane::Kvm if options.kernel_trace => Err(wrong(
            Exit::Usage,
            format!(
                "--kernel-trace is for --lane lab and host: in lane {lane} the kernel is a specification"
            ),
        )),
        Lane::Model | Lane::Kvm | Lane::Lab | Lane::Host => Ok(()),
    }
}

/// Does `run` with the journal that has the kernel's steps, if that is asked for. Before the process is confined:
/// from then on nothing of tracefs can be opened.
///
/// # Errors
/// Those of `run`; the kernel cannot be traced.
pub fn around(
    options: &RunOptions,
    journal: &Journal,
    run: impl FnOnce(&Journal) -> anyhow::Result<Exit>,
) -> anyhow::Result<Exit> {
    if !options.kernel_trace {
        return run(journal);
    }
    let (trace, traced) = KernelTrace::start(journal).usage("--kernel-trace: the kernel cannot be traced")?;
    let result = run(&traced);
    drop(traced);
    let told = trace.finish();
    if !told.absent.is_empty() {
        eprintln!("barkeep: kernel trace: cannot be traced on this kernel: {}", told.absent.join(", "));
    }
    if told.lost > 0 {
        eprintln!("barkeep: kernel trace: {} records lost: what the kernel did is not all there", told.lost);
    }
    if let Some(why) = told.left {
        eprintln!("barkeep: kernel trace: probes may still be there: {why}");
    }
    result
}
