//! Virtual time: it goes on only with what is done, and whoever waits lets others go on.

use crate::clock::{Act, Clock};
use crate::host::SimHost;
use crate::parts;
use barkeep_journal::{DeviceAddress, VirtualClock};
use chacha20::ChaCha8Rng;
use chacha20::rand_core::{Rng, SeedableRng};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

/// Those who can go on while somebody waits: the guest's CPUs.
pub trait Others: Send + Sync {
    /// Takes one of those who can on by one step and gives the nanoseconds it took, 1 at the
    /// least; `None` if none can at this moment. Whoever is waiting already is not one of them.
    fn turn(&self, timeline: &Timeline) -> Option<u64>;

    /// When the next of them will be able to, if that is only a matter of time.
    fn wakes(&self) -> Option<u64>;
}

/// The clock of a run and what is due on it. Everybody who waits in this run, the simulated
/// kernel above all, waits here; nobody may hold a lock meanwhile that another needs to go on.
pub struct Timeline {
    clock: VirtualClock,
    /// By time, and among those of the same time by the order they were planned in.
    due: Mutex<BTreeMap<(u64, u64), Act>>,
    /// The time of the first of them, [`NEVER`] without one: asked at every step, and without the lock.
    first_due: AtomicU64,
    planned: AtomicU64,
    /// What waits for something to be so, in the order it was put off in.
    put_off: Mutex<Vec<(Ready, Act)>>,
    /// Whether there is any: asked at every step, and without the lock.
    waits: AtomicBool,
    others: OnceLock<Weak<dyn Others>>,
    host: OnceLock<Weak<SimHost>>,
    busy: AtomicU64,
    draw: Mutex<ChaCha8Rng>,
}

/// Whether something can be done now.
pub type Ready = Box<dyn Fn() -> bool + Send>;

/// No time.
const NEVER: u64 = u64::MAX;

/// Who is asked at every step: found once for as long as somebody waits.
struct Party {
    host: Option<Arc<SimHost>>,
    others: Option<Arc<dyn Others>>,
}

impl Timeline {
    /// Time goes on from where `clock` is; the same `seed` draws the same.
    pub fn new(clock: VirtualClock, seed: u64) -> Self {
        let draw = Mutex::new(ChaCha8Rng::seed_from_u64(seed));
        let (due, first_due) = (Mutex::default(), AtomicU64::new(NEVER));
        let (planned, busy) = (AtomicU64::new(0), AtomicU64::new(0));
        let (put_off, waits) = (Mutex::default(), AtomicBool::new(false));
        let (others, host) = (OnceLock::new(), OnceLock::new());
        Self { clock, due, first_due, planned, put_off, waits, others, host, busy, draw }
    }

    /// Names those who go on while somebody waits; once.
    pub fn set_others(&self, others: Weak<dyn Others>) {
        let first = self.others.set(others);
        debug_assert!(first.is_ok(), "a run has one guest");
    }

    /// Names the simulated host, whose devices act by themselves when their time has come; once.
    pub fn set_host(&self, host: &Arc<SimHost>) {
        let first = self.host.set(Arc::downgrade(host));
        debug_assert!(first.is_ok(), "a run has one host");
    }

    /// Whether a call under way holds a lock of a device: in Linux another one would wait for it.
    /// Where there is one thread, it would wait for itself.
    pub fn locked(&self, device: DeviceAddress) -> bool {
        let Some(host) = self.host.get().and_then(Weak::upgrade) else {
            return false;
        };
        let state = host.lock_state();
        let mut functions = state.kernel.functions().iter().enumerate();
        functions.any(|(number, function)| {
            (function.memory_lock || function.device_lock) && parts::address(number) == device
        })
    }

    /// Nanoseconds in which something was done, rather than waited for.
    pub fn busy(&self) -> u64 {
        self.busy.load(Ordering::Relaxed)
    }

    /// One of `0..choices`, by the seed; `choices` is not 0.
    pub fn draw(&self, choices: usize) -> usize {
        // The bias of a remainder is of no interest with this few choices.
        (lock(&self.draw).next_u32() as usize) % choices
    }

    /// Has `act` done `ns` from now, or as soon after that as somebody waits.
    pub fn after(&self, ns: u64, act: Act) {
        let at = (self.now().saturating_add(ns), self.planned.fetch_add(1, Ordering::Relaxed));
        let mut due = lock(&self.due);
        due.insert(at, act);
        self.note_first(&due);
    }

    /// Has `act` done as soon as `ready` is so while somebody waits.
    pub fn once(&self, ready: Ready, act: Act) {
        lock(&self.put_off).push((ready, act));
        self.waits.store(true, Ordering::Relaxed);
    }

    /// Lets others go on until something is so; gives up, and gives false, after so many
    /// nanoseconds or once nothing can happen any more.
    pub fn wait(&self, at_most_ns: u64, mut until: impl FnMut() -> bool) -> bool {
        let limit = self.now().saturating_add(at_most_ns);
        let party = self.party();
        loop {
            if until() {
                return true;
            }
            if self.now() >= limit || !self.go_on(&party, None) {
                return false;
            }
        }
    }

