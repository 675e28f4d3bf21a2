//! `drivers/vfio/pci/vfio_pci_core.c`: open and close, resets, low power, CPU access.

use super::call::locked;
use super::files::{FileId, Vma, VmaId};
use super::pci::{D3HOT, Presence};
use super::{Kernel, Section, Task};
use crate::errno::Errno;
use crate::hardware::BusReset;
use crate::op::PAGE;
use crate::rule::Rule;
use barkeep_pci::{BarKind, header};

/// Where an access of a CPU ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CpuTarget {
    /// In the BAR of a function that answers.
    Bar {
        /// The device.
        device: usize,
        /// BAR index.
        bar: u8,
        /// Bytes from the start of the BAR.
        offset: u64,
    },
    /// At a function that does not: all ones, or nothing.
    Nobody,
}

impl Kernel {
    /// `vfio_df_ioctl_bind_iommufd` on a fresh file, and `vfio_pci_core_enable`.
    pub(super) fn open(&mut self, device: usize, context: u8) -> Task {
        if self.functions[device].presence != Presence::There && self.follows(Rule::RemovedNotOpened) {
            return Task::done(Err(Errno::ENOENT));
        }
        if self.functions[device].file.is_some() && self.follows(Rule::OpenTwice) {
            return Task::done(Err(Errno::EINVAL));
        }
        if let Err(errno) = self.claim_group(device, context) {
            return Task::done(Err(errno));
        }
        let file = self.new_file(device);
        self.enable(device, file, context);
        let mut task = Task::of(&[Section::Sleep(self.reset_time(device))]);
        task.answer = Ok(file.0 as u64);
        task
    }

    /// `vfio_pci_core_enable` and `vfio_config_init`.
    fn enable(&mut self, device: usize, file: FileId, context: u8) {
        let image = *self.image(device);
        let layout = self.layout(device);
        let mut command = 0;
        for bar in layout.bars.iter().flatten() {
            command |= match bar.kind {
                BarKind::Io => header::COMMAND_IO,
                BarKind::Memory32 | BarKind::Memory64 => header::COMMAND_MEMORY,
            };
        }
        self.set_command(device, command);
        let virtual_function = self.device(device).virtual_function;
        let works = self.functions[device].resettable && self.reset_succeeds(device);
        let function = &mut self.functions[device];
        function.power = 0;
        function.reset_works = works;
        function.file = Some(file);
        function.context = Some(context);
        function.shadow_command = function.command;
        if virtual_function {
            function.shadow_command |= header::COMMAND_MEMORY;
        }
        function.shadow_bars = std::array::from_fn(|bar| {
            let at = usize::from(header::BAR0) + 4 * bar;
            u32::from_le_bytes([image[at], image[at + 1], image[at + 2], image[at + 3]])
        });
    }

    /// Gives up a reference to a device file. The last one closes the device
    /// (`vfio_pci_core_close_device`).
    pub(super) fn close_file(&mut self, file: FileId) -> Task {
        let Ok(device) = self.device_of(file) else {
            return Task::done(Err(Errno::EBADF));
        };
        if !self.drop_file(file) {
            return Task::done(Ok(0));
        }
        let mut task = Task::done(Ok(0));
        let time = if self.functions[device].reset_works { self.reset_time(device) } else { 0 };
        task.next(&[Section::Disable(file), Section::Sleep(time)]);
        let cleanup = [Section::Move { device, revoked: true, at: 0 }, Section::ForgetExports(device)];
        if self.follows(Rule::LastClose) {
            task.next(&locked(device, &cleanup));
        } else {
            task.next(&locked(device, &cleanup[1..]));
        }
        task
    }

    /// `vfio_pci_core_disable`, and the device leaves iommufd.
    pub(super) fn disable(&mut self, file: FileId) {
        let Ok(device) = self.device_of(file) else {
            return;
        };
        self.leave_space(device);
        let function = &mut self.functions[device];
        function.low_power = false;
        function.wakes = false;
        function.saved_command = None;
        function.power = 0;
        function.command = 0;
        function.shadow_command = 0;
        function.shadow_bars = [0; 6];
        function.reset_works = false;
        function.file = None;
        function.context = None;
        if function.presence == Presence::Going {
            function.presence = Presence::Gone;
        }
        self.forget_file(file);
    }

