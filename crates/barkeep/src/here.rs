//! `run` and `replay` in this process.

use crate::cli::{RunOptions, inside_lab};
use crate::exit::{Exit, UsageExt};
use crate::inside;
use crate::show::Show;
use anyhow::Context;
use barkeep_check::Ended;
use barkeep_journal::{Clock, Journal, Lane, Reader, layout};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Records the journal of lane `host` has room for; memory is used as it fills.
const HOST_RECORDS: usize = 4 << 20;

/// Runs here: inside the lab into the lab's journal, which is read outside; on a host into
/// one of its own, which a thread reads.
///
/// # Errors
/// The VM cannot be made or run.
pub fn run(options: &RunOptions) -> anyhow::Result<Exit> {
    if inside_lab() {
        return inside::run(options, &lab_journal()?);
    }
    // Before anything is made: what was typed may be wrong.
    inside::plan(options)?;
    let out = options.out.clone().unwrap_or_else(|| PathBuf::from("out/run"));
    std::fs::create_dir_all(&out).usage(format!("cannot make the folder {}", out.display()))?;
    let path = out.join("journal.jsonl");
    let file = File::create(&path).usage(format!("cannot write {}", path.display()))?;
    let (journal, shared) = Journal::in_memory(HOST_RECORDS, Lane::Host, Clock::Hardware)?;
    let size = layout::HEADER_SIZE + HOST_RECORDS * layout::RECORD_SIZE;
    let reader = Reader::open(shared, size)?;
    let ended = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&ended);
    let follower = std::thread::spawn(move || follow(reader, BufWriter::new(file), &told));
    let result = inside::run(options, &journal);
    journal.finish(result.as_ref().map_or_else(|error| Exit::of(error).code(), |exit| exit.code()).into());
    ended.store(true, Ordering::Release);
    let show = follower.join().map_err(|_| anyhow::anyhow!("the journal's reader panicked"))??;
    let status = match &result {
        Ok(exit) => *exit,
        Err(error) => {
            eprintln!("barkeep: {error:#}");
            Exit::of(error)
        }
    };
    Ok(show.verdict(Ended::ByItself(status.code().into()), &path))
}

fn follow(mut reader: Reader, mut file: impl Write, ended: &AtomicBool) -> anyhow::Result<Show> {
    let header = reader.header();
    let mut show = Show::new();
    writeln!(file, "{}", barkeep_journal::json::header_line(header))?;
    loop {
        // Asked before the read: what was written before the end is then read for sure.
        let last = ended.load(Ordering::Acquire);
        let next = |reader: &mut Reader| if last { reader.next_after_death() } else { reader.next_event() };
        while let Some(event) = next(&mut reader) {
            writeln!(file, "{}", barkeep_journal::json::line(&event, header))?;
            show.event(&event, header);
        }
        file.flush()?;
        if last {
            return Ok(show);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The journal of the lab this process runs in.
fn lab_journal() -> anyhow::Result<Journal> {
    let path = std::env::var("BARKEEP_JOURNAL").context("BARKEEP_JOURNAL")?;
    let size = std::env::var("BARKEEP_JOURNAL_SIZE").context("BARKEEP_JOURNAL_SIZE")?;
    let file = File::options().read(true).write(true).open(&path).context("cannot open the lab's journal")?;
    Ok(Journal::join(file, size.parse().context("BARKEEP_JOURNAL_SIZE")?)?)
}
