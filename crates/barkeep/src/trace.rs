//! `barkeep trace`: what happened, from a journal.

use crate::exit::{Exit, UsageExt, wrong};
use crate::show::style;
use barkeep_timeline::{Moment, Point, Selection};
use barkeep_trace::lines::{self, Lines};
use barkeep_trace::perfetto::Packets;
use barkeep_trace::{Drawing, Survey, page, read, svg};
use clap::Args;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};

/// Options of `trace`.
#[derive(Clone, Debug, Args)]
pub struct TraceOptions {
    /// A journal.jsonl.
    journal: PathBuf,
    /// Only what is around a point: revoke:17 (the 17th revoke: all of the event that is handled), seq:462, or
    /// a time since the start of the run (1.690654, 250ms).
    #[arg(long, value_name = "POINT")]
    around: Option<Point>,
    /// With --around: so many events before and after it.
    #[arg(long, value_name = "N", requires = "around", default_value_t = lines::CONTEXT)]
    context: usize,
    /// Only what is about this device (its name, or its address), or about none.
    #[arg(long, value_name = "DEVICE")]
    device: Option<String>,
    /// Only what is about this BAR, or about none.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(0..=5))]
    bar: Option<u8>,
    /// Only from this time on, since the start of the run: 1.690654, 250ms.
    #[arg(long, value_name = "TIME")]
    from: Option<Moment>,
    /// Only up to this time.
    #[arg(long, value_name = "TIME")]
    to: Option<Moment>,
    /// Write a page for a browser instead: one file, which asks no network for anything.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Write a still of the timeline instead.
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Write a trace for Perfetto (ui.perfetto.dev) instead.
    #[arg(long, value_name = "FILE")]
    perfetto: Option<PathBuf>,
}

/// Does it.
///
/// # Errors
/// The journal cannot be read or is damaged (what could be read is shown first), or has not what was asked for;
/// a file cannot be written.
pub fn trace(options: &TraceOptions) -> anyhow::Result<Exit> {
    let survey = survey(&options.journal, options.around)?;
    let selection = options.selection(&survey)?;
    if options.html.is_some() || options.svg.is_some() {
        pictures(options, &survey, selection)?;
    }
    if let Some(file) = &options.perfetto {
        perfetto_to(file, options, &survey, selection)?;
    }
    if options.html.is_none() && options.svg.is_none() && options.perfetto.is_none() {
        lines_of(options, &survey, selection)?;
    }
    damage(&options.journal, survey)
}

/// The first reading of a journal.
///
/// # Errors
/// It is none, or has no such point.
pub fn survey(journal: &Path, point: Option<Point>) -> anyhow::Result<Survey> {
    let survey = Survey::of(open(journal)?, point).usage(cannot_read(journal))?;
    match (point, survey.point) {
        (Some(point), None) => Err(wrong(Exit::Usage, absent(point, &survey))),
        _ => Ok(survey),
    }
}

/// A journal's file.
///
/// # Errors
/// It cannot be opened.
pub fn open(journal: &Path) -> anyhow::Result<BufReader<File>> {
    Ok(BufReader::with_capacity(1 << 20, File::open(journal).usage(cannot_read(journal))?))
}

/// How a command ends that has shown what could be read.
///
/// # Errors
/// Not all could.
pub fn damage(journal: &Path, survey: Survey) -> anyhow::Result<Exit> {
    if survey.damages.is_empty() {
        return Ok(Exit::Pass);
    }
    Err(wrong(Exit::Usage, format!("{}: {}", cannot_read(journal), survey.damages)))
}

fn cannot_read(journal: &Path) -> String {
    format!("cannot read the journal {}", journal.display())
}

fn absent(point: Point, survey: &Survey) -> String {
    match point {
        Point::Revoke(_) => {
            format!("there is no {point}: the journal has {} revokes", survey.numbers.revokes)
        }
        Point::Seq(_) | Point::Time(_) => format!("there is nothing at {point} in this journal, or after it"),
    }
}

impl TraceOptions {
    fn selection(&self, survey: &Survey) -> anyhow::Result<Selection> {
        let start = survey.numbers.start_ns();
        let moment = |moment: Option<Moment>| moment.map(|Moment(ns)| start.saturating_add(ns));
        let device = self.device.as_deref().map(|name| survey.device(name)).transpose();
        Ok(Selection {
            seq: None,
            from_ns: moment(self.from),
            to_ns: moment(self.to),
            device: device.usage("cannot show it")?,
            bar: self.bar,
        })
    }
}

fn pictures(options: &TraceOptions, survey: &Survey, selection: Selection) -> anyhow::Result<()> {
    let drawing =
        Drawing::of(open(&options.journal)?, survey, selection).usage(cannot_read(&options.journal))?;
    let name = options.journal.display().to_string();
    if let Some(file) = &options.html {
        write(file, page::write(survey, &drawing, &name).as_bytes())?;
    }
    if let Some(file) = &options.svg {
        write(file, svg::draw(survey, &drawing).as_bytes())?;
    }
    if let Some(put_together) = drawing.put_together() {
        eprintln!("barkeep: {put_together}");
    }
    Ok(())
}

fn perfetto_to(
    file: &Path,
    options: &TraceOptions,
    survey: &Survey,
    selection: Selection,
) -> anyhow::Result<()> {
    let out = BufWriter::new(File::create(file).usage(format!("cannot write {}", file.display()))?);
    let mut packets = Packets::new(out, survey, selection);
    let what = cannot_read(&options.journal);
    read(open(&options.journal)?, |event, _| packets.event(event)).usage(what)?;
    packets.finish().usage(format!("cannot write {}", file.display()))
}

fn write(file: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    std::fs::write(file, bytes).usage(format!("cannot write {}", file.display()))
}

fn lines_of(options: &TraceOptions, survey: &Survey, selection: Selection) -> anyhow::Result<()> {
    let out = io::stdout();
    let style = style(out.is_terminal());
    let out = BufWriter::new(out.lock());
    let written = print_lines(options, survey, selection, out, style);
    match written {
        // A reader that is gone has read enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => Ok(written?),
    }
}

fn print_lines(
    options: &TraceOptions,
    survey: &Survey,
    selection: Selection,
    out: impl Write,
    style: barkeep_report::Style,
) -> io::Result<()> {
    let mut lines = Lines::new(out, survey, selection, options.context, style)?;
    let file = File::open(&options.journal)?;
    // What is wrong with it is known from the first reading.
    let _ = read(BufReader::with_capacity(1 << 20, file), |event, _| lines.event(event));
    lines.finish().map(drop)
}
