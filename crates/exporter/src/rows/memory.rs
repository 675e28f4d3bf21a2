//! CPU access by mmap of the dma-buf itself.

use super::hold::decode_off;
use super::{MIB, PAGE};
use crate::party::Part;
use crate::row::{Row, Seen, StepExt, Trouble, answered};
use crate::stage::{Event, Opened, Stage};
use barkeep_model::Errno;
use barkeep_real::errno_of;
use barkeep_real::parts::BarMapping;
use std::fs::File;
use std::thread;
use std::time::Duration;

const ABOUT: &str = "mmap of the dma-buf";
const HUGE: u64 = 2 * MIB;
const VALUE: u32 = 0x5e60_0201;
/// A process has started, and done what it is to do, long before.
const SOON: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(5);

pub(super) fn rows() -> Vec<Row> {
    let mut rows = vec![
        Row::new(
            ABOUT,
            "reads and writes",
            "the same word by the dma-buf, the region and the device file",
            access,
        ),
        Row::new(ABOUT, "several ranges", "laid end to end", several),
        Row::new(ABOUT, "beyond the end of the dma-buf", "EINVAL", beyond),
        Row::new(ABOUT, "16 MiB or more at an address that suits huge pages", "a fault for each 2 MiB", huge),
        Row::new(ABOUT, "close of the device", "SIGBUS for good, and the mapping stays", closed),
        Row::new(
            ABOUT,
            "the dma-buf's descriptor closed before the mapping",
            "access as before; SIGBUS at a revoke",
            descriptor_first,
        ),
        Row::new(
            ABOUT,
            "an importer's, killed at it while decode off waits for it",
            "it dies, which lets go of the dma-buf, and decode is off",
            killed_at_it,
        ),
    ];
    for event in Event::ALL {
        let what = format!(
            "{}: access before, {}after",
            event.name(),
            if event.ends_by_itself() { "" } else { "during and " }
        );
        let expected = if event.ends_by_itself() { "ok, ok" } else { "ok, SIGBUS, ok" };
        rows.push(Row::new(ABOUT, what, expected, move |stage| around(stage, event)));
    }
    rows
}

/// A mapping of a dma-buf; or that this kernel cannot make one.
fn mapping(buffer: &File, length: u64) -> Result<Result<BarMapping, Seen>, Trouble> {
    match BarMapping::of_buffer(buffer, 0, length) {
        Err(Errno::EINVAL) => Ok(Err(Seen::Unable(NO_HANDLER.to_owned()))),
        other => other.step("mmap the dma-buf").map(Ok),
    }
}

const NO_HANDLER: &str = "mmap gives EINVAL: this kernel's dma-buf has no such handler; CPU access is by the device's region \
                          (kernel variant mmap has one)";

macro_rules! mapped {
    ($buffer:expr, $length:expr) => {
        match mapping($buffer, $length)? {
            Ok(mapping) => mapping,
            Err(unable) => return Ok(unable),
        }
    };
}

fn access(stage: &Stage) -> Result<Seen, Trouble> {
    let opened = stage.function.open()?;
    let buffer = opened.export(&[(MIB, MIB)])?;
    let mapping = mapped!(&buffer, MIB);
    let region = opened.region(2 * MIB).step("mmap the region")?;
    let mut answers = Vec::new();
    mapping.write(PAGE, VALUE).step("write by the dma-buf")?;
    answers.push(word("the region", region.read(MIB + PAGE), VALUE));
    answers.push(word("the device file", opened.word(MIB + PAGE), VALUE));
    region.write(MIB, VALUE + 1).step("write by the region")?;
    answers.push(word("the dma-buf", mapping.read(0), VALUE + 1));
    Ok(Seen::all(answers))
}

fn word(by: &str, read: Result<u32, Errno>, wanted: u32) -> (String, bool) {
    match read {
        Ok(seen) => (format!("{by}: {seen:#x}"), seen == wanted),
        Err(errno) => (format!("{by}: {errno}"), false),
    }
}

fn several(stage: &Stage) -> Result<Seen, Trouble> {
    let opened = stage.function.open()?;
    let ranges = [(3 * MIB, PAGE), (MIB, 2 * PAGE), (0, PAGE)];
    let buffer = opened.export(&ranges)?;
    let mapping = mapped!(&buffer, 4 * PAGE);
    let mut answers = Vec::new();
    let mut offset = 0;
    for (start, length) in ranges {
        for page in (0..length).step_by(PAGE as usize) {
            let value = VALUE + (offset / PAGE) as u32;
            mapping.write(offset, value).step("write by the dma-buf")?;
            answers.push(word(&format!("{:#x}", start + page), opened.word(start + page), value));
            offset += PAGE;
        }
    }
    Ok(Seen::all(answers))
}

