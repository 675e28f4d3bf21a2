//! Whether importers are told: when access goes, and when it comes back.

use super::MIB;
use crate::row::{Row, Seen, StepExt, Trouble, answered};
use crate::stage::{Event, Stage};
use barkeep_model::Errno;
use barkeep_real::importer::{Attachment, EventKind, Form, Limits, Manner, WhenTold};

const ABOUT: &str = "moves";

pub(super) fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for event in Event::ALL {
        let expected = if event.ends_by_itself() {
            "told 2×, let go 1×; both tries to map from inside a notice ENODEV; map afterwards ok"
        } else {
            "told once, let go; map ENODEV; told again when access returns, a try from inside that notice ENODEV; map afterwards ok"
        };
        rows.push(Row::new(ABOUT, event.name(), expected, move |stage| around(stage, event)));
    }
    rows.push(Row::new(ABOUT, "close", "told once, let go; map ENODEV for good", closed));
    rows
}

/// Why an event cannot happen here.
pub(super) fn no_such(event: Event) -> String {
    match event {
        Event::AfFlr => {
            "no device of this machine has the Advanced Features capability, nor does any that QEMU emulates"
                .to_owned()
        }
        other => format!("the device has no {}", other.name()),
    }
}

fn around(stage: &Stage, event: Event) -> Result<Seen, Trouble> {
    let opened = event.device(stage).open()?;
    let buffer = opened.export(&[(0, MIB)])?;
    let session = stage.import(Limits::NONE)?;
    let obedient = session.attach(&buffer, Manner::PEER).step("attach")?;
    let eager = session.attach(&buffer, Manner::peer(WhenTold::MapAgain)).step("attach")?;
    for attachment in [&obedient, &eager] {
        attachment.map(Form::Table).step("map")?;
    }
    let Some(done) = opened.revoke(event) else { return Ok(Seen::Unable(no_such(event))) };
    done.step("have it happen")?;
    let mut answers = Vec::new();
    if !event.ends_by_itself() {
        answers.push(told(&obedient, (1, 1))?);
        answers.push(answered("map", &obedient.map(Form::Table), Err(Errno::ENODEV)));
        opened.restore(event).step("bring access back")?;
    }
    answers.push(told(&obedient, (2, 1))?);
    answers.push(tries(&eager, 2)?);
    answers.push(answered("map afterwards", &obedient.map(Form::Table), Ok(())));
    answers.push(answered("and the eager one's", &eager.map(Form::Table), Ok(())));
    Ok(Seen::all(answers))
}

fn closed(stage: &Stage) -> Result<Seen, Trouble> {
    let opened = stage.function.open()?;
    let buffer = opened.export(&[(0, MIB)])?;
    let attachment = stage.import(Limits::NONE)?.attach(&buffer, Manner::PEER).step("attach")?;
    attachment.map(Form::Table).step("map")?;
    drop(opened);
    let after = told(&attachment, (1, 1))?;
    let mapped = attachment.map(Form::Table);
    let _again = stage.function.open()?;
    Ok(Seen::all(vec![
        after,
        answered("map", &mapped, Err(Errno::ENODEV)),
        answered("and when it is opened again", &attachment.map(Form::Table), Err(Errno::ENODEV)),
    ]))
}

/// How often it was told, and let go.
fn told(attachment: &Attachment, wanted: (u64, u64)) -> Result<(String, bool), Trouble> {
    let state = attachment.state().step("ask for its state")?;
    let seen = (state.notices, state.released);
    Ok((format!("told {}×, let go {}×", seen.0, seen.1), seen == wanted && !state.mapped))
}

/// What became of its tries to map from inside of notices.
fn tries(attachment: &Attachment, wanted: usize) -> Result<(String, bool), Trouble> {
    let events = attachment.events(0).step("ask what happened")?;
    // The first one is the row's own, before anything happened.
    let tries = events.iter().filter_map(|event| match event.kind {
        EventKind::Mapped(result) => Some(result),
        EventKind::Notice | EventKind::Released | EventKind::Held | EventKind::Unmapped => None,
    });
    let tries: Vec<_> = tries.skip(1).collect();
    let refused = tries.iter().filter(|result| **result == Err(Errno::ENODEV)).count();
    let words = format!("{refused} of {} tries from inside a notice ENODEV", tries.len());
    Ok((words, tries.len() == wanted && refused == wanted))
}
