//! A worker of lane `model`: carries episodes out, one after the other, in this process, and says on
//! standard output what came of each. Nothing is written anywhere: an episode that fails is done again.

use super::child;
use super::judge::Judge;
use super::work::{self, Order, Outcome};
use crate::cli::RunOptions;
use crate::exit::{Exit, UsageExt, told};
use crate::inside;
use crate::model::{self, Done};
use crate::wall_clock;
use anyhow::Context;
use barkeep_check::Ended;
use barkeep_journal::Lane;
use barkeep_scenario::Scenario;
use clap::Args;
use serde::{Deserialize, Serialize};
use std::io::{self, Write};
use std::time::{Duration, Instant};

/// Options of a worker.
#[derive(Debug, Args)]
pub struct WorkerOptions {
    /// Who is to outlive it.
    #[arg(long)]
    parent: i32,
    /// As for `run`.
    #[command(flatten)]
    run: RunOptions,
}

/// What a worker reads from standard input.
#[derive(Debug, Serialize, Deserialize)]
pub struct Assignment {
    /// What episodes without a text are drawn from.
    pub storm: Option<String>,
    /// For how long new episodes may be begun, milliseconds of wall-clock time.
    pub time_ms: Option<u64>,
    /// In this order.
    pub orders: Vec<Order>,
}

/// A line of its standard output.
#[derive(Debug, Serialize, Deserialize)]
pub enum Said {
    /// The episode of that number is begun: what ends this process is its end.
    Begun(usize),
    /// It is over.
    Over(usize, Box<Outcome>),
    /// No further one is begun, because the time is up.
    TimeIsUp,
}

/// Carries all episodes out.
///
/// # Errors
/// What was read is no assignment, or nobody listens.
pub fn work(options: &WorkerOptions) -> anyhow::Result<Exit> {
    child::die_with(options.parent)?;
    let assignment: Assignment = serde_json::from_reader(io::stdin().lock()).context("no assignment")?;
    let storm = assignment.storm.as_deref().map(Scenario::parse).transpose().usage("no storm")?;
    let until = assignment.time_ms.map(|ms| Instant::now() + Duration::from_millis(ms));
    for order in &assignment.orders {
        if until.is_some_and(|until| Instant::now() >= until) {
            say(&Said::TimeIsUp)?;
            break;
        }
        say(&Said::Begun(order.number))?;
        let begun = wall_clock::now();
        let outcome = one(order, storm.as_ref(), &options.run).unwrap_or_else(|error| {
            // What is wrong with an episode before it is carried out is its end, too.
            let ended = Ended::ByItself(Exit::of(&error).code().into());
            Judge::default().finish(ended, Some(told(&error)))
        });
        let outcome = Outcome { wall: begun..wall_clock::now(), ..outcome };
        say(&Said::Over(order.number, Box::new(outcome)))?;
    }
    Ok(Exit::Pass)
}

fn say(said: &Said) -> anyhow::Result<()> {
    let mut line = serde_json::to_vec(said).context("what is said is JSON")?;
    line.push(b'\n');
    // In one piece: a line that is cut off says that this process died.
    let mut out = io::stdout().lock();
    out.write_all(&line).and_then(|()| out.flush()).context("nobody listens")
}

fn one(order: &Order, storm: Option<&Scenario>, options: &RunOptions) -> anyhow::Result<Outcome> {
    let scenario = match (&order.text, storm) {
        (Some(text), _) => Scenario::parse(text).usage("no scenario")?,
        (None, Some(storm)) => work::drawn(storm, order.seed)?,
        (None, None) => anyhow::bail!("episode {} is drawn from nothing", order.number),
    };
    let resets = barkeep_storm::resets(&scenario);
    let plan = inside::planned(scenario, options, Lane::Model)?;
    let Done { result, sink, .. } = model::once(&plan, options, order.seed, Judge::default())?;
    let status = result.as_ref().map_or_else(Exit::of, |exit| *exit);
    let said = result.err().map(|error| told(&error));
    let outcome = sink.finish(Ended::ByItself(status.code().into()), said);
    Ok(Outcome { resets, ..outcome })
}
