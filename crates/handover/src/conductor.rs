//! Drives both processes through an order, looks after every step, and holds what it sees to the
//! specification.

mod look;

use crate::children::{ChildError, Children};
use crate::outcome::{Outcome, Seen, Word};
use crate::spec::{Expected, Flight, Spec};
use crate::step::{End, ExporterStep as E, ImporterStep as I, Order, Side, Step};
use crate::talk::Ask;
use crate::window::{IOVA, LENGTH, TARGET, Window};
use barkeep_export::FaultSource;
use barkeep_journal::{Actor, DeviceAddress, Event, Journal, Kind};
use barkeep_model::{Answer, Errno};
use barkeep_pci::write::Bytes;
use barkeep_real::parts::{Context, Device};
use std::fs;
use std::thread::sleep;

/// The devices and the journal: what all orders have in common.
pub struct Conductor {
    start: Spec,
    window: Window,
    target: DeviceAddress,
    engine: DeviceAddress,
    journal: Journal,
    faults: Box<dyn FaultSource>,
    /// For opening devices that nobody has open.
    context: Context,
    /// DMAs commanded so far: each carries data of its own.
    count: u32,
}

/// What keeps orders from being carried out at all.
#[derive(Debug, thiserror::Error)]
pub enum ConductError {
    /// Processes or sockets.
    #[error(transparent)]
    Child(#[from] ChildError),
    /// One of the processes cannot get what it is to hold.
    #[error("the {0:?} cannot be set up: {1}")]
    SetUp(Side, Answer),
    /// The devices cannot be opened.
    #[error("cannot use {0} ({1}); does anybody else have it open?")]
    Device(DeviceAddress, Errno),
    /// The conductor's own files.
    #[error("cannot count open files")]
    Count(#[source] std::io::Error),
    /// A call did not come back in 90 s of the machine's clock.
    #[error("`{0}` does not come back")]
    Hung(Step),
}

impl Conductor {
    /// One for these devices, which nobody has open.
    ///
    /// # Errors
    /// No iommufd.
    pub fn new(
        start: Spec,
        window: Window,
        (target, engine): (DeviceAddress, DeviceAddress),
        journal: Journal,
        faults: Box<dyn FaultSource>,
    ) -> Result<Self, ConductError> {
        let context = Context::new().map_err(|errno| ConductError::Device(target, errno))?;
        Ok(Self { start, window, target, engine, journal, faults, context, count: 0 })
    }

    /// Carries an order out, from two fresh processes to none.
    ///
    /// # Errors
    /// The testbed failed. What the kernel does otherwise than expected is in the outcome.
    pub fn order(&mut self, order: &Order) -> Result<Outcome, ConductError> {
        let action = self.journal.begin(Event::new(Kind::Action, Actor::Scenario).text(order.to_string()));
        let open_before = open_files()?;
        let mut spec = self.start.clone();
        let mut children = Children::start(&self.journal)?;
        self.set_up(&children)?;
        let mut stands = look::word_of(children.ask(Side::Exporter, &Ask::ReadRegion)?);
        let mut flying = 0;
        let mut outcome = Outcome::new(order.clone());
        for step in &order.0 {
            let was_flying = spec.flight() == Flight::Under;
            let expected = spec.step(*step);
            let (answer, data) = self.perform(*step, &mut children, flying)?;
            flying = data;
            self.let_go_of_the_empty(&spec, &mut children)?;
            let seen = if *step == Step::Importer(I::StartDma) {
                // To look would be to wait for it.
                Seen::in_flight(answer)
            } else {
                self.look(&children, &expected, answer, (stands, was_flying.then_some(flying)))?
            };
            if let Some(Word::Is(word)) = seen.word {
                stands = Word::Is(word);
            }
            let differs = seen.differs(&expected);
            self.tell(*step, &seen, &expected, differs.as_deref());
            outcome.step(*step, seen, differs);
        }
        drop(children);
        self.nothing_is_left((open_before, stands), &mut outcome)?;
        self.journal.end(action, 0);
        Ok(outcome)
    }

    fn set_up(&self, children: &Children) -> Result<(), ConductError> {
        let flr = match self.window.flr.bytes {
            Bytes::Two(bytes) => u16::from_le_bytes(bytes),
            Bytes::One(_) | Bytes::Four(_) => 0,
        };
        let flr = (self.window.flr.offset, flr);
        let exporter = Ask::SetUpExporter { address: self.target.to_string(), bar: self.window.bar, flr };
        let engine = Some(self.engine.to_string());
        let importer = Ask::SetUpImporter { address: engine, iova: IOVA, length: LENGTH };
        for (side, what) in [(Side::Exporter, exporter), (Side::Importer, importer)] {
            match children.ask(side, &what)? {
                Answer::Ok(_) => {}
                other => return Err(ConductError::SetUp(side, other)),
            }
        }
        Ok(())
    }

    /// Has a step done; gives its answer and the data of the DMA in flight.
    fn perform(
        &mut self,
        step: Step,
        children: &mut Children,
        flying: u32,
    ) -> Result<(Answer, u32), ConductError> {
        let answer = match step {
            Step::Exporter(E::End(end)) | Step::Importer(I::End(end)) => {
                children.end(step.side(), end, &self.journal)?;
                Answer::Ok(0)
            }
            Step::Importer(I::StartDma) => {
                // Between it and the next step there must be no time; before it there may be.
                sleep(look::BETWEEN_FAULTS);
                let data = self.fresh();
                self.commanded(data);
                return Ok((children.ask(Side::Importer, &Ask::StartDma(IOVA + TARGET, data))?, data));
            }
            Step::Exporter(own) => children.ask(Side::Exporter, &Ask::Exporter(own))?,
            Step::Importer(own) => children.ask(Side::Importer, &Ask::Importer(own))?,
        };
        if answer == Answer::Hung { Err(ConductError::Hung(step)) } else { Ok((answer, flying)) }
    }

    /// A process that holds nothing any more has nothing left to do.
    fn let_go_of_the_empty(&self, spec: &Spec, children: &mut Children) -> Result<(), ConductError> {
        for side in [Side::Exporter, Side::Importer] {
            if !spec.is_alive(side) {
                children.end(side, End::Exit, &self.journal)?;
            }
        }
        Ok(())
    }

    /// Data no DMA had before: a word that stands in the BAR says which one brought it.
    fn fresh(&mut self) -> u32 {
        self.count += 1;
        0xd3a0_0000_u32.wrapping_add(self.count)
    }

    fn commanded(&self, data: u32) {
        let event = Event::new(Kind::DmaStart, Actor::Importer).device(self.engine);
        self.journal.emit(event.range(IOVA + TARGET, 4).value(data.into()));
    }

    /// Both devices can be opened, no file is left of those the order has opened here, and what was
    /// read last still stands in the BAR: nothing has come since.
    fn nothing_is_left(
        &mut self,
        (open_before, stands): (usize, Word),
        outcome: &mut Outcome,
    ) -> Result<(), ConductError> {
        let word = self.read_as_other();
        if word != stands {
            outcome.left(format!("at the end {word} stands in the BAR, and {stands} was read last"));
        }
        if let Err(errno) = Device::open(self.engine, &self.context) {
            outcome.left(format!("{} cannot be opened afterwards: {errno}", self.engine));
        }
        let left = open_files()?.saturating_sub(open_before);
        if left > 0 {
            outcome.left(format!("{left} files of the conductor's"));
        }
        let event = Event::new(Kind::Leftover, Actor::Scenario).text("of an order");
        self.journal.emit(event.value(outcome.left_behind() as u64));
        Ok(())
    }

    fn tell(&self, step: Step, seen: &Seen, expected: &Expected, differs: Option<&str>) {
        let event = Event::new(Kind::Expectation, Actor::Scenario);
        self.journal.emit(match differs {
            None => event.result(0).text(format!("{step} {seen}")),
            Some(differs) => event.result(1).text(format!("after {step}: {differs} ({expected:?})")),
        });
    }
}

fn open_files() -> Result<usize, ConductError> {
    fs::read_dir("/proc/self/fd").map(Iterator::count).map_err(ConductError::Count)
}
