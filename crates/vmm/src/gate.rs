//! Where vCPUs stop, each on its own thread and outside of the guest: while the machine is paused, or is
//! reset.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How often somebody who waits for vCPUs has them come out of the guest.
const OFTEN: Duration = Duration::from_millis(1);

/// What a vCPU that comes to a closed gate has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// Go on: it is open again.
    Nothing,
    /// Wait, and go on from where it is.
    Wait,
    /// Begin again, by [`Gate::pass`].
    Reset,
}

/// Why the gate is closed, and who stands before it.
#[derive(Default)]
struct State {
    paused: bool,
    resetting: bool,
    /// vCPUs that have been reset and wait for the others.
    waiting: usize,
}

/// Whether a vCPU is in the guest; on a cache line of its own, for it is written at every entry.
#[derive(Default)]
#[repr(align(64))]
struct Inside(AtomicBool);

/// The gate of a machine's vCPUs.
pub(crate) struct Gate {
    /// Asked by every vCPU before it enters the guest, and without the lock.
    closed: AtomicBool,
    state: Mutex<State>,
    changed: Condvar,
    inside: Vec<Inside>,
}

impl Gate {
    /// That of so many vCPUs, paused: they are let in once everything around them is ready.
    pub fn new(vcpus: u16) -> Self {
        let state = State { paused: true, ..State::default() };
        let inside = (0..vcpus).map(|_| Inside::default()).collect();
        Self { closed: AtomicBool::new(true), state: Mutex::new(state), changed: Condvar::new(), inside }
    }

    /// A vCPU is about to enter the guest; false if it may not.
    pub fn enter(&self, vcpu: u16) -> bool {
        let inside = &self.inside[usize::from(vcpu)].0;
        // Said before it is asked, both in one order for all: whoever closes the gate and then sees nobody
        // inside has nobody enter after that.
        inside.store(true, Ordering::SeqCst);
        let open = !self.closed.load(Ordering::SeqCst);
        if !open {
            inside.store(false, Ordering::Release);
        }
        open
    }

    /// It has come out.
    pub fn leave(&self, vcpu: u16) {
        self.inside[usize::from(vcpu)].0.store(false, Ordering::Release);
    }

    /// What a vCPU that may not enter has to do.
    pub fn asks(&self) -> Asked {
        Self::asked(&self.state())
    }

    fn asked(state: &State) -> Asked {
        match *state {
            State { resetting: true, .. } => Asked::Reset,
            State { paused: true, .. } => Asked::Wait,
            State { .. } => Asked::Nothing,
        }
    }

    /// A vCPU waits until it may go on, or has to begin again.
    pub fn wait(&self) {
        let paused = |state: &mut State| Self::asked(state) == Asked::Wait;
        drop(self.changed.wait_while(self.state(), paused).unwrap_or_else(PoisonError::into_inner));
    }

    /// From now on no vCPU goes in; false if that was so for a pause already. Those that are in the guest have
    /// still to come out: [`Self::wait_for_all_outside`].
    pub fn pause(&self) -> bool {
        self.change(|state| !std::mem::replace(&mut state.paused, true))
    }

    /// Ends the pause; false if there was none.
    pub fn resume(&self) -> bool {
        self.change(|state| std::mem::replace(&mut state.paused, false))
    }

    /// Whether it is paused.
    pub fn is_paused(&self) -> bool {
        self.state().paused
    }

    /// Waits until no vCPU is in the guest; calls `again` every so often until then. One that carries out what
    /// the guest has asked for is not in it. False if one stays.
    pub fn wait_for_all_outside(&self, limit: Duration, mut again: impl FnMut()) -> bool {
        let since = Instant::now();
        while self.inside.iter().any(|inside| inside.0.load(Ordering::SeqCst)) {
            if since.elapsed() >= limit {
                return false;
            }
            again();
            std::thread::sleep(OFTEN);
        }
        true
    }

    /// From now on vCPUs stop here, to begin again.
    pub fn close(&self) {
        self.change(|state| state.resetting = true);
    }

    /// Lets those go on that were to begin again; a pause goes on, too.
    pub fn open(&self) {
        self.change(|state| state.resetting = false);
    }

    /// A vCPU that begins again waits until all may.
    pub fn pass(&self) {
        let mut state = self.state();
        state.waiting += 1;
        self.changed.notify_all();
        let resetting = |state: &mut State| state.resetting;
        let mut state = self.changed.wait_while(state, resetting).unwrap_or_else(PoisonError::into_inner);
        state.waiting -= 1;
    }

    /// Waits until so many vCPUs wait to begin again; calls `again` every so often until then. False if they
    /// never do.
    pub fn wait_for(&self, vcpus: usize, limit: Duration, mut again: impl FnMut()) -> bool {
        let since = Instant::now();
        loop {
            again();
            let fewer = |state: &mut State| state.waiting < vcpus;
            let waited = self.changed.wait_timeout_while(self.state(), OFTEN, fewer);
            if waited.unwrap_or_else(PoisonError::into_inner).0.waiting >= vcpus {
                return true;
            }
            if since.elapsed() >= limit {
                return false;
            }
        }
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        // Under the lock: a vCPU that has seen it closed is waiting by then.
        let mut state = self.state();
        let result = change(&mut state);
        self.closed.store(Self::asked(&state) != Asked::Nothing, Ordering::SeqCst);
        self.changed.notify_all();
        result
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn whoever_comes_while_it_is_closed_waits_until_it_is_opened() {
        let (gate, through) = (Gate::new(1), AtomicBool::new(false));
        gate.resume();
        gate.close();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                gate.pass();
                through.store(true, Ordering::Release);
            });
            assert!(gate.wait_for(1, LONG, || ()));
            assert!(!through.load(Ordering::Acquire));
            assert!(!gate.wait_for(2, Duration::ZERO, || ()), "there is one");
            gate.open();
        });
        assert!(through.load(Ordering::Acquire));
    }

    #[test]
    fn nobody_is_inside_once_it_is_paused_and_all_are_waited_for() {
        let gate = Gate::new(2);
        assert!(!gate.enter(0), "it begins closed");
        assert_eq!((gate.asks(), gate.resume(), gate.resume()), (Asked::Wait, true, false));
        assert!(gate.enter(0) && gate.enter(1));
        assert_eq!((gate.pause(), gate.pause(), gate.is_paused()), (true, false, true));
        gate.leave(1);
        assert!(!gate.wait_for_all_outside(Duration::ZERO, || ()), "one is inside");
        assert!(gate.wait_for_all_outside(LONG, || gate.leave(0)));
        assert!(!gate.enter(0) && !gate.enter(1));
    }

    #[test]
    fn a_reset_in_a_pause_is_gone_through_and_the_pause_goes_on() {
        let gate = Gate::new(1);
        std::thread::scope(|scope| {
            let vcpu = scope.spawn(|| {
                gate.wait();
                assert_eq!(gate.asks(), Asked::Reset);
                gate.pass();
                let asked = gate.asks();
                gate.wait();
                asked
            });
            gate.close();
            assert!(gate.wait_for(1, LONG, || ()));
            gate.open();
            assert!(gate.is_paused() && !gate.enter(0));
            while !vcpu.is_finished() {
                gate.resume();
            }
        });
        assert!(gate.enter(0));
    }
}
