//! The transitions: what a thread does next, up to where another could come in between.

use crate::action::{Action, Import, Outside};
use crate::happened::{Happened, What};
use crate::machine::{BAR, ELSEWHERE, HOLE, PMCSR};
use crate::pool::Pool;
use crate::scene::{OTHER_SPACE, SPACE, Scene, registers};
use crate::state::{Draft, State};
use crate::station::Unseen;
use crate::thread::{Act, Thread, Turn, Work};
use barkeep_export::{self as export, Cause, Found, Passage, Shadow, Step, StepResult};
use barkeep_model::kernel::{Call, ExportId, Progress, Section, Task};
use barkeep_model::{Errno, Kernel, RuleSet};
use barkeep_pci::header;
use barkeep_pci::write::ConfigWrite;

/// The thread's next section; `None` if it has nothing to do or has to wait.
pub(crate) fn step(scene: &Scene, pool: &Pool, state: &State, thread: usize) -> Option<(State, Happened)> {
    let mut run = Run::new(scene, pool, state, thread);
    run.go_on()?;
    Some(run.finish())
}

/// The action of this number; `None` if it cannot be now.
pub(crate) fn act(scene: &Scene, pool: &Pool, state: &State, number: usize) -> Option<(State, Happened)> {
    let (thread, device, action) = scene.actions[number];
    if !state.thread(thread).idle() {
        return None;
    }
    let mut run = Run::new(scene, pool, state, thread);
    run.happened.device = device;
    run.happened.action = Some(action);
    run.begin(action)?;
    Some(run.finish())
}

/// One transition being made.
struct Run<'a> {
    draft: Draft<'a>,
    thread: usize,
    device: usize,
    happened: Happened,
}

impl<'a> Run<'a> {
    fn new(scene: &'a Scene, pool: &'a Pool, state: &'a State, thread: usize) -> Self {
        let device = state.thread(thread).device;
        let happened = Happened {
            thread,
            device,
            action: None,
            cause: None,
            what: What::Waits,
            answer: None,
            reached: RuleSet::default(),
        };
        Self { draft: Draft::of(scene, pool, state), thread, device, happened }
    }

    fn finish(self) -> (State, Happened) {
        let (state, reached) = self.draft.finish();
        (state, Happened { reached, ..self.happened })
    }

    fn kernel(&mut self) -> &mut Kernel {
        self.draft.kernel_mut()
    }

    fn set(&mut self, work: Work) {
        let device = self.device;
        self.draft.set_thread(self.thread, Thread { device, work });
    }
}

