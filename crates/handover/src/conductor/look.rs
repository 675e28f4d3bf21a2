//! What is looked at after a step: a DMA, the word it was to bring, the IOMMU's faults, an attach.

use super::{ConductError, Conductor};
use crate::children::Children;
use crate::outcome::{Seen, Word};
use crate::spec::{Expected, Fate, Reader};
use crate::step::Side;
use crate::talk::Ask;
use crate::window::{IOVA, LENGTH, PROBE_IOVA, TARGET};
use barkeep_journal::{Actor, Event, Kind, SeenBy};
use barkeep_model::op::{PAGE, RAM_IOVA};
use barkeep_model::{Answer, Errno};
use barkeep_real::parts::Device;
use std::thread::sleep;
use std::time::Duration;

/// More than the 100 ms the engine takes, where nobody is left to ask it.
const ENGINE_TAKES: Duration = Duration::from_millis(150);

/// The kernel logs three faults in five seconds and drops the rest (`dmar_fault`). Idle time is
/// nearly free in virtual time.
pub(super) const BETWEEN_FAULTS: Duration = Duration::from_millis(5100);

impl Conductor {
    /// Looks, in the order in which the specification does. `stands` is what was read last, `flying`
    /// the data of a DMA that was commanded before the step.
    pub(super) fn look(
        &mut self,
        children: &Children,
        expected: &Expected,
        answer: Answer,
        (stands, flying): (Word, Option<u32>),
    ) -> Result<Seen, ConductError> {
        let data = self.dma(children, expected, flying)?;
        let faulted = self.faults();
        let word = match expected.read {
            None => None,
            Some((reader, _)) => Some((reader, self.read(children, reader)?)),
        };
        let fate = data.map(|data| match word {
            Some((_, Word::Is(word))) if word == data => Fate::Landed,
            Some(_) | None if faulted => Fate::Faulted,
            Some(_) | None => Fate::Away,
        });
        if let Some((reader, word)) = word {
            self.tell_word(fate, word, reader);
        }
        let word = word.map(|(_, word)| word);
        let attach = match expected.attach {
            None => None,
            Some(_) => Some(self.attach(children)?),
        };
        Ok(Seen { answer, in_flight: false, dma: fate, faulted, before: stands, word, attach })
    }

    /// Has a DMA done, or waits for the one in flight. Gives its data.
    fn dma(
        &mut self,
        children: &Children,
        expected: &Expected,
        flying: Option<u32>,
    ) -> Result<Option<u32>, ConductError> {
        if expected.dma.is_none() {
            return Ok(None);
        }
        if let Some(data) = flying {
            // The engine may have been closed meanwhile, and with it the way to ask.
            match children.ask(Side::Importer, &Ask::FinishDma) {
                Ok(Answer::Ok(_)) => {}
                Ok(_) | Err(_) => sleep(ENGINE_TAKES),
            }
            return Ok(Some(data));
        }
        if expected.dma == Some(Fate::Faulted) {
            sleep(BETWEEN_FAULTS);
        }
        let data = self.fresh();
        self.commanded(data);
        children.ask(Side::Importer, &Ask::Dma(IOVA + TARGET, data))?;
        Ok(Some(data))
    }

    /// Whether the kernel's log has a fault of this engine, at one of the two addresses it uses.
    fn faults(&mut self) -> bool {
        let faults = self.faults.take().into_iter();
        let own: Vec<_> = faults
            .filter(|fault| fault.requester == self.engine)
            .filter(|fault| [IOVA + TARGET, RAM_IOVA].iter().any(|used| used / PAGE == fault.iova / PAGE))
            .collect();
        for fault in &own {
            let event = Event::new(Kind::Faulted, Actor::Kernel).device(self.engine).address(fault.iova);
            self.journal.emit(event.seen_by(SeenBy::IommuFault).at(fault.time_ns).text(fault.text.clone()));
        }
        !own.is_empty()
    }

    fn read(&self, children: &Children, reader: Reader) -> Result<Word, ConductError> {
        Ok(match reader {
            Reader::Region => word_of(children.ask(Side::Exporter, &Ask::ReadRegion)?),
            Reader::Mapping => word_of(children.ask(Side::Exporter, &Ask::ReadMapping)?),
            Reader::Other => self.read_as_other(),
        })
    }

    /// Opens the device, which nobody has open, and reads.
    pub(super) fn read_as_other(&self) -> Word {
        let opened = Device::open(self.target, &self.context);
        let read = opened.and_then(|device| device.region_read(self.window.bar, TARGET));
        read.map_or_else(Word::Unreadable, Word::Is)
    }

    fn tell_word(&self, fate: Option<Fate>, word: Word, reader: Reader) {
        let Word::Is(word) = word else { return };
        let kind = if fate == Some(Fate::Landed) { Kind::Landed } else { Kind::NotLanded };
        let (actor, seen_by) = match reader {
            Reader::Region => (Actor::Exporter, SeenBy::RegionRead),
            Reader::Mapping => (Actor::Exporter, SeenBy::MappingRead),
            Reader::Other => (Actor::Observer, SeenBy::RegionRead),
        };
        let event = Event::new(kind, actor).seen_by(seen_by).device(self.target).bar(self.window.bar);
        self.journal.emit(event.address(TARGET).value(word.into()).text("dma"));
    }

    fn attach(&self, children: &Children) -> Result<Answer, ConductError> {
        let of = |kind| {
            let event = Event::new(kind, Actor::Importer).device(self.target).bar(self.window.bar);
            event.range(PROBE_IOVA, LENGTH)
        };
        let step = self.journal.begin(of(Kind::AttachProbe));
        let answer = children.ask(Side::Importer, &Ask::Attach)?;
        let (result, seen) = match answer {
            Answer::Ok(_) => (0, Some(Kind::Live)),
            Answer::Failed(Errno::ENODEV) => (-Errno::ENODEV.number(), Some(Kind::Revoked)),
            Answer::Failed(errno) => (-errno.number(), None),
            Answer::Idle | Answer::Hung => (-Errno::EBUSY.number(), None),
        };
        self.journal.end(step, result);
        if let Some(kind) = seen {
            self.journal.emit(of(kind).seen_by(SeenBy::Errno).address(IOVA));
        }
        Ok(answer)
    }
}

/// What a process read.
pub(super) fn word_of(answer: Answer) -> Word {
    match answer {
        Answer::Ok(word) => Word::Is(word as u32),
        Answer::Failed(errno) => Word::Unreadable(errno),
        Answer::Idle => Word::Unreadable(Errno::EBADF),
        Answer::Hung => Word::Unreadable(Errno::EBUSY),
    }
}
