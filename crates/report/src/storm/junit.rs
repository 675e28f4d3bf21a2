//! JUnit XML: one suite, a class of test cases for each group.
//!
//! Times are those of the storm's clock, which stands in the properties: with virtual time a file
//! is the same each time.

use super::Judgement;
use super::cases::{Case, How, Result, groups};
use crate::time::lane_and_clock;
use quick_junit::{NonSuccessKind, Property, Report, TestCase, TestCaseStatus, TestSuite};
use std::io::{self, Write};
use std::time::Duration;

/// Writes a storm's results.
///
/// # Errors
/// Those of `out`.
pub fn write(out: &mut dyn Write, judged: &Judgement<'_>) -> io::Result<()> {
    let header = &judged.storm.header;
    let name = format!("storm {} in lane {}", header.scenario, header.lane);
    let mut suite = TestSuite::new(name.as_str());
    suite.set_time(Duration::from_nanos(judged.storm.took_ns()));
    let clock = lane_and_clock(header.journal());
    let about = [("seed", header.seed.to_string()), ("commit", header.commit.clone())];
    let about = about.into_iter().chain([("kernel", header.kernel.clone()), ("clock", clock)]);
    suite.add_properties(about.map(|(name, value)| Property::new(name, value)));
    suite.add_properties(header.options.iter().map(|choice| Property::new(&*choice.name, &*choice.value)));
    for group in groups(judged) {
        let class = format!("{}.{}.{}", header.lane, header.scenario, group.name);
        suite.add_test_cases(group.cases.iter().map(|case| test_case(case, &class)));
    }
    let mut report = Report::new("barkeep storm");
    report.set_time(Duration::from_nanos(judged.storm.took_ns()));
    report.add_test_suite(suite);
    report.serialize(out).map_err(io::Error::other)
}

fn test_case(case: &Case, class: &str) -> TestCase {
    let status = match &case.result {
        Result::Passed => TestCaseStatus::success(),
        Result::Known(why) => skipped(&format!("known: {why}")),
        Result::Skipped(why) => skipped(why),
        Result::Failed { how, message, details } => {
            let (kind, sort) = match how {
                How::Broken => (NonSuccessKind::Failure, "broken"),
                How::TimedOut => (NonSuccessKind::Failure, "timed out"),
                How::Testbed => (NonSuccessKind::Error, "testbed"),
            };
            let mut status = TestCaseStatus::non_success(kind);
            status.set_type(sort).set_message(message.as_str()).set_description(details.join("\n"));
            status
        }
    };
    let mut test_case = TestCase::new(case.name.as_str(), status);
    test_case.set_classname(class).set_time(Duration::from_nanos(case.took_ns));
    test_case
}

fn skipped(why: &str) -> TestCaseStatus {
    let mut status = TestCaseStatus::skipped();
    status.set_message(why);
    status
}
