//! Calls in sections. What stands in one section happens without anybody in between; between two
//! sections another thread may do something, unless a lock that is held keeps it out.

use super::vfio_pci_dmabuf::ExportId;
use super::{Call, FileId, Kernel};
use crate::errno::Errno;
use crate::kernel::iommufd::Filling;
use barkeep_pci::write::ConfigWrite;
use smallvec::SmallVec;

/// A part of a call.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Section {
    /// `down_write(&vdev->memory_lock)`.
    DownWrite(usize),
    /// `up_write(&vdev->memory_lock)`.
    UpWrite(usize),
    /// `vfio_pci_zap_bars`.
    Zap(usize),
    /// `vfio_pci_dma_buf_move`, from the dma-buf at this place of the list on.
    Move {
        /// The device.
        device: usize,
        /// Which way.
        revoked: bool,
        /// Place in the device's list.
        at: usize,
    },
    /// The wait in `vfio_pci_dma_buf_move` for importers that hold a mapping.
    WaitForImporters(ExportId),
    /// The second half of an un-revoke: `priv->revoked = false`, after the importers were told.
    ClearRevoked(ExportId),
    /// `if (__vfio_pci_memory_enabled(vdev)) vfio_pci_dma_buf_move(vdev, false)`.
    MoveBackIfEnabled(usize),
    /// One naturally aligned piece of a config write.
    ConfigPiece {
        /// The device.
        device: usize,
        /// The piece.
        piece: ConfigWrite,
    },
    /// The write of COMMAND itself, under the lock.
    StoreCommand {
        /// The device.
        device: usize,
        /// The piece.
        piece: ConfigWrite,
    },
    /// `vfio_pci_set_power_state`.
    SetPowerState {
        /// The device.
        device: usize,
        /// 0 to 3.
        state: u8,
    },
    /// `pci_try_reset_function`; its result becomes the call's if `report`.
    TryReset {
        /// The device.
        device: usize,
        /// Whether the caller gets to know.
        report: bool,
    },
    /// The device is back after a reset: its config space is restored, its lock is free.
    ResetDone {
        /// The device.
        device: usize,
        /// Whether the caller gets to know.
        report: bool,
        /// What it came to.
        result: Result<(), Errno>,
    },
    /// `vfio_pci_runtime_pm_entry`, under the lock.
    EnterLowPower {
        /// The device.
        device: usize,
        /// It is to leave it by itself when woken up.
        wakes: bool,
    },
    /// `vfio_pci_runtime_pm_exit`, under the lock.
    LeaveLowPower(usize),
    /// `vfio_device_pm_runtime_put`, after every access through the file.
    SleepAgain(usize),
    /// The dma-buf is put on the device's list: live if the device is.
    ListExport(ExportId),
    /// `vfio_pci_dma_buf_cleanup` after its move.
    ForgetExports(usize),
    /// `vfio_pci_core_disable` and the end of the binding to iommufd.
    Disable(FileId),
    /// The hot reset's turn at a member: owned, not busy, revoked.
    TakeMember {
        /// The device whose file was asked.
        caller: usize,
        /// The member.
        member: usize,
        /// Where the member stands in its set.
        place: usize,
    },
    /// `pci_reset_bus` of a set all of whose members are held.
    ResetBus(usize),
    /// What `pci_reset_bus` came to.
    BusResetDone {
        /// The device whose file was asked.
        caller: usize,
        /// What it came to.
        result: Result<(), Errno>,
    },
    /// `err_undo`: gives back the members taken so far, last one first.
    GiveBackMembers {
        /// The device whose file was asked.
        caller: usize,
        /// How many.
        taken: usize,
    },
    /// The last reference to the dma-buf is gone: `vfio_pci_dma_buf_release`, outside of every
    /// lock.
    Release(ExportId),
    /// `iopt_map_pages`: the second half of a map, after the attach.
    Fill(Filling),
    /// Time passes: nanoseconds.
    Sleep(u64),
}

/// A call under way.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Task {
    /// What is left, the next section last.
    pub(super) todo: SmallVec<[Section; 8]>,
    /// What the call answers once nothing is left.
    pub(super) answer: Result<u64, Errno>,
    /// The memory locks it holds, one bit a device.
    pub(super) holds: u64,
}

/// How far a task has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// A section is done, and more are left.
    More,
    /// It waits for something another task holds; nothing was done.
    Blocked,
    /// It sleeps; nanoseconds.
    Sleep(u64),
    /// It is over.
    Done(Result<u64, Errno>),
}

impl Task {
    pub(super) fn done(answer: Result<u64, Errno>) -> Self {
        Self { todo: SmallVec::new(), answer, holds: 0 }
    }

