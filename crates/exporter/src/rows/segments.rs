//! What a mapping is made of: as the kernel makes it, and cut to what the importer can take.

use super::{KIB, MIB, PAGE, cannot_map_several};
use crate::row::{Row, Seen, StepExt, Trouble, answered};
use crate::stage::{Exporter, Stage};
use barkeep_model::Errno;
use barkeep_real::importer::{Attachment, Engine, Form, Limits, Manner, Segment};

const ABOUT: &str = "segments";
/// The longest entry of a scatter list (`MAX_SG_ENT_SZ`).
const LONGEST: u64 = (u32::MAX as u64) & !(PAGE - 1);
const VALUE: u32 = 0x5e60_0001;

pub(super) fn rows() -> Vec<Row> {
    let mut rows = vec![
        Row::new(ABOUT, "stock's table of one range", "one entry, an IOVA that leads to the BAR", |stage| {
            stock(stage, &stage.function, &[(0, 4 * MIB)], Limits::NONE)
        }),
        Row::new(
            ABOUT,
            "stock's table of a whole BAR of many GiB",
            "an entry for each 4 GiB less a page, end to end",
            |stage| stock(stage, &stage.behind_port, &[(0, stage.behind_port.size)], Limits::NONE),
        ),
        Row::new(
            ABOUT,
            "stock's table for an importer with a largest segment of 64 KiB",
            "not cut: the kernel does not ask for the limit (the patches of 2024 did)",
            |stage| stock(stage, &stage.function, &[(0, 4 * MIB)], limit(64 * KIB)),
        ),
        Row::new(
            ABOUT,
            "stock's table of three ranges",
            "one entry, the ranges end to end, each leading to its part of the BAR",
            |stage| {
                stock(
                    stage,
                    &stage.function,
                    &[(2 * MIB, 2 * PAGE), (0, 3 * PAGE), (3 * MIB, PAGE)],
                    Limits::NONE,
                )
            },
        ),
        Row::new(ABOUT, "for an importer with 32 address bits", "all below 4 GiB", |stage| {
            stock(stage, &stage.function, &[(0, 4 * MIB)], Limits { dma_bits: 32, max_segment: 0 })
        }),
        Row::new(ABOUT, "more than an importer with 32 address bits can reach", "ENOMEM", beyond_the_mask),
        Row::new(ABOUT, "the importing device writes to the first and the last word of it", "landed", dma),
    ];
    for (size, bytes) in [
        ("4 KiB", PAGE),
        ("64 KiB", 64 * KIB),
        ("1 MiB and 4 KiB", MIB + PAGE),
        ("2 MiB", 2 * MIB),
        ("unlimited", 0),
    ] {
        let expected =
            "every piece but a range's last as long as that, their sum and order those of the ranges";
        rows.push(Row::new(
            ABOUT,
            format!("cut by the importer itself, to {size}"),
            expected,
            move |stage| cut(stage, &stage.function, &[(0, 4 * MIB)], bytes),
        ));
    }
    rows.push(Row::new(
        ABOUT,
        "a BAR of many GiB cut by the importer itself, to 2 MiB",
        "as before, across the kernel's own cuts",
        |stage| cut(stage, &stage.behind_port, &[(0, stage.behind_port.size)], 2 * MIB),
    ));
    rows
}

fn limit(bytes: u64) -> Limits {
    Limits { dma_bits: 64, max_segment: bytes as u32 }
}

/// Whether these pieces are all of the ranges, in order and without a gap, and each page that is looked at
/// leads where it should.
fn whole(
    exporter: &Exporter,
    ranges: &[(u64, u64)],
    pieces: &[Segment],
    entries: &[Segment],
) -> Vec<(String, bool)> {
    let size: u64 = ranges.iter().map(|(_, length)| length).sum();
    let sum: u64 = pieces.iter().map(|piece| piece.length).sum();
    let joined = pieces.windows(2).filter(|two| two[0].address + two[0].length != two[1].address).count();
    let breaks = entries.windows(2).filter(|two| two[0].address + two[0].length != two[1].address).count();
    let mut offset = 0;
    let led = pieces.iter().filter(|piece| {
        let right = piece.physical == place(exporter, ranges, offset);
        offset += piece.length;
        right
    });
    let led = led.count();
    vec![
        (format!("{sum} bytes of {size}"), sum == size),
        (format!("{joined} gaps"), joined == breaks),
        (format!("{led} of {} lead where they should", pieces.len()), led == pieces.len()),
    ]
}

/// Where a byte of the dma-buf is.
fn place(exporter: &Exporter, ranges: &[(u64, u64)], mut offset: u64) -> Option<u64> {
    for (start, length) in ranges {
        if offset < *length {
            return Some(exporter.physical + start + offset);
        }
        offset -= length;
    }
    None
}

