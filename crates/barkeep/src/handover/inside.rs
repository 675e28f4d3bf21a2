//! Inside the lab: the conductor, and each of the two processes.

use crate::exit::{Exit, UsageExt};
use crate::here;
use crate::second;
use anyhow::Context;
use barkeep_handover::orders::Extent;
use barkeep_handover::run::{Request, RunError, Sum, Which, run};
use barkeep_handover::step::{Order, Side};
use barkeep_journal::{Actor, Event, Journal, Kind};
use barkeep_model::Profile;
use barkeep_real::Place;
use clap::{Args, ValueEnum};
use std::fmt;
use std::path::{Path, PathBuf};

/// The file in the folder that comes out with what the boot came to.
pub const TOLD: &str = "handover.json";

/// Options of `handover-conduct`.
#[derive(Debug, Args)]
pub struct ConductOptions {
    /// As for `handover`.
    #[arg(long)]
    pub all: bool,
    /// As for `handover`.
    #[arg(long, value_name = "STEPS")]
    pub order: Option<Order>,
    /// As for `handover`.
    #[arg(long, value_name = "VERSION")]
    pub profile: Option<Profile>,
    /// Orders to leave out, from the first on.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub skip: usize,
    /// Orders to carry out at the most.
    #[arg(long, value_name = "N", default_value_t = usize::MAX)]
    pub take: usize,
}

/// Which of the two a process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Role {
    /// It has the device whose BAR is exported.
    Exporter,
    /// It has the device that does the DMA.
    Importer,
    /// The importer beside a VMM.
    Second,
}

/// Is one of the two processes, until the conductor has nothing more to say.
///
/// # Errors
/// It was not the conductor who started it.
pub fn process(role: Role) -> anyhow::Result<Exit> {
    let side = match role {
        Role::Exporter => Side::Exporter,
        Role::Importer => Side::Importer,
        Role::Second => return second::serve(),
    };
    barkeep_handover::process::serve(side, &here::lab_journal()?)?;
    Ok(Exit::Pass)
}

/// Carries orders out, and prints a line for each.
///
/// # Errors
/// The devices cannot be used, the order is none, or the testbed failed.
pub fn conduct(options: &ConductOptions) -> anyhow::Result<Exit> {
    let journal = here::lab_journal()?;
    let version = crate::version::told();
    journal.emit(Event::new(Kind::RunStart, Actor::Scenario).text(format!("{version}: handover")));
    let result = carry_out(options, &journal);
    let exit = result.as_ref().map_or_else(Exit::of, |exit| *exit);
    journal.emit(Event::new(Kind::RunEnd, Actor::Scenario).result(exit.code().into()));
    result
}

fn carry_out(options: &ConductOptions, journal: &Journal) -> anyhow::Result<Exit> {
    let places = Place::all_named().usage("no devices to take")?;
    let which = match (&options.order, options.all) {
        (Some(order), _) => Which::One(order.clone()),
        (None, true) => Which::Extent(Extent::All),
        (None, false) => Which::Extent(Extent::Quick),
    };
    let request = Request { which, skip: options.skip, take: options.take, profile: options.profile };
    let sum = match run(&request, &places, journal, &mut std::io::stdout().lock()) {
        Err(error @ (RunError::Window(_) | RunError::Profile(_) | RunError::Order(..))) => {
            return Err(error).usage("nothing can be handed over");
        }
        other => other.context("not all orders were carried out")?,
    };
    let out = std::env::var_os("BARKEEP_OUT").map(PathBuf::from).unwrap_or_else(|| PathBuf::from("."));
    Told::from(sum).write(&out)?;
    Ok(if sum.wrong == 0 { Exit::Pass } else { Exit::Broken })
}

/// What a boot came to, or several.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Told {
    /// Orders there are, in this boot or another.
    pub orders: usize,
    /// Those carried out.
    pub done: usize,
    /// Those that did not go as specified.
    pub wrong: usize,
    steps: usize,
    landed: usize,
    faulted: usize,
    away: usize,
}

impl From<Sum> for Told {
    fn from(sum: Sum) -> Self {
        let Sum { orders, done, wrong, steps, dmas: [landed, faulted, away] } = sum;
        Self { orders, done, wrong, steps, landed, faulted, away }
    }
}

impl Told {
    fn write(&self, folder: &Path) -> anyhow::Result<()> {
        let path = folder.join(TOLD);
        std::fs::write(&path, serde_json::to_vec(self)?)
            .with_context(|| format!("cannot write {}", path.display()))
    }

    /// What came out of a boot, if it got that far.
    pub fn read(folder: &Path) -> Option<Self> {
        serde_json::from_slice(&std::fs::read(folder.join(TOLD)).ok()?).ok()
    }

    /// Another boot.
    pub fn add(&mut self, other: &Self) {
        let Self { orders, done, wrong, steps, landed, faulted, away } = *other;
        self.orders = orders;
        self.done += done;
        self.wrong += wrong;
        self.steps += steps;
        self.landed += landed;
        self.faulted += faulted;
        self.away += away;
    }
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { orders, done, wrong, steps, landed, faulted, away } = self;
        let dmas = landed + faulted + away;
        write!(
            f,
            "{done} of {orders} orders, {steps} steps, {dmas} DMAs: {landed} landed, {faulted} faulted, {away} gone \
             without a record; "
        )?;
        match wrong {
            0 => f.write_str("all as specified, nothing left behind"),
            1 => f.write_str("1 order was NOT as specified"),
            _ => write!(f, "{wrong} orders were NOT as specified"),
        }
    }
}
