//! The parts of states, each kept once.

use crate::print::{AsIs, Node, Print};
use crate::station::Station;
use crate::thread::Thread;
use barkeep_model::Kernel;
use std::collections::HashMap;
use std::sync::{Arc, Weak};

/// All parts of all states whose successors are not known yet.
#[derive(Default)]
pub(crate) struct Pool {
    pub(crate) kernels: Shared<Kernel>,
    pub(crate) stations: Shared<Station>,
    pub(crate) threads: Shared<Thread>,
}

/// Parts that are alike are kept once, for as long as any state needs them.
pub(crate) struct Shared<T> {
    known: HashMap<Print, Weak<Node<T>>, AsIs>,
    /// How many there may be before those nobody needs are looked for.
    limit: usize,
}

impl<T> Default for Shared<T> {
    fn default() -> Self {
        Self { known: HashMap::default(), limit: 1 << 12 }
    }
}

impl<T> Shared<T> {
    /// The one node of all that are alike.
    pub(crate) fn share(&mut self, node: Arc<Node<T>>) -> Arc<Node<T>> {
        if self.known.len() >= self.limit {
            self.known.retain(|_, node| node.strong_count() > 0);
            self.limit = 2 * self.known.len().max(1 << 11);
        }
        let known = self.known.entry(node.prints[0]).or_insert_with(|| Arc::downgrade(&node));
        match known.upgrade() {
            Some(known) => known,
            None => {
                *known = Arc::downgrade(&node);
                node
            }
        }
    }

    /// The node of this fingerprint, if any state has it.
    pub(crate) fn find(&self, plain: Print) -> Option<Arc<Node<T>>> {
        self.known.get(&plain)?.upgrade()
    }
}