fn map(stage: &Stage, limits: Limits, buffer: &std::fs::File) -> Result<Attachment, Trouble> {
    let attachment = stage.import(limits)?.attach(buffer, Manner::PEER).step("attach")?;
    attachment.map(Form::Table).step("map")?;
    Ok(attachment)
}

fn stock(stage: &Stage, exporter: &Exporter, ranges: &[(u64, u64)], limits: Limits) -> Result<Seen, Trouble> {
    let opened = exporter.open()?;
    let buffer = opened.export(ranges)?;
    let attachment = stage.import(limits)?.attach(&buffer, Manner::PEER).step("attach")?;
    let mapped = attachment.map(Form::Table);
    if let Some(unable) = cannot_map_several(ranges, &mapped) {
        return Ok(unable);
    }
    mapped.step("map")?;
    let entries = attachment.segments(false).step("look at the segments")?;
    let expected = attachment.size().div_ceil(LONGEST);
    let longest = entries.iter().map(|entry| entry.length).max().unwrap_or_default();
    let end = entries.iter().map(|entry| entry.address + entry.length).max().unwrap_or_default();
    let bits = u64::BITS - (end - 1).leading_zeros();
    let mut answers = vec![
        (
            format!("{} entries, the longest of {longest:#x} bytes", entries.len()),
            entries.len() as u64 == expected,
        ),
        (format!("addresses of {bits} bits"), bits <= limits.dma_bits),
    ];
    answers.extend(whole(exporter, ranges, &entries, &entries));
    // An entry is a run of I/O addresses: what each page of it leads to, only pages tell.
    if ranges.len() > 1 {
        drop(attachment);
        let pages = map(stage, limit(PAGE), &buffer)?;
        let pieces = pages.segments(true).step("look at its pages")?;
        let led = whole(exporter, ranges, &pieces, &entries).pop();
        answers.extend(led.map(|(words, holds)| (format!("of its pages {words}"), holds)));
    }
    Ok(Seen::all(answers))
}

fn cut(stage: &Stage, exporter: &Exporter, ranges: &[(u64, u64)], bytes: u64) -> Result<Seen, Trouble> {
    let opened = exporter.open()?;
    let attachment = map(stage, limit(bytes), &opened.export(ranges)?)?;
    let entries = attachment.segments(false).step("look at the entries")?;
    let pieces = attachment.segments(true).step("look at the pieces")?;
    let limit = if bytes == 0 { u64::from(u32::MAX) } else { bytes };
    let expected: u64 = entries.iter().map(|entry| entry.length.div_ceil(limit)).sum();
    let longest = pieces.iter().map(|piece| piece.length).max().unwrap_or_default();
    let mut answers = vec![
        (format!("{} pieces", pieces.len()), pieces.len() as u64 == expected),
        (format!("the longest of {longest:#x} bytes"), longest <= limit),
    ];
    answers.extend(whole(exporter, ranges, &pieces, &entries));
    Ok(Seen::all(answers))
}

fn beyond_the_mask(stage: &Stage) -> Result<Seen, Trouble> {
    let opened = stage.behind_port.open()?;
    let buffer = opened.export(&[(0, opened.of.size)])?;
    let session = stage.import(Limits { dma_bits: 32, max_segment: 0 })?;
    let attachment = session.attach(&buffer, Manner::PEER).step("attach")?;
    Ok(Seen::all(vec![answered("map", &attachment.map(Form::Table), Err(Errno::ENOMEM))]))
}

fn dma(stage: &Stage) -> Result<Seen, Trouble> {
    let opened = stage.function.open()?;
    let buffer = opened.export(&[(MIB, MIB)])?;
    let session = stage.import(Limits::NONE)?;
    let Some(engine) = Engine::of(stage.importer, &session).step("have the engine")? else {
        return Ok(super::no_engine());
    };
    let attachment = session.attach(&buffer, Manner::PEER).step("attach")?;
    attachment.map(Form::Table).step("map")?;
    let segments = attachment.segments(false).step("look at the segments")?;
    let first = segments.first().map_or(0, |segment| segment.address);
    let last = segments.last().map_or(0, |segment| segment.address + segment.length - 4);
    let mut answers = Vec::new();
    for (number, (address, offset)) in [(first, MIB), (last, 2 * MIB - 4)].into_iter().enumerate() {
        let value = VALUE + number as u32;
        engine.write(address, value).step("have the engine write")?;
        let seen = opened.word(offset).step("read the BAR")?;
        answers.push((format!("{seen:#x} at {offset:#x}"), seen == value));
    }
    Ok(Seen::all(answers))
}
