//! A journal.jsonl, told in every way there is: any bytes.
#![no_main]

use barkeep_report::Style;
use barkeep_timeline::{Moment, Point, Selection};
use barkeep_trace::diff::{Diff, Options};
use barkeep_trace::explain::{Explainer, Target};
use barkeep_trace::lines::{CONTEXT, Lines};
use barkeep_trace::perfetto::Packets;
use barkeep_trace::{Drawing, Survey, page, read, svg};
use std::io;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let points = [None, Some(Point::Revoke(1)), Some(Point::Seq(7)), Some(Point::Time(Moment(1000)))];
    let point = points[bytes.len() % points.len()];
    let Ok(survey) = Survey::of(bytes, point) else { return };
    let device = survey.devices.values().next().copied();
    let part = Selection { device, bar: Some(2), from_ns: Some(10), ..Selection::default() };
    for selection in [Selection::default(), part] {
        told(bytes, &survey, selection);
    }
    for target in [Target::Address(0x40_0000_0000), Target::Event(Point::Revoke(1))] {
        explained(bytes, &survey, target);
    }
    if let Some(name) = survey.devices.keys().next() {
        explained(bytes, &survey, Target::Bar { device: name.clone(), bar: 2 });
    }
    let same = Diff::of(bytes, bytes, Options { times: true, kernel_log: true }).unwrap();
    assert!(same.same, "a journal parts from itself");
    if let Ok(diff) = Diff::of(bytes, &bytes[..bytes.len() / 2], Options::default()) {
        diff.print(io::sink()).unwrap();
    }
});

fn told(bytes: &[u8], survey: &Survey, selection: Selection) {
    let mut lines = Lines::new(io::sink(), survey, selection, CONTEXT, Style::Ansi).unwrap();
    let mut packets = Packets::new(io::sink(), survey, selection);
    read(bytes, |event, _| {
        lines.event(event);
        packets.event(event);
    })
    .unwrap();
    lines.finish().unwrap();
    packets.finish().unwrap();
    let drawing = Drawing::of(bytes, survey, selection).unwrap();
    svg::draw(survey, &drawing);
    page::write(survey, &drawing, "a journal");
}

fn explained(bytes: &[u8], survey: &Survey, target: Target) {
    let Ok(mut explainer) = Explainer::new(survey, target, None) else { return };
    read(bytes, |event, _| explainer.event(event)).unwrap();
    explainer.answer();
}
