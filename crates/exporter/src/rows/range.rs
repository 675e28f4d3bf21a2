//! The same mapping without a scatter list.

use super::{MIB, PAGE};
use crate::row::{Row, Seen, StepExt, Trouble, answered};
use crate::stage::{Event, Stage};
use barkeep_model::Errno;
use barkeep_real::importer::{Engine, Form, Limits, Manner, WhenTold};
use barkeep_real::parts::RamBuffer;

const ABOUT: &str = "without a scatter list";
const VALUE: u32 = 0x5e60_0101;

pub(super) fn rows() -> Vec<Row> {
    vec![
        Row::new(
            ABOUT,
            "an importer's own way to it, for every driver",
            "a call beside dma_buf_map_attachment",
            |_| {
                let why = "Linux 7.3 has none: the two-step DMA API maps physical ranges, but a dma-buf tells its range to \
                           iommufd alone (vfio_pci_dma_buf_iommufd_map, exported to that module by name). The rows below ask \
                           for that one at run time";
                Ok(Seen::Unable(why.to_owned()))
            },
        ),
        Row::new(
            ABOUT,
            "one range by the two-step DMA API",
            "one run of I/O addresses that leads to the same",
            same,
        ),
        Row::new(
            ABOUT,
            "several ranges; RAM; one that would hold on",
            "EOPNOTSUPP, EOPNOTSUPP, EINVAL",
            refused,
        ),
        Row::new(ABOUT, "decode off and on", "gone at the notice; map ENODEV, then ok", moved),
        Row::new(ABOUT, "the importing device writes through it", "landed", dma),
    ]
}

fn same(stage: &Stage) -> Result<Seen, Trouble> {
    let opened = stage.function.open()?;
    let buffer = opened.export(&[(MIB, MIB)])?;
    let attachment = stage.import(Limits::NONE)?.attach(&buffer, Manner::PEER).step("attach")?;
    let mut seen = Vec::new();
    for form in [Form::Range, Form::Table] {
        attachment.map(form).step("map")?;
        seen.push(attachment.segments(false).step("look at the segments")?);
        attachment.unmap().step("unmap")?;
    }
    let physical = Some(opened.of.physical + MIB);
    let like = |segments: &[barkeep_real::importer::Segment]| {
        segments.len() == 1 && segments[0].length == MIB && segments[0].physical == physical
    };
    let words = |form: &str, segments: &[barkeep_real::importer::Segment]| {
        let bytes: u64 = segments.iter().map(|segment| segment.length).sum();
        (format!("{form}: {} of {bytes:#x} bytes", segments.len()), like(segments))
    };
    Ok(Seen::all(vec![words("range", &seen[0]), words("table", &seen[1])]))
}

fn refused(stage: &Stage) -> Result<Seen, Trouble> {
    let opened = stage.function.open()?;
    let session = stage.import(Limits::NONE)?;
    let several = opened.export(&[(0, PAGE), (MIB, PAGE)])?;
    let ram = RamBuffer::new(PAGE).step("make a dma-buf of RAM")?;
    let one = opened.export(&[(0, MIB)])?;
    let answer = |buffer, manner| session.attach(buffer, manner).step("attach").map(|to| to.map(Form::Range));
    Ok(Seen::all(vec![
        answered("several", &answer(&several, Manner::PEER)?, Err(Errno::EOPNOTSUPP)),
        answered("RAM", &answer(&ram.buffer, Manner::PEER)?, Err(Errno::EOPNOTSUPP)),
        answered("holding on", &answer(&one, Manner::peer(WhenTold::Hold(1)))?, Err(Errno::EINVAL)),
    ]))
}

fn moved(stage: &Stage) -> Result<Seen, Trouble> {
    let opened = stage.function.open()?;
    let buffer = opened.export(&[(0, MIB)])?;
    let attachment = stage.import(Limits::NONE)?.attach(&buffer, Manner::PEER).step("attach")?;
    attachment.map(Form::Range).step("map")?;
    opened.decode(false).step("turn decode off")?;
    let off = attachment.state().step("ask for its state")?;
    let during = attachment.map(Form::Range);
    opened.restore(Event::DecodeOff).step("turn decode on")?;
    let words = format!("told {}×, let go {}×", off.notices, off.released);
    Ok(Seen::all(vec![
        (words, (off.notices, off.released, off.mapped) == (1, 1, false)),
        answered("map while off", &during, Err(Errno::ENODEV)),
        answered("map when on", &attachment.map(Form::Range), Ok(())),
    ]))
}

fn dma(stage: &Stage) -> Result<Seen, Trouble> {
    let opened = stage.function.open()?;
    let buffer = opened.export(&[(MIB, MIB)])?;
    let session = stage.import(Limits::NONE)?;
    let Some(engine) = Engine::of(stage.importer, &session).step("have the engine")? else {
        return Ok(super::no_engine());
    };
    let attachment = session.attach(&buffer, Manner::PEER).step("attach")?;
    attachment.map(Form::Range).step("map")?;
    let segments = attachment.segments(false).step("look at the segments")?;
    engine
        .write(segments.first().map_or(0, |segment| segment.address), VALUE)
        .step("have the engine write")?;
    let seen = opened.word(MIB).step("read the BAR")?;
    Ok(Seen::new(seen == VALUE, format!("{seen:#x}, landed")))
}
