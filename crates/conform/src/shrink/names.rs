//! The registers an operation names. Whatever is in two of them is simpler in one.

use barkeep_model::{Op, Source};
use std::collections::BTreeSet;

/// A register.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Name {
    File(u8),
    Buffer(u8),
    Map(u8),
    Import(u8),
}

/// The same sequence with one register called as a lower one, for every two.
pub(super) fn renamed(ops: &[Op]) -> Vec<Vec<Op>> {
    let mut used = BTreeSet::new();
    for op in ops {
        each(&mut op.clone(), &mut |name| {
            used.insert(*name);
        });
    }
    let mut all = Vec::new();
    for from in used {
        let lower: Vec<Name> = match from {
            Name::File(register) => (0..register).map(Name::File).collect(),
            Name::Buffer(register) => (0..register).map(Name::Buffer).collect(),
            Name::Map(register) => (0..register).map(Name::Map).collect(),
            Name::Import(register) => (0..register).map(Name::Import).collect(),
        };
        all.extend(lower.into_iter().map(|to| with(ops, from, to)));
    }
    all
}

fn with(ops: &[Op], from: Name, to: Name) -> Vec<Op> {
    let mut ops = ops.to_vec();
    for op in &mut ops {
        each(op, &mut |name| {
            if *name == from {
                *name = to;
            }
        });
    }
    ops
}

/// Shows each register of an operation, and takes what is made of it.
fn each(op: &mut Op, see: &mut dyn FnMut(&mut Name)) {
    let mut show = |register: &mut u8, as_name: fn(u8) -> Name| {
        let mut name = as_name(*register);
        see(&mut name);
        *register = match name {
            Name::File(to) | Name::Buffer(to) | Name::Map(to) | Name::Import(to) => to,
        };
    };
    match op {
        Op::Open { file: of, .. } | Op::Attach { file: of, .. } | Op::Detach { file: of } => {
            show(of, Name::File)
        }
        Op::DupFile { file: of, to } => {
            show(of, Name::File);
            show(to, Name::File);
        }
        Op::SendFile { file: of }
        | Op::ReceiveFile { to: of }
        | Op::ReopenFile { file: of }
        | Op::CloseFile { file: of } => show(of, Name::File),
        Op::ConfigWrite { file: of, .. } | Op::ConfigRead { file: of, .. } => show(of, Name::File),
        Op::RegionRead { file: of, .. } | Op::RegionWrite { file: of, .. } => show(of, Name::File),
        Op::MapBar { file: of, map, .. } => {
            show(of, Name::File);
            show(map, Name::Map);
        }
        Op::UnmapBar { map } | Op::CpuRead { map, .. } | Op::CpuWrite { map, .. } => show(map, Name::Map),
        Op::Reset { file: of } | Op::HotReset { file: of } => show(of, Name::File),
        Op::LowPowerEntry { file: of, .. } | Op::LowPowerExit { file: of } => show(of, Name::File),
        Op::Export { file: of, buffer: to, .. } => {
            show(of, Name::File);
            show(to, Name::Buffer);
        }
        Op::ExportProbe { file: of } | Op::ExportSet { file: of } => show(of, Name::File),
        Op::DupBuffer { buffer: of, to } => {
            show(of, Name::Buffer);
            show(to, Name::Buffer);
        }
        Op::SendBuffer { buffer: of }
        | Op::ReceiveBuffer { to: of }
        | Op::ReopenBuffer { buffer: of }
        | Op::BufferSize { buffer: of }
        | Op::CloseBuffer { buffer: of } => show(of, Name::Buffer),
        Op::MapBuffer { buffer: of, map, .. } => {
            show(of, Name::Buffer);
            show(map, Name::Map);
        }
        Op::Import { buffer: of, import, .. } => {
            show(of, Name::Buffer);
            show(import, Name::Import);
        }
        Op::ImportMap { import }
        | Op::ImportUnmap { import }
        | Op::ImportUse { import, .. }
        | Op::ImportPin { import, .. }
        | Op::ImportEnd { import } => show(import, Name::Import),
        Op::Map { source: Source::Buffer(of), .. } => show(of, Name::Buffer),
        Op::Dma { file: of, .. } => show(of, Name::File),
        Op::Map { source: Source::Foreign | Source::Memory, .. } => {}
        Op::Unmap { .. } | Op::Copy { .. } => {}
        Op::SysfsReset { .. } | Op::ResetMethods { .. } => {}
        Op::Remove { .. } | Op::Rescan { .. } => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use barkeep_model::op::Told;

    #[test]
    fn a_register_takes_the_place_of_another_everywhere() {
        let ops = [
            Op::DupFile { file: 0, to: 1 },
            Op::Export { file: 1, region: 0, ranges: vec![], flags: 0, buffer: 1 },
            Op::Map { space: 0, source: Source::Buffer(1), start: 0, length: 0, iova: 0 },
        ];
        let export = |file, buffer| Op::Export { file, region: 0, ranges: vec![], flags: 0, buffer };
        let map = |buffer| Op::Map { space: 0, source: Source::Buffer(buffer), start: 0, length: 0, iova: 0 };
        assert_eq!(
            renamed(&ops),
            [
                vec![Op::DupFile { file: 0, to: 0 }, export(0, 1), map(1)],
                vec![Op::DupFile { file: 0, to: 1 }, export(1, 0), map(0)],
            ]
        );
    }

    #[test]
    fn attachments_are_renamed_by_themselves() {
        let attach = |import| Op::Import { buffer: 0, peer2peer: true, told: Told::LetGo, import };
        assert_eq!(
            renamed(&[attach(1), Op::ImportMap { import: 1 }]),
            [vec![attach(0), Op::ImportMap { import: 0 }]]
        );
    }
}
