//! KTAP version 1 (Documentation/dev-tools/ktap.rst): the storm, in it its groups, in them the
//! cases.

use super::Judgement;
use super::cases::{Case, Group, How, Result, groups};
use std::io::{self, Write};

/// Writes a storm's results.
///
/// # Errors
/// Those of `out`.
pub fn write(out: &mut dyn Write, judged: &Judgement<'_>) -> io::Result<()> {
    let header = &judged.storm.header;
    let groups = groups(judged);
    writeln!(out, "KTAP version 1\n1..1\n  KTAP version 1\n  1..{}", groups.len())?;
    for (number, group) in (1..).zip(&groups) {
        self::group(out, number, group)?;
    }
    writeln!(
        out,
        "# seed {}, commit {}, kernel {}",
        header.seed,
        plain(&header.commit),
        plain(&header.kernel)
    )?;
    let name = format!("storm {} in lane {}, {} time", header.scenario, header.lane, header.clock);
    match &judged.storm.skipped {
        Some(why) => writeln!(out, "ok 1 {} # SKIP {}", plain(&name), plain(why)),
        None => writeln!(out, "{} 1 {}", ok(judged.passed()), plain(&name)),
    }
}

fn group(out: &mut dyn Write, number: usize, group: &Group) -> io::Result<()> {
    writeln!(out, "    KTAP version 1\n    1..{}", group.cases.len())?;
    for (number, case) in (1..).zip(&group.cases) {
        self::case(out, number, case)?;
    }
    writeln!(out, "  {} {number} {}", ok(!group.failed()), group.name)
}

fn case(out: &mut dyn Write, number: usize, case: &Case) -> io::Result<()> {
    let name = plain(&case.name);
    match &case.result {
        Result::Passed => writeln!(out, "    ok {number} {name}"),
        Result::Known(why) => writeln!(out, "    ok {number} {name} # XFAIL {}", plain(why)),
        Result::Skipped(why) => writeln!(out, "    ok {number} {name} # SKIP {}", plain(why)),
        Result::Failed { how, message, details } => {
            for line in details {
                writeln!(out, "    # {}", plain(line))?;
            }
            let directive = match how {
                How::Broken => "",
                How::TimedOut => "TIMEOUT ",
                How::Testbed => "ERROR ",
            };
            writeln!(out, "    not ok {number} {name} # {directive}{}", plain(message))
        }
    }
}

fn ok(passed: bool) -> &'static str {
    if passed { "ok" } else { "not ok" }
}

/// A text in a line: no newline, and no `#`, which would begin a directive.
fn plain(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '#' => 'N',
            c if c.is_control() => ' ',
            c => c,
        })
        .collect()
}