    /// One thing: what is due, else a step of somebody who can, else time goes on to where
    /// there is something (or to `limit`). False if there is nothing, ever.
    fn go_on(&self, Party { host, others }: &Party, limit: Option<u64>) -> bool {
        let dma = host.as_ref().and_then(|host| host.next_due());
        if let Some(host) = host
            && dma.is_some_and(|due| due <= self.now())
        {
            host.catch_up();
            return true;
        }
        if let Some(act) = self.take_ready().or_else(|| self.take_due()) {
            act();
            return true;
        }
        if let Some(ns) = others.as_ref().and_then(|others| others.turn(self)) {
            self.spend(ns);
            return true;
        }
        let planned = Some(self.first_due.load(Ordering::Relaxed)).filter(|due| *due != NEVER);
        let wakes = others.as_ref().and_then(|others| others.wakes());
        let next = [planned, wakes, dma, limit].into_iter().flatten().min();
        let Some(next) = next else {
            return false;
        };
        self.clock.advance(next.saturating_sub(self.now()));
        true
    }

    fn take_ready(&self) -> Option<Act> {
        if !self.waits.load(Ordering::Relaxed) {
            return None;
        }
        let mut put_off = lock(&self.put_off);
        let place = put_off.iter().position(|(ready, _)| ready())?;
        let (_, act) = put_off.remove(place);
        self.waits.store(!put_off.is_empty(), Ordering::Relaxed);
        Some(act)
    }

    fn take_due(&self) -> Option<Act> {
        if self.first_due.load(Ordering::Relaxed) > self.now() {
            return None;
        }
        let mut due = lock(&self.due);
        let (_, act) = due.pop_first()?;
        self.note_first(&due);
        Some(act)
    }

    fn note_first(&self, due: &BTreeMap<(u64, u64), Act>) {
        let first = due.keys().next().map_or(NEVER, |&(at, _)| at);
        self.first_due.store(first, Ordering::Relaxed);
    }

    fn party(&self) -> Party {
        let host = self.host.get().and_then(Weak::upgrade);
        Party { host, others: self.others.get().and_then(Weak::upgrade) }
    }

    fn spend(&self, ns: u64) {
        self.busy.fetch_add(ns, Ordering::Relaxed);
        self.clock.advance(ns);
    }
}

impl Clock for Timeline {
    fn now(&self) -> u64 {
        self.clock.now()
    }

    /// Others go on meanwhile.
    fn sleep(&self, ns: u64) {
        let until = self.now().saturating_add(ns);
        let party = self.party();
        while self.now() < until {
            self.go_on(&party, Some(until));
        }
    }

    fn flows(&self) -> bool {
        false
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_planned_is_done_on_the_way_of_whoever_waits_in_the_order_of_its_time() {
        let timeline = Arc::new(Timeline::new(VirtualClock::new(), 1));
        let told: Arc<Mutex<Vec<(u64, &str)>>> = Arc::default();
        let plan = |ns, what| {
            let (told, own) = (Arc::clone(&told), Arc::clone(&timeline));
            timeline.after(ns, Box::new(move || lock(&told).push((own.now(), what))));
        };
        plan(30, "late");
        plan(10, "first");
        plan(10, "second");
        let (told_later, own) = (Arc::clone(&told), Arc::clone(&timeline));
        timeline.after(
            20,
            Box::new(move || {
                own.sleep(15);
                lock(&told_later).push((own.now(), "waited"));
            }),
        );
        timeline.sleep(25);
        // What waits in the middle holds up who let it go on.
        assert_eq!(timeline.now(), 35);
        let expected = [(10, "first"), (10, "second"), (30, "late"), (35, "waited")];
        assert_eq!(*lock(&told), expected);
        assert_eq!(timeline.busy(), 0);
    }

    #[test]
    fn what_was_put_off_is_done_as_soon_as_it_can_be() {
        let timeline = Arc::new(Timeline::new(VirtualClock::new(), 1));
        let told: Arc<Mutex<Vec<u64>>> = Arc::default();
        let (own, told_later) = (Arc::clone(&timeline), Arc::clone(&told));
        let (clock, free) = (Arc::clone(&timeline), Arc::new(AtomicBool::new(false)));
        let ready = Arc::clone(&free);
        timeline.once(
            Box::new(move || ready.load(Ordering::Relaxed)),
            Box::new(move || lock(&told_later).push(clock.now())),
        );
        timeline.after(20, Box::new(move || free.store(true, Ordering::Relaxed)));
        own.sleep(50);
        assert_eq!(*lock(&told), [20]);
        assert!(!own.waits.load(Ordering::Relaxed));
    }

    #[test]
    fn waiting_for_what_never_comes_ends() {
        let timeline = Timeline::new(VirtualClock::new(), 1);
        assert!(!timeline.wait(1_000, || false));
        timeline.after(10, Box::new(|| ()));
        assert!(timeline.wait(1_000, || timeline.now() == 10));
    }
}
