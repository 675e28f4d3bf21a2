//! A run of this process, which waits in its journal's sink: whoever writes an event stands until it may go on, and so
//! does whoever writes the next one.

use crate::cli::RunOptions;
use crate::exit::{Exit, told};
use crate::inside::{self, Live, Plan};
use crate::journal_file::JournalFile;
use crate::model;
use crate::recipe::Recipe;
use anyhow::Context;
use barkeep_journal::{Clock, DeviceAddress, Event, Header, Journal, Lane, Sink};
use barkeep_replay::{Refused, Run};
use barkeep_sim::parts;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::JoinHandle;

/// It.
pub struct Here {
    options: RunOptions,
    lane: Lane,
    recipe: Recipe,
    out: PathBuf,
    file: Option<JournalFile>,
    running: Option<Running>,
}

/// The thread it is on.
struct Running {
    thread: JoinHandle<anyhow::Result<Exit>>,
    events: Receiver<Event>,
    go_on: Sender<()>,
    /// Whether it waits for that.
    stands: bool,
    live: Live,
}

/// What its journal goes into. Once nobody listens any more the run goes on to its end.
struct Turnstile {
    told: SyncSender<Event>,
    go_on: Receiver<()>,
    open: bool,
}

impl Sink for Turnstile {
    fn event(&mut self, event: &Event) {
        self.open |= self.told.send(event.clone()).is_err();
        if !self.open {
            self.open = self.go_on.recv().is_err();
        }
    }
}

impl Here {
    /// Plans it, and begins.
    ///
    /// # Errors
    /// What was typed is wrong; results cannot be written.
    pub fn start(options: &RunOptions, lane: Lane) -> anyhow::Result<Self> {
        let plan = inside::plan(options, lane)?;
        let recipe = Recipe::of(options, &plan.scenario, inside::seed(options, &plan.scenario))?;
        let out = options.out.clone().unwrap_or_else(|| PathBuf::from("out/run"));
        let mut run = Self { options: options.clone(), lane, recipe, out, file: None, running: None };
        run.begin(plan)?;
        Ok(run)
    }

    /// Lane and clock.
    pub fn header(&self) -> Header {
        let clock = if self.lane == Lane::Model { Clock::Virtual } else { Clock::Hardware };
        Header { lane: self.lane, clock }
    }

    /// Nobody looks any more: it goes on to its end, so that all it has is given back.
    pub fn finish(mut self) {
        self.leave();
        if let Some(mut file) = self.file.take() {
            file.flush();
        }
    }

    fn begin(&mut self, plan: Plan) -> anyhow::Result<()> {
        self.file = Some(JournalFile::of_recipe(&self.out, self.header(), &self.recipe)?);
        let (told, events) = sync_channel(0);
        let (go_on, wait) = channel();
        let turnstile = Turnstile { told, go_on: wait, open: false };
        let (options, lane, clock, live) =
            (self.options.clone(), self.lane, self.header().clock, plan.live.clone());
        let run = move || match lane {
            Lane::Model => {
                let seed = inside::seed(&options, &plan.scenario);
                model::once(&plan, &options, seed, turnstile)?.result
            }
            Lane::Kvm | Lane::Lab | Lane::Host => {
                let (journal, _tap) = Journal::typed(lane, clock, turnstile);
                inside::run(plan, &options, &journal)
            }
        };
        let thread = std::thread::Builder::new().name("run".into()).spawn(run);
        let thread = thread.context("cannot start the run's thread")?;
        self.running = Some(Running { thread, events, go_on, stands: false, live });
        Ok(())
    }

    /// Lets it go on alone, and waits for its end.
    fn leave(&mut self) -> Option<anyhow::Result<Exit>> {
        let Running { thread, events, go_on, .. } = self.running.take()?;
        drop((events, go_on));
        Some(thread.join().unwrap_or_else(|_| Err(anyhow::anyhow!("the run's thread panicked"))))
    }
}

impl Run for Here {
    fn next_event(&mut self) -> Result<Option<Event>, Refused> {
        let Some(running) = &mut self.running else { return Ok(None) };
        if running.stands {
            // It may have come to its end meanwhile; then there is no next event either.
            let _ = running.go_on.send(());
        }
        match running.events.recv() {
            Ok(event) => {
                running.stands = true;
                if let Some(file) = &mut self.file {
                    file.event(&event);
                    file.flush();
                }
                Ok(Some(event))
            }
            Err(_) => match self.leave() {
                None | Some(Ok(_)) => Ok(None),
                // It is in the journal as well.
                Some(Err(error)) => {
                    eprintln!("barkeep: {}", told(&error));
                    Ok(None)
                }
            },
        }
    }

    fn again(&mut self) -> Result<(), Refused> {
        if self.lane != Lane::Model {
            return Err(Refused(format!(
                "there is no way back in lane {}: it would not be the same run",
                self.lane
            )));
        }
        self.leave();
        let begun = inside::plan(&self.options, self.lane).and_then(|plan| self.begin(plan));
        begun.map_err(|error| Refused(told(&error)))
    }

    fn bytes(
        &mut self,
        device: DeviceAddress,
        bar: u8,
        offset: u64,
        length: usize,
    ) -> Result<Vec<u8>, Refused> {
        let host = self.running.as_ref().and_then(|running| running.live.get());
        let host =
            host.ok_or_else(|| Refused(format!("there is no simulated device now in lane {}", self.lane)))?;
        let mut bytes = vec![0; length];
        let seen = host.peek(parts::number(device), bar, offset, &mut bytes);
        seen.ok_or_else(|| {
            Refused(format!("BAR {bar} of {device} cannot be looked at now: it has none, or is in use"))
        })?;
        Ok(bytes)
    }

    fn mappings(&mut self) -> Result<Vec<String>, Refused> {
        let maps = fs::read_to_string(Path::new("/proc/self/maps"));
        let maps = maps.map_err(|error| Refused(format!("cannot read /proc/self/maps: {error}")))?;
        let worth = |line: &&str| ["/memfd:", "/dev/", "anon_inode:"].iter().any(|name| line.contains(name));
        let mut lines: Vec<String> = maps.lines().filter(worth).map(str::to_owned).collect();
        lines.push(format!("and {} more: the program's own", maps.lines().count() - lines.len()));
        Ok(lines)
    }
}