    /// `vfio_pci_ioctl_reset`.
    pub(super) fn device_reset(&mut self, file: FileId) -> Task {
        let device = match self.ioctl(file) {
            Ok(device) => device,
            Err(errno) => return Task::done(Err(errno)),
        };
        if !self.functions[device].reset_works && self.follows(Rule::ResetUnsupported) {
            return Task::done(Err(Errno::EINVAL));
        }
        let mut inside = vec![Section::Zap(device), Section::SetPowerState { device, state: 0 }];
        let fails = self.reset_will_fail(device);
        let spared = fails && !self.follows(Rule::FailedResetRevokes);
        if self.follows(Rule::DeviceReset) && !spared {
            inside.push(Section::Move { device, revoked: true, at: 0 });
        }
        inside.push(Section::TryReset { device, report: true });
        inside.push(Section::MoveBackIfEnabled(device));
        ioctl_task(device, &locked(device, &inside))
    }

    /// `vfio_pci_core_pm_entry`.
    pub(super) fn low_power_entry(&mut self, file: FileId, wakes: bool) -> Task {
        let device = match self.ioctl(file) {
            Ok(device) => device,
            Err(errno) => return Task::done(Err(errno)),
        };
        let mut inside = vec![Section::Zap(device)];
        if self.follows(Rule::LowPowerEntry) {
            inside.push(Section::Move { device, revoked: true, at: 0 });
        }
        inside.push(Section::EnterLowPower { device, wakes });
        ioctl_task(device, &locked(device, &inside))
    }

    /// `vfio_pci_runtime_pm_entry` after the revoke: a second entry has revoked too.
    pub(super) fn enter_low_power(&mut self, device: usize, wakes: bool) -> Result<(), Errno> {
        if self.functions[device].low_power && self.follows(Rule::LowPowerTwice) {
            return Err(Errno::EINVAL);
        }
        self.functions[device].low_power = true;
        self.functions[device].wakes = wakes;
        Ok(())
    }

    /// `vfio_pci_core_pm_exit`.
    pub(super) fn low_power_exit(&mut self, file: FileId) -> Task {
        let device = match self.ioctl(file) {
            Ok(device) => device,
            Err(errno) => return Task::done(Err(errno)),
        };
        let mut inside = vec![Section::LeaveLowPower(device)];
        if self.follows(Rule::LowPowerExit) {
            inside.push(Section::MoveBackIfEnabled(device));
        }
        ioctl_task(device, &locked(device, &inside))
    }

    /// `__vfio_pci_runtime_pm_exit`.
    pub(super) fn leave_low_power(&mut self, device: usize) {
        self.functions[device].low_power = false;
        self.functions[device].wakes = false;
    }

    /// `vfio_device_pm_runtime_get`, before every access through the file: a suspended device is
    /// resumed, and leaves low power for good if it was to be woken up
    /// (`vfio_pci_core_runtime_resume`). Nothing is un-revoked by that.
    pub(super) fn wake_up(&mut self, device: usize) {
        if self.suspends(device) && self.functions[device].wakes && self.follows(Rule::WakeUp) {
            self.leave_low_power(device);
        }
    }

    /// `vfio_device_pm_runtime_put`: a device in low power is suspended again, from D0
    /// (`vfio_pci_core_runtime_suspend`).
    pub(super) fn sleep_again(&mut self, device: usize) {
        if !self.suspends(device) {
            return;
        }
        if self.functions[device].power == D3HOT && !self.follows(Rule::SuspendLeavesD3hot) {
            return;
        }
        self.vfio_set_power_state(device, 0);
    }

    /// `vfio_pci_set_power_state`: where leaving D3hot loses the function's state, the config
    /// space is kept and given back.
    pub(super) fn vfio_set_power_state(&mut self, device: usize, state: u8) {
        let needs_restore = self.layout(device).pm.is_some_and(|pm| !pm.no_soft_reset);
        let before = self.functions[device].power;
        let command = self.functions[device].command;
        self.set_power_state(device, state);
        let function = &mut self.functions[device];
        if needs_restore && before < D3HOT && function.power == D3HOT {
            function.saved_command = Some(command);
        }
        if needs_restore && before == D3HOT && state == 0 {
            let saved = function.saved_command.take();
            if let Some(command) = saved
                && self.follows(Rule::SoftResetRestored)
            {
                self.functions[device].command = command;
            }
        }
    }

    /// The device of a file, at an ioctl.
    ///
    /// # Errors
    /// EBADF without such a file.
    fn ioctl(&mut self, file: FileId) -> Result<usize, Errno> {
        let device = self.device_of(file)?;
        self.wake_up(device);
        Ok(device)
    }

