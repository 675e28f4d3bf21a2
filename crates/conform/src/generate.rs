//! Episodes: sequences of operations, each a pure function of seed, episode number and hardware.
//!
//! No operation depends on an answer, so the same episode is asked of the specification and of a
//! real kernel. Most begin with what a VMM does (open, attach, export, map, use), with something
//! left out or in another order now and then; then come operations of all kinds around a
//! theme, most with arguments that mean something, some with ones that must be refused.

mod buffers;
mod config;
mod draw;
mod expected;
mod files;
mod follow;
mod imports;
mod memory;
mod prefix;
mod spaces;
mod story;
#[cfg(test)]
mod tests;
mod theme;

use crate::kind::Kind;
use crate::machine::Machine;
use crate::possible::Possible;
use barkeep_model::Op;
use draw::Draw;
use expected::Expected;
use theme::Theme;

pub(crate) use spaces::IOVAS;

/// The fewest operations of an episode.
pub const SHORTEST: u32 = 12;
/// The most.
pub const LONGEST: u32 = 60;

/// The operations of an episode.
#[must_use]
pub fn episode(seed: u64, number: u64, machine: &Machine) -> Vec<Op> {
    let mut maker = Maker::new(Draw::new(seed, number), machine);
    let length = SHORTEST + maker.draw.below(LONGEST - SHORTEST + 1);
    maker.begin();
    while maker.ops.len() < length as usize {
        maker.next();
    }
    maker.ops.truncate(length as usize);
    maker.ops
}

/// Makes an episode.
struct Maker<'a> {
    machine: &'a Machine,
    draw: Draw,
    cast: Cast,
    theme: Theme,
    /// What makes arguments likely to mean something.
    expected: Expected,
    /// What keeps them harmless.
    possible: Possible<'a>,
    ops: Vec<Op>,
}

/// The devices an episode is about.
struct Cast {
    /// Whose BARs are exported, mostly.
    target: u8,
    /// Who does DMA.
    engine: Option<u8>,
    /// All that are opened, mostly.
    all: Vec<u8>,
}

impl Cast {
    fn new(draw: &mut Draw, machine: &Machine, theme: Theme) -> Self {
        let with = |wanted: &dyn Fn(u8) -> bool| {
            machine.devices().filter(|device| wanted(*device)).collect::<Vec<_>>()
        };
        let memory = with(&|device| machine[device].memory_bar.is_some());
        let siblings = with(&|device| !siblings(machine, device).is_empty());
        let any = with(&|_| true);
        let likely = if theme == Theme::Siblings && !siblings.is_empty() { &siblings } else { &memory };
        let from = if draw.once_in(5) { &any } else { likely };
        let target = draw.one_of(from).or_else(|| draw.one_of(&any)).unwrap_or(0);
        let engine = draw.one_of(&with(&|device| machine[device].engine));
        // Somebody of the same set first: the third to be opened.
        // Those that are neither memory nor engine have properties of their own.
        let odd = with(&|device| machine[device].memory_bar.is_none() && !machine[device].engine);
        let from = if draw.once_in(2) { &odd } else { &any };
        let more = draw.one_of(from);
        let others = [engine, draw.one_of(&self::siblings(machine, target)), more];
        let mut all = vec![target];
        for other in others.into_iter().flatten() {
            if !all.contains(&other) {
                all.push(other);
            }
        }
        Self { target, engine, all }
    }

    /// The first one that is neither target nor engine.
    fn third(&self) -> Option<u8> {
        self.all.iter().copied().find(|device| *device != self.target && Some(*device) != self.engine)
    }
}

/// The other members of a device's set.
fn siblings(machine: &Machine, of: u8) -> Vec<u8> {
    machine.devices().filter(|device| *device != of && machine[*device].set == machine[of].set).collect()
}

impl<'a> Maker<'a> {
    fn new(mut draw: Draw, machine: &'a Machine) -> Self {
        let theme = draw.weighted(&Theme::weights(machine.abilities())).unwrap_or(Theme::Mixed);
        let cast = Cast::new(&mut draw, machine, theme);
        let (expected, possible) = (Expected::new(machine), Possible::new(machine));
        Self { machine, draw, cast, theme, expected, possible, ops: Vec::new() }
    }

    /// Adds an operation if it is harmless.
    fn push(&mut self, op: Op) {
        if self.possible.take(&op) {
            self.expected.note(&op);
            self.ops.push(op);
        }
    }

    /// Adds an operation, or none if what was drawn makes no sense now.
    fn next(&mut self) {
        if self.draw.once_in(14) {
            return self.story();
        }
        let able = self.machine.abilities();
        if able.importer && self.draw.once_in(14) {
            return self.imported_story();
        }
        if able.mmap && self.draw.once_in(14) {
            return self.mapped_story();
        }
        let kinds = Kind::ALL.iter().filter(|kind| imports::can(able, **kind));
        let kinds = kinds.map(|kind| (self.theme.weight(*kind), *kind)).collect::<Vec<_>>();
        let Some(kind) = self.draw.weighted(&kinds) else { return };
        if let Some(op) = self.make(kind) {
            self.push(op.clone());
            self.follow(&op);
        }
    }

