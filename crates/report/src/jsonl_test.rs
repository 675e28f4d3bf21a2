use super::*;
use barkeep_journal::{Actor, Clock, Kind, Lane};

const HEADER: Header = Header { lane: Lane::Lab, clock: Clock::Virtual };

fn journal(lines: &[&str]) -> String {
    lines.iter().fold(json::header_line(HEADER) + "\n", |all, line| all + line + "\n")
}

fn event() -> String {
    json::line(&Event::new(Kind::RunStart, Actor::Vmm).text("x"), HEADER)
}

fn damage(bytes: &[u8]) -> String {
    read(bytes).err().unwrap().to_string()
}

fn events(bytes: &[u8]) -> Vec<String> {
    let say = |event: Result<Event, Damage>| event.map_or_else(|d| d.to_string(), |e| e.kind.to_string());
    read(bytes).unwrap().1.map(say).collect()
}

#[test]
fn what_was_written_is_read() {
    let text = journal(&[&event(), &event()]);
    assert_eq!(read(text.as_bytes()).unwrap().0, HEADER);
    assert_eq!(events(text.as_bytes()), ["run_start", "run_start"]);
    assert_eq!(events(text.trim_end().as_bytes()), ["run_start", "run_start"]);
    assert!(events(journal(&[]).as_bytes()).is_empty());
}

#[test]
fn files_that_are_no_journal_are_named() {
    assert_eq!(damage(b""), "line 1: the file is empty");
    let foreign = "line 1: not a journal: the first line is not `{\"barkeep_journal\":…`";
    for bytes in [&b"\n"[..], b"hello", b"{\"a\":1}\n", b"[1]", b"\xff\xfe", b"\0\0\0"] {
        assert_eq!(damage(bytes), foreign);
    }
    assert_eq!(damage(b"BARKEEPJ\x01\0\0\0"), "line 1: a journal as it is in shared memory, not its lines");
    assert_eq!(damage(b"{\"barkeep_journal\":1,\"la"), "line 1: the file ends in the middle of this line");
    let newer = b"{\"barkeep_journal\":2,\"lane\":\"lab\",\"clock\":\"virtual\"}\n";
    assert_eq!(damage(newer), "line 1: a journal of version 2; this Barkeep reads version 1");
    let lane = b"{\"barkeep_journal\":1,\"lane\":\"moon\",\"clock\":\"virtual\"}\n";
    assert_eq!(damage(lane), "line 1: field `lane` is missing or not what it should be");
}

#[test]
fn a_damaged_line_is_named_and_passed_over() {
    let text = journal(&["{}", &event(), "nonsense", &event().replace("run_start", "run_stop")]);
    assert_eq!(
        events(text.as_bytes()),
        [
            "line 2: field `actor` is missing or not what it should be",
            "run_start",
            "line 4: not a JSON object",
            "line 5: field `kind` is missing or not what it should be",
        ]
    );
    let mut bytes = journal(&[]).into_bytes();
    bytes.extend(b"\xff\n");
    assert_eq!(events(&bytes), ["line 2: not UTF-8"]);
}

#[test]
fn a_file_cut_anywhere_says_so_once() {
    let text = journal(&[&event(), &event()]);
    let start = journal(&[]).len();
    for end in start..text.len() {
        let read = events(&text.as_bytes()[..end]);
        let damages = read.iter().filter(|line| line.contains("middle of this line")).count();
        let complete =
            [start, start + event().len(), start + event().len() + 1, text.len() - 1].contains(&end);
        assert_eq!(damages, usize::from(!complete), "{end}: {read:?}");
    }
}

#[test]
fn a_line_without_end_does_not_fill_memory() {
    let mut bytes = journal(&[]).into_bytes();
    bytes.extend(std::iter::repeat_n(b'x', 3 << 20));
    bytes.extend(b"\n");
    bytes.extend(event().bytes());
    assert_eq!(events(&bytes), ["line 2: longer than 1048576 bytes", "run_start"]);
}

#[test]
fn a_newer_journal_is_read_as_far_as_it_is_understood() {
    let newer =
        "{\"barkeep_journal\":7,\"lane\":\"lab\",\"clock\":\"virtual\",\"more\":1}\n".to_owned() + &event();
    let (header, damage, mut events) = read_as_far_as_possible(newer.as_bytes()).unwrap();
    assert_eq!(header, HEADER);
    assert_eq!(damage.unwrap().to_string(), "line 1: a journal of version 7; this Barkeep reads version 1");
    assert_eq!(events.next().unwrap().unwrap().kind, Kind::RunStart);
    let elsewhere = newer.replace("\"lab\"", "\"moon\"");
    assert!(read_as_far_as_possible(elsewhere.as_bytes()).is_err());
    let (_, damage, _) = read_as_far_as_possible(journal(&[&event()]).as_bytes()).unwrap();
    assert!(damage.is_none());
}