    /// `vfio_pci_core_mmap`; answers the mapping.
    ///
    /// # Errors
    /// EINVAL: no BAR, one that cannot be mapped, beyond its end, not from a page on; EBADF.
    pub(super) fn map_bar(&mut self, file: FileId, bar: u8, offset: u64, size: u64) -> Result<u64, Errno> {
        let device = self.device_of(file)?;
        let mappable = self.device(device).mappable.get(usize::from(bar)).copied().unwrap_or(false);
        if !mappable {
            let errno = self.errno(Rule::MmapUnmappable, Errno::EINVAL);
            return Err(errno);
        }
        let length = self.device(device).bar_sizes.get(usize::from(bar)).copied().unwrap_or(0);
        let length = length.next_multiple_of(PAGE);
        let end = offset.checked_add(size).filter(|end| *end <= length);
        let bad = size == 0 || end.is_none() || !offset.is_multiple_of(PAGE);
        if bad && self.follows(Rule::MmapBeyond) {
            return Err(Errno::EINVAL);
        }
        let vma = Vma { file, bar, offset, size, populated: false };
        Ok(self.new_vma(vma).0 as u64)
    }

    /// A CPU's access through a mapping. `vfio_pci_mmap_huge_fault` where no page is there.
    ///
    /// # Errors
    /// EFAULT: SIGBUS.
    pub fn cpu_access(&mut self, id: VmaId, offset: u64) -> Result<CpuTarget, Errno> {
        let (file, bar, start, populated) = match self.vma(id) {
            Some(vma) => (vma.file, vma.bar, vma.offset, vma.populated),
            None => return Err(Errno::EFAULT),
        };
        let device = self.device_of(file).map_err(|_| Errno::EFAULT)?;
        if !populated {
            self.may_populate(device)?;
            if !self.follows(Rule::FaultsInAfresh) {
                return Err(Errno::EFAULT);
            }
            if let Some(vma) = self.vma_mut(id) {
                vma.populated = true;
            }
        }
        if self.decodes(device) {
            return Ok(CpuTarget::Bar { device, bar, offset: start + offset });
        }
        Ok(CpuTarget::Nobody)
    }

    /// `vfio_pci_vmf_insert_pfn`.
    pub(super) fn may_populate(&mut self, device: usize) -> Result<(), Errno> {
        if self.functions[device].low_power && self.follows(Rule::CpuInLowPower) {
            return Err(Errno::EFAULT);
        }
        if !self.memory_enabled(device) && self.follows(Rule::CpuWhileDisabled) {
            return Err(Errno::EFAULT);
        }
        Ok(())
    }

    /// `vfio_pci_zap_bars`.
    pub(super) fn zap(&mut self, device: usize) {
        if self.follows(Rule::Zap) {
            self.zap_bars(device);
        }
    }

    /// `vfio_pci_bar_rw`: an access through the device file.
    ///
    /// # Errors
    /// EINVAL: no such BAR, or beyond its end; EIO while memory is disabled; EBADF.
    pub fn region_access(&mut self, file: FileId, bar: u8, offset: u64) -> Result<CpuTarget, Errno> {
        let device = self.device_of(file)?;
        self.wake_up(device);
        let found = self.layout(device).bars.get(usize::from(bar)).copied().flatten();
        let Some(found) = found.filter(|bar| offset < bar.size) else {
            return Err(self.errno(Rule::RegionBeyond, Errno::EINVAL));
        };
        if found.kind != BarKind::Io
            && !self.memory_enabled(device)
            && self.follows(Rule::RegionWhileDisabled)
        {
            self.sleep_again(device);
            return Err(Errno::EIO);
        }
        // Awake for the length of the access, also in low power.
        let on = self.device(device).virtual_function
            || self.functions[device].command & header::COMMAND_MEMORY != 0;
        let answers = on && self.functions[device].power == 0;
        self.sleep_again(device);
        Ok(if answers { CpuTarget::Bar { device, bar, offset } } else { CpuTarget::Nobody })
    }
}

fn ioctl_task(device: usize, sections: &[Section]) -> Task {
    let mut task = Task::of(&[Section::SleepAgain(device)]);
    task.next(sections);
    task
}

