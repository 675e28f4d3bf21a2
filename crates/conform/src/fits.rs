//! Whether an operation names registers and devices that there are. One that was read from a file
//! may name any number, and whoever carries it out counts on arrays of a fixed size.

use crate::machine::Machine;
use barkeep_model::op::{BUFFERS, CONTEXTS, FILES, IMPORTS, MAPS, SPACES};
use barkeep_model::{Op, Source};
use thiserror::Error;

/// An operation names something that there is not.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("there is no {what} {number}")]
pub struct Misfit {
    what: &'static str,
    number: u8,
}

/// Looks at every register, context, space, device and width an operation names.
///
/// # Errors
/// The first one that is not there.
pub fn fits(op: &Op, machine: &Machine) -> Result<(), Misfit> {
    match *op {
        Op::Open { device: of, context, file: to } => {
            device(machine, of)?;
            within("context", context, CONTEXTS)?;
            file(to)
        }
        Op::Attach { file: of, space: to } => file(of).and_then(|()| space(to)),
        Op::Detach { file: of }
        | Op::SendFile { file: of }
        | Op::ReceiveFile { to: of }
        | Op::ReopenFile { file: of }
        | Op::CloseFile { file: of }
        | Op::Reset { file: of }
        | Op::HotReset { file: of }
        | Op::LowPowerEntry { file: of, wakes: _ }
        | Op::LowPowerExit { file: of }
        | Op::ExportProbe { file: of }
        | Op::ExportSet { file: of }
        | Op::RegionRead { file: of, bar: _, offset: _ }
        | Op::RegionWrite { file: of, bar: _, offset: _, value: _ }
        | Op::Dma { file: of, iova: _, value: _ } => file(of),
        Op::DupFile { file: of, to } => file(of).and_then(|()| file(to)),
        Op::ConfigWrite { file: of, offset: _, width: bytes, value: _ }
        | Op::ConfigRead { file: of, offset: _, width: bytes, mask: _ } => {
            file(of).and_then(|()| width(bytes))
        }
        Op::MapBar { file: of, bar: _, offset: _, size: _, map: to } => file(of).and_then(|()| map(to)),
        Op::UnmapBar { map: of }
        | Op::CpuRead { map: of, offset: _ }
        | Op::CpuWrite { map: of, offset: _, value: _ } => map(of),
        Op::Export { file: of, region: _, ranges: _, flags: _, buffer: to } => {
            file(of).and_then(|()| buffer(to))
        }
        Op::DupBuffer { buffer: of, to } => buffer(of).and_then(|()| buffer(to)),
        Op::SendBuffer { buffer: of }
        | Op::ReceiveBuffer { to: of }
        | Op::ReopenBuffer { buffer: of }
        | Op::BufferSize { buffer: of }
        | Op::CloseBuffer { buffer: of } => buffer(of),
        Op::MapBuffer { buffer: of, offset: _, size: _, map: to } => buffer(of).and_then(|()| map(to)),
        Op::Import { buffer: of, peer2peer: _, told: _, import: to } => buffer(of).and_then(|()| import(to)),
        Op::ImportMap { import: of }
        | Op::ImportUnmap { import: of }
        | Op::ImportUse { import: of, offset: _ }
        | Op::ImportPin { import: of, pinned: _ }
        | Op::ImportEnd { import: of } => import(of),
        Op::Map { space: to, source, start: _, length: _, iova: _ } => {
            space(to)?;
            match source {
                Source::Buffer(of) => buffer(of),
                Source::Foreign | Source::Memory => Ok(()),
            }
        }
        Op::Unmap { space: of, iova: _, length: _ } => space(of),
        Op::Copy { from, to, iova: _, length: _, to_iova: _ } => space(from).and_then(|()| space(to)),
        Op::SysfsReset { device: of }
        | Op::ResetMethods { device: of, present: _ }
        | Op::Remove { device: of }
        | Op::Rescan { device: of } => device(machine, of),
    }
}

fn within(what: &'static str, number: u8, count: usize) -> Result<(), Misfit> {
    if usize::from(number) < count { Ok(()) } else { Err(Misfit { what, number }) }
}

fn file(number: u8) -> Result<(), Misfit> {
    within("file register", number, FILES)
}

fn buffer(number: u8) -> Result<(), Misfit> {
    within("buffer register", number, BUFFERS)
}

fn map(number: u8) -> Result<(), Misfit> {
    within("map register", number, MAPS)
}

fn import(number: u8) -> Result<(), Misfit> {
    within("attachment register", number, IMPORTS)
}

fn space(number: u8) -> Result<(), Misfit> {
    within("space", number, SPACES)
}

fn device(machine: &Machine, number: u8) -> Result<(), Misfit> {
    within("device", number, machine.hardware().devices.len())
}

fn width(bytes: u8) -> Result<(), Misfit> {
    if matches!(bytes, 1 | 2 | 4) { Ok(()) } else { Err(Misfit { what: "access of width", number: bytes }) }
}
