use super::*;
use crate::generate::episode;
use crate::record::{carry_out, record};
use crate::testbed::{Small, hardware, machine};
use barkeep_model::{Abilities, Source};
use proptest::prelude::*;

fn header() -> Header {
    Header { seed: 7, kernel: "7.3.4".to_owned(), abilities: Abilities::default(), hardware: hardware() }
}

/// The operations of episode 0: 12, so that a line's number is easily told.
fn first() -> Vec<Op> {
    let map = Op::Map { space: 0, source: Source::Buffer(0), start: 0, length: 0x1000, iova: 0x2000_0000 };
    let decode = |value| Op::ConfigWrite { file: 0, offset: 4, width: 2, value };
    vec![
        Op::Open { device: 0, context: 0, file: 0 },
        Op::Export { file: 0, region: 2, ranges: vec![(0, 0x1000)], flags: 0, buffer: 0 },
        map.clone(),
        decode(0),
        map.clone(),
        Op::Unmap { space: 0, iova: 0x2000_0000, length: 0x1000 },
        decode(6),
        map,
        Op::DupBuffer { buffer: 0, to: 1 },
        Op::LowPowerEntry { file: 0, wakes: true },
        Op::CloseBuffer { buffer: 0 },
        Op::CloseFile { file: 0 },
    ]
}

/// A recording of two episodes, as bytes, and what is in it.
fn recording() -> (Vec<u8>, Vec<Episode>) {
    let mut writer = Writer::new(Vec::new(), &header()).unwrap();
    record(&mut Small::default(), [(0, first()), (1, first())], &mut writer).unwrap();
    let episode = |number| Episode { number, steps: carry_out(&mut Small::default(), &first()).collect() };
    (writer.end().unwrap(), vec![episode(0), episode(1)])
}

fn all(bytes: &[u8]) -> Result<Vec<Episode>, String> {
    let (_, episodes) = read(bytes).map_err(|damage| damage.to_string())?;
    episodes.collect::<Result<_, _>>().map_err(|damage| damage.to_string())
}

fn damage(bytes: &[u8]) -> String {
    all(bytes).unwrap_err()
}

/// The recording with one line changed.
fn with(line: usize, from: &str, to: &str) -> String {
    let text = String::from_utf8(recording().0).unwrap();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    assert!(lines[line - 1].contains(from), "{}", lines[line - 1]);
    lines[line - 1] = lines[line - 1].replacen(from, to, 1);
    lines.join("\n") + "\n"
}

#[test]
fn what_was_written_is_read() {
    let (bytes, episodes) = recording();
    let (first, read) = read(&bytes[..]).unwrap();
    assert_eq!(first, header());
    assert_eq!(read.collect::<Result<Vec<_>, _>>().unwrap(), episodes);
    assert!(episodes[0].steps.iter().any(|step| step.seen != Seen::default()), "nothing was seen");
}

#[test]
fn what_is_seen_is_written_where_it_is_news() {
    let (bytes, episodes) = recording();
    let written = String::from_utf8(bytes).unwrap().matches("\"seen\"").count();
    let news = |episode: &Episode| {
        let before =
            std::iter::once(Seen::default()).chain(episode.steps.iter().map(|step| step.seen.clone()));
        episode.steps.iter().zip(before).filter(|(step, before)| step.seen != *before).count()
    };
    assert_eq!(written, episodes.iter().map(news).sum::<usize>());
}

#[test]
fn files_that_are_no_recording_are_named() {
    assert_eq!(damage(b""), "line 1: the file is empty");
    let foreign = "line 1: not a recording: the first line is not `{\"barkeep_conform\":…`";
    for bytes in [&b"\n"[..], b"hello", b"{\"a\":1}\n", b"[1]", b"{\"barkeep_journal\":1}\n"] {
        assert_eq!(damage(bytes), foreign);
    }
    assert_eq!(damage(b"\xff\n"), "line 1: not UTF-8");
    assert_eq!(damage(b"{\"barkeep_conform\":2,\"se"), "line 1: the recording ends here, in the middle");
    assert_eq!(
        damage(with(1, "\"barkeep_conform\":2", "\"barkeep_conform\":9").as_bytes()),
        "line 1: a recording of version 9; this Barkeep reads version 2"
    );
    assert_eq!(
        damage(with(1, "\"seed\"", "\"need\"").as_bytes()),
        "line 1: unknown field `need`, expected one of `seed`, `kernel`, `abilities`, `hardware`"
    );
}