    /// Sections in the order in which they are to be done.
    pub(super) fn of(sections: &[Section]) -> Self {
        let mut task = Self::done(Ok(0));
        task.next(sections);
        task
    }

    /// Puts sections before what is left.
    pub(super) fn next(&mut self, sections: &[Section]) {
        self.todo.extend(sections.iter().rev().cloned());
    }

    /// The section that comes next.
    #[must_use]
    pub fn upcoming(&self) -> Option<&Section> {
        self.todo.last()
    }
}

impl Kernel {
    /// Does a call in one go; `None` if it never comes back.
    pub fn call(&mut self, call: &Call) -> Option<Result<u64, Errno>> {
        let mut task = self.start(call);
        self.finish(&mut task)
    }

    /// Does what is left of a task in one go; `None` if it never comes back.
    pub fn finish(&mut self, task: &mut Task) -> Option<Result<u64, Errno>> {
        loop {
            match self.step(task) {
                Progress::More | Progress::Sleep(_) => {}
                Progress::Blocked => return None,
                Progress::Done(answer) => return Some(answer),
            }
        }
    }

    /// Does the next section of a task.
    pub fn step(&mut self, task: &mut Task) -> Progress {
        let Some(section) = task.todo.pop() else {
            return Progress::Done(task.answer);
        };
        if self.blocked(&section, task) {
            task.todo.push(section);
            return Progress::Blocked;
        }
        if let Section::Sleep(time) = section {
            return Progress::Sleep(time);
        }
        self.perform(section, task);
        if task.todo.is_empty() { Progress::Done(task.answer) } else { Progress::More }
    }

    /// Whether the task's next section has to wait.
    #[must_use]
    pub fn waits(&self, task: &Task) -> bool {
        task.upcoming().is_some_and(|section| self.blocked(section, task))
    }

    fn blocked(&self, section: &Section, task: &Task) -> bool {
        match section {
            Section::DownWrite(device) => self.functions[*device].memory_lock && !task.holds(*device),
            Section::WaitForImporters(export) => self.importers_hold(*export),
            // `pci_user_write_config`: config space is locked while somebody else resets.
            Section::StoreCommand { device, piece: _ } => self.functions[*device].device_lock,
            Section::Release(export) => self
                .export(*export)
                .and_then(|export| export.device)
                .is_some_and(|device| self.functions[device].memory_lock && !task.holds(device)),
            _ => false,
        }
    }

    fn perform(&mut self, section: Section, task: &mut Task) {
        match section {
            Section::DownWrite(device) => {
                self.functions[device].memory_lock = true;
                task.holds |= 1 << device;
            }
            Section::UpWrite(device) => {
                self.functions[device].memory_lock = false;
                task.holds &= !(1 << device);
            }
            Section::Zap(device) => self.zap(device),
            Section::Move { device, revoked, at } => self.move_one(device, revoked, at, task),
            Section::WaitForImporters(export) => self.wait_for_importers(export),
            Section::ClearRevoked(export) => self.clear_revoked(export),
            Section::MoveBackIfEnabled(device) => self.move_back_if_enabled(device, task),
            Section::ConfigPiece { device, piece } => self.config_piece(device, &piece, task),
            Section::StoreCommand { device, piece } => self.store_command(device, &piece),
            Section::SetPowerState { device, state } => self.vfio_set_power_state(device, state),
            Section::TryReset { device, report } => self.try_reset_function(device, report, task),
            Section::ResetDone { device, report, result } => {
                self.reset_done(device);
                if report {
                    task.answer = result.map(|()| 0);
                }
            }
            Section::EnterLowPower { device, wakes } => {
                task.answer = self.enter_low_power(device, wakes).map(|()| 0);
            }
            Section::SleepAgain(device) => self.sleep_again(device),
            Section::LeaveLowPower(device) => self.leave_low_power(device),
            Section::ListExport(export) => self.list_export(export),
            Section::ForgetExports(device) => self.forget_exports(device),
            Section::Disable(file) => self.disable(file),
            Section::TakeMember { caller, member, place } => self.take_member(caller, member, place, task),
            Section::ResetBus(caller) => self.reset_bus(caller, task),
            Section::BusResetDone { caller, result } => self.bus_reset_done(caller, result, task),
            Section::GiveBackMembers { caller, taken } => self.give_back_members(caller, taken, task),
            Section::Release(export) => self.release_export(export),
            Section::Fill(filling) => task.answer = self.fill(filling),
            // `step` hands the time on.
            Section::Sleep(_) => {}
        }
    }
}

impl Task {
    pub(super) fn holds(&self, device: usize) -> bool {
        self.holds & 1 << device != 0
    }
}
