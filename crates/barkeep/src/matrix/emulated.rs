//! The cells of an emulated machine: in one boot, if all goes well.

use super::cells::{self, Errand};
use crate::batch::outside::{self, Done, Errand as Runs, Run};
use crate::cli::MatrixOptions;
use anyhow::Context;
use barkeep_matrix::table::Outcome;
use std::ops::ControlFlow;

/// Carries them out and shows what came of each.
///
/// # Errors
/// The lab cannot run; a journal cannot be read.
pub fn carry_out(
    errand: &Errand<'_>,
    options: &MatrixOptions,
    show: &mut dyn FnMut(usize, Outcome),
) -> anyhow::Result<()> {
    let jobs: Vec<_> = errand.jobs().collect();
    let run = |(_, place, job): &(usize, &cells::Place, &barkeep_matrix::Job)| {
        let scenario = job.scenario.to_toml().context("a cell's scenario can be written down")?;
        Ok(Run { scenario, seed: None, kill_after: None, folder: place.folder.clone() })
    };
    let runs = jobs.iter().map(run).collect::<anyhow::Result<Vec<Run>>>()?;
    let boots = options.out.join("boots").join(cells::file_name(&errand.column.name));
    let errand = Runs {
        kernel: options.kernel.as_deref(),
        topology: &errand.column.name,
        fast: false,
        timeout: crate::outside::DEFAULT_TIMEOUT,
        arguments: &[],
        runs: &runs,
        boots: &boots,
    };
    let mut result = Ok(());
    outside::carry_out(&errand, &mut |number, done: Done| {
        let (n, _, job) = jobs[number];
        match cells::events(&done.journal) {
            Ok(events) => {
                show(n, cells::outcome(job, &done.verdict, &events));
                ControlFlow::Continue(())
            }
            Err(error) => {
                result = Err(error);
                ControlFlow::Break(())
            }
        }
    })?;
    result
}
