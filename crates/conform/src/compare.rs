//! A recorded episode beside what the specification says of the same operations.

#[cfg(test)]
mod tests;

use crate::kind::Kind;
use crate::machine::Machine;
use crate::recording::{Episode, Recorded};
use crate::words::describe;
use barkeep_model::op::Imported;
use barkeep_model::{Errno, Op, Seen, Subject};
use barkeep_pci::header;
use std::fmt;

/// Where the kernel and the specification part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Divergence {
    /// The episode's number.
    pub episode: u64,
    /// The operation, counted from 0.
    pub index: usize,
    /// Operations in the episode.
    pub operations: usize,
    /// The kind of operation.
    pub kind: Kind,
    /// What differs.
    pub field: Field,
    /// The operation in words.
    pub op: String,
    /// What of it differs, in words.
    pub what: String,
    /// What the specification says of that.
    pub specification: String,
    /// What the kernel said.
    pub kernel: String,
}

/// What of an operation's record differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Field {
    /// The answer.
    Answer,
    /// Whether a dma-buf can be mapped: [`Seen::buffers`].
    Buffers,
    /// Whether a BAR can be read by a CPU: [`Seen::maps`].
    Maps,
    /// COMMAND and the power state: [`Seen::registers`].
    Registers,
    /// What is in a BAR that is memory: [`Seen::words`].
    Words,
    /// What became of an importer: [`Seen::imports`].
    Imports,
}

impl Divergence {
    /// What differs and how, without the operation.
    #[must_use]
    pub fn told_alone(&self) -> String {
        let Self { field, what, specification, kernel, .. } = self;
        let what = match field {
            Field::Answer => String::new(),
            Field::Buffers | Field::Maps | Field::Registers | Field::Words | Field::Imports => {
                format!("after it, {what}: ")
            }
        };
        format!("{what}the specification says {specification}, the kernel said {kernel}")
    }
}

impl fmt::Display for Divergence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = self.index + 1;
        let joint = if self.field == Field::Answer { ":" } else { ";" };
        write!(
            f,
            "episode {}, operation {number} of {}: {}{joint} {}",
            self.episode,
            self.operations,
            self.op,
            self.told_alone()
        )
    }
}

/// The first operation of an episode of which the kernel said something else than `subject` does,
/// if there is one.
pub fn compare<S: Subject + ?Sized>(
    episode: &Episode,
    subject: &mut S,
    machine: &Machine,
) -> Option<Divergence> {
    compare_watching(episode, subject, machine, |_, _| {})
}

/// As [`compare`]; `before` looks at the subject before each operation. Nothing follows the first
/// difference: from there on the two are not in the same state.
pub fn compare_watching<S: Subject + ?Sized>(
    episode: &Episode,
    subject: &mut S,
    machine: &Machine,
    mut before: impl FnMut(&S, &Op),
) -> Option<Divergence> {
    subject.begin();
    let parted = episode.steps.iter().enumerate().find_map(|(index, kernel)| {
        before(subject, &kernel.op);
        let answer = subject.apply(&kernel.op);
        let specification = Recorded { op: kernel.op.clone(), answer, seen: subject.seen() };
        Some((index, difference(&specification, kernel, machine)?))
    });
    parted.map(|(index, difference)| divergence(episode, index, difference, machine))
}

fn divergence(episode: &Episode, index: usize, difference: Difference, machine: &Machine) -> Divergence {
    let Difference { field, what, specification, kernel } = difference;
    let ops = episode.ops();
    Divergence {
        episode: episode.number,
        index,
        operations: ops.len(),
        kind: Kind::of(&ops[index]),
        field,
        op: describe(&ops, index, machine),
        what,
        specification,
        kernel,
    }
}

struct Difference {
    field: Field,
    what: String,
    specification: String,
    kernel: String,
}

/// The first thing that differs, in the order of what causes what.
fn difference(specification: &Recorded, kernel: &Recorded, machine: &Machine) -> Option<Difference> {
    if specification.answer != kernel.answer {
        let (specification, kernel) = (specification.answer.to_string(), kernel.answer.to_string());
        return Some(Difference {
            field: Field::Answer,
            what: "the answer".to_owned(),
            specification,
            kernel,
        });
    }
    let (specification, kernel) = (&specification.seen, &kernel.seen);
    // A field more must not go unseen.
    let Seen { buffers, maps, registers, words, imports } = specification;
    buffers_differ(buffers, &kernel.buffers)
        .or_else(|| maps_differ(maps, &kernel.maps))
        .or_else(|| registers_differ(registers, &kernel.registers))
        .or_else(|| words_differ(words, &kernel.words, machine))
        .or_else(|| imports_differ(imports, &kernel.imports))
}

