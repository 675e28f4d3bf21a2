use super::*;
use crate::record::carry_out;
use crate::testbed::{Small, Wrong, machine};
use barkeep_model::{Answer, Source};

const DECODE_OFF: Op = Op::ConfigWrite { file: 0, offset: 4, width: 2, value: 4 };

/// What a kernel like [`Small`] says of them.
fn recorded(ops: &[Op]) -> Episode {
    Episode { number: 3, steps: carry_out(&mut Small::default(), ops).collect() }
}

fn exported() -> Vec<Op> {
    vec![
        Op::Open { device: 0, context: 0, file: 0 },
        Op::Export { file: 0, region: 2, ranges: vec![(0, 0x1000)], flags: 0, buffer: 0 },
    ]
}

fn said(episode: &Episode, subject: &mut Small) -> String {
    compare(episode, subject, &machine()).map_or("alike".to_owned(), |divergence| divergence.to_string())
}

#[test]
fn who_says_the_same_does_not_part() {
    let mut ops = exported();
    ops.push(DECODE_OFF);
    assert_eq!(said(&recorded(&ops), &mut Small::default()), "alike");
}

#[test]
fn an_answer_that_differs_is_told() {
    let mut ops = exported();
    ops.push(DECODE_OFF);
    ops.push(Op::Map { space: 1, source: Source::Buffer(0), start: 0, length: 0x1000, iova: 0x2000_0000 });
    assert_eq!(
        said(&recorded(&ops), &mut Small::wrong(Wrong::Errno)),
        "episode 3, operation 4 of 4: MAP_FILE of 0x1000 bytes at 0x0 of buffer 0 into space 1 at 0x20000000: \
         the specification says EINVAL, the kernel said ENODEV"
    );
}

#[test]
fn what_is_seen_differently_is_told() {
    let mut ops = exported();
    ops.push(DECODE_OFF);
    ops.push(Op::Detach { file: 0 });
    let episode = recorded(&ops);
    assert_eq!(
        said(&episode, &mut Small::wrong(Wrong::DecodeOff)),
        "episode 3, operation 3 of 4: write 0x4 to COMMAND (2 bytes at 0x4) of nvme (file 0); after it, \
         buffer 0 mapped into a space without devices: \
         the specification says it can be mapped, the kernel said ENODEV"
    );
    let divergence = compare(&episode, &mut Small::wrong(Wrong::DecodeOff), &machine()).unwrap();
    assert_eq!((divergence.index, divergence.kind, divergence.field), (2, Kind::ConfigWrite, Field::Buffers));
}

#[test]
fn an_episode_begins_anew() {
    let mut subject = Small::default();
    let mut ops = exported();
    ops.push(DECODE_OFF);
    let episode = recorded(&ops);
    assert_eq!(said(&episode, &mut subject), "alike");
    assert_eq!(said(&episode, &mut subject), "alike");
}

/// What is told if the kernel sees this after an operation that leaves nothing.
fn seen_by_the_kernel(seen: Seen) -> String {
    let op = Op::Detach { file: 1 };
    let episode = Episode { number: 0, steps: vec![Recorded { op, answer: Answer::Ok(0), seen }] };
    said(&episode, &mut Small::default()).split_once("after it, ").unwrap().1.to_owned()
}

#[test]
fn every_field_is_compared() {
    const NONE: &str = "the specification says nothing (the register is empty), the kernel said";
    let seen = |seen| seen_by_the_kernel(seen);
    assert_eq!(
        seen(Seen { buffers: vec![(4, 0)], ..Seen::default() }),
        format!("buffer 4 mapped into a space without devices: {NONE} it can be mapped")
    );
    assert_eq!(
        seen(Seen { maps: vec![(1, 14)], ..Seen::default() }),
        format!("map 1 read by a CPU: {NONE} EFAULT")
    );
    assert_eq!(
        seen(Seen { registers: vec![(2, 0x304)], ..Seen::default() }),
        format!("file 2's COMMAND and power state: {NONE} memory decode off, bus master on, D3hot")
    );
    assert_eq!(
        seen(Seen { words: vec![(2, vec![7, 5 << 32])], ..Seen::default() }),
        format!("the word at 0x0 of file 2's memory: {NONE} 0x7")
    );
}

#[test]
fn the_first_register_and_word_that_differ_are_told() {
    assert_eq!(differ(&[(0, 1), (2, 5)], &[(0, 1), (2, 6), (3, 1)]), Some((2, Some(&5), Some(&6))));
    assert_eq!(differ(&[(0, 1), (1, 1)], &[(0, 1)]), Some((1, Some(&1), None)));
    assert_eq!(differ(&[(0, 1), (1, 1)], &[(1, 1), (0, 1)]).map(|it| it.0), Some(0), "another order");
    assert_eq!(differ::<u16>(&[], &[]), None);
    let words = |second: u64| vec![(1, vec![7, second])];
    let machine = machine();
    let Difference { what, specification, kernel, .. } =
        words_differ(&words(3), &words(5 << 32), &machine).unwrap();
    assert_eq!((&*what, &*specification, &*kernel), ("the word at 0x1004 of file 1's memory", "0x3", "EIO"));
}

#[test]
fn the_watcher_sees_the_state_before_each_operation() {
    let mut seen = Vec::new();
    let mut ops = exported();
    ops.push(DECODE_OFF);
    let episode = recorded(&ops);
    let watch = |subject: &Small, op: &Op| seen.push((Kind::of(op), subject.clone().seen().buffers.len()));
    assert_eq!(compare_watching(&episode, &mut Small::default(), &machine(), watch), None);
    assert_eq!(seen, [(Kind::Open, 0), (Kind::Export, 0), (Kind::ConfigWrite, 1)]);
}
