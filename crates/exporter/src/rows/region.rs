//! An importer that behaves as an RDMA memory region does: it maps when it is used, lets go when it is told,
//! and maps again at the next use.

use super::{MIB, PAGE};
use crate::row::{Row, Seen, StepExt, Trouble, answered};
use crate::stage::Stage;
use barkeep_model::Errno;
use barkeep_real::importer::{Attachment, Engine, Limits, Manner};

const ABOUT: &str = "used as an RDMA memory region";
const VALUE: u32 = 0x5e60_0301;

pub(super) fn rows() -> Vec<Row> {
    vec![
        Row::new(
            ABOUT,
            "uses before, while and after decode is off",
            "the first one faults it in, the second does not; ENODEV; the first one after faults it in again",
            uses,
        ),
        Row::new(
            ABOUT,
            "the device writes where a use was told, before, while and after decode is off",
            "landed; not, by the address of before, even when decode is on again; landed by the next use's",
            writes,
        ),
    ]
}

fn used(what: &str, attachment: &Attachment, offset: u64, faults: bool) -> (String, bool) {
    match attachment.use_at(offset) {
        Ok((_, faulted)) => {
            (format!("{what}: {}", if faulted { "faulted in" } else { "there" }), faulted == faults)
        }
        Err(errno) => (format!("{what}: {errno}"), false),
    }
}

fn uses(stage: &Stage) -> Result<Seen, Trouble> {
    let opened = stage.function.open()?;
    let buffer = opened.export(&[(0, MIB)])?;
    let attachment = stage.import(Limits::NONE)?.attach(&buffer, Manner::PEER).step("attach")?;
    let mut answers = vec![used("first", &attachment, 0, true), used("second", &attachment, PAGE, false)];
    let (first, _) = attachment.use_at(0).step("use")?;
    let (next, _) = attachment.use_at(PAGE).step("use")?;
    answers.push((format!("a page further: {:#x} bytes on", next - first), next - first == PAGE));
    answers.push(answered("beyond the end", &attachment.use_at(MIB), Err(Errno::EINVAL)));
    opened.decode(false).step("turn decode off")?;
    answers.push(answered("while off", &attachment.use_at(0), Err(Errno::ENODEV)));
    opened.decode(true).step("turn decode on")?;
    answers.push(used("when on", &attachment, 0, true));
    let state = attachment.state().step("ask for its state")?;
    answers.push((
        format!("told {}×, {} faults", state.notices, state.faults),
        (state.notices, state.faults) == (2, 3),
    ));
    Ok(Seen::all(answers))
}

fn writes(stage: &Stage) -> Result<Seen, Trouble> {
    let opened = stage.function.open()?;
    let buffer = opened.export(&[(0, MIB)])?;
    let session = stage.import(Limits::NONE)?;
    let Some(engine) = Engine::of(stage.importer, &session).step("have the engine")? else {
        return Ok(super::no_engine());
    };
    let attachment = session.attach(&buffer, Manner::PEER).step("attach")?;
    let mut answers = Vec::new();
    let mut write = |what: &str, address: u64, value: u32, lands: bool| {
        engine.write(address, value).step("have the engine write")?;
        let landed = opened.word(PAGE).step("read the BAR")? == value;
        answers.push((format!("{what}: {}", if landed { "landed" } else { "not landed" }), landed == lands));
        Ok::<_, Trouble>(())
    };
    let (before, _) = attachment.use_at(PAGE).step("use")?;
    write("before", before, VALUE, true)?;
    opened.decode(false).step("turn decode off")?;
    engine.write(before, VALUE + 1).step("have the engine write")?;
    opened.decode(true).step("turn decode on")?;
    let stale = opened.word(PAGE).step("read the BAR")?;
    write("by the old address", before, VALUE + 2, false)?;
    let (after, _) = attachment.use_at(PAGE).step("use")?;
    write("by the new one", after, VALUE + 3, true)?;
    answers.insert(
        1,
        (format!("while off: {}", if stale == VALUE { "not landed" } else { "landed" }), stale == VALUE),
    );
    Ok(Seen::all(answers))
}
