//! A run in the emulator. It is carried out once to its end, so that every event of it is known; whoever goes from one to
//! the next goes through those. Where somebody wants to see what no journal holds, a machine is booted that stands
//! there: the same run up to that event, which is looked at.

use crate::exit::told;
use crate::outside;
use barkeep_journal::{DeviceAddress, Event, Kind};
use barkeep_lab::{Outcome, Request, StepError, Stepped};
use barkeep_replay::{Refused, Run};

/// It.
pub struct Emulated {
    request: Request,
    events: Vec<Event>,
    /// How many of them were given.
    given: usize,
    /// The machine that stands, and after how many.
    standing: Option<(usize, Stepped)>,
}

/// Where a standing machine's results go, below those of the run.
const STANDING: &str = "standing";

impl Emulated {
    /// Carries it out once.
    ///
    /// # Errors
    /// It cannot be run.
    pub fn start(request: &Request) -> anyhow::Result<Self> {
        eprintln!("barkeep: the run is carried out once, so that its events are known");
        let mut events = Vec::new();
        let outcome = barkeep_lab::run(request, &mut |event, _| events.push(event.clone()));
        match outcome.map_err(outside::lab_error)? {
            Outcome::Finished { .. } => {}
            // What there is of it is looked at all the same.
            cut_off => eprintln!("barkeep: {cut_off}"),
        }
        let request = Request { out: request.out.join(STANDING), ..request.clone() };
        Ok(Self { request, events, given: 0, standing: None })
    }

    /// The machine, standing after the last event that was given.
    fn machine(&mut self) -> Result<&mut Stepped, Refused> {
        let there = matches!(&self.standing, Some((after, _)) if *after == self.given);
        if !there {
            // Two would take twice the memory.
            self.standing = None;
            let last = self.given.checked_sub(1).and_then(|last| self.events.get(last));
            let last =
                last.ok_or_else(|| Refused("before the first event there is no machine".to_owned()))?;
            let mut machine = Stepped::up_to(&self.request, last.seq).map_err(refused)?;
            same(&mut machine, &self.events[..self.given])?;
            self.standing = Some((self.given, machine));
        }
        match &mut self.standing {
            Some((_, machine)) => Ok(machine),
            None => Err(Refused("there is no machine".to_owned())),
        }
    }
}

/// Whether it has written what was written before.
fn same(machine: &mut Stepped, events: &[Event]) -> Result<(), Refused> {
    for event in events {
        match machine.next_event().map_err(refused)? {
            Some(now) if now == *event => {}
            now => {
                let now = match now {
                    Some(now) => format!("{} at {} ns", now.kind, now.time_ns),
                    None => "nothing".to_owned(),
                };
                let Event { seq, kind, time_ns, .. } = event;
                return Err(Refused(format!(
                    "this is another run: at seq {seq} there was {kind} at {time_ns} ns, and now {now}. One with an NVMe \
                     as an engine is not the same in its times"
                )));
            }
        }
    }
    Ok(())
}

fn refused(error: StepError) -> Refused {
    Refused(told(&anyhow::Error::new(error)))
}

impl Run for Emulated {
    fn next_event(&mut self) -> Result<Option<Event>, Refused> {
        let event = self.events.get(self.given).cloned();
        self.given += usize::from(event.is_some());
        Ok(event)
    }

    fn stand(&mut self) -> Result<Option<String>, Refused> {
        self.machine()?;
        Ok(Some("the machine stands there".to_owned()))
    }

    fn again(&mut self) -> Result<(), Refused> {
        self.given = 0;
        Ok(())
    }

    fn bytes(
        &mut self,
        device: DeviceAddress,
        bar: u8,
        offset: u64,
        length: usize,
    ) -> Result<Vec<u8>, Refused> {
        self.machine()?.bytes(device, bar, offset, length).map_err(refused)
    }

    fn mappings(&mut self) -> Result<Vec<String>, Refused> {
        self.machine()?.mappings().map_err(refused)
    }

    fn let_debugger_in(&mut self) -> Result<Vec<String>, Refused> {
        self.machine()?.let_debugger_in().map_err(refused)
    }

    fn wait_for_debugger(&mut self) -> Result<Vec<String>, Refused> {
        let (_, machine) = self.standing.as_mut().ok_or_else(|| Refused("there is no machine".to_owned()))?;
        let rest = machine.rest().map_err(refused)?;
        let end = rest.iter().rev().find(|event| event.kind == Kind::RunEnd);
        Ok(vec![match end.and_then(|end| end.result) {
            Some(status) => format!("let go on, the run has ended with status {status}"),
            None => "the machine is gone".to_owned(),
        }])
    }
}
