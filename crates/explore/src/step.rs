//! The transitions: what a thread does next, up to where another could come in between.

mod begin;
mod perform;

use crate::happened::{Happened, What};
use crate::pool::Pool;
use crate::scene::{Scene, registers};
use crate::state::{Draft, State};
use crate::station::Unseen;
use crate::thread::{Act, Thread, Work};
use barkeep_export::{Cause, Passage, Shadow, Step};
use barkeep_model::kernel::{Progress, Section, Task};
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
                Passage::ConfigWrite(_)
                | Passage::DeviceReset
                | Passage::HotReset
                | Passage::LowPower(_)
                | Passage::Close
                | Passage::Nothing => {
                    let resets = matches!(cause.passage, Passage::DeviceReset | Passage::HotReset);
                    if answer.is_ok() || resets {
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

    /// What was let through is remembered, as [`barkeep_export::Passthrough`] does.
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
            Passage::DeviceReset | Passage::HotReset => station.shadow.reset(),
            Passage::LowPower(which) => station.shadow.went(which, Ok(())),
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
