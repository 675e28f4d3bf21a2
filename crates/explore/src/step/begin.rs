//! How things begin: an action, a turn, a call of somebody else's.

use super::{Doing, Run};
use crate::action::{Action, Import, Outside};
use crate::happened::What;
use crate::machine::ELSEWHERE;
use crate::scene::{OTHER_SPACE, SPACE};
use crate::station::Unseen;
use crate::thread::{Act, Thread, Turn, Work};
use barkeep_export::Cause;
use barkeep_model::Kernel;
use barkeep_model::kernel::{Call, ExportId};

impl Run<'_> {
    pub(super) fn begin(&mut self, action: Action) -> Option<()> {
        self.device = self.happened.device;
        match action {
            Action::Guest(write) => self.take_turn(Turn::Write(write.bytes(self.device))),
            Action::Reset => self.take_turn(Turn::Event(Cause::DEVICE_RESET)),
            Action::LowPower(which) => self.take_turn(Turn::Event(Cause::low_power(which))),
            Action::Suspect => self.take_turn(Turn::Event(Cause::SUSPECT)),
            Action::Close => self.take_turn(Turn::Event(Cause::CLOSE)),
            Action::CloseBuffer(window) => self.close_buffer(window.into()),
            Action::Outside(what) => self.outside(what),
            Action::Import(what) => self.import(what),
        }
    }

    /// One after the other at each device.
    fn take_turn(&mut self, turn: Turn) -> Option<()> {
        let station = self.draft.station(self.device);
        if !station.open {
            return None;
        }
        if station.busy {
            self.set(Work::Waiting(turn));
        } else {
            self.turn_comes(turn);
        }
        Some(())
    }

    pub(super) fn turn_comes(&mut self, turn: Turn) {
        let write = match turn {
            Turn::Event(cause) => return self.take_on(cause),
            Turn::Write(write) => write,
        };
        let station = self.draft.station(self.device);
        if let Some(cause) = station.shadow.classify(self.draft.kernel().layout(self.device), &write) {
            return self.take_on(cause);
        }
        self.happened.what = What::Entered(None);
        if !station.open {
            // Closed meanwhile: ENODEV, and the guest is not told.
            self.set(Work::Idle);
            return;
        }
        self.draft.station_mut(self.device).busy = true;
        let file = self.draft.scene.files[self.device];
        let task = self.kernel().start(&Call::ConfigWrite { file, write });
        self.called(Doing::Plain(write), task);
    }

    pub(super) fn take_on(&mut self, cause: Cause) {
        self.happened.cause = Some(cause);
        let answers = cause.revokes && !self.unseen_goes_on();
        let station = self.draft.station_mut(self.device);
        station.busy = true;
        station.kept.begin(cause);
        if answers && station.unseen == Unseen::Yes {
            station.unseen = Unseen::Answered;
        }
        self.set(Work::Event(cause, Act::Next));
        // Nobody can see that it began, so the first step comes with it, if it can.
        let _ = self.go_on();
    }

    /// Whether what the keeper does not know of is not over: a call of somebody else; low power,
    /// which no register shows; or dma-bufs that stayed revoked although the function is on again.
    fn unseen_goes_on(&self) -> bool {
        let scene = self.draft.scene;
        let concerned = |thread: &Thread| {
            let mine = thread.device == self.device || scene.scenario.kind().one_set;
            mine && matches!(thread.work, Work::Call(_, true))
        };
        (0..3).any(|thread| concerned(self.draft.thread(thread)))
            || self.draft.kernel().functions()[self.device].low_power
            || left_revoked(self.draft.kernel(), self.device)
    }

    fn close_buffer(&mut self, window: usize) -> Option<()> {
        if !self.draft.station(self.device).buffers[window] {
            return None;
        }
        self.draft.station_mut(self.device).buffers[window] = false;
        let export = self.draft.scene.exports[self.device][window];
        self.call(&Call::CloseBuffer { export }, false);
        Some(())
    }

    /// A call of somebody else's.
    fn call(&mut self, call: &Call, unseen: bool) {
        self.happened.what = What::Entered(None);
        let task = self.kernel().start(call);
        self.called(Doing::Call(unseen), task);
    }

    fn outside(&mut self, what: Outside) -> Option<()> {
        let device = self.device;
        let file = self.draft.scene.files[device];
        if !self.draft.station(device).shared && !what.by_sysfs() {
            return None;
        }
        let function = &self.draft.kernel().functions()[device];
        let (call, unseen) = match what {
            Outside::Write(write) => (Call::ConfigWrite { file, write: write.bytes(device) }, true),
            Outside::Reset => (Call::Reset { file }, true),
            Outside::HotReset => (Call::HotReset { file }, true),
            Outside::LowPowerEntry { wakes } => (Call::LowPowerEntry { file, wakes }, true),
            Outside::LowPowerExit if function.low_power => (Call::LowPowerExit { file }, true),
            Outside::LowPowerExit => return None,
            // These revoke nothing: the keeper has to be right without knowing of them.
            Outside::SysfsReset if self.draft.kernel().is_leaving(device) => return None,
            Outside::SysfsReset => (Call::SysfsReset { device }, false),
            Outside::Methods { present } if function.resettable == present => return None,
            Outside::Methods { present } => (Call::ResetMethods { device, present }, false),
            Outside::Remove if self.draft.kernel().is_leaving(device) => return None,
            Outside::Remove if self.draft.kernel().is_gone(device) => return None,
            Outside::Remove => (Call::Remove { device }, false),
            Outside::CloseFile => {
                self.draft.station_mut(device).shared = false;
                (Call::CloseFile { file }, false)
            }
        };
        if unseen {
            let all = self.draft.scene.scenario.kind().one_set && what == Outside::HotReset;
            for concerned in (0..2).filter(|other| all || *other == device) {
                self.draft.station_mut(concerned).unseen = Unseen::Yes;
            }
        }
        self.call(&call, unseen);
        Some(())
    }

    fn import(&mut self, what: Import) -> Option<()> {
        let (device, scene) = (self.device, self.draft.scene);
        let export = scene.exports[device][0];
        let has_buffer = self.draft.station(device).buffers[0];
        let length = scene.windows[device][0].size;
        let base = scene.base(self.draft.kernel(), device);
        let there = |space: usize, iova: u64| {
            self.draft.kernel().spaces()[space].areas.iter().any(|area| area.iova == iova)
        };
        let elsewhere = there(OTHER_SPACE, ELSEWHERE);
        let map = |space, iova| Call::MapBuffer { space, export, start: 0, length, iova };
        let attachment = scene.importer.map(|(id, _)| id);
        let attached = attachment.and_then(|id| Some((id, self.draft.kernel().attachment(id)?.mapped)));
        let call = match what {
            Import::MapElsewhere if has_buffer && !elsewhere => map(OTHER_SPACE, ELSEWHERE),
            Import::UnmapElsewhere if elsewhere => {
                Call::Unmap { space: OTHER_SPACE, iova: ELSEWHERE, length }
            }
            Import::CopyElsewhere if !elsewhere => {
                Call::Copy { from: SPACE, to: OTHER_SPACE, iova: base?, length, to_iova: ELSEWHERE }
            }
            Import::MapInTheWay if has_buffer && !there(SPACE, base?) => map(SPACE, base?),
            Import::MapAttachment => {
                let (id, _) = attached.filter(|(_, mapped)| !mapped)?;
                self.happened.what = What::Entered(None);
                // A revoked dma-buf refuses, and the importer goes without.
                let _ = self.kernel().map_attachment(id);
                return Some(());
            }
            Import::UnmapAttachment => {
                let (id, _) = attached.filter(|(_, mapped)| *mapped)?;
                self.happened.what = What::Entered(None);
                self.kernel().unmap_attachment(id);
                return Some(());
            }
            Import::Detach => {
                let (id, _) = attached.filter(|(_, mapped)| !mapped)?;
                self.happened.what = What::Entered(None);
                let task = self.kernel().detach_importer(id);
                self.called(Doing::Call(false), task);
                return Some(());
            }
            Import::MapElsewhere | Import::UnmapElsewhere | Import::CopyElsewhere | Import::MapInTheWay => {
                return None;
            }
        };
        self.call(&call, false);
        Some(())
    }
}

impl Outside {
    /// Needs no file.
    fn by_sysfs(self) -> bool {
        matches!(self, Self::SysfsReset | Self::Methods { .. } | Self::Remove)
    }
}

/// Whether a function is enabled for the kernel and its dma-bufs are revoked, with nobody at it: a
/// reset through sysfs wakes a function up that vfio had put into D3hot, and vfio is not asked.
fn left_revoked(kernel: &Kernel, device: usize) -> bool {
    let function = &kernel.functions()[device];
    let revoked = |id: &ExportId| kernel.export(*id).is_some_and(|export| export.revoked);
    !function.memory_lock && kernel.memory_enabled(device) && function.exports.iter().any(revoked)
}
