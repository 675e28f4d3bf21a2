//! The keeper's steps, performed as the driver and [`barkeep_export::Passthrough`] do.

use super::{Doing, Run};
use crate::happened::What;
use crate::machine::{BAR, HOLE, PMCSR};
use crate::scene::SPACE;
use crate::station::Unseen;
use crate::thread::{Act, Work};
use barkeep_export::{self as export, Cause, Found, LowPower, Passage, Step, StepResult};
use barkeep_model::Errno;
use barkeep_model::kernel::Call;
use barkeep_pci::header;

impl Run<'_> {
    pub(super) fn perform(&mut self, cause: Cause) -> Option<()> {
        let device = self.device;
        let step = self.draft.station_mut(device).kept.next_step();
        let Some(step) = step else {
            self.settle();
            return Some(());
        };
        match step {
            Step::WithdrawSlot { window, address } => {
                let slot = &mut self.draft.station_mut(device).slots[window];
                let was = slot.take();
                self.happened.what = What::Slot { window, address, put: false };
                let result = if was == Some(address) { Ok(0) } else { Err(Errno::ENOENT) };
                self.answer(cause, step, result);
            }
            Step::PutBackSlot { window, address } => {
                let result = self.put_slot(window, address);
                self.happened.what = What::Slot { window, address, put: true };
                self.answer(cause, step, result);
            }
            Step::LetThrough => self.let_through(cause),
            Step::FindOut => return self.find_out(cause),
            Step::DropMapping { window, address } => {
                let length = self.draft.scene.windows[device][window].size;
                self.enter(cause, step, &Call::Unmap { space: SPACE, iova: address, length });
            }
            Step::MakeMapping { window, address } => {
                if !self.draft.station(device).buffers[window] {
                    self.happened.what = What::Entered(Some(step));
                    self.answer(cause, step, Err(Errno::ENOENT));
                    return Some(());
                }
                let scene = self.draft.scene;
                let (export, length) = (scene.exports[device][window], scene.windows[device][window].size);
                let call = Call::MapBuffer { space: SPACE, export, start: 0, length, iova: address };
                self.enter(cause, step, &call);
            }
        }
        Some(())
    }

    fn enter(&mut self, cause: Cause, step: Step, call: &Call) {
        self.happened.what = What::Entered(Some(step));
        let task = self.kernel().start(call);
        self.called(Doing::Step(cause, step), task);
    }

    fn put_slot(&mut self, window: usize, address: u64) -> Result<u64, Errno> {
        let scene = self.draft.scene;
        let taken = (0..2).any(|other| {
            let slots = self.draft.station(other).slots;
            (0..2).any(|n| {
                let size = scene.windows[other].get(n).map_or(0, |window| window.size);
                slots[n].is_some_and(|slot| {
                    slot < address + scene.windows[self.device][window].size && address < slot + size
                })
            })
        });
        if taken {
            return Err(Errno::EEXIST);
        }
        self.draft.station_mut(self.device).slots[window] = Some(address);
        Ok(0)
    }

    fn let_through(&mut self, cause: Cause) {
        let (device, step) = (self.device, Step::LetThrough);
        let file = self.draft.scene.files[device];
        if !self.draft.station(device).open {
            self.happened.what = What::Entered(Some(step));
            self.answer(cause, step, Err(Errno::ENODEV));
            return;
        }
        match cause.passage {
            Passage::ConfigWrite(write) => self.enter(cause, step, &Call::ConfigWrite { file, write }),
            Passage::DeviceReset => self.enter(cause, step, &Call::Reset { file }),
            Passage::HotReset => self.enter(cause, step, &Call::HotReset { file }),
            Passage::LowPower(LowPower::Entry { wakes }) => {
                self.enter(cause, step, &Call::LowPowerEntry { file, wakes });
            }
            Passage::LowPower(LowPower::Exit) => self.enter(cause, step, &Call::LowPowerExit { file }),
            Passage::Close => {
                self.draft.station_mut(device).open = false;
                for window in 0..self.draft.scene.windows[device].len() {
                    let vma = self.draft.scene.vmas[device][window];
                    // The file is open still, so these are not the last references.
                    let _ = self.kernel().call(&Call::UnmapBar { vma });
                }
                self.enter(cause, step, &Call::CloseFile { file });
            }
            Passage::Nothing => self.answer(cause, step, Ok(0)),
        }
    }

    fn find_out(&mut self, cause: Cause) -> Option<()> {
        let layout = self.draft.kernel().layout(self.device);
        let shadow = &self.draft.station(self.device).shadow;
        if shadow.low_power() {
            // Reading the registers would wake the device.
            let (decode, power) = shadow.remembered(layout);
            let found = self.placed(decode, power);
            self.found(cause, Some(found));
            return Some(());
        }
        let mut command = [0; 2];
        if !self.read(header::COMMAND, &mut command)? {
            self.found(cause, None);
            return Some(());
        }
        let command = u16::from_le_bytes(command);
        if self.draft.scene.scenario.shares_registers() {
            self.happened.what = What::ReadCommand;
            self.set(Work::Event(cause, Act::HalfRead(command)));
            return Some(());
        }
        self.read_rest(cause, command)
    }

    pub(super) fn read_rest(&mut self, cause: Cause, command: u16) -> Option<()> {
        let device = self.device;
        let mut pmcsr = [0; 2];
        if !self.read(PMCSR, &mut pmcsr)? {
            self.found(cause, None);
            return Some(());
        }
        let layout = self.draft.kernel().layout(device).clone();
        let shadow = &mut self.draft.station_mut(device).shadow;
        let (decode, power) = shadow.found(&layout, command, Some(u16::from_le_bytes(pmcsr)));
        let found = self.placed(decode, power);
        self.found(cause, Some(found));
        Some(())
    }

    fn placed(&self, decode: bool, power: u8) -> Found {
        let shadow = &self.draft.station(self.device).shadow;
        let place = shadow.placed(self.draft.kernel().layout(self.device), BAR, &[HOLE]);
        let windows = &self.draft.scene.windows[self.device];
        let addresses = windows.iter().map(|window| Some(place? + window.offset)).collect();
        Found { decode, power, low_power: shadow.low_power(), addresses }
    }

    fn found(&mut self, cause: Cause, found: Option<Found>) {
        self.happened.what = What::Found(found.clone());
        let result = StepResult::Found(found.ok_or(export::Errno::NODEV));
        self.told(cause, result);
    }

    pub(super) fn answer(&mut self, cause: Cause, step: Step, result: Result<u64, Errno>) {
        self.happened.answer = Some((step, result));
        let errno = |errno: Errno| export::Errno::from_raw_os_error(errno.number());
        self.told(cause, StepResult::Done(result.map(drop).map_err(errno)));
    }

    /// The keeper learns what its step came to; if that was the last one the event is over.
    fn told(&mut self, cause: Cause, result: StepResult) {
        let station = self.draft.station_mut(self.device);
        station.kept.done(result);
        if station.kept.next_step().is_none() {
            self.settle();
        } else {
            self.set(Work::Event(cause, Act::Next));
        }
    }

    fn settle(&mut self) {
        let station = self.draft.station_mut(self.device);
        station.busy = false;
        if station.unseen == Unseen::Answered {
            station.unseen = Unseen::No;
        }
        self.set(Work::Idle);
    }
}
