//! The lab, booted to answer operations.

use super::inside::RECORDING;
use crate::cli::{ConformOptions, LabOptions};
use crate::exit::{Exit, UsageExt, wrong};
use crate::kernels;
use crate::outside;
use crate::show::Show;
use anyhow::Context;
use barkeep_conform::recording::{self, Episodes};
use barkeep_conform::shrink::Batch;
use barkeep_conform::{Episode, Header, Machine, Recorded, Writer};
use barkeep_model::{Answer, Op, Seen};
use std::fs::File;
use std::io::{BufReader, BufWriter};
use std::path::{Path, PathBuf};

/// Boots the lab and has operations answered there; gives the recording.
///
/// # Errors
/// The lab cannot run, or did not come to its end.
pub fn record(options: &ConformOptions, arguments: Vec<String>, out: &Path) -> anyhow::Result<PathBuf> {
    let mut command = vec!["conform-record".to_owned()];
    command.extend(arguments);
    let mut request = outside::request_without_module(&LabOptions {
        kernel: options.kernel.clone(),
        topology: Some(options.topology.clone()),
        timeout: options.timeout,
        ..LabOptions::of(command, out)
    })?;
    if kernels::has_importer(&request.kernel) && request.topology.wants_importer() {
        request.importer = Some(kernels::importer(&request.kernel)?);
    } else {
        request.topology = request.topology.without_importer();
    }
    match outside::boot(&request, Show::quiet())? {
        Exit::Pass => Ok(out.join(RECORDING)),
        exit => Err(wrong(exit, "the kernel could not be asked to the end")),
    }
}

/// Opens a recording.
///
/// # Errors
/// It cannot be read, is damaged, or of another version.
pub fn open(path: &Path) -> anyhow::Result<(Header, Machine, Episodes<BufReader<File>>)> {
    let unusable = || format!("the recording {} is not usable", path.display());
    let file = File::open(path).usage(format!("cannot read {}", path.display()))?;
    let (header, episodes) = recording::read(BufReader::new(file)).usage(unusable())?;
    let machine = header.machine().usage(unusable())?;
    Ok((header, machine, episodes))
}

/// Writes episodes as a recording.
///
/// # Errors
/// The file cannot be written.
pub fn write(path: &Path, header: &Header, episodes: &[Episode]) -> anyhow::Result<()> {
    let what = || format!("cannot write {}", path.display());
    let mut writer = Writer::new(BufWriter::new(File::create(path).with_context(what)?), header)?;
    for episode in episodes {
        writer.episode(episode.number, episode.steps.len() as u64)?;
        for step in &episode.steps {
            writer.step(step)?;
        }
    }
    writer.end().with_context(what)?;
    Ok(())
}

/// A kernel that is booted anew for each batch.
pub struct Booted<'a> {
    /// Which kernel, on what.
    pub options: &'a ConformOptions,
    /// Of the recording the candidates are made from.
    pub header: &'a Header,
}

impl Batch for Booted<'_> {
    type Error = anyhow::Error;

    fn run(&mut self, candidates: &[Vec<Op>]) -> anyhow::Result<Vec<Vec<Recorded>>> {
        let folder = self.options.out.join("shrink");
        std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let asked = folder.join("candidates.jsonl");
        let unanswered = |op: &Op| Recorded { op: op.clone(), answer: Answer::Idle, seen: Seen::default() };
        let episode = |(number, ops): (usize, &Vec<Op>)| Episode {
            number: number as u64,
            steps: ops.iter().map(unanswered).collect(),
        };
        let episodes: Vec<Episode> = candidates.iter().enumerate().map(episode).collect();
        write(&asked, self.header, &episodes)?;
        let arguments = vec!["--episodes".to_owned(), asked.display().to_string()];
        let answered = record(self.options, arguments, &folder)?;
        let (_, _, episodes) = open(&answered)?;
        let mut steps: Vec<Vec<Recorded>> = Vec::new();
        for episode in episodes {
            steps.push(episode?.steps);
        }
        // What the kernel did not get to was not seen to part.
        steps.resize_with(candidates.len(), Vec::new);
        Ok(steps)
    }
}
