//! The numbers among an operation's arguments, and the simplest ones for each.

use crate::generate::IOVAS;
use barkeep_model::Op;
use barkeep_model::op::PAGE;
use barkeep_pci::header;

/// A number of an operation.
pub(super) struct Argument<'a> {
    pub(super) sort: Sort,
    number: Number<'a>,
}

/// What a number means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sort {
    /// Data.
    Value,
    /// From a start.
    Offset,
    /// Bytes of an export, a mapping, a part.
    Length,
    /// Where something is mapped.
    Iova,
    /// Where something aims: it moves with what is mapped there.
    Aim,
    /// What is written to config space.
    Register,
    /// Bytes of a config access.
    Width,
    /// A context, a space, a flag.
    Choice,
}

impl Sort {
    /// The simplest numbers, the simplest first.
    pub(super) fn simplest(self) -> &'static [u64] {
        const DECODE: u64 = header::COMMAND_MEMORY as u64;
        const MASTER: u64 = header::COMMAND_MASTER as u64;
        match self {
            Self::Value => &[1],
            Self::Offset | Self::Choice => &[0],
            Self::Length => &[PAGE],
            Self::Iova => IOVAS,
            Self::Aim => &[],
            Self::Register => &[0, DECODE, MASTER, DECODE | MASTER],
            Self::Width => &[2],
        }
    }
}

enum Number<'a> {
    Bool(&'a mut bool),
    U8(&'a mut u8),
    U32(&'a mut u32),
    U64(&'a mut u64),
}

impl<'a> From<&'a mut bool> for Number<'a> {
    fn from(number: &'a mut bool) -> Self {
        Self::Bool(number)
    }
}

impl<'a> From<&'a mut u8> for Number<'a> {
    fn from(number: &'a mut u8) -> Self {
        Self::U8(number)
    }
}

impl<'a> From<&'a mut u32> for Number<'a> {
    fn from(number: &'a mut u32) -> Self {
        Self::U32(number)
    }
}

impl<'a> From<&'a mut u64> for Number<'a> {
    fn from(number: &'a mut u64) -> Self {
        Self::U64(number)
    }
}

impl Argument<'_> {
    pub(super) fn get(&self) -> u64 {
        match &self.number {
            Number::Bool(number) => u64::from(**number),
            Number::U8(number) => u64::from(**number),
            Number::U32(number) => u64::from(**number),
            Number::U64(number) => **number,
        }
    }

    /// Sets it; the number is one of [`Sort::simplest`] or smaller than the one there, so it fits.
    pub(super) fn set(&mut self, to: u64) {
        match &mut self.number {
            Number::Bool(number) => **number = to != 0,
            Number::U8(number) => **number = to as u8,
            Number::U32(number) => **number = to as u32,
            Number::U64(number) => **number = to,
        }
    }
}

/// The numbers that can be simpler. Registers and devices keep theirs: what they name is what
/// the sequence is about.
pub(super) fn arguments(op: &mut Op) -> Vec<Argument<'_>> {
    fn is<'a>(sort: Sort, number: impl Into<Number<'a>>) -> Argument<'a> {
        Argument { sort, number: number.into() }
    }
    match op {
        Op::Open { context, .. } => vec![is(Sort::Choice, context)],
        Op::Attach { space, .. } => vec![is(Sort::Choice, space)],
        Op::ConfigWrite { width, value, .. } => vec![is(Sort::Register, value), is(Sort::Width, width)],
        Op::ConfigRead { width, .. } => vec![is(Sort::Width, width)],
        Op::RegionRead { offset, .. } | Op::CpuRead { offset, .. } => vec![is(Sort::Offset, offset)],
        Op::RegionWrite { offset, value, .. } | Op::CpuWrite { offset, value, .. } => {
            vec![is(Sort::Offset, offset), is(Sort::Value, value)]
        }
        Op::ImportUse { offset, .. } => vec![is(Sort::Offset, offset)],
        Op::MapBar { offset, size, .. } | Op::MapBuffer { offset, size, .. } => {
            vec![is(Sort::Offset, offset), is(Sort::Length, size)]
        }
        Op::LowPowerEntry { wakes, .. } => vec![is(Sort::Choice, wakes)],
        Op::Export { ranges, flags, .. } => {
            let ranges = ranges.iter_mut();
            let numbers = ranges.flat_map(|(at, length)| [is(Sort::Offset, at), is(Sort::Length, length)]);
            let mut all: Vec<_> = numbers.collect();
            all.push(is(Sort::Choice, flags));
            all
        }
        Op::Map { space, source: _, start, length, iova } => vec![
            is(Sort::Choice, space),
            is(Sort::Offset, start),
            is(Sort::Length, length),
            is(Sort::Iova, iova),
        ],
        Op::Unmap { space, iova, length } => {
            vec![is(Sort::Choice, space), is(Sort::Length, length), is(Sort::Aim, iova)]
        }
        Op::Copy { from, to, iova, length, to_iova } => vec![
            is(Sort::Choice, from),
            is(Sort::Choice, to),
            is(Sort::Aim, iova),
            is(Sort::Length, length),
            is(Sort::Iova, to_iova),
        ],
        Op::Dma { file: _, iova, value } => vec![is(Sort::Aim, iova), is(Sort::Value, value)],
        Op::Detach { .. } | Op::DupFile { .. } | Op::SendFile { .. } | Op::ReceiveFile { .. } => vec![],
        Op::ReopenFile { .. } | Op::CloseFile { .. } | Op::UnmapBar { .. } => vec![],
        Op::Reset { .. } | Op::HotReset { .. } | Op::LowPowerExit { .. } => vec![],
        Op::ExportProbe { .. } | Op::ExportSet { .. } => vec![],
        Op::DupBuffer { .. } | Op::SendBuffer { .. } | Op::ReceiveBuffer { .. } => vec![],
        Op::ReopenBuffer { .. } | Op::ImportMap { .. } | Op::ImportUnmap { .. } => vec![],
        Op::Import { .. } | Op::ImportPin { .. } | Op::ImportEnd { .. } => vec![],
        Op::BufferSize { .. } | Op::CloseBuffer { .. } => vec![],
        Op::SysfsReset { .. } | Op::ResetMethods { .. } => vec![],
        Op::Remove { .. } | Op::Rescan { .. } => vec![],
    }
}