/// The hot reset.
impl Kernel {
    /// `vfio_pci_ioctl_pci_hot_reset` and `vfio_pci_dev_set_hot_reset`.
    pub(super) fn hot_reset(&mut self, file: FileId) -> Task {
        let device = match self.ioctl(file) {
            Ok(device) => device,
            Err(errno) => return Task::done(Err(errno)),
        };
        match self.device(device).bus_reset {
            BusReset::RootBus => {
                let errno = self.errno(Rule::HotResetRootBus, Errno::ENODEV);
                Task::done(Err(errno))
            }
            BusReset::NotAllOurs => {
                let errno = self.errno(Rule::HotResetNotAllOurs, Errno::EINVAL);
                Task::done(Err(errno))
            }
            BusReset::Works | BusReset::Fails => {
                let first = self.members(device)[0];
                let take = Section::TakeMember { caller: device, member: first, place: 0 };
                ioctl_task(device, &[take])
            }
        }
    }

    /// The devices of a device's set, in the order in which they were bound.
    fn members(&self, device: usize) -> Vec<usize> {
        self.group(device).collect()
    }

    /// Owned, not busy, and then revoked, one member after the other: a later one that refuses
    /// does not spare the earlier ones.
    pub(super) fn take_member(&mut self, caller: usize, member: usize, place: usize, task: &mut Task) {
        let context = self.functions[caller].context;
        let owned = match self.functions[member].context {
            Some(other) => Some(other) == context,
            None => self.group_is_claimed_by(member, context),
        };
        if !owned && self.follows(Rule::HotResetNotOwned) {
            task.answer = Err(Errno::EINVAL);
            task.next(&[Section::GiveBackMembers { caller, taken: place }]);
            return;
        }
        if self.functions[member].memory_lock && self.follows(Rule::HotResetBusy) {
            task.answer = Err(Errno::EBUSY);
            task.next(&[Section::GiveBackMembers { caller, taken: place }]);
            return;
        }
        let mut sections = vec![Section::DownWrite(member)];
        let at_once = self.profile().hot_reset_revokes_as_it_goes();
        if at_once && (self.follows(Rule::HotResetRevokesAll) || member == caller) {
            sections.push(Section::Move { device: member, revoked: true, at: 0 });
        }
        sections.push(Section::Zap(member));
        sections.push(match self.members(caller).get(place + 1) {
            Some(&next) => Section::TakeMember { caller, member: next, place: place + 1 },
            None => Section::ResetBus(caller),
        });
        task.next(&sections);
    }

    /// `pci_reset_bus`.
    pub(super) fn reset_bus(&mut self, caller: usize, task: &mut Task) {
        let members = self.members(caller);
        // By vfio, before anything else is asked of the bus.
        for &member in &members {
            self.vfio_set_power_state(member, 0);
        }
        let busy = members.iter().any(|member| self.device_locked(*member));
        if busy && self.follows(Rule::HotResetContended) {
            task.next(&[Section::BusResetDone { caller, result: Err(Errno::EAGAIN) }]);
            return;
        }
        if !self.profile().hot_reset_revokes_as_it_goes() {
            for &member in &members {
                task.next(&[Section::Move { device: member, revoked: true, at: 0 }]);
            }
        }
        for &member in &members {
            self.functions[member].device_lock = true;
        }
        let fails = self.device(caller).bus_reset == BusReset::Fails;
        let result = if fails && self.follows(Rule::HotResetFails) { Err(Errno::ENOTTY) } else { Ok(()) };
        task.next(&[Section::Sleep(self.bus_time(caller)), Section::BusResetDone { caller, result }]);
    }

    /// The result goes to the caller; the members are given back, whatever it is.
    pub(super) fn bus_reset_done(&mut self, caller: usize, result: Result<(), Errno>, task: &mut Task) {
        task.answer = result.map(|()| 0);
        let members = self.members(caller);
        if result != Err(Errno::EAGAIN) {
            for &member in &members {
                self.functions[member].device_lock = false;
            }
        }
        task.next(&[Section::GiveBackMembers { caller, taken: members.len() }]);
    }

    /// `err_undo`: the last one first; live again if it is open and decodes.
    pub(super) fn give_back_members(&mut self, caller: usize, taken: usize, task: &mut Task) {
        let mut sections = Vec::new();
        for &member in self.members(caller)[..taken].iter().rev() {
            if self.functions[member].file.is_some() {
                sections.push(Section::MoveBackIfEnabled(member));
            }
            sections.push(Section::UpWrite(member));
        }
        task.next(&sections);
    }
}
