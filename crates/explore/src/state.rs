//! A state of everything: the kernel, what the VMM has of each device, what each thread is at.

use crate::pool::{Pool, Shared};
use crate::print::{Node, Print, Printed, Printer, hash, join};
use crate::scene::Scene;
use crate::station::Station;
use crate::thread::Thread;
use barkeep_model::kernel::Exchange;
use barkeep_model::{Kernel, RuleSet};
use std::sync::Arc;

/// A state. Its parts are shared with the states it came from as far as they are the same.
#[derive(Clone, Debug)]
pub(crate) struct State {
    pub(crate) kernel: Arc<Node<Kernel>>,
    pub(crate) stations: [Arc<Node<Station>>; 2],
    pub(crate) threads: [Arc<Node<Thread>>; 3],
}

impl Printed for Kernel {
    fn print(&self, by: Option<&Exchange>, printer: &mut Printer) {
        let mut own = Printer::new(None);
        match by {
            Some(by) => hash(&self.exchanged(by), &mut own),
            None => hash(self, &mut own),
        }
        hash(&own.print(), printer);
    }
}

impl State {
    pub(crate) fn kernel(&self) -> &Kernel {
        &self.kernel.value
    }

    pub(crate) fn station(&self, device: usize) -> &Station {
        &self.stations[device].value
    }

    pub(crate) fn thread(&self, thread: usize) -> &Thread {
        &self.threads[thread].value
    }

    /// The fingerprint; of two states that differ only in which device is which, the same.
    pub(crate) fn print(&self, scene: &Scene) -> Print {
        let [a, b] = &self.stations;
        let [cpu0, cpu1, outsider] = &self.threads;
        let plain = [&self.kernel.prints, &a.prints, &b.prints, &cpu0.prints, &cpu1.prints, &outsider.prints];
        let plain = join(&plain.map(|prints| prints[0]));
        if scene.exchange.is_none() {
            return plain;
        }
        let other = [&self.kernel.prints, &b.prints, &a.prints, &cpu1.prints, &cpu0.prints, &outsider.prints];
        plain.min(join(&other.map(|prints| prints[1])))
    }
}

/// A state that is being made of another.
pub(crate) struct Draft<'a> {
    pub(crate) scene: &'a Scene,
    pool: &'a Pool,
    from: &'a State,
    kernel: Option<Kernel>,
    stations: [Option<Station>; 2],
    threads: [Option<Thread>; 3],
}

impl<'a> Draft<'a> {
    pub(crate) fn of(scene: &'a Scene, pool: &'a Pool, from: &'a State) -> Self {
        Self { scene, pool, from, kernel: None, stations: [None, None], threads: [None, None, None] }
    }

    pub(crate) fn kernel(&self) -> &Kernel {
        self.kernel.as_ref().unwrap_or_else(|| self.from.kernel())
    }

    pub(crate) fn kernel_mut(&mut self) -> &mut Kernel {
        self.kernel.get_or_insert_with(|| self.from.kernel().clone())
    }

    pub(crate) fn station(&self, device: usize) -> &Station {
        self.stations[device].as_ref().unwrap_or_else(|| self.from.station(device))
    }

    pub(crate) fn station_mut(&mut self, device: usize) -> &mut Station {
        self.stations[device].get_or_insert_with(|| self.from.station(device).clone())
    }

    pub(crate) fn thread(&self, thread: usize) -> &Thread {
        self.threads[thread].as_ref().unwrap_or_else(|| self.from.thread(thread))
    }

    pub(crate) fn set_thread(&mut self, thread: usize, value: Thread) {
        self.threads[thread] = Some(value);
    }

    /// The state as it is now, and the rules of the specification that decided something.
    pub(crate) fn finish(mut self) -> (State, RuleSet) {
        if self.kernel.is_some() || self.stations.iter().any(Option::is_some) {
            self.hammer();
        }
        let Self { scene, pool, from, kernel, stations, threads } = self;
        // Not part of a state: kernels that differ in it only are one.
        let reached = kernel.as_ref().map_or_else(RuleSet::default, Kernel::reached);
        let kernel = kernel.map(|mut kernel| {
            kernel.renumber_pages();
            kernel
        });
        let mut state = from.clone();
        replace(&mut state.kernel, kernel, scene, &pool.kernels);
        for (node, station) in state.stations.iter_mut().zip(stations) {
            replace(node, station, scene, &pool.stations);
        }
        for (node, thread) in state.threads.iter_mut().zip(threads) {
            replace(node, thread, scene, &pool.threads);
        }
        (state, reached)
    }

    /// A guest's CPU touches every window it can, all the time: page table entries are there
    /// whenever they could be. A fault waits for the memory lock.
    fn hammer(&mut self) {
        for device in 0..2 {
            for window in 0..2 {
                let vma = self.scene.vmas[device][window];
                let set = self.station(device).slots[window].is_some();
                let kernel = self.kernel();
                let fresh = kernel.vma(vma).is_some_and(|vma| !vma.populated);
                if set && fresh && kernel.memory_enabled(device) && !kernel.functions()[device].memory_lock {
                    // A SIGBUS leaves no entry, and the VMM suspects sooner or later.
                    let _ = self.kernel_mut().cpu_access(vma, 0);
                }
            }
        }
    }
}

/// A part that was changed, unless it came out as it was. Most parts are known already.
fn replace<T: Printed>(node: &mut Arc<Node<T>>, value: Option<T>, scene: &Scene, known: &Shared<T>) {
    let Some(value) = value else { return };
    let plain = Node::plain(&value);
    if plain != node.prints[0] {
        let new = || Arc::new(Node::printed(value, plain, scene.exchange.as_ref()));
        *node = known.find(plain).unwrap_or_else(new);
    }
}

#[cfg(test)]
#[path = "state_test.rs"]
mod tests;
