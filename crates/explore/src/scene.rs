//! A scenario set up: the objects it begins with, and the state of everything at the start.

use crate::Scenario;
use crate::action::Action;
use crate::kept::Kept;
use crate::machine::{BAR, BAR_SIZE, HOLE, ON, PLACES};
use crate::mutant::Mutant;
use crate::pool::Pool;
use crate::print::Node;
use crate::state::{Draft, State};
use crate::station::{Station, Unseen};
use crate::thread::{Thread, Turn, Work};
use barkeep_export::{Cause, Shadow, Window};
use barkeep_model::kernel::{
    AttachmentId, Call, Exchange, ExportId, FileId, ImporterKind, OnInvalidate, VmaId,
};
use barkeep_model::{Kernel, Profile};
use barkeep_pci::header;
use barkeep_pci::write::ConfigWrite;
use std::sync::Arc;

/// A scenario, set up.
pub(crate) struct Scene {
    pub(crate) scenario: Scenario,
    pub(crate) mutant: Option<Mutant>,
    pub(crate) windows: [Vec<Window>; 2],
    pub(crate) files: [FileId; 2],
    /// Of each device's windows.
    pub(crate) exports: [[ExportId; 2]; 2],
    /// Of each device's windows: what its memory slots show.
    pub(crate) vmas: [[VmaId; 2]; 2],
    pub(crate) importer: Option<(AttachmentId, OnInvalidate)>,
    /// Devices exchanged, where that makes no difference.
    pub(crate) exchange: Option<Exchange>,
    pub(crate) actions: Vec<(usize, usize, Action)>,
}

/// The space the VMM maps everything into.
pub(crate) const SPACE: usize = 0;
/// The space of other importers.
pub(crate) const OTHER_SPACE: usize = 1;

impl Scene {
    /// Sets a scenario up, and gives its first state: everything open, exported, mapped, the
    /// slots in, nothing under way.
    pub(crate) fn new(scenario: Scenario, mutant: Option<Mutant>) -> (Self, State) {
        let kind = scenario.kind();
        let kernel = Kernel::new(&kind.hardware(), Profile::V7_3).expect("functions can be so");
        Self::on(kernel, scenario, mutant)
    }

    /// The same on a kernel with an error planted in it.
    pub(crate) fn on(mut kernel: Kernel, scenario: Scenario, mutant: Option<Mutant>) -> (Self, State) {
        let windows = [0, 1].map(|device| scenario.kind().windows(device));
        let files = [0, 1].map(|device| open(&mut kernel, scenario, device));
        let vmas = [0, 1].map(|device| map(&mut kernel, files[device], &windows[device]));
        let exports = [0, 1].map(|device| export(&mut kernel, files[device], &windows[device]));
        let importer = scenario.importer().map(|act| (attach(&mut kernel, exports[0][0], act), act));
        let exchange = scenario.symmetric().then(|| Exchange {
            devices: vec![(0, 1)],
            files: vec![(files[0], files[1])],
            vmas: vec![(vmas[0][0], vmas[1][0])],
            exports: vec![(exports[0][0], exports[1][0])],
            attachments: vec![],
            addresses: vec![(PLACES[0][0], PLACES[1][0]), (PLACES[0][1], PLACES[1][1])],
            size: BAR_SIZE,
        });
        let actions = scenario.actions();
        let scene = Self { scenario, mutant, windows, files, exports, vmas, importer, exchange, actions };
        let state = scene.start(kernel);
        (scene, state)
    }

    /// The keepers' first event, [`Cause::START`], of one device after the other.
    fn start(&self, kernel: Kernel) -> State {
        let by = self.exchange.as_ref();
        let stations = [0, 1].map(|device| Arc::new(Node::new(self.station(device, &kernel), by)));
        let pool = Pool::default();
        let threads = [0, 1, 2].map(|_| Arc::new(Node::new(Thread::IDLE, by)));
        let mut state = State { kernel: Arc::new(Node::new(kernel, by)), stations, threads };
        for device in 0..2 {
            let mut draft = Draft::of(self, &pool, &state);
            draft.set_thread(0, Thread { device, work: Work::Waiting(Turn::Event(Cause::START)) });
            state = draft.finish().0;
            while !state.thread(0).idle() {
                let (next, _) = crate::step::step(self, &pool, &state, 0).expect("nobody is in the way");
                state = next;
            }
        }
        state
    }