fn beyond(stage: &Stage) -> Result<Seen, Trouble> {
    let opened = stage.function.open()?;
    let buffer = opened.export(&[(0, MIB)])?;
    let mapping = mapped!(&buffer, MIB);
    mapping.read(MIB - 4).step("read its last word")?;
    Ok(Seen::all(vec![
        answered("a page too long", &BarMapping::of_buffer(&buffer, 0, MIB + PAGE), Err(Errno::EINVAL)),
        answered("from its end on", &BarMapping::of_buffer(&buffer, MIB, PAGE), Err(Errno::EINVAL)),
        answered("its last page", &BarMapping::of_buffer(&buffer, MIB - PAGE, PAGE), Ok(())),
    ]))
}

fn huge(stage: &Stage) -> Result<Seen, Trouble> {
    let opened = stage.function.open()?;
    let size = opened.of.size;
    let buffer = opened.export(&[(0, size)])?;
    drop(mapped!(&buffer, PAGE));
    let mapping = BarMapping::of_buffer_aligned(&buffer, size, HUGE as usize).step("mmap the dma-buf")?;
    // The first access is the one that has SIGBUS answered, which faults elsewhere.
    mapping.read(0).step("read")?;
    let before = faults();
    for offset in (0..size).step_by(PAGE as usize) {
        mapping.read(offset).step("read")?;
    }
    let (faults, wanted) = (faults() - before, size / HUGE - 1);
    Ok(Seen::new(faults == wanted, format!("{} more, of {} pages", faults, size / PAGE)))
}

/// Page faults of this process so far that needed no disk (`minflt`, proc_pid_stat(5)).
fn faults() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    after_name.split_whitespace().nth(7).and_then(|word| word.parse().ok()).unwrap_or_default()
}

fn closed(stage: &Stage) -> Result<Seen, Trouble> {
    let opened = stage.function.open()?;
    let buffer = opened.export(&[(0, MIB)])?;
    let mapping = mapped!(&buffer, MIB);
    let before = mapping.read(0);
    drop(opened);
    let after = mapping.read(0);
    // Somebody else opens it: what was exported before is not theirs to bring back.
    let again = stage.function.open()?;
    Ok(Seen::all(vec![
        answered("before", &before, Ok(())),
        answered("after", &after, Err(Errno::EFAULT)),
        answered("and when it is opened again", &mapping.read(0), Err(Errno::EFAULT)),
        answered("mmap of it then", &BarMapping::of_buffer(&buffer, 0, PAGE), Ok(())),
        answered("the device itself", &again.word(0), Ok(())),
    ]))
}

fn descriptor_first(stage: &Stage) -> Result<Seen, Trouble> {
    let opened = stage.function.open()?;
    let buffer = opened.export(&[(0, MIB)])?;
    let mapping = mapped!(&buffer, MIB);
    drop(buffer);
    let before = mapping.read(0);
    opened.decode(false).step("turn decode off")?;
    let during = mapping.read(0);
    opened.decode(true).step("turn decode on")?;
    Ok(Seen::all(vec![
        answered("before", &before, Ok(())),
        answered("while off", &during, Err(Errno::EFAULT)),
        answered("when on", &mapping.read(0), Ok(())),
    ]))
}

/// Decode off waits for the importer, and the importer's CPU for decode off: only a signal can end it.
fn killed_at_it(stage: &Stage) -> Result<Seen, Trouble> {
    let opened = stage.function.open()?;
    let buffer = opened.export(&[(0, MIB)])?;
    drop(mapped!(&buffer, PAGE));
    let start = (stage.start)(&buffer, stage.importer, Part::HoldsAndReads);
    let mut importer = start.map_err(|e| errno_of(&e)).step("start an importer")?;
    thread::sleep(SOON);
    let (over, thread) = decode_off(opened.device);
    thread::sleep(SOON);
    let waits = over.try_recv().is_err();
    importer.kill().map_err(|e| errno_of(&e)).step("kill the importer")?;
    let done = over.recv_timeout(PATIENCE).unwrap_or(false);
    // Where it is not, neither of the two can be waited for.
    if done {
        importer.wait().map_err(|e| errno_of(&e)).step("wait for the importer")?;
        let _ = thread.join();
    }
    Ok(Seen::all(vec![
        (format!("before it is killed decode off {}", if waits { "waits" } else { "is over" }), waits),
        (format!("{PATIENCE:?} after that it {}", if done { "is over" } else { "still waits" }), done),
    ]))
}

fn around(stage: &Stage, event: Event) -> Result<Seen, Trouble> {
    let opened: Opened<'_> = event.device(stage).open()?;
    let buffer = opened.export(&[(0, MIB)])?;
    let mapping = mapped!(&buffer, MIB);
    mapping.write(0, VALUE).step("write by the dma-buf")?;
    let Some(done) = opened.revoke(event) else {
        return Ok(Seen::Unable(super::moves::no_such(event)));
    };
    done.step("have it happen")?;
    let mut answers = vec![("before: ok".to_owned(), true)];
    if !event.ends_by_itself() {
        answers.push(answered("during", &mapping.read(0), Err(Errno::EFAULT)));
        opened.restore(event).step("bring access back")?;
    }
    answers.push(answered("after", &mapping.read(0), Ok(())));
    Ok(Seen::all(answers))
}
