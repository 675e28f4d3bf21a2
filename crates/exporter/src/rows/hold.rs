//! An importer that does not let go makes the revoke wait, and everybody who waits for that.

use super::MIB;
use crate::row::{Row, Seen, StepExt, Trouble, answered};
use crate::stage::Stage;
use barkeep_real::importer::{EventKind, Form, Limits, Manner, WhenTold};
use barkeep_real::parts::{Device, Fences};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

const ABOUT: &str = "an importer that holds on";
const HOLD: Duration = Duration::from_millis(250);
const COMMAND: u16 = 4;
/// A little less than what the kernel's hung-task detector lets pass in the lab, 30 s.
const FOR_EVER: Duration = Duration::from_secs(20);

pub(super) fn rows() -> Vec<Row> {
    vec![
        Row::new(ABOUT, "for 250 ms after it is told", "decode off takes that long", for_a_while),
        Row::new(
            ABOUT,
            "until it is told to unmap",
            "decode off does not return while it is held; it does after the unmap",
            until_told,
        ),
        Row::new(ABOUT, "until its session is closed", "decode off does not return before", until_closed),
        Row::new(
            ABOUT,
            "nobody: a fence that is not signalled, put there by whoever holds the dma-buf",
            "decode off does not return before it is signalled, be that ever (docs/findings.md)",
            fenced,
        ),
        Row::new(ABOUT, "pinned", "told, and held to it all the same: vfio-pci has no pin", pinned),
    ]
}

fn for_a_while(stage: &Stage) -> Result<Seen, Trouble> {
    let opened = stage.function.open()?;
    let buffer = opened.export(&[(0, MIB)])?;
    let manner = Manner::peer(WhenTold::Hold(HOLD.as_millis() as u32));
    let attachment = stage.import(Limits::NONE)?.attach(&buffer, manner).step("attach")?;
    attachment.map(Form::Table).step("map")?;
    let begin = Instant::now();
    opened.decode(false).step("turn decode off")?;
    let took = begin.elapsed();
    let events = attachment.events(0).step("ask what happened")?;
    let at = |wanted| events.iter().find(|event| event.kind == wanted).map(|event| event.time);
    let held =
        at(EventKind::Held).zip(at(EventKind::Released)).map(|(from, to)| Duration::from_nanos(to - from));
    Ok(Seen::all(vec![
        (format!("decode off took {took:?}"), took >= HOLD),
        (format!("held for {:?}", held.unwrap_or_default()), held.is_some_and(|held| held >= HOLD)),
    ]))
}

/// Turns decode off on a thread of its own, and says whether that is over.
pub(super) fn decode_off(device: Device) -> (Receiver<bool>, thread::JoinHandle<()>) {
    let (tell, told) = channel();
    let thread = thread::spawn(move || {
        let done = device.config_write(COMMAND, 2, 0).is_ok();
        // Nobody listens any more if the row has failed already.
        let _ = tell.send(done);
    });
    (told, thread)
}

fn until_told(stage: &Stage) -> Result<Seen, Trouble> {
    held_until(stage, |attachment, _session| {
        attachment.unmap().step("unmap")?;
        Ok(())
    })
}

fn until_closed(stage: &Stage) -> Result<Seen, Trouble> {
    held_until(stage, |attachment, session| {
        // The last of both closes the file, and all it has goes with it.
        attachment.leave();
        drop(session);
        Ok(())
    })
}

fn held_until(
    stage: &Stage,
    let_go: impl FnOnce(
        barkeep_real::importer::Attachment,
        barkeep_real::importer::Session,
    ) -> Result<(), Trouble>,
) -> Result<Seen, Trouble> {
    let opened = stage.function.open()?;
    let buffer = opened.export(&[(0, MIB)])?;
    let session = stage.import(Limits::NONE)?;
    let attachment = session.attach(&buffer, Manner::peer(WhenTold::Hold(0))).step("attach")?;
    attachment.map(Form::Table).step("map")?;
    let (over, thread) = decode_off(opened.device);
    thread::sleep(HOLD);
    let waits = over.try_recv().is_err();
    let held = attachment.state().step("ask for its state")?.held;
    let_go(attachment, session)?;
    let done = over.recv().unwrap_or(false);
    let _ = thread.join();
    Ok(Seen::all(vec![
        (format!("after {HOLD:?} it {}", if waits { "still waits" } else { "is over" }), waits),
        (format!("reported as {}", if held { "held" } else { "not held" }), held),
        (format!("then it {}", if done { "is over" } else { "has failed" }), done),
    ]))
}

fn fenced(stage: &Stage) -> Result<Seen, Trouble> {
    let opened = stage.function.open()?;
    let buffer = opened.export(&[(0, MIB)])?;
    let fences = match Fences::new() {
        Ok(fences) => fences,
        Err(errno) => {
            return Ok(Seen::Unable(format!("this kernel has no CONFIG_SW_SYNC to make one: {errno}")));
        }
    };
    fences.put_on(&buffer).step("put a fence on the dma-buf")?;
    let (over, thread) = decode_off(opened.device);
    thread::sleep(FOR_EVER);
    let waits = over.try_recv().is_err();
    fences.signal().step("signal the fence")?;
    let done = over.recv().unwrap_or(false);
    let _ = thread.join();
    Ok(Seen::all(vec![
        (format!("after {FOR_EVER:?} it {}", if waits { "still waits" } else { "is over" }), waits),
        (format!("once signalled it {}", if done { "is over" } else { "has failed" }), done),
    ]))
}

fn pinned(stage: &Stage) -> Result<Seen, Trouble> {
    let opened = stage.function.open()?;
    let buffer = opened.export(&[(0, MIB)])?;
    let attachment = stage.import(Limits::NONE)?.attach(&buffer, Manner::PEER).step("attach")?;
    let pinned = attachment.pin();
    attachment.map(Form::Table).step("map")?;
    opened.decode(false).step("turn decode off")?;
    let state = attachment.state().step("ask for its state")?;
    opened.decode(true).step("turn decode on")?;
    Ok(Seen::all(vec![
        answered("pin", &pinned, Ok(())),
        (
            format!("told {}×, let go {}×", state.notices, state.released),
            (state.notices, state.released) == (1, 1),
        ),
        answered("unpin", &attachment.unpin(), Ok(())),
    ]))
}