#[test]
fn hardware_that_cannot_be_is_named() {
    let abilities = r#"{"importer":false,"mmap":false,"ranges":false}"#;
    let empty = format!(
        r#"{{"barkeep_conform":2,"seed":1,"kernel":"x","abilities":{abilities},"hardware":{{"devices":[]}}}}"#
    );
    assert_eq!(damage(empty.as_bytes()), "line 1: the hardware: 0 devices; there can be 1 to 32");
    let moved = with(1, "\"memory_bar\":2", "\"memory_bar\":7");
    assert_eq!(damage(moved.as_bytes()), "line 1: the hardware: device `nvme` has no memory BAR 7");
    let beyond = with(1, "\"watched\":[0", "\"watched\":[2");
    assert_eq!(
        damage(beyond.as_bytes()),
        "line 1: the hardware: device `nvme` has no word at 0x2 of its memory"
    );
    let config = with(1, "\"config\":\"361b", "\"config\":\"ffff");
    assert_eq!(
        damage(config.as_bytes()),
        "line 1: the hardware: device `nvme`: no function answers (vendor ID is 0xffff)"
    );
}

#[test]
fn a_damaged_line_is_named() {
    let open = "\"op\":\"open\"";
    assert_eq!(damage(with(3, open, "\"op\":\"shut\"").as_bytes()), "line 3: there is no operation `shut`");
    assert_eq!(
        damage(with(3, "\"file\":", "\"life\":").as_bytes()),
        "line 3: unknown field `life`, expected one of `device`, `context`, `file`"
    );
    assert_eq!(damage(with(3, "\"context\":0", "\"context\":3").as_bytes()), "line 3: there is no context 3");
    assert_eq!(damage(with(3, "{\"op\"", "[\"op\"").as_bytes()), "line 3: not a JSON object");
    assert_eq!(
        damage(with(2, "episode", "epsiode").as_bytes()),
        "line 2: neither an episode nor an operation nor the end"
    );
    assert_eq!(damage(with(2, ":12}", ":11}").as_bytes()), "line 14: an operation where an episode is due");
    assert_eq!(damage(with(2, ":12}", ":13}").as_bytes()), "line 15: an episode where an operation is due");
    assert_eq!(
        damage(with(28, "\"end\":2", "\"end\":3").as_bytes()),
        "line 28: the end of 3 episodes, after 2"
    );
    let behind = [&recording().0[..], b"x"].concat();
    assert_eq!(damage(&behind), "line 29: something follows the end");
}

#[test]
fn a_recording_cut_anywhere_says_so() {
    let (bytes, episodes) = recording();
    for end in 0..bytes.len() - 1 {
        let said = damage(&bytes[..end]);
        let expected = if end == 0 { "the file is empty" } else { "the recording ends here, in the middle" };
        let foreign = end < "{\"barkeep_conform".len() && said.contains("not a recording");
        assert!(said.contains(expected) || foreign, "{end}: {said}");
    }
    assert_eq!(all(&bytes[..bytes.len() - 1]).unwrap(), episodes, "only the last newline is missing");
}

#[test]
fn what_was_whole_before_the_damage_is_there() {
    let (bytes, episodes) = recording();
    let (_, mut read) = read(&bytes[..bytes.len() - 40]).unwrap();
    assert_eq!(read.next().unwrap().unwrap(), episodes[0]);
    assert!(matches!(read.next(), Some(Err(Damage { why: Why::Truncated, .. }))));
    assert!(read.next().is_none());
}

#[test]
fn a_line_without_end_does_not_fill_memory() {
    let (mut bytes, _) = recording();
    let first = bytes.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    bytes.truncate(first);
    bytes.extend(std::iter::repeat_n(b' ', 3 << 20));
    assert_eq!(damage(&bytes), "line 2: longer than 1048576 bytes");
}

#[test]
fn a_number_of_operations_that_cannot_be_takes_no_memory() {
    let huge = with(2, ":12}", &format!(":{}}}", u64::MAX));
    assert_eq!(damage(huge.as_bytes()), "line 15: an episode where an operation is due");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_episode_comes_back(seed: u64, number: u64) {
        let ops = episode(seed, number, &machine());
        let mut writer = Writer::new(Vec::new(), &header()).unwrap();
        record(&mut Small::default(), [(number, ops.clone())], &mut writer).unwrap();
        let steps = carry_out(&mut Small::default(), &ops).collect();
        prop_assert_eq!(all(&writer.end().unwrap()).unwrap(), vec![Episode { number, steps }]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2048))]

    #[test]
    fn any_damaged_byte_is_survived_and_so_is_what_is_read(at: prop::sample::Index, byte: u8) {
        let mut bytes = recording().0;
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok((_, episodes)) = read(&bytes[..]) {
            let machine = episodes.machine().clone();
            for episode in episodes.flatten() {
                let _ = crate::compare(&episode, &mut Small::default(), &machine);
            }
        }
    }
}
