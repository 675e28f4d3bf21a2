//! What can be exported, and who may import it.

use super::{MIB, PAGE, cannot_map_several};
use crate::row::{Row, Seen, StepExt, Trouble, answered};
use crate::stage::{Event, Stage};
use barkeep_model::Errno;
use barkeep_real::importer::{Direction, Form, Limits, Manner, WhenTold};
use barkeep_real::parts::Context;

const ABOUT: &str = "export and attach";
const IOVA: u64 = 1 << 32;

pub(super) fn rows() -> Vec<Row> {
    vec![
        Row::new(ABOUT, "export of one range, mapped", "ok", |stage| map_of(stage, &[(0, MIB)])),
        Row::new(ABOUT, "export of three ranges of a BAR, mapped", "ok", |stage| {
            map_of(stage, &[(2 * MIB, PAGE), (0, MIB), (3 * MIB, 3 * PAGE)])
        }),
        Row::new(ABOUT, "export of 256 ranges of a page each, mapped", "ok", |stage| {
            let ranges: Vec<_> = (0..256).map(|n| (2 * n * PAGE, PAGE)).collect();
            map_of(stage, &ranges)
        }),
        Row::new(ABOUT, "export of ranges of two BARs", "one dma-buf", |_| {
            let why = "struct vfio_device_feature_dma_buf names one region for all of its ranges: one dma-buf for each BAR";
            Ok(Seen::Unable(why.to_owned()))
        }),
        Row::new(
            ABOUT,
            "export of what is none",
            "a region that is no BAR ENODEV; no range, no length, half a page, beyond the end EINVAL; past the end of numbers EOVERFLOW",
            refused_exports,
        ),
        Row::new(
            ABOUT,
            "importers that will not do",
            "EOPNOTSUPP without peer2peer, without invalidate_mappings, static",
            refused_importers,
        ),
        Row::new(
            ABOUT,
            "attach, and map of what is attached, while revoked",
            "ENODEV, but for one without peer2peer, which is asked first: EOPNOTSUPP; ok once it is live",
            revoked,
        ),
        Row::new(
            ABOUT,
            "iommufd, of several ranges",
            "EOPNOTSUPP; a dma-buf for each range ok",
            several_ranges_into_iommufd,
        ),
    ]
}

fn map_of(stage: &Stage, ranges: &[(u64, u64)]) -> Result<Seen, Trouble> {
    let opened = stage.function.open()?;
    let buffer = opened.export(ranges)?;
    let attachment = stage.import(Limits::NONE)?.attach(&buffer, Manner::PEER).step("attach")?;
    let mapped = attachment.map(Form::Table);
    if let Some(unable) = cannot_map_several(ranges, &mapped) {
        return Ok(unable);
    }
    let size: u64 = ranges.iter().map(|(_, length)| length).sum();
    Ok(Seen::all(vec![
        (format!("{} bytes", attachment.size()), attachment.size() == size),
        answered("map", &mapped, Ok(())),
    ]))
}

fn refused_exports(stage: &Stage) -> Result<Seen, Trouble> {
    let opened = stage.function.open()?;
    let (bar, size) = (u32::from(opened.of.bar), opened.of.size);
    let past_numbers = (u64::MAX - 4095, 2 * PAGE);
    let requests: [(_, _, &[(u64, u64)], _); 7] = [
        ("a region that is no BAR", 6, &[(0, PAGE)], Errno::ENODEV),
        ("no range", bar, &[], Errno::EINVAL),
        ("no length", bar, &[(0, 0)], Errno::EINVAL),
        ("half a page", bar, &[(0, PAGE / 2)], Errno::EINVAL),
        ("from half a page on", bar, &[(PAGE / 2, PAGE)], Errno::EINVAL),
        ("beyond the end", bar, &[(size - PAGE, 2 * PAGE)], Errno::EINVAL),
        ("past the end of numbers", bar, &[past_numbers], Errno::EOVERFLOW),
    ];
    let answers = requests.into_iter().map(|(what, region, ranges, errno)| {
        answered(what, &opened.device.export_ranges(region, ranges), Err(errno))
    });
    Ok(Seen::all(answers.collect()))
}

fn refused_importers(stage: &Stage) -> Result<Seen, Trouble> {
    let opened = stage.function.open()?;
    let buffer = opened.export(&[(0, MIB)])?;
    let session = stage.import(Limits::NONE)?;
    let no_peer =
        Manner { peer2peer: false, when_told: Some(WhenTold::LetGo), direction: Direction::BothWays };
    let never_told = Manner { peer2peer: true, when_told: None, direction: Direction::BothWays };
    let manners = [
        ("without peer2peer", no_peer, Err(Errno::EOPNOTSUPP)),
        ("without invalidate_mappings", never_told, Err(Errno::EOPNOTSUPP)),
        ("static", Manner::default(), Err(Errno::EOPNOTSUPP)),
        ("with both", Manner::PEER, Ok(())),
    ];
    let answers =
        manners.map(|(what, manner, expected)| answered(what, &session.attach(&buffer, manner), expected));
    Ok(Seen::all(answers.to_vec()))
}

fn revoked(stage: &Stage) -> Result<Seen, Trouble> {
    let opened = stage.function.open()?;
    let buffer = opened.export(&[(0, MIB)])?;
    let session = stage.import(Limits::NONE)?;
    let before = session.attach(&buffer, Manner::PEER).step("attach")?;
    opened.decode(false).step("turn decode off")?;
    let during = session.attach(&buffer, Manner::PEER);
    let no_peer = Manner { peer2peer: false, ..Manner::PEER };
    let no_peer = session.attach(&buffer, no_peer);
    let never_told = session.attach(&buffer, Manner { when_told: None, ..Manner::PEER });
    let mapped = before.map(Form::Table);
    opened.restore(Event::DecodeOff).step("turn decode on")?;
    Ok(Seen::all(vec![
        answered("attach", &during, Err(Errno::ENODEV)),
        answered("attach without peer2peer", &no_peer, Err(Errno::EOPNOTSUPP)),
        answered("attach without invalidate_mappings", &never_told, Err(Errno::ENODEV)),
        answered("map", &mapped, Err(Errno::ENODEV)),
        answered("attach when live", &session.attach(&buffer, Manner::PEER), Ok(())),
        answered("map when live", &before.map(Form::Table), Ok(())),
    ]))
}

fn several_ranges_into_iommufd(stage: &Stage) -> Result<Seen, Trouble> {
    let opened = stage.function.open()?;
    let ranges = [(0, MIB), (2 * MIB, MIB)];
    let context = Context::new().step("open /dev/iommu")?;
    let together = opened.export(&ranges)?;
    let mut answers =
        vec![answered("two in one", &context.map(&together, 2 * MIB, IOVA), Err(Errno::EOPNOTSUPP))];
    for (number, range) in ranges.into_iter().enumerate() {
        let one = opened.export(&[range])?;
        let mapped = context.map(&one, range.1, IOVA + number as u64 * MIB);
        answers.push(answered(["the first alone", "the second alone"][number], &mapped, Ok(())));
    }
    Ok(Seen::all(answers))
}