fn buffers_differ(specification: &[(u8, u16)], kernel: &[(u8, u16)]) -> Option<Difference> {
    let say = |value: Option<&u16>| outcome(value, "it can be mapped");
    differ(specification, kernel).map(|(buffer, specification, kernel)| Difference {
        field: Field::Buffers,
        what: format!("buffer {buffer} mapped into a space without devices"),
        specification: say(specification),
        kernel: say(kernel),
    })
}

fn maps_differ(specification: &[(u8, u16)], kernel: &[(u8, u16)]) -> Option<Difference> {
    let say = |value: Option<&u16>| outcome(value, "it can be read");
    differ(specification, kernel).map(|(map, specification, kernel)| Difference {
        field: Field::Maps,
        what: format!("map {map} read by a CPU"),
        specification: say(specification),
        kernel: say(kernel),
    })
}

fn registers_differ(specification: &[(u8, u16)], kernel: &[(u8, u16)]) -> Option<Difference> {
    differ(specification, kernel).map(|(file, specification, kernel)| Difference {
        field: Field::Registers,
        what: format!("file {file}'s COMMAND and power state"),
        specification: registers(specification),
        kernel: registers(kernel),
    })
}

fn imports_differ(specification: &[(u8, Imported)], kernel: &[(u8, Imported)]) -> Option<Difference> {
    differ(specification, kernel).map(|(import, specification, kernel)| Difference {
        field: Field::Imports,
        what: format!("what became of import {import}"),
        specification: imported(specification),
        kernel: imported(kernel),
    })
}

fn imported(value: Option<&Imported>) -> String {
    let Some(Imported { mapped, notices, released, faults, in_notice }) = value else {
        return NOTHING.to_owned();
    };
    let mapped = if *mapped { "mapped" } else { "not mapped" };
    let in_notice = outcome(Some(in_notice), "ok");
    format!(
        "{mapped}, told {notices}×, let go {released}×, {faults} uses had to map, the last map from a notice \
         {in_notice}"
    )
}

fn words_differ(
    specification: &[(u8, Vec<u64>)],
    kernel: &[(u8, Vec<u64>)],
    machine: &Machine,
) -> Option<Difference> {
    let (file, specification, kernel) = differ(specification, kernel)?;
    let (ours, theirs) =
        (specification.map_or(&[][..], Vec::as_slice), kernel.map_or(&[][..], Vec::as_slice));
    let at = (0..ours.len().max(theirs.len())).find(|at| ours.get(*at) != theirs.get(*at)).unwrap_or(0);
    // Which device it is, nobody has said; where all look at the same places, the place is clear.
    let mut places = machine.hardware().devices.iter().filter_map(|device| device.watched.get(at));
    let place = places.next().filter(|place| places.all(|other| other == *place));
    let place = place.map_or_else(|| format!("number {at}"), |place| format!("at {place:#x}"));
    Some(Difference {
        field: Field::Words,
        what: format!("the word {place} of file {file}'s memory"),
        specification: word(ours.get(at)),
        kernel: word(theirs.get(at)),
    })
}

/// The first register of which two lists say different things, and what they say.
fn differ<'a, T: PartialEq>(
    ours: &'a [(u8, T)],
    theirs: &'a [(u8, T)],
) -> Option<(u8, Option<&'a T>, Option<&'a T>)> {
    let of =
        |list: &'a [(u8, T)], register| list.iter().find(|(at, _)| *at == register).map(|(_, value)| value);
    let all = ours.iter().chain(theirs).map(|(register, _)| *register);
    let parted = all.filter(|register| of(ours, *register) != of(theirs, *register)).min();
    // Same registers, same values, and still not equal: in another order, or twice.
    let parted =
        parted.or_else(|| (ours != theirs).then(|| ours.iter().chain(theirs).map(|it| it.0).next())?);
    parted.map(|register| (register, of(ours, register), of(theirs, register)))
}

const NOTHING: &str = "nothing (the register is empty)";

/// 0 or an errno.
fn outcome(value: Option<&u16>, zero: &str) -> String {
    match value {
        None => NOTHING.to_owned(),
        Some(0) => zero.to_owned(),
        Some(errno) => Errno::from_number(i32::from(*errno)).to_string(),
    }
}

fn registers(value: Option<&u16>) -> String {
    let Some(value) = value else { return NOTHING.to_owned() };
    let on = |bit: u16| if value & bit != 0 { "on" } else { "off" };
    let power = match value >> 8 {
        3 => "D3hot".to_owned(),
        state => format!("D{state}"),
    };
    format!(
        "memory decode {}, bus master {}, {power}",
        on(header::COMMAND_MEMORY),
        on(header::COMMAND_MASTER)
    )
}

/// A word, or the errno in its upper half.
fn word(value: Option<&u64>) -> String {
    match value {
        None => NOTHING.to_owned(),
        Some(word) if word >> 32 == 0 => format!("{word:#x}"),
        Some(errno) => Errno::from_number(i32::try_from(errno >> 32).unwrap_or(i32::MAX)).to_string(),
    }
}