/// Beginnings.
impl Run<'_> {
    fn begin(&mut self, action: Action) -> Option<()> {
        self.device = self.happened.device;
        match action {
            Action::Guest(write) => self.take_turn(Turn::Write(write.bytes(self.device))),
            Action::Reset => self.take_turn(Turn::Event(Cause::DEVICE_RESET)),
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

    fn turn_comes(&mut self, turn: Turn) {
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

    fn take_on(&mut self, cause: Cause) {
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

/// Whose call it is that has just been started or has gone on.
enum Doing {
    Step(Cause, Step),
    Plain(ConfigWrite),
    Call(bool),
}

/// Going on.
impl Run<'_> {
    fn go_on(&mut self) -> Option<()> {
        let thread = self.draft.thread(self.thread).clone();
        match thread.work {
            Work::Idle => None,
            Work::Waiting(_) if self.draft.station(self.device).busy => None,
            Work::Waiting(turn) => {
                self.turn_comes(turn);
                Some(())
            }
            Work::Event(cause, Act::Next) => self.perform(cause),
            Work::Event(cause, Act::Call { step, task }) => self.section(Doing::Step(cause, step), task),
            Work::Event(cause, Act::Remember) => {
                self.remember(cause.passage)?;
                self.answer(cause, Step::LetThrough, Ok(0));
                Some(())
            }
            Work::Event(cause, Act::HalfRead(command)) => self.read_rest(cause, command),
            Work::Plain(write, Act::Call { task, .. }) => self.section(Doing::Plain(write), task),
            Work::Plain(write, Act::Remember) => {
                self.remember(Passage::ConfigWrite(write))?;
                self.plain_is_over();
                Some(())
            }
            Work::Plain(_, Act::Next | Act::HalfRead(_)) => None,
            Work::Call(task, unseen) => self.section(Doing::Call(unseen), task),
        }
    }

    /// The next section of a call.
    fn section(&mut self, doing: Doing, mut task: Task) -> Option<()> {
        if self.draft.kernel().waits(&task) {
            return None;
        }
        let doing = self.wakes_unseen(doing, &task);
        self.happened.what = match task.upcoming() {
            Some(section) => What::Section(section.clone()),
            None => What::Entered(None),
        };
        match advance(self.kernel(), &mut task) {
            Some(answer) => self.came_back(doing, answer),
            None => self.keep(doing, task),
        }
        Some(())
    }

    /// A reset from outside revokes nothing, but wakes up a function that sleeps: that is seen by
    /// nobody.
    fn wakes_unseen(&mut self, doing: Doing, task: &Task) -> Doing {
        match (&doing, task.upcoming()) {
            (Doing::Call(_), Some(&Section::TryReset { device, .. }))
                if self.draft.kernel().functions()[device].power != 0 =>
            {
                self.draft.station_mut(device).unseen = Unseen::Yes;
                Doing::Call(true)
            }
            _ => doing,
        }
    }

    /// A call has entered the kernel: it may be over at once.
    fn called(&mut self, doing: Doing, mut task: Task) {
        if task.upcoming().is_some() {
            self.keep(doing, task);
            return;
        }
        if let Progress::Done(answer) = self.kernel().step(&mut task) {
            self.came_back(doing, answer);
        }
    }

    fn keep(&mut self, doing: Doing, task: Task) {
        self.set(match doing {
            Doing::Step(cause, step) => Work::Event(cause, Act::Call { step, task }),
            Doing::Plain(write) => Work::Plain(write, Act::Call { step: Step::LetThrough, task }),
            Doing::Call(unseen) => Work::Call(task, unseen),
        });
    }

    fn came_back(&mut self, doing: Doing, answer: Result<u64, Errno>) {
        let apart = self.draft.scene.scenario.shares_registers();
        match doing {
            Doing::Call(_) => self.set(Work::Idle),
            Doing::Plain(write) if answer.is_ok() && apart => self.set(Work::Plain(write, Act::Remember)),
            Doing::Plain(write) => {
                if answer.is_ok() {
                    let _ = self.remember(Passage::ConfigWrite(write));
                }
                self.plain_is_over();
            }
            Doing::Step(cause, Step::LetThrough) => match cause.passage {
                Passage::ConfigWrite(_) if answer.is_ok() && apart => {
                    self.set(Work::Event(cause, Act::Remember));
                }
                Passage::ConfigWrite(_) | Passage::DeviceReset | Passage::Close | Passage::Nothing => {
                    if answer.is_ok() || cause.passage == Passage::DeviceReset {
                        let _ = self.remember(cause.passage);
                    }
                    self.answer(cause, Step::LetThrough, answer);
                }
            },
            Doing::Step(cause, step) => self.answer(cause, step, answer),
        }
    }

    fn plain_is_over(&mut self) {
        self.draft.station_mut(self.device).busy = false;
        self.set(Work::Idle);
    }

    /// What was let through is remembered, as [`export::Passthrough`] does.
    fn remember(&mut self, passage: Passage) -> Option<()> {
        let device = self.device;
        let mut bars = None;
        if let Passage::ConfigWrite(write) = passage
            && Shadow::touches_bars(&write)
        {
            let mut bytes = [0; 24];
            if self.read(header::BAR0, &mut bytes)? {
                bars = Some(registers(&bytes));
            }
        }
        if !matches!(self.happened.what, What::Section(_) | What::Entered(_)) {
            self.happened.what = What::Remembered;
        }
        let layout = self.draft.kernel().layout(device).clone();
        let station = self.draft.station_mut(device);
        match passage {
            Passage::ConfigWrite(write) => station.shadow.wrote(&layout, &write, bars),
            Passage::DeviceReset => station.shadow.reset(),
            Passage::Close | Passage::Nothing => {}
        }
        Some(())
    }

    /// Reads config space, if nobody resets the function: `pci_user_read_config` waits. False if
    /// the device is closed.
    fn read(&mut self, offset: u16, bytes: &mut [u8]) -> Option<bool> {
        if !self.draft.station(self.device).open {
            return Some(false);
        }
        if self.draft.kernel().functions()[self.device].device_lock {
            return None;
        }
        let file = self.draft.scene.files[self.device];
        Some(self.kernel().config_read(file, offset, bytes).is_ok())
    }
}

/// The keeper's steps, performed as the driver does.
impl Run<'_> {
    fn perform(&mut self, cause: Cause) -> Option<()> {
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

    fn read_rest(&mut self, cause: Cause, command: u16) -> Option<()> {
        let device = self.device;
        let mut pmcsr = [0; 2];
        if !self.read(PMCSR, &mut pmcsr)? {
            self.found(cause, None);
            return Some(());
        }
        let layout = self.draft.kernel().layout(device).clone();
        let windows = &self.draft.scene.windows[device];
        let shadow = &mut self.draft.station_mut(device).shadow;
        let (decode, power) = shadow.found(&layout, command, Some(u16::from_le_bytes(pmcsr)));
        let place = shadow.placed(&layout, BAR, &[HOLE]);
        let addresses = windows.iter().map(|window| Some(place? + window.offset)).collect();
        self.found(cause, Some(Found { decode, power, addresses }));
        Some(())
    }

    fn found(&mut self, cause: Cause, found: Option<Found>) {
        self.happened.what = What::Found(found.clone());
        let result = StepResult::Found(found.ok_or(export::Errno::NODEV));
        self.told(cause, result);
    }

    fn answer(&mut self, cause: Cause, step: Step, result: Result<u64, Errno>) {
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

/// Does a section, and whatever sleeping follows: nothing happens in a sleep, and what others may
/// do meanwhile they may as well do before or after it.
fn advance(kernel: &mut Kernel, task: &mut Task) -> Option<Result<u64, Errno>> {
    if let Progress::Done(answer) = kernel.step(task) {
        return Some(answer);
    }
    while let Some(Section::Sleep(_)) = task.upcoming() {
        kernel.step(task);
    }
    match task.upcoming() {
        Some(_) => None,
        None => match kernel.step(task) {
            Progress::Done(answer) => Some(answer),
            Progress::More | Progress::Blocked | Progress::Sleep(_) => None,
        },
    }
}

/// Whether a function is enabled for the kernel and its dma-bufs are revoked, with nobody at it: a
/// reset through sysfs wakes a function up that vfio had put into D3hot, and vfio is not asked.
pub(crate) fn left_revoked(kernel: &Kernel, device: usize) -> bool {
    let function = &kernel.functions()[device];
    let revoked = |id: &ExportId| kernel.export(*id).is_some_and(|export| export.revoked);
    !function.memory_lock && kernel.memory_enabled(device) && function.exports.iter().any(revoked)
}
