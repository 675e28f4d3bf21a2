//! What was seen of an order, and how it is printed.

use crate::spec::{Expected, Fate};
use crate::step::{Order, Step};
use barkeep_model::{Answer, Errno};
use std::fmt;

/// What stands in the BAR.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// This.
    Is(u32),
    /// Nobody can say: the read gave this.
    Unreadable(Errno),
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Is(word) => write!(f, "{word:#x}"),
            Self::Unreadable(errno) => write!(f, "nothing ({errno})"),
        }
    }
}

/// What was seen after a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// What the step answered.
    pub answer: Answer,
    /// A DMA is in flight: nothing else was looked at.
    pub in_flight: bool,
    /// What became of the DMA. [`Fate::Faulted`] only with a record of the IOMMU's; without one
    /// what did not land is [`Fate::Away`].
    pub dma: Option<Fate>,
    /// A fault of the engine was in the kernel's log.
    pub faulted: bool,
    /// What was read last before.
    pub before: Word,
    /// What was read; none while a DMA is in flight.
    pub word: Option<Word>,
    /// What an attach said.
    pub attach: Option<Answer>,
}

impl Seen {
    /// After a step that starts a DMA.
    #[must_use]
    pub fn in_flight(answer: Answer) -> Self {
        let before = Word::Unreadable(Errno::EAGAIN);
        Self { answer, in_flight: true, dma: None, faulted: false, before, word: None, attach: None }
    }

    /// In what it is not what is expected. A fault record that is missing is no difference: the
    /// kernel logs three in five seconds, and no more. One that should not be there is.
    #[must_use]
    pub fn differs(&self, expected: &Expected) -> Option<String> {
        let Self { answer, in_flight: _, dma, faulted, before, word, attach } = self;
        if *answer != Answer::from(expected.answer) {
            return Some(format!("it answered {answer}"));
        }
        let readable = expected.read.map(|(_, result)| result);
        let read = word.map(|word| match word {
            Word::Is(_) => Ok(()),
            Word::Unreadable(errno) => Err(errno),
        });
        if read != readable {
            return Some(format!("reading the BAR: {read:?}"));
        }
        let landed = *dma == Some(Fate::Landed);
        if landed != (expected.dma == Some(Fate::Landed) && read == Some(Ok(()))) {
            return Some(if landed { "the DMA landed" } else { "the DMA did not land" }.to_owned());
        }
        let unchanged = match (before, word) {
            (Word::Is(before), Some(Word::Is(word))) => before == word,
            (Word::Unreadable(_), _) | (_, Some(Word::Unreadable(_)) | None) => true,
        };
        if !landed && !unchanged {
            return Some(format!("something else was written: {word:x?}, not {before}"));
        }
        if *faulted && expected.dma != Some(Fate::Faulted) {
            return Some("the IOMMU logged a fault".to_owned());
        }
        let wanted = expected.attach.map(|result| Answer::from(result.map(|()| 0)));
        if *attach != wanted {
            return Some(format!("an attach: {}", attach.map_or("none".to_owned(), |a| a.to_string())));
        }
        None
    }
}

impl fmt::Display for Seen {
    /// `landed/ok`: the DMA, the attach; before them what the step answered, if that is an errno.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.answer {
            Answer::Ok(_) => {}
            other => write!(f, "({other}) ")?,
        }
        f.write_str(match (self.in_flight, self.dma) {
            (true, _) => "in flight",
            (false, None) => "-",
            (false, Some(Fate::Landed)) => "landed",
            (false, Some(Fate::Faulted)) => "faulted",
            (false, Some(Fate::Away)) => "away",
        })?;
        if let Some(attach) = self.attach {
            write!(f, "/{attach}")?;
        }
        Ok(())
    }
}

/// An order that was carried out.
#[derive(Clone, Debug)]
pub struct Outcome {
    order: Order,
    seen: Vec<(Step, Seen)>,
    wrong: Vec<String>,
    left: Vec<String>,
}

impl Outcome {
    pub(crate) fn new(order: Order) -> Self {
        Self { order, seen: Vec::new(), wrong: Vec::new(), left: Vec::new() }
    }

    pub(crate) fn step(&mut self, step: Step, seen: Seen, differs: Option<String>) {
        self.seen.push((step, seen));
        self.wrong.extend(differs.map(|differs| format!("after {step}: {differs}")));
    }

    pub(crate) fn left(&mut self, what: String) {
        self.left.push(what);
    }

    pub(crate) fn left_behind(&self) -> usize {
        self.left.len()
    }

    /// The order.
    #[must_use]
    pub fn order(&self) -> &Order {
        &self.order
    }

    /// Everything was as expected, and nothing is left.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.wrong.is_empty() && self.left.is_empty()
    }

    /// How many DMAs ended so.
    #[must_use]
    pub fn count(&self, fate: Fate) -> usize {
        self.seen.iter().filter(|(_, seen)| seen.dma == Some(fate)).count()
    }

    /// How many steps it has.
    #[must_use]
    pub fn steps(&self) -> usize {
        self.seen.len()
    }
}

impl fmt::Display for Outcome {
    /// One line: the verdict, then each step with what was seen after it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.passed() { "ok  " } else { "WRONG" })?;
        for (step, seen) in &self.seen {
            write!(f, "  {step} {seen}")?;
        }
        for what in self.wrong.iter().chain(&self.left) {
            write!(f, "  << {what}")?;
        }
        Ok(())
    }
}
