//! The importer itself: what it refuses, and how it ends.

use super::MIB;
use crate::row::{Row, Seen, StepExt, Trouble, answered};
use crate::stage::Stage;
use barkeep_model::Errno;
use barkeep_real::importer::{Form, Limits, Manner, Session};

const ABOUT: &str = "the importer itself";

pub(super) fn rows() -> Vec<Row> {
    vec![
        Row::new(ABOUT, "what is nonsense", "refused, each with an errno of its own", nonsense),
        Row::new(
            ABOUT,
            "two sessions of one device; a device of another driver; limits that are none",
            "EBUSY, ENODEV, EINVAL",
            sessions,
        ),
        Row::new(ABOUT, "what is mapped already, or not", "EEXIST, ENOLINK", twice),
        Row::new(
            ABOUT,
            "closed with 16 attachments mapped, then decode off",
            "decode off returns: nothing is held",
            closed,
        ),
    ]
}

fn nonsense(stage: &Stage) -> Result<Seen, Trouble> {
    let opened = stage.function.open()?;
    let buffer = opened.export(&[(0, MIB)])?;
    let session = stage.import(Limits::NONE)?;
    let answers = session.nonsense(&buffer).into_iter();
    Ok(Seen::all(answers.map(|(what, answer, errno)| answered(what, &answer, Err(errno))).collect()))
}

fn sessions(stage: &Stage) -> Result<Seen, Trouble> {
    let _first = stage.import(Limits::NONE)?;
    let others = stage.function.address();
    let half = Limits { dma_bits: 64, max_segment: 2048 };
    Ok(Seen::all(vec![
        answered("a second one", &Session::open(stage.importer, Limits::NONE), Err(Errno::EBUSY)),
        answered("vfio-pci's", &Session::open(others, Limits::NONE), Err(Errno::ENODEV)),
        answered("half a page", &Session::open(stage.importer, half), Err(Errno::EINVAL)),
    ]))
}

fn twice(stage: &Stage) -> Result<Seen, Trouble> {
    let opened = stage.function.open()?;
    let buffer = opened.export(&[(0, MIB)])?;
    let attachment = stage.import(Limits::NONE)?.attach(&buffer, Manner::PEER).step("attach")?;
    let unmapped = (attachment.unmap(), attachment.segments(false));
    attachment.map(Form::Table).step("map")?;
    Ok(Seen::all(vec![
        answered("unmap", &unmapped.0, Err(Errno::ENOLINK)),
        answered("segments", &unmapped.1, Err(Errno::ENOLINK)),
        answered("map again", &attachment.map(Form::Table), Err(Errno::EEXIST)),
        answered("pin", &attachment.pin(), Ok(())),
        answered("pin again", &attachment.pin(), Err(Errno::EALREADY)),
    ]))
}

fn closed(stage: &Stage) -> Result<Seen, Trouble> {
    let opened = stage.function.open()?;
    let buffer = opened.export(&[(0, MIB)])?;
    let session = stage.import(Limits::NONE)?;
    for _ in 0..16 {
        let attachment = session.attach(&buffer, Manner::PEER).step("attach")?;
        attachment.map(Form::Table).step("map")?;
        // It is the session's end that has to give it up.
        attachment.leave();
    }
    drop(session);
    let off = opened.decode(false);
    let again = Session::open(stage.importer, Limits::NONE);
    Ok(Seen::all(vec![answered("decode off", &off, Ok(())), answered("a new session", &again, Ok(()))]))
}
