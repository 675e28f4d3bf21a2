//! Simpler arguments. Each step takes an argument nearer to the front of a short list, so it ends.

use super::arguments::{Argument, Sort, arguments};
use super::names::renamed;
use super::{Batch, Search};
use crate::generate::IOVAS;
use barkeep_model::op::PAGE;
use barkeep_model::{Op, Subject};

impl<B: Batch, S: Subject + ?Sized> Search<'_, B, S> {
    /// Simplifies arguments until none can be simpler; says whether any is.
    pub(super) fn simplify(&mut self) -> Result<bool, B::Error> {
        let mut simpler = false;
        while self.simplify_some()? {
            simpler = true;
        }
        Ok(simpler)
    }

    /// Tries to simplify each argument alone, then those that could be together.
    fn simplify_some(&mut self) -> Result<bool, B::Error> {
        let ops = self.ops();
        let single: Vec<(usize, Op)> = ops
            .iter()
            .enumerate()
            .flat_map(|(at, op)| simpler(op).into_iter().map(move |op| (at, op)))
            .collect();
        let mut candidates: Vec<Vec<Op>> = single.iter().map(|(at, op)| replaced(&ops, *at, op)).collect();
        candidates.push(in_pages(&ops));
        candidates.extend(moved(&ops));
        candidates.extend(renamed(&ops));
        let alone = self.that_do(candidates)?;
        let mut all = ops.clone();
        let mut together = Vec::new();
        let mut done = None;
        for (at, op) in alone.iter().filter_map(|(place, _)| single.get(*place)) {
            // The first of an operation's is the simplest.
            if done != Some(at) {
                all = replaced(&all, *at, op);
                together.push(all.clone());
                done = Some(at);
            }
        }
        together.reverse();
        // The first of those together has the most in it.
        let best = self.that_do(together)?.into_iter().chain(alone).next();
        Ok(best.is_some_and(|(_, parted)| self.take(parted)))
    }
}

fn replaced(ops: &[Op], at: usize, with: &Op) -> Vec<Op> {
    let mut ops = ops.to_vec();
    ops[at] = with.clone();
    ops
}

/// The same operation with one argument simpler, the simplest of each first.
fn simpler(op: &Op) -> Vec<Op> {
    let mut all = Vec::new();
    if let Op::Export { file, region, ranges, flags, buffer } = op {
        let (file, region, flags, buffer) = (*file, *region, *flags, *buffer);
        let one = ranges.iter().filter(|_| ranges.len() > 1).map(|range| vec![*range]);
        all.extend(one.map(|ranges| Op::Export { file, region, ranges, flags, buffer }));
    }
    for at in 0..arguments(&mut op.clone()).len() {
        let mut changed = op.clone();
        let value = arguments(&mut changed)[at].get();
        let simplest = arguments(&mut changed)[at].sort.simplest();
        for simpler in simplest.iter().take_while(|simpler| **simpler != value) {
            arguments(&mut changed)[at].set(*simpler);
            all.push(changed.clone());
        }
    }
    all
}

/// One page wherever there are more: an export and its maps only get smaller together.
fn in_pages(ops: &[Op]) -> Vec<Op> {
    let mut ops = ops.to_vec();
    for mut length in ops.iter_mut().flat_map(arguments).filter(|argument| argument.sort == Sort::Length) {
        length.set(length.get().min(PAGE));
    }
    ops
}

/// What is mapped at one IOVA and all that aims at it, at a simpler one.
fn moved(ops: &[Op]) -> Vec<Vec<Op>> {
    let areas = ops.iter().filter_map(|op| match *op {
        Op::Map { iova, length, .. } | Op::Copy { to_iova: iova, length, .. } => Some((iova, length)),
        _ => None,
    });
    let places =
        areas.flat_map(|area| IOVAS.iter().take_while(move |to| **to != area.0).map(move |to| (area, *to)));
    places.map(|((from, length), to)| shifted(ops, from, length, to)).collect()
}

fn shifted(ops: &[Op], from: u64, length: u64, to: u64) -> Vec<Op> {
    let mut ops = ops.to_vec();
    let inside = |argument: &Argument<'_>| {
        matches!(argument.sort, Sort::Iova | Sort::Aim)
            && (from..from.saturating_add(length)).contains(&argument.get())
    };
    for mut iova in ops.iter_mut().flat_map(arguments).filter(inside) {
        iova.set(iova.get() - from + to);
    }
    ops
}