    fn station(&self, device: usize, kernel: &Kernel) -> Station {
        let mut kernel = kernel.clone();
        let mut read = |offset, bytes: &mut [u8]| {
            kernel.config_read(self.files[device], offset, bytes).expect("the file is open");
        };
        let mut command = [0; 2];
        read(header::COMMAND, &mut command);
        let mut bars = [0; 24];
        read(header::BAR0, &mut bars);
        let layout = kernel.layout(device);
        Station {
            kept: Kept::new(&self.windows[device], self.mutant),
            shadow: Shadow::new(layout, u16::from_le_bytes(command), 0, registers(&bars)),
            slots: [None; 2],
            open: true,
            buffers: [0, 1].map(|window| window < self.windows[device].len()),
            shared: self.scenario.shared()[device],
            busy: false,
            unseen: Unseen::No,
        }
    }

    /// Where a device's BAR is, as its registers have it.
    pub(crate) fn base(&self, kernel: &Kernel, device: usize) -> Option<u64> {
        let low = kernel.functions()[device].shadow_bars[usize::from(BAR)];
        let base = u64::from(low & !header::BAR_MEMORY_FLAGS);
        HOLE.contains(&base).then_some(base)
    }
}

/// Six BAR registers of 24 bytes.
pub(crate) fn registers(bytes: &[u8; 24]) -> [u32; 6] {
    std::array::from_fn(|n| u32::from_le_bytes(std::array::from_fn(|byte| bytes[4 * n + byte])))
}

fn call(kernel: &mut Kernel, call: &Call) -> u64 {
    kernel.call(call).expect("it comes back").expect("the set-up can be made")
}

fn open(kernel: &mut Kernel, scenario: Scenario, device: usize) -> FileId {
    let file = FileId::of(call(kernel, &Call::Open { device, context: 0 }));
    if scenario.shared()[device] {
        kernel.hold_file(file);
    }
    call(kernel, &Call::Attach { file, space: scenario.spaces()[device] });
    for write in [ConfigWrite::word(header::COMMAND, ON), crate::action::Write::Move(0).bytes(device)] {
        call(kernel, &Call::ConfigWrite { file, write });
    }
    file
}

fn map(kernel: &mut Kernel, file: FileId, windows: &[Window]) -> [VmaId; 2] {
    let ids: Vec<VmaId> = windows
        .iter()
        .map(|&Window { bar, offset, size, p2p: _ }| {
            VmaId::of(call(kernel, &Call::MapBar { file, bar, offset, size }))
        })
        .collect();
    [0, 1].map(|window| ids.get(window).copied().unwrap_or(VmaId::of(u64::MAX)))
}

fn export(kernel: &mut Kernel, file: FileId, windows: &[Window]) -> [ExportId; 2] {
    let ids: Vec<ExportId> = windows
        .iter()
        .map(|window| {
            let ranges = vec![(window.offset, window.size)];
            let region = window.bar.into();
            ExportId::of(call(kernel, &Call::Export { file, region, ranges, flags: 0 }))
        })
        .collect();
    [0, 1].map(|window| ids.get(window).copied().unwrap_or(ExportId::of(u64::MAX)))
}

fn attach(kernel: &mut Kernel, export: ExportId, act: OnInvalidate) -> AttachmentId {
    let kind =
        ImporterKind { peer2peer: true, invalidate: Some(act), longest_segment: 1 << 16, translated: false };
    let id = kernel.attach_importer(export, kind).expect("a live dma-buf can be attached");
    kernel.map_attachment(id).expect("and mapped");
    id
}