    /// An operation of a kind; `None` if its arguments are not there.
    fn make(&mut self, kind: Kind) -> Option<Op> {
        match kind {
            Kind::Open => self.open(),
            Kind::Attach => self.attach(),
            Kind::Detach => self.file().map(|file| Op::Detach { file }),
            Kind::DupFile => self.dup_file(),
            Kind::SendFile => self.file().map(|file| Op::SendFile { file }),
            Kind::ReceiveFile => self.receive_file(),
            Kind::ReopenFile => self.file().map(|file| Op::ReopenFile { file }),
            Kind::CloseFile => self.file().map(|file| Op::CloseFile { file }),
            Kind::ConfigWrite => self.config_write(),
            Kind::ConfigRead => self.config_read(),
            Kind::RegionRead => self.region_read(),
            Kind::RegionWrite => self.region_write(),
            Kind::MapBar => self.map_bar(),
            Kind::UnmapBar => self.map().map(|map| Op::UnmapBar { map }),
            Kind::CpuRead => self.cpu_read(),
            Kind::CpuWrite => self.cpu_write(),
            Kind::Reset => self.file().map(|file| Op::Reset { file }),
            Kind::HotReset => self.file().map(|file| Op::HotReset { file }),
            Kind::LowPowerEntry => self.low_power_entry(),
            Kind::LowPowerExit => self.low_power_exit(),
            Kind::Export => self.export(),
            Kind::ExportProbe => self.file().map(|file| Op::ExportProbe { file }),
            Kind::ExportSet => self.file().map(|file| Op::ExportSet { file }),
            Kind::DupBuffer => self.dup_buffer(),
            Kind::SendBuffer => self.buffer().map(|buffer| Op::SendBuffer { buffer }),
            Kind::ReceiveBuffer => self.receive_buffer(),
            Kind::ReopenBuffer => self.buffer().map(|buffer| Op::ReopenBuffer { buffer }),
            Kind::MapBuffer => self.map_buffer(),
            Kind::BufferSize => self.buffer().map(|buffer| Op::BufferSize { buffer }),
            Kind::CloseBuffer => self.buffer().map(|buffer| Op::CloseBuffer { buffer }),
            Kind::Map => self.map_into_space(),
            Kind::Unmap => self.unmap(),
            Kind::Copy => self.copy(),
            Kind::Dma => self.dma(),
            Kind::Import => self.import(),
            Kind::ImportMap => self.imported().map(|import| Op::ImportMap { import }),
            Kind::ImportUnmap => self.imported().map(|import| Op::ImportUnmap { import }),
            Kind::ImportUse => self.import_use(),
            Kind::ImportPin => self.import_pin(),
            Kind::ImportEnd => self.imported().map(|import| Op::ImportEnd { import }),
            Kind::SysfsReset => self.someone().map(|device| Op::SysfsReset { device }),
            Kind::ResetMethods => self.reset_methods(),
            Kind::Remove => self.someone().map(|device| Op::Remove { device }),
            Kind::Rescan => self.rescan(),
        }
    }

    /// A value nothing else in the episode writes, so that stale data and fresh differ; neither 0
    /// nor all ones, which is what is read where nothing is.
    fn nonce(&mut self) -> u32 {
        self.draw.word() & 0x7fff_ff00 | 0x100 | (self.ops.len() as u32 & 0xff)
    }

    /// A register: mostly one that is full, sometimes any.
    fn register<T>(&mut self, of: impl Fn(&Expected) -> &[Option<T>], full: bool) -> Option<u8> {
        const ANY: u32 = 24;
        let registers = of(&self.expected);
        let count = registers.len() as u32;
        let fitting = (0..count as u8).filter(|at| registers[usize::from(*at)].is_some() == full);
        let fitting: Vec<u8> = fitting.collect();
        if self.draw.once_in(ANY) { Some(self.draw.below(count) as u8) } else { self.draw.one_of(&fitting) }
    }

    /// A file register that is full, mostly.
    fn file(&mut self) -> Option<u8> {
        self.register(|expected| &expected.files, true)
    }

    /// A buffer register that is full, mostly.
    fn buffer(&mut self) -> Option<u8> {
        self.register(|expected| &expected.buffers, true)
    }

    /// A map register that is full, mostly.
    fn map(&mut self) -> Option<u8> {
        self.register(|expected| &expected.maps, true)
    }

    /// A device: mostly one of the cast.
    fn someone(&mut self) -> Option<u8> {
        if self.draw.once_in(16) {
            return Some(self.draw.below(self.expected.devices.len() as u32) as u8);
        }
        self.draw.one_of(&self.cast.all)
    }
}
