//! Carries operations out on the running kernel and prints what came of it.
//!
//! The file has one operation a line, as JSON; an empty line begins another episode, and a line
//! that begins with `#` is left out. What is printed is JSON too, a line each: the hardware
//! first, then `{"op":…,"answer":…,"seen":…}`. In the lab:
//!
//!     cargo build --release -p barkeep-real --example operate
//!     barkeep lab --share DIR -- exec operate /share/ops.json

use anyhow::{Context, bail};
use barkeep_model::{Answer, Op, Seen, Subject};
use barkeep_real::{Executor, Place};
use serde::Serialize;
use std::io::{self, BufWriter, Write};
use std::time::Instant;

#[derive(Serialize)]
struct Line<'a> {
    op: &'a Op,
    answer: Answer,
    seen: Seen,
}

fn main() -> anyhow::Result<()> {
    let path = std::env::args().nth(1).context("usage: operate FILE")?;
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    let mut executor = Executor::new(&Place::all_named()?)?;
    let mut out = BufWriter::new(io::stdout().lock());
    writeln!(out, "{}", serde_json::to_string(executor.hardware())?)?;
    let start = Instant::now();
    let mut done = 0;
    executor.begin();
    for (number, line) in text.lines().enumerate() {
        if line.trim().is_empty() {
            executor.begin();
            if let Some(why) = executor.broken() {
                bail!(
                    "{path}:{}: the episode before it left something that cannot be undone: {why}",
                    number + 1
                );
            }
            writeln!(out)?;
        } else if !line.starts_with('#') {
            let op: Op = serde_json::from_str(line).with_context(|| format!("{path}:{}", number + 1))?;
            let answer = executor.apply(&op);
            let seen = executor.seen();
            writeln!(out, "{}", serde_json::to_string(&Line { op: &op, answer, seen })?)?;
            done += 1;
        }
    }
    out.flush()?;
    eprintln!("{done} operations in {:?} of the machine's clock", start.elapsed());
    Ok(())
}
