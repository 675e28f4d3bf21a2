//! Asks somebody, and writes down what is answered.

use crate::recording::{Recorded, Writer};
use barkeep_model::{Op, Subject};
use std::io::{self, Write};

/// Carries a sequence out, from the start of an episode.
pub fn carry_out<'a, S: Subject + ?Sized>(
    subject: &'a mut S,
    ops: &'a [Op],
) -> impl Iterator<Item = Recorded> + use<'a, S> {
    subject.begin();
    ops.iter().map(|op| {
        let answer = subject.apply(op);
        Recorded { op: op.clone(), answer, seen: subject.seen() }
    })
}

/// Carries episodes out and writes each operation down as soon as it is over.
///
/// # Errors
/// The recording cannot be written.
pub fn record<S: Subject + ?Sized, W: Write>(
    subject: &mut S,
    episodes: impl IntoIterator<Item = (u64, Vec<Op>)>,
    writer: &mut Writer<W>,
) -> io::Result<()> {
    for (number, ops) in episodes {
        writer.episode(number, ops.len() as u64)?;
        for step in carry_out(subject, &ops) {
            writer.step(&step)?;
        }
    }
    Ok(())
}
